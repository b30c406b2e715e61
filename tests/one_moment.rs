//! A statement that reads a source more than once sees it as of one moment.

use std::time::Duration;

use causeway_tests::{Gateway, PostgresServer, eventually_async, text_rows};
use futures::future::join_all;

/// Rows are moved between the two, and are always a thousand together.
const TABLES: &str = "CREATE TABLE a (id bigint); CREATE TABLE b (id bigint); INSERT INTO a SELECT generate_series(1, 1000); ANALYZE";

#[tokio::test(flavor = "multi_thread")]
async fn two_scans_see_what_one_transaction_did() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("one_moment");
    database.script(TABLES);
    let gateway = Gateway::start([database.datasource("shop")]);
    let writer = database.connect().await;
    let moving = tokio::spawn(async move {
        for round in 0.. {
            let (from, to) = if round % 20 < 10 { ("a", "b") } else { ("b", "a") };
            let sql = format!(
                "WITH moved AS (DELETE FROM {from} WHERE id IN (SELECT id FROM {from} LIMIT 7) RETURNING id) INSERT INTO {to} SELECT id FROM moved"
            );
            writer.batch_execute(&sql).await.unwrap();
        }
    });
    let readers = (0..6).map(async |_| {
        let client = gateway.connect().await;
        client.batch_execute("SET causeway.push_down = off").await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..60 {
            let rows = text_rows(&client, "SELECT (SELECT count(*) FROM shop.a), (SELECT count(*) FROM shop.b)").await.unwrap();
            let counts = [0, 1].map(|at| rows[0][at].as_deref().unwrap().parse::<i64>().unwrap());
            assert_eq!(counts[0] + counts[1], 1000, "{counts:?}");
            seen.push(counts[0]);
        }
        seen
    });
    let mut seen = join_all(readers).await.concat();
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 1, "nothing was moved meanwhile");
    moving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_statements_of_two_scans_share_a_pool_of_five() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("one_moment_for_many");
    database.script(TABLES);
    // A machine that plans two hundred statements at once is slow at all else.
    let shop = database.datasource("shop").external("query_timeout", "120s").external("pool", "{ connect_timeout: 60s }");
    let gateway = Gateway::start([shop]);
    let statements = (0..200).map(async |_| {
        let client = gateway.connect().await;
        client.batch_execute("SET causeway.push_down = off").await.unwrap();
        let rows = text_rows(&client, "SELECT count(*) FROM shop.a x JOIN shop.a y ON x.id = y.id LEFT JOIN shop.b z ON z.id = x.id").await;
        assert_eq!(rows.unwrap()[0][0].as_deref(), Some("1000"));
    });
    tokio::time::timeout(Duration::from_secs(120), join_all(statements)).await.expect("all of them finish");
    let client = &gateway.connect().await;
    // The last transaction may end a moment after its statement.
    eventually_async("nothing is held", Duration::from_secs(20), || async move {
        let rows = text_rows(client, "SELECT waiting, in_use, errors_total FROM causeway.pools").await.unwrap();
        rows[0].iter().all(|number| number.as_deref() == Some("0")).then_some(())
    })
    .await;
}
