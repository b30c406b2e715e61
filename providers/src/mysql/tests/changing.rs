//! Rows changed in transactions, as the connector and the server's root then see them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array,
    IntervalMonthDayNanoArray, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::server::{PASSWORD, READER, TestServer, context, look, ours, shown, table};
use super::types::cases;
use crate::changes::{Insertion, RemoteTransaction, Returned, TransactionalRemote};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::mysql::MySqlRemote;
use crate::remote::Remote;
use crate::sql::RemoteSql;

/// A new database whose reader may do everything, and the datasource on it.
async fn writable(server: &TestServer, name: &str, tables: &[&str]) -> (Conn, Arc<MySqlRemote>) {
    let mut admin = server.database(name).await;
    admin.query_drop(format!("GRANT ALL ON `{name}`.* TO {READER}")).await.unwrap();
    for table in tables {
        admin.query_drop(*table).await.unwrap();
    }
    (admin, server.remote(name).await)
}

const ITEM: &str = "CREATE TABLE item (id int PRIMARY KEY, name varchar(10) NOT NULL UNIQUE, qty int DEFAULT 7 CHECK (qty >= 0), \
                    kind int, CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES kind (id))";
const KIND: &str = "CREATE TABLE kind (id int PRIMARY KEY)";

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

async fn count(admin: &mut Conn, sql: &str) -> u64 {
    admin.query_first(sql).await.unwrap().unwrap()
}

async fn into(remote: &MySqlRemote, name: &str, columns: &[&str], clauses: &str) -> Insertion {
    let table = table(remote, name).await;
    let columns = columns.iter().map(|name| table.columns.iter().position(|column| column.name == *name).unwrap()).collect();
    Insertion { table: Arc::new(table), columns, clauses: clauses.to_owned(), updates: false, reliance: crate::sql::Reliance::default() }
}

fn stream(batches: Vec<Result<RecordBatch, DataFusionError>>) -> SendableRecordBatchStream {
    let schema = batches.iter().flatten().next().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
}

fn rows(columns: Vec<ArrayRef>) -> SendableRecordBatchStream {
    stream(vec![Ok(batch(columns))])
}

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(at, array)| (format!("c{at}"), array, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

fn items(ids: &[i32], names: &[&str]) -> SendableRecordBatchStream {
    rows(vec![Arc::new(Int32Array::from(ids.to_vec())), Arc::new(StringArray::from(names.to_vec()))])
}

async fn run(transaction: &mut Box<dyn RemoteTransaction>, text: &str) -> Result<u64, Error> {
    transaction.run(&RemoteSql::new(text), None, soon()).await.map_err(|error| ours(&error).restated())
}

async fn insert(transaction: &mut Box<dyn RemoteTransaction>, into: &Insertion, rows: SendableRecordBatchStream) -> Result<u64, Error> {
    transaction.insert(into, rows, None, soon()).await.map_err(|error| ours(&error).restated())
}

async fn column(remote: &Arc<MySqlRemote>, table: &str, column: &str) -> RecordBatch {
    let frame = context(remote).await.sql(&format!("SELECT {column} FROM {table} ORDER BY id")).await.unwrap();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    concat_batches(&schema, &frame.collect().await.unwrap()).unwrap()
}

#[tokio::test]
async fn every_type_reads_back_as_it_was_given() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "change_types", &[]).await;
    for (at, (declaration, values, ..)) in cases().into_iter().enumerate() {
        admin.query_drop(format!("CREATE TABLE t{at} (id int PRIMARY KEY AUTO_INCREMENT, v {declaration})")).await.unwrap();
        admin.query_drop(format!("CREATE TABLE u{at} LIKE t{at}")).await.unwrap();
        for value in values {
            admin.query_drop(format!("INSERT INTO t{at} (v) VALUES ({value})")).await.unwrap();
        }
        admin.query_drop(format!("INSERT INTO t{at} (v) VALUES (NULL)")).await.unwrap();
    }
    let seen = look(&remote).await;
    let context = context(&remote).await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    let mut read = Vec::new();
    for (at, (declaration, ..)) in cases().into_iter().enumerate() {
        let given = context.sql(&format!("SELECT v FROM t{at} ORDER BY id")).await.unwrap().collect().await.unwrap();
        let table = seen.tables.iter().find(|table| table.name == format!("u{at}")).unwrap();
        let insertion = Insertion {
            table: Arc::new(table.clone()),
            columns: vec![1],
            clauses: String::new(),
            updates: false,
            reliance: crate::sql::Reliance::default(),
        };
        if declaration == "point" || declaration == "geometry" {
            let mut other = remote.begin(soon()).await.unwrap();
            let error = insert(&mut other, &insertion, stream(given.into_iter().map(Ok).collect())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            continue;
        }
        let inserted = insert(&mut transaction, &insertion, stream(given.iter().cloned().map(Ok).collect())).await;
        assert_eq!(inserted.unwrap_or_else(|error| panic!("{declaration}: {error}")), shown(&given).len() as u64);
        read.push((at, declaration, shown(&given)));
    }
    transaction.commit(soon()).await.unwrap();
    for (at, declaration, given) in read {
        let back = context.sql(&format!("SELECT v FROM u{at} ORDER BY id")).await.unwrap().collect().await.unwrap();
        assert_eq!(shown(&back), given, "{declaration}");
    }
}

