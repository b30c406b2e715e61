//! Who may change what at a source: nobody, unless the datasource and the table were opened to it.

use causeway_tests::{Datasource, Gateway, write_sqlite};

#[test]
fn changes_of_a_source_are_refused_by_the_gate_they_meet() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    write_sqlite(
        &path,
        "CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (id integer PRIMARY KEY); CREATE TABLE Änderungen (id integer); INSERT INTO t VALUES (1)",
    );
    let open =
        Datasource::sqlite("open", &path).external("allow_writes", "true").section("tables:\n  - { name: w, remote: t, writable: true }");
    let gateway = Gateway::start([Datasource::sqlite("crm", &path), open]);
    let psql = gateway.psql();
    for (sql, code, text) in [
        ("INSERT INTO crm.t VALUES (2)", "25006", "EXTERNAL_WRITE_FORBIDDEN: it is not open to writes"),
        ("UPDATE crm.t SET id = 3", "25006", "EXTERNAL_WRITE_FORBIDDEN"),
        ("WITH x AS (SELECT 1) DELETE FROM crm.t", "25006", "EXTERNAL_WRITE_FORBIDDEN"),
        ("TRUNCATE crm.t", "25006", "EXTERNAL_WRITE_FORBIDDEN"),
        ("INSERT INTO open.u VALUES (2)", "25006", "EXTERNAL_WRITE_FORBIDDEN: table open.u is not writable"),
        ("CREATE INDEX i ON open.w (id)", "25006", "EXTERNAL_SCHEMA_MODE_VIOLATION"),
        ("CREATE TABLE crm.made (id integer)", "25006", "EXTERNAL_SCHEMA_MODE_VIOLATION: its schema_mode is external"),
        ("ALTER TABLE crm.t ADD COLUMN x integer", "25006", "EXTERNAL_SCHEMA_MODE_VIOLATION"),
        ("DROP TABLE open.w", "25006", "EXTERNAL_SCHEMA_MODE_VIOLATION"),
    ] {
        let refused = psql.commands(&["\\set VERBOSITY verbose", sql]);
        assert!(refused.stderr.contains(code) && refused.stderr.contains(text), "{sql}: {}", refused.stderr);
        let hint = if text.contains("SCHEMA_MODE") {
            "HINT:  do it at the source: in this version no statement defines tables there"
        } else if text.contains("not writable") {
            "HINT:  set `writable: true` on the table"
        } else {
            "HINT:  set `external.allow_writes: true` on the datasource"
        };
        assert!(refused.stderr.contains(hint), "{sql}: {}", refused.stderr);
    }
    // Capitals beyond ASCII fold nowhere, so the gate is asked of the table that the planner finds.
    let refused = psql.commands(&["\\set VERBOSITY verbose", "DELETE FROM crm.Änderungen"]);
    assert!(refused.stderr.contains("25006"), "{}", refused.stderr);
    psql.script("IMPORT FOREIGN SCHEMA main LIMIT TO (t) FROM SERVER crm INTO sales");
    let refused = psql.commands(&["\\set VERBOSITY verbose", "DROP TABLE sales.t"]);
    assert!(refused.stderr.contains("25006") && refused.stderr.contains("HINT:  DROP FOREIGN TABLE sales.t ends"), "{}", refused.stderr);
    psql.script("DROP FOREIGN TABLE sales.t");
    assert_eq!(psql.rows("SELECT id FROM crm.t"), ["1"], "nothing was changed");
    assert_eq!(psql.rows("INSERT INTO open.w VALUES (2)"), ["INSERT 0 1"], "what is open twice is open");
}
