//! What goes wrong at the source says so, as the right kind and without secrets or data.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::common::TableReference;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};

use super::server::{Database, PASSWORD, Server};
use super::{LIMITS, PATIENCE, PostgresRemote, assert_fails, column, look, open, options, ours, schema, start};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, VALUE_REFUSED};
use crate::options::Options;
use crate::pool::Access;
use crate::postgres::connect::Target;
use crate::postgres::failure::{self, Clock};
use crate::remote::{Remote, RemoteTable, Scope};

async fn refusal(options: &Options) -> Error {
    let error = PostgresRemote::open(options).await.unwrap_err();
    let shown = format!("{error} {error:?} {:?}", error.hint_text());
    assert!(!shown.contains(PASSWORD) && !shown.contains("wrong one"), "{shown}");
    assert!(error.hint_text().is_some(), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_says_where_and_why() {
    let Some(database) = Database::new("").await else { return };
    let port = database.server.port.to_string();
    let at = |user, password| options(&[("host", "127.0.0.1"), ("port", &port), ("database", &database.name), ("user", user)], password);

    let error = refusal(&at("postgres", Some("wrong one"))).await;
    assert_fails(&error, ErrorKind::Unauthorized, &format!("127.0.0.1:{port}/{} as user \"postgres\"", database.name));
    assert_eq!(error.remote_sqlstate(), Some("28P01"));
    assert_fails(&refusal(&at("postgres", None)).await, ErrorKind::Unauthorized, "asks for a password");
    assert_fails(&refusal(&at("nobody", Some(PASSWORD))).await, ErrorKind::Unauthorized, "nobody");

    let error = refusal(&database.options_with(&[("database", "no such database")])).await;
    assert_fails(&error, ErrorKind::NotFound, "no such database");
    assert_eq!(error.remote_sqlstate(), Some("3D000"));

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let error = refusal(&database.options_with(&[("port", &free)])).await;
    assert_fails(&error, ErrorKind::Unreachable, &format!("127.0.0.1:{free}/{} as user \"postgres\": connection refused", database.name));

    let error = refusal(&database.options_with(&[("host", "nowhere.invalid")])).await;
    assert_fails(&error, ErrorKind::Unreachable, "nowhere.invalid");

    let error = refusal(&database.options_with(&[("sslmode", "require")])).await;
    assert_fails(&error, ErrorKind::Unreachable, "the server has no TLS");
}

/// A name may stand for several addresses, of which the first is silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_address_leaves_time_for_the_next() {
    let Some(database) = Database::new("").await else { return };
    let silent = std::net::TcpListener::bind(("127.0.0.2", database.server.port)).unwrap();
    let options = database.options_with(&[("host", "127.0.0.1")]);
    let target = Target::new(&options, Access::Read).unwrap();
    let both = || vec![silent.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST.into()];
    let deadline = Deadline::after(Duration::from_secs(8));
    target.dial_first(both(), deadline).await.unwrap();
    assert!(!deadline.remaining().is_zero());

    // A server that refuses us has answered.
    let stranger = database.options_with(&[("host", "127.0.0.1"), ("user", "nobody")]);
    let stranger = Target::new(&stranger, Access::Read).unwrap();
    let nobody = [Ipv4Addr::LOCALHOST.into(), silent.local_addr().unwrap().ip()];
    let refused = stranger.dial_first(nobody.to_vec(), Deadline::after(PATIENCE)).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let mut options = options(&[("host", "127.0.0.1"), ("port", &port), ("database", "d"), ("user", "u")], None);
    options.pool.connect_timeout = Duration::from_millis(300);
    assert_fails(&refusal(&options).await, ErrorKind::Unreachable, "no answer within 300ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_statements_have_kinds_and_codes_and_no_values() {
    let sql = "CREATE TABLE t (v text); INSERT INTO t VALUES ('4111-1111');
        CREATE FUNCTION wrote() RETURNS text LANGUAGE sql AS 'INSERT INTO t VALUES (''4111'') RETURNING v'";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let cases = [
        ("SELECT v FROM gone", ErrorKind::NotFound, "42P01"),
        ("SELECT gone FROM t", ErrorKind::NotFound, "42703"),
        ("SELECT v FROM gone.t", ErrorKind::NotFound, "42P01"),
        ("SELECT v::integer::text FROM t", ErrorKind::Failed, "22P02"),
        ("SELECT (1 / (length(v) - 9))::text FROM t", ErrorKind::Failed, "22012"),
        ("SELECT wrote()", ErrorKind::Failed, "25006"),
    ];
    for (sql, kind, code) in cases {
        let error = column(&remote, sql, DataType::Utf8).await.unwrap_err();
        let error = ours(&error);
        assert_fails(error, kind, "");
        assert_eq!(error.remote_sqlstate(), Some(code), "{sql}: {error}");
        assert!(!format!("{error} {error:?}").contains("4111"), "{error:?}");
    }
    // The connections those left behind are of no harm.
    assert_eq!(column(&remote, "SELECT 3", DataType::Int32).await.unwrap().as_primitive::<Int32Type>().value(0), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_privilege_is_unauthorized() {
    let sql = "CREATE TABLE secret (v text); DROP ROLE IF EXISTS pauper; CREATE ROLE pauper LOGIN PASSWORD 'correct horse'";
    let Some(database) = Database::new(sql).await else { return };
    let remote = PostgresRemote::open(&database.options_with(&[("user", "pauper")])).await.unwrap();
    let error = column(&remote, "SELECT v FROM secret", DataType::Utf8).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Unauthorized, "permission denied");
    assert_eq!(ours(&error).remote_sqlstate(), Some("42501"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sources_own_time_limit_is_ours() {
    let Some(database) = Database::new("").await else { return };
    let admin = database.admin().await;
    admin.batch_execute("SET statement_timeout = '50ms'").await.unwrap();
    let limit = Duration::from_secs(30);
    let over = admin.batch_execute("SELECT pg_sleep(60)").await.unwrap_err();
    let error = failure::running(over, Some(Clock { limit, elapsed: limit })).at("crm");
    assert_fails(&error, ErrorKind::Timeout, "query_timeout of 30s exceeded");
    assert_eq!(error.remote_sqlstate(), Some("57014"));
    let early = admin.batch_execute("SELECT pg_sleep(60)").await.unwrap_err();
    let error = failure::running(early, Some(Clock { limit, elapsed: Duration::from_secs(1) })).at("crm");
    assert_fails(&error, ErrorKind::Cancelled, "cancelled at the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_never_shortens_a_result() {
    let Some(server) = Server::start("") else { return };
    let server = Arc::new(server);
    let Some(database) = Database::on(Arc::clone(&server), "", "").await else { return };
    let remote = open(&database).await;
    let sql = "SELECT generate_series(1, 1000000000)::text || repeat('x', 500)";
    for mode in ["immediate", "fast"] {
        let mut rows = start(&remote, sql, &schema(&[("v", DataType::Utf8)]), LIMITS);
        rows.next().await.unwrap().unwrap();
        let stopping = tokio::task::spawn_blocking({
            let server = Arc::clone(&server);
            move || server.down(mode)
        });
        let error = tokio::time::timeout(PATIENCE, rows.try_collect::<Vec<_>>()).await.unwrap().unwrap_err();
        assert_fails(ours(&error), ErrorKind::Unreachable, "lost the connection while reading");
        stopping.await.unwrap();

        let error = remote.ping(Deadline::after(PATIENCE)).await.unwrap_err();
        assert_fails(&error, ErrorKind::Unreachable, "");
        server.up();
        // What is pooled is dead, and nobody notices.
        assert_eq!(column(&remote, "SELECT 3", DataType::Int32).await.unwrap().as_primitive::<Int32Type>().value(0), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_connection_is_replaced_unseen() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    column(&remote, "SELECT 1", DataType::Int32).await.unwrap();
    let admin = database.admin().await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway/crm' AND datname = $1";
    admin.query(kill, &[&database.name]).await.unwrap();
    assert_eq!(column(&remote, "SELECT 2", DataType::Int32).await.unwrap().as_primitive::<Int32Type>().value(0), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_has_a_deadline() {
    let Some(database) = Database::new("CREATE TABLE t (v text)").await else { return };
    let remote = open(&database).await;
    let admin = database.admin().await;
    admin.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_index IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = remote.introspect(&Scope::default(), Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_fails(&error, ErrorKind::Timeout, "reading the catalog took longer than 500ms");
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(remote.introspect(&Scope::default(), Deadline::after(PATIENCE)).await.unwrap().tables.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_refused_names_its_table() {
    let Some(database) = Database::new(
        "CREATE SCHEMA mart;
         CREATE TABLE mart.prices (id integer, price numeric);
         INSERT INTO mart.prices VALUES (1, 'NaN'), (2, 1);
         CREATE VIEW mart.odd AS SELECT 1 AS id, time '24:00' AS until;
         CREATE TABLE mart.large AS SELECT i AS id, CASE i WHEN 70000 THEN 'NaN' ELSE i::numeric END AS price, repeat('x', 500) AS more
         FROM generate_series(1, 100000) i; ANALYZE",
    )
    .await
    else {
        return;
    };
    let remote = open(&database).await;
    let tables = look(&remote, &[]).await.tables;
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    for table in &tables {
        context.register_table(TableReference::bare(&*table.name), Arc::clone(&remote).table(table).unwrap()).unwrap();
    }
    for (sql, told) in [
        ("SELECT price AS p, id FROM prices", "table \"mart.prices\": column \"price\" holds the numeric NaN"),
        ("SELECT until FROM odd", "table \"mart.odd\": column \"until\" holds the time 24:00:00"),
        ("SELECT more, price FROM large", "table \"mart.large\": column \"price\" holds the numeric NaN"),
    ] {
        let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
        assert_fails(ours(&error), ErrorKind::Invalid, told);
        assert_eq!(ours(&error).code_text(), Some(VALUE_REFUSED));
    }
    let plan = context.sql("SELECT more, price FROM large").await.unwrap().create_physical_plan().await.unwrap();
    assert!(plan.properties().partitioning.partition_count() > 1, "the last one is read in parts");
    // What is computed is of no table.
    let computed = column(&remote, "SELECT price + 1 FROM mart.prices", prices_type(&tables)).await.unwrap_err();
    assert_fails(ours(&computed), ErrorKind::Invalid, "column \"v\" holds");
    assert!(ours(&computed).message().starts_with("column"), "{computed}");
}

fn prices_type(tables: &[RemoteTable]) -> DataType {
    tables.iter().find(|table| table.name == "prices").unwrap().columns[1].data_type.clone()
}
