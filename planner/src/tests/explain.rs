//! `EXPLAIN` as users read it.

use super::support::world;

#[tokio::test]
async fn a_federated_join_across_sources_reads_well() {
    let lines = world()
        .explain("SELECT c.name, sum(i.qty) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN shop.items i ON i.order_id = o.id WHERE c.name > 'B' GROUP BY c.name")
        .await;
    let page = lines.join("\n");
    assert!(page.contains("->  RemoteScan on crm [1]"), "{page}");
    assert!(page.contains("\nRemote statements\n  [1] crm: SELECT"), "{page}");
    assert!(page.contains("\nComputed here\n"), "{page}");
    assert!(page.contains("Filter on crm: collation en_US.utf8 is not C: range kept local"), "{page}");
}

#[tokio::test]
async fn analyze_measures_and_verbose_shows_the_logical_plan() {
    let world = world();
    let page = world.explain("ANALYZE VERBOSE SELECT city, count(*) FROM customers GROUP BY city").await.join("\n");
    assert!(page.contains("RemoteScan on crm [1]  (rows=4"), "{page}");
    assert!(page.contains("\nLogical plan\n  RemoteQuery: datasource=crm"), "{page}");
    assert!(page.contains("\nExecution time: "), "{page}");
    let plain = world.explain("SELECT city, count(*) FROM customers GROUP BY city").await.join("\n");
    assert!(!plain.contains("rows=") && !plain.contains("Logical plan"), "{plain}");
}

#[tokio::test]
async fn options_in_parentheses_work() {
    let page = world().explain("(ANALYZE, VERBOSE false) SELECT 1").await.join("\n");
    assert!(page.contains("Execution time"), "{page}");
}

#[tokio::test]
async fn push_down_off_is_said() {
    let page = world().without_push_down().explain("SELECT count(*) FROM customers").await.join("\n");
    assert!(page.contains("push-down is off"), "{page}");
}

#[tokio::test]
async fn an_outer_join_that_the_source_would_refuse_stays_here() {
    let world = world();
    let few = "(SELECT * FROM customers ORDER BY id LIMIT 3) c";
    let page = world.explain(&format!("SELECT c.id, o.id FROM {few} LEFT JOIN orders o ON o.total > 3.00")).await.join("\n");
    assert!(page.contains("the source computes outer joins by equalities") && !page.contains("LEFT JOIN"), "{page}");
    let sql = format!("SELECT c.id, o.id FROM {few} LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 3.00");
    let page = world.explain(&sql).await.join("\n");
    assert!(page.contains("LEFT JOIN"), "{page}");
}

/// The side a hash join reads first is the one with fewer rows, also when it is a statement over several tables.
#[tokio::test]
async fn what_a_statement_is_believed_to_give_decides_which_side_is_read_first() {
    let world = world();
    for (sql, first) in [
        // 200,000 items, and the orders of customers: 50,000 at most.
        ("SELECT c.name, i.qty FROM shop.items i JOIN orders o ON i.order_id = o.id JOIN customers c ON o.customer_id = c.id", "crm"),
        ("SELECT c.name, i.qty FROM customers c JOIN orders o ON o.customer_id = c.id JOIN shop.items i ON i.order_id = o.id", "crm"),
        // Few items.
        (
            "SELECT o.n, i.qty FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) o JOIN shop.items i ON i.order_id = o.customer_id WHERE i.qty = 3",
            "shop",
        ),
    ] {
        let lines = world.explain(sql).await;
        let scan = lines.iter().find_map(|line| line.split_once("RemoteScan on ")).unwrap_or_else(|| panic!("{lines:#?}"));
        assert!(scan.1.starts_with(first), "{sql}\n{}", lines.join("\n"));
    }
}
