//! Rows in full, at once and no longer than wanted.

use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep, timeout};

use super::server::Database;
use super::{LIMITS, PATIENCE, assert_fails, column, look, open, ours, read, run, schema, start};
use crate::deadline::Deadline;
use crate::error::ErrorKind;
use crate::remote::{Remote, Scope};
use crate::sql::ScanLimits;

/// Within this a statement that nobody wants is gone from the source.
const FREED: Duration = Duration::from_secs(2);

async fn assert_freed(database: &Database, marker: &str) {
    let admin = database.admin().await;
    let began = Instant::now();
    while database.running(&admin, marker).await > 0 {
        assert!(began.elapsed() < FREED, "{marker} still runs at the source");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn assert_runs(database: &Database, marker: &str) {
    let admin = database.admin().await;
    let began = Instant::now();
    while database.running(&admin, marker).await == 0 {
        assert!(began.elapsed() < PATIENCE, "{marker} never ran at the source");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_arrive_in_bounded_batches() {
    let sql = "CREATE TABLE big AS SELECT i::bigint AS id, 'name ' || i AS name, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 100 END AS part \
               FROM generate_series(1, 200000) i";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.remove(0);
    let batches = read(&remote, &table).await.unwrap();
    assert!(batches.iter().all(|batch| (1..=LIMITS.batch_rows).contains(&batch.num_rows())));
    // Pauses of the source cost a batch each; rows that leave one by one would make thousands.
    assert!(batches.len() < 1000, "{} batches", batches.len());
    let (mut rows, mut ids, mut nulls) = (0, 0, 0);
    for batch in &batches {
        for (id, name) in batch.column(0).as_primitive::<Int64Type>().values().iter().zip(batch.column(1).as_string::<i32>()) {
            rows += 1;
            ids += id;
            assert_eq!(name, Some(format!("name {id}").as_str()));
        }
        nulls += batch.column(2).null_count();
    }
    assert_eq!((rows, ids, nulls), (200_000, 200_000 * 200_001 / 2, 200_000 / 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_no_more_rows_than_asked_for() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let limits = ScanLimits { batch_rows: 3, ..LIMITS };
    let rows = start(&remote, "SELECT i FROM generate_series(1, 10) i", &schema(&[("i", DataType::Int32)]), limits);
    let sizes: Vec<usize> = rows.map_ok(|batch| batch.num_rows()).try_collect().await.unwrap();
    assert!(sizes.iter().all(|size| *size <= 3) && sizes.iter().sum::<usize>() == 10, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_columns_are_counted() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let batches = run(&remote, "SELECT 1 FROM generate_series(1, 10000)", &schema(&[])).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10_000);
    let none = run(&remote, "SELECT 1 WHERE false", &schema(&[])).await.unwrap();
    assert_eq!(none.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_row_of_a_slow_statement_comes_at_once() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    // Longer than the server's buffer, so that each row leaves it when it is made.
    let sql = "SELECT i, repeat('x', 9000) || pg_sleep(0.5)::text FROM generate_series(1, 200) i";
    let mut rows = start(&remote, sql, &schema(&[("i", DataType::Int32), ("pad", DataType::Utf8)]), LIMITS);
    let began = Instant::now();
    let first = rows.next().await.unwrap().unwrap();
    assert_eq!(first.column(0).as_primitive::<Int32Type>().value(0), 1);
    let second = rows.next().await.unwrap().unwrap();
    assert!(second.num_rows() < 10);
    // All of them take 100 seconds.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_ends_the_statement_at_the_source() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let statements = [
        ("SELECT pg_sleep(600)::text AS waiting", "waiting"),
        ("SELECT generate_series(1, 1000000000)::text || repeat('x', 500) AS flowing", "flowing"),
    ];
    // A function in FROM would be computed in full before its first row.
    for (sql, marker) in statements {
        let mut rows = start(&remote, sql, &schema(&[("v", DataType::Utf8)]), LIMITS);
        let _ = timeout(Duration::from_millis(300), rows.next()).await;
        assert_runs(&database, marker).await;
        drop(rows);
        assert_freed(&database, marker).await;
    }
    // What was cut off left nothing behind that a later statement could meet.
    assert_eq!(column(&remote, "SELECT 7", DataType::Int32).await.unwrap().as_primitive::<Int32Type>().value(0), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_the_first_poll() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let rows = start(&remote, "SELECT 1 AS never_sent", &schema(&[("v", DataType::Int32)]), LIMITS);
    sleep(Duration::from_millis(200)).await;
    drop(rows);
    assert!(!database.server.statements(&database.name).iter().any(|line| line.contains("never_sent")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_its_time_is_ended_here_and_there() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let limits = ScanLimits { query_timeout: Some(Duration::from_millis(700)), ..LIMITS };
    let mut rows = start(&remote, "SELECT pg_sleep(600)::text AS too_long", &schema(&[("v", DataType::Utf8)]), limits);
    let error = rows.next().await.unwrap().unwrap_err();
    let error = ours(&error);
    assert_fails(error, ErrorKind::Timeout, "query_timeout of 700ms exceeded");
    assert!(error.hint_text().unwrap().contains("external.query_timeout"));
    assert_freed(&database, "too_long").await;
    // The source has a limit of its own, a little later, for the case that we are gone.
    let limit = column(&remote, "SELECT current_setting('statement_timeout')", DataType::Utf8).await.unwrap();
    assert_eq!(limit.as_string::<i32>().value(0), "61s");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_runs_while_the_reader_does_not() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let limits = ScanLimits { query_timeout: Some(Duration::from_secs(5)), ..LIMITS };
    let sql = "SELECT generate_series(1, 1000000000)::text || repeat('x', 500) AS unread";
    let mut rows = start(&remote, sql, &schema(&[("v", DataType::Utf8)]), limits);
    rows.next().await.unwrap().unwrap();
    sleep(Duration::from_millis(5200)).await;
    assert_freed(&database, "unread").await;
    let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Timeout, "query_timeout of 5s exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_makes_statements_wait() {
    let Some(database) = Database::new("").await else { return };
    let mut options = database.options();
    options.pool.max_connections = 1;
    let remote = super::PostgresRemote::open(&options).await.unwrap();
    let text = schema(&[("v", DataType::Utf8)]);
    let mut holder = start(&remote, "SELECT pg_sleep(600)::text AS holder", &text, LIMITS);
    let _ = timeout(Duration::from_millis(300), holder.next()).await;
    assert_runs(&database, "holder").await;

    let limits = ScanLimits { query_timeout: Some(Duration::from_millis(400)), ..LIMITS };
    let error = start(&remote, "SELECT 1", &schema(&[("v", DataType::Int32)]), limits).next().await.unwrap().unwrap_err();
    assert_fails(ours(&error), ErrorKind::Timeout, "all 1 connections are in use");
    // What we ask for ourselves has no `query_timeout` that could have ended it.
    let late = remote.introspect(&Scope::default(), Deadline::after(Duration::from_millis(200))).await.unwrap_err();
    assert_fails(&late, ErrorKind::Timeout, "took longer than 200ms");
    assert!(!late.message().contains("query_timeout"), "{late}");

    let waiting = tokio::spawn({
        let remote = std::sync::Arc::clone(&remote);
        async move { column(&remote, "SELECT 5", DataType::Int32).await }
    });
    sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    drop(holder);
    let five = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(five.as_primitive::<Int32Type>().value(0), 5);
    assert!(database.connections(&database.admin().await).await <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again_after_a_complete_result() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let mut pids = Vec::new();
    for _ in 0..5 {
        pids.push(column(&remote, "SELECT pg_backend_pid()", DataType::Int32).await.unwrap().as_primitive::<Int32Type>().value(0));
    }
    assert!(pids.windows(2).all(|pair| pair[0] == pair[1]), "{pids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_normalised_whatever_the_role_says() {
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Tokyo''', current_database()); \
               EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German''', current_database()); \
               EXECUTE format('ALTER DATABASE %I SET IntervalStyle = ''sql_standard''', current_database()); \
               EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -15', current_database()); \
               EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database()); END $$";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let sql = "SELECT concat_ws('|', current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'), \
               0.1::float8 + 0.2::float8, current_setting('search_path'), current_setting('transaction_read_only'), \
               '2024-02-03'::date, current_setting('application_name'))";
    let settings = column(&remote, sql, DataType::Utf8).await.unwrap();
    let expected = "UTC|ISO, YMD|postgres|0.30000000000000004|pg_catalog, public|on|2024-02-03|causeway/crm";
    assert_eq!(settings.as_string::<i32>().value(0), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_datasource_fails_what_runs_and_what_comes() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let mut rows = start(&remote, "SELECT pg_sleep(600)::text AS closing", &schema(&[("v", DataType::Utf8)]), LIMITS);
    let _ = timeout(Duration::from_millis(300), rows.next()).await;
    assert_runs(&database, "closing").await;
    remote.close().await;
    assert_fails(ours(&rows.next().await.unwrap().unwrap_err()), ErrorKind::Unreachable, "was closed");
    assert_freed(&database, "closing").await;
    let error = remote.ping(Deadline::after(PATIENCE)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unreachable, "was closed");
}
