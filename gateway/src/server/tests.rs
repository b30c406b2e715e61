//! A whole gateway on a port of its own, asked by the client of the command line.

use std::collections::BTreeMap;
use std::future::{pending, ready};

use causeway_catalog::{Datasource, Expose, OnMismatch, Origin, SchemaMode, Validation};
use causeway_providers::{Options, RemoteId, write_sqlite_sample};
use tempfile::TempDir;

use super::*;
use crate::cli::client::{Answer, Client, ClientError};
use crate::config::Audit;

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// A SQLite datasource on `file`, which need not exist.
pub(crate) fn sqlite(name: &str, file: &Path) -> Datasource {
    let registry = ConnectorRegistry::built_in();
    let values = BTreeMap::from([("path".to_owned(), file.display().to_string())]);
    let manifest = registry.get("sqlite").unwrap().manifest();
    Datasource {
        name: name.to_owned(),
        connector: "sqlite".to_owned(),
        origin: Origin::Code,
        schema_mode: SchemaMode::External,
        label: None,
        options: Options::check(manifest, RemoteId::new(name), Path::new(""), values, BTreeMap::new()).unwrap(),
        allowed_schemas: Vec::new(),
        schema_names: BTreeMap::new(),
        expose: Expose::All,
        allow_writes: false,
        validation: Validation { on_mismatch: OnMismatch::Fail, check_on_boot: true, check_interval: None },
        refresh_interval: None,
        tables: Vec::new(),
    }
}

/// A gateway over `shop`, which has a table, and `gone`, whose file is not there.
async fn gateway() -> (Server, TempDir) {
    gateway_with(|_| {}).await
}

async fn gateway_with(change: impl FnOnce(&mut Settings)) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    write_sqlite_sample(&shop, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');").unwrap();
    let mut settings = Settings::new(folder.path().join("data"));
    settings.postgres.set_port(0);
    settings.http = None;
    change(&mut settings);
    let datasources = vec![sqlite("shop", &shop), sqlite("gone", &folder.path().join("gone.db"))];
    let server = Server::bind(&settings, datasources, &ConnectorRegistry::built_in()).await.unwrap();
    server.environment().settled(PATIENCE).await;
    (server.listen(), folder)
}

async fn client(server: &Server) -> Client {
    Client::connect(&server.address().to_string(), "ana", "default").await.unwrap()
}

async fn rows(client: &mut Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let answers = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    answers.into_iter().next().unwrap().rows
}

async fn code(client: &mut Client, sql: &str) -> String {
    match client.query(sql).await {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{sql}: {other:?}"),
    }
}

