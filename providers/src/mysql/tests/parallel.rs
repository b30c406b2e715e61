//! Tables in several streams: the rows that one stream gives, each once, as of one moment, with whatever connections there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::server::{PASSWORD, TestServer, ours, shown, table};
use crate::error::ErrorKind;
use crate::mysql::MySqlRemote;
use crate::remote::Remote;
use crate::sql::{RemoteScan, SqlRemote, SqlTable};

const PATIENCE: Duration = Duration::from_secs(60);

/// Rows of a table of 40 MB.
const ROWS: i64 = 10_000;

/// A table of 40 MB whose key is `id`, an expression of `seq` from 1 to [`ROWS`]; `v` is 100 in each row.
async fn fill(admin: &mut Conn, name: &str, columns: &str, id: &str) {
    for statement in [
        "SET sql_log_bin = 0".to_owned(),
        format!("CREATE TABLE {name} ({columns}, v int, filler varchar(4000)) ENGINE=InnoDB CHARACTER SET latin1"),
        format!(
            "INSERT INTO {name} SELECT {id}, 100, REPEAT('x', 4000) FROM (SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_{ROWS}) AS s"
        ),
        format!("ANALYZE TABLE {name}"),
        "SET sql_log_bin = 1".to_owned(),
    ] {
        admin.query_drop(statement).await.unwrap();
    }
}

const ID: &str = "id int PRIMARY KEY";

async fn open(server: &TestServer, database: &str, connections: usize, parallel_scans: &str) -> Arc<MySqlRemote> {
    let mut options = server.options_with(database, &[("parallel_scans", parallel_scans)], PASSWORD);
    options.pool.max_connections = connections;
    Arc::new(MySqlRemote::open(&options).await.unwrap())
}

fn context(partitions: usize) -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions))
}

/// The plan that reads the first two columns and `v` of a table.
async fn plan(remote: &Arc<MySqlRemote>, name: &str, filters: &[Expr], limit: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let provider = SqlTable::new(Arc::clone(remote) as Arc<dyn SqlRemote>, table(remote, name).await, Some(PATIENCE));
    provider.scan(&context(4).state(), Some(&vec![0, 1]), filters, limit).await.unwrap()
}

fn streams(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.downcast_ref::<RemoteScan>().unwrap().streams()
}

fn parts(plan: &Arc<dyn ExecutionPlan>) -> Vec<SendableRecordBatchStream> {
    let task = context(4).task_ctx();
    (0..streams(plan)).map(|partition| plan.execute(partition, Arc::clone(&task)).unwrap()).collect()
}

async fn rows_of(stream: SendableRecordBatchStream) -> Result<Vec<Vec<String>>, DataFusionError> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    Ok(shown(&batches))
}

