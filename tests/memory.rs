//! A result of any size passes through in bounded memory.

use causeway_tests::{DiscardingClient, Gateway, MariaDbServer, PostgresServer, Protocol, write_sqlite};

const ROWS: u64 = 2_000_000;
/// What streaming may add to what the gateway holds, in KiB.
const ALLOWED: u64 = 150 * 1024;

fn expect_flat(gateway: &Gateway, sql: &str, rows: u64) {
    for protocol in [Protocol::Simple, Protocol::ExtendedBinary] {
        let mut client = gateway.discarding_client();
        warm_up(&mut client, sql, protocol);
        gateway.forget_peak();
        let before = gateway.memory();
        let received = client.run(sql, protocol).unwrap();
        assert_eq!((received.rows, received.error), (rows, None), "{protocol:?} {sql}");
        let after = gateway.memory();
        let grown = after.peak.saturating_sub(before.resident);
        assert!(grown < ALLOWED, "{protocol:?} {sql}: {rows} rows of {} MiB took {grown} KiB", received.bytes >> 20);
    }
}

/// What the first statement allocates once is not what a long one adds.
fn warm_up(client: &mut DiscardingClient, sql: &str, protocol: Protocol) {
    let received = client.run(&format!("{sql} LIMIT 1000"), protocol).unwrap();
    assert_eq!((received.rows, received.error), (1000, None));
}

#[test]
fn postgres_streams_in_bounded_memory() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("memory");
    database.script(&format!(
        "CREATE VIEW many AS SELECT g AS id, g * 1.5 AS price, 'row number ' || g AS label, now() AS seen FROM generate_series(1, {ROWS}) g;"
    ));
    let gateway = Gateway::start([database.datasource("pg").external("query_timeout", "10m")]);
    expect_flat(&gateway, "SELECT * FROM pg.many", ROWS);
}

#[test]
fn mariadb_streams_in_bounded_memory() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("memory");
    database.script(&format!(
        "CREATE VIEW many AS SELECT seq AS id, CONCAT('row number ', seq, REPEAT('x', 100)) AS label FROM seq_1_to_{ROWS};"
    ));
    let gateway = Gateway::start([database.datasource("my").external("query_timeout", "10m")]);
    expect_flat(&gateway, "SELECT id, label FROM my.many", ROWS);
}

#[test]
fn sqlite_streams_in_bounded_memory() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    let rows = ROWS / 4;
    write_sqlite(
        &path,
        &format!(
            "CREATE TABLE many (id INTEGER PRIMARY KEY, label TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             INSERT INTO many SELECT i, printf('row number %d of many, and some more text to make it wide: %0500d', i, i) FROM n;"
        ),
    );
    let gateway = Gateway::start([causeway_tests::Datasource::sqlite("desk", &path)]);
    expect_flat(&gateway, "SELECT id, label FROM desk.many", rows);
}
