//! What somebody sees who knows PostgreSQL and types at `psql`.

use causeway_tests::{FourSources, Gateway, PostgresServer};

#[test]
fn backslash_commands_answer() {
    let Some(sources) = FourSources::start("psql") else { return };
    let psql = sources.gateway.psql();
    let shown = |command: &str| {
        let output = psql.commands(&[command]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{command}");
        output.stdout
    };
    let says = |command: &str, words: &[&str]| {
        let shown = shown(command);
        for word in words {
            assert!(shown.contains(word), "{command} does not show {word}:\n{shown}");
        }
    };
    says("\\l", &["default"]);
    says("\\dn", &["crm", "shop", "desk", "lake"]);
    says("\\dt *.*", &["crm", "customers", "shop", "orders", "desk", "notes", "lake", "lineitems"]);
    says("\\dt crm.*", &["customers", "cities"]);
    assert!(!shown("\\dt crm.*").contains("orders"));
    says("\\d crm.customers", &["id", "integer", "name", "text", "balance", "numeric(12,2)", "joined", "date", "vip", "boolean"]);
    says("\\d shop.orders", &["bigint", "smallint", "double precision", "timestamp"]);
    says("\\d lake.lineitems", &["order_id", "bigint", "sku", "text"]);
    says("\\conninfo", &["default", "tester"]);
    shown("\\dt");
    shown("\\df");
    shown("\\du");
    shown("\\dv");
    let nothing = psql.commands(&["\\d crm.nothing"]);
    assert!(nothing.stderr.contains("Did not find any relation"), "{}", nothing.stderr);
}

#[test]
fn errors_carry_their_sqlstate() {
    let Some(sources) = FourSources::start("psql_errors") else { return };
    let psql = sources.gateway.psql();
    let cases = [
        ("SELEKT 1", "42601"),
        ("SELECT * FROM crm.nothing", "42P01"),
        ("SELECT nothing FROM crm.customers", "42703"),
        ("SELECT nothing(1)", "42883"),
        ("SELECT id FROM crm.customers c JOIN shop.orders o ON true", "42702"),
        ("SELECT 1 / (id - id) FROM crm.customers", "22012"),
        ("SELECT CAST('x' AS int)", "22P02"),
        ("SELECT CAST(name AS int) FROM crm.customers", "22P02"),
        ("SET no_such_setting = 1", "42704"),
        ("INSERT INTO crm.customers (id) VALUES (1)", "25006"),
    ];
    let mut wrong = Vec::new();
    for (sql, code) in cases {
        let output = psql.commands(&["\\set VERBOSITY verbose", sql]);
        if !output.stderr.contains(&format!("ERROR:  {code}: ")) {
            wrong.push(format!("{sql}: expected {code}, got {}", output.stderr.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn transactions_behave() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("psql_transactions");
    database.script("CREATE TABLE t (a int); INSERT INTO t VALUES (1);");
    let gateway = Gateway::start([database.datasource("pg")]);
    let psql = gateway.psql();
    let output = psql.commands(&["BEGIN", "SELECT a FROM pg.t", "SELECT nothing", "SELECT a FROM pg.t", "COMMIT", "SELECT a FROM pg.t"]);
    let tags: Vec<_> = output.stdout.lines().filter(|line| ["BEGIN", "COMMIT", "ROLLBACK"].contains(line)).collect();
    assert_eq!(tags, ["BEGIN", "ROLLBACK"], "{}", output.stdout);
    assert_eq!(output.stdout.matches("(1 row)").count(), 2, "{}", output.stdout);
    assert!(output.stderr.contains("current transaction is aborted"), "{}", output.stderr);
    let output = psql.commands(&["COMMIT"]);
    assert!(output.stderr.contains("WARNING:  there is no transaction in progress"), "{}", output.stderr);
}

#[test]
fn explain_shows_remote_sql_and_reasons() {
    let Some(sources) = FourSources::start("psql_explain") else { return };
    let psql = sources.gateway.psql();
    let pushed = psql.rows("EXPLAIN SELECT count(*) FROM crm.customers WHERE balance > 10").join("\n");
    assert!(pushed.contains("crm") && pushed.contains("balance") && pushed.to_lowercase().contains("count("), "{pushed}");
    let kept = psql.rows("EXPLAIN SELECT id FROM crm.customers WHERE city > 'M'").join("\n");
    assert!(kept.contains("collation") || kept.contains("COLLATE"), "why a range over ICU texts stays, or how it goes:\n{kept}");
}

#[test]
fn the_catalog_is_refreshed_on_demand() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("psql_refresh");
    database.script("CREATE TABLE t (a int);");
    let gateway = Gateway::start([database.datasource("crm")]);
    let psql = gateway.psql();
    let tables = "SELECT count(*) FROM causeway.foreign_tables WHERE datasource = 'crm'";
    assert_eq!(psql.rows(tables), ["1"]);
    database.script("CREATE TABLE later (b text); INSERT INTO later VALUES ('seen');");
    assert_eq!(psql.commands(&["SELECT * FROM crm.later"]).code, 1);
    psql.commands(&["CALL causeway.refresh_catalog('crm')"]).expect_success();
    assert_eq!(psql.rows(tables), ["2"]);
    assert_eq!(psql.rows("SELECT b FROM crm.later"), ["seen"]);
    assert_eq!(psql.commands(&["CALL causeway.refresh_catalog('nobody')"]).code, 1);
}