/// What all streams give together, sorted.
async fn rows(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Vec<String>>, DataFusionError> {
    let read = futures::future::try_join_all(parts(plan).into_iter().map(|stream| tokio::spawn(rows_of(stream)))).await.unwrap();
    let mut all = Vec::new();
    for part in read {
        all.extend(part?);
    }
    all.sort_unstable();
    Ok(all)
}

/// How many ranges of `table` were read, by connection.
async fn ranges(server: &TestServer, database: &str, table: &str) -> BTreeMap<u64, u64> {
    let sql = format!(
        "SELECT thread_id, COUNT(*) FROM mysql.general_log WHERE command_type = 'Execute' \
         AND argument LIKE '%FROM `{database}`.`{table}` FORCE INDEX (PRIMARY) WHERE%' GROUP BY thread_id"
    );
    server.admin().await.query(sql).await.unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_come_once_whatever_the_key_and_the_pool() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("ranges").await;
    let tables = [
        ("plain", ID, "seq"),
        ("negative", "id smallint PRIMARY KEY", "seq - 5000"),
        ("least", "id bigint PRIMARY KEY", "-9223372036854775808 + (seq - 1) * 1844674407370955.0"),
        ("beyond", "id bigint unsigned PRIMARY KEY", "18446744073709551615 - (seq - 1) * 1000"),
        ("across", "id bigint unsigned PRIMARY KEY", "CAST(9223372036854770807 AS UNSIGNED) + seq"),
        ("sparse", "id bigint PRIMARY KEY", "seq * seq * seq * 1000"),
        ("outlier", "id bigint PRIMARY KEY", "IF(seq = 1, 9223372036854775807, seq)"),
        ("medium", "id mediumint unsigned zerofill PRIMARY KEY", "seq * 1677"),
        ("composite", "id int, name varchar(20), PRIMARY KEY (id, name)", "seq % 7, CONCAT('n', seq)"),
        ("single", "id int, name int, PRIMARY KEY (id, name)", "5, seq"),
        ("parts", "id int PRIMARY KEY", "seq"),
    ];
    for (name, columns, id) in tables {
        fill(&mut admin, name, columns, id).await;
    }
    admin.query_drop("ALTER TABLE parts PARTITION BY HASH (id) PARTITIONS 3; ANALYZE TABLE parts").await.unwrap();
    let alone = open(server, "ranges", 5, "never").await;
    for (name, ..) in tables {
        let expected = rows(&plan(&alone, name, &[], None).await).await.unwrap();
        assert_eq!(expected.len() as i64, ROWS);
        for (connections, expected_streams) in [(1, 1), (2, 1), (3, 2), (5, 4), (20, 4)] {
            let remote = open(server, "ranges", connections, "consistent").await;
            let plan = plan(&remote, name, &[], None).await;
            assert_eq!(streams(&plan), expected_streams, "{name} with {connections} connections");
            for _ in 0..2 {
                let read = rows(&plan).await.unwrap();
                assert!(read == expected, "{name} with {connections} connections: {} rows", read.len());
            }
            assert!(remote.pool().unwrap().size() <= connections);
            remote.close().await;
        }
    }
    // The keys of the one table are all the same: one range has them all.
    let read = ranges(server, "ranges", "plain").await;
    assert!(read.len() > 6 && read.values().sum::<u64>() > 60, "{read:?}");
    assert_eq!(ranges(server, "ranges", "single").await.len(), 0);
    assert!(!ranges(server, "ranges", "parts").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_went_or_came_since_the_look_are_read_as_they_are() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("since").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(server, "since", 5, "consistent").await;
    let plan = plan(&remote, "t", &[], None).await;
    for (change, count) in [
        ("INSERT INTO t VALUES (-2147483648, 1, ''), (2147483647, 1, '')", 10_002),
        ("DELETE FROM t WHERE id <> 77", 1),
        ("TRUNCATE t", 0),
        ("INSERT INTO t VALUES (5, 1, '')", 1),
        // What is no primary key any more may be NULL.
        ("ALTER TABLE t DROP PRIMARY KEY, MODIFY id int NULL, ADD v2 int AUTO_INCREMENT PRIMARY KEY", 1),
    ] {
        admin.query_drop(change).await.unwrap();
        assert_eq!(rows(&plan).await.unwrap().len(), count, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_that_is_read_gives_all_rows() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("one_read").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(server, "one_read", 5, "consistent").await;
    let plan = plan(&remote, "t", &[], None).await;
    for read in 0..4 {
        let mut parts = parts(&plan);
        let chosen = parts.remove(read);
        assert_eq!(rows_of(chosen).await.unwrap().len() as i64, ROWS);
        for part in parts {
            assert!(rows_of(part).await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_ranges_or_few_rows_has_one_stream() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("one_stream").await;
    for (name, columns, id) in [
        ("big", ID, "seq"),
        ("myisam", ID, "seq"),
        ("aria", ID, "seq"),
        ("texts", "id varchar(20) PRIMARY KEY", "seq"),
        ("decimals", "id decimal(20, 0) PRIMARY KEY", "seq"),
        ("bare", "id int NOT NULL", "seq"),
        ("uniques", "id int NOT NULL UNIQUE", "seq"),
        ("second", "name varchar(20), id int, PRIMARY KEY (name, id)", "seq, seq"),
    ] {
        fill(&mut admin, name, columns, id).await;
    }
    for statement in [
        "ALTER TABLE myisam ENGINE=MyISAM",
        "ALTER TABLE aria ENGINE=Aria",
        "ANALYZE TABLE myisam, aria",
        "CREATE TABLE small (id int PRIMARY KEY, v int) ENGINE=InnoDB",
        "INSERT INTO small SELECT seq, 1 FROM seq_1_to_1000",
        "ANALYZE TABLE small",
        "CREATE VIEW seen AS SELECT * FROM big",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let remote = open(server, "one_stream", 5, "always").await;
    for name in ["myisam", "aria", "texts", "decimals", "bare", "uniques", "second", "small", "seen"] {
        assert_eq!(streams(&plan(&remote, name, &[], None).await), 1, "{name}");
    }
    assert_eq!(streams(&plan(&remote, "big", &[], None).await), 4);
    assert_eq!(streams(&plan(&remote, "big", &[], Some(10)).await), 1);
    assert_eq!(streams(&plan(&remote, "big", &[col("id").eq(lit(5))], None).await), 1);
    assert_eq!(streams(&plan(&remote, "big", &[col("v").eq(lit(5))], None).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_has_is_read_from_it() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("covered").await;
    fill(&mut admin, "t", ID, "seq").await;
    admin.query_drop("ALTER TABLE t ADD INDEX (v)").await.unwrap();
    let remote = open(server, "covered", 5, "consistent").await;
    let plan = plan(&remote, "t", &[], None).await;
    assert_eq!((streams(&plan), rows(&plan).await.unwrap().len() as i64), (4, ROWS));
    assert!(ranges(server, "covered", "t").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_option_says_whether_streams_may_see_moments_of_their_own() {
    let (Some(server), Some(logging)) = (TestServer::shared(), TestServer::logging()) else { return };
    for (server, expected) in [(server, [1, 4, 1]), (logging, [4, 4, 1])] {
        let mut admin = server.database("the_option").await;
        fill(&mut admin, "t", ID, "seq").await;
        for (choice, expected) in ["consistent", "always", "never"].into_iter().zip(expected) {
            let remote = open(server, "the_option", 5, choice).await;
            let plan = plan(&remote, "t", &[], None).await;
            assert_eq!(streams(&plan), expected, "{choice}");
            assert_eq!(rows(&plan).await.unwrap().len() as i64, ROWS);
        }
        assert_eq!(streams(&plan(&server.remote("the_option").await, "t", &[], None).await), expected[0], "by default");
    }
}

/// Every transaction keeps the sum and the number of rows, and moves a row to another range.
async fn write(mut admin: Conn, done: Arc<AtomicBool>, first: i64) {
    let mut round = first;
    while !done.load(Ordering::Relaxed) {
        round += 2;
        let (one, other) = (round % ROWS + 1, (round * 7) % ROWS + 1);
        for statement in [
            "BEGIN".to_owned(),
            format!("UPDATE t SET v = v - 7 WHERE id = {one} OR id = {one} + 1000000"),
            format!("UPDATE t SET id = IF(id > 1000000, id - 1000000, id + 1000000) WHERE id = {one} OR id = {one} + 1000000"),
            format!("UPDATE t SET v = v + 7 WHERE id = {other} OR id = {other} + 1000000"),
            "COMMIT".to_owned(),
        ] {
            admin.query_drop(statement).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const SCANS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_those_of_one_moment() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("one_moment").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(server, "one_moment", 5, "consistent").await;
    let provider = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, table(&remote, "t").await, Some(PATIENCE));
    let plan = provider.scan(&context(4).state(), Some(&vec![0, 1]), &[], None).await.unwrap();
    assert_eq!(streams(&plan), 4);
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(admin, Arc::clone(&done), 1));
    for _ in 0..SCANS {
        let read = rows(&plan).await.unwrap();
        let sum: i64 = read.iter().map(|row| row[1].parse::<i64>().unwrap()).sum();
        assert_eq!((read.len() as i64, sum), (ROWS, ROWS * 100));
    }
    assert!(!writing.is_finished());
    done.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    // Each connection that takes part looks at the ends of the key first.
    let workers = "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE 'SELECT MIN(`id`), MAX(`id`) FROM `one_moment`.`t`%'";
    let workers: usize = server.admin().await.query_first(workers).await.unwrap().unwrap();
    assert!(workers > SCANS + SCANS / 4, "{SCANS} scans had {workers} workers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_and_filled_meanwhile_is_old_or_new() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("emptied").await;
    fill(&mut admin, "t", ID, "seq").await;
    admin.query_drop("CREATE TABLE spare LIKE t; INSERT INTO spare SELECT * FROM t").await.unwrap();
    let remote = open(server, "emptied", 5, "consistent").await;
    let plan = plan(&remote, "t", &[], None).await;
    let writing = tokio::spawn(async move {
        loop {
            admin.query_drop("TRUNCATE t").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            admin.query_drop("INSERT INTO t SELECT * FROM spare").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut counts = BTreeMap::new();
    for _ in 0..30 {
        *counts.entry(rows(&plan).await.unwrap().len() as i64).or_insert(0) += 1;
    }
    assert!(counts.keys().all(|count| [0, ROWS].contains(count)), "{counts:?}");
    assert!(!writing.is_finished());
    writing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_scans_at_once_share_a_small_pool() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("many_scans").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(server, "many_scans", 3, "consistent").await;
    let plans = futures::future::join_all((0..12).map(|_| plan(&remote, "t", &[], None))).await;
    let scans = plans.iter().map(async |plan| rows(plan).await.unwrap().len() as i64);
    assert_eq!(tokio::time::timeout(PATIENCE, futures::future::join_all(scans)).await.unwrap(), [ROWS; 12]);
    assert!(remote.pool().unwrap().size() <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_any_more_ends_at_the_source() {
    let Some(server) = TestServer::logging() else { return };
    let mut admin = server.database("unread").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(server, "unread", 5, "always").await;
    let provider = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, table(&remote, "t").await, Some(PATIENCE));
    // Rows that are too large for what waits to be read to hold all of them.
    let plan = provider.scan(&context(4).state(), None, &[], None).await.unwrap();
    let mut parts = parts(&plan);
    parts[2].next().await.unwrap().unwrap();
    let in_transaction = async || -> u64 {
        let sql = "SELECT COUNT(*) FROM information_schema.INNODB_TRX x JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id \
                   WHERE p.DB = 'unread' AND p.USER = 'reader'";
        server.admin().await.query_first(sql).await.unwrap().unwrap()
    };
    let begun = Instant::now();
    while in_transaction().await < 2 {
        assert!(begun.elapsed() < PATIENCE, "nobody joined");
    }
    drop(parts);
    let begun = Instant::now();
    while in_transaction().await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(2), "something still runs, or sits in its transaction");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&plan).await.unwrap().len() as i64, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_learns_of_a_failure() {
    let Some(server) = TestServer::start(&["--log-bin=bin"]) else { return };
    let mut admin = server.database("failing").await;
    fill(&mut admin, "t", ID, "seq").await;
    let remote = open(&server, "failing", 5, "consistent").await;
    let big = table(&remote, "t").await;
    let all = |timeout| SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, big.clone(), Some(timeout));
    let state = context(4).state();
    let plan = all(PATIENCE).scan(&state, None, &[], None).await.unwrap();
    let mut failing = parts(&plan);
    failing[0].next().await.unwrap().unwrap();
    // One of them is enough.
    let victim = "SELECT MAX(p.ID) FROM information_schema.INNODB_TRX x JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id \
                  WHERE p.USER = 'reader' AND p.DB = 'failing'";
    let victim: u64 = admin.query_first(victim).await.unwrap().unwrap();
    admin.query_drop(format!("KILL CONNECTION {victim}")).await.unwrap();
    for part in failing {
        let error = rows_of(part).await.unwrap_err();
        assert_eq!((ours(&error).kind(), ours(&error).datasource()), (ErrorKind::Unreachable, Some("shop")), "{error}");
    }
    assert_eq!(rows(&plan).await.unwrap().len() as i64, ROWS);

    let mut failing = parts(&plan);
    failing[3].next().await.unwrap().unwrap();
    server.kill();
    for part in failing {
        assert_eq!(ours(&rows_of(part).await.unwrap_err()).kind(), ErrorKind::Unreachable);
    }
    server.revive();
    // It accepts connections a little before it serves them.
    drop(server.admin().await);
    // What is pooled is dead, and nobody notices.
    assert_eq!(rows(&plan).await.unwrap().len() as i64, ROWS);

    let late = all(Duration::from_millis(300)).scan(&state, None, &[], None).await.unwrap();
    let mut parts = parts(&late);
    parts[1].next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for part in parts {
        let error = rows_of(part).await.unwrap_err();
        assert_eq!(ours(&error).kind(), ErrorKind::Timeout, "{error}");
    }
    let mut parts = self::parts(&plan);
    parts[0].next().await.unwrap().unwrap();
    remote.close().await;
    for part in parts {
        let error = rows_of(part).await.unwrap_err();
        assert!(ours(&error).message().contains("was closed"), "{error}");
    }
}
