//! Events on their way out: into sinks of every kind, and to a webhook, through failures and a kill of the gateway.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, Psql, eventually, write_sqlite};
use serde_json::{Value, json};

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the HTTP endpoint; gives the status and the body.
pub(crate) fn ask(gateway: &Gateway, method: &str, path: &str, body: &Value) -> (u16, String) {
    let address = gateway.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    let body = body.to_string();
    write!(
        socket,
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn assign(gateway: &Gateway) {
    let (status, answer) = ask(gateway, "PUT", "/events/sink", &json!({ "datasource": "log" }));
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
    assert_eq!(ask(&gateway, "DELETE", "/events/sink", &json!({})).0, 204);
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
    let (_, shown) = ask(&gateway, "GET", "/events/sink", &json!({}));
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

/// A receiver of webhooks that fails now and then, and keeps what it was sent.
struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            let mut asked = 0_u32;
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                // One that was cut off by the kill is none.
                let _ = receive(socket, &mut asked, &kept);
            }
        });
        Self { url, seen }
    }

    fn sequences(&self) -> Vec<i64> {
        self.seen.lock().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
    }
}

/// Answers one request and closes.
fn receive(socket: TcpStream, asked: &mut u32, kept: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    *asked += 1;
    let fails = *asked % 4 == 2;
    if !fails {
        kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    }
    let status = if fails { "503 Service Unavailable" } else { "200 OK" };
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

#[test]
fn a_webhook_is_sent_every_statement_in_order_through_failures_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    let mut gateway = Gateway::start_with("audit: { queries: full }", [Datasource::sqlite("shop", &file)]);
    let receiver = Receiver::start();
    let hook = json!({ "name": "hook", "url": receiver.url, "types": ["external.query.executed"], "after": 0 });
    let (status, answer) = ask(&gateway, "POST", "/webhooks", &hook);
    assert_eq!(status, 201, "{answer}");
    for name in ["one", "two", "three"] {
        gateway.psql().rows(&format!("SELECT id FROM shop.t WHERE name = '{name}'"));
    }
    eventually("the first has arrived", PATIENCE, || (!receiver.sequences().is_empty()).then_some(()));
    gateway.kill_and_restart();
    let psql = gateway.psql();
    for name in ["four", "five"] {
        psql.rows(&format!("SELECT id FROM shop.t WHERE name = '{name}'"));
    }
    let logged = "SELECT seq FROM causeway.events WHERE type = 'external.query.executed' ORDER BY seq";
    eventually("every audited statement has arrived", PATIENCE, || {
        let logged: Vec<i64> = psql.rows(logged).iter().map(|sequence| sequence.parse().unwrap()).collect();
        let mut arrived = receiver.sequences();
        // One that was sent again stands right behind itself.
        arrived.dedup();
        (logged.len() >= 3 && arrived == logged).then_some(())
    });
    let event = receiver.seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!((&event["actor"], &event["data"]["outcome"], &event["data"]["rows"]), (&json!("tester"), &json!("completed"), &json!(0)));
    let sql = event["data"]["sql"].as_str().unwrap();
    assert!(sql.contains('?') && !sql.contains("five"), "{sql}");
}
