//! What is computed once, and how that ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use futures::{StreamExt, TryStreamExt};

use super::kept_rows::KeptRows;
use crate::progress::Progress;
use crate::tests::support::world;

/// Both sides of a join, over a table of a source that computes a named query each time.
const TWICE: &str = "WITH q AS (SELECT sku, sum(qty) AS n FROM shop.items GROUP BY sku) SELECT a.sku, b.n FROM q a JOIN q b ON a.n = b.n";

#[tokio::test]
async fn rows_that_find_no_memory_are_kept_on_disk() {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let batches: Vec<RecordBatch> = (0..10)
        .map(|at| {
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values(at * 1000..(at + 1) * 1000))]).unwrap()
        })
        .collect();
    for memory in [0, 20_000, 1 << 20] {
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(memory))).build().unwrap();
        let context = TaskContext::default().with_runtime(Arc::new(runtime));
        let spilled = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let rows = Box::pin(MemoryStream::try_new(batches.clone(), Arc::clone(&schema), None).unwrap());
        let kept = Arc::new(KeptRows::of(rows, &context, spilled.clone()).await.unwrap());
        assert_eq!(spilled.spilled_rows.value() > 0, memory < 1 << 20, "{memory}");
        for _ in 0..2 {
            let read: Vec<RecordBatch> = Arc::clone(&kept).read().unwrap().try_collect().await.unwrap();
            let numbers = read.iter().flat_map(|batch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec());
            assert!(numbers.eq(0..10_000), "{memory}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_is_computed_once() {
    let world = world();
    let lines = world.explain(&format!("ANALYZE {TWICE}")).await;
    let of = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("sub-plan 0, computed once"), of("sub-plan 0, computed above")), (1, 1), "{lines:#?}");
    assert_eq!(of("shop: 1 scan"), 1, "{lines:#?}");
    assert_eq!(of("Aggregate on shop: its rows are needed several times: they are fetched once"), 1, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_reaches_the_client_as_it_was() {
    let sql = "WITH q AS (SELECT customer_id AS c, sum(total) AS n FROM down.orders GROUP BY customer_id) SELECT i.sku FROM shop.items i JOIN q a ON a.c = i.order_id JOIN q b ON b.n = i.qty";
    let error = world().rows(sql).await.unwrap_err();
    let source = error.datasource_error().unwrap();
    assert_eq!(source.kind(), causeway_providers::ErrorKind::Unreachable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_ends_what_is_computed_once() {
    let world = world();
    let sql = "WITH q AS (SELECT c.city, i.sku, count(*) AS n FROM customers c CROSS JOIN shop.items i GROUP BY c.city, i.sku) SELECT a.n FROM q a CROSS JOIN q b";
    let query = world.plan(sql).await.unwrap();
    let mut rows = query.execute(Vec::new(), &Progress::default()).await.unwrap().rows;
    assert!(rows.next().await.unwrap().is_ok());
    drop(rows);
    for _ in 0..200 {
        if world.crm.running.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the remote statement outlived its reader");
}