#[tokio::test]
async fn awkward_values_read_back_as_they_were_given() {
    let Some(server) = TestServer::shared() else { return };
    let columns = "f float, d double, v varchar(60), t longtext, b longblob, dt datetime(6), da date, n decimal(38,10), a int, j json";
    let create = format!("CREATE TABLE t (id int PRIMARY KEY, {columns}) CHARACTER SET utf8mb4");
    let (_, remote) = writable(server, "change_awkward", &[&create]).await;
    let texts = ["", "naïve ☃ 😀", " trailing  ", "a\0b\\n'\"`%_", "NULL", "\u{10ffff}"];
    let largest = 253_402_300_799_999_999;
    let given = batch(vec![
        Arc::new(Int32Array::from(vec![i32::MIN, -1, 0, 1, 2, i32::MAX])),
        Arc::new(Float32Array::from(vec![Some(0.0), Some(1e-45), Some(f32::MAX), Some(1.1), Some(f32::MIN_POSITIVE), None])),
        Arc::new(Float64Array::from(vec![Some(0.0), Some(5e-324), Some(f64::MIN), Some(0.1 + 0.2), Some(f64::MIN_POSITIVE), None])),
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b""), Some(b"\0\xff"), Some(b"  "), Some(b"'\\"), Some(b"\x1a"), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(0), Some(largest), Some(-62_135_596_800_000_000), Some(1), None])),
        Arc::new(Date32Array::from(vec![Some(-1), Some(0), Some(2_932_896), Some(-719_162), Some(19_782), None])),
        Arc::new(
            Decimal128Array::from(vec![Some(10_i128.pow(38) - 1), Some(1 - 10_i128.pow(38)), Some(1), Some(-1), Some(0), None])
                .with_precision_and_scale(38, 10)
                .unwrap(),
        ),
        Arc::new(Int32Array::from(vec![Some(0), None, Some(1), None, Some(-1), None])),
        Arc::new(StringArray::from(vec![Some("{ \"a\":1.0}"), Some("null"), Some("\"😀\""), Some("1e400"), Some("[]"), None])),
    ]);
    let names = ["id", "f", "d", "v", "t", "b", "dt", "da", "n", "a", "j"];
    let insertion = into(&remote, "t", &names, "").await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    assert_eq!(insert(&mut transaction, &insertion, stream(vec![Ok(given.clone())])).await.unwrap(), 6);
    transaction.commit(soon()).await.unwrap();
    for (at, name) in names.iter().enumerate() {
        let back = column(&remote, "t", name).await;
        assert_eq!(format!("{:?}", back.column(0)), format!("{:?}", given.column(at)), "{name}");
    }
}

