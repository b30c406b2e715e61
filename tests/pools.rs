//! Pools of connections: who waits for one is seen, and everybody gets one.

use std::time::Duration;

use causeway_tests::{Datasource, Gateway, PostgresServer, eventually_async, text_rows, write_sqlite};
use futures::future::join_all;

/// A pool as `causeway.pools` shows it.
#[derive(Debug, PartialEq, Eq)]
struct Pool {
    size: i64,
    in_use: i64,
    idle: i64,
    waiting: i64,
    waited: i64,
    opened: i64,
}

async fn pool(client: &tokio_postgres::Client) -> Pool {
    let sql = "SELECT size, in_use, idle, waiting, waited_ms_total, opened_total FROM causeway.pools WHERE datasource = 'shop'";
    let row = text_rows(client, sql).await.unwrap().remove(0);
    let number = |at: usize| row[at].as_deref().unwrap().parse().unwrap();
    Pool { size: number(0), in_use: number(1), idle: number(2), waiting: number(3), waited: number(4), opened: number(5) }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_connection_is_seen_while_it_waits() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("pool_of_two");
    database.script("CREATE TABLE t (a integer); INSERT INTO t VALUES (7)");
    let gateway = Gateway::start([database.datasource("shop").external("pool", "{ max_connections: 2 }")]);
    let client = gateway.connect().await;

    let locker = database.connect().await;
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut statements = Vec::new();
    for _ in 0..5 {
        let client = gateway.connect().await;
        statements.push(tokio::spawn(async move { text_rows(&client, "SELECT a FROM shop.t").await }));
    }
    let client = &client;
    let (during, _) = eventually_async("three wait", Duration::from_secs(20), || async move {
        let pool = pool(client).await;
        (pool.waiting == 3 && pool.in_use == 2).then_some(pool)
    })
    .await;
    assert_eq!((during.size, during.in_use, during.idle), (2, 2, 0), "{during:?}");
    locker.batch_execute("ROLLBACK").await.unwrap();
    for statement in statements {
        assert_eq!(statement.await.unwrap().unwrap()[0][0].as_deref(), Some("7"));
    }
    let after = pool(client).await;
    assert_eq!((after.size, after.in_use, after.idle, after.waiting), (2, 0, 2, 0), "{after:?}");
    assert!(after.waited >= during.waited && after.opened >= 2, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_without_connections_have_no_pool() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);");
    let folder = files.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("f.csv"), "a\n1\n").unwrap();
    let gateway = Gateway::start([Datasource::sqlite("desk", &path), Datasource::files("folder", &folder)]);
    let client = gateway.connect().await;
    let asked = (0..10).map(async |_| text_rows(&gateway.connect().await, "SELECT a FROM desk.t").await.unwrap());
    join_all(asked).await;
    let rows = text_rows(&client, "SELECT datasource, max_size, in_use, errors_total, last_error FROM causeway.pools").await.unwrap();
    let shown: Vec<Vec<Option<&str>>> = rows.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
    assert_eq!(shown, [[Some("desk"), Some("5"), Some("0"), Some("0"), None]]);
}
