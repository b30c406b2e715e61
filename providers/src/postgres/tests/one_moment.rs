//! Several scans of one statement read as of one moment, whatever the pool, and keep nobody from his connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep, timeout};

use super::server::Database;
use super::{PATIENCE, PostgresRemote, look, ours};
use crate::error::ErrorKind;
use crate::remote::{Remote, RemoteId};
use crate::sql::{SqlRemote, SqlTable, share_snapshots};

/// Two tables with the rows 1 to 1000 between them.
const SMALL: &str = "CREATE TABLE a (id bigint); CREATE TABLE b (id bigint); INSERT INTO a SELECT generate_series(1, 1000); ";
/// The same with 60,000, and some 6,000 blocks each.
const LARGE: &str = "CREATE TABLE a (id bigint, name text) WITH (fillfactor = 10, autovacuum_enabled = off); \
    CREATE TABLE b (LIKE a) WITH (fillfactor = 10, autovacuum_enabled = off); \
    INSERT INTO a SELECT i, 'a name of some length, and another one ' || i FROM generate_series(1, 60000) i; \
    INSERT INTO b SELECT * FROM a; DELETE FROM b WHERE id <= 30000; DELETE FROM a WHERE id > 30000; ANALYZE";

const COUNTS: &str = "SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b";

async fn open(database: &Database, name: &str, connections: usize) -> Arc<PostgresRemote> {
    let mut options = database.options();
    options.id = RemoteId::new(name);
    options.pool.max_connections = connections;
    PostgresRemote::open(&options).await.unwrap()
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(4);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config
}

/// A session that knows the tables of a remote, by their names behind a prefix.
async fn register(context: &SessionContext, remote: &Arc<PostgresRemote>, prefix: &str) {
    for table in look(remote, &[]).await.tables {
        let name = format!("{prefix}{}", table.name);
        let provider = SqlTable::new(Arc::clone(remote) as Arc<dyn SqlRemote>, table, Some(PATIENCE));
        context.register_table(name, Arc::new(provider)).unwrap();
    }
}

async fn session(remote: &Arc<PostgresRemote>) -> SessionContext {
    let context = SessionContext::new_with_config(config());
    register(&context, remote, "").await;
    context
}

/// The session of one execution of `plan`.
fn execution(plan: &Arc<dyn ExecutionPlan>) -> Arc<TaskContext> {
    let mut config = config();
    share_snapshots(&mut config, plan).unwrap();
    SessionContext::new_with_config(config).task_ctx()
}

