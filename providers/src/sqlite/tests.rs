//! The connector against real files.

mod belied;
mod changing;
mod writing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float64Type, Int64Type, Schema};
use datafusion::arrow::datatypes::{SchemaRef, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::remote::{Comparison, OmissionCause, RemoteTable, TableKind};

/// A database file and the datasource over it.
struct Source {
    folder: TempDir,
    remote: Arc<dyn Remote>,
}

impl Source {
    async fn of(script: &str) -> Self {
        Self::with(script, |_| {}).await
    }

    async fn with(script: &str, adjust: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Connection::open(folder.path().join("db")).unwrap().execute_batch(script).unwrap();
        let remote = open(&folder.path().join("db"), adjust).await.unwrap();
        Self { folder, remote }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("db")
    }

    fn writer(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    async fn introspect(&self) -> Introspection {
        self.remote.introspect(&Scope::default(), soon()).await.unwrap()
    }

    async fn table(&self, name: &str) -> RemoteTable {
        let seen = self.introspect().await;
        seen.tables.into_iter().find(|table| table.name == name).unwrap()
    }

    /// Reads a whole table through the engine.
    async fn read(&self, name: &str) -> Result<RecordBatch> {
        let provider = Arc::clone(&self.remote).table(&self.table(name).await).unwrap();
        let schema = provider.schema();
        let batches = SessionContext::new().read_table(provider).unwrap().collect().await;
        let batches = batches.map_err(|e| reown(Error::find(&e).unwrap()))?;
        Ok(datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap())
    }

    /// Answers a statement over all tables of the file, through filters and projections of the engine.
    async fn query(&self, sql: &str) -> String {
        let context = SessionContext::new();
        for table in self.introspect().await.tables {
            let name = datafusion::common::TableReference::bare(table.name.clone());
            context.register_table(name, Arc::clone(&self.remote).table(&table).unwrap()).unwrap();
        }
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    fn stream(&self, sql: &str, fields: &[(&str, DataType)], query_timeout: Option<Duration>) -> SendableRecordBatchStream {
        let fields: Vec<Field> = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
        let limits = ScanLimits::new(query_timeout, 1024);
        let remote = Arc::clone(&self.remote).as_sql().unwrap();
        remote.execute(RemoteSql::new(sql.to_owned()), Arc::new(Schema::new(fields)), limits).unwrap()
    }
}

/// Errors inside DataFusion's are borrowed; tests want to keep them.
fn reown(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message()).hint(error.hint_text().unwrap_or_default());
    match error.datasource() {
        Some(datasource) => copy.at(datasource),
        None => copy,
    }
}

async fn open(path: &Path, adjust: impl FnOnce(&mut Options)) -> Result<Arc<dyn Remote>> {
    let values = BTreeMap::from([("path".to_owned(), path.to_str().unwrap().to_owned())]);
    let mut options = Options::check(&manifest::MANIFEST, RemoteId::new("shop"), Path::new("/"), values, BTreeMap::new()).unwrap();
    adjust(&mut options);
    SqliteConnector.open(&options).await
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn column<'a>(table: &'a RemoteTable, name: &str) -> &'a crate::remote::RemoteColumn {
    table.columns.iter().find(|column| column.name == name).unwrap()
}

async fn failure_of(stream: SendableRecordBatchStream) -> Error {
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    reown(Error::find(&error).unwrap())
}

/// A statement that runs for minutes and gives no row before its end.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000) SELECT count(*) FROM n";

#[tokio::test]
async fn every_type_is_read_exactly() {
    let source = Source::of(
        "CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, d DECIMAL(10,2), n NUMERIC, flag BOOLEAN, day DATE, at TIME, \
                         local DATETIME, instant TIMESTAMP WITH TIME ZONE, doc JSON, untyped); \
         INSERT INTO t VALUES (9223372036854775807, 1.5, 'naïve ☃', X'00FF', '123.45', '0.1', 1, '2024-02-29', '12:34:56.789', \
                               '2024-02-29 12:34:56', '2024-02-29T12:34:56+02:00', '{\"a\": 1}', 'text'); \
         INSERT INTO t VALUES (-9223372036854775808, 2, '', X'', 7, 12345678901234567890, 0, '0001-01-01', '00:00', \
                               '2024-02-29', '2024-02-29 00:00:00Z', 5, 42); \
         INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL); \
         INSERT INTO t (d, n, untyped) VALUES (-0.01, 1e-7, 1.0);",
    )
    .await;
    let rows = source.read("t").await.unwrap();
    let of = |name: &str| rows.column_by_name(name).unwrap();
    assert_eq!(rows.num_rows(), 4);
    assert!(rows.columns().iter().all(|column| column.is_null(2)));
    let integers = of("i").as_primitive::<Int64Type>();
    assert_eq!((integers.value(0), integers.value(1)), (i64::MAX, i64::MIN));
    let reals = of("r").as_primitive::<Float64Type>();
    assert_eq!((reals.value(0), reals.value(1)), (1.5, 2.0));
    assert_eq!(of("t").as_string::<i32>().value(0), "naïve ☃");
    assert_eq!(of("b").as_binary::<i32>().value(0), [0, 255]);
    let decimals = of("d").as_primitive::<Decimal128Type>();
    assert_eq!((decimals.value(0), decimals.value(1), decimals.value(3)), (12345, 700, -1));
    let numerics = of("n").as_primitive::<Decimal256Type>();
    assert_eq!(numerics.value_as_string(0).trim_end_matches('0'), "0.1");
    assert_eq!(numerics.value_as_string(3).trim_end_matches('0'), "0.0000001");
    let flags = of("flag").as_boolean();
    assert_eq!((flags.value(0), flags.value(1)), (true, false));
    assert_eq!(of("day").as_primitive::<Date32Type>().value(0), 19782);
    assert_eq!(of("at").as_primitive::<Time64MicrosecondType>().value(0), 45_296_789_000);
    let locals = of("local").as_primitive::<TimestampMicrosecondType>();
    assert_eq!((locals.value(0), locals.value(1)), (1_709_210_096_000_000, 1_709_164_800_000_000));
    assert_eq!(of("instant").as_primitive::<TimestampMicrosecondType>().value(0), 1_709_202_896_000_000);
    let documents = of("doc").as_string::<i32>();
    assert_eq!((documents.value(0), documents.value(1)), ("{\"a\": 1}", "5"));
    let untyped = of("untyped").as_string::<i32>();
    assert_eq!((untyped.value(0), untyped.value(1), untyped.value(3)), ("text", "42", "1.0"));
}

#[tokio::test]
async fn a_value_that_belies_its_column_is_an_error_naming_it() {
    let cases = [
        ("INTEGER", "'abc'", "text"),
        ("INTEGER", "1.5", "real"),
        ("REAL", "'abc'", "text"),
        ("TEXT", "X'00'", "blob"),
        ("BLOB", "'abc'", "text"),
        ("BLOB", "1", "integer"),
        ("BOOLEAN", "2", "integer"),
        ("BOOLEAN", "'true'", "text"),
        ("DATE", "'2024-02-30'", "text"),
        ("DATE", "1709164800", "integer"),
        ("DATETIME", "'2024-02-29 12:00:00Z'", "text"),
        ("DATETIME", "2460000.5", "real"),
        ("TIMESTAMPTZ", "'2024-02-29 12:00:00'", "text"),
        ("TIME", "'25:00'", "text"),
        ("DECIMAL(5,2)", "1.234", "real"),
        ("DECIMAL(5,2)", "1000", "integer"),
        ("DECIMAL(5,2)", "'many'", "text"),
        ("NUMERIC", "9e999", "real"),
        ("STRING", "X'00'", "blob"),
        ("TEXT", "CAST(X'FF' AS TEXT)", "text"),
    ];
    for (declared, value, class) in cases {
        let source = Source::of(&format!("CREATE TABLE t (\"my col\" {declared}); INSERT INTO t VALUES (NULL), ({value});")).await;
        let error = source.read("t").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{declared} {value}: {error}");
        assert_eq!(error.datasource(), Some("shop"));
        assert!(error.message().starts_with("table \"t\": column \"my col\" holds "), "{error}");
        assert!(error.hint_text().unwrap().starts_with("the first is in the row with rowid = 2; "), "{error:?}");
        let wanted = format!("typeof(\"my col\") = '{class}'");
        assert!(error.hint_text().unwrap().contains(&wanted), "{declared} {value}: {:?}", error.hint_text());
        assert!(!error.message().contains("abc"), "{error}");
    }
}

#[tokio::test]
async fn a_null_in_a_column_declared_without_is_an_error() {
    let source = Source::of("CREATE TABLE t (a INTEGER NOT NULL)").await;
    let remote = Arc::clone(&source.remote).as_sql().unwrap();
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    let limits = ScanLimits::new(None, 10);
    let error = failure_of(remote.execute(RemoteSql::new("SELECT NULL".to_owned()), schema, limits).unwrap()).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn introspection_sees_what_may_be_read() {
    let source = Source::of(
        "CREATE TABLE \"od\"\"d ☃ name\" (\"a b\" INTEGER PRIMARY KEY, \"Größe\" TEXT NOT NULL); \
         CREATE TABLE keys (a TEXT, b INT NOT NULL, c TEXT UNIQUE, d TEXT, e AS (b + 1), f TEXT COLLATE NOCASE, PRIMARY KEY (b)); \
         CREATE UNIQUE INDEX partial ON keys (d) WHERE d > 'x'; CREATE UNIQUE INDEX computed ON keys (lower(d)); \
         CREATE UNIQUE INDEX pair ON keys (d, b); \
         CREATE TABLE loose (a TEXT PRIMARY KEY); CREATE TABLE compact (a TEXT, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID; \
         CREATE TABLE strict_one (a ANY, b TEXT PRIMARY KEY) STRICT; CREATE TABLE counted (a INTEGER PRIMARY KEY AUTOINCREMENT); \
         CREATE VIEW seen AS SELECT b, c, b + 1 AS next, date('now') AS today FROM keys; \
         CREATE VIEW broken AS SELECT * FROM gone; \
         CREATE VIRTUAL TABLE words USING fts5(body); \
         INSERT INTO compact VALUES ('a', 'b'), ('c', 'd'); CREATE INDEX by_a ON compact (a); ANALYZE;",
    )
    .await;
    let seen = source.introspect().await;
    let names: Vec<&str> = seen.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["compact", "counted", "keys", "loose", "od\"d ☃ name", "seen", "strict_one", "words"]);
    assert_eq!(seen.default_schema, "main");
    assert_eq!(seen.omitted.len(), 1);
    assert_eq!((seen.omitted[0].subject.as_str(), seen.omitted[0].cause), ("main.broken", OmissionCause::Unmapped));

    let table = |name: &str| seen.tables.iter().find(|table| table.name == name).unwrap();
    let odd = table("od\"d ☃ name");
    assert_eq!(odd.primary_key, ["a b"]);
    assert!(!column(odd, "a b").nullable && !column(odd, "Größe").nullable);
    let keys = table("keys");
    assert_eq!(keys.primary_key, ["b"]);
    assert_eq!(keys.unique_keys, [vec!["d".to_owned(), "b".to_owned()], vec!["c".to_owned()]]);
    assert_eq!(column(keys, "e").data_type, DataType::Utf8, "a generated column without a type");
    assert_eq!(column(keys, "f").comparison, Comparison::SupersetEquality);
    assert_eq!(column(keys, "f").collation.as_deref(), Some("NOCASE"));
    assert_eq!(column(keys, "a").comparison, Comparison::Total);
    assert_eq!(column(keys, "b").remote_type, "INT");
    let loose = table("loose");
    assert!(loose.primary_key.is_empty() && column(loose, "a").nullable, "SQLite lets this key be NULL");
    assert_eq!(loose.unique_keys, [vec!["a".to_owned()]]);
    let strict = table("strict_one");
    assert!(strict.primary_key == ["b"] && !column(strict, "b").nullable && strict.unique_keys.is_empty());
    let compact = table("compact");
    assert_eq!((compact.primary_key.as_slice(), compact.row_estimate), (["b".to_owned(), "a".to_owned()].as_slice(), Some(2)));
    assert!(compact.unique_keys.is_empty());
    let view = table("seen");
    assert_eq!((view.kind, column(view, "b").data_type.clone()), (TableKind::View, DataType::Int64));
    assert_eq!(column(view, "c").comparison, Comparison::None);
    assert!(view.columns.iter().all(|column| column.nullable));
    assert_eq!(table("words").columns.len(), 1, "hidden columns are arguments");
}

#[tokio::test]
async fn what_is_gone_is_absent() {
    let script = "CREATE TABLE t (a, b AS (a + 1)); CREATE TABLE dropped (a); CREATE TABLE \"o'd.d\" (\"A \"\"b\"); \
                  CREATE VIEW v AS SELECT a FROM t; CREATE TABLE base (a); CREATE VIEW broken AS SELECT a FROM base; DROP TABLE base; \
                  CREATE VIRTUAL TABLE words USING fts5(body);";
    let source = Source::of(script).await;
    let (readable, absent) = (RemotePresence::Readable, RemotePresence::Absent);
    let ask = async |cases: &[(Subject, RemotePresence)]| {
        let (subjects, expected): (Vec<_>, Vec<_>) = cases.iter().cloned().unzip();
        assert_eq!(source.remote.presence(&subjects, soon()).await.unwrap(), expected, "{subjects:?}");
    };
    ask(&[
        (Subject::table("main", "t"), readable),
        (Subject::column("main", "t", "b"), readable),
        (Subject::column("main", "t", "c"), absent),
        (Subject::column("main", "v", "a"), readable),
        (Subject::column("main", "o'd.d", "A \"b"), readable),
        (Subject::table("main", "dropped"), readable),
        (Subject::table("main", "broken"), absent),
        (Subject::table("main", "no such"), absent),
        (Subject::table("other", "t"), absent),
        (Subject::table("main", "sqlite_schema"), absent),
        (Subject::column("main", "words", "body"), readable),
        (Subject::column("main", "words", "rank"), absent),
    ])
    .await;
    source.writer().execute_batch("DROP TABLE dropped; DROP VIEW broken; ALTER TABLE t DROP COLUMN b").unwrap();
    ask(&[(Subject::table("main", "dropped"), absent), (Subject::column("main", "t", "b"), absent)]).await;
    std::fs::remove_file(source.path()).unwrap();
    let error = source.remote.presence(&[Subject::table("main", "t")], soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("shop")));
}

