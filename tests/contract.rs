//! Each connector keeps its contract on a real source: `causeway connector test` says so, and how many checks that took.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use causeway_tests::{ClickHouseServer, Datasource, MariaDbServer, PostgresServer, causeway, finish_within, write_sqlite};
use serde_json::Value;

/// Tables beside those that are read.
const MANY: usize = 5_000;

/// Runs the contract, expects it to hold with at least so many checks, and prints how many there were.
fn holds(datasource: &Datasource, at_least: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(causeway());
    datasource.configure(&folder.path().join("datasource.yaml"), &mut command);
    command.args(["connector", "test", "--json", "--config"]).arg(folder.path().join("datasource.yaml"));
    let finished = finish_within(Duration::from_secs(600), &mut command);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}{}", finished.stdout, finished.stderr));
    let broken: Vec<String> = report["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["broken"].as_array().unwrap().iter().map(|broken| format!("{}: {broken}", group["name"])))
        .collect();
    assert_eq!(finished.code, Some(0), "{}", broken.join("\n"));
    assert!(report["held"].as_u64().unwrap() >= at_least, "{report}");
    // The test harness captures what is printed the ordinary way.
    let _ = writeln!(std::io::stderr(), "contract of {}: {} checks held", report["connector"].as_str().unwrap(), report["held"]);
    report
}

/// Whether nothing of a report was left out but what is expected to be.
fn leaves_out(report: &Value, expected: &[&str]) {
    let groups = report["groups"].as_array().unwrap().iter();
    let left_out: Vec<&str> =
        groups.filter(|group| !group["left_out"].as_array().unwrap().is_empty()).map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(left_out, expected, "{report}");
}

#[test]
fn postgres() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("contract");
    database.script(include_str!("sql/contract/postgres.sql"));
    let mut tables = String::new();
    for number in 0..MANY {
        let _ = writeln!(tables, "CREATE TABLE many.t{number} (id integer PRIMARY KEY, name text);");
    }
    database.script(&tables);
    leaves_out(&holds(&database.datasource("contract"), 6_000), &[]);
}

#[test]
fn mariadb() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("contract");
    database.script(include_str!("sql/contract/mysql.sql"));
    leaves_out(&holds(&database.datasource("contract"), 500), &[]);
}

#[test]
fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contract.db");
    write_sqlite(&path, include_str!("sql/contract/sqlite.sql"));
    leaves_out(&holds(&Datasource::sqlite("contract", &path), 400), &["introspection", "lost connection"]);
}

#[test]
fn clickhouse() {
    let Some(server) = ClickHouseServer::shared() else { return };
    let database = server.database("contract");
    database.script(include_str!("sql/contract/clickhouse.sql"));
    leaves_out(&holds(&database.datasource("contract"), 1_000), &[]);
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let expected = ["introspection", "waiting for a connection", "lost connection"];
    leaves_out(&holds(&Datasource::files("contract", folder.path()), 200), &expected);
}

/// A CSV file, a folder of JSON lines, and values that say what they are to be read as.
fn write_files(folder: &Path) {
    let mut things = "id,small,name,day,at,flag,ratio\n".to_owned();
    for i in 1..=160 {
        let name = ["", "Straße", "strasse", "a", "A", "\"a, b\"", "😀"][i % 7];
        let small = if i % 9 == 0 { String::new() } else { (i * 37 % 60).to_string() };
        let day = format!("2024-0{}-{:02}", i % 9 + 1, i % 28 + 1);
        let _ = writeln!(things, "{i},{small},{name},{day},{day} 12:00:{:02},{},{}.5", i % 60, i % 2 == 0, i * 7);
    }
    fs::write(folder.join("things.csv"), things).unwrap();
    fs::write(folder.join("value_number.csv"), "value,expected\n-9223372036854775808,-9223372036854775808\n,\n7,7\n").unwrap();
    fs::create_dir(folder.join("value_text")).unwrap();
    let lines = [r#"{"value": "😀", "expected": "😀"}"#, r#"{"value": null, "expected": null}"#, r#"{"value": "", "expected": ""}"#];
    fs::write(folder.join("value_text/part.jsonl"), lines.join("\n")).unwrap();
}
