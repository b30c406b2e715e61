//! What remotes are asked, as golden texts, and the reasons for what stays here.

use crate::tests::support::world;

/// A statement after `>`, then what is `sent` to the remotes and what is `kept` here and why.
const GOLDEN: &str = include_str!("statements.golden");

/// Set to anything, it has the test write that file instead of reading it.
const REWRITE: &str = "CAUSEWAY_TEST_REWRITE";

#[tokio::test]
async fn statements_are_split_as_written_down() {
    let world = world();
    let mut seen = String::new();
    for sql in GOLDEN.lines().filter_map(|line| line.strip_prefix("> ")) {
        if !seen.is_empty() {
            seen.push('\n');
        }
        seen.push_str(&format!("> {sql}\n"));
        for statement in world.remote_sql(sql).await {
            seen.push_str(&format!("sent {statement}\n"));
        }
        for reason in world.kept(sql).await {
            seen.push_str(&format!("kept {reason}\n"));
        }
    }
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/federation/statements.golden"), &seen).unwrap();
        return;
    }
    for (at, (seen, golden)) in seen.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(seen, golden, "line {} of statements.golden", at + 1);
    }
    assert_eq!(seen.lines().count(), GOLDEN.lines().count());
}

#[tokio::test]
async fn estimates_of_a_union_do_not_overflow() {
    // A thousand rows, multiplied by ten as often, are more than there are numbers for.
    let branch = format!("SELECT a.id FROM customers a{}", (0..17).map(|at| format!(", \"Odd Table\" t{at}")).collect::<String>());
    let sent = world().remote_sql(&format!("SELECT count(*) FROM ({branch} UNION ALL {branch}) t")).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains(" UNION ALL "), "{sent:?}");
}

#[tokio::test]
async fn tables_of_one_remote_are_joined_there_whatever_stands_between() {
    let world = world();
    for (sql, joins) in [
        ("SELECT c.city, o.total, i.qty FROM customers c JOIN shop.items i ON i.order_id = c.id JOIN orders o ON o.customer_id = c.id", 1),
        // Both equal the same column of the other source.
        ("SELECT a.total, b.total, i.qty FROM orders a JOIN shop.items i ON i.order_id = a.id JOIN orders b ON b.id = i.order_id", 1),
        (
            "SELECT c.city, i.qty FROM customers c, shop.items i, orders o, customers d WHERE c.id = i.order_id AND o.customer_id = c.id AND d.id = o.customer_id",
            2,
        ),
        // Their join would be larger than they are: many orders have the same state.
        ("SELECT a.total, b.total, i.qty FROM orders a JOIN shop.items i ON i.order_id = a.id JOIN orders b ON b.status = a.status", 0),
        // A group is named by what it is grouped by.
        (
            "SELECT x.n, c.city, i.qty FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) x JOIN shop.items i ON i.qty = x.n JOIN customers c ON c.id = x.customer_id",
            1,
        ),
        // Nothing connects them but a column of the other source that is computed with.
        ("SELECT a.total, i.qty FROM orders a JOIN shop.items i ON i.order_id = a.id JOIN orders b ON b.id = i.order_id + 1", 0),
    ] {
        let sent = world.remote_sql(sql).await;
        let crm: Vec<_> = sent.iter().filter(|statement| statement.starts_with("crm: ")).collect();
        assert_eq!(crm.len(), if joins == 0 { 2 } else { 1 }, "{sql}\n{sent:#?}");
        assert_eq!(crm[0].matches(" JOIN ").count(), joins, "{sql}\n{sent:#?}");
    }
}

#[tokio::test]
async fn joins_that_are_in_order_stay_as_they_are_written() {
    let sql = "SELECT o.id, c.id, i.qty FROM orders o JOIN customers c ON o.customer_id = c.id JOIN shop.items i ON i.order_id = o.id";
    let sent = world().remote_sql(sql).await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains("\"orders\" AS t0 JOIN \"public\".\"customers\""), "{sent:?}");
}
