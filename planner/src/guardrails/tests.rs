//! What is admitted, what is refused and why, and where results are cut.

use std::sync::Arc;

use futures::TryStreamExt;

use super::Guardrails;
use crate::error::ErrorKind;
use crate::progress::Progress;
use crate::tests::support::{World, world};

/// The world with a limited role in it.
fn limited(max_rows: u64, max_scan_rows: u64, max_join_rows: u64) -> World {
    let mut world = world();
    world.context.guardrails = Some(Arc::new(Guardrails { role: "ai".to_owned(), max_rows, max_scan_rows, max_join_rows }));
    world
}

#[tokio::test]
async fn what_is_not_a_query_is_refused_by_what_it_would_do() {
    let world = limited(100, 100, 1_000_000);
    for (sql, kind, text) in [
        ("DELETE FROM orders", ErrorKind::ReadOnly, "cannot execute DELETE: role \"ai\" only reads"),
        ("EXPLAIN ANALYZE DELETE FROM orders", ErrorKind::ReadOnly, "cannot execute DELETE: role \"ai\" only reads"),
        ("CREATE TABLE t (a integer)", ErrorKind::ReadOnly, "cannot execute CREATE TABLE: role \"ai\" only reads"),
        ("SELECT * INTO t FROM orders", ErrorKind::ReadOnly, "cannot execute SELECT INTO: role \"ai\" only reads"),
        ("SELECT * FROM orders FOR UPDATE", ErrorKind::ReadOnly, "cannot execute SELECT FOR UPDATE or SHARE: role \"ai\" only reads"),
        (
            "WITH x AS (DELETE FROM orders RETURNING id) SELECT * FROM x",
            ErrorKind::ReadOnly,
            "cannot execute DELETE: role \"ai\" only reads",
        ),
        ("COPY orders TO STDOUT", ErrorKind::Forbidden, "permission denied: COPY is not allowed to role \"ai\""),
        ("SELECT * FROM range(1, 3)", ErrorKind::Forbidden, "permission denied: function range in FROM is not allowed to role \"ai\""),
        (
            "SELECT input_file_name() FROM orders",
            ErrorKind::Forbidden,
            "permission denied: function input_file_name is not allowed to role \"ai\"",
        ),
        (
            "SELECT id FROM orders WHERE id = (SELECT input_file_name())::bigint",
            ErrorKind::Forbidden,
            "permission denied: function input_file_name is not allowed to role \"ai\"",
        ),
    ] {
        let refusal = world.plan(sql).await.unwrap_err();
        assert_eq!((refusal.kind(), refusal.message()), (kind, text), "{sql}");
        assert!(refusal.hint_text().is_some() || sql.contains("input_file_name"), "{sql} tells what to do");
    }
    for sql in ["SELECT random(), now(), upper('a')", "VALUES (1), (2)", "SELECT * FROM unnest(ARRAY[1]) u", "EXPLAIN SELECT * FROM orders"]
    {
        world.rows(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
    }
}

#[tokio::test]
async fn a_result_is_cut_after_so_many_rows_and_says_so() {
    for (sql, max_rows, rows, is_cut) in [
        ("SELECT id FROM orders", 5, 5, true),
        ("SELECT id FROM orders", 6, 6, false),
        ("SELECT id FROM orders", 7, 6, false),
        ("SELECT id FROM orders LIMIT 5", 5, 5, false),
        ("SELECT id FROM orders WHERE id < 0", 1, 0, false),
        ("SELECT o.id FROM orders o JOIN shop.items i ON i.order_id = o.id", 2, 2, true),
        ("SELECT count(*) FROM orders", 1, 1, false),
    ] {
        for world in [limited(max_rows, 100, 1_000_000), limited(max_rows, 100, 1_000_000).without_push_down()] {
            let execution = world.plan(sql).await.unwrap().execute(Vec::new(), &Progress::default()).await.unwrap();
            let batches: Vec<_> = execution.rows.try_collect().await.unwrap();
            let got: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            assert_eq!((got, execution.truncation.is_cut()), (rows, is_cut), "{sql} with {max_rows}");
        }
    }
    // The source gives one row more than are sent, and no more.
    assert_eq!(limited(5, 100, 1_000_000).explain("SELECT id FROM orders").await[0], "Cut: max_rows=5");
}

#[tokio::test]
async fn rows_that_are_read_are_counted_over_all_scans() {
    let refused = |sql: &'static str, most: u64| async move {
        let refusal = limited(100, most, 1_000_000).without_push_down().rows(sql).await.err();
        refusal.map(|refusal| (refusal.kind(), refusal.message().to_owned()))
    };
    let sql = "SELECT count(*) FROM orders o JOIN shop.items i ON i.order_id = o.id";
    assert_eq!(refused(sql, 12).await, None, "six of one and six of the other");
    let (kind, text) = refused(sql, 11).await.unwrap();
    assert_eq!(kind, ErrorKind::LimitExceeded);
    assert!(
        text.starts_with("the statement reads more than 11 rows (max_scan_rows of role \"ai\"), the last of them from public."),
        "{text}"
    );
    assert_eq!(refused("SELECT count(*) FROM pg_class a, pg_class b", 0).await, None, "what is in memory is not read");
}

