//! Search path, schemas, functions of the session, and names of result columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::scalar::ScalarValue;

use super::support::world;

#[tokio::test]
async fn the_search_path_is_followed_in_order() {
    let mut world = world();
    world.context.search_path = vec!["missing".to_owned(), "shop".to_owned(), "plain".to_owned()];
    assert_eq!(world.remote_sql("SELECT id FROM customers").await[0].split(':').next(), Some("plain"));
    assert_eq!(world.rows("SELECT relname FROM pg_class").await.unwrap(), [["pg_class"]]);
    assert_eq!(world.rows("SELECT count(*) FROM default.crm.customers").await.unwrap(), [["5"]]);
    assert_eq!(world.rows("SELECT customers.id FROM crm.customers WHERE crm.customers.id = 1").await.unwrap(), [["1"]]);
}

#[tokio::test]
async fn functions_of_the_session_come_first() {
    let mut world = world();
    let constant = |name: &str, value: &'static str| {
        Arc::new(create_udf(
            name,
            vec![],
            DataType::Utf8,
            Volatility::Stable,
            Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(value.to_owned()))))),
        ))
    };
    world.context.functions = vec![constant("current_schema", "crm"), constant("version", "Causeway")];
    assert_eq!(world.rows("SELECT version(), current_schema()").await.unwrap(), [["Causeway", "crm"]]);
    assert_eq!(world.rows("SELECT pg_catalog.version()").await.unwrap(), [["Causeway"]]);
}

