//! What the dialect writes beyond literals, held against the server.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::{cast, col};
use mysql_async::prelude::Queryable;

use super::server::{TestServer, cells, ours, table};
use crate::error::ErrorKind;
use crate::mysql::dialect::MySqlDialect;
use crate::sql::{Argument, Dialect, LikeSupport, NullOrder, TableScope, Translation, translate};

fn argument(sql: &str, data_type: DataType) -> Argument<'static> {
    Argument { sql: sql.to_owned(), data_type, literal: None }
}

fn aggregate(name: &str, sql: &str, from: DataType, to: &DataType) -> Option<String> {
    MySqlDialect::maria_db().aggregate(name, Some(&argument(sql, from)), "", to)
}

#[tokio::test]
async fn sums_are_exact_or_an_error() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("sums").await;
    admin.query_drop("CREATE TABLE t (i int, b bigint, d decimal(38,10), m decimal(10,2), o bigint)").await.unwrap();
    admin
        .query_drop("INSERT INTO t SELECT 2147483647, 9000000000000000000 / 100, 9999999999999999999999999999.9999999999, -0.01, 9223372036854775807 FROM seq_1_to_100")
        .await
        .unwrap();
    let remote = server.remote("sums").await;
    let sum = async |column: &str, from: DataType, to: DataType| {
        let sql = format!("SELECT {} FROM t", aggregate("sum", column, from, &to).unwrap());
        cells(&remote, &sql, &[to]).await.map(|rows| rows.concat().concat())
    };
    assert_eq!(sum("i", DataType::Int32, DataType::Int64).await.unwrap(), "214748364700");
    assert_eq!(sum("b", DataType::Int64, DataType::Int64).await.unwrap(), "9000000000000000000");
    assert_eq!(sum("m", DataType::Decimal128(10, 2), DataType::Decimal128(20, 2)).await.unwrap(), "-1.00");
    let wide = sum("d", DataType::Decimal128(38, 10), DataType::Decimal256(60, 10)).await.unwrap();
    assert_eq!(wide, "999999999999999999999999999999.9999999900");
    for (column, from, to) in [("o", DataType::Int64, DataType::Int64), ("d", DataType::Decimal128(38, 10), DataType::Decimal128(38, 10))] {
        let error = sum(column, from, to).await.unwrap_err();
        assert_eq!(ours(&error).kind(), ErrorKind::Invalid, "{error}");
    }
    let empty = "SELECT SUM(i), MIN(d), COUNT(i), COUNT(*) FROM t WHERE i < 0";
    let types = [DataType::Int64, DataType::Decimal128(38, 10), DataType::Int64, DataType::Int64];
    assert_eq!(cells(&remote, empty, &types).await.unwrap(), [["NULL", "NULL", "0", "0"].map(str::to_owned)]);
}

#[test]
fn aggregates_that_are_not_exact_stay_here() {
    let dialect = MySqlDialect::maria_db();
    assert_eq!(dialect.aggregate("count", None, "", &DataType::Int64).as_deref(), Some("COUNT(*)"));
    assert_eq!(aggregate("count", "`x`", DataType::Utf8, &DataType::Int64).as_deref(), Some("COUNT(`x`)"));
    assert_eq!(aggregate("max", "`x`", DataType::Date32, &DataType::Date32).as_deref(), Some("MAX(`x`)"));
    for (name, from, to) in [
        ("avg", DataType::Int64, DataType::Float64),
        ("avg", DataType::Decimal128(10, 2), DataType::Decimal128(14, 6)),
        ("sum", DataType::Float64, DataType::Float64),
        ("sum", DataType::Decimal256(65, 2), DataType::Decimal256(75, 2)),
        ("sum", DataType::Decimal128(10, 2), DataType::Decimal128(20, 3)),
        ("min", DataType::Float64, DataType::Float64),
        ("max", DataType::Boolean, DataType::Boolean),
        ("stddev", DataType::Int64, DataType::Float64),
    ] {
        assert_eq!(aggregate(name, "x", from.clone(), &to), None, "{name}({from})");
    }
    assert_eq!(dialect.like(), LikeSupport::Local);
    assert!(!dialect.computes());
}

#[tokio::test]
async fn order_limit_and_null_safe_equality_are_as_ours() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("orders").await;
    admin.query_drop("CREATE TABLE t (x int)").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES (2), (NULL), (1), (3)").await.unwrap();
    let remote = server.remote("orders").await;
    let dialect = MySqlDialect::maria_db();
    for (ascending, nulls, expected) in [
        (true, NullOrder::First, ["NULL", "1", "2", "3"]),
        (true, NullOrder::Last, ["1", "2", "3", "NULL"]),
        (false, NullOrder::First, ["NULL", "3", "2", "1"]),
        (false, NullOrder::Last, ["3", "2", "1", "NULL"]),
    ] {
        for (limit, offset) in [(None, 0), (Some(2), 0), (Some(2), 1), (None, 2), (Some(0), 0), (Some(9), 3), (None, 9)] {
            let sql = format!(
                "SELECT x FROM t ORDER BY {} {}",
                dialect.order_by("x", &DataType::Int32, ascending, nulls),
                dialect.limit(limit, offset)
            );
            let expected: Vec<_> =
                expected.iter().skip(offset as usize).take(limit.unwrap_or(9) as usize).map(|x| vec![(*x).to_owned()]).collect();
            assert_eq!(cells(&remote, &sql, &[DataType::Int32]).await.unwrap(), expected, "{sql}");
        }
    }
    let sql = format!("SELECT COUNT(*) FROM t a JOIN t b ON {}", dialect.null_safe_equal("a.x", "b.x"));
    assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap(), [["4".to_owned()]]);
}

