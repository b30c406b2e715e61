//! Plans that are kept for whoever asks the same: they spare planning and change no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::support::{Gateway, code, kinds};
use crate::pg::EnvironmentBackend as _;

fn rows(name: &str, values: impl IntoIterator<Item = i64>) -> RecordBatch {
    RecordBatch::try_from_iter([(name, Arc::new(Int64Array::from_iter_values(values)) as _)]).unwrap()
}

/// The first value of the only row.
fn value(answer: &[(char, Vec<u8>)]) -> String {
    assert_eq!(kinds(answer), "TDCZ", "{:?}", code(answer));
    // A number of columns, then a length and the text.
    String::from_utf8(answer[1].1[6..].to_vec()).unwrap()
}

/// A table of one row, published as `kept`.
fn published(gateway: &Gateway) -> Arc<dyn TableProvider> {
    let batch = rows("n", [7]);
    let table: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap());
    gateway.environment.publish("kept", Arc::clone(&table));
    table
}

/// A table that counts how often an optimiser asks it what it filters.
#[derive(Debug)]
struct Asked {
    table: MemTable,
    times: AtomicUsize,
}

#[async_trait]
impl TableProvider for Asked {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.times.fetch_add(1, Ordering::Relaxed);
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.table.scan(state, projection, filters, limit).await
    }
}

fn counts(gateway: &Gateway) -> (u64, u64) {
    let counts = gateway.environment.statement_cache().counts();
    (counts.hits, counts.misses)
}

#[tokio::test]
async fn a_plan_is_any_session_s() {
    let gateway = Gateway::start().await;
    let table = published(&gateway);
    let free = Arc::strong_count(&table);
    let (hits, misses) = counts(&gateway);
    for _ in 0..3 {
        assert_eq!(value(&gateway.raw().await.query("select n from kept").await), "7");
    }
    assert_eq!(counts(&gateway), (hits + 2, misses + 1));
    assert!(Arc::strong_count(&table) > free, "the plan is kept");
    let client = gateway.connect().await;
    assert_eq!(client.query_one("select n from kept", &[]).await.unwrap().get::<_, i64>(0), 7);
    assert_eq!(counts(&gateway), (hits + 3, misses + 1), "prepared statements take it too");
    // Plans over what is gone are let go by the next statement.
    gateway.environment.publish_rows("other", rows("n", [1]));
    gateway.environment.publish_rows("kept", rows("n", [8]));
    drop(client);
    assert_eq!(value(&gateway.raw().await.query("select n from kept").await), "8");
    assert_eq!(counts(&gateway), (hits + 3, misses + 2));
}

#[tokio::test]
async fn what_knows_its_session_is_planned_for_each() {
    let gateway = Gateway::start().await;
    let (hits, misses) = counts(&gateway);
    for _ in 0..2 {
        let mut raw = gateway.raw().await;
        for _ in 0..2 {
            raw.query("select pg_notify('channel', n::text) from numbers where n = 1").await;
        }
    }
    assert_eq!(counts(&gateway), (hits, misses + 4), "none was found");
}

/// A plan grows with its statement.
#[tokio::test]
async fn plans_of_long_statements_are_not_kept() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let table = published(&gateway);
    let free = Arc::strong_count(&table);
    let list = |values: i64| (1..=values).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let long = format!("select n from kept where n in ({})", list(1000));
    assert!(long.len() > 4096);
    assert_eq!(value(&raw.query(&long).await), "7");
    assert_eq!(Arc::strong_count(&table), free, "the plan of a long statement is not kept");
    // The texts of other statements that came along do not count.
    let short = format!("select n from kept where n in ({})", list(500));
    raw.query(&format!("{long}; {short}")).await;
    assert!(Arc::strong_count(&table) > free, "the plan of a short one is");
}

#[tokio::test]
async fn a_plan_is_not_taken_over_other_tables() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    gateway.environment.publish_rows("changing", rows("n", [1]));
    assert_eq!(value(&raw.query("select * from changing").await), "1");
    assert_eq!(value(&raw.query("select * from changing").await), "1");
    gateway.environment.publish_rows("changing", rows("other", [2]));
    let answer = raw.query("select * from changing").await;
    assert_eq!(value(&answer), "2");
    assert!(answer[0].1.windows(6).any(|window| window == b"other\0"), "the description is the new one");
}

#[tokio::test]
async fn a_plan_is_not_taken_under_other_settings() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let count = "select count(*) from numbers";
    assert_eq!(value(&raw.query(count).await), "10");
    raw.query("set search_path = elsewhere").await;
    assert_eq!(code(&raw.query(count).await).as_deref(), Some("42P01"));
    raw.query("reset search_path").await;
    assert_eq!(value(&raw.query(count).await), "10");
    raw.query("begin; set local search_path = elsewhere").await;
    assert_eq!(code(&raw.query(count).await).as_deref(), Some("42P01"));
    raw.query("rollback").await;
    assert_eq!(value(&raw.query(count).await), "10");
}

#[tokio::test]
async fn what_depends_on_the_moment_is_computed_anew() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for sql in ["select now() from numbers where n = 1", "select random() from numbers where n = 1"] {
        let before = value(&raw.query(sql).await);
        assert_ne!(before, value(&raw.query(sql).await), "{sql}");
    }
}

/// Other literals and other declared types are other statements.
#[tokio::test]
async fn a_plan_is_not_taken_for_another_statement() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for n in ["1", "2", "1"] {
        assert_eq!(value(&raw.query(&format!("select n from numbers where n = {n}")).await), n);
    }
    let client = gateway.connect().await;
    for _ in 0..2 {
        let whole = client.prepare_typed("select $1 from numbers where n = 1", &[tokio_postgres::types::Type::INT8]).await.unwrap();
        let text = client.prepare_typed("select $1 from numbers where n = 1", &[tokio_postgres::types::Type::TEXT]).await.unwrap();
        assert_eq!(client.query_one(&whole, &[&5_i64]).await.unwrap().get::<_, i64>(0), 5);
        assert_eq!(client.query_one(&text, &[&"5"]).await.unwrap().get::<_, String>(0), "5");
    }
}

/// What is the same each time is optimised once, by whichever session; what has the moment, chance or a parameter in it each time.
#[tokio::test]
async fn a_plan_is_optimised_anew_where_it_may_become_another() {
    let gateway = Gateway::start().await;
    let batch = rows("n", [7]);
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let table = Arc::new(Asked { table, times: AtomicUsize::new(0) });
    gateway.environment.publish("asked", Arc::clone(&table) as _);
    let times = || table.times.load(Ordering::Relaxed);
    for (sql, each_time) in [
        ("select n from asked where n < 100", false),
        ("select n from asked where n < 100 and random() < 2", true),
        ("select n from asked where n < 100 and now() > timestamp '2020-01-01'", true),
    ] {
        gateway.raw().await.query(sql).await;
        let first = times();
        assert_eq!(value(&gateway.raw().await.query(sql).await), "7");
        assert_eq!(times() > first, each_time, "{sql}");
    }
    let client = gateway.connect().await;
    let prepared = client.prepare("select n from asked where n < $1").await.unwrap();
    for (most, found) in [(100_i64, 1), (7, 0), (100, 1)] {
        assert_eq!(client.query(&prepared, &[&most]).await.unwrap().len(), found);
    }
}
