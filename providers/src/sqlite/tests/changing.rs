//! Rows changed in transactions, as the connector and another connection to the file then see them.

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::i256;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::*;
use crate::changes::{Insertion, RemoteTransaction, Returned, TransactionalRemote};
use crate::sql::Reliance;

const SHOP: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, qty INTEGER DEFAULT 7 CHECK (qty >= 0), \
                    kind INTEGER REFERENCES kind (id)); CREATE TABLE kind (id INTEGER PRIMARY KEY); INSERT INTO kind VALUES (1)";

impl Source {
    fn changes(&self) -> Arc<dyn TransactionalRemote> {
        Arc::clone(&self.remote).as_sql().unwrap().as_transactional().unwrap()
    }

    async fn begin(&self) -> Box<dyn RemoteTransaction> {
        self.changes().begin(soon()).await.unwrap()
    }

    fn counted(&self, sql: &str) -> i64 {
        self.writer().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// An insertion into these columns.
    async fn insertion(&self, table: &str, columns: &[&str], clauses: &str) -> Insertion {
        let table = self.table(table).await;
        let columns = columns.iter().map(|name| table.columns.iter().position(|column| column.name == *name).unwrap()).collect();
        Insertion {
            table: Arc::new(table),
            columns,
            clauses: clauses.to_owned(),
            updates: clauses.contains("DO UPDATE"),
            reliance: Reliance::default(),
        }
    }
}

fn stream(batches: Vec<Result<RecordBatch, DataFusionError>>) -> SendableRecordBatchStream {
    let schema = batches.iter().flatten().next().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
}

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(at, array)| (format!("c{at}"), array, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

fn items(ids: &[i64], names: &[&str]) -> RecordBatch {
    batch(vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(StringArray::from(names.to_vec()))])
}

fn rows(batch: RecordBatch) -> SendableRecordBatchStream {
    stream(vec![Ok(batch)])
}

fn sql(text: &str) -> RemoteSql {
    RemoteSql::new(text.to_owned())
}

async fn run(transaction: &mut Box<dyn RemoteTransaction>, text: &str) -> Result<u64> {
    transaction.run(&sql(text), None, soon()).await.map_err(ours)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
fn ours(error: DataFusionError) -> Error {
    Error::find(&error).unwrap_or_else(|| panic!("not an error of ours: {error}")).restated()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_reads_back_as_it_was_given() {
    let columns = "i INTEGER, r REAL, t TEXT, b BLOB, d DECIMAL(38,10), n NUMERIC, flag BOOLEAN, day DATE, at TIME, local DATETIME, \
                   instant TIMESTAMP WITH TIME ZONE, doc JSON TEXT, untyped, word STRING";
    for encoding in ["UTF-8", "UTF-16le"] {
        let source = Source::of(&format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")).await;
        let table = source.table("t").await;
        let day = 86_400_000_000;
        let wide = |text: &str| i256::from_string(text).unwrap();
        let one = i256::from_i128(10).wrapping_pow(38);
        let texts = ["", "naïve ☃ 😀", " trailing  ", "a\0b", "007", "'\"\\"];
        let given = batch(vec![
            Arc::new(Int64Array::from_iter(0..6)),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), Some(1), None])),
            Arc::new(Float64Array::from(vec![Some(5e-324), Some(f64::MAX), Some(f64::NEG_INFINITY), Some(0.1 + 0.2), Some(3.0), None])),
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b""), Some(b"\0\xff"), Some(b"text"), Some(b"7"), Some(b"'"), None])),
            Arc::new(
                Decimal128Array::from(vec![
                    Some(1),
                    Some(-123_450_000_000),
                    Some(i128::from(i64::MAX) * 10_i128.pow(10)),
                    Some(0),
                    Some(1_000_000_000_000),
                    None,
                ])
                .with_precision_and_scale(38, 10)
                .unwrap(),
            ),
            Arc::new(
                Decimal256Array::from(vec![
                    Some(one * i256::from_i128(10_i128.pow(20))),
                    Some(i256::MINUS_ONE),
                    Some(one * i256::from_i128(i128::from(i64::MIN))),
                    Some(wide("-15").wrapping_mul(i256::from_i128(10).wrapping_pow(37))),
                    Some(i256::ZERO),
                    None,
                ])
                .with_precision_and_scale(76, 38)
                .unwrap(),
            ),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false), None])),
            Arc::new(Date32Array::from(vec![Some(-719_528), Some(2_932_896), Some(0), Some(-1), Some(19_782), None])),
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), Some(day - 1), Some(1), Some(1_000_000), Some(60_000_000), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(-719_528 * day),
                Some(2_932_897 * day - 1),
                Some(-1),
                Some(0),
                Some(1_709_210_096_123_456),
                None,
            ])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-719_528 * day), Some(2_932_897 * day - 1), Some(-1), Some(0), Some(1), None])
                    .with_timezone("UTC"),
            ),
            Arc::new(StringArray::from(vec![
                Some("12345678901234567890.10"),
                Some("{\"a\": 1}"),
                Some("1.0"),
                Some("null"),
                Some("[]"),
                None,
            ])),
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(StringArray::from(vec![Some("x"), Some("7"), Some("-7.5"), Some("2024-01-01"), Some(""), None])),
        ]);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let insertion = source.insertion("t", &names, "").await;
        let mut transaction = source.begin().await;
        assert_eq!(transaction.insert(&insertion, rows(given.clone()), None, soon()).await.unwrap(), 6);
        transaction.commit(soon()).await.unwrap();
        let read = source.read("t").await.unwrap();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(read.column(at), given.column(at), "{name} {encoding}");
        }
    }
}