#[tokio::test]
async fn another_schema_than_main_is_empty() {
    let source = Source::of("CREATE TABLE t (a)").await;
    let scope = Scope { schemas: vec!["other".to_owned()] };
    assert!(source.remote.introspect(&scope, soon()).await.unwrap().tables.is_empty());
}

#[tokio::test]
async fn text_in_utf16_is_not_ordered_there() {
    let source = Source::of("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('ﬀ'), ('😀');").await;
    assert_eq!(column(&source.table("t").await, "a").comparison, Comparison::Equality);
    assert_eq!(source.read("t").await.unwrap().column(0).as_string::<i32>().value(1), "😀");
}

#[tokio::test]
async fn filters_that_sqlite_answers_otherwise_stay_here() {
    let source = Source::of(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, plain TEXT, nocase TEXT COLLATE NOCASE, trimmed TEXT COLLATE RTRIM, d DATE, f REAL); \
         INSERT INTO t VALUES (1, 'abc', 'abc', 'abc', '2024-01-01', 0.1), (2, 'ABC', 'ABC', 'abc ', '2024-06-01', 0.5), \
                              (3, 'it''s', NULL, NULL, NULL, NULL), (4, 'b', 'b', 'b', '2023-12-31', 0.30000000000000004);",
    )
    .await;
    let ids = async |condition: &str| {
        let text = source.query(&format!("SELECT id FROM t WHERE {condition} ORDER BY id")).await;
        text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(",")
    };
    let cases = [
        ("plain = 'abc'", "1"),
        ("plain >= 'abc'", "1,3,4"),
        ("plain = 'it''s'", "3"),
        ("plain LIKE 'a%'", "1"),
        ("nocase = 'abc'", "1"),
        ("nocase <> 'abc'", "2,4"),
        ("nocase > 'B'", "1,4"),
        ("trimmed = 'abc'", "1"),
        ("trimmed IS NULL", "3"),
        ("d >= DATE '2024-01-01'", "1,2"),
        ("d = DATE '2023-12-31' OR id = 1", "1,4"),
        ("f = 0.1", "1"),
        ("f = 0.30000000000000004", "4"),
        ("f > 0.3", "2,4"),
        ("id IN (1, 4) AND plain IS NOT NULL", "1,4"),
    ];
    for (condition, wanted) in cases {
        assert_eq!(ids(condition).await, wanted, "{condition}");
    }
}

