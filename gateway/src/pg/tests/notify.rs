//! LISTEN and NOTIFY: with a driver, with bytes, and with clients that do not read.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::support::{Gateway, RawClient, code, frame, kinds, sqlstate, status, tags, within};
use crate::pg::Notification;

/// A driver's client, and what it is notified of.
struct Listener {
    client: Client,
    arrivals: mpsc::UnboundedReceiver<(i32, String, String)>,
}

impl Listener {
    async fn connect(gateway: &Gateway) -> Self {
        let (client, mut connection) = within("connecting", gateway.config().connect(NoTls)).await.expect("a session");
        let (sender, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(told) = message {
                    let told = (told.process_id(), told.channel().to_owned(), told.payload().to_owned());
                    if sender.send(told).is_err() {
                        break;
                    }
                }
            }
        });
        Self { client, arrivals }
    }

    async fn run(&self, sql: &str) {
        within(sql, self.client.batch_execute(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    async fn fails_with(&self, sql: &str) -> String {
        let error = within(sql, self.client.batch_execute(sql)).await.expect_err(sql);
        sqlstate(&error).to_owned()
    }

    async fn next(&mut self) -> (i32, String, String) {
        within("a notification", self.arrivals.recv()).await.expect("the session lives")
    }

    /// The channels and payloads of the next notifications, as words.
    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut taken = Vec::new();
        for _ in 0..count {
            let (_, channel, payload) = self.next().await;
            taken.push(format!("{channel}:{payload}"));
        }
        taken
    }

    /// That nothing was notified before this.
    async fn expect_nothing(&mut self) {
        self.run("listen fence; notify fence, 'here'").await;
        assert_eq!(self.take(1).await, ["fence:here"]);
        self.run("unlisten fence").await;
    }
}

fn ring(gateway: &Gateway, channel: &str, payload: impl Into<String>) {
    gateway.environment.notifications.publish(Notification { channel: channel.to_owned(), payload: payload.into(), pid: 0 });
}

/// The payload of a NotificationResponse.
fn payload(message: &(char, Vec<u8>)) -> Option<String> {
    (message.0 == 'A').then(|| {
        let texts: Vec<_> = message.1[4..].split(|byte| *byte == 0).collect();
        String::from_utf8_lossy(texts[1]).into_owned()
    })
}

/// How many notifications a notice says were lost.
fn lost(message: &(char, Vec<u8>)) -> Option<usize> {
    let text = String::from_utf8_lossy(&message.1).into_owned();
    let (before, _) = text.split_once(" notifications were lost").filter(|_| message.0 == 'N')?;
    before.rsplit('M').next()?.parse().ok()
}

#[tokio::test]
async fn an_idle_client_is_told_at_once() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    let ben = gateway.connect().await;
    ana.run("listen causeway_events").await;
    // The gateway's own doorbell.
    ring(&gateway, "causeway_events", "17 a");
    assert_eq!(ana.next().await, (0, "causeway_events".to_owned(), "17 a".to_owned()));
    // Another client's.
    ben.batch_execute("notify Causeway_Events, 'it''s'; notify causeway_events; notify \"Causeway_Events\", 'elsewhere'").await.unwrap();
    assert_eq!(ana.take(2).await, ["causeway_events:it's", "causeway_events:"]);
    ana.expect_nothing().await;
    // Both protocols.
    ben.execute("notify causeway_events, 'extended'", &[]).await.unwrap();
    assert_eq!(ana.take(1).await, ["causeway_events:extended"]);
}

#[tokio::test]
async fn order_is_that_of_publishing_over_all_channels() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    ana.run("listen a; listen b").await;
    for number in 0..500 {
        ring(&gateway, if number % 3 == 0 { "a" } else { "b" }, number.to_string());
    }
    for number in 0..500 {
        assert_eq!(ana.next().await.2, number.to_string());
    }
}

#[tokio::test]
async fn a_transaction_sends_when_it_commits() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    let ben = Listener::connect(&gateway).await;
    ana.run("listen c").await;
    ben.run("begin; notify c, 'one'; notify c, 'two'; notify c, 'one'").await;
    ana.expect_nothing().await;
    ben.run("notify c, 'three'; commit").await;
    assert_eq!(ana.take(3).await, ["c:one", "c:two", "c:three"], "doubles are one, in the order of the first");
    ben.run("begin; notify c, 'gone'; rollback").await;
    ben.run("begin; notify c, 'kept'; savepoint s; notify c, 'gone'; notify c, 'kept'; rollback to s; notify c, 'last'; commit").await;
    assert_eq!(ana.take(2).await, ["c:kept", "c:last"]);
    ben.run("begin; notify c, 'gone'").await;
    assert_eq!(ben.fails_with("select * from nowhere").await, "42P01");
    ben.run("commit").await;
    // A text of several statements is one transaction.
    assert_eq!(ben.fails_with("notify c, 'gone'; select * from nowhere").await, "42P01");
    ben.run("notify c, 'twice'; select 1; notify c, 'twice'").await;
    assert_eq!(ana.take(1).await, ["c:twice"]);
    ana.expect_nothing().await;
}