#[tokio::test]
async fn joins_that_pair_too_many_rows_are_refused_before_and_while_they_run() {
    let world = limited(100, 100, 1_000_000);
    // By what is believed: 50,000 orders, 200,000 items.
    for sql in ["SELECT count(*) FROM orders, shop.items", "SELECT count(*) FROM orders o JOIN shop.items i ON i.qty > o.id"] {
        let refusal = world.plan(sql).await.unwrap().rows(Vec::new()).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LimitExceeded, "{sql}");
        let text = "the statement joins crm.orders (about 50000 rows) with shop.items (about 200000 rows) without an equality";
        let of_path = text.replace("crm.orders", "orders");
        assert!(refusal.message().starts_with(text) || refusal.message().starts_with(&of_path), "{sql}: {refusal}");
    }
    for sql in [
        "SELECT count(*) FROM orders o JOIN shop.items i ON i.order_id = o.id",
        "SELECT count(*) FROM orders, (SELECT max(qty) AS most FROM shop.items) i",
        "SELECT count(*) FROM orders WHERE EXISTS (SELECT 1 FROM shop.items)",
    ] {
        world.rows(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
    }
    // By what is counted: six rows with six, and of lists nothing is believed that is not known.
    let world = limited(100, 100, 35);
    let unnested = "SELECT count(*) FROM unnest(ARRAY[1, 2, 3, 4, 5, 6]) a, unnest(ARRAY[1, 2, 3, 4, 5, 6]) b";
    let refusal = world.rows(unnested).await.unwrap_err();
    assert!(refusal.message().contains("without an equality: more than 35 pairs"), "{refusal}");
    assert_eq!(limited(100, 100, 36).rows(unnested).await.unwrap(), [["36"]]);
    let multiplied =
        "SELECT count(*) FROM (VALUES (1), (1), (1), (1), (1), (1)) a(n) JOIN (VALUES (1), (1), (1), (1), (1), (1)) b(n) ON a.n = b.n";
    assert!(
        world
            .rows(multiplied)
            .await
            .unwrap_err()
            .message()
            .starts_with("a join, recursion or unnest of the statement gives more than 35 rows")
    );
}

#[tokio::test]
async fn an_explanation_keeps_what_is_sent_to_sources_to_itself() {
    let plan = limited(100, 100, 1_000_000).explain("SELECT id FROM orders WHERE status = 'open'").await.join("\n");
    assert!(plan.contains("RemoteScan on crm") && !plan.contains("SELECT"), "{plan}");
}
