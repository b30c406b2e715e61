//! Sources whose schemas change while the gateway watches: each change is one event that tells what it was, and no more.

use std::time::Duration;

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, Psql, eventually, write_sqlite};
use serde_json::Value;

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// A change of a source, how it is undone, and the differences it makes: kind, column, severity.
struct Change {
    change: &'static str,
    undo: &'static str,
    differences: &'static [(&'static str, &'static str, &'static str)],
}

/// The drift events after number `after`: number, type, data.
fn drift_events(psql: &Psql, after: i64) -> Vec<(i64, String, Value)> {
    let sql = format!(
        "SELECT seq || ' ' || type || ' ' || data FROM causeway.events \
         WHERE seq > {after} AND type LIKE 'external.schema.drift%' ORDER BY seq"
    );
    let event = |row: &String| {
        let mut parts = row.splitn(3, ' ');
        let mut part = || parts.next().expect("three parts").to_owned();
        (part().parse().expect("a number"), part(), serde_json::from_str(&part()).expect("JSON"))
    };
    psql.rows(&sql).iter().map(event).collect()
}

fn next_event(psql: &Psql, after: i64, what: &str) -> (i64, String, Value) {
    eventually(what, PATIENCE, || drift_events(psql, after).into_iter().next()).0
}

/// Makes every change and undoes it, and holds each against the one event it makes.
fn watch(gateway: &Gateway, subject: &str, run: impl Fn(&str), changes: &[Change]) {
    let psql = gateway.psql();
    let mut seen = 0;
    for change in changes {
        run(change.change);
        let (sequence, kind, data) = next_event(&psql, seen, change.change);
        assert_eq!(kind, "external.schema.drift", "{}", change.change);
        let differences: Vec<(&str, &str, &str)> = data["differences"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|d| {
                let text = |key: &str| d[key].as_str().unwrap_or_default();
                (text("kind"), text("column"), text("severity"))
            })
            .collect();
        assert_eq!(differences, change.differences, "{}: {data}", change.change);
        let is = |kind: &str| differences.iter().any(|difference| difference.0 == kind);
        assert_eq!(data["before"].is_null(), is("new_table"), "{}: {data}", change.change);
        assert_eq!(data["after"].is_null(), is("missing_table"), "{}: {data}", change.change);

        run(change.undo);
        let (resolved, kind, data) = next_event(&psql, sequence, change.undo);
        assert_eq!((kind.as_str(), &data["reason"]), ("external.schema.drift.resolved", &Value::from("reverted")), "{}", change.undo);
        seen = resolved;
    }
    let all = drift_events(&psql, 0);
    assert_eq!(all.len(), 2 * changes.len(), "one event per change and one when it was undone: {all:#?}");
    let open = psql.rows("SELECT count(*) FROM causeway.drift WHERE resolved_at IS NULL");
    assert_eq!(open, ["0"]);
    assert!(!psql.rows(&format!("SELECT 1 FROM causeway.events WHERE subject = '{subject}'")).is_empty());
}

/// Runs checks on a source that stays as it is; none of them may say anything.
fn nothing_is_told(gateway: &Gateway, checks: usize) {
    let psql = gateway.psql();
    let before = drift_events(&psql, 0).len();
    psql.script(&"CALL causeway.check_drift('crm');\n".repeat(checks));
    assert_eq!(drift_events(&psql, 0).len(), before);
}

fn watched(datasource: Datasource) -> Datasource {
    datasource.external("validation", "{ check_interval: 1s }")
}

const POSTGRES: &str = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount numeric(10,2) NOT NULL, note text)";