#[tokio::test]
async fn an_unknown_column_is_an_error_and_not_a_string() {
    let source = Source::of("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x');").await;
    let gone = failure_of(source.stream("SELECT \"b\" FROM \"main\".\"t\"", &[("b", DataType::Utf8)], None)).await;
    assert_eq!((gone.kind(), gone.message()), (ErrorKind::NotFound, "no such column: b"));
    let gone = failure_of(source.stream("SELECT a FROM nowhere", &[("a", DataType::Utf8)], None)).await;
    assert_eq!((gone.kind(), gone.datasource()), (ErrorKind::NotFound, Some("shop")));
}

#[tokio::test]
async fn an_error_shows_no_literal_of_the_statement() {
    let source = Source::of("CREATE TABLE t (a TEXT)").await;
    let error = failure_of(source.stream("SELECT a FROM t WHERE a = = 'hush'", &[("a", DataType::Utf8)], None)).await;
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(!format!("{error}").contains("hush"), "{error}");
}

#[tokio::test]
async fn a_sum_that_overflows_is_an_error() {
    let source = Source::of("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (9223372036854775807), (1);").await;
    let error = failure_of(source.stream("SELECT sum(a) FROM t", &[("s", DataType::Int64)], None)).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::Failed, "a sum exceeds 64 bits"));
}

