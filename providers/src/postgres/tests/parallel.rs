//! Tables in several streams: the rows that one stream gives, each once, as of one moment, with whatever connections there are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep, timeout};

use super::server::{Database, Server};
use super::{PATIENCE, PostgresRemote, assert_fails, column, look, open, ours};
use crate::error::ErrorKind;
use crate::options::Options;
use crate::remote::{Remote, RemoteTable};
use crate::sql::{RemoteScan, SqlRemote, SqlTable};
use crate::statement_observer::{StatementObserver, StatementOutcome, StatementReport, observe_statements};

/// Ten rows and eight thousand bytes to a block at most: 6,000 blocks.
const BIG: &str = "CREATE TABLE big (id bigint NOT NULL, part integer, name text) WITH (fillfactor = 10, autovacuum_enabled = off); \
                   INSERT INTO big SELECT i, i % 10, 'a name of some length, and another one ' || i FROM generate_series(1, 54000) i; ";

fn context(partitions: usize) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(partitions);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    // Rows that are read for a join have no order, so a merge of sorted inputs sorts them first.
    config.options_mut().optimizer.prefer_hash_join = false;
    SessionContext::new_with_config(config)
}

async fn table(remote: &Arc<PostgresRemote>, name: &str) -> RemoteTable {
    look(remote, &[]).await.tables.into_iter().find(|table| table.name == name).unwrap()
}

async fn plan(remote: &Arc<PostgresRemote>, table: &RemoteTable, filters: &[Expr], limit: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let provider = SqlTable::new(Arc::clone(remote) as Arc<dyn SqlRemote>, table.clone(), Some(PATIENCE));
    provider.scan(&context(4).state(), Some(&vec![0]), filters, limit).await.unwrap()
}

fn streams(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.downcast_ref::<RemoteScan>().unwrap().streams()
}

fn connections(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.downcast_ref::<RemoteScan>().unwrap().connections()
}

fn parts(plan: &Arc<dyn ExecutionPlan>) -> Vec<SendableRecordBatchStream> {
    let task = context(4).task_ctx();
    (0..streams(plan)).map(|partition| plan.execute(partition, Arc::clone(&task)).unwrap()).collect()
}

async fn ids_of(stream: SendableRecordBatchStream) -> Result<Vec<i64>, DataFusionError> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    Ok(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect())
}

