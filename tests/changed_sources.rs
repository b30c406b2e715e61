//! Sources whose tables change between two statements: the next one just works, or says what is gone.

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, text_rows, write_sqlite};
use tokio_postgres::error::SqlState;

/// Runs the same changes on a source of any kind. `change` runs a script there.
fn follow(gateway: &Gateway, change: impl Fn(&str)) {
    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT * FROM crm.t ORDER BY id"), ["1|one", "2|two"]);

    change("ALTER TABLE t RENAME COLUMN name TO title");
    let shown = psql.commands(&["SELECT * FROM crm.t ORDER BY id"]).expect_success();
    assert!(shown.contains("id") && shown.contains("title") && !shown.contains("name"), "the columns are those of now: {shown}");
    assert_eq!(psql.rows("SELECT title FROM crm.t WHERE id = 2"), ["two"]);

    change("ALTER TABLE t ADD COLUMN extra integer");
    assert_eq!(psql.rows("SELECT * FROM crm.t ORDER BY id"), ["1|one", "2|two"], "a column nobody knows of disturbs nobody");

    change("DROP TABLE t; CREATE TABLE t (code integer, label varchar(20)); INSERT INTO t VALUES (7, 'seven')");
    assert_eq!(psql.rows("SELECT * FROM crm.t"), ["7|seven"]);
    assert_eq!(psql.rows("SELECT label FROM crm.t WHERE code > 1"), ["seven"]);

    change("DROP TABLE t");
    let gone = psql.commands(&["\\set VERBOSITY verbose", "SELECT * FROM crm.t"]);
    assert!(
        gone.code != 0 && gone.stderr.contains("42P01") && gone.stderr.contains("datasource: crm"),
        "the source says so: {}",
        gone.stderr
    );
    change("CREATE TABLE t (code integer, label varchar(20)); INSERT INTO t VALUES (8, 'eight')");
    assert_eq!(psql.rows("SELECT * FROM crm.t"), ["8|eight"], "it was gone for a moment only");
    change("DROP TABLE t");
    change("CREATE TABLE u (a integer); INSERT INTO u VALUES (5)");
    psql.script("CALL causeway.refresh_catalog('crm')");
    assert_eq!(psql.rows("SELECT * FROM crm.u"), ["5"], "and everything else goes on");
}

const TABLE: &str = "CREATE TABLE t (id integer, name varchar(20)); INSERT INTO t VALUES (1, 'one'), (2, 'two');";

#[test]
fn a_changed_postgresql_is_followed() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("changed");
    database.script(TABLE);
    let gateway = Gateway::start([database.datasource("crm")]);
    follow(&gateway, |script| database.script(script));
}

#[test]
fn bytes_of_one_type_are_never_read_as_another() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("retyped");
    database.script("CREATE TABLE t (a bigint, b integer, c text, d date); INSERT INTO t VALUES (1000000, 7, '{}', '2024-02-29')");
    let gateway = Gateway::start([database.datasource("crm")]);
    let psql = gateway.psql();
    psql.script("IMPORT FOREIGN SCHEMA public LIMIT TO (t) FROM SERVER crm INTO sales");
    assert_eq!(psql.rows("SELECT a, b, c, d FROM crm.t"), ["1000000|7|{}|2024-02-29"]);
    // Each of them has as many bytes as before.
    database.script(
        "ALTER TABLE t ALTER a TYPE double precision, ALTER b TYPE real, ALTER c TYPE jsonb USING c::jsonb, \
         ALTER d TYPE integer USING 5",
    );
    for push_down in ["on", "off"] {
        let set = format!("SET causeway.push_down = {push_down}");
        let imported = psql.commands(&[&set, "SELECT b FROM sales.t"]);
        assert!(imported.code != 0 && imported.stderr.contains("EXTERNAL_SCHEMA_MISMATCH"), "{}{}", imported.stdout, imported.stderr);
        let followed = psql.commands(&["\\t", "\\a", &set, "SELECT a, b, c, d FROM crm.t"]).expect_success();
        assert_eq!(followed.lines().last(), Some("1000000|7|{}|5"), "{followed}");
    }
}

#[test]
fn a_changed_mariadb_is_followed() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("changed");
    database.script(TABLE);
    let gateway = Gateway::start([database.datasource("crm")]);
    follow(&gateway, |script| database.script(script));
}

