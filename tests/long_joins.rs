//! Joins that are computed here for long: whoever ends one frees the sources at once, and the gateway's threads soon after.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::Duration;

use causeway_tests::{Datasource, Gateway, PostgresServer, Protocol, Received, eventually, write_sqlite};

/// Rows that all have the same key: a join of two such tables gives the product of their rows.
const ROWS: u32 = 20_000;

/// How long a statement is left to itself, so that it is computing when it is ended.
const COMPUTING: Duration = Duration::from_secs(2);

/// How somebody ends a statement.
#[derive(Debug, Clone, Copy)]
enum End {
    Cancel,
    Timeout,
    Disconnect,
}

/// Runs `sql` and ends it while it computes. `check` is called just before.
fn end(gateway: &Gateway, sql: &str, how: End, mut check: impl FnMut()) {
    let mut client = gateway.discarding_client();
    if matches!(how, End::Timeout) {
        client.run(&format!("SET statement_timeout = {}", COMPUTING.as_millis() + 1000), Protocol::Simple).unwrap();
    }
    if matches!(how, End::Disconnect) {
        client.begin(sql, Protocol::Simple).unwrap();
        thread::sleep(COMPUTING);
        check();
        return;
    }
    let canceller = client.canceller();
    let statement = sql.to_owned();
    let running = thread::spawn(move || -> Received { client.run(&statement, Protocol::Simple).unwrap() });
    thread::sleep(COMPUTING);
    check();
    if matches!(how, End::Cancel) {
        canceller.cancel().unwrap();
    }
    let received = running.join().unwrap();
    assert_eq!(received.error.map(|(code, _)| code).as_deref(), Some("57014"), "{how:?} {sql}");
}

/// Waits until the gateway computes nothing.
fn expect_rest(gateway: &Gateway, what: &str) {
    let pause = Duration::from_millis(300);
    eventually(&format!("the gateway rests after {what}"), Duration::from_secs(10), || {
        let before = gateway.computing_time();
        thread::sleep(pause);
        (gateway.computing_time() - before < pause / 3).then_some(())
    });
}

#[test]
fn the_source_is_free_although_a_join_computes() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("long_join");
    // More than what fits between the source and a join that takes the first rows of it only.
    database
        .script("CREATE TABLE big AS SELECT 1 AS k, g AS v, repeat('x', 300) AS payload FROM generate_series(1, 200000) AS g; ANALYZE big");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desk.db");
    write_sqlite(
        &path,
        &format!(
            "CREATE TABLE many (k INTEGER, v INTEGER);
             WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < {ROWS}) INSERT INTO many SELECT 1, v FROM n"
        ),
    );
    let gateway = Gateway::start([database.datasource("slow"), Datasource::sqlite("desk", &path)]);
    let product = "SELECT count(b.payload) FROM desk.many a JOIN slow.big b ON b.k = a.k JOIN desk.many c ON c.k = b.k";
    let nothing = "SELECT count(b.payload) FROM desk.many a JOIN slow.big b ON b.k = a.k WHERE a.v + b.v < 0";
    let loops = "SELECT count(b.payload) FROM desk.many a JOIN slow.big b ON a.v + b.v < 0";
    for (sql, how) in [
        (product, End::Cancel),
        (product, End::Timeout),
        (product, End::Disconnect),
        (nothing, End::Cancel),
        (nothing, End::Disconnect),
        (loops, End::Cancel),
        (loops, End::Timeout),
    ] {
        end(&gateway, sql, how, || assert!(database.running("big") > 0, "{how:?} {sql}: the source has ended before"));
        let free = || (database.running("big") == 0).then_some(());
        eventually(&format!("the source is free after {how:?} of {sql}"), Duration::from_secs(2), free);
        expect_rest(&gateway, &format!("{how:?} of {sql}"));
    }
}

#[test]
fn a_join_of_files_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "k,v\n".to_owned();
    // A join takes several thousand rows of one side at a time, and each of them with all of the other side.
    for v in 1..=5 * ROWS {
        let _ = writeln!(text, "1,{v}");
    }
    for table in ["a", "b", "c"] {
        fs::write(folder.path().join(format!("{table}.csv")), &text).unwrap();
    }
    let gateway = Gateway::start([Datasource::files("desk", folder.path())]);
    for (sql, how) in [
        ("SELECT count(*) FROM desk.a CROSS JOIN desk.b CROSS JOIN desk.c", End::Cancel),
        ("SELECT sum(a.v), max(c.v) FROM desk.a JOIN desk.b ON b.k = a.k JOIN desk.c ON c.k = b.k", End::Timeout),
        ("SELECT count(*) FROM desk.a JOIN desk.b ON a.v + b.v < 0 JOIN desk.c ON c.k = b.k", End::Disconnect),
        ("EXPLAIN ANALYZE SELECT count(*) FROM desk.a CROSS JOIN desk.b CROSS JOIN desk.c", End::Cancel),
    ] {
        let before = gateway.computing_time();
        end(&gateway, sql, how, || assert!(gateway.computing_time() > before, "{how:?} {sql}: it does not compute"));
        expect_rest(&gateway, &format!("{how:?} of {sql}"));
    }
}
