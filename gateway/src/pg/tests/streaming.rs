//! What ends a running statement: cancel, timeout, a vanished client, the end of the process. The source's stream must go with it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::support::{Gateway, code, frame, kinds, sqlstate, status, within};

/// Starts `sql` by the simple or the extended protocol.
async fn run(client: &tokio_postgres::Client, sql: &str, is_simple: bool) -> Result<(), tokio_postgres::Error> {
    if is_simple { client.batch_execute(sql).await } else { client.query(sql, &[]).await.map(|_| ()) }
}

#[tokio::test]
async fn cancel_ends_a_statement_in_both_protocols() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    for is_simple in [true, false] {
        for sql in ["select * from slow", "select * from stuck", "select * from endless", "select count(*) from endless"] {
            let cancel = client.cancel_token();
            let cancelling = async {
                gateway.until_busy().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                cancel.cancel_query(NoTls).await.expect("a cancel request");
            };
            let (ended, ()) = within(sql, async { tokio::join!(run(&client, sql, is_simple), cancelling) }).await;
            let error = ended.expect_err("a cancelled statement");
            assert_eq!(sqlstate(&error), "57014", "{sql}");
            assert_eq!(error.as_db_error().map(|error| error.message()), Some("canceling statement due to user request"));
            gateway.until_idle().await;
            client.batch_execute("select 1").await.expect("the session goes on");
        }
    }
}

#[tokio::test]
async fn a_cancel_between_statements_does_nothing() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    client.cancel_token().cancel_query(NoTls).await.expect("a cancel request");
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.batch_execute("select 1").await.expect("nothing was cancelled");
}

#[tokio::test]
async fn the_statement_timeout_covers_delivery() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute("set statement_timeout = '150ms'").await.unwrap();
    for is_simple in [true, false] {
        for sql in ["select * from slow", "select * from stuck", "select * from endless"] {
            let error = within(sql, run(&client, sql, is_simple)).await.expect_err("a statement out of time");
            assert_eq!(sqlstate(&error), "57014", "{sql}");
            assert_eq!(error.as_db_error().map(|error| error.message()), Some("canceling statement due to statement timeout"));
            gateway.until_idle().await;
        }
    }
    client.batch_execute("select 1; select 2").await.expect("each statement has its own time");
}

#[tokio::test]
async fn a_vanished_client_ends_its_statement() {
    let gateway = Gateway::start().await;
    for sql in ["select * from stuck", "select * from slow", "select * from endless", "select count(*) from stuck"] {
        let mut raw = gateway.raw().await;
        raw.message(b'Q', format!("{sql}\0").as_bytes()).await;
        gateway.until_busy().await;
        drop(raw);
        gateway.until_idle().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up() {
    let gateway = Gateway::start().await;
    let mut deaf = gateway.raw().await;
    deaf.message(b'Q', b"set statement_timeout = 700; select * from endless\0").await;
    gateway.until_busy().await;
    // The source is not asked for more than the socket takes.
    within("back-pressure", async {
        let mut before = usize::MAX;
        loop {
            let made = gateway.environment.batches_made.load(Ordering::SeqCst);
            if made == before {
                break;
            }
            before = made;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(gateway.environment.batches_made.load(Ordering::SeqCst) < 2_000, "rows were made that nobody reads");
    // The timeout reaches the source although nothing can be written.
    gateway.until_idle().await;
    // When it reads at last, it finds whole messages and the error behind them.
    let answer = deaf.until_ready().await;
    assert_eq!((code(&answer).as_deref(), status(&answer)), (Some("57014"), Some('I')));
}

#[tokio::test]
async fn what_is_sent_ahead_is_kept() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let mut bytes = frame(b'Q', b"set statement_timeout = 300; select * from stuck\0");
    bytes.extend(frame(b'Q', b"set statement_timeout = 0; select 1\0"));
    raw.bytes(&bytes).await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("57014"));
    assert_eq!(kinds(&raw.until_ready().await), "CTDCZ");
}

#[tokio::test]
async fn the_first_row_leaves_at_once() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.message(b'Q', b"select * from stuck\0").await;
    let started = Instant::now();
    assert_eq!(raw.next().await.map(|(kind, _)| kind), Some('T'));
    assert_eq!(raw.next().await.map(|(kind, _)| kind), Some('D'));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn shutdown_drains_and_then_terminates() {
    let gateway = Gateway::start().await;
    let mut idle = gateway.raw().await;
    let mut busy = gateway.raw().await;
    busy.message(b'Q', b"select * from stuck\0").await;
    gateway.until_busy().await;
    gateway.shutdown.drain();
    assert_eq!(code(&idle.until_ready().await).as_deref(), Some("57P01"));
    within("the port to close", async {
        while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!gateway.served.is_finished(), "a running statement is waited for");
    gateway.shutdown.terminate();
    assert_eq!(code(&busy.until_ready().await).as_deref(), Some("57P01"));
    gateway.until_idle().await;
    within("the endpoint to end", gateway.served).await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_the_statement_and_not_the_session() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    for is_simple in [true, false] {
        let error = within("an error", run(&client, "select * from panics", is_simple)).await.expect_err("a panic");
        let error = error.as_db_error().expect("an error of the server");
        assert_eq!(error.code().code(), "XX000");
        assert!(error.message().starts_with("internal error ") && !error.message().contains("secret"), "{}", error.message());
        gateway.until_idle().await;
        client.batch_execute("select 1").await.expect("the session goes on");
    }
}
