//! The life of a statement: streaming, early rows, abandonment, time limits, and servers that go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures::StreamExt;

use super::server::{LIMITS, TestServer, cells, execute, ours, schema};
use crate::deadline::Deadline;
use crate::error::ErrorKind;
use crate::remote::Remote;
use crate::sql::{RemoteSql, ScanLimits, SqlRemote};

/// A statement that gives a row each 100 ms, each large enough to leave the server at once, for an hour.
fn drip(mark: &str) -> String {
    format!("SELECT seq, REPEAT('x', 40000), SLEEP(0.1) AS {mark} FROM seq_1_to_36000")
}

const DRIP: [DataType; 3] = [DataType::Int64, DataType::Utf8, DataType::Int64];

#[tokio::test]
async fn many_rows_stream_in_batches() {
    let Some(server) = TestServer::shared() else { return };
    server.database("many_rows").await;
    let remote = server.remote("many_rows").await;
    let sql = "SELECT seq, CONCAT('row ', seq) FROM seq_1_to_200000";
    let mut stream = execute(&remote, sql, &[DataType::Int64, DataType::Utf8]);
    let (mut next, mut batches) = (1, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        assert!(batch.num_rows() <= LIMITS.batch_rows);
        let (numbers, texts) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            assert_eq!(numbers.value(row), next);
            assert_eq!(texts.value(row), format!("row {next}"));
            next += 1;
        }
        batches += 1;
    }
    assert_eq!(next, 200_001);
    assert!((25..2000).contains(&batches), "{batches} batches");
}

#[tokio::test]
async fn wide_rows_leave_in_small_batches() {
    let Some(server) = TestServer::shared() else { return };
    server.database("wide_rows").await;
    let remote = server.remote("wide_rows").await;
    let mut stream = execute(&remote, "SELECT REPEAT('x', 1000000) FROM seq_1_to_40", &[DataType::Utf8]);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        assert!(batch.column(0).get_array_memory_size() < 32 << 20);
        rows += batch.num_rows();
    }
    assert_eq!(rows, 40);
}

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let Some(server) = TestServer::shared() else { return };
    server.database("counted").await;
    let remote = server.remote("counted").await;
    let mut stream = execute(&remote, "SELECT 1 FROM seq_1_to_10000", &[]);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 10_000);
}

#[tokio::test]
async fn the_first_row_leaves_at_once() {
    let Some(server) = TestServer::shared() else { return };
    server.database("first_row").await;
    let remote = server.remote("first_row").await;
    let begun = Instant::now();
    let mut stream = execute(&remote, &drip("first_mark"), &DRIP);
    let first = stream.next().await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(first.num_rows() < 20);
    // And so do the ones after it.
    let second = stream.next().await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(second.num_rows() < 20);
}

#[tokio::test]
async fn nothing_happens_before_the_first_poll() {
    let Some(server) = TestServer::shared() else { return };
    server.database("lazy").await;
    let remote = server.remote("lazy").await;
    let stream = execute(&remote, &drip("lazy_mark"), &DRIP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.gone("lazy_mark").await.as_secs(), 0);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_ends_its_statement() {
    let Some(server) = TestServer::shared() else { return };
    server.database("dropped").await;
    let remote = server.remote("dropped").await;
    // Between rows, before the first row, and while the server waits for us to read.
    for (sql, types) in [
        (drip("drop_mark"), &DRIP[..]),
        ("SELECT SLEEP(3600) AS drop_mark".to_owned(), &[DataType::Int64][..]),
        ("SELECT REPEAT('x', 10000) AS drop_mark FROM seq_1_to_1000000000".to_owned(), &[DataType::Utf8][..]),
    ] {
        let mut stream = execute(&remote, &sql, types);
        let _ = tokio::time::timeout(Duration::from_millis(500), stream.next()).await;
        server.seen("drop_mark").await;
        drop(stream);
        assert!(server.gone("drop_mark").await < Duration::from_secs(2), "{sql}");
    }
    // The pool is none the worse.
    for _ in 0..10 {
        assert_eq!(cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap(), [["1".to_owned()]]);
    }
}

#[tokio::test]
async fn a_dropped_stream_ends_its_statement_on_one_thread_too() {
    let Some(server) = TestServer::shared() else { return };
    server.database("dropped_alone").await;
    let remote = server.remote("dropped_alone").await;
    let mut stream = execute(&remote, "SELECT REPEAT('x', 10000) AS alone_mark FROM seq_1_to_1000000000", &[DataType::Utf8]);
    stream.next().await.unwrap().unwrap();
    server.seen("alone_mark").await;
    drop(stream);
    assert!(server.gone("alone_mark").await < Duration::from_secs(2));
}

#[tokio::test]
async fn query_timeout_ends_the_statement_here_and_there() {
    let Some(server) = TestServer::shared() else { return };
    server.database("timeouts").await;
    let remote = server.remote("timeouts").await;
    for (sql, types) in [(drip("time_mark"), &DRIP[..]), ("SELECT SLEEP(3600) AS time_mark".to_owned(), &[DataType::Int64][..])] {
        let limits = ScanLimits { query_timeout: Some(Duration::from_millis(1500)), ..LIMITS };
        let mut stream = Arc::clone(&remote).execute(RemoteSql::new(sql.clone()), schema(types), limits).unwrap();
        let begun = Instant::now();
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(begun.elapsed() < Duration::from_secs(10));
        let error = ours(&error);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.message(), "query_timeout of 1s 500ms exceeded");
        assert_eq!(error.datasource(), Some("shop"));
        assert!(error.hint_text().is_some_and(|hint| hint.contains("external.query_timeout")));
        assert!(stream.next().await.is_none());
        assert!(server.gone("time_mark").await < Duration::from_secs(2));
    }
}