/// What all streams give together, sorted.
async fn ids(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<i64>, DataFusionError> {
    let read = futures::future::try_join_all(parts(plan).into_iter().map(|stream| tokio::spawn(ids_of(stream)))).await.unwrap();
    let mut all = Vec::new();
    for part in read {
        all.extend(part?);
    }
    all.sort_unstable();
    Ok(all)
}

fn with_pool(database: &Database, connections: usize) -> Options {
    let mut options = database.options();
    options.pool.max_connections = connections;
    options
}

/// The statements with `text` in them that the server was sent so far.
fn sent(database: &Database, text: &str) -> usize {
    database.server.statements(&database.name).iter().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_come_once_whatever_the_pool() {
    let Some(database) = Database::new(&format!("{BIG} ANALYZE big")).await else { return };
    let expected: Vec<i64> = (1..=54_000).collect();
    for (pool, expected_shape) in [(1, (1, 1)), (2, (1, 1)), (3, (2, 2)), (5, (4, 4)), (20, (4, 16))] {
        let remote = PostgresRemote::open(&with_pool(&database, pool)).await.unwrap();
        let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
        assert_eq!((streams(&plan), connections(&plan)), expected_shape, "a pool of {pool}");
        for _ in 0..3 {
            assert_eq!(ids(&plan).await.unwrap(), expected, "a pool of {pool}");
        }
        assert!(database.connections(&database.admin().await).await <= pool as i64);
        remote.close().await;
    }
    assert!(sent(&database, "SET TRANSACTION SNAPSHOT") > 0);
    assert!(sent(&database, "AND ctid < '(") > 0);
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<StatementReport>>);

impl StatementObserver for Reports {
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap().push(report);
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_streams_are_one_scan_to_who_observes_it() {
    let Some(database) = Database::new(&format!("{BIG} ANALYZE big")).await else { return };
    let remote = open(&database).await;
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    let reports = Arc::new(Reports::default());
    let mut config = SessionConfig::new();
    observe_statements(&mut config, Arc::clone(&reports) as Arc<dyn StatementObserver>);
    let rows = datafusion::physical_plan::collect(Arc::clone(&plan), SessionContext::new_with_config(config).task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 54_000);
    let reports = reports.0.lock().unwrap();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((reports[0].rows, reports[0].outcome), (54_000, StatementOutcome::Completed));
    assert_eq!(reports[0].statement, "SELECT \"id\" FROM \"public\".\"big\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_that_is_read_gives_all_rows() {
    let Some(database) = Database::new(&format!("{BIG} ANALYZE big")).await else { return };
    let remote = open(&database).await;
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    for read in 0..4 {
        let mut parts = parts(&plan);
        let chosen = parts.remove(read);
        assert_eq!(ids_of(chosen).await.unwrap().len(), 54_000);
        for part in parts {
            assert!(ids_of(part).await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_small_or_no_table_has_one_stream() {
    let sql = format!(
        "{BIG} CREATE TABLE small (id bigint); INSERT INTO small SELECT generate_series(1, 1000);
         CREATE TABLE guarded (LIKE big) WITH (fillfactor = 10); INSERT INTO guarded SELECT * FROM big;
         ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         CREATE VIEW seen AS SELECT * FROM big; CREATE MATERIALIZED VIEW kept AS SELECT * FROM big;
         CREATE TABLE loaded (LIKE big) WITH (fillfactor = 10, autovacuum_enabled = off);
         ANALYZE big, small, guarded; ANALYZE kept; INSERT INTO loaded SELECT big.* FROM big, generate_series(1, 10);"
    );
    let Some(database) = Database::new(&sql).await else { return };
    let remote = open(&database).await;
    // The server counts rows in shared memory some time after the transaction.
    let began = Instant::now();
    while streams(&plan(&remote, &table(&remote, "loaded").await, &[], None).await) == 1 {
        assert!(began.elapsed() < PATIENCE, "a table that was loaded and not analysed looks small");
        sleep(Duration::from_millis(100)).await;
    }
    for name in ["small", "guarded", "seen", "kept"] {
        let plan = plan(&remote, &table(&remote, name).await, &[], None).await;
        assert_eq!(streams(&plan), 1, "{name}");
    }
    let big = table(&remote, "big").await;
    assert_eq!(streams(&plan(&remote, &big, &[], Some(10)).await), 1);
    assert_eq!(streams(&plan(&remote, &big, &[col("id").eq(lit(5i64))], None).await), 1);
    assert_eq!(streams(&plan(&remote, &big, &[], None).await), 4);
    let provider = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, big, None);
    let one = provider.scan(&context(1).state(), Some(&vec![0]), &[], None).await.unwrap();
    assert_eq!((streams(&one), connections(&one)), (1, 4), "a gateway of one core");
    assert_eq!(ids(&one).await.unwrap(), (1..=54_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_and_children_are_read_through_their_parent() {
    let sql = "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'correct horse';
        CREATE TABLE parts (id bigint NOT NULL, at integer, name text) PARTITION BY RANGE (at);
        CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (10) WITH (fillfactor = 10);
        CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY LIST (at);
        CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN (10, 11) WITH (fillfactor = 10);
        CREATE TABLE p2b PARTITION OF p2 DEFAULT;
        CREATE TABLE p3 PARTITION OF parts DEFAULT;
        INSERT INTO parts SELECT i, i % 12, 'a name of some length, and another one ' || i FROM generate_series(1, 60000) i;
        CREATE TABLE parent (id bigint, name text) WITH (fillfactor = 10);
        INSERT INTO parent SELECT i, 'a name of some length, and another one ' || i FROM generate_series(1, 50000) i;
        CREATE TABLE child (more text) INHERITS (parent); INSERT INTO child SELECT i, 'x' FROM generate_series(50001, 60000) i;
        GRANT SELECT ON parts, parent TO reader; ANALYZE";
    let Some(database) = Database::new(sql).await else { return };
    let remote = PostgresRemote::open(&database.options_with(&[("user", "reader")])).await.unwrap();
    let expected: Vec<i64> = (1..=60_000).collect();
    for name in ["parts", "parent"] {
        let plan = plan(&remote, &table(&remote, name).await, &[], None).await;
        assert_eq!(streams(&plan), 4, "{name}");
        assert_eq!(ids(&plan).await.unwrap(), expected, "{name}");
    }
    assert!(sent(&database, "FROM \"public\".\"parts\" WHERE ctid >= '(") > 0);
    // A condition on the key still leaves out parts.
    let some = plan(&remote, &table(&remote, "parts").await, &[col("at").lt(lit(10))], None).await;
    assert_eq!(ids(&some).await.unwrap().len(), 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_those_of_one_moment() {
    let sql = format!("{BIG} UPDATE big SET part = 0; ANALYZE big");
    let Some(database) = Database::new(&sql).await else { return };
    let remote = open(&database).await;
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    let expected: Vec<i64> = (1..=54_000).collect();
    // Rows wander to other blocks, and some are replaced by others, all the time.
    let writer = database.admin().await;
    let writing = tokio::spawn(async move {
        for round in 0.. {
            let sql = format!(
                "BEGIN; UPDATE big SET name = name || '.' WHERE id % 50 = {0}; DELETE FROM big WHERE id % 50 = {1}; \
                 INSERT INTO big SELECT i, 0, 'anew' FROM generate_series(1, 54000) i WHERE i % 50 = {1}; COMMIT",
                round % 50,
                (round + 7) % 50
            );
            writer.batch_execute(&sql).await.unwrap();
        }
    });
    for _ in 0..8 {
        let ids = ids(&plan).await.unwrap();
        assert!(
            ids == expected,
            "{} rows, the first that is not in place is {:?}",
            ids.len(),
            ids.iter().zip(1..).find(|(id, at)| *id != at)
        );
    }
    assert!(!writing.is_finished());
    writing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_and_filled_meanwhile_is_old_or_new() {
    let Some(database) = Database::new(&format!("{BIG} CREATE TABLE kept AS SELECT * FROM big; ANALYZE big")).await else { return };
    let remote = open(&database).await;
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    let writer = database.admin().await;
    let writing = tokio::spawn(async move {
        for round in 1.. {
            let sql = format!("BEGIN; TRUNCATE big; INSERT INTO big SELECT id + {round}000000, part, name FROM kept; COMMIT");
            writer.batch_execute(&sql).await.unwrap();
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut rounds = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let ids = ids(&plan).await.unwrap();
        assert_eq!(ids.len(), 54_000);
        let round = ids[0] / 1_000_000;
        assert!(ids.iter().enumerate().all(|(at, id)| *id == round * 1_000_000 + at as i64 + 1), "a mixture from round {round} on");
        rounds.insert(round);
    }
    assert!(rounds.len() > 1, "nothing was replaced");
    writing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_with_an_index_is_one_statement() {
    let sql = format!("{BIG} CREATE INDEX ON big (id); ANALYZE big");
    let Some(database) = Database::new(&sql).await else { return };
    let remote = open(&database).await;
    let big = table(&remote, "big").await;
    // Few as these are, they are more than what is read in one stream from the first.
    let few = plan(&remote, &big, &[col("id").gt(lit(52_900i64))], None).await;
    assert_eq!(streams(&few), 4);
    assert_eq!(ids(&few).await.unwrap(), (52_901..=54_000).collect::<Vec<_>>());
    assert_eq!((sent(&database, "EXPLAIN (FORMAT JSON"), sent(&database, "ctid")), (1, 0));
    let many = plan(&remote, &big, &[col("part").gt(lit(4))], None).await;
    let expected: Vec<i64> = (1..=54_000).filter(|id| id % 10 > 4).collect();
    assert_eq!(ids(&many).await.unwrap(), expected);
    assert!(sent(&database, "4::integer) AND ctid >= '(") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_lock_reads_in_one_statement() {
    let sql = format!(
        "{BIG} ANALYZE big; DROP ROLE IF EXISTS narrow; CREATE ROLE narrow LOGIN PASSWORD 'correct horse'; GRANT SELECT (id) ON big TO narrow"
    );
    let Some(database) = Database::new(&sql).await else { return };
    let remote = PostgresRemote::open(&database.options_with(&[("user", "narrow")])).await.unwrap();
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    assert_eq!(streams(&plan), 4);
    assert_eq!(ids(&plan).await.unwrap().len(), 54_000);
    assert_eq!(sent(&database, "ctid"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_scans_under_a_merge_finish_with_any_pool() {
    let sql =
        format!("{BIG} CREATE TABLE other (LIKE big) WITH (fillfactor = 10); INSERT INTO other SELECT * FROM big; ANALYZE big, other");
    let Some(database) = Database::new(&sql).await else { return };
    for connections in [1, 2, 3, 5] {
        let remote = PostgresRemote::open(&with_pool(&database, connections)).await.unwrap();
        let context = context(4);
        for name in ["big", "other"] {
            let provider = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, table(&remote, name).await, Some(PATIENCE));
            context.register_table(name, Arc::new(provider)).unwrap();
        }
        let joined = context.sql("SELECT count(*), sum(a.id) FROM big a JOIN other b ON a.id = b.id").await.unwrap();
        let plan = joined.clone().create_physical_plan().await.unwrap();
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains("SortMergeJoin"), "{shown}");
        let rows = timeout(PATIENCE, joined.collect()).await.unwrap_or_else(|_| panic!("stuck with {connections}")).unwrap();
        let count = |column: usize| rows[0].column(column).as_primitive::<Int64Type>().value(0);
        assert_eq!((count(0), count(1)), (54_000, 54_000 * 54_001 / 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_scans_at_once_share_a_small_pool() {
    let Some(database) = Database::new(&format!("{BIG} ANALYZE big")).await else { return };
    let remote = PostgresRemote::open(&with_pool(&database, 3)).await.unwrap();
    let big = table(&remote, "big").await;
    let scans = (0..12).map(|_| async {
        let plan = plan(&remote, &big, &[], None).await;
        ids(&plan).await.unwrap().len()
    });
    assert_eq!(timeout(PATIENCE, futures::future::join_all(scans)).await.unwrap(), [54_000; 12]);
    assert!(database.connections(&database.admin().await).await <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_any_more_ends_at_the_source() {
    let Some(database) = Database::new(&format!("{BIG} INSERT INTO big SELECT a.* FROM big a, generate_series(1, 8); ANALYZE big")).await
    else {
        return;
    };
    let remote = open(&database).await;
    let plan = plan(&remote, &table(&remote, "big").await, &[], None).await;
    let mut parts = parts(&plan);
    // Not before somebody asks.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(sent(&database, "ISOLATION LEVEL"), 0);
    parts[2].next().await.unwrap().unwrap();
    let admin = database.admin().await;
    let began = Instant::now();
    while database.running(&admin, "ctid").await == 0 {
        assert!(began.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    drop(parts);
    let began = Instant::now();
    while database.running(&admin, "").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(2), "something still runs, or sits in its transaction");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(column(&remote, "SELECT 7::bigint", DataType::Int64).await.unwrap().as_primitive::<Int64Type>().value(0), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_learns_of_a_failure() {
    let Some(server) = Server::start("") else { return };
    let sql = format!("{BIG} INSERT INTO big SELECT a.* FROM big a, generate_series(1, 8); ANALYZE big");
    let Some(database) = Database::on(Arc::new(server), &sql, "").await else { return };
    let remote = open(&database).await;
    let big = table(&remote, "big").await;
    let plan = plan(&remote, &big, &[], None).await;
    let mut failing = parts(&plan);
    failing[0].next().await.unwrap().unwrap();
    let server = Arc::clone(&database.server);
    tokio::task::spawn_blocking(move || server.down("immediate")).await.unwrap();
    for part in failing {
        assert_fails(ours(&ids_of(part).await.unwrap_err()), ErrorKind::Unreachable, "lost the connection while reading");
    }
    database.server.up();
    // What is pooled is dead, and nobody notices.
    let expected = ids(&plan).await.unwrap();
    assert_eq!(expected.len(), 9 * 54_000);

    let hurried = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, big, Some(Duration::from_millis(200)));
    let late = hurried.scan(&context(4).state(), Some(&vec![0]), &[], None).await.unwrap();
    let mut parts = parts(&late);
    parts[1].next().await.unwrap().unwrap();
    sleep(Duration::from_millis(400)).await;
    for part in parts {
        assert_fails(ours(&ids_of(part).await.unwrap_err()), ErrorKind::Timeout, "query_timeout of 200ms exceeded");
    }
    let mut parts = self::parts(&plan);
    parts[0].next().await.unwrap().unwrap();
    remote.close().await;
    for part in parts {
        assert_fails(ours(&ids_of(part).await.unwrap_err()), ErrorKind::Unreachable, "was closed");
    }
}
