//! Statements whose source has changed since its tables were last looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use futures::FutureExt;

use super::support::{Found, Gateway, TestEnvironment, code, frame, kinds, sqlstate, status, tags, within};
use crate::pg::second_look::{Looked, Wish};
use crate::pg::{EnvironmentBackend, SecondLooks};

/// As `outdated` is described.
fn same_columns() -> RecordBatch {
    let (numbers, fillers) = (Int64Array::from(vec![7, 8]), StringArray::from(vec!["a", "b"]));
    RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("filler", Arc::new(fillers) as _)]).unwrap()
}

fn other_columns() -> RecordBatch {
    RecordBatch::try_from_iter([("title", Arc::new(StringArray::from(vec!["a"])) as _)]).unwrap()
}

fn wish<'a>(datasource: &'a str, tables: &'a [(String, String)]) -> Wish<'a> {
    Wish { datasource, tables, actor: "ana" }
}

fn refreshes(gateway: &Gateway) -> usize {
    gateway.environment.refreshes.load(Ordering::SeqCst)
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    frame(b'B', &[portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0\0\0\0\0"].concat())
}

fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

#[tokio::test]
async fn a_simple_query_is_described_by_what_the_source_has_now() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    gateway.environment.will_find_rows("outdated", other_columns());
    let answer = raw.query("select 1; select * from outdated; select 2").await;
    assert_eq!(kinds(&answer), "TDCTDCTDCZ");
    assert!(answer[3].1.windows(6).any(|window| window == b"title\0"), "the description is the new one");
    assert_eq!(refreshes(&gateway), 1);
    assert_eq!(kinds(&raw.query("select * from outdated").await), "TDCZ");
    assert_eq!(refreshes(&gateway), 1, "what is known is not asked for");
}

#[tokio::test]
async fn a_transaction_block_goes_on() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("begin").await;
    gateway.environment.will_find_rows("outdated", same_columns());
    let answer = raw.query("select n from outdated").await;
    assert_eq!((kinds(&answer).as_str(), status(&answer)), ("TDDCZ", Some('T')));
}

#[tokio::test]
async fn a_prepared_statement_goes_on_when_its_columns_are_as_told() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let statement = client.prepare("select n, filler from outdated where n > $1").await.unwrap();
    gateway.environment.will_find_rows("outdated", same_columns());
    let rows = within("rows", client.query(&statement, &[&7_i64])).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [8]);
    assert_eq!(refreshes(&gateway), 1);
    assert_eq!(client.query(&statement, &[&0_i64]).await.unwrap().len(), 2);
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn a_prepared_statement_never_changes_its_columns() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let sql = "select * from outdated";
    let statement = client.prepare(sql).await.unwrap();
    gateway.environment.will_find_rows("outdated", other_columns());
    let error = within("an error", client.query(&statement, &[])).await.unwrap_err();
    assert_eq!(sqlstate(&error), "0A000");
    assert_eq!(error.as_db_error().map(|error| error.message()), Some("cached plan must not change result type"));
    let error = within("an error", client.query(&statement, &[])).await.unwrap_err();
    assert_eq!(sqlstate(&error), "0A000", "nor later");
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "a", "prepared again it has the new ones");
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn a_portal_nobody_described_is_held_to_its_statement_too() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    gateway.environment.will_find_rows("outdated", other_columns());
    raw.bytes(&[parse("", "select * from outdated"), bind("", ""), execute(""), sync()].concat()).await;
    let answer = raw.until_ready().await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("12EZ", Some("0A000")));
}

#[tokio::test]
async fn statements_prepared_in_sql_and_cursors_are_held_to_theirs() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("prepare p as select * from outdated").await;
    gateway.environment.will_find_rows("outdated", same_columns());
    assert_eq!(kinds(&raw.query("execute p").await), "TDDCZ");
    gateway.environment.publish_rows("outdated", other_columns());
    assert_eq!(code(&raw.query("execute p").await).as_deref(), Some("0A000"));

    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("begin; declare c cursor for select * from outdated; declare d cursor for select * from outdated").await;
    gateway.environment.will_find_rows("outdated", same_columns());
    assert_eq!(kinds(&raw.query("fetch c").await), "TDCZ");
    gateway.environment.publish_rows("outdated", other_columns());
    // It was planned before, and its source is asked first.
    assert_eq!(code(&raw.query("fetch d").await).as_deref(), Some("0A000"));
    assert_eq!(refreshes(&gateway), 1, "others had looked since");
}

