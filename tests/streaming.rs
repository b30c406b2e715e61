//! Results flow as they come, and whoever stops listening stops the source.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use causeway_tests::{Gateway, MariaDbDatabase, MariaDbServer, PostgresDatabase, PostgresServer, Protocol, eventually};

use crate::drip;

const BOTH: [Protocol; 2] = [Protocol::Simple, Protocol::ExtendedBinary];
const DRIP: &str = "SELECT id, payload FROM slow.drip";

enum Source {
    Postgres(PostgresDatabase),
    MariaDb(MariaDbDatabase),
}

impl Source {
    fn postgres(name: &str) -> Option<(Self, Gateway)> {
        let database = PostgresServer::shared()?.database(name);
        drip::in_postgres(&database);
        let gateway = Gateway::start([database.datasource("slow")]);
        Some((Self::Postgres(database), gateway))
    }

    fn mariadb(name: &str) -> Option<(Self, Gateway)> {
        let database = MariaDbServer::shared()?.database(name);
        drip::in_mariadb(&database);
        let gateway = Gateway::start([database.datasource("slow")]);
        Some((Self::MariaDb(database), gateway))
    }

    fn running(&self) -> usize {
        match self {
            Self::Postgres(database) => database.running("drip"),
            Self::MariaDb(database) => database.running("drip"),
        }
    }

    fn expect_free_within(&self, limit: Duration) {
        eventually("the source is free", limit, || (self.running() == 0).then_some(()));
    }
}

fn first_row_comes_at_once((source, gateway): (Source, Gateway)) {
    for protocol in BOTH {
        // A machine that is busy with another test may hold one up; a result that is gathered first holds up all of them.
        let attempts = (0..3).map(|_| {
            let mut client = gateway.discarding_client();
            let first = client.first_row(DRIP, protocol).unwrap();
            drop(client);
            source.expect_free_within(Duration::from_secs(2));
            first
        });
        let first = attempts.min().unwrap();
        assert!(first < Duration::from_millis(500), "{protocol:?}: the first row took {first:?}");
    }
}

fn cancel_ends_it_and_frees_the_source((source, gateway): (Source, Gateway)) {
    for protocol in BOTH {
        let mut client = gateway.discarding_client();
        let canceller = client.canceller();
        let (tell, first_row) = mpsc::channel();
        let running = thread::spawn(move || {
            let received = client.run_and_tell(DRIP, protocol, || tell.send(()).unwrap()).unwrap();
            (received, Instant::now(), client)
        });
        first_row.recv_timeout(Duration::from_secs(10)).expect("rows arrive");
        assert!(source.running() > 0, "{protocol:?}: the source works");
        let asked = Instant::now();
        canceller.cancel().unwrap();
        let (received, ended, mut client) = running.join().unwrap();
        let took = ended - asked;
        assert_eq!(received.error.map(|(code, _)| code).as_deref(), Some("57014"), "{protocol:?}");
        assert!(took < Duration::from_secs(1), "{protocol:?}: it ended {took:?} after the request");
        source.expect_free_within(Duration::from_secs(1));
        // The session lives on.
        let next = client.run("SELECT 1", protocol).unwrap();
        assert_eq!((next.rows, next.error), (1, None), "{protocol:?}");
    }
}

fn dead_client_frees_the_source((source, gateway): (Source, Gateway)) {
    for protocol in BOTH {
        let mut client = gateway.discarding_client();
        client.first_row(DRIP, protocol).unwrap();
        assert!(source.running() > 0, "{protocol:?}: the source works");
        drop(client);
        source.expect_free_within(Duration::from_secs(1));
    }
}

fn client_that_does_not_read_can_be_cancelled((source, gateway): (Source, Gateway)) {
    let sql = "SELECT a.payload FROM slow.wide_drip a";
    for protocol in BOTH {
        let mut client = gateway.discarding_client();
        client.first_row(sql, protocol).unwrap();
        // Long enough for every buffer between the source and this client to fill up.
        thread::sleep(Duration::from_secs(1));
        client.canceller().cancel().unwrap();
        source.expect_free_within(Duration::from_secs(2));
        drop(client);
    }
}

#[test]
fn postgres_first_row_comes_at_once() {
    if let Some(pair) = Source::postgres("stream_first") {
        first_row_comes_at_once(pair);
    }
}

#[test]
fn postgres_cancel_ends_it_and_frees_the_source() {
    if let Some(pair) = Source::postgres("stream_cancel") {
        cancel_ends_it_and_frees_the_source(pair);
    }
}

#[test]
fn postgres_dead_client_frees_the_source() {
    if let Some(pair) = Source::postgres("stream_dead") {
        dead_client_frees_the_source(pair);
    }
}

#[test]
fn postgres_client_that_does_not_read_can_be_cancelled() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("stream_blocked");
    database.script("CREATE VIEW wide_drip AS SELECT repeat('x', 10000) AS payload FROM generate_series(1, 5000000);");
    let gateway = Gateway::start([database.datasource("slow")]);
    client_that_does_not_read_can_be_cancelled((Source::Postgres(database), gateway));
}

#[test]
fn mariadb_first_row_comes_at_once() {
    if let Some(pair) = Source::mariadb("stream_first") {
        first_row_comes_at_once(pair);
    }
}

#[test]
fn mariadb_cancel_ends_it_and_frees_the_source() {
    if let Some(pair) = Source::mariadb("stream_cancel") {
        cancel_ends_it_and_frees_the_source(pair);
    }
}

#[test]
fn mariadb_dead_client_frees_the_source() {
    if let Some(pair) = Source::mariadb("stream_dead") {
        dead_client_frees_the_source(pair);
    }
}

/// A portal that is read piece by piece holds its place in a live stream.
#[tokio::test(flavor = "multi_thread")]
async fn portals_are_read_piece_by_piece() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("stream_portal");
    database.script("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g;");
    let gateway = Gateway::start([database.datasource("pg")]);
    let mut client = gateway.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM pg.t ORDER BY id", &[]).await.unwrap();
    let mut read = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 300).await.unwrap();
        read.push(rows.len());
        let expected = (read.iter().sum::<usize>() - rows.len()) as i32;
        assert_eq!(rows.first().map_or(expected + 1, |row| row.get::<_, i32>(0)), expected + 1);
        if rows.len() < 300 {
            break;
        }
    }
    assert_eq!(read, [300, 300, 300, 100]);
}
