//! Where snapshots stand: at one place only if they see the same.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::server::TestServer;
use crate::deadline::Deadline;
use crate::mysql::MySqlRemote;
use crate::mysql::connect::ServerDial;
use crate::mysql::introspect::text;
use crate::mysql::moment::{self, Told};
use crate::pool::Pooled;

async fn begin(remote: &Arc<MySqlRemote>) -> (Pooled<ServerDial>, Told) {
    let mut session = remote.session(Some(Deadline::after(Duration::from_secs(30)))).await.unwrap();
    let moment = moment::begin_told(&mut session).await.unwrap();
    (session, moment)
}

fn is_told(told: &Told) -> bool {
    matches!(told, Told::At(_))
}

async fn sum(session: &mut Pooled<ServerDial>, table: &str) -> String {
    text(&session.rows(&format!("SELECT SUM(v) FROM {table}")).await.unwrap()[0], 0).unwrap()
}

async fn run(admin: &mut Conn, statements: &[&str]) {
    for statement in statements {
        admin.query_drop(*statement).await.unwrap();
    }
}

#[tokio::test]
async fn snapshots_at_one_place_see_the_same() {
    let Some(server) = TestServer::start(&["--log-bin=bin", "--binlog-ignore-db=unlogged", "--innodb-stats-auto-recalc=0"]) else { return };
    let mut admin = server.database("unlogged").await;
    run(&mut admin, &["CREATE TABLE t (id int PRIMARY KEY, v int) ENGINE=InnoDB", "INSERT INTO t VALUES (1, 0)"]).await;
    let mut admin = server.database("moments").await;
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int) ENGINE=InnoDB";
    run(&mut admin, &[table, "INSERT INTO t VALUES (1, 0)", "CREATE TABLE k (id int PRIMARY KEY, v int) ENGINE=MyISAM"]).await;
    let remote = server.remote("moments").await;
    let (one, other) = (begin(&remote).await, begin(&remote).await);
    assert!(is_told(&one.1));
    assert_eq!(one.1, other.1, "nothing was written");
    drop((one, other));
    // What is prepared before the first snapshot, and what happens between the two.
    let cases: [(&str, &[&str], &[&str]); 11] = [
        ("t", &[], &["UPDATE t SET v = v + 1"]),
        ("t", &["BEGIN", "UPDATE t SET v = v + 1"], &["COMMIT"]),
        ("t", &["SET sql_log_bin = 0"], &["UPDATE t SET v = v + 1"]),
        ("t", &["SET sql_log_bin = 0", "BEGIN", "UPDATE t SET v = v + 1"], &["COMMIT"]),
        ("t", &["SET sql_log_bin = 0"], &["INSERT INTO t VALUES (99, 5)"]),
        ("t", &["SET sql_log_bin = 1"], &["DELETE FROM t WHERE id = 99"]),
        ("t", &["XA START 'x'", "UPDATE t SET v = v + 1", "XA END 'x'", "XA PREPARE 'x'"], &["XA COMMIT 'x'"]),
        ("t", &["BEGIN", "INSERT INTO k VALUES (1, 1)", "UPDATE t SET v = v + 1"], &["COMMIT"]),
        ("unlogged.t", &["USE unlogged"], &["UPDATE t SET v = v + 1"]),
        ("unlogged.t", &["BEGIN", "UPDATE t SET v = v + 1"], &["COMMIT"]),
        ("t", &["USE moments", "CREATE TEMPORARY TABLE s (id int) ENGINE=InnoDB"], &["UPDATE t SET v = v + (SELECT COUNT(*) + 1 FROM s)"]),
    ];
    for (table, before, between) in cases {
        let table = if table == "t" { "moments.t" } else { table };
        admin.query_drop("GRANT SELECT ON unlogged.* TO reader@'%'").await.unwrap();
        run(&mut admin, before).await;
        let (mut one, seen) = begin(&remote).await;
        run(&mut admin, between).await;
        let (mut other, seen_later) = begin(&remote).await;
        assert_ne!(sum(&mut one, table).await, sum(&mut other, table).await, "{between:?} changed nothing");
        assert!(is_told(&seen) && is_told(&seen_later), "{between:?}");
        assert_ne!(seen, seen_later, "{between:?} after {before:?}");
    }
}

#[tokio::test]
async fn a_replica_that_does_not_log_what_it_applies_tells_no_moment() {
    for (logs, expected) in [("--log-slave-updates=0", false), ("--log-slave-updates=1", true)] {
        let Some(server) = TestServer::start(&["--log-bin=bin", "--server-id=7", logs]) else { return };
        let mut admin = server.database("replica").await;
        let remote = server.remote("replica").await;
        assert!(is_told(&begin(&remote).await.1));
        // It has nobody to copy from, but is ready to apply.
        run(&mut admin, &["CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody'", "START SLAVE SQL_THREAD"])
            .await;
        assert_eq!(is_told(&begin(&remote).await.1), expected, "{logs}");
    }
}

#[tokio::test]
async fn a_server_without_a_binary_log_tells_no_moment() {
    let Some(server) = TestServer::shared() else { return };
    server.database("no_moment").await;
    let remote = server.remote("no_moment").await;
    assert_eq!(begin(&remote).await.1, Told::Nothing);
}