#[tokio::test]
async fn names_that_others_took_do_not_change_what_was_told() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("prepare p as select 1 as a").await;
    raw.bytes(&[parse("x", "execute p"), sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "1Z");
    raw.query("deallocate p; prepare p as select 'text' as b").await;
    raw.bytes(&[bind("", "x"), execute(""), sync()].concat()).await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("0A000"));
    raw.query("begin; declare c cursor for select 1 as a").await;
    raw.bytes(&[parse("y", "fetch c"), sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "1Z");
    raw.query("close c; declare c cursor for select 'text' as b").await;
    raw.bytes(&[bind("", "y"), execute(""), sync()].concat()).await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("0A000"));
}

#[tokio::test]
async fn what_is_missing_for_ever_is_looked_for_now_and_then() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("select * from outdated").await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("EZ", Some("42P01")));
    assert_eq!(refreshes(&gateway), 1);
    raw.bytes(&[parse("", "select * from outdated"), bind("", ""), execute(""), sync()].concat()).await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("42P01"));
    assert_eq!(refreshes(&gateway), 1, "the source was listed a moment ago");

    let gateway = Gateway::start().await;
    gateway.environment.will_find(Found::Refusal);
    let answer = gateway.raw().await.query("select * from outdated").await;
    assert_eq!(code(&answer).as_deref(), Some("42P01"), "why the look failed is not what the client asked");
    gateway.raw().await.query("select * from outdated").await;
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn one_look_for_all_that_ask_together_and_a_pause_after_one_in_vain() {
    let test = Arc::new(TestEnvironment::new());
    let environment: Arc<dyn EnvironmentBackend> = Arc::clone(&test) as _;
    let count = || test.refreshes.load(Ordering::SeqCst);
    let looks = SecondLooks::default();
    let cust = [("crm".to_owned(), "cust".to_owned())];
    let (one, other) = tokio::join!(looks.look(&environment, wish("crm", &cust)), looks.look(&environment, wish("crm", &cust)));
    assert_eq!((one, other, count()), (Ok(Looked::Now), Ok(Looked::Now), 1));
    assert_eq!((looks.look(&environment, wish("crm", &cust)).await, count()), (Ok(Looked::Now), 2), "a source may change twice");
    looks.was_in_vain("crm");
    assert_eq!((looks.look(&environment, wish("crm", &cust)).await, count()), (Ok(Looked::Lately), 2));
    assert_eq!((looks.look(&environment, wish("erp", &cust)).await, count()), (Ok(Looked::Now), 3), "another datasource is another matter");
    let orders = [cust[0].clone(), ("crm".to_owned(), "orders".to_owned())];
    let other = SecondLooks::default();
    let both = tokio::join!(other.look(&environment, wish("crm", &orders)), other.look(&environment, wish("crm", &cust)));
    assert_eq!((both, count()), ((Ok(Looked::Now), Ok(Looked::Now)), 4), "a look at both is one at either");
    let both = tokio::join!(other.look(&environment, wish("crm", &cust)), other.look(&environment, wish("crm", &orders)));
    assert_eq!((both, count()), ((Ok(Looked::Now), Ok(Looked::Now)), 6), "a look at one is none at both");
    let looks = SecondLooks::with_pause(Duration::ZERO);
    looks.was_in_vain("crm");
    assert_eq!((looks.look(&environment, wish("crm", &cust)).await, count()), (Ok(Looked::Now), 7));
}

#[tokio::test]
async fn what_is_looked_at_is_what_the_statement_reads_in_the_name_of_its_user() {
    let gateway = Gateway::start().await;
    gateway.environment.will_find_rows("outdated", same_columns());
    gateway.raw().await.query("select * from outdated join numbers using (n)").await;
    let (mut tables, actor) = gateway.environment.asked.lock().unwrap().remove(0);
    tables.sort();
    let table = |name: &str| ("public".to_owned(), name.to_owned());
    assert_eq!((tables, actor.as_str()), (vec![table("numbers"), table("outdated")], "ana"));
}