#[tokio::test]
async fn a_value_that_sqlite_would_change_is_refused() {
    let source = Source::of(
        "CREATE TABLE t (i INTEGER NOT NULL, r REAL, d DECIMAL(38,10), day DATE, at TIME, local DATETIME, doc JSON, id INTEGER PRIMARY KEY)",
    )
    .await;
    let decimal = |value| Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, 10).unwrap()) as ArrayRef;
    let real = |value| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let cases: Vec<(&str, ArrayRef, ErrorKind, &str)> = vec![
        ("r", real(f64::NAN), ErrorKind::Invalid, "22003"),
        ("r", real(-0.0), ErrorKind::Invalid, "22003"),
        ("d", decimal(12_345_678_901_234_567_890_123_456_789_i128), ErrorKind::Invalid, "22003"),
        ("day", Arc::new(Date32Array::from(vec![2_932_897])), ErrorKind::Invalid, "22008"),
        ("at", Arc::new(Time64MicrosecondArray::from(vec![86_400_000_000])), ErrorKind::Invalid, "22008"),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN])), ErrorKind::Invalid, "22008"),
        ("doc", Arc::new(StringArray::from(vec!["1.0"])), ErrorKind::Invalid, "22P02"),
        ("i", Arc::new(Int64Array::from(vec![None])), ErrorKind::Conflict, "23502"),
    ];
    for (column, array, kind, state) in cases {
        let insertion = source.insertion("t", &[column], "").await;
        let mut transaction = source.begin().await;
        let error = ours(transaction.insert(&insertion, rows(batch(vec![array])), None, soon()).await.unwrap_err());
        assert_eq!((error.kind(), error.remote_sqlstate(), error.datasource()), (kind, Some(state), Some("shop")), "{column}: {error}");
        assert!(error.message().contains(&format!("\"{column}\"")), "{error}");
    }
    // And what is declared otherwise than it was known is not written to.
    let insertion = source.insertion("t", &["doc"], "").await;
    source.writer().execute_batch("DROP TABLE t; CREATE TABLE t (doc INTEGER)").unwrap();
    let mut transaction = source.begin().await;
    let given = batch(vec![Arc::new(StringArray::from(vec!["a"]))]);
    let error = ours(transaction.insert(&insertion, rows(given), None, soon()).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
}

