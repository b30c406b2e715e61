//! The life of a statement: streaming, abandonment, time limits, errors behind the first rows, and servers that go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures::StreamExt;

use super::server::{LIMITS, TestServer, cells, execute, ours, schema};
use crate::deadline::Deadline;
use crate::error::ErrorKind;
use crate::remote::Remote;
use crate::sql::{RemoteSql, ScanLimits, SqlRemote};

/// A statement that computes for longer than anybody waits.
fn endless(mark: &str) -> String {
    let numbers = "numbers(100000)";
    format!(
        "SELECT count() AS {mark} FROM {numbers} a, {numbers} b, {numbers} c \
         WHERE a.number IS NULL OR b.number IS NOT NULL OR b.number IS NULL"
    )
}

#[tokio::test]
async fn many_rows_stream_in_batches() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let sql = "SELECT number, concat('row ', toString(number)) FROM numbers(200000) SETTINGS max_threads = 1";
    let mut stream = execute(&remote, sql, &[DataType::Int64, DataType::Utf8]);
    let mut next = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        assert!(batch.num_rows() <= LIMITS.batch_rows);
        let (numbers, texts) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            assert_eq!(numbers.value(row), next);
            assert_eq!(texts.value(row), format!("row {next}"));
            next += 1;
        }
    }
    assert_eq!(next, 200_000);
}

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let mut stream = execute(&remote, "SELECT 1 FROM numbers(10000)", &[]);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 10_000);
}

#[tokio::test]
async fn rows_without_end_leave_as_they_come() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let mut stream = execute(&remote, "SELECT number AS no_end_mark FROM system.numbers", &[DataType::Int64]);
    for _ in 0..20 {
        assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    }
    drop(stream);
    assert!(server.gone("no_end_mark").await < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_ends_its_statement() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let mut stream = execute(&remote, &endless("drop_mark"), &[DataType::Int64]);
    assert!(tokio::time::timeout(Duration::from_millis(300), stream.next()).await.is_err());
    server.seen("drop_mark").await;
    drop(stream);
    assert!(server.gone("drop_mark").await < Duration::from_secs(2));
    // The pool is none the worse.
    for _ in 0..10 {
        assert_eq!(cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap(), [["1".to_owned()]]);
    }
    let state = remote.pool().unwrap();
    assert_eq!((state.in_use, state.waiting), (0, 0), "{state:?}");
}

#[tokio::test]
async fn nothing_happens_before_the_first_poll() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let stream = execute(&remote, &endless("lazy_mark"), &[DataType::Int64]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.running("lazy_mark"), 0);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_ends_a_statement_by_its_own_limit() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let limit = Duration::from_millis(700);
    let limits = ScanLimits::new(Some(limit), 8192);
    let begun = Instant::now();
    let sql = RemoteSql::new(endless("limit_mark"));
    let mut stream = Arc::clone(&remote).execute(sql, schema(&[DataType::Int64]), limits).unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Timeout, "{error}");
    assert!(ours(&error).message().contains("query_timeout of 700ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(server.gone("limit_mark").await < Duration::from_secs(2));
    // One that is told to the engine alone.
    let mut session = remote.session(None).await.unwrap();
    let mut answer = session.ask(&endless("own_mark"), Some(Duration::from_secs(1))).await;
    let failure = match &mut answer {
        Ok(answer) => answer.next().await.unwrap_err(),
        Err(_) => answer.err().unwrap(),
    };
    session.finish();
    let error = crate::clickhouse::failure::of_statement(failure, Some(Duration::from_secs(1)));
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn an_error_behind_the_first_rows_is_an_error() {
    let Some(server) = TestServer::shared() else { return };
    let remote = server.remote("default").await;
    let sql = "SELECT toInt64(throwIf(number > 500000, 'it holds 4711')) FROM numbers(1000000) SETTINGS max_threads = 1";
    let mut stream = execute(&remote, sql, &[DataType::Int64]);
    let (mut rows, mut failure) = (0, None);
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => failure = Some(error),
        }
    }
    let error = failure.expect("a result that breaks off is an error");
    assert!(rows > 0, "rows came before it");
    assert_eq!(ours(&error).kind(), ErrorKind::Failed, "{error}");
    assert!(ours(&error).message().starts_with("error 395") && !ours(&error).with_causes().contains("4711"), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_is_unreachable_and_comes_back() {
    let Some(mut server) = TestServer::start() else { return };
    let remote = server.remote("default").await;
    let mut stream = execute(&remote, "SELECT number FROM system.numbers", &[DataType::Int64]);
    stream.next().await.unwrap().unwrap();
    server.kill();
    let error = loop {
        match stream.next().await.expect("a result that breaks off is an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable, "{error}");
    let error = remote.ping(Deadline::after(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unreachable, Some("events")), "{error}");
    remote.close().await;
    let error = cells(&remote, "SELECT 1", &[DataType::Int64]).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable, "{error}");
}