#[test]
fn a_changed_sqlite_is_followed() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    write_sqlite(&path, TABLE);
    let gateway = Gateway::start([Datasource::sqlite("crm", &path)]);
    follow(&gateway, |script| write_sqlite(&path, script));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_goes_on_or_is_refused_but_never_changes() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("changed_prepared");
    database.script(TABLE);
    let gateway = Gateway::start([database.datasource("crm")]);
    let client = gateway.connect().await;
    let change = |script: &str| tokio::task::block_in_place(|| database.script(script));
    let all = client.prepare("SELECT * FROM crm.t ORDER BY id").await.unwrap();
    let known = client.prepare("SELECT count(*) FROM crm.t WHERE name <> $1").await.unwrap();
    assert_eq!(client.query(&all, &[]).await.unwrap().len(), 2);

    // The table is another one of the same columns: nothing is to be seen of it.
    change("ALTER TABLE t RENAME TO old; CREATE TABLE t (id integer, name varchar(20)); INSERT INTO t VALUES (3, 'three')");
    assert_eq!(client.query_one(&all, &[]).await.unwrap().get::<_, i32>(0), 3);
    assert_eq!(client.query_one(&known, &[&"one"]).await.unwrap().get::<_, i64>(0), 1);

    change("ALTER TABLE t RENAME COLUMN name TO title");
    let error = client.query(&all, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{error:?}");
    let rows = text_rows(&client, "SELECT * FROM crm.t").await.unwrap();
    assert_eq!(rows, [vec![Some("3".to_owned()), Some("three".to_owned())]]);
    let row = client.query_one("SELECT * FROM crm.t", &[]).await.unwrap();
    assert_eq!(row.columns()[1].name(), "title", "prepared anew it has the new columns");
    let error = client.query(&known, &[&"one"]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN), "{error:?}");
}

/// One collation is changed into another while the gateway knows of the first, and each answer stays that of texts compared by their
/// bytes. `change` gives the column the collation of a script.
fn compare_by_bytes(gateway: &Gateway, remote_schema: &str, collations: &[&str], change: impl Fn(&str)) {
    let (first, others) = collations.split_first().unwrap();
    let questions = [
        ("SELECT name FROM {}.t WHERE name < 'a' ORDER BY id", "B A"),
        ("SELECT name FROM {}.t WHERE name BETWEEN 'A' AND 'Z' ORDER BY name", "A B"),
        ("SELECT count(*) FROM {}.t WHERE name = 'a'", "1"),
        ("SELECT count(*) FROM {}.t WHERE name <> 'a'", "3"),
        ("SELECT count(*) FROM {}.t WHERE name IN ('b', 'c')", "1"),
        ("SELECT max(name) FROM {}.t", "b"),
        ("SELECT count(*) FROM (SELECT name FROM {}.t GROUP BY name) g", "4"),
        ("SELECT name FROM {}.t ORDER BY name LIMIT 2", "A B"),
        ("SELECT count(*) FROM {}.t x JOIN {}.t y ON x.name = y.name", "4"),
    ];
    let psql = gateway.psql();
    psql.script(&format!("IMPORT FOREIGN SCHEMA {remote_schema} LIMIT TO (t) FROM SERVER crm INTO sales"));
    for other in others {
        for (question, answer) in questions {
            for schema in ["crm", "sales"] {
                change(first);
                psql.script("CALL causeway.refresh_catalog('crm')");
                let question = question.replace("{}", schema);
                assert_eq!(psql.rows(&question).join(" "), answer, "{question}, under {first}");
                change(other);
                assert_eq!(psql.rows(&question).join(" "), answer, "{question}, under {other} since");
            }
        }
    }
}

const LETTERS: &str = "INSERT INTO t VALUES (1, 'a'), (2, 'B'), (3, 'b'), (4, 'A');";

#[test]
fn another_collation_in_postgresql_changes_no_answer() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("recollated");
    database.script(&format!(
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE t (id integer, name text COLLATE \"C\"); {LETTERS}"
    ));
    let gateway = Gateway::start([database.datasource("crm")]);
    compare_by_bytes(&gateway, "public", &["\"C\"", "\"und-x-icu\"", "ci"], |collation| {
        database.script(&format!("ALTER TABLE t ALTER name TYPE text COLLATE {collation}"));
    });
}

#[test]
fn another_collation_in_mariadb_changes_no_answer() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("recollated");
    let column = |collation: &str| format!("name varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_{collation}");
    database.script(&format!("CREATE TABLE t (id integer, {}); {LETTERS}", column("nopad_bin")));
    let gateway = Gateway::start([database.datasource("crm")]);
    compare_by_bytes(&gateway, "recollated", &["nopad_bin", "general_ci"], |collation| {
        database.script(&format!("ALTER TABLE t MODIFY {}", column(collation)));
    });
}