#[tokio::test]
async fn what_the_options_publish_otherwise_is_taken_in_that_form() {
    let Some(server) = TestServer::shared() else { return };
    let create = "CREATE TABLE t (id int PRIMARY KEY, d date, dt datetime(3), b tinyint(1))";
    writable(server, "change_options", &[create]).await;
    let options = server.options_with("change_options", &[("zero_dates", "text"), ("tinyint1", "boolean")], PASSWORD);
    let remote = Arc::new(MySqlRemote::open(&options).await.unwrap());
    let insertion = into(&remote, "t", &["id", "d", "dt", "b"], "").await;
    let row = |date: &str, moment: &str| {
        rows(vec![
            Arc::new(Int32Array::from(vec![1])),
            Arc::new(StringArray::from(vec![date])),
            Arc::new(StringArray::from(vec![moment])),
            Arc::new(BooleanArray::from(vec![true])),
        ])
    };
    for (date, moment) in
        [("2024-2-1", "2024-02-01 00:00:00.000"), ("2024-02-01", "2024-02-01 00:00:00"), ("2024-02-31", "2024-02-01 00:00:00.000")]
    {
        let mut transaction = remote.begin(soon()).await.unwrap();
        let error = insert(&mut transaction, &insertion, row(date, moment)).await.unwrap_err();
        assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Invalid, Some("22007")), "{date} {moment}: {error}");
    }
    let mut transaction = remote.begin(soon()).await.unwrap();
    insert(&mut transaction, &insertion, row("0000-00-00", "2024-00-10 01:02:03.500")).await.unwrap();
    transaction.commit(soon()).await.unwrap();
    assert_eq!(shown(&[column(&remote, "t", "d, dt, b").await]), [["0000-00-00", "2024-00-10 01:02:03.500", "true"]]);
}