#[tokio::test]
async fn listening_follows_the_transaction_too() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    ana.run("begin; listen c").await;
    ring(&gateway, "c", "before");
    ana.run("notify c, 'own'; commit").await;
    assert_eq!(ana.take(1).await, ["c:own"]);
    ana.run("begin; unlisten *; rollback").await;
    ring(&gateway, "c", "still");
    assert_eq!(ana.take(1).await, ["c:still"]);
    ana.run("begin; listen d; rollback").await;
    ring(&gateway, "d", "never");
    ana.run("unlisten c").await;
    ring(&gateway, "c", "left");
    ana.run("listen c; discard all").await;
    ring(&gateway, "c", "discarded");
    ana.expect_nothing().await;
}

#[tokio::test]
async fn an_open_transaction_is_not_disturbed() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("listen c").await;
    raw.query("begin").await;
    ring(&gateway, "c", "1");
    ring(&gateway, "c", "2");
    assert_eq!(kinds(&raw.query("select 1").await), "TDCZ");
    assert_eq!(kinds(&raw.query("commit").await), "CAAZ", "before the client may go on");
    // Nor is a pipeline, until its Sync.
    raw.bytes(&[frame(b'P', b"\0select 1\0\0\0"), frame(b'H', b"")].concat()).await;
    assert_eq!(raw.next().await.map(|(kind, _)| kind), Some('1'));
    ring(&gateway, "c", "3");
    raw.bytes(&[frame(b'B', &[0; 8]), frame(b'E', &[0; 5]), frame(b'S', b"")].concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "2DCAZ");
    // What arrived on a channel that was left since is not told.
    raw.query("begin; unlisten c").await;
    ring(&gateway, "c", "4");
    assert_eq!(kinds(&raw.query("commit").await), "CZ");
}

#[tokio::test]
async fn a_session_hears_itself_under_its_own_number() {
    let gateway = Gateway::start().await;
    let mut raw = RawClient { socket: TcpStream::connect(gateway.address).await.unwrap() };
    raw.startup(&[("user", "ana"), ("database", "default")]).await;
    let greeting = raw.until_ready().await;
    let (_, key) = greeting.iter().find(|(kind, _)| *kind == 'K').expect("a session has a number");
    let answer = raw.query("listen c; notify c, 'p'").await;
    assert_eq!(kinds(&answer), "CCAZ");
    assert_eq!(answer[2].1, [&key[..4], b"c\0p\0"].concat());
}

#[tokio::test]
async fn pg_notify_takes_what_is_computed() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    ana.run("listen c; listen \"Exact\"").await;
    let statement = ana.client.prepare("select pg_notify($1, $2)").await.unwrap();
    assert_eq!(statement.columns()[0].type_(), &tokio_postgres::types::Type::VOID);
    for round in 0..3 {
        ana.client.query(&statement, &[&"Exact", &format!("p{round}")]).await.unwrap();
    }
    assert_eq!(ana.take(3).await, ["Exact:p0", "Exact:p1", "Exact:p2"]);
    ana.run("select pg_catalog.pg_notify('c', 'n' || n) from numbers where n < 3 order by n").await;
    assert_eq!(ana.take(2).await, ["c:n1", "c:n2"]);
    ana.run("select pg_notify('c', null)").await;
    assert_eq!(ana.take(1).await, ["c:"]);
    ana.run("begin; select pg_notify('c', 'gone'); rollback; begin; select pg_notify('c', 'kept'); commit").await;
    assert_eq!(ana.take(1).await, ["c:kept"]);
    ana.run("set statement_timeout = 200").await;
    assert_eq!(ana.fails_with("select pg_notify('c', filler) from stuck").await, "57014");
    ana.run("set statement_timeout = 0").await;
    ana.expect_nothing().await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_as_in_postgresql() {
    let gateway = Gateway::start().await;
    let mut ana = Listener::connect(&gateway).await;
    ana.run("listen c").await;
    let (longest, too_long) = ("x".repeat(7_999), "x".repeat(8_000));
    ana.run(&format!("notify c, '{longest}'")).await;
    assert_eq!(ana.next().await.2.len(), 7_999);
    for sql in [
        format!("notify c, '{too_long}'"),
        format!("select pg_notify('c', '{too_long}')"),
        format!("select pg_notify('{}', '')", "n".repeat(64)),
        "select pg_notify('', 'p')".to_owned(),
        "select pg_notify(null, 'p')".to_owned(),
    ] {
        assert_eq!(ana.fails_with(&sql).await, "22023", "{sql}");
    }
    let flood = format!("select pg_notify('c', '{}' || n) from generate_series(1, 2000) as g(n)", "x".repeat(7_000));
    assert_eq!(ana.fails_with(&flood).await, "54000");
    ana.expect_nothing().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query(&format!("listen {}; notify {}", "ü".repeat(32), "ü".repeat(31))).await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("NCCAZ", Some("42622")), "names are cut between characters");
}

