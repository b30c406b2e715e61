//! The extended protocol with a driver and with bytes.

use std::sync::Arc;

use datafusion::arrow::array::{Decimal128Array, Int32Array, RecordBatch};
use futures::{StreamExt, pin_mut};
use tokio_postgres::types::Type;

use super::support::{Gateway, code, frame, kinds, sqlstate, status, tags, within};

#[tokio::test]
async fn parameters_are_typed_by_the_plan_or_the_client() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let rows = within("rows", client.query("select n from numbers where n between $1 and $2 order by n", &[&2_i64, &4_i64])).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [2, 3, 4]);
    let statement = client.prepare_typed("select $1 || 'b' as t, $2 + 1 as i", &[Type::TEXT, Type::INT4]).await.unwrap();
    assert_eq!(statement.params(), [Type::TEXT, Type::INT4]);
    assert_eq!(statement.columns()[0].name(), "t");
    let row = client.query_one(&statement, &[&"a", &41_i32]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "ab");
    let none: Option<i64> = None;
    let row = client.query_one("select $1::bigint is null", &[&none]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    let statement = client.prepare_typed("select n from numbers where n = any($1) order by n", &[Type::INT8_ARRAY]).await.unwrap();
    let rows = client.query(&statement, &[&vec![3_i64, 5]]).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn a_numeric_parameter_is_never_rounded() {
    let gateway = Gateway::start().await;
    let prices = Decimal128Array::from(vec![100, 101]).with_precision_and_scale(10, 2).unwrap();
    gateway.environment.publish_rows("prices", RecordBatch::try_from_iter([("price", Arc::new(prices) as _)]).unwrap());
    let mut raw = gateway.raw().await;
    for (value, rows) in [("1.00", "SELECT 1"), ("1.005", "SELECT 0"), ("1.0050000", "SELECT 0"), ("1e0", "SELECT 1")] {
        let mut bind = text(&["", ""]);
        bind.extend([0, 0, 0, 1]);
        bind.extend((value.len() as u32).to_be_bytes());
        bind.extend(value.as_bytes());
        bind.extend([0, 0]);
        raw.bytes(&[parse("", "select price from prices where price = $1"), frame(b'B', &bind), execute("", 0), sync()].concat()).await;
        assert_eq!(tags(&raw.until_ready().await), [rows], "{value}");
    }
}

#[tokio::test]
async fn a_statement_can_run_many_times() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let statement = client.prepare("select count(*) from numbers where n <= $1").await.unwrap();
    for limit in 0..20_i64 {
        let row = client.query_one(&statement, &[&limit]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), limit.min(10));
    }
}

#[tokio::test]
async fn a_prepared_statement_sees_new_tables() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let statement = client.prepare("select count(*) from numbers").await.unwrap();
    let changed = RecordBatch::try_from_iter([("n", Arc::new(datafusion::arrow::array::Int64Array::from(vec![1])) as _)]).unwrap();
    gateway.environment.publish_rows("numbers", changed);
    assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i64>(0), 1);
    let statement = client.prepare("select n from numbers").await.unwrap();
    let retyped = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1])) as _)]).unwrap();
    gateway.environment.publish_rows("numbers", retyped);
    let error = client.query(&statement, &[]).await.unwrap_err();
    assert_eq!(sqlstate(&error), "0A000");
    assert_eq!(error.as_db_error().map(|error| error.message()), Some("cached plan must not change result type"));
}

#[tokio::test]
async fn portals_suspend_and_go_on() {
    let gateway = Gateway::start().await;
    let mut client = gateway.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select n from numbers order by n", &[]).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = within("rows", transaction.query_portal(&portal, 4)).await.unwrap();
        if rows.is_empty() {
            break;
        }
        seen.push(rows.len());
    }
    assert_eq!(seen, [4, 4, 2]);
    // A live stream waits in its portal until somebody wants more of it.
    let slow = transaction.bind("select n from slow", &[]).await.unwrap();
    for first in [0, 2] {
        let rows = within("rows", transaction.query_portal(&slow, 2)).await.unwrap();
        assert_eq!(rows[0].get::<_, i64>(0), first);
    }
    gateway.until_busy().await;
    transaction.rollback().await.unwrap();
    gateway.until_idle().await;
}

