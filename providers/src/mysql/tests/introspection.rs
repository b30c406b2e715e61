//! What introspection sees, odd names first.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use super::server::{TestServer, context, look, shown, table};
use crate::deadline::Deadline;
use crate::remote::{Remote, Scope, TableKind};

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
async fn three_hundred_tables_take_no_more_statements_than_one() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut admin = server.database("many").await;
    let remote = server.remote("many").await;
    let mut asked = async |tables: u32| -> u64 {
        for at in 0..tables {
            admin.query_drop(format!("CREATE OR REPLACE TABLE t{at} (a int PRIMARY KEY, b text) ENGINE=MyISAM")).await.unwrap();
        }
        let questions = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'COM_SELECT'";
        let before: u64 = admin.query_first(questions).await.unwrap().unwrap();
        assert_eq!(look(&remote).await.tables.len(), tables as usize);
        let after: u64 = admin.query_first(questions).await.unwrap().unwrap();
        after - before
    };
    let one = asked(1).await;
    assert_eq!(asked(300).await, one);
}
