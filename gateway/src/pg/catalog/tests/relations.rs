//! System relations and the drivers that read them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_catalog::CatalogSnapshot;
use causeway_planner::ALWAYS_EMPTY;
use causeway_providers::{RemoteTable, TableKind};
use datafusion::arrow::datatypes::DataType;

use super::database::{column, schema, table};
use super::{Client, statements};
use crate::pg::catalog::relations::{SystemKind, SystemSchema, system_relation, system_relations};
use crate::pg::catalog::{Database, OidRegistry, PgCatalog};

fn corpus(text: &'static str, name: &str) -> &'static str {
    statements(text).into_iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no statement {name}")).1
}

#[tokio::test]
async fn every_relation_can_be_read() {
    let client = Client::new();
    for relation in system_relations() {
        let sql = format!("SELECT * FROM {}.{}", relation.schema.name(), relation.name);
        for row in client.ask(&sql).await {
            assert_eq!(row.len(), relation.columns.len(), "{sql}");
        }
    }
}

#[tokio::test]
async fn columns_that_may_not_be_null_are_not() {
    let client = Client::new();
    for relation in system_relations().iter().filter(|r| r.kind == SystemKind::Table) {
        let rows = client.ask(&format!("SELECT * FROM {}.{}", relation.schema.name(), relation.name)).await;
        for (index, column) in relation.columns.iter().enumerate().filter(|(_, c)| c.not_null) {
            assert!(rows.iter().all(|row| row[index] != "∅"), "{}.{}", relation.name, column.name);
        }
    }
}

/// The planner leaves out parts of queries over these.
#[tokio::test]
async fn relations_the_planner_takes_for_empty_are() {
    let client = Client::new();
    for name in ALWAYS_EMPTY {
        assert!(system_relation(SystemSchema::PgCatalog, name).is_some(), "{name}");
        assert_eq!(client.value(&format!("SELECT count(*) FROM pg_catalog.{name}")).await, "0", "{name}");
    }
    assert_eq!(client.lines("SELECT DISTINCT contype FROM pg_constraint ORDER BY 1").await, ["p", "u"]);
}

#[tokio::test]
async fn oids_agree_across_relations() {
    let client = Client::new();
    let dangling = [
        "SELECT a.attname FROM pg_attribute a LEFT JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid IS NULL",
        "SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.oid IS NULL",
        "SELECT a.attname FROM pg_attribute a LEFT JOIN pg_type t ON t.oid = a.atttypid WHERE t.oid IS NULL",
        "SELECT indrelid FROM pg_index i LEFT JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' WHERE c.oid IS NULL",
        "SELECT conname FROM pg_constraint k LEFT JOIN pg_class c ON c.oid = k.conrelid WHERE c.oid IS NULL",
        "SELECT ftrelid FROM pg_foreign_table f LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE s.oid IS NULL",
        "SELECT srvname FROM pg_foreign_server s LEFT JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE w.oid IS NULL",
        "SELECT relname FROM pg_class GROUP BY relname, relnamespace HAVING count(*) > 1",
        "SELECT oid FROM pg_class GROUP BY oid HAVING count(*) > 1",
    ];
    for sql in dangling {
        assert_eq!(client.lines(sql).await, [""; 0], "{sql}");
    }
    let counts = client
        .lines(
            "SELECT c.relnatts - count(a.attnum) FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid GROUP BY c.oid, c.relnatts",
        )
        .await;
    assert!(counts.iter().all(|difference| difference == "0"));
}

#[tokio::test]
async fn information_schema_describes_columns() {
    let client = Client::new();
    let sql = "SELECT column_name, ordinal_position, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, udt_name \
               FROM information_schema.columns WHERE table_schema = 'crm' AND table_name IN ('customers', 'orders') ORDER BY table_name, 2";
    assert_eq!(
        client.lines(sql).await,
        [
            "id|1|NO|integer|∅|32|0|int4",
            "name|2|NO|character varying|20|∅|∅|varchar",
            "email|3|YES|text|∅|∅|∅|text",
            "ref|4|YES|uuid|∅|∅|∅|uuid",
            "number|1|NO|bigint|∅|64|0|int8",
            "customer_id|2|NO|integer|∅|32|0|int4",
            "total|3|YES|numeric|∅|12|2|numeric",
            "placed|4|YES|timestamp with time zone|∅|∅|∅|timestamptz",
            "tags|5|YES|ARRAY|∅|∅|∅|_text",
        ]
    );
    let tables = client.lines("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'crm' ORDER BY 1").await;
    assert_eq!(tables, ["Odd \"Name\"|BASE TABLE", "big|VIEW", "customers|BASE TABLE", "log|BASE TABLE", "orders|BASE TABLE"]);
    let keys = "SELECT constraint_name, column_name, ordinal_position FROM information_schema.key_column_usage WHERE table_name = 'orders' ORDER BY 3";
    assert_eq!(client.lines(keys).await, ["orders_pkey|customer_id|1", "orders_pkey|number|2"]);
    let schemata = client.lines("SELECT schema_name FROM information_schema.schemata WHERE schema_owner <> 'nobody' ORDER BY 1").await;
    assert_eq!(schemata, ["causeway", "crm", "information_schema", "pg_catalog", "public", "shop"]);
}

#[tokio::test]
async fn the_jdbc_driver_finds_tables_columns_and_keys() {
    let client = Client::new();
    let jdbc = include_str!("jdbc.sql");
    let tables = client.ask(corpus(jdbc, "getTables")).await;
    let found: Vec<String> = tables.iter().map(|row| row[1..5].join("|")).collect();
    assert_eq!(
        found,
        ["crm|Odd \"Name\"|TABLE|∅", "crm|customers|TABLE|who buys", "crm|log|TABLE|∅", "crm|orders|TABLE|∅", "crm|big|VIEW|∅",]
    );
    let columns = client.ask(corpus(jdbc, "getColumns")).await;
    let found: Vec<String> =
        columns.iter().map(|row| [&row[2], &row[3], &row[4], &row[8], &row[12]].map(String::as_str).join("|")).collect();
    assert_eq!(found, ["id|23|true|1|∅", "name|1043|true|2|as on the invoice", "email|25|false|3|∅", "ref|2950|false|4|∅"]);
    assert_eq!(client.lines(corpus(jdbc, "getPrimaryKeys")).await, ["∅|crm|customers|id|1|customers_pkey"]);
    let two = corpus(jdbc, "getPrimaryKeys").replace("'customers'", "'orders'");
    assert_eq!(client.lines(&two).await, ["∅|crm|orders|customer_id|1|orders_pkey", "∅|crm|orders|number|2|orders_pkey"]);
    let foreign = statements(jdbc).into_iter().find(|(_, sql)| sql.contains("con.contype = 'f'")).unwrap().1;
    assert_eq!(client.lines(foreign).await, [""; 0]);
    let indexes: Vec<String> = client
        .ask(corpus(jdbc, "getIndexInfo"))
        .await
        .iter()
        .map(|row| [&row[3], &row[5], &row[7], &row[8], &row[9]].map(String::as_str).join("|"))
        .collect();
    assert_eq!(indexes, ["false|customers_email_key|1|email|A", "false|customers_pkey|1|id|A"]);
}

#[tokio::test]
async fn sqlalchemy_reflects_a_table() {
    let client = Client::new();
    let reflected = include_str!("sqlalchemy.sql");
    assert_eq!(client.lines(corpus(reflected, "get_schema_names")).await, ["causeway", "crm", "information_schema", "public", "shop"]);
    let columns = client.ask(corpus(reflected, "get_columns")).await;
    let found: Vec<String> = columns.iter().map(|row| row[..4].join("|")).collect();
    assert_eq!(
        found,
        [
            "number|bigint|∅|true",
            "customer_id|integer|∅|true",
            "total|numeric(12,2)|∅|false",
            "placed|timestamp with time zone|∅|false",
            "tags|text[]|∅|false",
        ]
    );
    let keys = statements(reflected).into_iter().filter(|(name, _)| *name == "get_pk_constraint").nth(1).unwrap().1;
    let keys: Vec<String> = client.ask(keys).await.iter().map(|row| row[1..3].join("|")).collect();
    assert_eq!(keys, ["[customer_id, number]|orders_pkey"]);
}

#[tokio::test]
async fn live_relations_show_the_session() {
    let client = Client::new();
    let activity = client.lines("SELECT pid, datname, usename, client_addr, client_port, state, query FROM pg_stat_activity").await;
    assert_eq!(activity, ["4711|default|ana|127.0.0.1|50000|active|SELECT ?"]);
    let changed = client.lines("SELECT name, setting, boot_val, source FROM pg_settings WHERE source <> 'default'").await;
    assert_eq!(changed, ["TimeZone|Europe/Paris|UTC|session"]);
    assert_eq!(client.lines("SELECT name, statement, parameter_types FROM pg_prepared_statements").await, ["s1|SELECT $1|[25]"]);
}

#[tokio::test]
async fn oids_outlive_a_snapshot() {
    let oids = Arc::new(OidRegistry::default());
    let published = |tables: Vec<RemoteTable>| Database {
        name: "default".to_owned(),
        snapshot: Arc::new(CatalogSnapshot { version: 1, schemas: [schema("crm", tables)].into(), ..CatalogSnapshot::default() }),
        ..Database::default()
    };
    let named = |name: &str| table(name, TableKind::Table, vec![column("id", "integer", DataType::Int32, false)]);
    let before = PgCatalog::new(published(vec![named("b")]), Arc::clone(&oids));
    let after = PgCatalog::new(published(vec![named("a"), named("b"), named("c")]), oids);
    let oid = |catalog: &PgCatalog| catalog.model().by_name("crm", "b").unwrap().oid();
    assert_eq!(oid(&before), oid(&after));
}

#[tokio::test]
async fn ten_thousand_tables_are_described_once() {
    let columns = || (0..20).map(|i| column(&format!("column_{i}"), "text", DataType::Utf8, true)).collect();
    let tables = (0..10_000).map(|i| table(&format!("table_{i:05}"), TableKind::Table, columns())).collect();
    let snapshot = CatalogSnapshot { version: 1, schemas: [schema("wide", tables)].into(), ..CatalogSnapshot::default() };
    let database = Database { name: "default".to_owned(), snapshot: Arc::new(snapshot), ..Database::default() };
    let catalog = PgCatalog::new(database, Arc::new(OidRegistry::default()));
    let attribute = system_relation(SystemSchema::PgCatalog, "pg_attribute").unwrap();
    let first = Instant::now();
    let rows: usize = catalog.rows(attribute).unwrap().iter().map(|b| b.num_rows()).sum();
    let first = first.elapsed();
    assert!(rows > 200_000);
    // A bound for unoptimised code on a busy machine.
    assert!(first < Duration::from_secs(60), "{first:?}");
    let again = Instant::now();
    let same = catalog.rows(attribute).unwrap();
    assert!(again.elapsed() < first, "the rows were built again");
    assert_eq!(same.iter().map(|b| b.num_rows()).sum::<usize>(), rows);
}