#[test]
fn another_collation_in_sqlite_changes_no_answer() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    let table = |collation: &str| format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id integer, name text COLLATE {collation}); {LETTERS}");
    write_sqlite(&path, &table("BINARY"));
    let gateway = Gateway::start([Datasource::sqlite("crm", &path)]);
    compare_by_bytes(&gateway, "main", &["BINARY", "NOCASE"], |collation| write_sqlite(&path, &table(collation)));
}

/// Types that became wider, or less strict: `change` is followed by statements and by tables under a contract that it does not break.
fn widen(gateway: &Gateway, schema: &str, change: impl FnOnce(), columns: &[(&str, &str)]) {
    let psql = gateway.psql();
    psql.script(&format!("IMPORT FOREIGN SCHEMA {schema} LIMIT TO (t) FROM SERVER crm INTO sales"));
    for schema in ["crm", "sales"] {
        assert_eq!(psql.rows(&format!("SELECT count(*) FROM (SELECT * FROM {schema}.t) x")), ["1"]);
    }
    change();
    for (column, answer) in columns {
        for schema in ["sales", "crm"] {
            assert_eq!(psql.rows(&format!("SELECT {column} FROM {schema}.t WHERE id = 1")), [*answer], "{schema} {column}");
        }
    }
}

#[test]
fn wider_types_in_postgresql_are_followed() {
    let Some(server) = PostgresServer::shared() else { return };
    let columns = [
        ("numeric(10,2)", "numeric(12,4)", "1.2345"),
        ("numeric(10,2)", "numeric(14,2)", "123456789012.00"),
        ("numeric(10,2)", "numeric", "1.23456789"),
        ("integer", "bigint", "9000000000"),
        ("integer[]", "bigint[]", "{9000000000}"),
        ("real", "double precision", "1.2345678901"),
        ("varchar(3)", "varchar(30)", "longer than three"),
    ];
    for (at, (from, to, value)) in columns.into_iter().enumerate() {
        let database = server.database(&format!("widened_{at}"));
        database.script(&format!("CREATE TABLE t (id integer, v {from}); INSERT INTO t VALUES (1, NULL)"));
        let gateway = Gateway::start([database.datasource("crm")]);
        let change = || database.script(&format!("ALTER TABLE t ALTER v TYPE {to}; UPDATE t SET v = '{value}'"));
        widen(&gateway, "public", change, &[("v", value)]);
    }
}

#[test]
fn wider_types_in_mariadb_are_followed() {
    let Some(server) = MariaDbServer::shared() else { return };
    let columns = [
        ("decimal(10,2)", "decimal(12,4)", "1.2345"),
        ("decimal(10,2)", "decimal(14,2)", "123456789012.00"),
        ("int", "bigint", "9000000000"),
        ("int unsigned", "bigint unsigned", "18446744073709551615"),
        ("float", "double", "1.2345678901"),
        ("varchar(3)", "varchar(30)", "longer than three"),
    ];
    for (at, (from, to, value)) in columns.into_iter().enumerate() {
        let name = format!("widened_{at}");
        let database = server.database(&name);
        database.script(&format!("CREATE TABLE t (id integer, v {from}); INSERT INTO t VALUES (1, NULL)"));
        let gateway = Gateway::start([database.datasource("crm")]);
        let change = || database.script(&format!("ALTER TABLE t MODIFY v {to}; UPDATE t SET v = '{value}'"));
        widen(&gateway, &name, change, &[("v", value)]);
    }
}

