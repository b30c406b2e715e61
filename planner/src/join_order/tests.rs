//! Tables of known sizes, joined in every way they are written, and the same rows as without another order.

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;
use crate::session::physical_rules;

/// A context with `nations` (5), `people` (200, of a nation each), `orders` (2,000, of a person each), `items` (10,000, of an order each)
/// and `parts` (50).
fn context(is_reordering: bool) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().optimizer.join_reordering = is_reordering;
    let state =
        SessionStateBuilder::new().with_config(config).with_default_features().with_physical_optimizer_rules(physical_rules()).build();
    let context = SessionContext::new_with_state(state);
    let table = |name: &str, rows: i64, columns: &[(&str, i64)]| {
        let mut fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
        fields.extend(columns.iter().map(|(column, _)| Field::new(*column, DataType::Int64, true)));
        let schema = Arc::new(Schema::new(fields));
        let names: StringArray = (0..rows).map(|row| (row % 7 != 0).then(|| format!("{name} {row}"))).collect();
        let mut arrays: Vec<Arc<dyn datafusion::arrow::array::Array>> =
            vec![Arc::new(Int64Array::from_iter_values(0..rows)), Arc::new(names)];
        for (_, modulus) in columns {
            let values: Int64Array = (0..rows).map(|row| (row % 11 != 0).then_some(row * 31 % modulus)).collect();
            arrays.push(Arc::new(values));
        }
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        context.register_table(name, Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())).unwrap();
    };
    table("nations", 5, &[]);
    table("people", 200, &[("nation", 5)]);
    table("orders", 2_000, &[("person", 200)]);
    table("items", 10_000, &[("order_id", 2_000), ("part", 50)]);
    table("parts", 50, &[]);
    context
}

/// The same with `narrow`, which has the rows of `orders` and keys of narrower types.
async fn with_narrow_keys(is_reordering: bool) -> SessionContext {
    let context = context(is_reordering);
    let sql = "SELECT CAST(id AS INT) AS id, name, CAST(person AS SMALLINT) AS person FROM orders";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
    context.register_table("narrow", Arc::new(table)).unwrap();
    context
}

async fn rows(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// The tables in the order in which the plan reads them, from the first one that is held to the last.
async fn read(context: &SessionContext, sql: &str) -> Vec<usize> {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let mut sizes = Vec::new();
    plan.apply(|node| {
        if node.children().is_empty() {
            let statistics = datafusion::physical_plan::statistics::StatisticsContext::new()
                .compute(node.as_ref(), &datafusion::physical_plan::statistics::StatisticsArgs::new())?;
            sizes.push(*statistics.num_rows.get_value().unwrap());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })
    .unwrap();
    sizes
}

const JOINED: &str = "FROM items i JOIN orders o ON i.order_id = o.id JOIN people p ON o.person = p.id JOIN nations n ON p.nation = n.id";

#[tokio::test]
async fn the_smallest_come_first() {
    let sql = format!("SELECT n.name, count(*), sum(i.id) {JOINED} GROUP BY n.name ORDER BY n.name");
    let (with, without) = (context(true), context(false));
    assert_eq!(read(&with, &sql).await, [5, 200, 2_000, 10_000]);
    assert_ne!(read(&without, &sql).await, [5, 200, 2_000, 10_000]);
    assert_eq!(rows(&with, &sql).await, rows(&without, &sql).await);
}

#[tokio::test]
async fn every_way_of_writing_gives_the_same_rows() {
    let (with, without) = (context(true), context(false));
    let mut reordered = 0;
    for sql in [
        format!("SELECT i.id, i.name, o.name, p.name, n.id, n.name {JOINED} ORDER BY i.id LIMIT 50"),
        // Conditions between more than two tables, and such as one join cannot decide.
        format!("SELECT count(*), min(i.id), max(o.id) {JOINED} WHERE i.id > o.id + 0 AND p.id < n.id * 40 AND o.name < i.name"),
        format!("SELECT count(*), sum(p.id) {JOINED} AND p.id <> o.id WHERE i.name LIKE 'items 1%' OR n.name = 'nations 3'"),
        // Two columns of one table that are equal to one of another, and so to each other.
        "SELECT count(*), sum(i.id) FROM items i JOIN parts t ON i.part = t.id JOIN people p ON p.id = t.id AND p.nation = i.part JOIN nations n ON n.id = t.id".to_owned(),
        "SELECT count(*), sum(i.id) FROM items i, orders o, people p, nations n, parts t WHERE i.order_id = o.id AND o.person = p.id AND p.nation = n.id AND i.part = t.id AND t.id = n.id".to_owned(),
        // What is not inner stays where it is, with its own joins below.
        format!("SELECT count(*), count(t.id) {JOINED} LEFT JOIN parts t ON t.id = n.id"),
        format!("SELECT count(*) FROM parts t WHERE t.id IN (SELECT n.id {JOINED})"),
        format!("SELECT x.c, t.name FROM (SELECT n.id, count(*) AS c {JOINED} GROUP BY n.id) x JOIN parts t ON t.id = x.id ORDER BY 1, 2"),
        "SELECT a.id, b.id, c.id FROM orders a JOIN people b ON a.person = b.id JOIN people c ON c.id = b.id ORDER BY 1, 2, 3 LIMIT 20".to_owned(),
    ] {
        assert_eq!(rows(&with, &sql).await, rows(&without, &sql).await, "{sql}");
        reordered += usize::from(read(&with, &sql).await != read(&without, &sql).await);
    }
    assert!(reordered >= 6, "{reordered}");
}

#[tokio::test]
async fn what_may_fail_is_decided_where_it_was_written() {
    let (with, without) = (context(true), context(false));
    let sql = format!("SELECT count(*) {JOINED} AND o.id / (p.id - 250) < n.id");
    assert_eq!(rows(&with, &sql).await, rows(&without, &sql).await);
}

#[tokio::test]
async fn keys_of_two_types_do_not_keep_the_written_order() {
    let (with, without) = (with_narrow_keys(true).await, with_narrow_keys(false).await);
    let joined = JOINED.replace("orders", "narrow");
    let sql = format!("SELECT n.name, count(*), sum(i.id), min(o.person) {joined} GROUP BY n.name ORDER BY n.name");
    assert_eq!(read(&with, &sql).await, [5, 200, 2_000, 10_000]);
    assert_ne!(read(&without, &sql).await, [5, 200, 2_000, 10_000]);
    assert_eq!(rows(&with, &sql).await, rows(&without, &sql).await);
    // One column that is compared as two wider types, and one that is widened above a join and read there as it is.
    for sql in [
        format!("SELECT i.id, o.id, o.person, p.id, n.id {joined} JOIN people q ON q.id = o.person WHERE o.id > 3 ORDER BY i.id LIMIT 50"),
        format!("SELECT count(*), sum(o.person) {joined} JOIN narrow m ON m.person = o.person AND m.id = i.id"),
    ] {
        assert_eq!(rows(&with, &sql).await, rows(&without, &sql).await, "{sql}");
    }
}