#[tokio::test]
async fn casts_widen_without_loss() {
    let Some(server) = TestServer::shared() else { return };
    server.database("casts").await;
    let remote = server.remote("casts").await;
    let dialect = MySqlDialect::maria_db();
    let micros = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
    for (sql, from, to, expected) in [
        ("32767", DataType::Int16, DataType::Int64, "32767"),
        ("-5", DataType::Int32, DataType::Decimal128(12, 2), "-5.00"),
        ("2147483647", DataType::Int32, DataType::Float64, "2147483647.0"),
        ("1.50", DataType::Decimal128(3, 2), DataType::Decimal128(38, 10), "1.5000000000"),
        ("DATE'2024-02-29'", DataType::Date32, micros.clone(), "2024-02-29T00:00:00"),
        ("'x'", DataType::Utf8, DataType::Utf8View, "x"),
    ] {
        let cast = dialect.widening_cast(sql, &from, &to).unwrap();
        assert_eq!(cells(&remote, &format!("SELECT {cast}"), &[to]).await.unwrap(), [[expected.to_owned()]], "{cast}");
    }
    for (from, to) in [
        (DataType::Int64, DataType::Float64),
        (DataType::Int64, DataType::Int32),
        (DataType::Int64, DataType::Decimal128(18, 0)),
        (DataType::Decimal128(10, 2), DataType::Decimal128(10, 1)),
        (DataType::Decimal128(10, 2), DataType::Decimal128(10, 3)),
        (DataType::Utf8, DataType::Int64),
        (DataType::Int64, DataType::Utf8),
        (DataType::Float64, DataType::Float32),
        (micros, DataType::Date32),
    ] {
        assert_eq!(dialect.widening_cast("x", &from, &to), None, "{from} to {to}");
    }
}

#[tokio::test]
async fn functions_keep_their_type() {
    let Some(server) = TestServer::shared() else { return };
    server.database("functions").await;
    let remote = server.remote("functions").await;
    let dialect = MySqlDialect::maria_db();
    let decimal = DataType::Decimal128(5, 2);
    let arguments = [argument("CAST(NULL AS DECIMAL(5,2))", decimal.clone()), argument("1.50", decimal.clone())];
    let printed = dialect.function("coalesce", &arguments, &decimal).unwrap();
    assert_eq!(cells(&remote, &format!("SELECT {printed}"), &[decimal]).await.unwrap(), [["1.50".to_owned()]]);
    let arguments = [argument("7", DataType::Int64), argument("7", DataType::Int64)];
    let printed = dialect.function("nullif", &arguments, &DataType::Int64).unwrap();
    assert_eq!(cells(&remote, &format!("SELECT {printed}"), &[DataType::Int64]).await.unwrap(), [["NULL".to_owned()]]);
    let texts = [argument("a", DataType::Utf8), argument("b", DataType::Utf8)];
    assert_eq!(dialect.function("coalesce", &texts, &DataType::Utf8), None);
    assert_eq!(dialect.function("lower", &texts[..1], &DataType::Utf8), None);
    let mixed = [argument("a", DataType::Int64), argument("b", DataType::Int32)];
    assert_eq!(dialect.function("coalesce", &mixed, &DataType::Int64), None);
}

#[test]
fn identifiers_are_quoted() {
    let dialect = MySqlDialect::default();
    assert_eq!(dialect.quote("a`b"), "`a``b`");
    assert_eq!(dialect.table("s", "t"), "`s`.`t`");
    assert_eq!(dialect.table("", "t"), "`t`");
}

/// The server finds a zero date by `IS NULL` in a column that is declared NOT NULL, and reads it as NULL in functions.
#[tokio::test]
async fn a_zero_date_is_not_taken_for_null() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("zero_dates").await;
    admin.query_drop("CREATE TABLE t (id int PRIMARY KEY, d date NOT NULL, at datetime NOT NULL, maybe date)").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00', NULL)").await.unwrap();
    let remote = server.remote("zero_dates").await;
    let found = cells(&remote, "SELECT id FROM t WHERE d IS NULL", &[DataType::Int32]).await.unwrap();
    assert_eq!(found, [["1".to_owned()]], "the server does what is guarded against");

    let (dialect, table) = (MySqlDialect::maria_db(), table(&remote, "t").await);
    let scope = TableScope::new(&table, &dialect, None);
    let as_timestamp = cast(col("d"), DataType::Timestamp(TimeUnit::Microsecond, None));
    for expr in [col("d").is_null(), col("d").is_not_null(), col("at").is_null(), as_timestamp.is_null()] {
        assert!(matches!(translate(&dialect, &expr, &scope), Translation::Local(_)), "{expr}");
    }
    for expr in [col("maybe").is_null(), col("id").is_null()] {
        assert!(matches!(translate(&dialect, &expr, &scope), Translation::Exact(_)), "{expr}");
    }
    let dates = [argument("`d`", DataType::Date32), argument("`maybe`", DataType::Date32)];
    assert_eq!(dialect.function("coalesce", &dates, &DataType::Date32), None);
}