#[test]
fn what_a_changed_postgresql_computes_is_computed_of_what_it_has_now() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("recomputed");
    database.script(
        "CREATE DOMAIN qty AS integer; CREATE DOMAIN word AS integer; CREATE TYPE mood AS ENUM ('b', 'a'); \
         CREATE COLLATION swapped (provider = icu, locale = 'und');",
    );
    // The columns of a table, its rows, what changes, what is asked and what the answer is of what is there then.
    let cases = [
        ("n integer", "(1), (2)", "ALTER TABLE t ALTER n TYPE numeric USING n + 0.5", "SELECT sum(n) = 4 FROM crm.t", "t"),
        ("n integer", "(1), (2)", "ALTER TABLE t ALTER n TYPE numeric USING n + 0.5", "SELECT count(*) FROM crm.t WHERE n = 1.5", "1"),
        (
            "n integer",
            "(1), (2)",
            "ALTER TABLE t ALTER n TYPE numeric USING n + 0.5",
            "SELECT count(*) FROM crm.t x JOIN (SELECT n::bigint AS k FROM crm.t) y ON x.n = y.k",
            "0",
        ),
        ("n integer", "(9), (10)", "ALTER TABLE t ALTER n TYPE text COLLATE \"und-x-icu\"", "SELECT max(n) FROM crm.t", "9"),
        (
            "n integer",
            "(1), (2)",
            "ALTER TABLE t ALTER n TYPE text COLLATE \"und-x-icu\" USING CASE n WHEN 1 THEN 'a' ELSE 'B' END",
            "SELECT n FROM crm.t ORDER BY n LIMIT 1",
            "B",
        ),
        ("n integer", "(1), (2)", "ALTER TABLE t ALTER n TYPE text", "SELECT count(*) FROM crm.t WHERE n < '2'", "1"),
        ("n text", "('b'), ('a')", "ALTER TABLE t ALTER n TYPE mood USING n::mood", "SELECT n FROM crm.t ORDER BY n LIMIT 1", "a"),
        (
            "n qty",
            "(5), (10)",
            "ALTER TABLE t ALTER n TYPE integer; DROP DOMAIN qty; CREATE DOMAIN qty AS numeric(10, 2); \
             ALTER TABLE t ALTER n TYPE qty USING n + 0.75",
            "SELECT sum(n) = 16.5 FROM crm.t",
            "t",
        ),
        (
            "n word",
            "(5), (10)",
            "ALTER TABLE t ALTER n TYPE integer; DROP DOMAIN word; CREATE DOMAIN word AS text; \
             ALTER TABLE t ALTER n TYPE word USING 'v' || n",
            "SELECT n FROM crm.t ORDER BY n",
            "v10 v5",
        ),
        (
            "n text COLLATE swapped",
            "('a'), ('A')",
            "ALTER TABLE t ALTER n TYPE text; DROP COLLATION swapped; \
             CREATE COLLATION swapped (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             ALTER TABLE t ALTER n TYPE text COLLATE swapped",
            "SELECT count(*) FROM crm.t WHERE n = 'a'",
            "1",
        ),
        ("n integer NOT NULL", "(1), (2)", "ALTER TABLE t ALTER n DROP NOT NULL; UPDATE t SET n = NULL", "SELECT count(n) FROM crm.t", "0"),
        (
            "n integer",
            "(1), (2)",
            "ALTER TABLE t RENAME TO old; CREATE TABLE t (n numeric); INSERT INTO t VALUES (1.5); DROP TABLE old",
            "SELECT sum(n) = 1.5 FROM crm.t",
            "t",
        ),
        ("n integer", "(1), (2)", "ALTER TABLE t ADD COLUMN more integer DEFAULT 7", "SELECT * FROM crm.t WHERE n = 2", "2"),
    ];
    let gateway = Gateway::start([database.datasource("crm")]);
    let psql = gateway.psql();
    for (columns, rows, change, question, answer) in cases {
        database.script(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({columns}); INSERT INTO t VALUES {rows}"));
        psql.script("CALL causeway.refresh_catalog('crm')");
        assert!(!psql.rows("SELECT n FROM crm.t WHERE n IS NOT NULL ORDER BY n").is_empty());
        database.script(change);
        assert_eq!(psql.rows(question).join(" "), answer, "{question} after {change}");
    }
}

#[test]
fn numbers_that_became_text_in_mariadb_and_sqlite_are_followed() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("recomputed");
    database.script("CREATE TABLE t (id integer, n integer); INSERT INTO t VALUES (1, 9), (2, 10)");
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("lite.db");
    write_sqlite(&path, "CREATE TABLE t (id integer, n integer); INSERT INTO t VALUES (1, 9), (2, 10)");
    let gateway = Gateway::start([database.datasource("shop"), Datasource::sqlite("lite", &path)]);
    let psql = gateway.psql();
    for schema in ["shop", "lite"] {
        assert_eq!(psql.rows(&format!("SELECT max(n) FROM {schema}.t")), ["10"]);
    }
    database.script("ALTER TABLE t MODIFY n varchar(9) CHARACTER SET utf8mb4");
    write_sqlite(&path, "DROP TABLE t; CREATE TABLE t (id integer, n text COLLATE NOCASE); INSERT INTO t VALUES (1, '9'), (2, '10')");
    for schema in ["shop", "lite"] {
        assert_eq!(psql.rows(&format!("SELECT max(n) FROM {schema}.t")), ["9"], "{schema}: texts by their bytes");
    }
}
