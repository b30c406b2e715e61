//! Privileges that a source takes and grants while the gateway watches: what may not be read is neither gone nor changed.

use causeway_tests::{Gateway, MariaDbServer, PostgresServer, Psql};

/// The events of drift: their type, their subject, and the kinds of what they tell as new or gone.
fn drift(psql: &Psql) -> Vec<String> {
    let sql = "SELECT replace(type, 'external.schema.', ''), subject, data FROM causeway.events \
               WHERE type LIKE 'external.schema.drift%' ORDER BY seq";
    let shown = |row: &String| {
        let mut parts = row.splitn(3, '|');
        let mut part = || parts.next().expect("three columns");
        let (kind, subject) = (part(), part());
        let data: serde_json::Value = serde_json::from_str(part()).expect("JSON");
        let told = data["differences"].as_array().expect("a list").iter().filter(|one| one["new"] != false);
        let told: Vec<&str> = told.map(|one| one["kind"].as_str().expect("a word")).collect();
        format!("{kind} {subject} {}", told.join(" "))
    };
    psql.rows(sql).iter().map(shown).collect()
}

fn check(psql: &Psql) {
    psql.script("CALL causeway.check_drift('crm')");
}

fn omissions(psql: &Psql) -> Vec<String> {
    psql.rows("SELECT subject FROM causeway.omissions WHERE datasource = 'crm' ORDER BY subject")
}

#[test]
fn what_mariadb_hides_is_told_from_what_is_gone() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("narrow");
    let run = |script: &str| database.script(&script.replace("NARROW", "'narrow'@'127.0.0.1'"));
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar(20), note text); CREATE TABLE u (id int PRIMARY KEY); \
         INSERT INTO t VALUES (1, 'one', 'first'); CREATE USER NARROW IDENTIFIED BY 'narrow'; \
         GRANT SELECT ON narrow.t TO NARROW; GRANT SELECT ON narrow.u TO NARROW");
    let gateway = Gateway::start([database.datasource_of("crm", "narrow", "narrow")]);
    let psql = gateway.psql();
    psql.script("IMPORT FOREIGN SCHEMA narrow LIMIT TO (t) FROM SERVER crm INTO sales");

    run("REVOKE SELECT ON narrow.t FROM NARROW; GRANT SELECT (id, name) ON narrow.t TO NARROW");
    for _ in 0..3 {
        check(&psql);
        assert_eq!((drift(&psql), omissions(&psql)), (vec![], vec!["narrow.t.note".to_owned()]));
    }
    psql.script("CALL causeway.refresh_catalog('crm')");
    assert_eq!(psql.rows("SELECT * FROM crm.t"), ["1|one"]);
    let refused = |statement: &str| psql.commands(&["\\set VERBOSITY verbose", statement]).stderr;
    let told = refused("SELECT id FROM sales.t");
    assert!(told.contains("28000") && told.contains("permission denied for narrow.t.note: no SELECT privilege"), "{told}");

    run("REVOKE SELECT (id, name) ON narrow.t FROM NARROW");
    let told = refused("IMPORT FOREIGN SCHEMA narrow LIMIT TO (t) FROM SERVER crm INTO other");
    assert!(told.contains("28000") && told.contains("permission denied for narrow.t"), "{told}");
    check(&psql);
    psql.script("CALL causeway.refresh_catalog('crm')");
    assert_eq!((drift(&psql), omissions(&psql)), (vec![], vec!["narrow.t".to_owned()]));
    let told = refused("SELECT id FROM sales.t");
    assert!(told.contains("28000") && told.contains("permission denied for narrow.t: no SELECT privilege"), "{told}");
    let told = refused("SELECT id FROM crm.t");
    assert!(told.contains("narrow.t of datasource \"crm\" is left out: no SELECT privilege"), "{told}");

    run("GRANT SELECT ON narrow.t TO NARROW");
    check(&psql);
    assert_eq!((drift(&psql), omissions(&psql)), (vec!["drift narrow.t new_table".to_owned()], vec![]));
    assert_eq!(psql.rows("SELECT note FROM sales.t"), ["first"], "the import is mended by the check");
    psql.script("CALL causeway.refresh_catalog('crm')");
    assert_eq!(psql.rows("SELECT note FROM crm.t"), ["first"]);

    run("ALTER TABLE narrow.t DROP COLUMN note");
    check(&psql);
    assert_eq!(drift(&psql).last().map(String::as_str), Some("drift narrow.t missing_column"));
    run("DROP TABLE narrow.t");
    check(&psql);
    assert_eq!(drift(&psql).last().map(String::as_str), Some("drift narrow.t missing_table"));
}

#[test]
fn what_postgresql_hides_leaves_what_is_open_as_it_is() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("hiding");
    database.script(
        "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), note text); CREATE ROLE narrow LOGIN PASSWORD 'narrow'; \
         GRANT SELECT ON t TO narrow",
    );
    let gateway = Gateway::start([database.datasource_of("crm", "narrow", "narrow")]);
    let psql = gateway.psql();
    database.script("ALTER TABLE t ALTER COLUMN name TYPE varchar(10), DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, name)");
    check(&psql);
    let open = "SELECT kind, \"column\" FROM causeway.drift WHERE resolved_at IS NULL ORDER BY kind, \"column\"";
    let before = psql.rows(open);
    let told = drift(&psql);
    assert_eq!(told.len(), 1, "{told:?}");
    for (take, hidden) in [
        ("REVOKE SELECT ON t FROM narrow; GRANT SELECT (id, note) ON t TO narrow", "public.t.name"),
        ("REVOKE SELECT ON t FROM narrow; REVOKE SELECT (id, note) ON t FROM narrow", "public.t"),
    ] {
        database.script(take);
        for _ in 0..2 {
            check(&psql);
            assert_eq!((drift(&psql), psql.rows(open), omissions(&psql)), (told.clone(), before.clone(), vec![hidden.to_owned()]));
        }
        database.script("GRANT SELECT ON t TO narrow");
        check(&psql);
        assert_eq!((drift(&psql), psql.rows(open), omissions(&psql)), (told.clone(), before.clone(), vec![]));
    }
}

#[test]
fn a_pinned_table_that_may_not_be_read_stops_no_start() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("unstopped");
    database.script(
        "CREATE TABLE t (id integer); CREATE TABLE u (id integer); INSERT INTO u VALUES (1); \
         CREATE ROLE unstopped LOGIN PASSWORD 'unstopped'; GRANT SELECT ON u TO unstopped",
    );
    let pinned = "tables:\n  - { name: t, remote: public.t, columns: [{ name: id, type: integer }] }";
    let gateway = Gateway::start([database.datasource_of("crm", "unstopped", "unstopped").section(pinned)]);
    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT state FROM causeway.datasources"), ["running"]);
    assert_eq!(psql.rows("SELECT id FROM crm.u"), ["1"]);
    assert_eq!(omissions(&psql), ["public.t"]);
    database.script("GRANT SELECT ON t TO unstopped");
    check(&psql);
    assert_eq!(psql.rows("SELECT count(*) FROM crm.t"), ["0"]);
    assert!(drift(&psql).is_empty());
}