#[tokio::test]
async fn what_another_datasource_publishes_is_no_look_at_this_one() {
    let gateway = Gateway::start().await;
    let mut early = gateway.raw().await;
    early.bytes(&[parse("", "select n from outdated"), bind("", ""), frame(b'H', b"")].concat()).await;
    assert_eq!((early.next().await.unwrap().0, early.next().await.unwrap().0), ('1', '2'));
    gateway.environment.publish_elsewhere();
    gateway.environment.will_find_rows("outdated", same_columns());
    early.bytes(&[execute(""), sync()].concat()).await;
    assert_eq!(kinds(&early.until_ready().await), "DDCZ");
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn rows_that_were_sent_are_not_sent_again() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("select * from outdated_later").await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("TDEZ", Some("42P01")));
    raw.bytes(&[parse("", "select * from outdated_later"), bind("", ""), execute(""), sync()].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "12DEZ");
    assert_eq!(refreshes(&gateway), 0);
    // An aggregate has sent nothing yet.
    assert_eq!(code(&raw.query("select count(n) from outdated_later").await).as_deref(), Some("42P01"));
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn looking_is_part_of_the_statement() {
    for is_simple in [true, false] {
        let gateway = Gateway::start().await;
        let client = gateway.connect().await;
        gateway.environment.will_find(Found::Silence);
        client.batch_execute("set statement_timeout = 300").await.unwrap();
        let sql = "select n from outdated";
        let failed =
            async { if is_simple { client.batch_execute(sql).await.unwrap_err() } else { client.query(sql, &[]).await.unwrap_err() } };
        assert_eq!(sqlstate(&within("the time limit", failed).await), "57014");
    }
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    gateway.environment.will_find(Found::Silence);
    let before = refreshes(&gateway);
    let running = client.batch_execute("select n from outdated");
    let cancel = async {
        within("a look", async {
            while refreshes(&gateway) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        client.cancel_token().cancel_query(tokio_postgres::NoTls).await.unwrap();
    };
    let (failed, ()) = within("the cancel", async { tokio::join!(running, cancel) }).await;
    assert_eq!(sqlstate(&failed.unwrap_err()), "57014");
}

#[tokio::test]
async fn of_many_that_fail_together_one_looks() {
    let gateway = Gateway::start().await;
    let mut early = gateway.raw().await;
    early.bytes(&[parse("", "select n from outdated"), bind("", ""), frame(b'H', b"")].concat()).await;
    assert_eq!((early.next().await.unwrap().0, early.next().await.unwrap().0), ('1', '2'));
    let mut other = gateway.raw().await;
    gateway.environment.will_find_rows("outdated", same_columns());
    assert_eq!(tags(&other.query("select n from outdated").await), ["SELECT 2"]);
    early.bytes(&[execute(""), sync()].concat()).await;
    assert_eq!(kinds(&early.until_ready().await), "DDCZ");
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn a_look_outlives_the_statement_that_asked_for_it() {
    let gateway = Gateway::start().await;
    let (mut first, mut second) = (gateway.raw().await, gateway.raw().await);
    first.query("set statement_timeout = 100").await;
    gateway.environment.will_find(Found::Silence);
    assert_eq!(code(&first.query("select n from outdated").await).as_deref(), Some("57014"));
    second.query("set statement_timeout = 100").await;
    assert_eq!(code(&second.query("select n from outdated").await).as_deref(), Some("57014"), "it waits for the same look");
    assert_eq!(refreshes(&gateway), 1);
}

#[tokio::test]
async fn a_look_that_nobody_waits_for_comes_to_its_end() {
    let test = Arc::new(TestEnvironment::new());
    let environment: Arc<dyn EnvironmentBackend> = Arc::clone(&test) as _;
    let looks = SecondLooks::default();
    let cust = [("crm".to_owned(), "cust".to_owned())];
    assert!(looks.look(&environment, wish("crm", &cust)).now_or_never().is_none(), "it has begun, and its statement is gone");
    // Its task has all the time it needs.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(looks.look(&environment, wish("crm", &cust)).await, Ok(Looked::Now));
    assert_eq!(test.refreshes.load(Ordering::SeqCst), 2, "what ended long ago says nothing of now");
}

#[tokio::test]
async fn a_table_that_is_left_out_is_told_of() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    for (sql, hint) in [
        ("select * from unreadable", Some("public.unreadable is left out.")),
        ("select * from public.unreadable", Some("public.unreadable is left out.")),
        ("select * from nowhere", None),
    ] {
        let error = within("an error", client.prepare(sql)).await.unwrap_err();
        assert_eq!(sqlstate(&error), "42P01");
        assert_eq!(error.as_db_error().and_then(|error| error.hint()), hint, "{sql}");
    }
}