#[tokio::test]
async fn channels_are_listed() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("listen b; listen a; listen b").await;
    let answer = raw.query("select pg_listening_channels()").await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("TDDCZ", vec!["SELECT 2".to_owned()]));
    assert!(answer[1].1.ends_with(b"a") && answer[2].1.ends_with(b"b"));
    raw.query("unlisten *").await;
    assert_eq!(kinds(&raw.query("select * from pg_listening_channels()").await), "TCZ");
}

#[tokio::test]
async fn what_a_transaction_leaves_no_room_for_is_told_where_it_is_missing() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("listen c").await;
    raw.query("begin").await;
    for number in 0..400 {
        ring(&gateway, "c", format!("{number:04}{}", "x".repeat(7_000)));
    }
    let answer = raw.query("commit").await;
    let told: Vec<_> = answer.iter().filter_map(payload).collect();
    assert!(told.len() > 100 && told.len() < 200, "a mebibyte is kept: {}", told.len());
    for (number, payload) in told.iter().enumerate() {
        assert!(payload.starts_with(&format!("{number:04}x")), "none is missing among those before the gap");
    }
    assert_eq!(answer.iter().filter_map(lost).sum::<usize>(), 400 - told.len(), "every other one is counted");
    assert_eq!((code(&answer).as_deref(), status(&answer)), (Some("01000"), Some('I')));
    ring(&gateway, "c", "after");
    assert_eq!(raw.next().await.as_ref().and_then(payload).as_deref(), Some("after"));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_and_learns_what_it_missed() {
    const RUNG: usize = 8_000;
    let gateway = Gateway::start().await;
    let mut deaf = gateway.raw().await;
    deaf.query("listen c").await;
    let mut ana = Listener::connect(&gateway).await;
    ana.run("listen c").await;
    for number in 0..RUNG {
        ring(&gateway, "c", format!("{number:05}{}", "x".repeat(7_900)));
        // The one that reads misses nothing.
        assert!(ana.next().await.2.starts_with(&format!("{number:05}")));
    }
    ring(&gateway, "c", "end");
    let (mut expected, mut missed) = (0, 0);
    loop {
        let message = deaf.next().await.expect("the session lives");
        if let Some(count) = lost(&message) {
            missed += count;
            expected += count;
            continue;
        }
        match payload(&message).expect("a notification").as_str() {
            "end" => break,
            text => assert!(text.starts_with(&format!("{expected:05}")), "in order, with the gap where it was told"),
        }
        expected += 1;
        if expected == RUNG {
            ring(&gateway, "c", "end");
        }
    }
    assert!(missed > 0, "sixty megabytes are kept for nobody");
    assert_eq!(kinds(&deaf.query("select 1").await).replace('A', ""), "TDCZ");
}

#[tokio::test]
async fn listeners_end_with_the_gateway_and_leave_nothing_behind() {
    let gateway = Gateway::start().await;
    let mut idle = gateway.raw().await;
    idle.query("listen c").await;
    let mut left = gateway.raw().await;
    left.query("listen c").await;
    drop(left);
    let mut deaf = gateway.raw().await;
    deaf.query("listen d").await;
    for _ in 0..8_000 {
        ring(&gateway, "d", "x".repeat(7_900));
    }
    gateway.shutdown.drain();
    assert_eq!(code(&idle.until_ready().await).as_deref(), Some("57P01"));
    gateway.shutdown.terminate();
    within("the endpoint to end", gateway.served).await.unwrap();
    assert_eq!(format!("{:?}", gateway.environment.notifications), "Notifications { waiting: 0, .. }");
}

#[tokio::test]
async fn being_told_is_no_sign_of_life() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("listen c; set idle_session_timeout = 500").await;
    let ringing = async {
        loop {
            ring(&gateway, "c", "");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        answer = raw.until_ready() => assert_eq!(code(&answer).as_deref(), Some("57P05")),
        () = ringing => {}
    }
}
