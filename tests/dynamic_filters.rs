//! Joins across sources that ask one side only for the keys of the other: fewer rows are read, and the answer is the same.

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, Psql, write_sqlite};

/// The rows of a statement with dynamic filters, which must be those without, and those without any push-down.
fn same_rows(psql: &Psql, sql: &str) -> Vec<String> {
    let rows = |setting: &str| -> Vec<String> {
        let output = psql.commands(&["\\t", "\\a", setting, sql]).expect_success();
        output.lines().filter(|line| line.contains('|')).map(str::to_owned).collect()
    };
    let narrowed = rows("SET causeway.dynamic_filters = on");
    assert_eq!(narrowed, rows("SET causeway.dynamic_filters = off"), "{sql}");
    assert_eq!(narrowed, rows("SET causeway.push_down = off"), "{sql}");
    narrowed
}

/// The lines of the physical plan that read from a datasource, with what was read.
fn scans(psql: &Psql, sql: &str, datasource: &str) -> Vec<String> {
    let plan = psql.rows(&format!("EXPLAIN ANALYZE {sql}"));
    let of = format!("RemoteScan on {datasource} ");
    plan.into_iter().filter(|line| line.contains(&of)).collect()
}

const LINES: &str = "CREATE TABLE lines (id bigint PRIMARY KEY, customer integer, sku text, day date, price numeric(10,2));
    INSERT INTO lines SELECT n, n % 1000, 'sku' || n % 500, date '2024-01-01' + n % 300, n / 100.0 FROM generate_series(1, 50000) AS n;
    INSERT INTO lines VALUES (50001, NULL, NULL, NULL, NULL);
    CREATE INDEX ON lines (customer); ANALYZE lines";

#[test]
fn a_join_reads_the_keys_of_its_other_side_alone() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("narrowed");
    database.script(LINES);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(
        &file,
        "CREATE TABLE wanted (customer INTEGER, id INTEGER, day TEXT, sku TEXT);
         INSERT INTO wanted VALUES (7, 7, '2024-01-08', 'sku7'), (9, 9, '2024-01-10', 'sku9'), (NULL, 50001, NULL, NULL), (99999999999, 1, NULL, 'x')",
    );
    let gateway = Gateway::start([database.datasource("crm"), Datasource::sqlite("shop", &file)]);
    let psql = gateway.psql();

    let join = "SELECT l.id, l.price FROM shop.wanted w JOIN crm.lines l ON l.customer = w.customer ORDER BY l.id";
    assert_eq!(same_rows(&psql, join).len(), 100);
    let read = scans(&psql, join, "crm");
    assert!(read[0].contains("narrowed by a join to") && read[0].contains("(actual rows=100 "), "{read:?}");

    for sql in [
        "SELECT w.customer, l.id FROM shop.wanted w LEFT JOIN crm.lines l ON l.id = w.id ORDER BY 1, 2",
        "SELECT w.id, l.id FROM crm.lines l JOIN shop.wanted w ON l.id = w.id AND l.customer = w.customer ORDER BY 1, 2",
        "SELECT l.id, l.customer FROM crm.lines l WHERE l.customer IN (SELECT customer FROM shop.wanted) ORDER BY 1",
        "SELECT l.id, l.customer FROM crm.lines l WHERE l.id < 20 AND NOT EXISTS (SELECT 1 FROM shop.wanted w WHERE w.id = l.id) ORDER BY 1",
        "SELECT l.id, l.customer FROM crm.lines l WHERE l.id < 20 AND l.customer NOT IN (SELECT customer FROM shop.wanted WHERE customer < 8) ORDER BY 1",
        "SELECT count(*), sum(l.price) FROM shop.wanted w JOIN crm.lines l ON l.sku = w.sku",
        "SELECT l.id, w.id FROM crm.lines l FULL JOIN shop.wanted w ON l.id = w.id WHERE l.id < 9 OR l.id IS NULL OR w.id IS NOT NULL ORDER BY 1, 2",
        "SELECT w.id, l.id FROM shop.wanted w JOIN crm.lines l ON l.day = CAST(w.day AS date) ORDER BY 1, 2 LIMIT 5",
        "SELECT l.id, l.price FROM shop.wanted w JOIN crm.lines l ON l.customer = w.customer ORDER BY l.id DESC LIMIT 3",
    ] {
        same_rows(&psql, sql);
    }
    let nothing = "SELECT l.id, w.id FROM shop.wanted w JOIN crm.lines l ON l.id = w.customer WHERE w.id = 50001";
    assert!(same_rows(&psql, nothing).is_empty());
}

