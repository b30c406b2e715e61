//! One statement's time: on a datasource (`query_timeout`) and as a whole (`statement_timeout`).

use std::time::{Duration, Instant};

use causeway_tests::{Gateway, MariaDbServer, PostgresServer, Protocol, Received, eventually, write_sqlite};

use crate::drip;

const BOTH: [Protocol; 2] = [Protocol::Simple, Protocol::ExtendedBinary];

fn run(gateway: &Gateway, sql: &str, protocol: Protocol) -> (Received, Duration) {
    let start = Instant::now();
    let received = gateway.discarding_client().run(sql, protocol).unwrap();
    (received, start.elapsed())
}

fn expect_query_timeout(gateway: &Gateway, running: impl Fn() -> usize) {
    // The first flows when the limit passes, the second has given nothing yet.
    for sql in ["SELECT id, payload FROM slow.drip", "SELECT count(*) FROM slow.drip"] {
        for protocol in BOTH {
            let (received, took) = run(gateway, sql, protocol);
            let (code, text) = received.error.unwrap_or_else(|| panic!("{protocol:?} {sql}: ended without an error"));
            assert_eq!(code, "57014", "{protocol:?} {sql}: {text}");
            assert!(text.contains("slow") && text.contains("1s"), "{protocol:?} {sql}: {text}");
            assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(3), "{protocol:?} {sql}: took {took:?}");
            eventually("the source is free", Duration::from_secs(2), || (running() == 0).then_some(()));
        }
    }
}

#[test]
fn postgres_query_timeout_names_datasource_and_limit() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("timeout_query");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("slow").external("query_timeout", "1s")]);
    expect_query_timeout(&gateway, || database.running("drip"));
}

#[test]
fn mariadb_query_timeout_names_datasource_and_limit() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("timeout_query");
    drip::in_mariadb(&database);
    let gateway = Gateway::start([database.datasource("slow").external("query_timeout", "1s")]);
    expect_query_timeout(&gateway, || database.running("drip"));
}

#[test]
fn first_row_timeout_ends_what_gives_nothing_and_nothing_else() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("timeout_first_row");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("slow").external("first_row_timeout", "1s")]);
    for protocol in BOTH {
        let (received, took) = run(&gateway, "SELECT count(*) FROM slow.drip", protocol);
        let (code, text) = received.error.unwrap_or_else(|| panic!("{protocol:?}: ended without an error"));
        assert_eq!(code, "57014", "{protocol:?}: {text}");
        assert!(text.contains("slow") && text.contains("first_row_timeout of 1s"), "{protocol:?}: {text}");
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(3), "{protocol:?}: took {took:?}");
        eventually("the source is free", Duration::from_secs(2), || (database.running("drip") == 0).then_some(()));
        let (received, took) = run(&gateway, "SELECT id, payload FROM slow.drip LIMIT 200", protocol);
        assert_eq!((received.rows, received.error), (200, None), "{protocol:?}");
        assert!(took > Duration::from_secs(1), "{protocol:?}: it flowed for longer than its first row may take: {took:?}");
    }
}

#[test]
fn query_timeout_is_one_datasources_own() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("timeout_own");
    drip::in_postgres(&database);
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);");
    let gateway = Gateway::start([
        database.datasource("slow").external("query_timeout", "1s"),
        database.datasource("calm"),
        causeway_tests::Datasource::sqlite("desk", &path),
    ]);
    let (received, took) =
        run(&gateway, "SELECT c.id, t.a FROM calm.drip c CROSS JOIN desk.t t WHERE c.id <= 20000 LIMIT 300", Protocol::Simple);
    assert_eq!((received.rows, received.error), (300, None));
    assert!(took > Duration::from_secs(1), "it ran longer than the other datasource's limit: {took:?}");
    // Having hit the limit leaves the datasource as it was.
    assert!(run(&gateway, "SELECT id FROM slow.drip", Protocol::Simple).0.error.is_some());
    let (received, _) = run(&gateway, "SELECT id FROM slow.drip LIMIT 3", Protocol::Simple);
    assert_eq!((received.rows, received.error), (3, None));
}

#[test]
fn statement_timeout_ends_planning_and_flow() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("timeout_statement");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("slow")]);
    for protocol in BOTH {
        let mut client = gateway.discarding_client();
        client.run("SET statement_timeout = '500ms'", Protocol::Simple).unwrap();
        let start = Instant::now();
        let received = client.run("SELECT id FROM slow.drip", protocol).unwrap();
        let took = start.elapsed();
        let (code, text) = received.error.expect("the limit ends it");
        assert_eq!((code.as_str(), text.as_str()), ("57014", "canceling statement due to statement timeout"), "{protocol:?}");
        assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(1_500), "{protocol:?}: took {took:?}");
        eventually("the source is free", Duration::from_secs(2), || (database.running("drip") == 0).then_some(()));
        client.run("SET statement_timeout = 0", Protocol::Simple).unwrap();
        let received = client.run("SELECT id FROM slow.drip LIMIT 100", protocol).unwrap();
        assert_eq!((received.rows, received.error), (100, None), "{protocol:?}: without a limit it runs for a second");
    }
}
