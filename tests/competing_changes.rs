//! Changes beside others: what is seen of them, what ends them, who waits for whom, and what may be in one transaction.

use std::time::Duration;

use causeway_tests::{
    Datasource, Gateway, MariaDbServer, PostgresDatabase, PostgresServer, eventually, eventually_async, text_rows, write_sqlite,
};
use tokio_postgres::Client;

const SOON: Duration = Duration::from_secs(10);

const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(40) NOT NULL); INSERT INTO t VALUES (1, 'one'), (2, 'two')";

fn open(datasource: Datasource) -> Datasource {
    datasource.external("allow_writes", "true").section("tables:\n  - { name: w, remote: t, writable: true }")
}

fn postgres(name: &str) -> Option<PostgresDatabase> {
    let database = PostgresServer::shared()?.database(name);
    database.script(TABLE);
    Some(database)
}

async fn code(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.unwrap_err();
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits_is_seen_and_can_be_cancelled() {
    let Some(database) = postgres("waiting_changes") else { return };
    let gateway = Gateway::start([open(database.datasource("shop"))]);
    let (observer, client, holder) = (gateway.connect().await, gateway.connect().await, database.connect().await);
    holder.batch_execute("BEGIN; UPDATE t SET name = 'held' WHERE id = 1").await.unwrap();
    let waiting = tokio::spawn(async move { (code(&client, "UPDATE shop.w SET name = 'mine' WHERE id = 1").await, client) });
    let sql = "SELECT pid, datasources, scans FROM causeway.statements WHERE datasources = 'shop'";
    let (row, _) = eventually_async("the change is seen", SOON, || async { text_rows(&observer, sql).await.unwrap().pop() }).await;
    let scans = row[2].as_deref().unwrap();
    assert!(scans.contains("UPDATE") && !scans.contains("mine"), "{scans}");
    let pools = "SELECT serves, in_use FROM causeway.pools WHERE datasource = 'shop' ORDER BY serves";
    let pools = text_rows(&observer, pools).await.unwrap();
    assert_eq!(pools[0], ["changes", "1"].map(|text| Some(text.to_owned())));
    let pid = row[0].clone().unwrap();
    text_rows(&observer, &format!("SELECT pg_cancel_backend({pid})")).await.unwrap();
    let (ended, client) = waiting.await.unwrap();
    assert_eq!(ended, "57014");
    eventually("the source has ended it", SOON, || (database.running("UPDATE") == 0).then_some(()));
    holder.batch_execute("ROLLBACK").await.unwrap();
    // Its own time ends it as well, and locks of its own are free then.
    holder.batch_execute("BEGIN; UPDATE t SET name = 'held' WHERE id = 2").await.unwrap();
    client.batch_execute("SET statement_timeout = '500ms'").await.unwrap();
    assert_eq!(code(&client, "UPDATE shop.w SET name = 'mine'").await, "57014");
    holder.batch_execute("SET lock_timeout = '5s'; UPDATE t SET name = 'free' WHERE id = 1; COMMIT").await.unwrap();
}

/// Each of two transactions waits for the other's row: one is given up, by the code that drivers try again at.
async fn deadlocks(datasource: Datasource) {
    let gateway = Gateway::start([open(datasource)]);
    let (one, other) = (gateway.connect().await, gateway.connect().await);
    one.batch_execute("BEGIN; UPDATE shop.w SET name = 'a' WHERE id = 1").await.unwrap();
    other.batch_execute("BEGIN; UPDATE shop.w SET name = 'b' WHERE id = 2").await.unwrap();
    let (first, second) = tokio::join!(
        one.simple_query("UPDATE shop.w SET name = 'a' WHERE id = 2; COMMIT"),
        other.simple_query("UPDATE shop.w SET name = 'b' WHERE id = 1; COMMIT")
    );
    let failed: Vec<_> = [first.err(), second.err()].into_iter().flatten().collect();
    let codes: Vec<_> = failed.iter().map(|error| error.code().map_or("none", |code| code.code())).collect();
    assert_eq!(codes, ["40P01"], "{failed:?}");
    let names = text_rows(&gateway.connect().await, "SELECT DISTINCT name FROM shop.w").await.unwrap();
    assert!(names == [["a"].map(|name| Some(name.to_owned()))] || names == [["b"].map(|name| Some(name.to_owned()))], "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_at_postgresql_is_told_as_one() {
    let Some(database) = postgres("deadlocks") else { return };
    deadlocks(database.datasource("shop")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_at_mariadb_is_told_as_one() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("deadlocks");
    database.script(TABLE);
    deadlocks(database.datasource("shop")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_changes_one_datasource_with_rows_of_any() {
    let Some(database) = postgres("two_sources") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desk.db");
    write_sqlite(&file, TABLE);
    let desk = Datasource::sqlite("desk", &file);
    let gateway = Gateway::start([open(database.datasource("shop")), open(desk)]);
    let client = gateway.connect().await;
    let copied = client.execute("INSERT INTO shop.w SELECT id + 10, name || '!' FROM desk.w", &[]).await.unwrap();
    assert_eq!(copied, 2);
    client.batch_execute("BEGIN; DELETE FROM shop.w WHERE id > 10").await.unwrap();
    let refused = client.simple_query("DELETE FROM desk.w").await.unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert_eq!(refused.code().code(), "0A000");
    assert_eq!(refused.message(), "this transaction changes datasource \"shop\" and cannot change \"desk\" too");
    client.batch_execute("ROLLBACK").await.unwrap();
    for schema in ["shop", "desk"] {
        let found = text_rows(&client, &format!("SELECT count(*) FROM {schema}.w")).await.unwrap();
        assert_eq!(found, [[Some(if schema == "shop" { "4" } else { "2" }.to_owned())]], "{schema}");
    }
}

/// The statement, its rows and its outcome.
fn summary(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    format!("{}|{}|{}", event["sql"].as_str().unwrap(), event["rows"], event["outcome"].as_str().unwrap())
}

/// Nothing is changed for anybody without a line of who, what and how many, and whether it was committed.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_audited() {
    let Some(database) = postgres("audited_changes") else { return };
    let gateway = Gateway::start_with("audit: { queries: full }\n", [open(database.datasource("shop"))]);
    let client = gateway.connect().await;
    client.batch_execute("INSERT INTO shop.w VALUES (3, 'secret'), (4, 'secret')").await.unwrap();
    client.batch_execute("BEGIN; UPDATE shop.w SET name = 'secret' WHERE id = 3; DELETE FROM shop.w WHERE id = 4; COMMIT").await.unwrap();
    client.batch_execute("BEGIN; DELETE FROM shop.w; ROLLBACK").await.unwrap();
    assert_eq!(code(&client, "INSERT INTO shop.w VALUES (1, 'taken')").await, "23505");
    let sql = "SELECT data FROM causeway.events WHERE type = 'external.query.executed' ORDER BY seq";
    let expected = [
        r#"INSERT INTO "public"."t" ("id", "name") VALUES (?, ...)|2|completed"#,
        "COMMIT|0|completed",
        r#"UPDATE "public"."t" SET "name" = ?::text WHERE (("id" = ?::integer))|1|completed"#,
        r#"DELETE FROM "public"."t" WHERE (("id" = ?::integer))|1|completed"#,
        "COMMIT|0|completed",
        r#"DELETE FROM "public"."t"|3|completed"#,
        r#"INSERT INTO "public"."t" ("id", "name") VALUES (?, ...)|0|failed"#,
    ];
    let told = || async {
        let rows = text_rows(&client, sql).await.unwrap();
        let rows: Vec<_> = rows.into_iter().flatten().flatten().map(|data| summary(&data)).collect();
        (rows.len() >= expected.len()).then_some(rows)
    };
    let (told, _) = eventually_async("all is told", SOON, told).await;
    assert_eq!(told, expected);
}