#[tokio::test]
async fn now_is_one_moment_per_execution_in_the_session_zone() {
    let mut world = world();
    world.context.time_zone = "Europe/Rome".to_owned();
    let query = world.plan("SELECT now() = now(), now()").await.unwrap();
    let zone = match query.schema().field(1).data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(zone.as_deref(), Some("Europe/Rome"));
    let first = query.rows(Vec::new()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second = query.rows(Vec::new()).await.unwrap();
    assert_eq!(first[0][0], "true");
    assert_ne!(first[0][1], second[0][1]);
}

#[tokio::test]
async fn columns_are_named_as_postgres_names_them() {
    let world = world();
    let names = async |sql: &str| -> Vec<String> {
        world.plan(sql).await.unwrap().schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names("SELECT 1, 'a', 1 + 1").await, ["?column?", "?column?", "?column?"]);
    assert_eq!(names("SELECT count(*), sum(id), MAX(id) AS \"Top\", Id FROM customers GROUP BY id").await, ["count", "sum", "Top", "id"]);
    assert_eq!(
        names("SELECT id::text, 1::int, '1'::numeric(4,1), CAST('x' AS varchar) FROM customers").await,
        ["id", "int4", "numeric", "varchar"]
    );
    assert_eq!(names("SELECT CASE WHEN true THEN 1 END, CASE WHEN true THEN 1 ELSE id END FROM customers").await, ["case", "id"]);
    assert_eq!(
        names("SELECT lower(c.name), c.* , 2 FROM customers c").await,
        ["lower", "id", "name", "city", "balance", "joined", "key", "?column?"]
    );
    assert_eq!(names("SELECT (SELECT max(id) FROM orders), EXISTS (SELECT 1)").await, ["max", "exists"]);
    assert_eq!(names("VALUES (1, 'a')").await, ["column1", "column2"]);
    assert_eq!(names("SELECT 1 UNION ALL SELECT 2").await, ["?column?"]);
    assert_eq!(names("EXPLAIN SELECT 1").await, ["QUERY PLAN"]);
}

#[tokio::test]
async fn columns_may_be_named_alike() {
    let world = world();
    for (sql, names, first) in [
        ("SELECT id, id FROM customers WHERE id = 2", vec!["id", "id"], vec!["2", "2"]),
        ("SELECT id, id::text, id + 0 FROM customers WHERE id = 2", vec!["id", "id", "?column?"], vec!["2", "2", "2"]),
        ("SELECT 1, 1", vec!["?column?", "?column?"], vec!["1", "1"]),
        ("SELECT count(*), count(*), count(id) FROM customers", vec!["count", "count", "count"], vec!["5", "5", "5"]),
        (
            "SELECT o.*, o.\"select\" FROM \"Odd Table\" o ORDER BY 1",
            vec!["Mixed Case", "select", "q\"uote", "select"],
            vec!["1", "it's", "7", "it's"],
        ),
        ("SELECT a.id, b.id FROM customers a JOIN customers b ON a.id = b.id ORDER BY 1", vec!["id", "id"], vec!["1", "1"]),
        ("SELECT city, count(*) FROM customers GROUP BY city ORDER BY count DESC, city LIMIT 1", vec!["city", "count"], vec!["Rome", "2"]),
        (
            "SELECT city, count(*) FROM customers GROUP BY city HAVING count(*) > 1 ORDER BY count(*)",
            vec!["city", "count"],
            vec!["Rome", "2"],
        ),
        ("SELECT max, \"?column?\" FROM (SELECT max(id), 7 FROM customers) t", vec!["max", "?column?"], vec!["5", "7"]),
        ("SELECT DISTINCT lower(city) FROM customers WHERE city > 'P' ORDER BY lower(city)", vec!["lower"], vec!["rome"]),
        (
            "SELECT lower(city), lower(city) FROM customers GROUP BY lower(city) ORDER BY 1 LIMIT 1",
            vec!["lower", "lower"],
            vec!["bern", "bern"],
        ),
        ("SELECT 1, 1 UNION ALL SELECT 2, 3 ORDER BY 1", vec!["?column?", "?column?"], vec!["1", "1"]),
        ("WITH t AS (SELECT sum(id), sum(id) FROM customers) SELECT sum FROM t", vec!["sum"], vec!["15"]),
    ] {
        let query = world.plan(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let seen: Vec<&str> = query.schema().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(seen, names, "{sql}");
        assert_eq!(query.rows(Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))[0], first, "{sql}");
    }
}

#[tokio::test]
async fn a_relation_around_a_subquery_is_not_taken_for_a_column_of_it() {
    let world = world();
    // `total`, `note` and `city` are columns too.
    for (sql, rows) in [
        ("SELECT id FROM customers total WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = total.id) ORDER BY total.id", "1 2 3"),
        (
            "SELECT total.* FROM (SELECT id FROM customers) AS total WHERE total.id IN (SELECT customer_id FROM orders o WHERE o.id > total.id)",
            "1 2 3",
        ),
        ("SELECT id FROM customers city WHERE EXISTS (SELECT 1 FROM customers city WHERE city.id = 2) ORDER BY city.id LIMIT 2", "1 2"),
        ("SELECT note.id, (SELECT max(o.id) FROM orders o WHERE o.customer_id = note.id) FROM customers note WHERE note.id = 1", "1,11"),
        (
            "SELECT id FROM customers a WHERE EXISTS (SELECT 1 FROM (SELECT customer_id, id AS a FROM orders) o WHERE o.customer_id = a.id) ORDER BY 1",
            "1 2 3",
        ),
        (
            "SELECT id FROM customers total WHERE id = 2 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = total.id) \
             UNION ALL SELECT id FROM customers total WHERE id = 3 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = total.id)",
            "2 3",
        ),
        // The name that comes to mind is another relation's: within, around, and of a common table expression.
        ("SELECT id FROM customers total WHERE EXISTS (SELECT 1 FROM orders total_ WHERE total_.customer_id = total.id)", "1 2 3"),
        (
            "SELECT total.id, (SELECT count(*) FROM orders total_ WHERE total_.customer_id = total.id) FROM customers total WHERE id = 1",
            "1,2",
        ),
        (
            "SELECT note_.id FROM orders note_ WHERE EXISTS (SELECT 1 FROM customers note WHERE note.id + 9 = note_.id \
             AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = note.id))",
            "10 11 12",
        ),
        (
            "WITH total_ AS (SELECT id, customer_id FROM orders) \
             SELECT id FROM customers total WHERE EXISTS (SELECT 1 FROM total_ WHERE total_.customer_id = total.id)",
            "1 2 3",
        ),
        // A common table expression hides what has its name only where it is read.
        (
            "SELECT id FROM customers total WHERE EXISTS (WITH w AS (SELECT customer_id FROM orders) SELECT 1 FROM w WHERE w.customer_id = total.id)",
            "1 2 3",
        ),
        (
            "SELECT id FROM customers total WHERE EXISTS (WITH total AS (SELECT 7 AS id) SELECT 1 FROM orders o WHERE o.customer_id = total.id)",
            "1 2 3",
        ),
        (
            "SELECT id FROM customers total WHERE EXISTS (WITH total AS (SELECT 7 AS id) SELECT 1 FROM total WHERE total.id = 7)",
            "1 2 3 4 5",
        ),
        ("SELECT id FROM customers total WHERE id < 3 AND EXISTS (SELECT 1 FROM orders total ORDER BY total.id)", "1 2"),
    ] {
        let mut seen: Vec<String> =
            world.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(|row| row.join(",")).collect();
        seen.sort();
        assert_eq!(seen.join(" "), rows, "{sql}");
    }
}
