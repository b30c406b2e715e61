//! Many connections that do nothing cost little and hold nobody up.

use std::time::{Duration, Instant};

use causeway_tests::{Datasource, Gateway, Protocol, write_sqlite};

const CONNECTIONS: usize = 500;

#[test]
fn five_hundred_idle_connections() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);");
    let gateway = Gateway::start([Datasource::sqlite("desk", &path)]);
    gateway.discarding_client().run("SELECT a FROM desk.t", Protocol::Simple).unwrap();

    let before = gateway.memory().resident;
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| gateway.discarding_client()).collect();
    let grown = gateway.memory().resident.saturating_sub(before);
    assert!(grown < 100 * 1024, "{CONNECTIONS} idle connections hold {grown} KiB");

    let start = Instant::now();
    let received = gateway.discarding_client().run("SELECT a FROM desk.t", Protocol::ExtendedBinary).unwrap();
    assert_eq!((received.rows, received.error), (1, None));
    assert!(start.elapsed() < Duration::from_secs(2), "one more took {:?}", start.elapsed());

    // They are all alive, and each has a session of its own.
    for client in &mut clients {
        let received = client.run("SELECT 1", Protocol::Simple).unwrap();
        assert_eq!((received.rows, received.error), (1, None));
    }
}
