//! Literals: they arrive as they are, end where they should, and compare as ours do beside every kind of column.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use mysql_async::prelude::Queryable;

use super::server::{TestServer, cells};
use crate::mysql::dialect::MySqlDialect;
use crate::sql::Dialect;

const TEXTS: &[&str] = &[
    "",
    "plain",
    "it's",
    "''",
    "\\",
    "\\'",
    "\\' OR 1=1 -- ",
    "'; DROP TABLE t; -- ",
    "\\\\'",
    "\"",
    "`",
    "a\0b",
    "\u{1a}",
    "line\r\nline\ttab",
    ":name ?",
    "/* ",
    "-- ",
    "#",
    "%_",
    " trailing ",
    "Ünï",
    "日本",
    "😀",
    "é\u{301}",
    "{}$",
];

fn literal(value: &ScalarValue) -> String {
    MySqlDialect::maria_db().literal(value).unwrap()
}

#[tokio::test]
async fn texts_arrive_as_they_are() {
    let Some(server) = TestServer::shared() else { return };
    server.database("texts").await;
    let remote = server.remote("texts").await;
    for text in TEXTS {
        let sql = format!("SELECT {}, 'tail'", literal(&ScalarValue::from(*text)));
        let cells = cells(&remote, &sql, &[DataType::Utf8, DataType::Utf8]).await.unwrap();
        assert_eq!(cells, [[(*text).to_owned(), "tail".to_owned()]], "{sql}");
    }
}

#[tokio::test]
async fn no_text_is_quoted_with_a_quote_or_a_backslash_in_it() {
    for text in TEXTS {
        for dialect in [MySqlDialect::maria_db(), MySqlDialect::my_sql(), MySqlDialect::default()] {
            let Some(printed) = dialect.literal(&ScalarValue::from(*text)) else { continue };
            assert!(!printed.contains('\\') && printed.matches('\'').count() == 2, "{printed}");
        }
    }
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    let Some(server) = TestServer::shared() else { return };
    server.database("bytes").await;
    let remote = server.remote("bytes").await;
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&all[..], b"", b"\0", b"'\\"] {
        let sql = format!("SELECT {}", literal(&ScalarValue::Binary(Some(bytes.to_vec()))));
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(cells(&remote, &sql, &[DataType::Binary]).await.unwrap(), [[expected]], "{sql}");
    }
}

#[tokio::test]
async fn numbers_arrive_as_they_are() {
    let Some(server) = TestServer::shared() else { return };
    server.database("numbers").await;
    let remote = server.remote("numbers").await;
    let cases = [
        (ScalarValue::from(i64::MIN), DataType::Int64, "-9223372036854775808"),
        (ScalarValue::from(i64::MAX), DataType::Int64, "9223372036854775807"),
        (ScalarValue::from(u64::MAX), DataType::UInt64, "18446744073709551615"),
        (ScalarValue::from(true), DataType::Boolean, "true"),
        (ScalarValue::from(false), DataType::Boolean, "false"),
        (ScalarValue::from(f64::MAX), DataType::Float64, "1.7976931348623157e308"),
        (ScalarValue::from(f64::MIN_POSITIVE), DataType::Float64, "2.2250738585072014e-308"),
        (ScalarValue::from(5e-324), DataType::Float64, "5e-324"),
        (ScalarValue::from(0.1), DataType::Float64, "0.1"),
        (ScalarValue::from(100.0), DataType::Float64, "100.0"),
        (ScalarValue::from(-1.1_f32), DataType::Float32, "-1.1"),
        (ScalarValue::Decimal128(Some(-1), 38, 10), DataType::Decimal128(38, 10), "-0.0000000001"),
        (ScalarValue::Decimal128(Some(12345), 5, 0), DataType::Decimal128(5, 0), "12345"),
        (ScalarValue::Decimal128(Some(0), 5, 2), DataType::Decimal128(5, 2), "0.00"),
        (ScalarValue::Null, DataType::Int64, "NULL"),
        (ScalarValue::Utf8(None), DataType::Utf8, "NULL"),
    ];
    for (value, data_type, expected) in cases {
        let sql = format!("SELECT {}", literal(&value));
        assert_eq!(cells(&remote, &sql, &[data_type]).await.unwrap(), [[expected.to_owned()]], "{sql}");
    }
}