fn row(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_views_and_system_catalogs_answer_on_one_port() {
    let (server, _folder) = gateway().await;
    let mut ana = client(&server).await;
    assert_eq!(rows(&mut ana, "SELECT name FROM shop.t WHERE id = 2").await, [row(&["two"])]);
    assert_eq!(
        rows(&mut ana, "SELECT name, state FROM causeway.datasources ORDER BY name").await,
        [row(&["gone", "error"]), row(&["shop", "running"])]
    );
    let listed = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('shop', 'causeway') ORDER BY 1, 2";
    assert_eq!(rows(&mut ana, listed).await.last().unwrap(), &row(&["shop", "t"]));
    assert_eq!(rows(&mut ana, "SELECT current_database(), current_user").await, [row(&["default", "ana"])]);
    let servers = "SELECT srvname, array_to_string(srvoptions, ' ') LIKE 'path=%' FROM pg_catalog.pg_foreign_server ORDER BY 1";
    assert_eq!(rows(&mut ana, servers).await, [row(&["gone", "t"]), row(&["shop", "t"])]);
    ana.close().await;
    server.stop(pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_was_asked_is_audited_with_its_user_and_without_values() {
    let (server, _folder) = gateway_with(|settings| settings.audit = Audit::Full).await;
    let mut ana = client(&server).await;
    assert_eq!(rows(&mut ana, "SELECT id FROM shop.t WHERE name = 'two'").await, [row(&["2"])]);
    assert_eq!(code(&mut ana, "SELECT * FROM gone.t").await, "HV00N");
    let sql = "SELECT actor, source, data FROM causeway.events WHERE type = 'external.query.executed'";
    let written = async {
        loop {
            match rows(&mut ana, sql).await {
                none if none.is_empty() => tokio::time::sleep(Duration::from_millis(20)).await,
                some => return some,
            }
        }
    };
    let audited = tokio::time::timeout(PATIENCE, written).await.expect("it is written");
    // The look at the events asks no source, and the datasource that is down was asked nothing.
    assert_eq!(audited.len(), 1, "{audited:?}");
    let [Some(actor), Some(source), Some(data)] = &audited[0][..] else { panic!("{audited:?}") };
    assert_eq!((actor.as_str(), source.as_str()), ("ana", "/environments/default/datasources/shop"));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let asked = data["sql"].as_str().unwrap();
    assert!(asked.contains("\"name\"") && asked.contains('?') && !asked.contains("two"), "{asked}");
    assert_eq!((&data["rows"], &data["outcome"]), (&1.into(), &"completed".into()));
    server.stop(pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_codes_and_leave_the_session_alive() {
    let (server, _folder) = gateway().await;
    let unknown = Client::connect(&server.address().to_string(), "ana", "nowhere").await.unwrap_err();
    assert!(unknown.to_string().ends_with("(3D000)"), "{unknown}");
    let mut ana = client(&server).await;
    assert_eq!(code(&mut ana, "SELECT * FROM gone.t").await, "HV00N");
    assert_eq!(code(&mut ana, "SELECT * FROM shop.nothing").await, "42P01");
    assert_eq!(code(&mut ana, "CALL causeway.no_such_thing()").await, "0A000");
    assert_eq!(rows(&mut ana, "SELECT count(*) FROM shop.t").await, [row(&["2"])]);
    server.stop(pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshing_shows_new_tables_to_new_statements() {
    let (server, folder) = gateway().await;
    let mut ana = client(&server).await;
    write_sqlite_sample(&folder.path().join("shop.db"), "CREATE TABLE u (id INTEGER);").unwrap();
    assert_eq!(code(&mut ana, "SELECT * FROM shop.u").await, "42P01");
    let [called] = <[Answer; 1]>::try_from(ana.query("CALL causeway.refresh_catalog('shop')").await.unwrap()).unwrap();
    assert_eq!((called.tag.as_str(), called.notices), ("CALL", vec!["datasource \"shop\" has 2 tables".to_owned()]));
    assert_eq!(rows(&mut ana, "SELECT count(*) FROM shop.u").await, [row(&["0"])]);
    assert_eq!(code(&mut ana, "CALL causeway.refresh_catalog()").await, "22000");
    server.stop(pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datasource_comes_back_by_itself() {
    let (server, folder) = gateway().await;
    let mut ana = client(&server).await;
    write_sqlite_sample(&folder.path().join("gone.db"), "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (7);").unwrap();
    let back = async {
        while rows(&mut ana, "SELECT state FROM causeway.datasources WHERE name = 'gone'").await != [row(&["running"])] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("it heals");
    assert_eq!(rows(&mut ana, "SELECT id FROM gone.t").await, [row(&["7"])]);
    server.stop(pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_idle_sessions_and_an_impatient_second_request_ends_running_ones() {
    let (server, _folder) = gateway().await;
    let mut idle = client(&server).await;
    let mut busy = client(&server).await;
    let running = tokio::spawn(async move { busy.query("SELECT count(*) FROM generate_series(1, 100000000000)").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!running.is_finished());
    tokio::time::timeout(PATIENCE, server.stop(ready(()))).await.expect("it does not wait for the statement");
    assert!(running.await.unwrap().is_err());
    assert!(idle.query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_told_before_any_datasource_is_opened() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(folder.path().join("data"));
    settings.postgres = taken.local_addr().unwrap();
    settings.http = None;
    let Err(error) = Server::bind(&settings, Vec::new(), &ConnectorRegistry::built_in()).await else { panic!("the port is taken") };
    assert_eq!(error.io_kind(), Some(io::ErrorKind::AddrInUse));
    assert!(error.message().starts_with(&format!("cannot listen on {}: ", settings.postgres)), "{}", error.message());
    assert!(error.hint().unwrap().contains("--postgres-listen"));
    settings.postgres.set_port(0);
    settings.http = Some(taken.local_addr().unwrap());
    let Err(error) = Server::bind(&settings, Vec::new(), &ConnectorRegistry::built_in()).await else { panic!("the port is taken") };
    assert_eq!((error.io_kind(), error.refused_address()), (Some(io::ErrorKind::AddrInUse), settings.http));
    assert!(error.hint().unwrap().contains("--http-listen"));
    settings.limits.spill = "/dev/null/spill".into();
    let Err(error) = Server::bind(&settings, Vec::new(), &ConnectorRegistry::built_in()).await else { panic!("no folder there") };
    assert_eq!(error.hint(), Some("choose another one with `limits.spill`"));
}
