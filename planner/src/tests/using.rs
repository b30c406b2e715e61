//! `JOIN ... USING` and `NATURAL JOIN`, with PostgreSQL's columns, names and rows.

use super::support::world;
use crate::error::ErrorKind;

/// Statements, the names of their columns, and their rows in order.
fn cases() -> Vec<(String, &'static str, &'static str)> {
    let people = "(SELECT id, name FROM customers WHERE id < 3)";
    let few = "(SELECT id, total FROM (VALUES (2, 20), (3, 30), (7, 70)) v(id, total))";
    let case = |sql: &str, names, rows| (sql.replace("{people}", people).replace("{few}", few), names, rows);
    vec![
        // Names of relations that sort either way.
        case("SELECT * FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id name total", "1,Ada,NULL 2,bob,20"),
        case("SELECT * FROM {people} b LEFT JOIN {few} z USING (id) ORDER BY id", "id name total", "1,Ada,NULL 2,bob,20"),
        case("SELECT * FROM {people} z RIGHT JOIN {few} b USING (id) ORDER BY id", "id name total", "2,bob,20 3,NULL,30 7,NULL,70"),
        case("SELECT * FROM {people} b RIGHT JOIN {few} z USING (id) ORDER BY id", "id name total", "2,bob,20 3,NULL,30 7,NULL,70"),
        case(
            "SELECT * FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id",
            "id name total",
            "1,Ada,NULL 2,bob,20 3,NULL,30 7,NULL,70",
        ),
        case("SELECT * FROM {people} z JOIN {few} b USING (id)", "id name total", "2,bob,20"),
        case("SELECT * FROM {people} z NATURAL LEFT JOIN {few} b ORDER BY 1", "id name total", "1,Ada,NULL 2,bob,20"),
        case("SELECT * FROM {few} z NATURAL RIGHT JOIN {people} b ORDER BY 1", "id total name", "1,NULL,Ada 2,20,bob"),
        case("SELECT * FROM {people} z NATURAL FULL JOIN {few} b ORDER BY 1 LIMIT 3", "id name total", "1,Ada,NULL 2,bob,20 3,NULL,30"),
        case(
            "SELECT * FROM plain.customers z LEFT JOIN {few} b USING (id) WHERE id < 3 ORDER BY id",
            "id name city balance joined key total",
            "1,Ada,Rome,10.00,2022-01-08,a,NULL 2,bob,Oslo,2.50,2022-01-09,b,20",
        ),
        // Shared columns come first, wherever they are in their tables.
        case(
            "SELECT * FROM (SELECT name, city FROM customers WHERE id < 3) z JOIN (VALUES (9, 'Rome')) b(n, city) USING (city)",
            "city name n",
            "Rome,Ada,9",
        ),
        case(
            "SELECT z.*, b.* FROM (SELECT name, city FROM customers WHERE id < 3) z JOIN (VALUES (9, 'Rome')) b(n, city) USING (city)",
            "name city n city",
            "Ada,Rome,9,Rome",
        ),
        case(
            "SELECT id, b.id, z.id FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id",
            "id id id",
            "1,NULL,1 2,2,2 3,3,NULL 7,7,NULL",
        ),
        case("SELECT id, z.id FROM {people} z JOIN {few} b USING (id)", "id id", "2,2"),
        case(
            "SELECT *, id, b.id + 1 FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id",
            "id name total id ?column?",
            "1,Ada,NULL,1,NULL 2,bob,20,2,3",
        ),
        case("SELECT 5, * FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id DESC LIMIT 1", "?column? id name total", "5,7,NULL,70"),
        // Chains.
        case(
            "SELECT * FROM {people} z LEFT JOIN {few} b USING (id) LEFT JOIN (VALUES (1, 'x')) a(id, t) USING (id) ORDER BY id",
            "id name total t",
            "1,Ada,NULL,x 2,bob,20,NULL",
        ),
        case(
            "SELECT * FROM {people} z FULL JOIN {few} b USING (id) FULL JOIN (VALUES (7, 'x'), (8, 'y')) a(id, t) USING (id) ORDER BY id",
            "id name total t",
            "1,Ada,NULL,NULL 2,bob,20,NULL 3,NULL,30,NULL 7,NULL,70,x 8,NULL,NULL,y",
        ),
        case(
            "SELECT id FROM {people} z RIGHT JOIN {few} b USING (id) LEFT JOIN customers a USING (id) WHERE id > 2 ORDER BY id",
            "id",
            "3 7",
        ),
        case(
            "SELECT * FROM {people} a JOIN (SELECT id, customer_id, status FROM orders) o ON o.customer_id = a.id JOIN (VALUES ('paid', 1)) s(status, n) USING (status) ORDER BY o.id",
            "status id name id customer_id n",
            "paid,1,Ada,11,1,1 paid,2,bob,12,2,1",
        ),
        case("SELECT id, a.city, b.city FROM customers a JOIN customers b USING (id) WHERE id = 2", "id city city", "2,Oslo,Oslo"),
        case("SELECT count(*), min(id) FROM customers a NATURAL JOIN plain.customers b", "count min", "2,1"),
        case("SELECT count(*) FROM {people} z FULL JOIN {few} b USING (id)", "count", "4"),
        // Grouped, sorted, distinct, windowed.
        case(
            "SELECT id, count(*) FROM {people} z LEFT JOIN {few} b USING (id) GROUP BY id HAVING id > 0 ORDER BY id DESC",
            "id count",
            "2,1 1,1",
        ),
        case("SELECT id, count(*) FROM {people} z FULL JOIN {few} b USING (id) GROUP BY id ORDER BY id", "id count", "1,1 2,1 3,1 7,1"),
        case("SELECT count(*) FROM {people} z FULL JOIN {few} b USING (id) GROUP BY ROLLUP (id) ORDER BY 1", "count", "1 1 1 1 4"),
        case("SELECT DISTINCT id FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id", "id", "1 2 3 7"),
        case("SELECT DISTINCT id FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id", "1 2"),
        case("SELECT DISTINCT ON (id) id, total FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id total", "1,NULL 2,20"),
        case(
            "SELECT DISTINCT ON (id) id, total FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id",
            "id total",
            "1,NULL 2,20 3,30 7,70",
        ),
        case("SELECT DISTINCT z.id, b.id FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY z.id", "id id", "1,NULL 2,2"),
        case(
            "SELECT name, rank() OVER (ORDER BY id DESC) FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id",
            "name rank",
            "Ada,2 bob,1",
        ),
        case("SELECT z.id FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY -id", "id", "2 1"),
        case("SELECT -id AS id FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id", "-2 -1"),
        case("SELECT id::text, id + 1 FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id ?column?", "1,2 2,3"),
        case("SELECT DISTINCT id, z.id FROM {people} z FULL JOIN {few} b USING (id) ORDER BY id", "id id", "1,1 2,2 3,NULL 7,NULL"),
        case("SELECT count(DISTINCT id), sum(id) FILTER (WHERE id > 1) FROM {people} z FULL JOIN {few} b USING (id)", "count sum", "4,12"),
        case("SELECT b.* FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id", "id total", "2,20 NULL,NULL"),
        // Two relations of one name, in two schemas.
        case(
            "SELECT * FROM crm.orders LEFT JOIN plain.orders USING (id, note, total, status) ORDER BY id LIMIT 1",
            "id note total status customer_id customer_id",
            "10,x,5.00,open,1,1",
        ),
        case(
            "SELECT id, crm.orders.status, plain.orders.status FROM crm.orders RIGHT JOIN plain.orders USING (id) WHERE id = 11",
            "id status status",
            "11,paid,paid",
        ),
        // Within queries, and around them.
        case("SELECT * FROM (SELECT * FROM {people} z LEFT JOIN {few} b USING (id)) q ORDER BY id", "id name total", "1,Ada,NULL 2,bob,20"),
        case(
            "WITH q AS (SELECT * FROM {people} z LEFT JOIN {few} b USING (id)) SELECT * FROM q z LEFT JOIN q a USING (id, total) ORDER BY id",
            "id total name name",
            "1,NULL,Ada,NULL 2,20,bob,bob",
        ),
        case(
            "SELECT a.id FROM customers a WHERE EXISTS (SELECT 1 FROM customers x JOIN {few} y USING (id) WHERE id = a.id AND y.total > 25)",
            "id",
            "3",
        ),
        case(
            "SELECT a.id FROM customers a WHERE 1 < (SELECT count(*) FROM (SELECT customer_id AS id FROM orders) y JOIN customers x USING (id) WHERE id = a.id)",
            "id",
            "1",
        ),
        case(
            "SELECT id FROM {people} z LEFT JOIN {few} b USING (id) WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = id) ORDER BY id",
            "id",
            "",
        ),
        case(
            "SELECT id FROM {people} z FULL JOIN {few} b USING (id) WHERE id IN (SELECT customer_id FROM shop.items i JOIN orders o ON o.id = i.order_id WHERE qty > id) ORDER BY id",
            "id",
            "",
        ),
        case(
            "SELECT id FROM {people} z LEFT JOIN {few} b USING (id) WHERE EXISTS (SELECT 1 FROM shop.items WHERE order_id = id + 9) ORDER BY id",
            "id",
            "1 2",
        ),
        case("SELECT id FROM customers c JOIN {few} s USING (id) WHERE id = 3", "id", "3"),
        case(
            "SELECT id FROM {people} z JOIN {few} b USING (id) UNION ALL SELECT id FROM {people} z LEFT JOIN {few} b USING (id) ORDER BY id",
            "id",
            "1 2 2",
        ),
        case("SELECT * FROM generate_series(1, 2) AS g(id) LEFT JOIN {few} b USING (id) ORDER BY id", "id total", "1,NULL 2,20"),
        case(
            "SELECT * FROM ({people} z LEFT JOIN {few} b USING (id)) AS j LEFT JOIN (VALUES (2, 'x')) a(id, t) USING (id) ORDER BY id",
            "id name total t",
            "1,Ada,NULL,NULL 2,bob,20,x",
        ),
        case("SELECT count(*) FROM (SELECT '1'::jsonb AS d) a JOIN (SELECT '1.0'::jsonb AS d) b USING (d)", "count", "1"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_columns_are_those_of_postgres() {
    for world in [world(), world().without_push_down()] {
        for (sql, names, rows) in cases() {
            let query = world.plan(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let seen: Vec<&str> = query.schema().fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(seen.join(" "), names, "{sql}");
            let seen = query.rows(Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let seen: Vec<String> = seen.iter().map(|row| row.join(",")).collect();
            assert_eq!(seen.join(" "), rows, "{sql}");
        }
    }
}

#[tokio::test]
async fn what_is_not_shared_is_an_error() {
    let world = world();
    for (sql, kind) in [
        ("SELECT 1 FROM customers JOIN orders USING (city)", ErrorKind::UndefinedColumn),
        ("SELECT 1 FROM customers c JOIN orders o ON true JOIN customers d USING (id)", ErrorKind::AmbiguousColumn),
        ("SELECT id FROM customers c JOIN orders o USING (id), customers d", ErrorKind::AmbiguousColumn),
        ("SELECT * FROM customers NATURAL JOIN missing", ErrorKind::UndefinedTable),
        ("SELECT * FROM customers JOIN missing USING (id)", ErrorKind::UndefinedTable),
    ] {
        assert_eq!(world.plan(sql).await.expect_err(sql).kind(), kind, "{sql}");
    }
}
