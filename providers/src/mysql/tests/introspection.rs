//! What introspection sees, odd names first.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use super::server::{READER, TestServer, context, look, shown, table};
use crate::deadline::Deadline;
use crate::remote::{OmissionCause, Remote, RemotePresence, Scope, TableKind};
use crate::subject::Subject;

#[tokio::test]
async fn odd_names_are_read_and_queried() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("Odd names'").await;
    let names = [
        "Mixed",
        "mixed",
        "with space",
        "back`tick",
        "quo'te",
        "dou\"ble",
        "semi;colon",
        "col:on ?",
        "日本語",
        "ünï",
        "select",
        "a.b",
        "%s",
    ];
    for name in names {
        let quoted = name.replace('`', "``");
        admin.query_drop(format!("CREATE TABLE `{quoted}` (`{quoted}` int, `Other{quoted}` int)")).await.unwrap();
        admin.query_drop(format!("INSERT INTO `{quoted}` VALUES (1, 2)")).await.unwrap();
    }
    let remote = server.remote("Odd names'").await;
    let introspection = look(&remote).await;
    assert_eq!(introspection.default_schema, "Odd names'");
    let mut seen: Vec<_> = introspection.tables.iter().map(|table| table.name.as_str()).collect();
    let mut expected = names.to_vec();
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let context = context(&remote).await;
    for name in names {
        let quoted = name.replace('"', "\"\"");
        let batches =
            context.sql(&format!("SELECT \"Other{quoted}\", \"{quoted}\" FROM \"{quoted}\"")).await.unwrap().collect().await.unwrap();
        assert_eq!(shown(&batches), [["2", "1"]], "{name}");
    }
}

#[tokio::test]
async fn keys_comments_and_kinds_are_read() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("keys").await;
    for statement in [
        "CREATE TABLE parent (b int NOT NULL COMMENT 'the ''second''', a varchar(10) NOT NULL, c int, d text, n int NOT NULL, PRIMARY KEY (a, b), \
         UNIQUE KEY z (c), UNIQUE KEY y (n, c), UNIQUE KEY p (d(5)), KEY plain (n)) COMMENT 'parents'",
        "INSERT INTO parent VALUES (1, 'x', 1, 'd', 1)",
        "CREATE VIEW seen AS SELECT a, b FROM parent",
        "CREATE TABLE gone (x int)",
        "CREATE VIEW broken AS SELECT x FROM gone",
        "DROP TABLE gone",
        "CREATE TABLE versioned (x int) WITH SYSTEM VERSIONING",
        "CREATE SEQUENCE numbers",
        "CREATE TABLE parts (x int) PARTITION BY HASH (x) PARTITIONS 3",
        "CREATE TABLE generated (x int, y int AS (x + 1) STORED, z int INVISIBLE)",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let remote = server.remote("keys").await;
    let introspection = look(&remote).await;
    let kinds: Vec<_> = introspection.tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    let (plain, view) = (TableKind::Table, TableKind::View);
    assert_eq!(kinds, [("generated", plain), ("parent", plain), ("parts", plain), ("seen", view), ("versioned", plain)]);
    assert_eq!(introspection.omitted.len(), 1);
    assert_eq!(introspection.omitted[0].subject, "keys.broken");
    assert_eq!(introspection.omitted[0].cause, OmissionCause::Unmapped);

    let parent = table(&remote, "parent").await;
    assert_eq!(parent.primary_key, ["a", "b"]);
    assert_eq!(parent.unique_keys, [vec!["d".to_owned()], vec!["n".to_owned(), "c".to_owned()], vec!["c".to_owned()]]);
    assert_eq!(parent.comment.as_deref(), Some("parents"));
    assert!(parent.row_estimate.is_some());
    let columns: Vec<_> = parent.columns.iter().map(|c| (c.name.as_str(), c.nullable, c.comment.as_deref())).collect();
    let (b, others) = columns.split_first().unwrap();
    assert_eq!(*b, ("b", false, Some("the 'second'")));
    assert_eq!(others, [("a", false, None), ("c", true, None), ("d", true, None), ("n", false, None)]);
    assert_eq!(parent.columns[1].remote_type, "varchar(10)");
    assert_eq!(table(&remote, "seen").await.comment, None);
}

#[tokio::test]
async fn the_scope_chooses_databases() {
    let Some(server) = TestServer::start(&[]) else { return };
    for name in ["one", "two", "three"] {
        let mut admin = server.database(name).await;
        admin.query_drop("CREATE TABLE t (x int)").await.unwrap();
    }
    let remote = server.remote("two").await;
    let schemas = async |scope: &[&str]| -> Vec<String> {
        let scope = Scope { schemas: scope.iter().map(|schema| (*schema).to_owned()).collect() };
        let seen = remote.introspect(&scope, Deadline::after(Duration::from_secs(30))).await.unwrap();
        assert_eq!(seen.default_schema, "two");
        seen.tables.into_iter().map(|table| table.schema).collect()
    };
    assert_eq!(schemas(&[]).await, ["one", "three", "two"]);
    assert_eq!(schemas(&["two", "three"]).await, ["three", "two"]);
    assert_eq!(schemas(&["Two"]).await, [""; 0]);
    assert_eq!(schemas(&["mysql"]).await, [""; 0]);
}