/// The numbers in the only row of a statement's result.
async fn numbers(context: &SessionContext, sql: &str) -> Result<Vec<i64>, DataFusionError> {
    let plan = context.sql(sql).await?.create_physical_plan().await?;
    let task = execution(&plan);
    let rows = datafusion::physical_plan::collect(plan, task).await?;
    Ok(rows[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect())
}

/// Moves rows from one table to the other and back, a transaction each.
async fn move_rows(database: &Database, at_once: usize) -> tokio::task::JoinHandle<()> {
    let writer = database.admin().await;
    tokio::spawn(async move {
        for round in 0.. {
            let (from, to) = if round % 20 < 10 { ("a", "b") } else { ("b", "a") };
            let sql = format!(
                "WITH moved AS (DELETE FROM {from} WHERE id IN (SELECT id FROM {from} LIMIT {at_once}) RETURNING *) \
                 INSERT INTO {to} SELECT * FROM moved"
            );
            writer.batch_execute(&sql).await.unwrap();
        }
    })
}

/// What a statement may not see: the sum of two tables at two moments.
async fn assert_sums(database: &Database, connections: usize, all: i64, rounds: usize) {
    let remote = open(database, "crm", connections).await;
    let context = session(&remote).await;
    let mut seen = BTreeSet::new();
    for _ in 0..rounds {
        let counts = timeout(PATIENCE, numbers(&context, COUNTS)).await.expect("nobody is stuck").unwrap();
        assert_eq!(counts[0] + counts[1], all, "{connections} connections: {counts:?}");
        seen.insert(counts[0]);
    }
    assert!(seen.len() > 1, "nothing was moved meanwhile");
    assert_all_free(&remote).await;
    remote.close().await;
}

/// Nothing is held once the statements are over.
async fn assert_all_free(remote: &Arc<PostgresRemote>) {
    let began = Instant::now();
    loop {
        let pool = remote.pool().unwrap();
        if pool.in_use == 0 && pool.waiting == 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{pool:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_of_one_statement_agree() {
    let Some(database) = Database::new(SMALL).await else { return };
    let moving = move_rows(&database, 7).await;
    for connections in [1, 2, 5] {
        assert_sums(&database, connections, 1000, 60).await;
    }
    // Without a shared snapshot they do not: the writer is fast enough for that to be seen.
    let remote = open(&database, "crm", 5).await;
    let context = session(&remote).await;
    let began = Instant::now();
    loop {
        let rows = context.sql(COUNTS).await.unwrap().collect().await.unwrap();
        let counts: Vec<i64> = rows[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect();
        if counts[0] + counts[1] != 1000 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "two moments are never seen, so that this test proves nothing");
    }
    moving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_in_streams_agree() {
    let Some(database) = Database::new(LARGE).await else { return };
    let moving = move_rows(&database, 50).await;
    for connections in [1, 3, 6] {
        assert_sums(&database, connections, 60_000, 6).await;
    }
    moving.abort();
    let sent = |text: &str| database.server.statements(&database.name).iter().filter(|line| line.contains(text)).count();
    assert!(sent("ctid >= '(") > 0, "they were read in ranges");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_scan_alone_shares_nothing() {
    let Some(database) = Database::new(SMALL).await else { return };
    let remote = open(&database, "crm", 5).await;
    let context = session(&remote).await;
    assert_eq!(numbers(&context, "SELECT count(*) FROM a").await.unwrap(), [1000]);
    let statements = database.server.statements(&database.name);
    assert!(!statements.iter().any(|line| line.contains("BEGIN") || line.contains("snapshot")), "{statements:?}");
    assert_eq!(numbers(&context, COUNTS).await.unwrap(), [1000, 0]);
    let statements = database.server.statements(&database.name);
    assert_eq!(statements.iter().filter(|line| line.contains("pg_export_snapshot")).count(), 1);
    assert_all_free(&remote).await;
    let pool = remote.pool().unwrap();
    assert_eq!(pool.opened as usize, pool.idle, "no connection was thrown away: {pool:?}");
}

/// Both tables' scans, and the session of one execution of both.
async fn both(remote: &Arc<PostgresRemote>) -> (Vec<Arc<dyn ExecutionPlan>>, Arc<TaskContext>) {
    let state = SessionContext::new_with_config(config().with_target_partitions(1)).state();
    let mut scans = Vec::new();
    for table in look(remote, &[]).await.tables {
        let provider = SqlTable::new(Arc::clone(remote) as Arc<dyn SqlRemote>, table, Some(PATIENCE));
        scans.push(provider.scan(&state, Some(&vec![0]), &[], None).await.unwrap());
    }
    let task = execution(&UnionExec::try_new(scans.clone()).unwrap());
    (scans, task)
}

async fn count(stream: SendableRecordBatchStream) -> Result<usize, DataFusionError> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_abandoned_leaves_the_snapshot_to_the_next() {
    let sql = "CREATE TABLE a AS SELECT i AS id, repeat('x', 200) AS pad FROM generate_series(1, 500000) i; \
               CREATE TABLE b AS SELECT 7 AS id";
    let Some(database) = Database::new(sql).await else { return };
    for connections in [1, 3] {
        let remote = open(&database, "crm", connections).await;
        let (scans, task) = both(&remote).await;
        let mut first = scans[0].execute(0, Arc::clone(&task)).unwrap();
        first.next().await.unwrap().unwrap();
        database.admin().await.batch_execute("UPDATE b SET id = 8; INSERT INTO b VALUES (9)").await.unwrap();
        drop(first);
        let second = scans[1].execute(0, Arc::clone(&task)).unwrap();
        assert_eq!(timeout(PATIENCE, count(second)).await.expect("it is not stuck").unwrap(), 1, "{connections} connections");
        // Once more is a new moment: everybody has begun.
        let again = scans[1].execute(0, Arc::clone(&task)).unwrap();
        assert_eq!(count(again).await.unwrap(), 2);
        drop((scans, task));
        assert_all_free(&remote).await;
        database.admin().await.batch_execute("DELETE FROM b WHERE id = 9").await.unwrap();
        remote.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_dropped_holds_nothing() {
    let Some(database) = Database::new(SMALL).await else { return };
    let remote = open(&database, "crm", 1).await;
    let (scans, task) = both(&remote).await;
    let mut first = scans[0].execute(0, Arc::clone(&task)).unwrap();
    while first.next().await.is_some() {}
    // The second has not begun, so the connection is kept.
    assert_eq!(remote.pool().unwrap().in_use, 1);
    drop((first, scans, task));
    assert_all_free(&remote).await;
    let admin = database.admin().await;
    let began = Instant::now();
    while database.running(&admin, "").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(2), "its transaction is still open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_and_filled_waits_for_the_statement() {
    let sql = "CREATE TABLE a AS SELECT i AS id, repeat('x', 200) AS pad FROM generate_series(1, 500000) i; \
               CREATE TABLE b AS SELECT 7 AS id";
    let Some(database) = Database::new(sql).await else { return };
    for connections in [1, 3] {
        database.admin().await.batch_execute("DELETE FROM b; INSERT INTO b VALUES (1)").await.unwrap();
        let remote = open(&database, "crm", connections).await;
        let (scans, task) = both(&remote).await;
        let mut first = scans[0].execute(0, Arc::clone(&task)).unwrap();
        first.next().await.unwrap().unwrap();
        let writer = database.admin().await;
        let writing = tokio::spawn(async move { writer.batch_execute("BEGIN; TRUNCATE b; INSERT INTO b VALUES (2), (3); COMMIT").await });
        let admin = database.admin().await;
        let began = Instant::now();
        while database.running(&admin, "TRUNCATE").await == 0 {
            assert!(began.elapsed() < PATIENCE);
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(100)).await;
        // The second cannot join beside who waits for the lock, and reads after the first.
        let second = scans[1].execute(0, Arc::clone(&task)).unwrap();
        let (_, seen) = timeout(PATIENCE, async { tokio::try_join!(count(first), count(second)) }).await.expect("it is not stuck").unwrap();
        assert_eq!(seen, 1, "not what was there when the statement began");
        drop((scans, task));
        timeout(PATIENCE, writing).await.unwrap().unwrap().unwrap();
        remote.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_lock_shares_a_snapshot_too() {
    let sql = format!(
        "{SMALL} DROP ROLE IF EXISTS selective; CREATE ROLE selective LOGIN PASSWORD 'correct horse'; \
         GRANT SELECT (id) ON a, b TO selective"
    );
    let Some(database) = Database::new(&sql).await else { return };
    let mut options = database.options_with(&[("user", "selective")]);
    options.pool.max_connections = 2;
    let remote = PostgresRemote::open(&options).await.unwrap();
    let context = session(&remote).await;
    let moving = move_rows(&database, 7).await;
    for _ in 0..30 {
        let counts = numbers(&context, "SELECT (SELECT count(id) FROM a) AS a, (SELECT count(id) FROM b) AS b").await.unwrap();
        assert_eq!(counts[0] + counts[1], 1000);
    }
    moving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_lost_is_an_error() {
    let Some(database) = Database::new(SMALL).await else { return };
    let remote = open(&database, "crm", 3).await;
    let (scans, task) = both(&remote).await;
    let mut first = scans[0].execute(0, Arc::clone(&task)).unwrap();
    while first.next().await.is_some() {}
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway/crm' AND datname = $1";
    database.admin().await.query(kill, &[&database.name]).await.unwrap();
    let error = count(scans[1].execute(0, Arc::clone(&task)).unwrap()).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Unreachable, "{error}");
    drop((scans, task));
    assert_eq!(numbers(&session(&remote).await, COUNTS).await.unwrap(), [1000, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scan_after_one_that_failed_tells_what_that_failed_with() {
    let Some(database) = Database::new(SMALL).await else { return };
    for (change, back, kind, code) in [
        ("ALTER TABLE a RENAME id TO di", "ALTER TABLE a RENAME di TO id", ErrorKind::NotFound, Some("42703")),
        ("ALTER TABLE a ALTER id TYPE text", "ALTER TABLE a ALTER id TYPE bigint USING id::bigint", ErrorKind::SchemaMismatch, None),
    ] {
        let remote = open(&database, "crm", 1).await;
        let (scans, task) = both(&remote).await;
        database.admin().await.batch_execute(change).await.unwrap();
        for scan in [&scans[0], &scans[1]] {
            let error = count(scan.execute(0, Arc::clone(&task)).unwrap()).await.unwrap_err();
            let told = ours(&error);
            assert_eq!((told.kind(), told.remote_sqlstate(), told.datasource()), (kind, code, Some("crm")), "{told}");
        }
        drop((scans, task));
        assert_all_free(&remote).await;
        database.admin().await.batch_execute(back).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_over_two_small_pools_do_not_wait_in_a_circle() {
    let Some(one) = Database::new(SMALL).await else { return };
    let Some(two) = Database::new(SMALL).await else { return };
    let (one, two) = (open(&one, "one", 1).await, open(&two, "two", 1).await);
    let context = SessionContext::new_with_config(config());
    register(&context, &one, "one_").await;
    register(&context, &two, "two_").await;
    // Each holds a connection of one source while it waits for the other's, in either order.
    let statements = [
        "SELECT count(*) AS n FROM one_a JOIN two_a ON one_a.id = two_a.id JOIN one_b ON one_b.id <> one_a.id",
        "SELECT (SELECT count(*) FROM two_a) + (SELECT count(*) FROM one_a) + (SELECT count(*) FROM two_b) + (SELECT count(*) FROM one_b) AS n",
        "SELECT (SELECT count(*) FROM one_a) + (SELECT count(*) FROM two_a) + (SELECT count(*) FROM one_b) AS n",
        "SELECT (SELECT count(*) FROM two_a) + (SELECT count(*) FROM one_a) + (SELECT count(*) FROM two_b) AS n",
    ];
    let all = (0..60).map(|number| {
        let context = context.clone();
        tokio::spawn(async move { numbers(&context, statements[number % statements.len()]).await.unwrap() })
    });
    let answers = timeout(PATIENCE, futures::future::join_all(all)).await.expect("nobody waits for ever");
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), [[0, 2000, 2000, 2000][number % statements.len()]]);
    }
    for remote in [&one, &two] {
        assert_all_free(remote).await;
    }
}
