//! A source that is down, or dies, harms nobody else and never gives a short result that looks complete.

use std::time::{Duration, Instant};

use causeway_tests::{Datasource, Gateway, PostgresServer, Protocol, eventually, text_rows, write_sqlite};
use futures::TryStreamExt;
use tokio_postgres::error::SqlState;

use crate::drip;

#[test]
fn a_source_down_at_boot_is_isolated_and_recovers() {
    let Some(server) = PostgresServer::dedicated() else { return };
    let database = server.database("down");
    database.script("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2), (3);");
    server.stop();
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);");

    let gateway = Gateway::start([database.datasource("crm"), Datasource::sqlite("desk", &path)]);
    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT a FROM desk.t"), ["7"]);
    let states = psql.rows("SELECT name, state, last_error IS NOT NULL FROM causeway.datasources ORDER BY name");
    assert_eq!(states, ["crm|error|t", "desk|running|f"]);
    let reason = psql.rows("SELECT last_error FROM causeway.datasources WHERE name = 'crm'").join("\n");
    assert!(reason.contains(&format!("127.0.0.1:{}", server.port())), "the reason says where: {reason}");
    assert!(!reason.contains(database.password()), "{reason}");

    for protocol in [Protocol::Simple, Protocol::ExtendedBinary] {
        let start = Instant::now();
        let received = gateway.discarding_client().run("SELECT a FROM crm.t", protocol).unwrap();
        let (code, text) = received.error.expect("a source that is down is an error");
        assert_eq!(code, "HV00N", "{text}");
        assert!(text.contains("crm"), "{text}");
        assert!(start.elapsed() < Duration::from_secs(1), "the refusal took {:?}", start.elapsed());
    }
    // Listing everything does not stumble over the one that is down.
    let listing = psql.commands(&["\\dt *.*", "\\dn", "\\l"]);
    assert_eq!(listing.code, 0, "{}", listing.stderr);
    assert!(listing.stdout.contains("desk"), "{}", listing.stdout);

    server.start();
    gateway.wait_for_state("crm", "running", Duration::from_secs(20));
    assert_eq!(psql.rows("SELECT count(*) FROM crm.t"), ["3"]);
    assert_eq!(psql.rows("SELECT last_error IS NULL FROM causeway.datasources WHERE name = 'crm'"), ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_killed_while_scanned_is_an_error_naming_it() {
    let Some(server) = PostgresServer::dedicated() else { return };
    let database = server.database("killed");
    drip::in_postgres(&database);
    database.script("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2), (3);");
    let gateway = Gateway::start([database.datasource("crm")]);
    let client = gateway.connect().await;

    let rows = client.simple_query_raw("SELECT id, payload FROM crm.drip").await.unwrap();
    let mut rows = std::pin::pin!(rows);
    let mut seen = 0;
    let error = loop {
        match rows.try_next().await {
            Ok(Some(tokio_postgres::SimpleQueryMessage::Row(_))) => {
                seen += 1;
                if seen == 20 {
                    tokio::task::block_in_place(|| server.kill());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => panic!("a source that died mid-way gave a result that looks complete, of {seen} rows"),
            Err(error) => break error,
        }
    };
    let error = error.as_db_error().expect("the gateway answers").clone();
    let text = [error.message(), error.detail().unwrap_or_default()].join(" ");
    assert!(text.contains("crm"), "{error:?}");
    assert!(error.code().code().starts_with("HV"), "{error:?}");
    assert_ne!(*error.code(), SqlState::INTERNAL_ERROR);

    tokio::task::block_in_place(|| server.start());
    assert_eq!(text_rows(&client, "SELECT count(*) FROM crm.t").await.unwrap(), [vec![Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_over_a_killed_source_is_an_error() {
    let Some(server) = PostgresServer::dedicated() else { return };
    let database = server.database("killed_sum");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("crm")]);
    let client = gateway.connect().await;
    text_rows(&client, "SET causeway.push_down = off").await.unwrap();
    let counting = tokio::spawn(async move { text_rows(&client, "SELECT count(*), max(id) FROM crm.drip").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    tokio::task::block_in_place(|| server.kill());
    let error = counting.await.unwrap().expect_err("half a table has no count");
    let error = error.as_db_error().expect("the gateway answers");
    assert!(error.code().code().starts_with("HV"), "{error:?}");
}

#[test]
fn a_source_with_no_connection_left_holds_up_nobody_else() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("exhausted");
    drip::in_postgres(&database);
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);");
    let slow = database.datasource("slow").external("pool", "{ max_connections: 2, connect_timeout: 1s }").external("query_timeout", "5s");
    let gateway = Gateway::start([slow, Datasource::sqlite("desk", &path)]);
    let mut clients: Vec<_> = (0..8).map(|_| gateway.discarding_client()).collect();
    for client in &mut clients {
        client.begin("SELECT id FROM slow.drip", Protocol::Simple).unwrap();
    }
    eventually("the source is busy", Duration::from_secs(5), || (database.running("drip") == 2).then_some(()));
    for _ in 0..10 {
        let start = Instant::now();
        let received = gateway.discarding_client().run("SELECT a FROM desk.t", Protocol::Simple).unwrap();
        assert_eq!((received.rows, received.error), (1, None));
        assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    }
    assert!(database.running("drip") <= 2, "the pool's bound holds");
    // One that waits for a connection in vain is told so when its own time is up, instead of hanging.
    let received = gateway.discarding_client().run("SELECT id FROM slow.drip", Protocol::Simple).unwrap();
    let (code, text) = received.error.expect("no connection is left");
    assert!(text.contains("slow") && !code.starts_with("XX"), "{code} {text}");
}

/// That all its connections are at work is no reason to call a source unavailable.
#[test]
fn a_busy_source_is_not_a_failed_one() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("busy");
    drip::in_postgres(&database);
    let slow = database.datasource("slow").external("pool", "{ max_connections: 2, connect_timeout: 1s }").external("query_timeout", "2m");
    let gateway = Gateway::start([slow]);
    let mut clients: Vec<_> = (0..2).map(|_| gateway.discarding_client()).collect();
    for client in &mut clients {
        client.begin("SELECT id FROM slow.drip", Protocol::Simple).unwrap();
    }
    // Longer than the source is left without a look at it.
    std::thread::sleep(Duration::from_secs(45));
    assert_eq!(gateway.psql().rows("SELECT state, last_error FROM causeway.datasources"), ["running|<null>"], "{}", gateway.log());
}

#[test]
fn a_table_that_is_left_out_says_why() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("left_out");
    database.script(
        "CREATE ROLE left_out_reader LOGIN PASSWORD 'reader'; CREATE TABLE open (id integer); CREATE TABLE closed (id integer); \
         CREATE SCHEMA mart; CREATE TABLE mart.secret (id integer); GRANT USAGE ON SCHEMA mart TO left_out_reader; \
         GRANT SELECT ON open TO left_out_reader",
    );
    let crm = Datasource::new("crm", "postgres")
        .option("host", "127.0.0.1")
        .option("port", &server.port().to_string())
        .option("database", database.name())
        .option("user", "left_out_reader")
        .credential("password", "reader")
        .external("validation", "{ on_mismatch: warn }")
        .section("tables:\n  - { name: renamed, remote: public.closed }");
    let compared = database.datasource("compared").schema_mode("validate_only");
    let gateway = Gateway::start([crm, compared]);
    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT count(*) FROM crm.open"), ["0"]);
    for (named, expected) in [
        ("crm.closed", "HINT:  public.closed of datasource \"crm\" is left out: "),
        ("crm.renamed", "HINT:  public.closed of datasource \"crm\" is left out: "),
        ("crm_mart.secret", "HINT:  mart.secret of datasource \"crm\" is left out: "),
        ("compared.open", "HINT:  Datasource \"compared\" publishes no tables, as its schema_mode is validate_only."),
    ] {
        let refused = psql.commands(&["\\set VERBOSITY verbose", &format!("SELECT * FROM {named}")]).stderr;
        assert!(refused.contains("42P01") && refused.contains(expected), "{named}: {refused}");
    }
    let told = psql.commands(&["SET search_path = crm", "SELECT * FROM closed"]).stderr;
    assert!(told.contains("SELECT * FROM causeway.omissions"), "{told}");
    let unknown = psql.commands(&["SELECT * FROM crm.nothing"]).stderr;
    assert!(unknown.contains("does not exist") && !unknown.contains("HINT"), "{unknown}");
}

#[test]
fn a_file_that_is_left_out_says_why() {
    let (mixed, alone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(mixed.path().join("good.csv"), "id\n1\n").unwrap();
    for folder in [&mixed, &alone] {
        std::fs::write(folder.path().join("bad.parquet"), "this is no Parquet").unwrap();
    }
    let gateway = Gateway::start([Datasource::files("mixed", mixed.path()), Datasource::files("alone", alone.path())]);
    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT id FROM mixed.good"), ["1"]);
    for datasource in ["mixed", "alone"] {
        let refused = psql.commands(&["\\set VERBOSITY verbose", &format!("SELECT * FROM {datasource}.bad")]).stderr;
        let hint = format!("HINT:  bad.parquet of datasource \"{datasource}\" is left out: ");
        assert!(refused.contains("42P01") && refused.contains(&hint) && refused.contains("causeway.omissions"), "{datasource}: {refused}");
    }
}