#[tokio::test]
async fn a_look_takes_three_statements_however_many_tables_there_are() {
    // The server's general log has each statement it is sent, with its sender.
    let Some(server) = TestServer::start(&["--general-log=1", "--log-output=TABLE"]) else { return };
    let mut admin = server.database("many").await;
    let remote = server.remote("many").await;
    // A connection that has served is asked whether it still stands, which counts as well.
    assert_eq!(look(&remote).await.tables.len(), 0);
    for tables in [1, 300] {
        for at in 0..tables {
            admin.query_drop(format!("CREATE OR REPLACE TABLE t{at} (a int PRIMARY KEY, b text) ENGINE=MyISAM")).await.unwrap();
        }
        admin.query_drop("TRUNCATE mysql.general_log").await.unwrap();
        assert_eq!(look(&remote).await.tables.len(), tables);
        let logged = &format!(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
             WHERE command_type <> 'Connect' AND command_type <> 'Quit' AND user_host LIKE '%{READER}%'"
        );
        let sent: Vec<String> = admin.query(logged).await.unwrap();
        assert!((1..=3).contains(&sent.len()), "{sent:#?}");
        assert!(sent.iter().any(|statement| statement.contains("information_schema.COLUMNS")), "{sent:#?}");

        // Nor do the questions for tables that are not there any more.
        let missing: Vec<Subject> = (0..tables).map(|at| Subject::table("many", &format!("missing{at}"))).collect();
        admin.query_drop("TRUNCATE mysql.general_log").await.unwrap();
        let answers = remote.presence(&missing, Deadline::after(Duration::from_secs(30))).await.unwrap();
        assert_eq!(answers, vec![RemotePresence::Absent; tables]);
        let asked: Vec<String> = admin.query(logged).await.unwrap();
        assert!(asked.iter().filter(|statement| statement.starts_with("BEGIN NOT ATOMIC")).count() == 1, "{asked:#?}");
    }
}

#[tokio::test]
async fn dropped_and_forbidden_are_told_apart() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut admin = server.database("mart").await;
    let mut change = async |statements: &[&str]| {
        for statement in statements {
            admin.query_drop(statement.replace("READER", &format!("'{READER}'@'%'"))).await.unwrap();
        }
    };
    change(&[
        "CREATE TABLE kept (a int, b int)",
        "CREATE TABLE dropped (a int)",
        "CREATE TABLE revoked (a int)",
        "CREATE TABLE `o'd``d.` (`A ``b` int)",
        "CREATE TABLE base (a int)",
        "CREATE VIEW broken AS SELECT a FROM base",
        "DROP TABLE base",
        "REVOKE SELECT ON mart.* FROM READER",
        "GRANT SELECT ON kept TO READER",
        "GRANT SELECT ON dropped TO READER",
        "GRANT SELECT ON revoked TO READER",
        "GRANT SELECT ON `o'd``d.` TO READER",
        "GRANT SELECT ON broken TO READER",
    ])
    .await;
    let remote = server.remote("mart").await;
    let (readable, forbidden, absent) = (RemotePresence::Readable, RemotePresence::Forbidden, RemotePresence::Absent);
    let ask = async |cases: &[(&Subject, RemotePresence)]| {
        let (subjects, expected): (Vec<Subject>, Vec<_>) = cases.iter().map(|(subject, presence)| ((*subject).clone(), *presence)).unzip();
        let found = remote.presence(&subjects, Deadline::after(Duration::from_secs(30))).await.unwrap();
        assert_eq!(found, expected, "{subjects:?}");
    };
    let (kept, dropped, revoked) = (Subject::table("mart", "kept"), Subject::table("mart", "dropped"), Subject::table("mart", "revoked"));
    let (a, b) = (Subject::column("mart", "kept", "a"), Subject::column("mart", "kept", "b"));
    ask(&[(&kept, readable), (&dropped, readable), (&revoked, readable), (&a, readable), (&b, readable)]).await;
    ask(&[
        (&Subject::column("mart", "o'd`d.", "A `b"), readable),
        (&Subject::column("mart", "kept", "no such"), absent),
        (&Subject::table("mart", "broken"), absent),
        // The server does not say of what our user may not know of whether it is there.
        (&Subject::table("mart", "no such"), forbidden),
        (&Subject::table("no such", "kept"), forbidden),
    ])
    .await;

    change(&["DROP TABLE dropped", "REVOKE SELECT ON revoked FROM READER"]).await;
    ask(&[(&kept, readable), (&dropped, absent), (&revoked, forbidden)]).await;

    change(&["REVOKE SELECT ON kept FROM READER", "GRANT SELECT (a) ON kept TO READER"]).await;
    ask(&[(&kept, readable), (&a, readable), (&b, forbidden)]).await;
    // A grant outlives its column, and with it the server says that the column is gone.
    change(&["GRANT SELECT (b) ON kept TO READER", "ALTER TABLE kept DROP COLUMN b"]).await;
    ask(&[(&kept, readable), (&a, readable), (&b, absent)]).await;

    // Our user may now see the whole schema, as most do, and then lose it.
    change(&["GRANT SELECT ON mart.* TO READER", "CREATE TABLE fresh (a int)"]).await;
    let fresh = Subject::table("mart", "fresh");
    ask(&[(&fresh, readable), (&Subject::table("mart", "no such"), absent)]).await;
    change(&["REVOKE SELECT ON mart.* FROM READER"]).await;
    ask(&[(&fresh, forbidden), (&a, readable)]).await;
}