#[tokio::test]
async fn times_arrive_as_they_are() {
    let Some(server) = TestServer::shared() else { return };
    server.database("times").await;
    let remote = server.remote("times").await;
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let cases = [
        (ScalarValue::Date32(Some(0)), DataType::Date32, "1970-01-01"),
        (ScalarValue::Date32(Some(-354_285)), DataType::Date32, "1000-01-01"),
        (ScalarValue::TimestampSecond(Some(-1), None), micros.clone(), "1969-12-31T23:59:59"),
        (ScalarValue::TimestampMicrosecond(Some(-1), Some("+00:00".into())), micros.clone(), "1969-12-31T23:59:59.999999"),
        (ScalarValue::TimestampNanosecond(Some(1_000), None), micros.clone(), "1970-01-01T00:00:00.000001"),
        (ScalarValue::TimestampMillisecond(Some(1_500), None), micros, "1970-01-01T00:00:01.500"),
    ];
    for (value, data_type, expected) in cases {
        let sql = format!("SELECT {}", literal(&value));
        assert_eq!(cells(&remote, &sql, &[data_type]).await.unwrap(), [[expected.to_owned()]], "{sql}");
    }
}

#[test]
fn what_has_no_exact_literal_has_none() {
    for value in [
        ScalarValue::from(f64::NAN),
        ScalarValue::from(f64::INFINITY),
        ScalarValue::from(f32::NEG_INFINITY),
        ScalarValue::Decimal128(Some(1), 38, 31),
        ScalarValue::Decimal128(Some(1), 5, -2),
        ScalarValue::Date32(Some(-400_000)),
        ScalarValue::Date32(Some(i32::MAX)),
        ScalarValue::TimestampNanosecond(Some(1), None),
        ScalarValue::TimestampMicrosecond(Some(i64::MAX), None),
        ScalarValue::Time64Microsecond(Some(1)),
    ] {
        assert_eq!(MySqlDialect::maria_db().literal(&value), None, "{value:?}");
    }
    let fractional = ScalarValue::TimestampMicrosecond(Some(1), None);
    assert_eq!(MySqlDialect::my_sql().literal(&fractional), None);
    assert_eq!(MySqlDialect::default().literal(&ScalarValue::from("é")), None);
}

/// An index of lower precision must not make `=` find what is not equal.
#[tokio::test]
async fn instants_compare_exactly_beside_columns_of_any_precision() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("instants").await;
    admin.query_drop("CREATE TABLE t (ts timestamp null, ts3 timestamp(3) null, dt datetime, dt6 datetime(6), KEY (ts), KEY (ts3), KEY (dt), KEY (dt6))").await.unwrap();
    admin
        .query_drop("INSERT INTO t SELECT x, x, x, x FROM (SELECT '2024-01-01' + INTERVAL seq SECOND AS x FROM seq_0_to_2000) s")
        .await
        .unwrap();
    admin.query_drop("ANALYZE TABLE t").await.unwrap();
    let remote = server.remote("instants").await;
    let first = 1_704_067_200_000_000_i64;
    // One of the instants, one a little later, one before all, one after all a `timestamp` can hold.
    for micros in [first, first + 1, first + 500_000, first - 1, -30_000_000_000_000_000, 200_000_000_000_000_000] {
        let printed = literal(&ScalarValue::TimestampMicrosecond(Some(micros), None));
        for column in ["ts", "ts3", "dt", "dt6"] {
            for (operator, holds) in [
                ("=", (|a, b| a == b) as fn(i64, i64) -> bool),
                ("<>", |a, b| a != b),
                ("<", |a, b| a < b),
                (">=", |a, b| a >= b),
                ("<=>", |a, b| a == b),
            ] {
                let expected = (0..=2000).filter(|at| holds(first + at * 1_000_000, micros)).count();
                let sql = format!("SELECT COUNT(*) FROM t WHERE {column} {operator} {printed}");
                assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap(), [[expected.to_string()]], "{sql}");
            }
        }
    }
}

/// `1.1` beside a float column would be another number.
#[tokio::test]
async fn floats_compare_with_the_value_they_hold() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("floats").await;
    admin.query_drop("CREATE TABLE t (f float, d double, KEY (f), KEY (d))").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES (1.1, 1.1), (1.5, 1.5), (-2.7, -2.7)").await.unwrap();
    let remote = server.remote("floats").await;
    for (column, value) in [("f", ScalarValue::from(1.1_f32)), ("d", ScalarValue::from(1.1_f64))] {
        for (operator, expected) in [("=", 1), ("<", 1), ("<=", 2), (">", 1), (">=", 2), ("<>", 2)] {
            let sql = format!("SELECT COUNT(*) FROM t WHERE {column} {operator} {}", literal(&value));
            assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap(), [[expected.to_string()]], "{sql}");
        }
    }
    let widened = MySqlDialect::maria_db().widening_cast("f", &DataType::Float32, &DataType::Float64).unwrap();
    let cells = cells(&remote, &format!("SELECT {widened} FROM t ORDER BY f"), &[DataType::Float64]).await.unwrap();
    let expected: Vec<_> = [-2.7_f32, 1.1, 1.5].iter().map(|f| vec![format!("{:?}", f64::from(*f))]).collect();
    assert_eq!(cells, expected);
}