#[tokio::test]
async fn a_value_that_the_server_would_change_is_refused() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(
        server,
        "change_refused",
        &[
            "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, c char(5), v varchar(3), l varchar(9) CHARACTER SET latin1, i tinyint, \
             y year, f float(7,2), d double, b binary(3), bits bit(4), e enum('small','LARGE'), s set('a','b'), dt datetime(3), \
             ts timestamp NULL, tm time, u uuid, ip inet6, n decimal(5,2), nn int NOT NULL DEFAULT 1)",
            "CREATE TABLE loose (id int) ENGINE = MyISAM",
        ],
    )
    .await;
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let moment = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros])) as ArrayRef;
    let instant = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("+00:00")) as ArrayRef;
    let interval = |value| Arc::new(IntervalMonthDayNanoArray::from(vec![value])) as ArrayRef;
    let cases: Vec<(&str, ArrayRef, &str)> = vec![
        ("c", text("ab "), "22001"),
        ("c", text("abcdef"), "22001"),
        ("v", text("abcd"), "22001"),
        ("v", text("abc "), "22P02"),
        ("l", text("😀"), "22P02"),
        ("i", Arc::new(Int16Array::from(vec![128])), "22003"),
        ("y", Arc::new(Int16Array::from(vec![70])), "22003"),
        ("f", Arc::new(Float32Array::from(vec![1.239])), "22003"),
        ("f", Arc::new(Float32Array::from(vec![-0.0])), "22003"),
        ("d", Arc::new(Float64Array::from(vec![-0.0])), "22003"),
        ("d", Arc::new(Float64Array::from(vec![f64::NAN])), "22003"),
        ("d", Arc::new(Float64Array::from(vec![f64::INFINITY])), "22003"),
        ("b", Arc::new(BinaryArray::from_vec(vec![b"x"])), "22026"),
        ("bits", text("101"), "22P02"),
        ("bits", text("00x1"), "22P02"),
        ("e", text("large"), "22P02"),
        ("e", text("1"), "22P02"),
        ("s", text("b,a"), "22P02"),
        ("dt", moment(1), "22008"),
        ("dt", moment(253_402_300_800_000_000), "22008"),
        ("ts", instant(4_102_444_800_000_000 * 3), "22007"),
        ("tm", interval(IntervalMonthDayNano::new(0, 1, 0)), "22008"),
        ("tm", interval(IntervalMonthDayNano::new(0, 0, 839 * 3_600_000_000_000)), "22008"),
        ("u", text("no uuid"), "22P02"),
        ("ip", text("no address"), "22P02"),
    ];
    for (column, array, state) in cases {
        let insertion = into(&remote, "t", &[column], "").await;
        let mut transaction = remote.begin(soon()).await.unwrap();
        let shown = format!("{column} {array:?}");
        let error = insert(&mut transaction, &insertion, rows(vec![array])).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.remote_sqlstate(), error.datasource()),
            (ErrorKind::Invalid, Some(state), Some("shop")),
            "{shown}: {error}"
        );
        assert!(error.message().contains(&format!("\"{column}\"")), "{shown}: {error}");
    }
    for column in ["nn", "id"] {
        let insertion = into(&remote, "t", &[column], "").await;
        let mut transaction = remote.begin(soon()).await.unwrap();
        let error = insert(&mut transaction, &insertion, rows(vec![Arc::new(Int32Array::from(vec![None]))])).await.unwrap_err();
        assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Conflict, Some("23502")), "{column}: {error}");
    }
    // What a statement computes over there is refused, too.
    admin.query_drop("INSERT INTO t (v, n) VALUES ('abc', 1.25)").await.unwrap();
    for (text, state) in [
        ("UPDATE t SET v = CONCAT(v, ' ')", "22P02"),
        ("UPDATE t SET v = 'abcd'", "22001"),
        ("UPDATE t SET n = n / 3", "22P02"),
        ("UPDATE t SET i = 300", "22003"),
        ("UPDATE t SET ts = '2024-02-31'", "22007"),
        ("UPDATE t SET i = 'x'", "22P02"),
    ] {
        let mut transaction = remote.begin(soon()).await.unwrap();
        let error = run(&mut transaction, text).await.unwrap_err();
        assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Invalid, Some(state)), "{text}: {error}");
    }
    // An engine that keeps what is rolled back, and a column that is another one now.
    let mut transaction = remote.begin(soon()).await.unwrap();
    let loose = into(&remote, "loose", &["id"], "").await;
    let one = || rows(vec![Arc::new(Int32Array::from(vec![1])) as ArrayRef]);
    assert_eq!(insert(&mut transaction, &loose, one()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let insertion = into(&remote, "t", &["nn"], "").await;
    admin.query_drop("ALTER TABLE t MODIFY nn bigint NOT NULL").await.unwrap();
    let mut transaction = remote.begin(soon()).await.unwrap();
    assert_eq!(insert(&mut transaction, &insertion, one()).await.unwrap_err().kind(), ErrorKind::SchemaMismatch);
}

#[tokio::test]
async fn all_is_there_after_the_commit_or_nothing() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "change_atomic", &[KIND, ITEM]).await;
    let insertion = into(&remote, "item", &["id", "name"], "").await;
    let counting = "SELECT COUNT(*) FROM item";
    let mut transaction = remote.begin(soon()).await.unwrap();
    insert(&mut transaction, &insertion, items(&[1], &["a"])).await.unwrap();
    drop(transaction);
    let mut transaction = remote.begin(soon()).await.unwrap();
    insert(&mut transaction, &insertion, items(&[2], &["b"])).await.unwrap();
    let error = insert(&mut transaction, &insertion, items(&[3, 4], &["c", "b"])).await.unwrap_err();
    assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Conflict, Some("23505")));
    for error in [run(&mut transaction, "DELETE FROM item").await.unwrap_err(), transaction.commit(soon()).await.unwrap_err()] {
        assert_eq!((error.kind(), error.remote_sqlstate(), error.datasource()), (ErrorKind::Failed, Some("25P02"), Some("shop")));
    }
    let mut transaction = remote.begin(soon()).await.unwrap();
    let broken = stream(vec![
        Ok(batch(vec![Arc::new(Int32Array::from(vec![5])), Arc::new(StringArray::from(vec!["e"]))])),
        Err(DataFusionError::Execution("theirs".to_owned())),
    ]);
    let error = transaction.insert(&insertion, broken, None, soon()).await.unwrap_err();
    assert!(matches!(error, DataFusionError::Execution(text) if text == "theirs"));
    assert!(transaction.commit(soon()).await.is_err());
    assert_eq!(count(&mut admin, counting).await, 0);
    let mut transaction = remote.begin(soon()).await.unwrap();
    assert_eq!(insert(&mut transaction, &insertion, items(&[1, 2], &["a", "b"])).await.unwrap(), 2);
    // Rows that are met count, whatever becomes of their values.
    assert_eq!(run(&mut transaction, "UPDATE item SET qty = 7").await.unwrap(), 2);
    assert_eq!(run(&mut transaction, "UPDATE item SET qty = 8 WHERE id = 9").await.unwrap(), 0);
    assert_eq!((count(&mut admin, counting).await, column(&remote, "item", "id").await.num_rows()), (0, 0));
    transaction.commit(soon()).await.unwrap();
    assert_eq!((count(&mut admin, counting).await, column(&remote, "item", "id").await.num_rows()), (2, 2));
    // The connection is clean, and used again.
    let mut transaction = remote.begin(soon()).await.unwrap();
    assert_eq!(run(&mut transaction, "DELETE FROM item").await.unwrap(), 2);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&mut admin, counting).await, 0);
}