#[tokio::test]
async fn many_rows_stream_in_batches_and_counting_needs_no_column() {
    let source = Source::of(
        "CREATE TABLE t (i INTEGER, s TEXT); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO t SELECT i, 'row ' || i FROM n;",
    )
    .await;
    let batches: Vec<RecordBatch> =
        source.stream("SELECT i, s FROM t ORDER BY i", &[("i", DataType::Int64), ("s", DataType::Utf8)], None).try_collect().await.unwrap();
    assert!(batches.len() >= 196 && batches.iter().all(|batch| batch.num_rows() <= 1024));
    let mut expected = 1;
    for batch in &batches {
        for (index, value) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
            assert_eq!(*value, expected);
            assert_eq!(batch.column(1).as_string::<i32>().value(index), format!("row {expected}"));
            expected += 1;
        }
    }
    assert_eq!(expected, 200_001);
    let counted: Vec<RecordBatch> = source.stream("SELECT 1 FROM t", &[], None).try_collect().await.unwrap();
    assert_eq!(counted.iter().map(RecordBatch::num_rows).sum::<usize>(), 200_000);
}

#[tokio::test]
async fn the_first_row_does_not_wait_for_the_last() {
    let source = Source::of("CREATE TABLE t (i INTEGER)").await;
    let slow = format!("SELECT 1 UNION ALL SELECT * FROM ({ENDLESS})");
    let mut stream = source.stream(&slow, &[("i", DataType::Int64)], None);
    let first = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("it comes at once").unwrap().unwrap();
    assert_eq!(first.num_rows(), 1);
}

