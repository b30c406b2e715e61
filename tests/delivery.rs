//! Events on their way out: into sinks of every kind, and to a webhook, through failures and a kill of the gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, Psql, WebhookReceiver, eventually, write_sqlite};
use serde_json::{Value, json};

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

fn assign(gateway: &Gateway) {
    let (status, answer) = gateway.ask("PUT", "/events/sink", &json!({ "datasource": "log" }));
    assert_eq!(status, 200, "{answer}");
}

fn sink_is_ready(psql: &Psql) {
    eventually("the sink is ready", PATIENCE, || {
        let rows = psql.rows("SELECT state, last_error FROM causeway.subscribers WHERE name = 'sink'");
        (rows == ["ready|<null>"]).then_some(())
    });
}

/// Waits until the sink's table and the event log hold the same.
fn same_in_both(psql: &Psql) {
    let log = "SELECT seq || ' ' || id || ' ' || type || ' ' || source FROM causeway.events ORDER BY seq";
    let sink = "SELECT sequence || ' ' || id || ' ' || type || ' ' || source FROM log.causeway_events ORDER BY sequence";
    eventually("the sink holds every event once", PATIENCE, || {
        let (log, sink) = (psql.rows(log), psql.rows(sink));
        (!log.is_empty() && log == sink).then_some(())
    });
}

/// A sink that is filled, killed while it is filled, and filled all over again.
fn keeps_every_event_once(datasource: Datasource) {
    let datasource = datasource.schema_mode("managed").external("allow_writes", "true");
    let mut gateway = Gateway::start_with("audit: { queries: full }", [datasource]);
    let psql = gateway.psql();
    assign(&gateway);
    sink_is_ready(&psql);
    psql.script("CALL causeway.refresh_catalog('log')");
    // What a statement reads of the sink becomes an event in the sink, and is waited for by the next look.
    for _ in 0..5 {
        psql.rows("SELECT count(*) FROM log.causeway_events WHERE sequence > 1");
    }
    gateway.kill_and_restart();
    let psql = gateway.psql();
    let audited = "SELECT count(*) FROM causeway.events WHERE type = 'external.query.executed'";
    let first = psql.rows(audited);
    eventually("statements are audited again", PATIENCE, || {
        psql.rows("SELECT max(sequence) FROM log.causeway_events");
        (psql.rows(audited) != first).then_some(())
    });
    assert_eq!(gateway.ask("DELETE", "/events/sink", &json!({})).0, 204);
    assign(&gateway);
    sink_is_ready(&psql);
    // Nothing is asked of the datasource any more, or the log would grow with every look.
    let log = psql.rows("SELECT id FROM causeway.events ORDER BY seq");
    eventually("the sink has come to the end of the log", PATIENCE, || {
        (psql.rows("SELECT behind FROM causeway.subscribers WHERE name = 'sink'") == ["0"]).then_some(())
    });
    let sink = psql.rows("SELECT id FROM log.causeway_events ORDER BY sequence");
    assert_eq!(sink[..log.len()], log);
    assert_eq!(sink.iter().collect::<BTreeSet<_>>().len(), sink.len());
    let (_, shown) = gateway.ask("GET", "/events/sink", &json!({}));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["status"], &shown["table"]["obstacles"]), (&json!("ready"), &json!([])), "{shown}");
}

#[test]
fn a_postgresql_sink_keeps_every_event_once() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("sink");
    keeps_every_event_once(database.datasource("log"));
    assert!(!database.psql().rows("SELECT data ->> 'sql' FROM causeway_events WHERE type = 'external.query.executed'").is_empty());
}

#[test]
fn a_mariadb_sink_keeps_every_event_once() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("sink");
    keeps_every_event_once(database.datasource("log"));
    assert_ne!(database.rows("SELECT count(json_value(data, '$.sql')) FROM causeway_events"), ["0"]);
}

#[test]
fn a_sqlite_sink_keeps_every_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    write_sqlite(&file, "CREATE TABLE theirs (id INTEGER PRIMARY KEY)");
    keeps_every_event_once(Datasource::sqlite("log", &file));
}

#[test]
fn a_sink_that_is_not_ours_to_change_is_told_what_to_run() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("external_sink");
    let gateway = Gateway::start([database.datasource("log").external("allow_writes", "true")]);
    let psql = gateway.psql();
    assign(&gateway);
    let error = eventually("the sink says why not", PATIENCE, || {
        psql.rows("SELECT last_error FROM causeway.subscribers WHERE state = 'error'").pop()
    });
    let (told, statement) = error.0.split_once("run: ").unwrap();
    assert!(told.starts_with("EXTERNAL_SCHEMA_MODE_VIOLATION"), "{told}");
    assert!(database.psql().rows("SELECT 1 FROM pg_class WHERE relname = 'causeway_events'").is_empty());
    database.script(statement);
    sink_is_ready(&psql);
    psql.script("CALL causeway.refresh_catalog('log')");
    same_in_both(&psql);
}

#[test]
fn a_webhook_is_sent_every_statement_in_order_through_failures_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    let mut gateway = Gateway::start_with("audit: { queries: full }", [Datasource::sqlite("shop", &file)]);
    let receiver = WebhookReceiver::start(3);
    let hook = json!({ "name": "hook", "url": receiver.url(), "types": ["external.query.executed"], "after": 0 });
    let (status, answer) = gateway.ask("POST", "/webhooks", &hook);
    assert_eq!(status, 201, "{answer}");
    let arrived = || -> Vec<i64> { receiver.taken().iter().map(|event| event["sequence"].as_i64().unwrap()).collect() };
    for name in ["one", "two", "three"] {
        gateway.psql().rows(&format!("SELECT id FROM shop.t WHERE name = '{name}'"));
    }
    eventually("the first has arrived", PATIENCE, || (!arrived().is_empty()).then_some(()));
    gateway.kill_and_restart();
    let psql = gateway.psql();
    for name in ["four", "five"] {
        psql.rows(&format!("SELECT id FROM shop.t WHERE name = '{name}'"));
    }
    let logged = "SELECT seq FROM causeway.events WHERE type = 'external.query.executed' ORDER BY seq";
    eventually("every audited statement has arrived", PATIENCE, || {
        let logged: Vec<i64> = psql.rows(logged).iter().map(|sequence| sequence.parse().unwrap()).collect();
        let mut arrived = arrived();
        // One that was sent again stands right behind itself.
        arrived.dedup();
        (logged.len() >= 3 && arrived == logged).then_some(())
    });
    let event = receiver.taken().pop().unwrap();
    assert_eq!((&event["actor"], &event["data"]["outcome"], &event["data"]["rows"]), (&json!("tester"), &json!("completed"), &json!(0)));
    let sql = event["data"]["sql"].as_str().unwrap();
    assert!(sql.contains('?') && !sql.contains("five"), "{sql}");
}
