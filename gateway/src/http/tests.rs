//! The HTTP endpoint of a whole gateway, asked by the client of the command line and by hand.

mod documented;

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use causeway_catalog::{Datasource, SchemaMode};
use causeway_providers::{ConnectorRegistry, write_sqlite_sample};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::client::Client;
use crate::cli::http_client::{CallError, HttpClient};
use crate::config::Settings;
use crate::server::Server;
use crate::server::tests::sqlite;

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);
const SHOP: &str = "/api/v1/datasources/shop/external";

/// A gateway with two ports and the folder it works in.
struct Running {
    server: Server,
    folder: TempDir,
    client: HttpClient,
}

impl Running {
    /// A gateway over `shop`, which has a table, and `gone`, whose file is not there.
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Datasource)) -> Self {
        Self::start_as(change, |_| {}).await
    }

    async fn start_as(change: impl FnOnce(&mut Datasource), set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        write_sqlite_sample(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');")
            .unwrap();
        let mut settings = Settings::new(folder.path().join("data"));
        settings.postgres.set_port(0);
        settings.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        set(&mut settings);
        let mut shop = sqlite("shop", &file);
        change(&mut shop);
        let datasources = vec![shop, sqlite("gone", &folder.path().join("gone.db"))];
        let server = Server::bind(&settings, datasources, &ConnectorRegistry::built_in()).await.unwrap();
        server.environment().settled(PATIENCE).await;
        let server = server.listen();
        let client = HttpClient::new(&format!("http://{}", server.http_address().unwrap())).unwrap();
        Self { server, folder, client }
    }

    fn address(&self) -> SocketAddr {
        self.server.http_address().unwrap()
    }

    /// Changes the source of `shop`.
    fn change(&self, sql: &str) {
        change(self.folder.path(), sql);
    }

    async fn get(&self, path: &str) -> Value {
        self.client.get(path).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.client.post(path, Some(&body)).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Status and code of a refusal.
    async fn refused(&self, path: &str, body: Option<Value>) -> (u16, String) {
        let answer = match &body {
            None => self.client.get(path).await,
            Some(body) => self.client.post(path, Some(body)).await,
        };
        match answer {
            Err(CallError::Refused(problem)) => (problem.status, problem.code),
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Sends a request as it is and gives the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it answers and closes").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Sends a request line with more headers for this gateway.
    async fn with(&self, line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        self.raw(&format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            self.address()
        ))
        .await
    }

    async fn stop(self) {
        self.server.stop(pending()).await;
    }
}

fn change(folder: &Path, sql: &str) {
    write_sqlite_sample(&folder.join("shop.db"), sql).unwrap();
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer}"))
}

fn problem(answer: &str) -> Value {
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn datasources_are_listed_with_their_state() {
    let running = Running::start().await;
    let all = running.get("/api/v1/datasources").await;
    let states: Vec<_> =
        all.as_array().unwrap().iter().map(|one| (one["name"].clone(), one["state"].clone(), one["tables"].clone())).collect();
    assert_eq!(states, [(json!("gone"), json!("error"), json!(0)), (json!("shop"), json!("running"), json!(1))]);
    let shop = running.get("/api/v1/datasources/shop").await;
    assert_eq!((&shop["connector"], &shop["schema_mode"], &shop["omitted"]), (&json!("sqlite"), &json!("external"), &json!([])));
    assert!(running.get("/api/v1/datasources/gone").await["last_error"].is_string());
    assert_eq!(running.refused("/api/v1/datasources/nothing", None).await, (404, "DATASOURCE_NOT_FOUND".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_external_catalog_its_history_and_the_difference() {
    let running = Running::start().await;
    let catalog = running.get(&format!("{SHOP}/catalog")).await;
    assert_eq!((&catalog["snapshot"]["version"], &catalog["stale_since"]), (&json!(1), &Value::Null));
    let table = &catalog["tables"][0];
    assert_eq!((&table["name"], &table["kind"], &table["primary_key"]), (&json!("t"), &json!("table"), &json!(["id"])));
    assert_eq!(table["published"][0]["schema"], "shop");
    let column = &table["columns"][0];
    assert_eq!((&column["name"], &column["type"], &column["remote_type"]), (&json!("id"), &json!("bigint"), &json!("INTEGER")));

    running.change("CREATE TABLE u (id INTEGER);");
    assert_eq!(running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await["tables"], 2);
    let tables = running.get(&format!("{SHOP}/tables")).await;
    assert_eq!((&tables[1]["name"], &tables[1]["column_count"]), (&json!("u"), &json!(1)));
    assert!(tables[1].get("columns").is_none(), "the list is short");
    let history = running.get(&format!("{SHOP}/catalog?history")).await;
    let versions: Vec<_> = history.as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(versions, [1, 2]);
    let difference = running.get(&format!("{SHOP}/catalog/diff?from=1&to=2")).await;
    assert_eq!((&difference["differences"][0]["kind"], &difference["differences"][0]["remote_table"]), (&json!("new_table"), &json!("u")));

    assert_eq!(running.refused(&format!("{SHOP}/catalog/diff?from=1&to=9"), None).await, (404, "SNAPSHOT_NOT_FOUND".to_owned()));
    assert_eq!(running.refused(&format!("{SHOP}/catalog/diff?from=1"), None).await, (400, "INVALID".to_owned()));
    let gone = "/api/v1/datasources/gone/external/refresh-catalog";
    assert_eq!(running.refused(gone, Some(json!({}))).await.0, 503);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_told_and_accepted() {
    let running = Running::start().await;
    assert_eq!(
        running.post(&format!("{SHOP}/validate"), json!({})).await,
        json!({ "differences": [], "impact": { "foreign_tables": [], "prepared_statements": [] }, "events": 0, "unreadable": 0 })
    );
    running.change("ALTER TABLE t ADD COLUMN note TEXT;");
    let found = running.post(&format!("{SHOP}/validate"), json!({})).await;
    let difference = &found["differences"][0];
    assert_eq!((&difference["kind"], &difference["column"], &found["events"]), (&json!("unmapped_column"), &json!("note"), &json!(1)));
    assert_eq!(difference["published"], json!([{ "schema": "shop", "name": "t" }]));
    assert_eq!(running.get("/api/v1/drift?datasource=shop&state=open").await.as_array().unwrap().len(), 1);
    let told = running.get("/api/v1/events?type=external.schema.drift").await;
    assert_eq!((&told[0]["sequence"], &told[0]["subject"]), (&difference["event"], &json!("main.t")));

    running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await;
    assert_eq!(running.get("/api/v1/drift?state=open").await, json!([]));
    assert_eq!(running.get("/api/v1/drift?state=resolved").await.as_array().unwrap().len(), 1);
    assert_eq!(running.refused("/api/v1/drift?state=lost", None).await, (400, "INVALID".to_owned()));
    assert_eq!(running.refused("/api/v1/drift?datasource=nothing", None).await, (404, "DATASOURCE_NOT_FOUND".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_drafted_and_imported() {
    let running = Running::start().await;
    running.change("CREATE TABLE \"odd.name / é\" (id INTEGER PRIMARY KEY);");
    running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await;
    let odd = crate::cli::http_client::segment("main.\"odd.name / é\"");
    let drafted = running.client.post_for_text(&format!("{SHOP}/tables/{odd}/draft")).await.unwrap();
    assert!(drafted.starts_with("tables:\n") && drafted.contains("primary_key: [id]"), "{drafted}");
    let answer = running.with(&format!("POST {SHOP}/tables/t/draft"), "", "").await;
    assert!(status(&answer) == 200 && answer.contains("content-type: text/yaml"), "{answer}");

    let import = |body: Value| Some(body);
    let table = format!("{SHOP}/tables/main.t/import");
    let dry = running.post(&table, json!({ "schema": "sales", "dry_run": true })).await;
    assert_eq!((&dry["written"], &dry["tables"][0]["name"]), (&json!(false), &json!("t")));
    let answer =
        running.with(&format!("POST {table}"), "Content-Type: application/json\r\n", "{\"schema\": \"sales\", \"name\": \"things\"}").await;
    assert_eq!(status(&answer), 201, "{answer}");
    let mut ana = Client::connect(&running.server.address().to_string(), "ana", "default").await.unwrap();
    let rows = ana.query("SELECT name FROM sales.things ORDER BY id").await.unwrap();
    assert_eq!(rows[0].rows.len(), 2);
    ana.close().await;

    let again = running.post(&table, json!({ "schema": "sales", "name": "things" })).await;
    assert_eq!((&again["written"], &again["tables"][0]["known"]), (&json!(true), &json!(true)));
    let clash = json!({ "schema": "sales", "name": "things" });
    assert_eq!(running.refused(&format!("{SHOP}/tables/{odd}/import"), import(clash)).await, (409, "NAME_TAKEN".to_owned()));
    let own = json!({ "schema": "shop" });
    assert_eq!(running.refused(&table, import(own)).await, (409, "NAME_TAKEN".to_owned()));
    let schema = json!({ "into": "copy", "remote_schema": "nothing" });
    assert_eq!(running.refused(&format!("{SHOP}/import"), import(schema)).await, (400, "REMOTE_SCHEMA_NOT_FOUND".to_owned()));
    let twice = json!({ "into": "copy", "rename": { "t": "odd.name / é" } });
    assert_eq!(running.refused(&format!("{SHOP}/import"), import(twice)).await, (409, "CONFLICT".to_owned()));
    let missing = format!("{SHOP}/tables/nothing/import");
    assert_eq!(running.refused(&missing, import(json!({ "schema": "sales" }))).await, (400, "REMOTE_TABLE_NOT_FOUND".to_owned()));
    assert_eq!(running.refused(&format!("{SHOP}/tables/a.b.c/import"), import(json!({ "schema": "x" }))).await.0, 400);

    let all =
        running.post(&format!("{SHOP}/import"), json!({ "into": "copy", "except": ["t"], "rename": { "odd.name / é": "odd" } })).await;
    assert_eq!((&all["written"], &all["tables"][0]["name"]), (&json!(true), &json!("odd")));
    let none = json!({ "into": "copy", "limit_to": [] });
    let both = json!({ "into": "copy", "except": ["t"], "limit_to": ["t"] });
    let nameless = json!({ "into": "copy", "limit_to": ["t"], "rename": { "t": "a\u{0}b" } });
    for wrong in [none, both, nameless] {
        assert_eq!(running.refused(&format!("{SHOP}/import"), import(wrong)).await, (400, "INVALID".to_owned()));
    }
    let told = running.get("/api/v1/events?type=external.table.imported").await;
    let actors: Vec<&Value> = told.as_array().unwrap().iter().map(|event| &event["actor"]).collect();
    assert_eq!(actors, [&json!("http"), &json!("cli")], "one by hand, one by the client of the command line, and once more was none");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datasource_that_is_only_compared_gives_no_imports() {
    let running = Running::start_with(|shop| shop.schema_mode = SchemaMode::ValidateOnly).await;
    let refused = running.refused(&format!("{SHOP}/tables/t/import"), Some(json!({ "schema": "sales" }))).await;
    assert_eq!(refused, (409, "DATASOURCE_NOT_PUBLISHED".to_owned()));
    running.stop().await;
}

/// Reads a stream until it has sent `wanted` events; gives their ids and types.
async fn streamed(stream: &mut TcpStream, wanted: usize) -> Vec<(String, String)> {
    let mut text = String::new();
    let reading = async {
        loop {
            let blocks: Vec<&str> = text.split("\n\n").filter(|block| block.contains("data: ")).collect();
            if blocks.len() >= wanted {
                let field = |block: &str, name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                    line.trim().to_owned()
                };
                return blocks.into_iter().map(|block| (field(block, "id:"), field(block, "event:"))).collect();
            }
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the events come")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_a_list_and_as_a_stream_that_is_resumed() {
    let running = Running::start().await;
    let all = running.get("/api/v1/events").await;
    let sequences: Vec<_> = all.as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    let newest = i64::try_from(sequences.len()).unwrap();
    assert_eq!(sequences, (1..=newest).collect::<Vec<_>>());
    assert_eq!(all[0]["specversion"], "1.0");
    assert_eq!(running.get(&format!("/api/v1/events?after={newest}")).await, json!([]));
    assert_eq!(running.get("/api/v1/events?after=-1&limit=5").await[0]["sequence"], newest);
    assert_eq!(running.get("/api/v1/events?limit=1").await.as_array().unwrap().len(), 1);
    assert_eq!(running.refused("/api/v1/events?limit=0", None).await, (400, "INVALID".to_owned()));
    assert_eq!(running.refused("/api/v1/events?type=external.nothing", None).await, (400, "INVALID".to_owned()));
    let batch = running.with("GET /api/v1/events", "Accept: application/cloudevents-batch+json\r\n", "").await;
    assert!(batch.contains("content-type: application/cloudevents-batch+json\r\n"), "{batch}");

    let ask = async |resume: &str, parameters: &str| {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        let head =
            format!("GET /api/v1/events{parameters} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{resume}\r\n", running.address());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let mut stream = ask("", "").await;
    let came = streamed(&mut stream, sequences.len()).await;
    assert_eq!(came.last().unwrap().0, newest.to_string());
    running.change("CREATE TABLE u (id INTEGER);");
    running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await;
    let (id, kind) = streamed(&mut stream, 1).await.remove(0);
    assert_eq!((id, kind.as_str()), ((newest + 1).to_string(), "external.schema.drift"), "an idle stream is woken");

    let mut resumed = ask(&format!("Last-Event-ID: {newest}\r\n"), "?after=0").await;
    assert_eq!(streamed(&mut resumed, 1).await[0].0, (newest + 1).to_string());
    let mut some = ask("", "?type=external.catalog.refreshed").await;
    assert!(streamed(&mut some, 2).await.iter().all(|(_, kind)| kind == "external.catalog.refreshed"));

    running.stop().await;
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("stopping ends the stream").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_kept_with_a_reference_to_their_secret() {
    let running = Running::start().await;
    let secrets = running.folder.path().join("data/webhook-secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("pager"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let reference = "file:pager";
    let hook = json!({ "name": "pager", "url": "http://127.0.0.1:9/services/s3cr3t?key=s3cr3t", "secret": reference, "types": ["external.schema.drift"] });
    let added = running.post("/api/v1/webhooks", hook.clone()).await;
    let newest = running.get("/api/v1/events?after=-1").await[0]["sequence"].clone();
    assert_eq!((&added["status"], &added["secret"], &added["delivered_sequence"]), (&json!("waiting"), &json!(reference), &newest));
    assert_eq!(added["url"], "http://127.0.0.1:9/...");
    let (all, one) = (running.get("/api/v1/webhooks").await, running.get("/api/v1/webhooks/pager").await);
    assert_eq!((all.as_array().unwrap().len(), &one["dead_letters"]), (1, &json!([])));
    let mut ana = Client::connect(&running.server.address().to_string(), "ana", "default").await.unwrap();
    let rows = ana.query("SELECT target FROM causeway.subscribers").await.unwrap();
    assert_eq!(rows[0].rows, [[Some("http://127.0.0.1:9/...".to_owned())]]);
    ana.close().await;
    assert!(!format!("{added}{all}{one}").contains("s3cr3t"), "{all} {one}");
    assert_eq!(running.refused("/api/v1/webhooks", Some(hook)).await, (409, "NAME_TAKEN".to_owned()));

    let early = json!({ "name": "b", "url": "http://h/", "after": newest.as_i64().unwrap() + 1_000 });
    assert_eq!(running.refused("/api/v1/webhooks", Some(early)).await, (400, "INVALID".to_owned()));

    let literal = "{\"name\": \"b\", \"url\": \"http://h/\", \"secret\": \"whsec_s3cr3t\"}";
    let answer = running.with("POST /api/v1/webhooks", "Content-Type: application/json\r\n", literal).await;
    assert!(status(&answer) == 400 && !answer.contains("s3cr3t"), "{answer}");
    assert_eq!(problem(&answer)["code"], "SECRET_NOT_A_REFERENCE");
    for reference in ["env:PATH", "env:CAUSEWAY_MASTER_KEY", "env:CAUSEWAY_WEBHOOK_ABSENT", "file:/etc/hostname", "file:../../shop.db"] {
        let hook = json!({ "name": "b", "url": "http://h/", "secret": reference });
        assert_eq!(running.refused("/api/v1/webhooks", Some(hook)).await, (400, "INVALID".to_owned()), "{reference}");
    }
    for (field, value) in
        [("name", json!("Sink!")), ("name", json!("sink")), ("url", json!("ftp://h")), ("types", json!(["x"])), ("odd", json!(1))]
    {
        let mut hook = json!({ "name": "c", "url": "http://h/" });
        hook[field] = value;
        assert_eq!(running.refused("/api/v1/webhooks", Some(hook)).await, (400, "INVALID".to_owned()), "{field}");
    }

    let removed = running.with("DELETE /api/v1/webhooks/pager", "", "").await;
    assert_eq!((status(&removed), removed.split("\r\n\r\n").nth(1)), (204, Some("")), "{removed}");
    assert_eq!(running.refused("/api/v1/webhooks/pager", None).await, (404, "WEBHOOK_NOT_FOUND".to_owned()));
    assert_eq!(status(&running.with("DELETE /api/v1/webhooks/pager", "", "").await), 404);
    running.stop().await;
}

/// A receiver that answers its first request that it is gone, and takes all others; gives its address.
async fn once_gone() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut answer = "410 Gone";
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).to_ascii_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                length.is_none_or(|length| body.len() >= length)
            };
            while !is_whole(&request) && socket.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let _ = socket.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await;
            answer = "200 OK";
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_disabled_is_enabled_and_goes_on_where_it_was() {
    let running = Running::start().await;
    let added = running.post("/api/v1/webhooks", json!({ "name": "pager", "url": format!("http://{}/", once_gone().await) })).await;
    let begun = added["delivered_sequence"].as_i64().unwrap();
    let until = async |what: &dyn Fn(&Value) -> bool| {
        let waiting = async {
            loop {
                let webhook = running.get("/api/v1/webhooks/pager").await;
                if what(&webhook) {
                    return webhook;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to that")
    };
    running.change("CREATE TABLE u (id INTEGER);");
    running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await;
    let disabled = until(&|webhook| webhook["status"] == "disabled").await;
    assert_eq!(disabled["delivered_sequence"], begun, "it took nothing: {disabled}");

    let enabled = running.post("/api/v1/webhooks/pager/enable", json!({})).await;
    assert_eq!((&enabled["name"], enabled["status"] == "disabled"), (&json!("pager"), false), "{enabled}");
    let told = running.get("/api/v1/events?type=webhook.disabled,webhook.enabled").await;
    let told: Vec<_> = told.as_array().unwrap().iter().map(|event| (&event["type"], &event["subject"], &event["actor"])).collect();
    let expected =
        [(&json!("webhook.disabled"), &json!("pager"), &Value::Null), (&json!("webhook.enabled"), &json!("pager"), &json!("cli"))];
    assert_eq!(told, expected);
    let newest = running.get("/api/v1/events?after=-1").await[0]["sequence"].as_i64().unwrap();
    let sent = until(&|webhook| webhook["delivered_sequence"].as_i64() >= Some(newest)).await;
    assert_eq!((&sent["status"], &sent["dead_letters"]), (&json!("ready"), &json!([])), "nothing was passed over");
    running.post("/api/v1/webhooks/pager/enable", json!({})).await;
    assert_eq!(running.get(&format!("/api/v1/events?after={newest}")).await, json!([]), "it is enabled already");
    assert_eq!(running.refused("/api/v1/webhooks/nothing/enable", Some(json!({}))).await, (404, "WEBHOOK_NOT_FOUND".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_events_ends_where_it_has_enough_bytes() {
    let running = Running::start().await;
    let event = |size: usize| causeway_catalog::NewEvent {
        kind: causeway_catalog::EventType::QueryExecuted,
        datasource: None,
        subject: None,
        actor: None,
        data: json!({ "text": "x".repeat(size) }),
    };
    let before = running.get("/api/v1/events?after=-1").await[0]["sequence"].as_i64().unwrap();
    running.server.environment().append(&[event(3 << 20), event(3 << 20), event(9 << 20), event(1)]).await.unwrap();
    let mut pages = Vec::new();
    let mut after = before;
    loop {
        let page = running.get(&format!("/api/v1/events?after={after}&limit=1000&type=external.query.executed")).await;
        let sequences: Vec<i64> = page.as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap() - before).collect();
        let Some(last) = sequences.last() else { break };
        after = before + last;
        pages.push(sequences);
    }
    assert_eq!(pages, [vec![1, 2], vec![3], vec![4]], "an event that alone is more is an answer of its own");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_is_a_datasource_that_allows_writes() {
    let running = Running::start_with(|shop| shop.allow_writes = true).await;
    let unassigned = json!({ "status": "unassigned", "datasource": null, "last_error": null, "delivered_sequence": null });
    assert_eq!(running.get("/api/v1/events/sink").await, unassigned);
    let put = async |datasource: &str| {
        let body = format!("{{\"datasource\": \"{datasource}\"}}");
        running.with("PUT /api/v1/events/sink", "Content-Type: application/json\r\n", &body).await
    };
    assert_eq!(problem(&put("gone").await)["code"], "EXTERNAL_WRITE_FORBIDDEN");
    assert_eq!(problem(&put("nothing").await)["code"], "DATASOURCE_NOT_FOUND");
    for _ in 0..2 {
        let assigned = put("shop").await;
        assert!(status(&assigned) == 200 && assigned.contains("\"datasource\":\"shop\""), "{assigned}");
    }
    assert_eq!(running.get("/api/v1/events/sink").await["datasource"], "shop");
    assert_eq!(running.get("/api/v1/webhooks").await, json!([]));
    assert_eq!(status(&running.with("DELETE /api/v1/events/sink", "", "").await), 204);
    assert_eq!(running.get("/api/v1/events/sink").await, unassigned);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_and_other_names_are_not_let_in() {
    let running = Running::start().await;
    let (address, port) = (running.address(), running.address().port());
    let line = "GET /api/v1/datasources HTTP/1.1\r\nConnection: close\r\n";
    for (headers, expected) in [
        (format!("Host: {address}\r\n"), 200),
        (format!("Host: localhost:{port}\r\n"), 200),
        (format!("Host: {address}\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n"), 200),
        ("Host: evil.example\r\n".to_owned(), 403),
        (format!("Host: evil.example:{port}\r\n"), 403),
        ("Host: 127.0.0.1\r\n".to_owned(), 403),
        (format!("Host: {address}\r\nOrigin: http://evil.example\r\n"), 403),
        (format!("Host: {address}\r\nOrigin: null\r\n"), 403),
        (format!("Host: {address}\r\nOrigin: https://{address}\r\n"), 403),
        (format!("Host: {address}\r\nOrigin: http://{address}\r\nOrigin: http://evil.example\r\n"), 400),
        (format!("Host: {address}\r\nSec-Fetch-Site: cross-site\r\n"), 403),
        (String::new(), 400),
        (format!("Host: {address}\r\nX-Environment-Id: default\r\n"), 200),
        (format!("Host: {address}\r\nX-Environment-Id: staging\r\n"), 428),
    ] {
        let answer = running.raw(&format!("{line}{headers}\r\n")).await;
        assert_eq!(status(&answer), expected, "{headers}\n{answer}");
        if expected != 200 && !headers.is_empty() {
            assert!(problem(&answer)["code"].is_string(), "{answer}");
        }
    }
    let absolute = format!("GET http://evil.example:{port}/healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&running.raw(&absolute).await), 403);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_a_problem() {
    let running = Running::start().await;
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(super::extract::LONGEST_BODY));
    for (line, headers, body, expected, code) in [
        ("GET /nothing", "", "", 404, "NO_SUCH_RESOURCE"),
        ("GET /api/v1/nothing", "", "", 404, "NO_SUCH_RESOURCE"),
        ("DELETE /api/v1/datasources", "", "", 405, "METHOD_NOT_ALLOWED"),
        ("POST /api/v1/webhooks", "", "{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST /api/v1/webhooks", "Content-Type: text/plain\r\n", "{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST /api/v1/webhooks", json, "{", 400, "INVALID"),
        ("POST /api/v1/webhooks", json, &long, 413, "BODY_TOO_LARGE"),
        ("GET /api/v1/events?after=soon", "", "", 400, "INVALID"),
        ("GET /api/v1/events?since=1", "", "", 400, "INVALID"),
        ("GET /api/v1/datasources/%FF", "", "", 400, "INVALID"),
    ] {
        let answer = running.with(line, headers, body).await;
        assert_eq!(status(&answer), expected, "{line}\n{answer}");
        assert_eq!(problem(&answer)["code"], code, "{line}");
        assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lives_and_is_ready() {
    let running = Running::start().await;
    assert_eq!(running.get("/healthz").await["status"], "ok");
    let ready = running.get("/readyz").await;
    assert_eq!((&ready["ready"], &ready["store"]["writable"]), (&json!(true), &json!(true)));
    assert_eq!((&ready["datasources"][0]["name"], &ready["datasources"][0]["state"]), (&json!("gone"), &json!("error")));
    running.server.environment().store().close().await;
    let answer = running.with("GET /readyz", "", "").await;
    assert!(status(&answer) == 503 && answer.contains("\"writable\":false"), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_told_to_prometheus() {
    let running = Running::start().await;
    let answer = running.with("GET /metrics", "", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"), "{answer}");
    for line in ["# TYPE causeway_statement_cache_hits counter", "causeway_statement_cache_misses_total{environment=", "# EOF"] {
        assert!(answer.contains(line), "{line}\n{answer}");
    }
    running.stop().await;
}
