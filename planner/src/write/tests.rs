//! What a source is told of a change, as golden texts, and why it is not told.

use datafusion::scalar::ScalarValue;

use super::Work;
use crate::tests::support::{World, world};

/// The statement that a source gets for an `UPDATE` or `DELETE`, or the clauses that it gets for an `INSERT`; or why not.
async fn worded(world: &World, sql: &str, parameters: &[ScalarValue]) -> String {
    let query = match world.plan(sql).await {
        Ok(query) => query,
        Err(error) => return format!("refused: {}", error.message()),
    };
    let write = query.write().expect("it changes rows");
    let told = match &write.work {
        Work::Change(change) => {
            change.statement(&write.target, parameters, "").map(|sql| sql.map_or_else(|| "nothing".to_owned(), |sql| sql.text))
        }
        Work::Insert(insert) => insert.conflict_clause(&write.target, parameters).map(|clause| clause.text),
    };
    told.unwrap_or_else(|error| format!("refused: {} ({})", error.message(), error.hint_text().unwrap_or_default()))
}

#[tokio::test]
async fn changes_are_worded_as_written_down() {
    let world = world();
    for (sql, expected) in [
        ("DELETE FROM orders WHERE id = 7", r#"DELETE FROM "public"."orders" WHERE (("id" = 7))"#),
        ("DELETE FROM orders", r#"DELETE FROM "public"."orders""#),
        ("DELETE FROM orders WHERE false", "nothing"),
        ("DELETE FROM orders WHERE id = NULL", "nothing"),
        (
            "DELETE FROM orders AS o WHERE o.id > 3 AND o.status = 'void'",
            r#"DELETE FROM "public"."orders" WHERE (("id" > 3)) AND (("status" = 'void'))"#,
        ),
        // Texts that a collation holds equal, and that are not: the first condition finds them, the second decides.
        (
            "DELETE FROM orders WHERE note = 'x'",
            r#"DELETE FROM "public"."orders" WHERE (("note" = 'x')) AND ((("note" COLLATE "C") = 'x'))"#,
        ),
        (
            "UPDATE orders SET total = 1.5, status = 'paid' WHERE id = 7",
            r#"UPDATE "public"."orders" SET "total" = CAST('1.50' AS DECIMAL(12, 2)), "status" = 'paid' WHERE (("id" = 7))"#,
        ),
        (
            "UPDATE orders SET status = DEFAULT, customer_id = NULL",
            r#"UPDATE "public"."orders" SET "status" = DEFAULT, "customer_id" = NULL"#,
        ),
        ("UPDATE orders SET customer_id = id + 1", r#"UPDATE "public"."orders" SET "customer_id" = ("id" + 1)"#),
        ("INSERT INTO orders (id) VALUES (1)", ""),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT DO NOTHING", "ON CONFLICT DO NOTHING"),
        (
            "INSERT INTO orders AS o (id, status) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET status = excluded.status WHERE o.id < 9",
            r#"ON CONFLICT ("id") DO UPDATE SET "status" = excluded."status" WHERE (("orders"."id" < 9))"#,
        ),
    ] {
        assert_eq!(worded(&world, sql, &[]).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_a_source_would_decide_otherwise_is_refused() {
    let world = world();
    for (sql, expected) in [
        ("DELETE FROM orders WHERE random() < 2", "the source does not decide as is meant here"),
        ("DELETE FROM orders WHERE upper(status) = 'X'", "the source does not decide as is meant here"),
        ("DELETE FROM orders WHERE id IN (SELECT id FROM customers)", "depend on other tables is not supported"),
        ("UPDATE orders SET status = upper(status)", "the source does not compute the value of column \"status\""),
        ("UPDATE orders SET total = (SELECT max(balance) FROM customers)", "depend on other tables is not supported"),
        ("UPDATE orders SET id = 1, id = 2", "multiple assignments to same column \"id\""),
        ("UPDATE orders SET nothing = 1", "column \"nothing\" of relation \"orders\" does not exist"),
        ("INSERT INTO orders (id, id) VALUES (1, 2)", "column \"id\" specified more than once"),
        ("INSERT INTO orders (id) VALUES (1, 2)", "INSERT has more expressions than target columns"),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT ON CONSTRAINT k DO NOTHING", "ON CONFLICT ON CONSTRAINT is not supported"),
        ("DELETE FROM orders USING customers", "DELETE ... USING is not supported"),
        ("UPDATE orders SET id = 1 FROM customers", "UPDATE ... FROM is not supported"),
        ("DELETE FROM nowhere", "relation \"nowhere\" does not exist"),
    ] {
        let told = worded(&world, sql, &[]).await;
        assert!(told.starts_with("refused: ") && told.contains(expected), "{sql}: {told}");
    }
}

#[tokio::test]
async fn parameters_are_written_as_the_values_that_they_have() {
    let world = world();
    let parameters = [ScalarValue::Int64(Some(7)), ScalarValue::from("paid")];
    let told = worded(&world, "UPDATE orders SET status = $2 WHERE id = $1", &parameters).await;
    assert_eq!(told, r#"UPDATE "public"."orders" SET "status" = 'paid' WHERE (("id" = 7))"#);
    let told = worded(&world, "DELETE FROM orders WHERE id = $1", &[ScalarValue::Int64(None)]).await;
    assert_eq!(told, "nothing", "no row has NULL for its id");
}
