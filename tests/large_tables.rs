//! A table that is read over several connections at once, through the gateway.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use causeway_tests::{Gateway, MariaDbServer, PostgresServer, text_rows};
use futures::future::join_all;

const ROWS: i64 = 54_000;

/// Some 6,000 blocks.
const BIG: &str = "CREATE TABLE big (id bigint NOT NULL, part integer, name text) WITH (fillfactor = 10);
    INSERT INTO big SELECT i, i % 10, 'a name of some length, and another one ' || i FROM generate_series(1, 54000) i;
    ANALYZE big";

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_read_in_streams_and_whole() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("large_table");
    database.script(BIG);
    let gateway = Gateway::start([database.datasource("shop")]);
    let client = gateway.connect().await;
    for push_down in ["on", "off"] {
        client.batch_execute(&format!("SET causeway.push_down = {push_down}")).await.unwrap();
        // Reversing is done here, whatever may be done at the source.
        let sql = "SELECT count(*), sum(id), min(reverse(name)), max(part) FROM shop.big";
        let rows = text_rows(&client, sql).await.unwrap();
        let shown: Vec<&str> = rows[0].iter().flatten().map(String::as_str).collect();
        assert_eq!(
            shown,
            [ROWS.to_string().as_str(), (ROWS * (ROWS + 1) / 2).to_string().as_str(), "00001 eno rehtona dna ,htgnel emos fo eman a", "9"]
        );
        let plan = text_rows(&client, &format!("EXPLAIN {sql}")).await.unwrap();
        let plan: String = plan.into_iter().flatten().flatten().map(|line| line + "\n").collect();
        assert!(plan.contains(&in_streams()), "{plan}");
    }
}

/// How a plan shows a scan that is read over as many connections as there may be.
fn in_streams() -> String {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    match cores.min(4) {
        1 => "RemoteScan on shop [1] over up to 4 connections".to_owned(),
        streams => format!("RemoteScan on shop [1] in {streams} streams over up to 4 connections"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_of_mariadb_is_read_in_streams_as_its_option_says() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("large_table");
    database.script(
        "CREATE TABLE big (id int PRIMARY KEY, name varchar(4000)) ENGINE=InnoDB CHARACTER SET latin1;
         INSERT INTO big SELECT seq, CONCAT(seq, REPEAT('x', 3990)) FROM seq_1_to_10000; ANALYZE TABLE big",
    );
    for (choice, is_split) in [("consistent", false), ("always", true), ("never", false)] {
        let gateway = Gateway::start([database.datasource("shop").option("parallel_scans", choice)]);
        let client = gateway.connect().await;
        let sql = "SELECT count(*), sum(id), min(reverse(name)) = repeat('x', 3990) || '00001' FROM shop.big";
        let rows = text_rows(&client, sql).await.unwrap();
        assert_eq!(rows[0].iter().flatten().collect::<Vec<_>>(), ["10000", "50005000", "t"], "{choice}");
        let plan = text_rows(&client, &format!("EXPLAIN {sql}")).await.unwrap();
        let plan: String = plan.into_iter().flatten().flatten().map(|line| line + "\n").collect();
        let expected = if is_split { in_streams() } else { "RemoteScan on shop [1]".to_owned() };
        assert!(plan.contains(&expected) && (is_split || !plan.contains("over up to")), "{choice}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_and_lookups_share_a_pool_of_five() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("shared_pool");
    database.script(BIG);
    let gateway = Gateway::start([database.datasource("shop")]);
    let statements = (0..200).map(async |number| {
        let client = gateway.connect().await;
        if number % 20 == 0 {
            let rows = text_rows(&client, "SELECT count(reverse(name)) FROM shop.big").await.unwrap();
            assert_eq!(rows[0][0].as_deref(), Some(ROWS.to_string().as_str()));
        } else {
            let rows = text_rows(&client, &format!("SELECT part FROM shop.big WHERE id = {}", number + 1)).await.unwrap();
            assert_eq!(rows[0][0].as_deref(), Some(((number + 1) % 10).to_string().as_str()));
        }
    });
    let watcher = gateway.connect().await;
    let waiting = AtomicI64::new(0);
    let watched = async {
        loop {
            let rows = text_rows(&watcher, "SELECT waiting, size FROM causeway.pools WHERE datasource = 'shop'").await.unwrap();
            let [now, size] = [0, 1].map(|at| rows[0][at].as_deref().unwrap().parse::<i64>().unwrap());
            assert!(size <= 5, "{size} connections");
            waiting.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = tokio::time::timeout(Duration::from_secs(120), join_all(statements)) => drop(done.expect("all of them finish")),
        () = watched => {}
    }
    assert!(waiting.into_inner() > 20, "hardly anybody was seen to wait");
    let rows = text_rows(&watcher, "SELECT waiting, waited_ms_total > 0, errors_total FROM causeway.pools WHERE datasource = 'shop'")
        .await
        .unwrap();
    assert_eq!(rows[0].iter().map(Option::as_deref).collect::<Vec<_>>(), [Some("0"), Some("t"), Some("0")]);
}
