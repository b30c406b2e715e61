//! A limited role gets past none of its guardrails, and its budgets hold: rows, bytes, rows read, pairs joined, and time.

use std::path::Path;
use std::time::Duration;

use causeway_tests::{Datasource, Gateway, PostgresServer, eventually, write_sqlite};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::drip;

/// `ai` sees all of `crm` and of `lake`, of `shop` a table without its column `phone` and another whole.
const ROLES: &str = "roles:
  plain: { limited: false }
  nobody: { limited: true }
  ai:
    limited: true
    schemas: [crm, lake, shop]
    tables: [{ name: shop.people, columns: [id, name] }, shop.open]
    limits: { max_rows: 100, max_bytes: 8KiB, max_scan_rows: 30000, max_join_rows: 1000000, statement_timeout: 10s }
  hasty: { limited: true, schemas: [crm], limits: { statement_timeout: 2s } }
  wide: { limited: true, schemas: [crm] }";

/// A gateway with sources behind it, of which two schemas and a table are not for `ai`.
struct World {
    gateway: Gateway,
    database: causeway_tests::PostgresDatabase,
    _folder: tempfile::TempDir,
}

fn world(server: &PostgresServer, name: &str) -> World {
    let database = server.database(name);
    database.script(
        "CREATE TABLE customers (id bigint PRIMARY KEY, name text COLLATE \"C\", email text);
         INSERT INTO customers SELECT n, 'name ' || n, n || '@example.org' FROM generate_series(1, 3000) n;
         CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, total numeric(10, 2));
         INSERT INTO orders SELECT n, n % 3000 + 1, n / 100.0 FROM generate_series(1, 20000) n;
         CREATE TABLE big (id bigint, note text COLLATE \"C\"); INSERT INTO big SELECT n, repeat('x', 50) FROM generate_series(1, 200000) n;
         CREATE SCHEMA hr; CREATE TABLE hr.salaries (id bigint, salary bigint); INSERT INTO hr.salaries VALUES (1, 2);
         ANALYZE",
    );
    drip::in_postgres(&database);
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    write_sqlite(
        &shop,
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, phone TEXT); INSERT INTO people VALUES (1, 'Ana', '555'), (2, 'Bo', '556');
         CREATE TABLE open (id INTEGER); INSERT INTO open VALUES (1), (2), (3); CREATE TABLE cards (id INTEGER, number TEXT);",
    );
    let erp = folder.path().join("erp.db");
    write_sqlite(&erp, "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1);");
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).unwrap();
    write_numbers(&lake.join("numbers.csv"), 5000);
    // Open to changes of whoever is not limited.
    let crm = database.datasource("crm").external("allow_writes", "true");
    let crm = crm.section("tables:\n  - { name: customers, remote: public.customers, writable: true }");
    let datasources = [crm, Datasource::sqlite("shop", &shop), Datasource::sqlite("erp", &erp), Datasource::files("lake", &lake)];
    let gateway = Gateway::start_with(&format!("{ROLES}\naudit: {{ queries: full }}\n"), datasources);
    World { gateway, database, _folder: folder }
}

fn write_numbers(file: &Path, count: u32) {
    let lines: String = (1..=count).map(|n| format!("{n},{}\n", n % 7)).collect();
    std::fs::write(file, format!("id,seven\n{lines}")).unwrap();
}

/// A client that is a limited role's.
struct Limited {
    client: Client,
    notices: UnboundedReceiver<(String, String)>,
}

impl Limited {
    async fn connect(gateway: &Gateway, user: &str) -> Self {
        let (client, notices) = gateway.connect_as(user, "").await.unwrap();
        Self { client, notices }
    }

    /// How many rows a text gives, and what the client is told besides.
    async fn run(&mut self, sql: &str) -> Result<(usize, Vec<(String, String)>), String> {
        let answer = self.client.simple_query(sql).await.map_err(|error| told(&error))?;
        let rows = answer.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
        let complete = answer.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(usize::try_from(*count).unwrap()),
            _ => None,
        });
        if sql.trim_start().to_lowercase().starts_with("select") {
            assert_eq!(complete, Some(rows), "the tag counts what was sent: {sql}");
        }
        Ok((rows, self.notices()))
    }

    fn notices(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }

    /// The one value of a query.
    async fn value(&self, sql: &str) -> String {
        let answer = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", told(&error)));
        let row = answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
        row.and_then(|row| row.get(0)).unwrap_or_else(|| panic!("{sql} gives a value")).to_owned()
    }

    async fn refused(&mut self, sql: &str) -> String {
        match self.run(sql).await {
            Ok((rows, notices)) => panic!("{sql} gave {rows} rows, {notices:?}"),
            Err(error) => error,
        }
    }
}

/// An error as `CODE message HINT hint`.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {} HINT {}", error.code().code(), error.message(), error.hint().unwrap_or_default()),
        None => format!("no error of the gateway: {error}"),
    }
}

