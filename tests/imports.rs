//! Tables imported while the gateway runs: published under a contract, kept over a restart, told by events and the doorbell.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use causeway_tests::{Datasource, Gateway, PostgresServer, eventually, write_sqlite};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_schema_is_imported_looked_at_and_dropped() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("imported");
    database.script(
        "CREATE TABLE cust (id integer PRIMARY KEY, name text, doc xml); COMMENT ON TABLE cust IS 'who buys'; \
         CREATE TABLE orders (id integer PRIMARY KEY, cust integer); CREATE TABLE scratch (x integer); \
         INSERT INTO cust VALUES (1, 'Ada', '<a/>'), (2, 'Alan', NULL)",
    );
    let gateway = Gateway::start([database.datasource("crm")]);
    let psql = gateway.psql();

    let planned = psql.rows("IMPORT FOREIGN SCHEMA public EXCEPT (scratch) FROM SERVER crm INTO sales OPTIONS (dry_run 'true')");
    assert_eq!(planned.len(), 2, "{planned:?}");
    assert!(planned[0].starts_with("public.cust|sales.cust|import|"), "{planned:?}");
    assert!(psql.rows("SELECT 1 FROM causeway.foreign_tables WHERE imported").is_empty(), "a dry run writes nothing");

    psql.script("IMPORT FOREIGN SCHEMA public LIMIT TO (cust, orders) FROM SERVER crm INTO sales OPTIONS (rename 'cust=customers')");
    assert_eq!(psql.rows("SELECT id, name FROM sales.customers ORDER BY id"), ["1|Ada", "2|Alan"]);
    let oid = psql.rows("SELECT 'sales.customers'::regclass::oid");
    assert_eq!(psql.rows("SELECT obj_description('sales.customers'::regclass, 'pg_class')"), ["who buys"]);
    let described = psql.commands(&["\\dt sales.*"]).expect_success();
    assert!(described.contains("customers") && described.contains("orders"), "{described}");

    let refused = psql.commands(&["IMPORT FOREIGN SCHEMA public LIMIT TO (absent) FROM SERVER crm INTO sales"]);
    assert!(refused.stderr.contains("the source has no table public.absent"), "{}", refused.stderr);
    let refused = psql.commands(&["IMPORT FOREIGN SCHEMA public LIMIT TO (scratch) FROM SERVER crm INTO crm"]);
    assert!(refused.stderr.contains("is the one of datasource"), "{}", refused.stderr);

    // A change breaks the contract: this table alone fails, and says what differs.
    database.script("ALTER TABLE cust RENAME COLUMN name TO full_name");
    let broken = psql.commands(&["\\set VERBOSITY verbose", "SELECT name FROM sales.customers"]);
    assert!(broken.stderr.contains("42P17") && broken.stderr.contains("column name is gone (expected text)"), "{}", broken.stderr);
    assert_eq!(psql.rows("SELECT count(*) FROM sales.orders"), ["0"]);
    let open = "SELECT kind, \"column\", published FROM causeway.drift WHERE datasource = 'crm' AND resolved_at IS NULL";
    assert_eq!(psql.rows(&format!("{open} AND severity = 'error'")), ["missing_column|name|sales.customers"]);
    let by = "SELECT DISTINCT actor FROM causeway.events WHERE subject = 'public.cust' AND type LIKE 'external.schema%'";
    assert_eq!(psql.rows(by), psql.rows("SELECT current_user"), "whose statement had it looked at");

    // A source that is mended mends the table with the next check.
    database.script("ALTER TABLE cust RENAME COLUMN full_name TO name");
    psql.script("CALL causeway.check_drift('crm')");
    assert_eq!(psql.rows("SELECT name FROM sales.customers WHERE id = 1"), ["Ada"]);
    assert_eq!(psql.rows(&format!("{open} AND published LIKE '%sales.%' LIMIT 1")), [""; 0]);
    database.script("ALTER TABLE cust RENAME COLUMN name TO full_name");

    // What was published is what is shown, until the change is accepted.
    let described = psql.commands(&["\\d sales.customers"]).expect_success();
    assert!(described.contains(" name ") && !described.contains("full_name"), "{described}");
    let planned = psql
        .rows("IMPORT FOREIGN SCHEMA public LIMIT TO (cust) FROM SERVER crm INTO sales OPTIONS (dry_run 'on', rename 'cust=customers')");
    assert!(planned[0].starts_with("public.cust|sales.customers|replace|accepts public.cust: column name is gone"), "{planned:?}");

    psql.script("IMPORT FOREIGN SCHEMA public LIMIT TO (cust) FROM SERVER crm INTO sales OPTIONS (rename 'cust=customers')");
    assert_eq!(psql.rows("SELECT full_name FROM sales.customers WHERE id = 1"), ["Ada"]);
    assert_eq!(psql.rows("SELECT 'sales.customers'::regclass::oid"), oid, "it is still the same table");

    psql.script("DROP FOREIGN TABLE sales.customers, sales.orders");
    assert!(psql.rows("SELECT 1 FROM causeway.foreign_tables WHERE imported").is_empty());
    let kinds = psql.rows("SELECT type, count(*) FROM causeway.events WHERE type LIKE 'external.table%' GROUP BY 1 ORDER BY 1");
    assert_eq!(kinds, ["external.table.dropped|2", "external.table.imported|3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doorbell_rings_for_whoever_listens() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    write_sqlite(&path, "CREATE TABLE t (id integer PRIMARY KEY)");
    let gateway = Gateway::start([Datasource::sqlite("crm", &path)]);
    let (client, mut bells) = gateway.connect_listening().await;
    client.batch_execute("LISTEN external_schema_drift; LISTEN causeway_events").await.unwrap();
    tokio::task::block_in_place(|| {
        write_sqlite(&path, "ALTER TABLE t ADD COLUMN x integer");
        gateway.psql().script("CALL causeway.check_drift('crm')");
    });
    let mut channels = Vec::new();
    while channels.len() < 2 {
        let bell = tokio::time::timeout(PATIENCE, bells.recv()).await.expect("it rings").expect("the session lives");
        channels.push(bell.channel().to_owned());
        let payload: serde_json::Value = serde_json::from_str(bell.payload()).unwrap();
        let sequence = payload["sequence"].as_i64().unwrap();
        let id: String = client.query_one("SELECT id FROM causeway.events WHERE seq = $1", &[&sequence]).await.unwrap().get(0);
        assert_eq!(payload["id"], id, "the bell says where to look");
    }
    channels.sort();
    assert_eq!(channels, ["causeway_events", "external_schema_drift"]);
}

#[test]
fn a_gateway_whose_sources_are_down_shows_what_it_knew() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("crm.db");
    write_sqlite(&path, "CREATE TABLE t (id integer PRIMARY KEY, name text)");
    let mut gateway = Gateway::start([Datasource::sqlite("crm", &path)]);
    let oid = gateway.psql().rows("SELECT 'crm.t'::regclass::oid");
    gateway.psql().script("IMPORT FOREIGN SCHEMA main FROM SERVER crm INTO sales");
    std::fs::rename(&path, files.path().join("away.db")).unwrap();
    gateway.restart();

    let psql = gateway.psql();
    assert_eq!(psql.rows("SELECT state, stale_since IS NOT NULL FROM causeway.datasources"), ["error|t"]);
    let tables = psql.commands(&["\\dt *.t"]).expect_success();
    assert!(tables.contains("crm") && tables.contains("sales"), "{tables}");
    assert_eq!(psql.rows("SELECT 'crm.t'::regclass::oid"), oid);
    for table in ["crm.t", "sales.t"] {
        let refused = psql.commands(&["\\set VERBOSITY verbose", &format!("SELECT * FROM {table}")]);
        assert!(refused.stderr.contains("HV00N"), "{table}: {}", refused.stderr);
    }
    std::fs::rename(files.path().join("away.db"), &path).unwrap();
    eventually("the datasource is back", PATIENCE, || (psql.rows("SELECT state FROM causeway.datasources") == ["running"]).then_some(()));
    assert_eq!(psql.rows("SELECT count(*) FROM sales.t"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_told_as_cancelled_does_not_happen_later() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("cancelled_changes");
    database.script("CREATE TABLE cust (id integer PRIMARY KEY); CREATE TABLE orders (id integer PRIMARY KEY)");
    let gateway = Gateway::start([database.datasource("crm")]);
    let psql = gateway.psql();
    psql.script("IMPORT FOREIGN SCHEMA public LIMIT TO (cust) FROM SERVER crm INTO sales");
    let told = psql.rows("SELECT count(*) FROM causeway.events WHERE type LIKE 'external.table%'");

    // Whoever lists the tables of this database waits for this one, and what comes after it for him.
    let locker = database.connect().await;
    locker.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let refreshing = std::thread::spawn({
        let psql = gateway.psql();
        move || psql.commands(&["CALL causeway.refresh_catalog('crm')"])
    });
    tokio::task::block_in_place(|| {
        let at_work = || psql.rows("SELECT 1 FROM causeway.pools WHERE in_use > 0") == ["1"];
        eventually("the refresh waits", PATIENCE, || at_work().then_some(()));
        let dropped = psql.commands(&["\\set VERBOSITY verbose", "SET statement_timeout = '300ms'", "DROP FOREIGN TABLE sales.cust"]);
        assert!(dropped.stderr.contains("57014"), "{}", dropped.stderr);

        let address = gateway.url().trim_start_matches("http://").to_owned();
        let body = "{\"schema\": \"gone\"}";
        let request = format!(
            "POST /api/v1/datasources/crm/external/tables/orders/import HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = TcpStream::connect(&address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(client.read(&mut [0]).is_err(), "it waits, too");
    });
    locker.batch_execute("ROLLBACK").await.unwrap();
    tokio::task::block_in_place(|| {
        assert_eq!(refreshing.join().unwrap().code, 0);
        // It comes after both.
        psql.script("IMPORT FOREIGN SCHEMA public LIMIT TO (orders) FROM SERVER crm INTO last");
        assert_eq!(psql.rows("SELECT schema, name FROM causeway.foreign_tables WHERE imported ORDER BY 1"), ["last|orders", "sales|cust"]);
        let now = psql.rows("SELECT count(*) - 1 FROM causeway.events WHERE type LIKE 'external.table%'");
        assert_eq!(now, told, "nothing tells of them");
    });
}