/// The server has the limit too, so that a gateway that died leaves nothing behind.
#[tokio::test]
async fn the_server_is_told_the_limit() {
    let Some(server) = TestServer::shared() else { return };
    server.database("told").await;
    let remote = server.remote("told").await;
    let asked = async |limit: Option<Duration>| -> String {
        let limits = ScanLimits { query_timeout: limit, ..LIMITS };
        let sql = RemoteSql::new("SELECT CAST(@@max_statement_time AS CHAR)".to_owned());
        let mut stream = Arc::clone(&remote).execute(sql, schema(&[DataType::Utf8]), limits).unwrap();
        let batch = stream.next().await.unwrap().unwrap();
        batch.column(0).as_string::<i32>().value(0).to_owned()
    };
    assert_eq!(asked(Some(Duration::from_millis(2500))).await, "2.500000");
    assert_eq!(asked(None).await, "0.000000");
    assert_eq!(asked(Some(Duration::from_secs(30))).await, "30.000000");
}

#[tokio::test]
async fn a_reader_that_takes_its_time_loses_nothing() {
    let Some(server) = TestServer::shared() else { return };
    server.database("slow_reader").await;
    let remote = server.remote("slow_reader").await;
    let mut stream = execute(&remote, "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_60000", &[DataType::Int64, DataType::Utf8]);
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    tokio::time::sleep(Duration::from_secs(2)).await;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 60_000);
}

#[tokio::test]
async fn a_server_that_dies_mid_result_is_an_error() {
    let Some(server) = TestServer::start(&[]) else { return };
    server.database("dies").await;
    let remote = server.remote("dies").await;
    let mut stream = execute(&remote, &drip("die_mark"), &DRIP);
    stream.next().await.unwrap().unwrap();
    server.kill();
    let error = loop {
        match stream.next().await.expect("a short result is not a result") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable);
    assert_eq!(ours(&error).datasource(), Some("shop"));
    // And then it is unreachable, which is said at once.
    let error = cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable);
    assert!(ours(&error).message().contains("cannot connect to 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn connections_the_server_closed_while_idle_are_replaced() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut admin = server.database("replaced").await;
    let remote = server.remote("replaced").await;
    use mysql_async::prelude::Queryable;
    for round in 0..2 {
        // Several at once, so that several idle.
        let running = (0..4).map(|_| cells(&remote, "SELECT SLEEP(0.2)", &[DataType::Int64]));
        for outcome in futures::future::join_all(running).await {
            outcome.unwrap();
        }
        admin.query_drop("KILL CONNECTION USER reader").await.unwrap();
        if round == 0 {
            assert_eq!(cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap(), [["1".to_owned()]]);
        } else {
            remote.ping(Deadline::after(Duration::from_secs(5))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn errors_of_the_server_are_told_apart_and_the_connection_goes_on() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("errors").await;
    let remote = server.remote("errors").await;
    use mysql_async::prelude::Queryable;
    admin.query_drop("CREATE TABLE t (x int)").await.unwrap();
    admin.query_drop("CREATE DATABASE IF NOT EXISTS secret_db").await.unwrap();
    for (sql, kind, state) in [
        ("SELECT x FROM nowhere", ErrorKind::NotFound, "42S02"),
        ("SELECT y FROM t", ErrorKind::NotFound, "42S22"),
        ("SELECT x FROM secret_db.t", ErrorKind::Unauthorized, "42000"),
        ("INSERT INTO t VALUES (1)", ErrorKind::Unauthorized, "42000"),
        ("SELECT x FROM t WHERE 'hunter2' x", ErrorKind::Failed, "42000"),
        ("SELECT CAST(9223372036854775807 AS SIGNED) + 1", ErrorKind::Failed, "22003"),
    ] {
        let error = cells(&remote, sql, &[DataType::Int64]).await.unwrap_err();
        let error = ours(&error);
        assert_eq!((error.kind(), error.remote_sqlstate()), (kind, Some(state)), "{sql}: {error}");
        assert_eq!(error.datasource(), Some("shop"));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.extend(cells(&remote, "SELECT CONNECTION_ID()", &[DataType::Int64]).await.unwrap());
        cells(&remote, "SELECT x FROM nowhere", &[DataType::Int64]).await.unwrap_err();
    }
    assert_eq!(ids[0], ids[2]);
}

/// The error may come after rows have: they are not the whole result then.
#[tokio::test]
async fn an_error_between_rows_is_an_error() {
    let Some(server) = TestServer::shared() else { return };
    server.database("between").await;
    let remote = server.remote("between").await;
    let sql = "SELECT seq, REPEAT('x', 20000), 9223372036854775000 + CAST(seq AS SIGNED) FROM seq_1_to_2000";
    let mut stream = execute(&remote, sql, &[DataType::Int64, DataType::Utf8, DataType::Int64]);
    let mut rows = 0;
    let error = loop {
        match stream.next().await.expect("a short result is not a result") {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break error,
        }
    };
    assert!(rows > 0 && rows <= 807, "{rows}");
    assert_eq!(ours(&error).kind(), ErrorKind::Failed);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_closed_datasource_refuses_and_ends_what_runs() {
    let Some(server) = TestServer::shared() else { return };
    server.database("closed").await;
    let remote = server.remote("closed").await;
    let mut stream = execute(&remote, &drip("close_mark"), &DRIP);
    stream.next().await.unwrap().unwrap();
    remote.close().await;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable);
    assert!(server.gone("close_mark").await < Duration::from_secs(2));
    let error = cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable);
    assert_eq!(remote.ping(Deadline::after(Duration::from_secs(5))).await.unwrap_err().kind(), ErrorKind::Unreachable);
}
