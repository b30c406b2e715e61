//! Each connector keeps its contract on a real source: `causeway connector test` says so, and how many checks that took.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use causeway_tests::{ClickHouseServer, Datasource, Finished, MariaDbServer, PostgresServer, causeway, finish_within, write_sqlite};
use serde_json::Value;

/// Tables beside those that are read.
const MANY: usize = 5_000;

/// Runs the contract on a datasource with these arguments.
fn test(datasource: &Datasource, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(causeway());
    datasource.configure(&folder.path().join("datasource.yaml"), &mut command);
    command.args(["connector", "test"]).args(arguments).arg("--config").arg(folder.path().join("datasource.yaml"));
    finish_within(Duration::from_secs(600), &mut command)
}

/// Runs the contract, expects it to hold with at least so many checks, and prints how many there were.
fn holds(datasource: &Datasource, at_least: u64) -> Value {
    let finished = test(datasource, &["--json"]);
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
    let report = holds(&database.datasource("contract"), 6_000);
    leaves_out(&report, &["scan"]);
    assert_eq!(checked(&report, "many.t999").0, "unread", "what is left out are tables of the other schema");
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

/// The group of that name.
fn group<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["groups"].as_array().unwrap().iter().find(|group| group["name"] == name).unwrap()
}

/// What was done with a table.
fn checked<'a>(report: &'a Value, table: &str) -> (&'a str, &'a str) {
    let found = report["tables"].as_array().unwrap().iter().find(|one| one["table"] == table).unwrap_or_else(|| panic!("{report}"));
    (found["checked"].as_str().unwrap(), found["reason"].as_str().unwrap_or_default())
}

const BELIED: &str = "CREATE TABLE belied (id INTEGER PRIMARY KEY, n INTEGER, word TEXT);
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60)
    INSERT INTO belied SELECT i, i * 37 % 60, char(64 + i % 40) FROM c;
    UPDATE belied SET n = 'nine' WHERE id = 9;";

#[test]
fn a_value_that_is_none_of_its_columns_is_not_the_connectors_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    write_sqlite(&path, BELIED);
    let shop = Datasource::sqlite("shop", &path);
    let report = holds(&shop, 100);
    let refused = report["refused_values"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let [message, hint] = ["message", "hint"].map(|part| refused[0][part].as_str().unwrap());
    assert!(message.contains("table \"belied\"") && message.contains("column \"n\""), "{message}");
    assert!(hint.contains("id = 9") && hint.contains("`on_mismatch`"), "{hint}");
    // The other columns are queried, that one is in none of the statements.
    assert_eq!(checked(&report, "main.belied").0, "whole");
    assert!(group(&report, "filter")["held"].as_u64().unwrap() > 20, "{report}");

    let told = test(&shop, &[]);
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    assert_eq!(told.stdout.matches("column \"n\" holds text").count(), 1, "{}", told.stdout);
    assert!(told.stdout.contains("hint: ") && told.stdout.contains("keeps its contract"), "{}", told.stdout);
    // With the option that reads it nothing is refused.
    let read = holds(&shop.option("on_mismatch", "null"), 100);
    assert_eq!(read["refused_values"], Value::from(Vec::<Value>::new()));
}

#[test]
fn a_date_that_is_none_is_not_the_connectors_fault() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("contract_zero_dates");
    database.script(
        "SET SESSION sql_mode = '';
         CREATE TABLE events (id int PRIMARY KEY, day date, word varchar(20));
         INSERT INTO events SELECT seq, '2024-02-01', concat('w', seq % 7) FROM seq_1_to_40;
         UPDATE events SET day = '0000-00-00' WHERE id = 17;",
    );
    let report = holds(&database.datasource("shop"), 100);
    let refused = report["refused_values"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0]["message"].as_str().unwrap().contains("column \"day\" holds 0000-00-00"), "{refused:?}");
    assert!(refused[0]["hint"].as_str().unwrap().contains("`zero_dates`"), "{refused:?}");
    assert_eq!(checked(&report, "contract_zero_dates.events").0, "whole");
}

#[test]
fn of_a_large_table_a_part_is_queried_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let numbers = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)";
    write_sqlite(
        &path,
        &format!(
            "CREATE TABLE large (id INTEGER PRIMARY KEY, n INTEGER, word TEXT);
             {numbers} INSERT INTO large SELECT i, nullif(i * 37 % 60, 7), char(64 + i % 40) FROM c;
             CREATE TABLE alike (n INTEGER, word TEXT);
             {numbers} INSERT INTO alike SELECT 7, 'w' FROM c;"
        ),
    );
    let shop = Datasource::sqlite("shop", &path);
    let report = holds(&shop, 100);
    assert_eq!(checked(&report, "main.large"), ("part", "id from 1 to 2000"));
    let (how, why) = checked(&report, "main.alike");
    assert!(how == "read" && why.contains("more than 5000 rows"), "{how}: {why}");
    for name in ["filter", "limit", "sort", "aggregate", "inner join", "outer join", "full join", "semi join", "cancel"] {
        assert!(group(&report, name)["held"].as_u64().unwrap() > 1, "{name}: {report}");
    }
    let told = test(&shop, &[]);
    assert!(told.stdout.contains("1 of 2 tables were queried in every way (1 in a part)"), "{}", told.stdout);
}