#[test]
fn changes_of_postgresql_are_told_once_each() {
    let Some(server) = PostgresServer::dedicated() else { return };
    let database = server.database("drifting");
    database.script(POSTGRES);
    let gateway = Gateway::start([watched(database.datasource("crm"))]);
    watch(
        &gateway,
        "public.t",
        |script| database.script(script),
        &[
            Change { change: "CREATE TABLE extra (x integer)", undo: "DROP TABLE extra", differences: &[("new_table", "", "warning")] },
            Change {
                change: "ALTER TABLE t ADD COLUMN added integer",
                undo: "ALTER TABLE t DROP COLUMN added",
                differences: &[("unmapped_column", "added", "warning")],
            },
            Change {
                change: "ALTER TABLE t RENAME COLUMN note TO remark",
                undo: "ALTER TABLE t RENAME COLUMN remark TO note",
                differences: &[("missing_column", "note", "error"), ("unmapped_column", "remark", "warning")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN name TYPE varchar(40)",
                undo: "ALTER TABLE t ALTER COLUMN name TYPE varchar(20)",
                differences: &[("type_mismatch", "name", "warning")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN name TYPE varchar(10)",
                undo: "ALTER TABLE t ALTER COLUMN name TYPE varchar(20)",
                differences: &[("type_mismatch", "name", "error")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN id TYPE bigint",
                undo: "ALTER TABLE t ALTER COLUMN id TYPE integer",
                differences: &[("type_mismatch", "id", "warning")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN amount TYPE text",
                undo: "ALTER TABLE t ALTER COLUMN amount TYPE numeric(10,2) USING amount::numeric(10,2)",
                differences: &[("type_mismatch", "amount", "error")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN amount DROP NOT NULL",
                undo: "ALTER TABLE t ALTER COLUMN amount SET NOT NULL",
                differences: &[("nullability_mismatch", "amount", "error")],
            },
            Change {
                change: "ALTER TABLE t ALTER COLUMN note SET NOT NULL",
                undo: "ALTER TABLE t ALTER COLUMN note DROP NOT NULL",
                differences: &[("nullability_mismatch", "note", "warning")],
            },
            Change {
                change: "ALTER TABLE t DROP CONSTRAINT t_pkey",
                undo: "ALTER TABLE t ADD PRIMARY KEY (id)",
                differences: &[("pk_mismatch", "", "error")],
            },
            Change { change: "DROP TABLE t", undo: POSTGRES, differences: &[("missing_table", "", "error")] },
        ],
    );

    // Another spelling, another order of columns and a restart are no changes.
    database.script(
        "BEGIN; DROP TABLE t; CREATE TABLE t (note text, amount decimal(10,2) NOT NULL, name character varying(20), id int4 PRIMARY KEY); COMMIT",
    );
    nothing_is_told(&gateway, 20);
    server.kill();
    gateway.wait_for_state("crm", "error", PATIENCE);
    server.start();
    gateway.wait_for_state("crm", "running", PATIENCE);
    nothing_is_told(&gateway, 20);
}

#[test]
fn a_table_we_may_not_read_any_more_is_not_called_gone() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("forbidden");
    database.script(POSTGRES);
    let gateway = Gateway::start([watched(database.datasource("crm"))]);
    let psql = gateway.psql();
    let owner = database.psql().rows("SELECT current_user").remove(0);
    // Superusers read whatever they like; the table goes to a schema that is not there for anybody instead.
    if database.psql().rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == ["f"] {
        database.script(&format!("REVOKE SELECT ON t FROM \"{owner}\""));
        nothing_is_told(&gateway, 3);
        assert_eq!(psql.rows("SELECT subject FROM causeway.omissions WHERE datasource = 'crm'"), ["public.t"]);
        database.script(&format!("GRANT SELECT ON t TO \"{owner}\""));
    }
    database.script("DROP TABLE t");
    let (_, kind, data) = next_event(&psql, 0, "a dropped table is told");
    assert_eq!((kind.as_str(), &data["differences"][0]["kind"]), ("external.schema.drift", &Value::from("missing_table")));
}

const MARIADB: &str = "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), amount decimal(10,2) NOT NULL, note text)";

#[test]
fn changes_of_mariadb_are_told_once_each() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("drifting");
    database.script(MARIADB);
    let gateway = Gateway::start([watched(database.datasource("crm"))]);
    watch(
        &gateway,
        &format!("{}.t", database.name()),
        |script| database.script(script),
        &[
            Change { change: "CREATE TABLE extra (x int)", undo: "DROP TABLE extra", differences: &[("new_table", "", "warning")] },
            Change {
                change: "ALTER TABLE t ADD COLUMN added int",
                undo: "ALTER TABLE t DROP COLUMN added",
                differences: &[("unmapped_column", "added", "warning")],
            },
            Change {
                change: "ALTER TABLE t CHANGE note remark text",
                undo: "ALTER TABLE t CHANGE remark note text",
                differences: &[("missing_column", "note", "error"), ("unmapped_column", "remark", "warning")],
            },
            Change {
                change: "ALTER TABLE t MODIFY id bigint",
                undo: "ALTER TABLE t MODIFY id int",
                differences: &[("type_mismatch", "id", "warning")],
            },
            Change {
                change: "ALTER TABLE t MODIFY name varchar(10)",
                undo: "ALTER TABLE t MODIFY name varchar(20)",
                differences: &[("type_mismatch", "name", "error")],
            },
            Change {
                change: "ALTER TABLE t MODIFY amount decimal(10,2)",
                undo: "ALTER TABLE t MODIFY amount decimal(10,2) NOT NULL",
                differences: &[("nullability_mismatch", "amount", "error")],
            },
            Change {
                change: "ALTER TABLE t MODIFY note text NOT NULL",
                undo: "ALTER TABLE t MODIFY note text",
                differences: &[("nullability_mismatch", "note", "warning")],
            },
            Change {
                change: "ALTER TABLE t DROP PRIMARY KEY",
                undo: "ALTER TABLE t ADD PRIMARY KEY (id)",
                differences: &[("pk_mismatch", "", "error")],
            },
            Change { change: "DROP TABLE t", undo: MARIADB, differences: &[("missing_table", "", "error")] },
        ],
    );
    database.script("ALTER TABLE t MODIFY note text AFTER id, MODIFY id integer, MODIFY amount numeric(10,2) NOT NULL");
    nothing_is_told(&gateway, 20);
}

const SQLITE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount decimal(10,2) NOT NULL, note text)";

#[test]
fn changes_of_sqlite_are_told_once_each() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    write_sqlite(&path, SQLITE);
    let gateway = Gateway::start([watched(Datasource::sqlite("crm", &path))]);
    watch(
        &gateway,
        "main.t",
        |script| write_sqlite(&path, script),
        &[
            Change { change: "CREATE TABLE extra (x integer)", undo: "DROP TABLE extra", differences: &[("new_table", "", "warning")] },
            Change {
                change: "ALTER TABLE t ADD COLUMN added integer",
                undo: "ALTER TABLE t DROP COLUMN added",
                differences: &[("unmapped_column", "added", "warning")],
            },
            Change {
                change: "ALTER TABLE t RENAME COLUMN note TO remark",
                undo: "ALTER TABLE t RENAME COLUMN remark TO note",
                differences: &[("missing_column", "note", "error"), ("unmapped_column", "remark", "warning")],
            },
            Change {
                change: "BEGIN; DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, name integer, amount decimal(10,2) NOT NULL, note text); COMMIT",
                undo: "BEGIN; DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount decimal(10,2) NOT NULL, note text); COMMIT",
                differences: &[("type_mismatch", "name", "error")],
            },
            Change {
                change: "BEGIN; DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount decimal(10,2), note text); COMMIT",
                undo: "BEGIN; DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount decimal(10,2) NOT NULL, note text); COMMIT",
                differences: &[("nullability_mismatch", "amount", "error")],
            },
            Change { change: "DROP TABLE t", undo: SQLITE, differences: &[("missing_table", "", "error")] },
        ],
    );
    write_sqlite(
        &path,
        "BEGIN; DROP TABLE t; CREATE TABLE t (note TEXT, name VARCHAR(20), amount DECIMAL(10, 2) NOT NULL, id INTEGER PRIMARY KEY); COMMIT",
    );
    nothing_is_told(&gateway, 1000);
}