#[tokio::test]
async fn many_rows_defaults_and_returned_rows() {
    let Some(server) = TestServer::shared() else { return };
    let wide = "CREATE TABLE wide (id int PRIMARY KEY AUTO_INCREMENT, v longtext, n int DEFAULT 5)";
    let (mut admin, remote) = writable(server, "change_many", &[wide]).await;
    let insertion = into(&remote, "wide", &["id", "v"], "").await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    let part = |from: i32| {
        let texts: Vec<String> = (from..from + 5000).map(|id| format!("{id}{}", "x".repeat(usize::try_from(id).unwrap() % 300))).collect();
        batch(vec![Arc::new(Int32Array::from_iter_values(from..from + 5000)), Arc::new(StringArray::from(texts))])
    };
    let batches = (0..6).map(|at| Ok(part(at * 5000))).collect();
    assert_eq!(insert(&mut transaction, &insertion, stream(batches)).await.unwrap(), 30_000);
    // Larger than a statement is made, and as large as one may be.
    let large = "y".repeat(3 << 20);
    let given = rows(vec![Arc::new(Int32Array::from(vec![30_000, 30_001])), Arc::new(StringArray::from(vec![large.as_str(), "z"]))]);
    assert_eq!(insert(&mut transaction, &insertion, given).await.unwrap(), 2);
    let nothing = |count| {
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        stream(vec![Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap())])
    };
    let defaults = into(&remote, "wide", &[], "").await;
    assert_eq!(insert(&mut transaction, &defaults, nothing(3)).await.unwrap(), 3);
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int32, false), Field::new("n", DataType::Int32, true)]));
    let mut seen = Vec::new();
    let mut take = |batch: RecordBatch| {
        seen.push(batch);
        Ok(())
    };
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    let returning = into(&remote, "wide", &["id", "v"], "RETURNING id, n").await;
    let batches = (10..13).map(|at| Ok(part(at * 5000))).collect();
    assert_eq!(transaction.insert(&returning, stream(batches), Some(returned), soon()).await.unwrap(), 15_000);
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    let returning = into(&remote, "wide", &[], "RETURNING id, n").await;
    assert_eq!(transaction.insert(&returning, nothing(2), Some(returned), soon()).await.unwrap(), 2);
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    let statement = RemoteSql::new("DELETE FROM wide WHERE id >= 60000 RETURNING id, n");
    assert_eq!(transaction.run(&statement, Some(returned), soon()).await.unwrap(), 5002);
    let ids: Vec<i32> = seen.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
    assert_eq!((ids.len(), ids[0], ids[14_999]), (20_004, 50_000, 64_999));
    assert!(seen.iter().all(|batch| batch.num_rows() <= 8192 && batch.column(1).as_primitive::<Int32Type>().value(0) == 5));
    // Whoever takes the rows may refuse them.
    let mut refuse = |_| Err(DataFusionError::Execution("enough".to_owned()));
    let returned = Returned { schema, take: &mut refuse };
    let error = transaction.run(&RemoteSql::new("DELETE FROM wide RETURNING id, n"), Some(returned), soon()).await.unwrap_err();
    assert!(matches!(error, DataFusionError::Execution(text) if text == "enough"));
    assert!(transaction.commit(soon()).await.is_err());
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM wide").await, 0);
    // More than a packet takes.
    let mut transaction = remote.begin(soon()).await.unwrap();
    let huge = "y".repeat(17 << 20);
    let given = rows(vec![Arc::new(Int32Array::from(vec![1])), Arc::new(StringArray::from(vec![huge]))]);
    assert_eq!(insert(&mut transaction, &insertion, given).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn constraints_are_conflicts_with_their_state() {
    let Some(server) = TestServer::shared() else { return };
    let fill = "INSERT INTO item VALUES (1, 'secret', 1, 1)";
    let (mut admin, remote) = writable(server, "change_refusals", &[KIND, ITEM, "INSERT INTO kind VALUES (1)", fill]).await;
    for (text, kind, state, named) in [
        ("INSERT INTO item (id, name) VALUES (2, 'secret')", ErrorKind::Conflict, "23505", "name"),
        ("UPDATE item SET name = NULL", ErrorKind::Conflict, "23502", "\"name\""),
        ("INSERT INTO item (id) VALUES (3)", ErrorKind::Conflict, "23502", "\"name\""),
        ("UPDATE item SET qty = -1", ErrorKind::Conflict, "23514", "qty"),
        ("UPDATE item SET kind = 8", ErrorKind::Conflict, "23503", "of_kind"),
        ("DELETE FROM kind", ErrorKind::Conflict, "23503", "of_kind"),
        ("UPDATE item SET id = 'secret'", ErrorKind::Invalid, "22P02", "\"id\""),
        ("UPDATE item SET name = 'secret secret'", ErrorKind::Invalid, "22001", "\"name\""),
        ("DELETE FROM nowhere", ErrorKind::NotFound, "42S02", ""),
    ] {
        let mut transaction = remote.begin(soon()).await.unwrap();
        let error = run(&mut transaction, text).await.unwrap_err();
        assert_eq!((error.kind(), error.remote_sqlstate(), error.datasource()), (kind, Some(state), Some("shop")), "{text}: {error}");
        assert!(error.message().contains(named) && !error.message().contains("secret"), "{error}");
    }
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM item WHERE name = 'secret'").await, 1);
    // A user who may only read.
    let read_only = server.database("change_read_only").await;
    drop(read_only);
    admin.query_drop("CREATE TABLE change_read_only.t (n int)").await.unwrap();
    let remote = server.remote("change_read_only").await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    assert_eq!(run(&mut transaction, "DELETE FROM t").await.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_any_more_ends_at_the_server_and_frees_its_locks() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "change_dropped", &[KIND, "INSERT INTO kind VALUES (1), (2), (3)"]).await;
    admin.query_drop("SET SESSION innodb_lock_wait_timeout = 10").await.unwrap();
    let slow = |mark: &str| RemoteSql::new(format!("UPDATE kind SET id = id + 10 + SLEEP(20) /* {mark} */ WHERE id < 10"));
    let mut transaction = remote.begin(soon()).await.unwrap();
    run(&mut transaction, "DELETE FROM kind WHERE id = 3").await.unwrap();
    let statement = slow("mark_dropped");
    tokio::select! {
        done = transaction.run(&statement, None, soon()) => panic!("{done:?}"),
        () = server.seen("mark_dropped") => {}
    }
    assert!(server.gone("mark_dropped").await < Duration::from_secs(5));
    assert_eq!(run(&mut transaction, "DELETE FROM kind").await.unwrap_err().remote_sqlstate(), Some("25P02"));
    // Nobody holds the rows, and they are what they were.
    admin.query_drop("UPDATE kind SET id = id + 100 WHERE id = 3").await.unwrap();
    let mut transaction = remote.begin(soon()).await.unwrap();
    let statement = slow("mark_late");
    let error = transaction.run(&statement, None, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(ours(&error).to_string(), "datasource \"shop\": the change took longer than 500ms");
    assert!(server.gone("mark_late").await < Duration::from_secs(5));
    // Rows that do not come.
    let insertion = into(&remote, "kind", &["id"], "").await;
    let given = batch(vec![Arc::new(Int32Array::from(vec![50]))]);
    let schema = given.schema();
    let late = futures::stream::once(async move { Ok(given) }).chain(futures::stream::pending());
    let late: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, late));
    let mut transaction = remote.begin(soon()).await.unwrap();
    let error = transaction.insert(&insertion, late, None, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Timeout);
    let mut transaction = remote.begin(soon()).await.unwrap();
    let statement = slow("mark_closed");
    let (done, ()) = tokio::join!(transaction.run(&statement, None, soon()), async {
        server.seen("mark_closed").await;
        remote.close().await;
    });
    assert_eq!(ours(&done.unwrap_err()).message(), "the datasource was closed");
    server.gone("mark_closed").await;
    assert_eq!(remote.begin(soon()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    admin.query_drop("UPDATE kind SET id = id + 1000").await.unwrap();
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM kind WHERE id IN (1001, 1002, 1103)").await, 3);
}

/// Ends the connections of the reader to a database as an administrator would.
async fn kill(admin: &mut Conn, database: &str) {
    let of = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{READER}' AND DB = '{database}'");
    for id in admin.query::<u64, _>(of).await.unwrap() {
        admin.query_drop(format!("KILL {id}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_killed_says_so() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "change_killed", &[KIND]).await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    run(&mut transaction, "INSERT INTO kind VALUES (1)").await.unwrap();
    kill(&mut admin, "change_killed").await;
    let error = run(&mut transaction, "INSERT INTO kind VALUES (2)").await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unreachable, Some("shop")), "{error}");
    let mut transaction = remote.begin(soon()).await.unwrap();
    run(&mut transaction, "INSERT INTO kind VALUES (1)").await.unwrap();
    kill(&mut admin, "change_killed").await;
    let error = transaction.commit(soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().ends_with("it is not known whether the transaction was committed"), "{error}");
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM kind").await, 0);
    // One that was killed while it idled is replaced.
    remote.begin(soon()).await.unwrap().commit(soon()).await.unwrap();
    kill(&mut admin, "change_killed").await;
    let mut transaction = remote.begin(soon()).await.unwrap();
    run(&mut transaction, "INSERT INTO kind VALUES (1)").await.unwrap();
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM kind").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_transactions_at_once_and_readers_beside_them() {
    let Some(server) = TestServer::shared() else { return };
    let fill = "INSERT INTO kind VALUES (1), (2)";
    let (mut admin, remote) = writable(server, "change_two", &[KIND, fill]).await;
    let mut first = remote.begin(soon()).await.unwrap();
    let mut second = remote.begin(soon()).await.unwrap();
    assert_eq!(run(&mut first, "UPDATE kind SET id = 11 WHERE id = 1").await.unwrap(), 1);
    assert_eq!(run(&mut second, "UPDATE kind SET id = 12 WHERE id = 2").await.unwrap(), 1);
    assert_eq!(column(&remote, "kind", "id").await.num_rows(), 2);
    let begun = Instant::now();
    let statement = RemoteSql::new("DELETE FROM kind WHERE id = 1");
    let error = second.run(&statement, None, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(3));
    first.commit(soon()).await.unwrap();
    assert_eq!(count(&mut admin, "SELECT COUNT(*) FROM kind WHERE id IN (2, 11)").await, 2);
    // Two that wait for each other.
    let mut first = remote.begin(soon()).await.unwrap();
    let mut second = remote.begin(soon()).await.unwrap();
    run(&mut first, "DELETE FROM kind WHERE id = 2").await.unwrap();
    run(&mut second, "DELETE FROM kind WHERE id = 11").await.unwrap();
    let crossing = async { run(&mut first, "DELETE FROM kind WHERE id = 11").await };
    let (one, other) = tokio::join!(crossing, run(&mut second, "DELETE FROM kind WHERE id = 2"));
    let lost = one.err().or(other.err()).unwrap();
    assert_eq!((lost.kind(), lost.remote_sqlstate()), (ErrorKind::Conflict, Some("40P01")));
}