#[tokio::test]
async fn a_datasource_that_reads_text_takes_text_that_reads_back() {
    let source = Source::of("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, r REAL, day DATE)").await;
    let path = source.path();
    let values = [("path", path.to_str().unwrap()), ("on_mismatch", "text")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let options = Options::check(&manifest::MANIFEST, RemoteId::new("shop"), Path::new("/"), values.into(), BTreeMap::new()).unwrap();
    let source = Source { remote: SqliteConnector.open(&options).await.unwrap(), ..source };
    let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    for (column, given) in [("n", "007"), ("r", "7"), ("day", "1.0")] {
        let insertion = source.insertion("t", &[column], "").await;
        let mut transaction = source.begin().await;
        let error = ours(transaction.insert(&insertion, rows(batch(vec![text(&[given])])), None, soon()).await.unwrap_err());
        assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Invalid, Some("22P02")), "{column}: {error}");
    }
    let insertion = source.insertion("t", &["n", "r", "day"], "").await;
    let given = batch(vec![text(&["7", "seven"]), text(&["7.0", "0.5"]), text(&["2024-01-01", "today"])]);
    let mut transaction = source.begin().await;
    transaction.insert(&insertion, rows(given.clone()), None, soon()).await.unwrap();
    transaction.commit(soon()).await.unwrap();
    let read = source.read("t").await.unwrap();
    assert_eq!(read.columns()[1..], *given.columns());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_there_after_the_commit_or_nothing() {
    for journal in ["delete", "wal"] {
        let source = Source::of(&format!("PRAGMA journal_mode = {journal}; {SHOP}")).await;
        let insertion = source.insertion("item", &["id", "name"], "").await;
        let count = || source.counted("SELECT count(*) FROM item");
        // Dropped.
        let mut transaction = source.begin().await;
        transaction.insert(&insertion, rows(items(&[1], &["a"])), None, soon()).await.unwrap();
        drop(transaction);
        // Failed in the midst, by the source and by the rows' own giver.
        let mut transaction = source.begin().await;
        transaction.insert(&insertion, rows(items(&[1], &["a"])), None, soon()).await.unwrap();
        let error = ours(transaction.insert(&insertion, rows(items(&[2, 3], &["b", "a"])), None, soon()).await.unwrap_err());
        assert_eq!(error.remote_sqlstate(), Some("23505"));
        for error in [run(&mut transaction, "DELETE FROM item").await.unwrap_err(), transaction.commit(soon()).await.unwrap_err()] {
            assert_eq!((error.kind(), error.remote_sqlstate(), error.datasource()), (ErrorKind::Failed, Some("25P02"), Some("shop")));
        }
        let mut transaction = source.begin().await;
        let broken = stream(vec![Ok(items(&[1], &["a"])), Err(DataFusionError::Execution("theirs".to_owned()))]);
        let error = transaction.insert(&insertion, broken, None, soon()).await.unwrap_err();
        assert!(matches!(error, DataFusionError::Execution(text) if text == "theirs"));
        assert!(transaction.commit(soon()).await.is_err());
        assert_eq!(count(), 0, "{journal}");
        // Committed, and seen by others from then on.
        let mut transaction = source.begin().await;
        transaction.insert(&insertion, rows(items(&[1, 2], &["a", "b"])), None, soon()).await.unwrap();
        assert_eq!(run(&mut transaction, "UPDATE item SET name = 'c' WHERE id = 2").await.unwrap(), 1);
        assert_eq!((count(), source.read("item").await.unwrap().num_rows()), (0, 0));
        transaction.commit(soon()).await.unwrap();
        assert_eq!((count(), source.read("item").await.unwrap().num_rows()), (2, 2));
        // The connection is clean, and used again.
        let mut transaction = source.begin().await;
        assert_eq!(run(&mut transaction, "DELETE FROM item").await.unwrap(), 2);
        transaction.commit(soon()).await.unwrap();
        assert_eq!(count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_defaults_conflict_clauses_and_returned_rows() {
    let source = Source::of(SHOP).await;
    let mut transaction = source.begin().await;
    let insertion = source.insertion("item", &["id", "name"], "").await;
    let many: Vec<String> = (0..20_000).map(|id| format!("n{id}")).collect();
    let many = items(&(0..20_000).collect::<Vec<_>>(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let batches = (0..20).map(|at| Ok(many.slice(at * 1000, 1000))).collect();
    assert_eq!(transaction.insert(&insertion, stream(batches), None, soon()).await.unwrap(), 20_000);
    // Rows that are met count, whatever becomes of their values.
    assert_eq!(run(&mut transaction, "UPDATE item SET qty = qty WHERE id < 10").await.unwrap(), 10);
    assert_eq!(run(&mut transaction, "UPDATE item SET qty = 1 WHERE id < 0").await.unwrap(), 0);
    assert_eq!(run(&mut transaction, "DELETE FROM item WHERE id >= 10000").await.unwrap(), 10_000);
    let skipping = Insertion { clauses: "ON CONFLICT DO NOTHING".to_owned(), ..insertion.clone() };
    assert_eq!(transaction.insert(&skipping, rows(items(&[1, 10_000], &["x", "new"])), None, soon()).await.unwrap(), 1);
    let schema = Arc::new(Schema::new(vec![Field::new("q", DataType::Int64, true), Field::new("n", DataType::Utf8, true)]));
    let mut seen = Vec::new();
    let mut take = |batch: RecordBatch| {
        seen.push(batch);
        Ok(())
    };
    let clauses = "ON CONFLICT (id) DO UPDATE SET name = excluded.name, qty = 0 RETURNING qty, name".to_owned();
    let updating = Insertion { clauses, ..insertion.clone() };
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    let given = items(&[1, 20_000], &["one", "last"]);
    assert_eq!(transaction.insert(&updating, rows(given), Some(returned), soon()).await.unwrap(), 2);
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    let statement = sql("UPDATE item SET qty = qty + 1 RETURNING qty, name");
    assert_eq!(transaction.run(&statement, Some(returned), soon()).await.unwrap(), 10_002);
    assert_eq!(seen.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_004);
    assert!(seen.iter().all(|batch| batch.schema() == schema && batch.num_rows() <= 8192));
    assert_eq!(seen[0].column(0).as_primitive::<Int64Type>().values(), &[0, 7]);
    assert_eq!(seen[0].column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["one", "last"]);
    // Whoever takes the rows may refuse them, and that ends it.
    let mut refuse = |_| Err(DataFusionError::Execution("enough".to_owned()));
    let returned = Returned { schema, take: &mut refuse };
    let error = transaction.run(&sql("DELETE FROM item RETURNING qty, name"), Some(returned), soon()).await.unwrap_err();
    assert!(matches!(error, DataFusionError::Execution(text) if text == "enough"));
    assert!(transaction.commit(soon()).await.is_err());
    assert_eq!(source.counted("SELECT count(*) FROM item"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_nothing_but_defaults() {
    let source = Source::of("CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT DEFAULT 'now', n INTEGER)").await;
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let nothing = || rows(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap());
    let mut transaction = source.begin().await;
    assert_eq!(transaction.insert(&source.insertion("t", &[], "").await, nothing(), None, soon()).await.unwrap(), 3);
    let mut ids = Vec::new();
    let mut take = |batch: RecordBatch| {
        ids.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
        Ok(())
    };
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let returned = Returned { schema, take: &mut take };
    let returning = source.insertion("t", &[], "RETURNING id").await;
    assert_eq!(transaction.insert(&returning, nothing(), Some(returned), soon()).await.unwrap(), 3);
    assert_eq!(ids, [4, 5, 6]);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(source.counted("SELECT count(*) FROM t WHERE at = 'now' AND n IS NULL"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_are_conflicts_with_their_state() {
    let source = Source::of(&format!(
        "{SHOP}; INSERT INTO item VALUES (1, 'secret', 1, 1); CREATE TABLE strict (n INTEGER) STRICT; \
         CREATE TABLE late (k INTEGER REFERENCES kind (id) DEFERRABLE INITIALLY DEFERRED)"
    ))
    .await;
    for (text, kind, state, named) in [
        ("INSERT INTO item (name) VALUES ('secret')", ErrorKind::Conflict, "23505", "item.name"),
        ("UPDATE item SET id = 1, name = NULL", ErrorKind::Conflict, "23502", "item.name"),
        ("UPDATE item SET qty = -1", ErrorKind::Conflict, "23514", "qty >= 0"),
        ("UPDATE item SET kind = 8", ErrorKind::Conflict, "23503", "foreign key"),
        ("DELETE FROM kind", ErrorKind::Conflict, "23503", "foreign key"),
        ("UPDATE item SET id = 'secret'", ErrorKind::Invalid, "22P02", "integers"),
        ("INSERT INTO strict VALUES ('secret')", ErrorKind::Invalid, "22P02", "strict"),
    ] {
        let mut transaction = source.begin().await;
        let error = run(&mut transaction, text).await.unwrap_err();
        assert_eq!((error.kind(), error.remote_sqlstate(), error.datasource()), (kind, Some(state), Some("shop")), "{text}: {error}");
        assert!(error.message().contains(named) && !error.message().contains("secret"), "{error}");
    }
    let mut transaction = source.begin().await;
    run(&mut transaction, "INSERT INTO late VALUES (9)").await.unwrap();
    let error = transaction.commit(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Conflict, Some("23503")));
    assert_eq!(source.counted("SELECT count(*) FROM late"), 0);
    let mut transaction = source.begin().await;
    assert_eq!(run(&mut transaction, "DELETE FROM nowhere").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_relies_on_what_it_computes_with() {
    let source = Source::of("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1)").await;
    let mut reliance = Reliance::default();
    reliance.on(&Arc::new(source.table("t").await), 1);
    let statement = RemoteSql { reliance, ..sql("UPDATE t SET n = 2 WHERE n = 1") };
    let mut transaction = source.begin().await;
    assert_eq!(transaction.run(&statement, None, soon()).await.unwrap(), 1);
    // Found sound, and belied by the transaction itself since.
    run(&mut transaction, "UPDATE t SET n = 'x'").await.unwrap();
    let error = ours(transaction.run(&statement, None, soon()).await.unwrap_err());
    assert_eq!((error.kind(), error.code_text()), (ErrorKind::Invalid, Some(crate::error::VALUE_REFUSED)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_not_wanted_any_more_ends_and_frees_the_file() {
    let source = Source::of(SHOP).await;
    let endless = sql(&format!("INSERT INTO kind {}", ENDLESS.replace("count(*)", "1000000 + count(*)")));
    // Dropped, out of time, closed: each time the file is free soon.
    let mut transaction = source.begin().await;
    run(&mut transaction, "INSERT INTO kind VALUES (2)").await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(300), transaction.run(&endless, None, soon())).await;
    assert!(dropped.is_err());
    wait_for_lock(&source).await;
    // It lives on and is of no use.
    assert_eq!(run(&mut transaction, "DELETE FROM kind").await.unwrap_err().remote_sqlstate(), Some("25P02"));
    let mut transaction = source.begin().await;
    let error = ours(transaction.run(&endless, None, Deadline::after(Duration::from_millis(300))).await.unwrap_err());
    assert_eq!(error.to_string(), "datasource \"shop\": the change took longer than 300ms");
    wait_for_lock(&source).await;
    let mut transaction = source.begin().await;
    // Rows that do not come.
    let insertion = source.insertion("item", &["id", "name"], "").await;
    let schema = items(&[1], &["a"]).schema();
    let late = futures::stream::once(async { Ok(items(&[1], &["a"])) }).chain(futures::stream::pending());
    let late: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, late));
    let error = ours(transaction.insert(&insertion, late, None, Deadline::after(Duration::from_millis(300))).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    wait_for_lock(&source).await;
    let mut transaction = source.begin().await;
    let remote = Arc::clone(&source.remote);
    let (done, ()) = tokio::join!(transaction.run(&endless, None, soon()), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        remote.close().await;
    });
    assert_eq!(ours(done.unwrap_err()).message(), "the datasource was closed");
    wait_for_lock(&source).await;
    assert_eq!(source.changes().begin(soon()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!((source.counted("SELECT count(*) FROM kind"), source.counted("SELECT count(*) FROM item")), (1, 0));
}

/// Waits until another program can write.
async fn wait_for_lock(source: &Source) {
    let begun = Instant::now();
    let other = source.writer();
    other.busy_timeout(Duration::ZERO).unwrap();
    while other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the file stays locked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_in_no_readers_way_and_another_waits_its_turn() {
    for journal in ["delete", "wal"] {
        let source = Source::of(&format!("PRAGMA journal_mode = {journal}; {SHOP}")).await;
        let insertion = source.insertion("item", &["id", "name"], "").await;
        let mut first = source.begin().await;
        // More than SQLite's own cache holds.
        let names: Vec<String> = (0..20_000).map(|id| format!("{id}{}", "x".repeat(200))).collect();
        let many = items(&(0..20_000).collect::<Vec<_>>(), &names.iter().map(String::as_str).collect::<Vec<_>>());
        first.insert(&insertion, rows(many), None, soon()).await.unwrap();
        assert_eq!(source.read("item").await.unwrap().num_rows(), 0);
        let error = source.changes().begin(Deadline::after(Duration::from_millis(400))).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unreachable, "the database is locked by another program"));
        let changes = source.changes();
        let (second, ()) = tokio::join!(changes.begin(soon()), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            first.commit(soon()).await.unwrap();
        });
        let mut second = second.unwrap();
        assert_eq!(run(&mut second, "DELETE FROM item").await.unwrap(), 20_000);
        // A reader that stays keeps a commit from happening where there is no WAL, and that is known.
        let mut reader = source.writer();
        let reading = reader.transaction().unwrap();
        reading.query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0)).unwrap();
        let done = second.commit(Deadline::after(Duration::from_millis(600))).await;
        if journal == "wal" {
            done.unwrap();
        } else {
            let error = done.unwrap_err();
            assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Conflict, Some("55P03")));
        }
        drop(reading);
        assert_eq!(source.counted("SELECT count(*) FROM item"), if journal == "wal" { 0 } else { 20_000 });
    }
}

#[tokio::test]
async fn a_file_that_is_gone_or_may_not_be_written_to_says_so() {
    let source = Source::of(SHOP).await;
    // The connection that idles has the old file.
    source.begin().await.commit(soon()).await.unwrap();
    std::fs::rename(source.path(), source.folder.path().join("old")).unwrap();
    assert_eq!(source.changes().begin(soon()).await.unwrap_err().kind(), ErrorKind::NotFound);
    Connection::open(source.path()).unwrap().execute_batch("CREATE TABLE fresh (n INTEGER)").unwrap();
    let mut transaction = source.begin().await;
    assert_eq!(run(&mut transaction, "INSERT INTO fresh VALUES (1)").await.unwrap(), 1);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(source.counted("SELECT count(*) FROM fresh"), 1);
    let mut bytes = std::fs::read(source.path()).unwrap();
    bytes[18] = 3;
    std::fs::write(source.path(), &bytes).unwrap();
    let remote = open(&source.path(), |_| {}).await.unwrap();
    let error = remote.as_sql().unwrap().as_transactional().unwrap().begin(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthorized, "the database file may not be written to"));
}
