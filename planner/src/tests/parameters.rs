//! Parameters: inferred, declared, bound again and again.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::support::{World, world};
use crate::{ErrorKind, Query};

async fn prepared(world: &World, sql: &str, declared: &[Option<DataType>]) -> Query {
    let statements = world.engine.parse(sql).unwrap();
    world.engine.plan(&statements[0], declared, &world.context).await.unwrap()
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

#[tokio::test]
async fn types_are_inferred_from_use() {
    let world = world();
    let cases: &[(&str, &[DataType])] = &[
        ("SELECT name FROM customers WHERE id = $1", &[DataType::Int64]),
        ("SELECT name FROM customers WHERE $2 = city AND id IN ($1, $3)", &[DataType::Int64, DataType::Utf8, DataType::Int64]),
        ("SELECT id FROM customers WHERE joined BETWEEN $1 AND $2", &[DataType::Date32, DataType::Date32]),
        ("SELECT $1", &[DataType::Utf8]),
        (
            "SELECT coalesce(id, $1), nullif($2, joined), greatest($3, name) FROM customers",
            &[DataType::Int64, DataType::Date32, DataType::Utf8],
        ),
        ("SELECT CASE id WHEN $1 THEN joined ELSE $2 END FROM customers", &[DataType::Int64, DataType::Date32]),
        ("SELECT id FROM customers WHERE (id, joined) > ($1, $2)", &[DataType::Int64, DataType::Date32]),
        ("SELECT $1::bigint, $1", &[DataType::Int64]),
        ("SELECT id FROM customers WHERE id > (SELECT min(id) FROM orders WHERE total > $1)", &[DataType::Decimal128(12, 2)]),
        ("SELECT id FROM customers LIMIT $1 OFFSET $2", &[DataType::Int64, DataType::Int64]),
        ("EXPLAIN SELECT id FROM customers WHERE id = $1", &[DataType::Int64]),
    ];
    for (sql, types) in cases {
        assert_eq!(prepared(&world, sql, &[]).await.parameter_types(), *types, "{sql}");
    }
}

#[tokio::test]
async fn declared_types_are_honoured() {
    let world = world();
    let query = prepared(&world, "SELECT $1, $2", &[Some(DataType::Date32), None]).await;
    assert_eq!(query.parameter_types(), [DataType::Date32, DataType::Utf8]);
    assert_eq!(query.schema().field(0).data_type(), &DataType::Date32);
    assert_eq!(query.rows(vec![text("2024-02-29"), text("x")]).await.unwrap(), [["2024-02-29", "x"]]);
}

#[tokio::test]
async fn a_query_runs_again_with_other_values() {
    let world = world();
    let query = prepared(&world, "SELECT name FROM customers WHERE id = $1", &[]).await;
    assert_eq!(query.rows(vec![ScalarValue::Int64(Some(2))]).await.unwrap(), [["bob"]]);
    assert_eq!(query.rows(vec![text("3")]).await.unwrap(), [["Cleo"]]);
    assert!(query.rows(vec![ScalarValue::Int64(None)]).await.unwrap().is_empty());
    let limited = prepared(&world, "SELECT id FROM customers ORDER BY id LIMIT $1", &[]).await;
    assert_eq!(limited.rows(vec![ScalarValue::Int64(Some(2))]).await.unwrap(), [["1"], ["2"]]);
}

#[tokio::test]
async fn values_reach_the_source() {
    let world = world();
    let query = prepared(&world, "EXPLAIN SELECT name FROM customers WHERE id = $1", &[]).await;
    let lines = query.rows(vec![ScalarValue::Int64(Some(2))]).await.unwrap();
    assert!(lines.iter().any(|line| line[0].ends_with("WHERE (\"id\" = 2)")), "{lines:?}");
}

#[tokio::test]
async fn a_decimal_is_not_rounded_to_its_column() {
    let world = world();
    let query = prepared(&world, "SELECT id FROM customers WHERE balance = $1", &[]).await;
    let value = ScalarValue::Decimal128(Some(2_504), 10, 3);
    assert!(query.rows(vec![value]).await.unwrap().is_empty());
    assert_eq!(query.rows(vec![ScalarValue::Decimal128(Some(2_500), 10, 3)]).await.unwrap(), [["2"]]);
}

#[tokio::test]
async fn wrong_values_are_refused() {
    let world = world();
    let query = prepared(&world, "SELECT name FROM customers WHERE id = $1", &[]).await;
    assert_eq!(query.rows(Vec::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
    let error = query.rows(vec![text("secret")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidText);
    assert_eq!(error.message(), "the value of parameter $1 is not a valid bigint");
}
