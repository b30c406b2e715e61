//! The command line on a running gateway, and how the gateway ends.

use std::process::Command;
use std::time::Duration;

use causeway_tests::{Datasource, Finished, Gateway, PostgresServer, Protocol, causeway, eventually, finish_within, write_sqlite};

use crate::drip;

fn query(gateway: &Gateway, arguments: &[&str]) -> Finished {
    let mut command = Command::new(causeway());
    command.args(["query", "--port", &gateway.port().to_string()]).args(arguments).env("NO_COLOR", "1");
    finish_within(Duration::from_secs(30), &mut command)
}

#[test]
fn query_prints_rows_and_errors() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (7, 'seven'), (8, NULL);");
    let gateway = Gateway::start([Datasource::sqlite("desk", &path)]);

    let table = query(&gateway, &["SELECT a, b FROM desk.t ORDER BY a"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    assert!(["a", "b", "7", "seven", "8"].iter().all(|word| table.stdout.contains(word)), "{}", table.stdout);

    let json = query(&gateway, &["--json", "SELECT a, b FROM desk.t ORDER BY a"]);
    assert_eq!(json.code, Some(0), "{}", json.stderr);
    let whole: Result<serde_json::Value, _> = serde_json::from_str(&json.stdout);
    let lines = json.stdout.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    assert!((whole.is_ok() || lines) && json.stdout.contains("seven"), "{}", json.stdout);

    let wrong = query(&gateway, &["SELECT a FROM desk.nothing"]);
    assert_eq!(wrong.code, Some(1), "{}{}", wrong.stdout, wrong.stderr);
    assert!(wrong.stderr.contains("42P01"), "{}", wrong.stderr);

    let elsewhere = query(&gateway, &["--database", "nowhere", "SELECT 1"]);
    assert_ne!(elsewhere.code, Some(0));
    assert!(elsewhere.stderr.contains("nowhere"), "{}", elsewhere.stderr);
}

#[test]
fn a_terminated_gateway_ends_its_statements_and_sources() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("terminated");
    drip::in_postgres(&database);
    let mut gateway = Gateway::start([database.datasource("slow")]);
    let mut idle = gateway.discarding_client();
    let mut busy = gateway.discarding_client();
    busy.first_row("SELECT id, payload FROM slow.drip", Protocol::Simple).unwrap();
    let (code, took) = gateway.shut_down();
    assert_eq!(code, Some(0), "{}", gateway.log());
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    eventually("the source is free", Duration::from_secs(2), || (database.running("drip") == 0).then_some(()));
    assert!(idle.run("SELECT 1", Protocol::Simple).is_err());
}