#[test]
fn statements_that_join_or_group_are_narrowed_too() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("narrowed_statements");
    database.script(LINES);
    database.script(
        "CREATE TABLE customers (id bigint PRIMARY KEY, name text COLLATE \"C\", region bigint);
         INSERT INTO customers SELECT n, 'name ' || n, n % 10 FROM generate_series(0, 999) AS n; ANALYZE customers",
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wanted.csv"), "id,name\n7,name 7\n9,name 9\n5000,nobody\n").unwrap();
    let gateway = Gateway::start([database.datasource("crm"), Datasource::files("lake", folder.path())]);
    let psql = gateway.psql();
    for (sql, rows, read) in [
        // Two of its columns are called `id`, and it is asked for the one that is meant.
        (
            "SELECT w.id, c.id, l.id FROM lake.wanted w JOIN (crm.customers c LEFT JOIN crm.lines l ON l.customer = c.id) ON c.id = w.id ORDER BY 3",
            100,
            100,
        ),
        (
            "SELECT w.name, c.id, l.id FROM lake.wanted w JOIN (crm.lines l LEFT JOIN crm.customers c ON l.customer = c.id) ON l.id = w.id ORDER BY 3",
            3,
            3,
        ),
        (
            "SELECT w.id, g.n, g.s FROM lake.wanted w JOIN (SELECT customer, count(*) AS n, sum(price) AS s FROM crm.lines GROUP BY customer) g ON g.customer = w.id ORDER BY 1",
            2,
            2,
        ),
        (
            "SELECT w.id, g.n FROM lake.wanted w JOIN (SELECT customer, count(*) AS n FROM crm.lines GROUP BY customer) g ON g.n = w.id ORDER BY 1",
            0,
            0,
        ),
    ] {
        assert_eq!(same_rows(&psql, sql).len(), rows, "{sql}");
        let scans = scans(&psql, sql, "crm");
        assert!(scans[0].contains("narrowed by a join to") && scans[0].contains(&format!("(actual rows={read} ")), "{sql}: {scans:.300?}");
    }
    // Another small table, which narrows nothing, does not come before the one that does.
    std::fs::write(folder.path().join("regions.csv"), "code,region\n0,a\n1,b\n2,c\n3,d\n4,e\n5,f\n6,g\n7,h\n8,i\n9,j\n").unwrap();
    psql.rows("CALL causeway.refresh_catalog('lake')");
    let joined = "FROM crm.customers c JOIN crm.lines l ON l.customer = c.id";
    let (regions, wanted) = ("JOIN lake.regions r ON r.code = c.region", "JOIN lake.wanted w ON w.id = c.id");
    for joins in [format!("{joined} {regions} {wanted}"), format!("{joined} {wanted} {regions}")] {
        let sql = format!("SELECT r.region, l.id {joins} ORDER BY 2");
        assert_eq!(same_rows(&psql, &sql).len(), 100);
        let scans = scans(&psql, &sql, "crm");
        assert!(scans.len() == 1 && scans[0].contains("(actual rows=100 "), "{sql}: {scans:.300?}");
    }
    // Of rows that are limited, these are the first ones and not those that are joined.
    let limited = "SELECT w.id, c.name FROM lake.wanted w JOIN (SELECT id, name FROM crm.customers ORDER BY id LIMIT 8) c ON c.id = w.id";
    assert_eq!(same_rows(&psql, limited), ["7|name 7"]);
}

#[test]
fn text_files_are_read_first_where_they_are_small() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("narrowed_by_files");
    database.script(LINES);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wanted.csv"), "customer,note\n7,seven\n9,nine\n").unwrap();
    std::fs::write(folder.path().join("noted.jsonl"), "{\"customer\": 7, \"note\": \"seven\"}\n{\"customer\": 9}\n").unwrap();
    let gateway = Gateway::start([database.datasource("crm"), Datasource::files("lake", folder.path())]);
    let psql = gateway.psql();
    for table in ["wanted", "noted"] {
        for join in [
            format!("SELECT l.id, l.price FROM crm.lines l JOIN lake.{table} w ON l.customer = w.customer ORDER BY l.id"),
            format!("SELECT l.id, l.price FROM lake.{table} w JOIN crm.lines l ON l.customer = w.customer ORDER BY l.id"),
        ] {
            assert_eq!(same_rows(&psql, &join).len(), 100);
            let read = scans(&psql, &join, "crm");
            assert!(
                read.len() == 1 && read[0].contains("narrowed by a join to") && read[0].contains("(actual rows=100 "),
                "{join}: {read:?}"
            );
        }
    }
}

#[test]
fn text_of_another_collation_is_not_asked_for() {
    let (Some(postgres), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
    let (lines, names) = (postgres.database("narrowed_text"), mariadb.database("narrowed_text"));
    lines.script(LINES);
    names.script("CREATE TABLE names (name varchar(20) COLLATE utf8mb4_general_ci, id int PRIMARY KEY); INSERT INTO names VALUES ('SKU7', 1), ('sku9', 2)");
    let gateway = Gateway::start([lines.datasource("crm"), names.datasource("shop")]);
    let psql = gateway.psql();
    // Either side may be read first; the one whose text compares in its own way is read whole.
    let join = "SELECT n.id, count(*) FROM shop.names n JOIN crm.lines l ON l.sku = n.name GROUP BY 1 ORDER BY 1";
    assert_eq!(same_rows(&psql, join), ["2|100"]);
    let turned =
        "SELECT n.id, count(*) FROM (SELECT DISTINCT sku FROM crm.lines WHERE id < 20) l JOIN shop.names n ON l.sku = n.name GROUP BY 1";
    assert_eq!(same_rows(&psql, turned), ["2|1"]);
    let read = scans(&psql, turned, "shop");
    assert!(read.len() == 1 && !read[0].contains("narrowed by a join"), "{read:?}");
}

#[test]
fn many_keys_are_a_list_and_too_many_are_a_range() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("narrowed_by_many");
    database.script(LINES);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let table = |name: &str, count: u32| {
        format!(
            "CREATE TABLE {name} (id INTEGER); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO {name} SELECT 20000 + i * 2 FROM n;"
        )
    };
    write_sqlite(&file, &[table("listed", 3_000), table("ranged", 10_001)].concat());
    let gateway = Gateway::start([database.datasource("crm"), Datasource::sqlite("shop", &file)]);
    let psql = gateway.psql();
    for (name, joined, read) in [("listed", 3_000, 3_000), ("ranged", 10_001, 20_001)] {
        let join = format!("SELECT count(*) || '|' FROM shop.{name} w JOIN crm.lines l ON l.id = w.id");
        assert_eq!(same_rows(&psql, &join), [format!("{joined}|")]);
        let scans = scans(&psql, &join, "crm");
        assert!(scans[0].contains("narrowed by a join to") && scans[0].contains(&format!("(actual rows={read} ")), "{name}: {scans:.300?}");
    }
}