#[test]
fn what_no_relay_can_watch_is_told_as_not_checked() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("contract_socket");
    database.script("CREATE TABLE t (id int PRIMARY KEY, word text); INSERT INTO t SELECT i, 'w' || i % 7 FROM generate_series(1, 40) i");
    let report = holds(&database.datasource_by_socket("crm"), 100);
    for name in ["introspection", "cancel", "statement timeout", "lost connection"] {
        let left_out = group(&report, name)["left_out"][0].as_str().unwrap_or_default();
        assert!(left_out.contains("not checked, because it is reached by a socket"), "{name}: {report}");
    }
    let told = test(&database.datasource_by_socket("crm"), &[]);
    assert!(told.stdout.contains("what was left out is told above"), "{}", told.stdout);
}

/// Tables of one name in two schemas, one that is in neither, and none in the default schema.
const SCHEMAS: &str = "CREATE SCHEMA mart; CREATE SCHEMA sales; CREATE SCHEMA private;
    CREATE TABLE mart.things (id int PRIMARY KEY, word text);
    INSERT INTO mart.things SELECT i, 'm' || i % 7 FROM generate_series(1, 40) i;
    CREATE TABLE sales.things (id int PRIMARY KEY, day date);
    INSERT INTO sales.things SELECT i, date '2024-01-01' + i FROM generate_series(1, 50) i;
    CREATE TABLE private.secrets (id int PRIMARY KEY, word text);
    INSERT INTO private.secrets SELECT i, 's' || i % 7 FROM generate_series(1, 60) i;";

/// The tables that a report says something of.
fn tables(report: &Value) -> Vec<&str> {
    report["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect()
}

#[test]
fn the_tables_that_would_be_published_are_checked() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("contract_schemas");
    database.script(SCHEMAS);
    let all = holds(&database.datasource("crm"), 100);
    assert_eq!(tables(&all), ["mart.things", "private.secrets", "sales.things"]);
    let allowed = || database.datasource("crm").external("allowed_schemas", "[mart, sales]");
    let report = holds(&allowed(), 100);
    assert_eq!(tables(&report), ["mart.things", "sales.things"]);
    assert_eq!([checked(&report, "mart.things").0, checked(&report, "sales.things").0], ["whole", "whole"]);
    let pins = "tables:\n  - { name: things, remote: sales.things }\n";
    let pinned = holds(&allowed().external("expose", "pinned").section(pins), 100);
    assert_eq!(tables(&pinned), ["sales.things"]);
}

#[test]
fn a_datasource_without_a_table_keeps_no_contract() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("contract_nothing");
    database.script(SCHEMAS);
    let crm = || database.datasource("crm");
    for (datasource, told) in [
        (crm().external("allowed_schemas", "[public]"), "there is no table in schema public"),
        (crm().external("allowed_schemas", "[public, nope]"), "there is no table in any of the schemas public, nope"),
        (crm().external("expose", "pinned"), "none of the tables that it pins (`tables` names none)"),
        (crm().schema_mode("validate_only"), "its tables are never read"),
    ] {
        let finished = test(&datasource, &[]);
        assert_eq!(finished.code, Some(2), "{}{}", finished.stdout, finished.stderr);
        assert!(finished.stderr.contains("nothing to be checked on") && finished.stderr.contains(told), "{}", finished.stderr);
        assert!(finished.stderr.contains("hint: ") && !finished.stdout.contains("contract"), "{}{}", finished.stdout, finished.stderr);
        let finished = test(&datasource, &["--json"]);
        let report: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!((finished.code, tables(&report).len()), (Some(2), 0));
    }
}

#[test]
fn a_source_that_is_not_reached_breaks_no_contract() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let crm = Datasource::new("crm", "postgres").option("host", "127.0.0.1").option("port", &nobody.to_string());
    let crm = crm.option("database", "crm").option("user", "reader");
    let finished = test(&crm, &[]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(
        finished.stderr.starts_with("error: datasource \"crm\" cannot be reached: ") && finished.stderr.contains("hint: "),
        "{}",
        finished.stderr
    );
    let finished = test(&crm, &["--json"]);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((finished.code, report["broken"].as_u64()), (Some(2), Some(0)));
    assert!(report["unopened"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{report}");

    let folder = tempfile::tempdir().unwrap();
    let finished = test(&Datasource::sqlite("shop", &folder.path().join("gone.db")), &[]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.starts_with("error: datasource \"shop\" cannot be opened: "), "{}", finished.stderr);
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