fn text(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes().chain([0])).collect()
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    let mut body = text(&[name, sql]);
    body.extend([0, 0]);
    frame(b'P', &body)
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    let mut body = text(&[portal, statement]);
    body.extend([0; 6]);
    frame(b'B', &body)
}

fn execute(portal: &str, limit: u32) -> Vec<u8> {
    let mut body = text(&[portal]);
    body.extend(limit.to_be_bytes());
    frame(b'E', &body)
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend(text(&[name]));
    frame(b'D', &body)
}

fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

#[tokio::test]
async fn a_pipeline_is_answered_in_order() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.bytes(
        &[
            parse("", "select n from numbers order by n"),
            describe(b'S', ""),
            bind("", ""),
            describe(b'P', ""),
            execute("", 3),
            execute("", 0),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )
    .await;
    let answer = raw.until_ready().await;
    assert_eq!(kinds(&answer), "1tT2TDDDsDDDDDDDCCZ");
    assert_eq!(tags(&answer), ["SELECT 7", "SELECT 0"]);
    raw.bytes(&[parse("", ""), bind("", ""), describe(b'P', ""), execute("", 0), sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "12nIZ");
    raw.bytes(&[parse("", "set application_name = 'p'"), bind("", ""), describe(b'P', ""), execute("", 0), sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "12nCSZ");
    raw.bytes(&[parse("", "show all"), bind("", ""), execute("", 2), execute("", 0), sync()].concat()).await;
    let answer = kinds(&raw.until_ready().await);
    assert!(answer.starts_with("12DDsDDD") && answer.ends_with("DCZ"), "{answer}");
}

#[tokio::test]
async fn an_error_skips_to_the_next_sync() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.bytes(&[parse("", "select * from nowhere"), bind("", ""), execute("", 0), sync(), parse("", "select 1"), sync()].concat()).await;
    let answer = raw.until_ready().await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("EZ", Some("42P01")));
    assert_eq!(kinds(&raw.until_ready().await), "1Z");
    for (messages, expected) in [
        (bind("", "nothing"), "26000"),
        (execute("nothing", 0), "34000"),
        (describe(b'S', "nothing"), "26000"),
        (describe(b'P', "nothing"), "34000"),
        (parse("", "select 1; select 2"), "42601"),
        ([parse("twice", "select 1"), parse("twice", "select 1")].concat(), "42P05"),
        ([parse("", "select $1::int"), bind("", "")].concat(), "08P01"),
        (frame(b'B', b"broken"), "08P01"),
        (frame(b'F', b""), "0A000"),
    ] {
        raw.bytes(&messages).await;
        // A function call is answered by itself; everything else is skipped over until Sync.
        if messages[0] != b'F' {
            raw.bytes(&sync()).await;
        }
        let answer = raw.until_ready().await;
        assert_eq!(code(&answer).as_deref(), Some(expected), "{:?}", String::from_utf8_lossy(&messages));
    }
}

#[tokio::test]
async fn a_failed_transaction_runs_nothing_but_its_end() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.bytes(&[parse("ok", "select 1"), sync()].concat()).await;
    raw.until_ready().await;
    raw.query("begin; select * from nowhere").await;
    for messages in [parse("", "select 1"), bind("", "ok"), describe(b'S', "ok")] {
        raw.bytes(&[messages, sync()].concat()).await;
        let answer = raw.until_ready().await;
        assert_eq!((code(&answer).as_deref(), status(&answer)), (Some("25P02"), Some('E')));
    }
    raw.bytes(&[parse("", "rollback"), bind("", ""), execute("", 0), sync()].concat()).await;
    let answer = raw.until_ready().await;
    assert_eq!((kinds(&answer).as_str(), status(&answer)), ("12CZ", Some('I')));
}

#[tokio::test]
async fn rows_arrive_while_the_source_is_slow() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let stream = within("a stream", client.query_raw("select n from slow", std::iter::empty::<i32>())).await.unwrap();
    pin_mut!(stream);
    // The whole result takes twenty seconds; three rows must be here long before.
    let started = std::time::Instant::now();
    for expected in 0..3 {
        let row = within("a row", stream.next()).await.unwrap().unwrap();
        assert_eq!(row.get::<_, i64>(0), expected);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}