/// Statements that must be refused, by what they try and the SQLSTATE they get.
const ATTEMPTS: &[(&str, &str, &str)] = &[
    // Writes, in every form.
    ("insert", "INSERT INTO crm.customers VALUES (0, 'x', 'y')", "25006"),
    ("insert select", "INSERT INTO crm.customers SELECT * FROM crm.customers", "25006"),
    ("update", "UPDATE crm.customers SET name = 'x'", "25006"),
    ("delete", "DELETE FROM crm.customers", "25006"),
    ("delete with a comment before", "/* SELECT */ DELETE FROM crm.customers -- harmless", "25006"),
    ("merge", "MERGE INTO crm.customers c USING crm.orders o ON c.id = o.id WHEN MATCHED THEN DELETE", "25006"),
    ("truncate", "TRUNCATE crm.customers", "25006"),
    ("insert in a with", "WITH x AS (INSERT INTO crm.customers VALUES (0, 'x', 'y') RETURNING id) SELECT * FROM x", "25006"),
    ("delete in a with", "WITH x AS (DELETE FROM crm.customers RETURNING id) SELECT * FROM x", "25006"),
    ("update in a with", "WITH x AS (UPDATE crm.customers SET name = 'x' RETURNING id) SELECT * FROM x", "25006"),
    ("insert after a with", "WITH x AS (SELECT 1) INSERT INTO crm.customers SELECT 1, 'x', 'y'", "25006"),
    ("delete after a with", "WITH x AS (SELECT 1) DELETE FROM crm.customers", "25006"),
    ("delete deep in a with", "SELECT * FROM (WITH x AS (DELETE FROM crm.customers RETURNING id) SELECT * FROM x) y", "25006"),
    ("select into", "SELECT * INTO crm.copy FROM crm.customers", "25006"),
    ("select into temp", "SELECT id INTO TEMP copy FROM crm.customers", "25006"),
    ("select into below", "SELECT * FROM (SELECT id INTO copy FROM crm.customers) c", "25006"),
    ("select for update", "SELECT * FROM crm.customers FOR UPDATE", "25006"),
    ("select for share", "SELECT id FROM crm.customers WHERE id = 1 FOR SHARE", "25006"),
    ("for update below", "SELECT * FROM (SELECT id FROM crm.customers FOR UPDATE) c", "25006"),
    ("create table", "CREATE TABLE crm.made (id integer)", "25006"),
    ("create table as", "CREATE TABLE crm.made AS SELECT * FROM crm.customers", "25006"),
    ("create temp table", "CREATE TEMP TABLE made (id integer)", "25006"),
    ("create external table", "CREATE EXTERNAL TABLE made (a text) STORED AS PARQUET LOCATION '/etc/passwd'", "25006"),
    ("create external table of text", "CREATE EXTERNAL TABLE made (a text) STORED AS CSV LOCATION '/etc/passwd'", "42601"),
    ("create view", "CREATE VIEW crm.made AS SELECT 1", "25006"),
    ("create materialized view", "CREATE MATERIALIZED VIEW crm.made AS SELECT 1 AS a", "25006"),
    ("create index", "CREATE INDEX made ON crm.customers (name)", "25006"),
    ("create schema", "CREATE SCHEMA made", "25006"),
    ("create function", "CREATE FUNCTION made() RETURNS integer AS $$ SELECT 1 $$ LANGUAGE sql", "25006"),
    ("create extension", "CREATE EXTENSION dblink", "25006"),
    ("create role", "CREATE ROLE made", "25006"),
    ("create database", "CREATE DATABASE made", "25006"),
    ("create server", "CREATE SERVER made FOREIGN DATA WRAPPER postgres OPTIONS (host 'example.org')", "25006"),
    ("alter table", "ALTER TABLE crm.customers ADD COLUMN made integer", "25006"),
    ("drop table", "DROP TABLE crm.customers", "25006"),
    ("drop schema", "DROP SCHEMA crm CASCADE", "25006"),
    ("drop foreign table", "DROP FOREIGN TABLE crm.customers", "25006"),
    ("import", "IMPORT FOREIGN SCHEMA public FROM SERVER crm INTO stolen", "25006"),
    ("import, dry", "IMPORT FOREIGN SCHEMA hr FROM SERVER crm INTO stolen OPTIONS (dry_run 'true')", "25006"),
    ("grant", "GRANT SELECT ON crm.customers TO ai", "25006"),
    ("revoke", "REVOKE SELECT ON crm.customers FROM tester", "25006"),
    ("comment", "COMMENT ON TABLE crm.customers IS 'mine'", "25006"),
    // COPY, in and out.
    ("copy out", "COPY crm.customers TO STDOUT", "42501"),
    ("copy a query", "COPY (SELECT * FROM crm.customers) TO STDOUT", "42501"),
    ("copy to a file", "COPY crm.customers TO '/tmp/stolen'", "42501"),
    ("copy to a program", "COPY crm.customers TO PROGRAM 'sh'", "42501"),
    ("copy in", "COPY crm.customers FROM '/etc/passwd'", "42501"),
    // The gateway's own statements.
    ("call", "CALL causeway.refresh_catalog('crm')", "42501"),
    ("call a check", "CALL causeway.check_drift('crm')", "42501"),
    ("listen", "LISTEN causeway_events", "42501"),
    ("notify", "NOTIFY causeway_events, 'x'", "42501"),
    ("notify by function", "SELECT pg_notify('causeway_events', 'x')", "42501"),
    ("notify by its schema", "SELECT pg_catalog.pg_notify('c', 'x')", "42501"),
    ("notify, quoted", "SELECT \"pg_notify\"('c', 'x')", "42501"),
    ("notify in an argument", "SELECT upper(pg_notify('c', 'x'))", "42501"),
    ("notify in a limit", "SELECT id FROM shop.open LIMIT length(pg_notify('c', 'x'))", "42501"),
    ("notify in a condition", "SELECT id FROM shop.open WHERE pg_notify('c', 'x') IS NOT NULL", "42501"),
    ("notify in an order", "SELECT id FROM shop.open ORDER BY pg_notify('c', 'x')", "42501"),
    ("notify below", "SELECT (SELECT pg_notify('c', 'x')) FROM shop.open", "42501"),
    ("notify in values", "VALUES (pg_notify('c', 'x'))", "42501"),
    ("notify in a case", "SELECT CASE WHEN id = 1 THEN pg_notify('c', 'x') END FROM shop.open", "42501"),
    ("notify in an aggregate", "SELECT count(pg_notify('c', 'x')) FROM shop.open", "42501"),
    // Settings of the engine and of the session.
    ("set push_down", "SET causeway.push_down = off", "42501"),
    ("set local push_down", "SET LOCAL causeway.push_down = off", "42501"),
    ("set session dynamic_filters", "SET SESSION causeway.dynamic_filters TO off", "42501"),
    ("set to default", "SET causeway.push_down TO DEFAULT", "42501"),
    ("set in other letters", "SET \"CAUSEWAY.PUSH_DOWN\" = off", "42501"),
    ("set an engine option", "SET datafusion.execution.batch_size = 1", "42501"),
    ("set work_mem", "SET work_mem = '1GB'", "42501"),
    ("set no timeout", "SET statement_timeout = 0", "42501"),
    ("set a longer timeout", "SET statement_timeout = '1h'", "42501"),
    ("set local longer timeout", "SET LOCAL statement_timeout = '11s'", "42501"),
    ("set_config", "SELECT set_config('causeway.push_down', 'off', false)", "42501"),
    ("set_config of the timeout", "SELECT pg_catalog.set_config('statement_timeout', '0', false)", "42501"),
    ("set_config in a query", "SELECT set_config('causeway.push_down', 'off', false) FROM shop.open", "42501"),
    ("set_config from", "SELECT * FROM set_config('causeway.push_down', 'off', false)", "42501"),
    ("set role", "SET ROLE tester", "42501"),
    ("set session authorization", "SET SESSION AUTHORIZATION tester", "42501"),
    ("search path", "SET search_path = erp", "42501"),
    ("search path, hidden among others", "SET search_path = crm, \"causeway\"", "42501"),
    ("set schema", "SET SCHEMA 'erp'", "42501"),
    // Tables, columns and views that are not the role's.
    ("another schema", "SELECT * FROM erp.t", "42501"),
    ("another schema of a source", "SELECT * FROM crm_hr.salaries", "42501"),
    ("another table of a schema", "SELECT * FROM shop.cards", "42501"),
    ("a table that is nowhere", "SELECT * FROM erp.nothing", "42501"),
    ("quoted", "SELECT * FROM \"erp\".\"t\"", "42501"),
    ("with the environment", "SELECT * FROM \"default\".erp.t", "42501"),
    ("by a table command", "TABLE erp.t", "42601"),
    ("in a subquery", "SELECT (SELECT max(id) FROM erp.t)", "42501"),
    ("in exists", "SELECT id FROM shop.open WHERE EXISTS (SELECT 1 FROM erp.t)", "42501"),
    ("in in", "SELECT id FROM shop.open WHERE id IN (SELECT id FROM erp.t)", "42501"),
    ("in a union", "SELECT id FROM shop.open UNION ALL SELECT id FROM erp.t", "42501"),
    ("in a join", "SELECT o.id FROM shop.open o LEFT JOIN erp.t ON t.id = o.id", "42501"),
    ("in a with", "WITH t AS (SELECT * FROM erp.t) SELECT * FROM t", "42501"),
    ("laterally", "SELECT * FROM shop.open o, LATERAL (SELECT * FROM erp.t WHERE t.id = o.id) x", "42501"),
    ("another environment", "SELECT * FROM other.crm.customers", "0A000"),
    ("a hidden column", "SELECT phone FROM shop.people", "42703"),
    ("a hidden column in a condition", "SELECT id FROM shop.people WHERE phone = '555'", "42703"),
    ("a hidden column in an order", "SELECT id FROM shop.people ORDER BY phone", "42703"),
    ("datasources", "SELECT * FROM causeway.datasources", "42501"),
    ("events", "SELECT * FROM causeway.events", "42501"),
    ("remote tables", "SELECT * FROM causeway.remote_tables", "42501"),
    ("pools", "SELECT * FROM causeway.pools", "42501"),
    // Functions that reach out, sleep, or end others.
    ("pg_sleep", "SELECT pg_sleep(100)", "42883"),
    ("pg_read_file", "SELECT pg_read_file('/etc/passwd')", "42883"),
    ("pg_ls_dir", "SELECT * FROM pg_ls_dir('/')", "42501"),
    ("lo_import", "SELECT lo_import('/etc/passwd')", "42883"),
    ("dblink", "SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a integer)", "42501"),
    ("query_to_xml", "SELECT query_to_xml('DELETE FROM crm.customers', true, true, '')", "42883"),
    ("pg_cancel_backend", "SELECT pg_cancel_backend(1)", "42501"),
    ("pg_terminate_backend", "SELECT pg_terminate_backend(1)", "42501"),
    ("pg_reload_conf", "SELECT pg_reload_conf()", "42883"),
    ("nextval", "SELECT nextval('s')", "42883"),
    ("input_file_name", "SELECT input_file_name() FROM lake.numbers", "42501"),
    ("read_csv", "SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("a file as a table", "SELECT * FROM '/etc/passwd'", "42P01"),
    ("range", "SELECT * FROM range(1, 10)", "42501"),
    // More than one statement, however it is hidden.
    ("two queries", "SELECT 1; SELECT 2", "42501"),
    ("a write after a query", "SELECT 1; DELETE FROM crm.customers", "42501"),
    ("a write after commit", "COMMIT; DELETE FROM crm.customers", "42501"),
    ("a write in a block", "BEGIN; DELETE FROM crm.customers; COMMIT", "42501"),
    ("a write after a comment", "SELECT 1 /* ; */ ; -- ;\nDELETE FROM crm.customers", "42501"),
    ("a write after dollar quotes", "SELECT $$;$$; DELETE FROM crm.customers", "42501"),
    ("a write after a backslash", "SELECT '\\'; DELETE FROM crm.customers; --'", "42501"),
    ("a setting before a query", "SET causeway.push_down = off; SELECT 1", "42501"),
    ("anonymous code", "DO $$ BEGIN DELETE FROM crm.customers; END $$", "42601"),
    // Statements of maintenance.
    ("vacuum", "VACUUM crm.customers", "42501"),
    ("analyze", "ANALYZE crm.customers", "42501"),
    ("lock", "LOCK TABLE crm.customers", "42501"),
    ("attach", "ATTACH DATABASE '/etc/passwd' AS x", "42501"),
    ("load", "LOAD 'x'", "42501"),
    ("kill", "KILL 1", "42501"),
    ("refresh", "REFRESH MATERIALIZED VIEW crm.drip", "42601"),
    // EXPLAIN of what may not run.
    ("explain delete", "EXPLAIN DELETE FROM crm.customers", "25006"),
    ("explain analyze delete", "EXPLAIN ANALYZE DELETE FROM crm.customers", "25006"),
    ("explain analyze insert", "EXPLAIN ANALYZE INSERT INTO crm.customers VALUES (0, 'x', 'y')", "25006"),
    ("explain another table", "EXPLAIN SELECT * FROM erp.t", "42501"),
    ("explain a notify", "EXPLAIN ANALYZE SELECT pg_notify('c', 'x')", "42501"),
    // By prepared statements and cursors.
    ("prepare delete", "PREPARE p AS DELETE FROM crm.customers", "25006"),
    ("prepare another table", "PREPARE p AS SELECT * FROM erp.t", "42501"),
    ("prepare a setting", "PREPARE p AS SET causeway.push_down = off", "42501"),
    ("prepare two", "PREPARE p AS SELECT 1; DELETE FROM crm.customers", "42501"),
    ("prepare a notify", "PREPARE p AS SELECT pg_notify('c', 'x')", "42501"),
    ("execute nothing", "EXECUTE p", "26000"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_role_gets_past_no_guardrail() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails");
    let state = "SELECT (SELECT count(*) FROM customers), (SELECT sum(id) FROM customers), (SELECT count(*) FROM information_schema.tables), \
                 (SELECT count(*) FROM information_schema.columns), (SELECT count(*) FROM pg_roles WHERE rolname = 'made'), (SELECT count(*) FROM pg_database WHERE datname = 'made')";
    let before = world.database.psql().rows(state);
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    let mut wrong = Vec::new();
    for (what, sql, code) in ATTEMPTS {
        match ai.run(sql).await {
            Ok((rows, notices)) => wrong.push(format!("{what}: gave {rows} rows, {notices:?}")),
            // The datasource would take a write: it is the role that does not make it.
            Err(refusal) if refusal.starts_with(code) && (*code != "25006" || refusal.contains("role \"ai\" only reads")) => {}
            Err(refusal) => wrong.push(format!("{what}: {refusal} instead of {code}")),
        }
        // The same by the extended protocol, where a statement is refused before it is bound.
        match ai.client.query(*sql, &[]).await {
            Ok(rows) => wrong.push(format!("{what}: gave {} rows when prepared", rows.len())),
            Err(refusal) if told(&refusal).starts_with(code) || told(&refusal).starts_with("42601") => {}
            Err(refusal) => wrong.push(format!("{what}: {} when prepared, instead of {code}", told(&refusal))),
        }
        // A text that begins a block must not leave it open.
        ai.run("ROLLBACK").await.unwrap();
    }
    for (what, sql, code) in [
        ("declare delete", "DECLARE c CURSOR FOR DELETE FROM crm.customers", "25006"),
        ("declare another table", "DECLARE c CURSOR FOR SELECT * FROM erp.t", "42501"),
        ("declare for update", "DECLARE c CURSOR FOR SELECT id FROM crm.customers FOR UPDATE", "25006"),
        ("declare a notify", "DECLARE c CURSOR FOR SELECT pg_notify('c', 'x')", "42501"),
        ("declare with hold", "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM crm.customers", "0A000"),
        ("a write in a transaction that may", "DELETE FROM crm.customers", "25006"),
    ] {
        ai.run("BEGIN READ WRITE").await.unwrap();
        let refusal = ai.refused(sql).await;
        if !refusal.starts_with(code) {
            wrong.push(format!("{what}: {refusal} instead of {code}"));
        }
        ai.run("ROLLBACK").await.unwrap();
    }
    for options in
        ["-c causeway.push_down=off", "-c search_path=erp", "-c statement_timeout=0", "-c statement_timeout=1h", "--datafusion.x=1"]
    {
        match world.gateway.connect_as("ai", options).await {
            Ok(_) => wrong.push(format!("{options}: is let in")),
            Err(refusal) if told(&refusal).starts_with("42501") => {}
            Err(refusal) => wrong.push(format!("{options}: {}", told(&refusal))),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.database.psql().rows(state), before, "nothing happened at the source");
    // Statements are audited in the order they end: had one of those above reached a source, it would be told of before this one.
    assert_eq!(ai.value("SELECT count(*) FROM crm.customers").await, "3000");
    let psql = world.gateway.psql();
    let audited = "SELECT data FROM causeway.events WHERE type = 'external.query.executed' AND actor = 'ai' ORDER BY seq";
    let (audited, _) = eventually("the statement is audited", Duration::from_secs(10), || {
        let rows = psql.rows(audited);
        (!rows.is_empty()).then_some(rows)
    });
    assert!(audited.len() == 1 && audited[0].contains("count"), "{audited:?}");
    assert_eq!(ai.value("SHOW causeway.push_down").await, "on");
    assert_eq!(ai.value("SHOW statement_timeout").await, "10s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_role_does_what_drivers_and_tools_do() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_allowed");
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    for sql in [
        "BEGIN; SET application_name = 'x'; COMMIT",
        "SET DateStyle = ISO; SET TimeZone = 'Europe/Berlin'; SET extra_float_digits = 3; SET client_encoding = 'UTF8'",
        "SET statement_timeout = '5s'",
        "SELECT set_config('statement_timeout', '4s', false)",
        "RESET statement_timeout",
        "SET search_path = crm, \"$user\", public",
        "SELECT id FROM customers WHERE id = 1",
        "SHOW ALL",
        "CLOSE ALL; UNLISTEN *; RESET ALL",
        "DISCARD ALL",
        "PREPARE p AS SELECT name FROM crm.customers WHERE id = $1",
        "EXECUTE p(7)",
        "DEALLOCATE ALL",
        "EXPLAIN SELECT * FROM crm.customers",
        "EXPLAIN ANALYZE SELECT count(*) FROM crm.customers",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT count(*) FROM n",
        "SELECT count(*), random() < 2, now() IS NOT NULL, current_setting('TimeZone') FROM crm.orders",
        "SELECT c.id, sum(o.total) FROM crm.customers c JOIN crm.orders o ON o.customer = c.id WHERE c.id < 5 GROUP BY c.id",
        "SELECT p.name, n.seven FROM shop.people p JOIN lake.numbers n ON n.id = p.id",
        "SELECT * FROM unnest(ARRAY[1, 2]) u",
        "SELECT * FROM generate_series(1, 3) g",
        "SELECT max(id) - (SELECT min(id) FROM crm.orders) FROM crm.customers",
        "VALUES (1), (2)",
    ] {
        ai.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let plan =
        world.gateway.psql_as("ai").rows("EXPLAIN VERBOSE SELECT n.id FROM crm.customers c JOIN lake.numbers n ON n.id = c.id").join("\n");
    assert!(plan.contains("RemoteScan on crm") && plan.contains("FileScan on lake") && !plan.contains("numbers.csv"), "{plan}");
    assert!(!plan.contains("public") && !plan.contains("FROM ") && !plan.contains("file_groups"), "{plan}");

    // What it does not see is not shown either, in any catalog.
    let psql = world.gateway.psql_as("ai");
    let tables = "SELECT table_schema || '.' || table_name FROM information_schema.tables \
                  WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
    assert_eq!(psql.rows(tables), ["crm.big", "crm.customers", "crm.drip", "crm.orders", "lake.numbers", "shop.open", "shop.people"]);
    assert_eq!(psql.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'people' ORDER BY 1"), ["id", "name"]);
    assert_eq!(psql.rows("SELECT * FROM shop.people ORDER BY 1"), ["1|Ana", "2|Bo"]);
    assert_eq!(psql.rows("SELECT srvname, srvoptions FROM pg_foreign_server ORDER BY 1"), ["crm|{}", "lake|{}", "shop|{}"]);
    assert_eq!(psql.rows("SELECT nspname FROM pg_namespace WHERE nspname IN ('erp', 'crm_hr', 'causeway', 'crm')"), ["crm"]);
    let shown = psql.commands(&["\\dt *.*", "\\d shop.people", "\\dn", "\\l", "\\des"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for hidden in ["erp", "cards", "salaries", "phone", "causeway"] {
        assert!(
            !shown
                .stdout
                .lines()
                .any(|line| line.split(['|', ' ']).any(|word| word == hidden) && !line.contains("Owner") && !line.contains("| causeway")),
            "{hidden}: {}",
            shown.stdout
        );
    }
    // Of a role of which nothing is said nothing is seen; who is not limited sees everything.
    assert_eq!(world.gateway.psql_as("nobody").rows(tables), Vec::<String>::new());
    assert!(world.gateway.psql_as("nobody").commands(&["SELECT * FROM crm.customers"]).stderr.contains("sees no table"));
    assert!(world.gateway.psql_as("plain").rows(tables).contains(&"crm_hr.salaries".to_owned()));
    let denied = ai.refused("SELECT * FROM erp.t").await;
    assert_eq!(denied, "42501 permission denied for table erp.t HINT Role \"ai\" sees schema crm, schema lake, shop.open, shop.people.");
    assert!(ai.refused("SELECT * FROM crm.nothing").await.starts_with("42P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_cut_at_so_many_rows_and_it_is_said() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_rows");
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    let last = "SELECT causeway.last_truncated()";
    assert_eq!(ai.value(last).await, "f");
    assert_eq!(ai.client.prepare(last).await.unwrap().columns()[0].name(), "last_truncated");
    let (rows, notices) = ai.run("SELECT id FROM crm.orders ORDER BY id").await.unwrap();
    assert_eq!(rows, 100);
    let [(code, text)] = &notices[..] else { panic!("{notices:?}") };
    assert!(code == "01004" && text.starts_with("the result was cut at 100 rows (max_rows of role \"ai\")"), "{notices:?}");
    assert_eq!(ai.value(last).await, "t");
    assert_eq!(ai.value(last).await, "f", "the last query is the one that asked");
    for (sql, expected, is_cut) in [
        ("SELECT id FROM crm.orders LIMIT 100", 100, false),
        ("SELECT id FROM crm.orders LIMIT 101", 100, true),
        ("SELECT id FROM crm.orders WHERE id <= 100", 100, false),
        ("SELECT id FROM crm.orders WHERE id <= 101", 100, true),
        ("SELECT n.id FROM lake.numbers n JOIN crm.orders o ON o.id = n.id", 100, true),
        ("SELECT id FROM lake.numbers UNION ALL SELECT id FROM crm.customers", 100, true),
        ("SELECT * FROM generate_series(1, 1000000000) g", 100, true),
        ("SELECT id FROM crm.orders WHERE id < 0", 0, false),
        ("SELECT count(*) FROM crm.orders", 1, false),
    ] {
        let (rows, notices) = ai.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!((rows, notices.len()), (expected, usize::from(is_cut)), "{sql}: {notices:?}");
        assert_eq!(ai.value(last).await, if is_cut { "t" } else { "f" }, "{sql}");
    }
    // The source is not asked for more than tells that there is more.
    let psql = world.gateway.psql();
    let read = "SELECT data FROM causeway.events WHERE actor = 'ai' AND type = 'external.query.executed' ORDER BY seq LIMIT 1";
    let (first, _) = eventually("the first is audited", Duration::from_secs(10), || psql.rows(read).pop());
    assert!(first.contains("\"rows\":101"), "{first}");
    // It is said to whoever does not want to hear it, and in the extended protocol.
    ai.run("SET client_min_messages = error").await.unwrap();
    assert_eq!(ai.client.query("SELECT id FROM crm.orders", &[]).await.unwrap().len(), 100);
    assert_eq!(ai.notices().len(), 1);
    assert_eq!(ai.value(last).await, "t");
    // Prepared statements are counted for each execution.
    let prepared = ai.client.prepare("SELECT id FROM crm.orders WHERE id > $1").await.unwrap();
    for _ in 0..2 {
        assert_eq!(ai.client.query(&prepared, &[&5_i64]).await.unwrap().len(), 100);
        assert_eq!(ai.notices().len(), 1);
    }
    // Cursors are counted as a whole.
    ai.run("BEGIN").await.unwrap();
    ai.run("DECLARE c CURSOR FOR SELECT id FROM crm.orders").await.unwrap();
    for (fetch, rows, cuts) in [("FETCH 60 FROM c", 60, 0), ("FETCH 60 FROM c", 40, 1), ("FETCH 60 FROM c", 0, 1)] {
        let (got, notices) = ai.run(fetch).await.unwrap();
        assert_eq!((got, notices.len()), (rows, cuts), "{fetch}: {notices:?}");
    }
    assert_eq!(ai.value(last).await, "t");
    // So are portals, and rows that are passed over.
    let transaction = "DECLARE d CURSOR FOR SELECT id FROM crm.orders";
    ai.run(transaction).await.unwrap();
    ai.run("MOVE 90 FROM d").await.unwrap();
    assert_eq!(ai.run("FETCH ALL FROM d").await.unwrap().0, 10);
    ai.run("ROLLBACK").await.unwrap();
    let portals = ai.client.transaction().await.unwrap();
    let portal = portals.bind("SELECT id FROM crm.orders", &[]).await.unwrap();
    for expected in [70, 30, 0] {
        assert_eq!(portals.query_portal(&portal, 70).await.unwrap().len(), expected);
    }
    portals.rollback().await.unwrap();
    assert_eq!(ai.notices().len(), 2, "once at its end, and once more when it was asked again");

    // Who is not limited is given everything, and nothing was cut.
    let plain = Limited::connect(&world.gateway, "plain").await;
    assert_eq!(plain.client.query("SELECT id FROM crm.orders", &[]).await.unwrap().len(), 20_000);
    assert_eq!(plain.value(last).await, "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_cut_at_so_many_bytes() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_bytes");
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    // A row of one text of 1000 letters is a message of 5 bytes, a count of 2, a length of 4, and the text: 8 of them are 8088 bytes.
    let sql = "SELECT repeat('x', 1000) FROM crm.customers";
    let (rows, notices) = ai.run(sql).await.unwrap();
    assert_eq!(rows, 8);
    assert!(notices.len() == 1 && notices[0].0 == "01004" && notices[0].1.contains("8192 bytes (max_bytes of role \"ai\")"), "{notices:?}");
    assert_eq!(ai.value("SELECT causeway.last_truncated()").await, "t");
    assert_eq!(ai.client.query(sql, &[]).await.unwrap().len(), 8);
    assert_eq!(ai.notices().len(), 1);
    // One row that is too large alone is not sent either; nine that are just small enough are.
    let (rows, notices) = ai.run("SELECT repeat('x', 9000)").await.unwrap();
    assert_eq!((rows, notices.len()), (0, 1));
    let (rows, notices) = ai.run("SELECT repeat('x', 1013) FROM crm.customers LIMIT 8").await.unwrap();
    assert_eq!((rows, notices.len()), (8, 0), "8 times 1024 bytes are 8 KiB");
    // A cursor is counted as a whole.
    ai.run("BEGIN").await.unwrap();
    ai.run(&format!("DECLARE c CURSOR FOR {sql}")).await.unwrap();
    for (rows, cuts) in [(5, 0), (3, 1), (0, 1)] {
        let (got, notices) = ai.run("FETCH 5 FROM c").await.unwrap();
        assert_eq!((got, notices.len()), (rows, cuts), "{notices:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_read_too_many_rows_are_stopped() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_scans");
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    // What the source computes is not read.
    assert_eq!(ai.value("SELECT count(*) FROM crm.big").await, "200000");
    let local = "SELECT count(*) FROM crm.big WHERE random() < 2";
    let refusal = ai.refused(local).await;
    assert!(
        refusal.starts_with("54000 the statement reads more than 30000 rows (max_scan_rows of role \"ai\")")
            && refusal.contains("public.big of datasource \"crm\" HINT Ask for less"),
        "{refusal}"
    );
    eventually("nothing runs at the source", Duration::from_secs(10), || (world.database.running("big") == 0).then_some(()));
    // What a join narrows is not read either.
    assert_eq!(ai.value("SELECT count(*) FROM crm.big b JOIN shop.people p ON p.id = b.id").await, "2");
    // The scans of a statement are counted together, and each statement for itself.
    let both =
        "SELECT count(*) FROM (SELECT id FROM crm.orders WHERE random() < 2 UNION ALL SELECT id FROM crm.orders WHERE random() < 2) o";
    assert!(ai.refused(both).await.starts_with("54000"));
    let one = "SELECT count(*) FROM crm.orders WHERE random() < 2";
    assert_eq!(ai.value(one).await, "20000");
    assert_eq!(ai.value(one).await, "20000");
    let files = "SELECT count(*) FROM lake.numbers a JOIN lake.numbers b ON a.id = b.id WHERE random() < 2";
    assert_eq!(ai.value(files).await, "5000");
    for sql in [
        "EXPLAIN ANALYZE SELECT count(*) FROM crm.big WHERE random() < 2",
        "SELECT count(*) FROM generate_series(1, 1000000000) g WHERE random() < 2",
        "PREPARE p AS SELECT 1 FROM crm.big WHERE random() < -1",
    ] {
        match ai.run(sql).await {
            Ok(_) => assert!(sql.starts_with("PREPARE"), "{sql}"),
            Err(refusal) => assert!(refusal.starts_with("54000"), "{sql}: {refusal}"),
        }
    }
    assert!(ai.refused("EXECUTE p").await.starts_with("54000"));
    // A cursor reads no more as a whole.
    ai.run("BEGIN").await.unwrap();
    ai.run("DECLARE c CURSOR FOR SELECT id FROM crm.big WHERE random() < -1").await.unwrap();
    assert!(ai.refused("FETCH 1 FROM c").await.starts_with("54000"));
    ai.run("ROLLBACK").await.unwrap();
    // A statement at the source that has far to go ends with the first row too many.
    let wide = "SELECT d.id FROM crm.drip d JOIN shop.open o ON o.id = d.id + random() * 0 - 1";
    let _ = ai.run(wide).await;
    eventually("nothing runs at the source", Duration::from_secs(10), || (world.database.running("drip") == 0).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_that_multiply_are_refused() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_joins");
    let mut ai = Limited::connect(&world.gateway, "ai").await;
    for sql in [
        "SELECT count(*) FROM crm.customers c, crm.orders o",
        "SELECT count(*) FROM crm.customers c CROSS JOIN crm.orders o",
        "SELECT count(*) FROM crm.customers c JOIN crm.orders o ON o.total > c.id",
        "EXPLAIN SELECT count(*) FROM crm.customers c, crm.orders o",
        "SELECT c.id FROM crm.customers c LEFT JOIN crm.orders o ON o.total < c.id",
        "SELECT c.id FROM crm.customers c WHERE EXISTS (SELECT 1 FROM crm.orders o WHERE o.total > c.id)",
        "WITH c AS (SELECT * FROM crm.customers) SELECT * FROM c, (SELECT id FROM crm.orders) o WHERE c.id <> o.id",
    ] {
        let refusal = ai.refused(sql).await;
        assert!(
            refusal.starts_with("54000 the statement joins crm.customers (about ") || refusal.contains("crm.orders (about"),
            "{sql}: {refusal}"
        );
        assert!(
            refusal.contains("crm.customers") && refusal.contains("crm.orders") && refusal.contains("max_join_rows"),
            "{sql}: {refusal}"
        );
    }
    // Where nothing is known before, it is counted.
    let counted = ai.refused("SELECT count(*) FROM lake.numbers a, lake.numbers b WHERE a.id <> b.id").await;
    assert!(counted.starts_with("54000 the statement joins "), "{counted}");
    let many = ai.refused("SELECT count(*) FROM lake.numbers a JOIN lake.numbers b ON a.seven = b.seven WHERE random() < 2").await;
    assert!(many.starts_with("54000 a join, recursion or unnest of the statement gives more than 1000000 rows"), "{many}");
    let recursion = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let endless = ai.refused(recursion).await;
    assert!(endless.starts_with("54000") || endless.starts_with("57014"), "{endless}");
    for sql in [
        "SELECT count(*) FROM crm.customers c JOIN crm.orders o ON o.customer = c.id",
        "SELECT count(*) FROM shop.people p, lake.numbers n",
        "SELECT count(*) FROM crm.customers c, (SELECT max(id) AS most FROM crm.orders) o WHERE c.id < o.most",
        "SELECT count(*) FROM crm.customers WHERE EXISTS (SELECT 1 FROM crm.orders)",
        "SELECT count(*) FROM crm.customers c, crm.orders o WHERE c.id = 1 AND o.id < 5",
    ] {
        ai.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_bounded_for_statements_and_for_cursors_as_a_whole() {
    let Some(server) = PostgresServer::shared() else { return };
    let world = world(server, "guardrails_time");
    let mut hasty = Limited::connect(&world.gateway, "hasty").await;
    assert!(hasty.refused("SELECT max(id) FROM crm.drip").await.starts_with("57014"));
    eventually("nothing runs at the source", Duration::from_secs(10), || (world.database.running("drip") == 0).then_some(()));
    // Each portion takes a part of it, and the client's own time takes none.
    hasty.run("BEGIN").await.unwrap();
    hasty.run("DECLARE c CURSOR FOR SELECT payload FROM crm.drip").await.unwrap();
    let mut portions = 0;
    let end = loop {
        match hasty.run("FETCH 10 FROM c").await {
            Ok((rows, _)) => assert!(rows == 10 && portions < 90, "{portions} portions of 100 ms each"),
            Err(error) => break error,
        }
        portions += 1;
    };
    assert!(end.starts_with("57014") && portions > 0, "{end} after {portions}");
    hasty.run("ROLLBACK").await.unwrap();
    eventually("nothing runs at the source", Duration::from_secs(10), || (world.database.running("drip") == 0).then_some(()));
    // The time of the client between portions is its own.
    hasty.run("BEGIN").await.unwrap();
    hasty.run("DECLARE c CURSOR FOR SELECT id FROM crm.customers").await.unwrap();
    hasty.run("FETCH 10 FROM c").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(hasty.run("FETCH 10 FROM c").await.unwrap().0, 10);
}