#[tokio::test]
async fn dropping_the_stream_ends_the_statement() {
    let source = Source::with("CREATE TABLE t (i INTEGER)", |options| options.pool.max_connections = 1).await;
    for _ in 0..5 {
        let mut stream = source.stream(ENDLESS, &[("n", DataType::Int64)], None);
        assert!(tokio::time::timeout(Duration::from_millis(30), stream.next()).await.is_err());
        drop(stream);
        // The pool has one place, and a statement gives it back only once it has ended.
        let started = Instant::now();
        let rows: Vec<RecordBatch> = source.stream("SELECT 1", &[("n", DataType::Int64)], None).try_collect().await.unwrap();
        assert_eq!(rows.len(), 1);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn query_timeout_ends_the_statement() {
    let source = Source::with("CREATE TABLE t (i INTEGER)", |options| options.pool.max_connections = 1).await;
    let error = failure_of(source.stream(ENDLESS, &[("n", DataType::Int64)], Some(Duration::from_millis(200)))).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "query_timeout of 200ms exceeded"));
    assert_eq!(error.datasource(), Some("shop"));
    assert!(error.hint_text().unwrap().contains("external.query_timeout"));
    tokio::time::timeout(Duration::from_secs(2), source.introspect()).await.expect("the connection is free");
    // While it is not, it says that the file is there.
    let mut busy = source.stream(ENDLESS, &[("n", DataType::Int64)], None);
    assert!(tokio::time::timeout(Duration::from_millis(100), busy.next()).await.is_err());
    assert_eq!(source.remote.ping(soon()).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_join_reads_the_smaller_table_first_without_analyze() {
    let numbers = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, i FROM n";
    let source = Source::of(&format!(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO big {numbers};
         CREATE TABLE small (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO small {numbers} LIMIT 10"
    ))
    .await;
    assert_eq!([source.table("big").await.row_estimate, source.table("small").await.row_estimate], [Some(20_000), Some(10)]);
    let context = SessionContext::new();
    for table in source.introspect().await.tables {
        context.register_table(table.name.clone(), Arc::clone(&source.remote).table(&table).unwrap()).unwrap();
    }
    for sql in ["SELECT * FROM big JOIN small ON big.a = small.a", "SELECT * FROM small JOIN big ON big.a = small.a"] {
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        let at = |table: &str| shown.find(&format!("\"{table}\"")).unwrap_or_else(|| panic!("{shown}"));
        assert!(shown.contains("HashJoin") && at("small") < at("big"), "{shown}");
    }
}

#[tokio::test]
async fn a_slow_consumer_gets_the_timeout_after_what_was_read() {
    let source = Source::of("CREATE TABLE t (i INTEGER)").await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let mut stream = source.stream(endless, &[("i", DataType::Int64)], Some(Duration::from_millis(200)));
    stream.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let error = failure_of(stream).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_lock_is_waited_for_and_then_an_error() {
    let source = Source::with("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1);", |options| {
        options.pool.connect_timeout = Duration::from_millis(600);
    })
    .await;
    let table = source.table("t").await;
    let read = async || {
        let provider = Arc::clone(&source.remote).table(&table).unwrap();
        SessionContext::new().read_table(provider).unwrap().collect().await
    };
    let writer = source.writer();
    writer.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES (2);").unwrap();
    let error = read().await.unwrap_err();
    let error = Error::find(&error).unwrap();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unreachable, "the database is locked by another program"));

    let (rows, ()) = tokio::join!(read(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        writer.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(rows.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 2, "it waited for the commit");
}

#[tokio::test]
async fn a_locked_file_is_called_so_at_open() {
    let source = Source::of("CREATE TABLE t (i INTEGER)").await;
    let writer = source.writer();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = open(&source.path(), |options| options.pool.connect_timeout = Duration::from_millis(800)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unreachable, "the database is locked by another program"));
}

#[tokio::test]
async fn a_write_that_was_cut_short_is_undone_where_writes_are_allowed() {
    let source = Source::of("PRAGMA page_size = 512; CREATE TABLE t (i INTEGER); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO t SELECT i FROM n").await;
    // A transaction that outgrows its cache writes to the file; what it and its journal are now is what a kill leaves.
    let writer = source.writer();
    writer.execute_batch("PRAGMA cache_size = 2; BEGIN; UPDATE t SET i = 0").unwrap();
    let killed = source.folder.path().join("killed");
    std::fs::copy(source.path(), &killed).unwrap();
    std::fs::copy(source.folder.path().join("db-journal"), source.folder.path().join("killed-journal")).unwrap();
    let untouched = || std::fs::read(&killed).unwrap() == std::fs::read(source.path()).unwrap();
    assert!(untouched());
    let error = open(&killed, |_| {}).await.unwrap_err();
    assert_eq!(error.message(), "a program ended in the midst of a write to the file, which must be undone first");
    assert!(untouched(), "a source that is not open to writes is left as it is");
    let remote = open(&killed, |options| options.allow_writes = true).await.unwrap();
    assert_eq!(remote.introspect(&Scope::default(), soon()).await.unwrap().tables.len(), 1);
    let least: i64 = Connection::open(&killed).unwrap().query_row("SELECT min(i) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(least, 1);
}

#[tokio::test]
async fn a_file_that_is_removed_or_replaced_is_noticed() {
    let source = Source::of("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1);").await;
    assert_eq!(source.read("t").await.unwrap().num_rows(), 1);
    std::fs::remove_file(source.path()).unwrap();
    let error = source.remote.ping(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("shop")));
    assert!(error.message().contains(source.path().to_str().unwrap()), "{error}");
    source.writer().execute_batch("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1), (2);").unwrap();
    assert_eq!(source.read("t").await.unwrap().num_rows(), 2, "a pooled connection would still see the old file");
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open(&folder.path().join("none"), |_| {}).await.unwrap_err();
    assert_eq!((missing.kind(), missing.datasource()), (ErrorKind::NotFound, Some("shop")));
    assert!(!folder.path().join("none").exists(), "it is not created");
    let other = folder.path().join("other");
    std::fs::write(&other, "this is text, long enough not to be taken for an empty database".repeat(20)).unwrap();
    assert_eq!(open(&other, |_| {}).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(open(folder.path(), |_| {}).await.unwrap_err().kind(), ErrorKind::Invalid);
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let remote = open(&empty, |_| {}).await.unwrap();
    assert!(remote.introspect(&Scope::default(), soon()).await.unwrap().tables.is_empty());
    assert_eq!(remote.ping(soon()).await.unwrap().product, "SQLite");
}

#[tokio::test]
async fn nothing_can_be_written() {
    let source = Source::of("CREATE TABLE t (i INTEGER)").await;
    let error = failure_of(source.stream("INSERT INTO t VALUES (1) RETURNING i", &[("i", DataType::Int64)], None)).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(source.read("t").await.unwrap().num_rows(), 0);
}

#[tokio::test]
async fn closing_fails_running_streams_and_later_calls() {
    let source = Source::of("CREATE TABLE t (i INTEGER)").await;
    let mut running = source.stream(ENDLESS, &[("n", DataType::Int64)], None);
    assert!(tokio::time::timeout(Duration::from_millis(50), running.next()).await.is_err());
    source.remote.close().await;
    assert_eq!(failure_of(running).await.kind(), ErrorKind::Unreachable);
    assert_eq!(source.remote.ping(soon()).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn more_statements_than_connections_take_turns() {
    let source = Source::with("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1);", |options| options.pool.max_connections = 2).await;
    let streams = (0..20).map(|_| source.stream("SELECT i FROM t", &[("i", DataType::Int64)], None).try_collect::<Vec<_>>());
    for rows in futures::future::join_all(streams).await {
        assert_eq!(rows.unwrap().len(), 1);
    }
}
