//! Every type, with the values at its edges.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::prelude::SessionContext;
use mysql_async::prelude::Queryable;

use super::server::{PASSWORD, TestServer, cells, context, look, ours, shown, table};
use crate::error::ErrorKind;
use crate::mysql::MySqlRemote;
use crate::remote::{Comparison, Presentation};

/// A column's declaration, the values put in, the Arrow type, and the values that must come out.
type Case = (&'static str, &'static [&'static str], DataType, &'static [&'static str]);

pub(super) fn cases() -> Vec<Case> {
    use DataType::{Binary, Boolean, Date32, Decimal128, Decimal256, Float32, Float64, Int16, Int32, Int64, Utf8};
    vec![
        ("tinyint", &["-128", "127"], Int16, &["-128", "127"]),
        ("tinyint(1)", &["2", "-1"], Int16, &["2", "-1"]),
        ("boolean", &["true", "false"], Int16, &["1", "0"]),
        ("tinyint unsigned", &["0", "255"], Int16, &["0", "255"]),
        ("smallint", &["-32768", "32767"], Int16, &["-32768", "32767"]),
        ("smallint unsigned", &["0", "65535"], Int32, &["0", "65535"]),
        ("mediumint", &["-8388608", "8388607"], Int32, &["-8388608", "8388607"]),
        ("mediumint unsigned zerofill", &["7", "16777215"], Int32, &["7", "16777215"]),
        ("int", &["-2147483648", "2147483647"], Int32, &["-2147483648", "2147483647"]),
        ("int unsigned", &["0", "4294967295"], Int64, &["0", "4294967295"]),
        ("bigint", &["-9223372036854775808", "9223372036854775807"], Int64, &["-9223372036854775808", "9223372036854775807"]),
        ("bigint unsigned", &["0", "18446744073709551615"], Decimal128(20, 0), &["0", "18446744073709551615"]),
        ("decimal(5,2)", &["-999.99", "0.01"], Decimal128(5, 2), &["-999.99", "0.01"]),
        ("decimal(10,0) unsigned", &["0", "9999999999"], Decimal128(10, 0), &["0", "9999999999"]),
        (
            "decimal(38,10)",
            &["9999999999999999999999999999.9999999999", "-0.0000000001"],
            Decimal128(38, 10),
            &["9999999999999999999999999999.9999999999", "-0.0000000001"],
        ),
        (
            "decimal(65,30)",
            &["-99999999999999999999999999999999999.999999999999999999999999999999", "1"],
            Decimal256(65, 30),
            &["-99999999999999999999999999999999999.999999999999999999999999999999", "1.000000000000000000000000000000"],
        ),
        ("float", &["1.1", "-3.4028234663852886e38", "16777216", "1e-45"], Float32, &["1.1", "-3.4028235e38", "16777216.0", "1e-45"]),
        ("double", &["1.1", "-1.7976931348623157e308", "5e-324"], Float64, &["1.1", "-1.7976931348623157e308", "5e-324"]),
        ("double(10,2)", &["1.239"], Float64, &["1.24"]),
        ("bit(1)", &["b'1'", "b'0'"], Boolean, &["true", "false"]),
        ("bit(9)", &["b'1'", "b'100000001'"], Utf8, &["000000001", "100000001"]),
        ("bit(64)", &["18446744073709551615"], Utf8, &["1111111111111111111111111111111111111111111111111111111111111111"]),
        ("year", &["1901", "2155", "0"], Int16, &["1901", "2155", "0"]),
        ("date", &["'1000-01-01'", "'9999-12-31'", "'0001-01-01'"], Date32, &["1000-01-01", "9999-12-31", "0001-01-01"]),
        (
            "datetime",
            &["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
            DataType::Timestamp(TimeUnit::Microsecond, None),
            &["1000-01-01T00:00:00", "9999-12-31T23:59:59"],
        ),
        (
            "datetime(6)",
            &["'1969-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.5'"],
            DataType::Timestamp(TimeUnit::Microsecond, None),
            &["1969-12-31T23:59:59.999999", "2024-02-29T12:00:00.500"],
        ),
        (
            "timestamp(3) null",
            &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999'"],
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            &["1970-01-01T00:00:01Z", "2038-01-19T03:14:07.999Z"],
        ),
        (
            "time",
            &["'-838:59:59'", "'838:59:59'", "'00:00:00'"],
            DataType::Interval(IntervalUnit::MonthDayNano),
            &["-838 hours -59 mins -59.000000000 secs", "838 hours 59 mins 59.000000000 secs", "0 secs"],
        ),
        ("time(6)", &["'01:02:03.000004'"], DataType::Interval(IntervalUnit::MonthDayNano), &["1 hours 2 mins 3.000004000 secs"]),
        ("char(5)", &["'ab  '", "''"], Utf8, &["ab", ""]),
        ("varchar(20)", &["'ab  '", "'Ünï😀'", "''"], Utf8, &["ab  ", "Ünï😀", ""]),
        ("varchar(20) character set latin1", &["'é€'"], Utf8, &["é€"]),
        ("varchar(20) character set ucs2", &["'日本'"], Utf8, &["日本"]),
        ("varchar(20) character set cp932", &["'日本'"], Utf8, &["日本"]),
        ("tinytext", &["'a'"], Utf8, &["a"]),
        ("text", &["concat('a', char(0), 'b')"], Utf8, &["a\0b"]),
        ("mediumtext", &["'\\\\ '"], Utf8, &["\\ "]),
        ("longtext", &["'l'"], Utf8, &["l"]),
        ("binary(3)", &["x'01'"], Binary, &["010000"]),
        ("varbinary(10)", &["x'00ff5c27'", "''"], Binary, &["00ff5c27", ""]),
        ("tinyblob", &["x'80'"], Binary, &["80"]),
        ("blob", &["x'80'"], Binary, &["80"]),
        ("mediumblob", &["x'80'"], Binary, &["80"]),
        ("longblob", &["x'80'"], Binary, &["80"]),
        ("enum('small','LARGE','')", &["'LARGE'", "''"], Utf8, &["LARGE", ""]),
        ("set('a','b','c')", &["'c,a'", "''"], Utf8, &["a,c", ""]),
        ("json", &["'{\"a\": [1, 2]}'"], Utf8, &["{\"a\": [1, 2]}"]),
        ("uuid", &["'00112233-4455-6677-8899-AABBCCDDEEFF'"], Utf8, &["00112233-4455-6677-8899-aabbccddeeff"]),
        ("inet4", &["'10.0.0.1'"], Utf8, &["10.0.0.1"]),
        ("inet6", &["'fe80::1'"], Utf8, &["fe80::1"]),
        ("point", &["point(1, -2.5)"], Utf8, &["POINT(1 -2.5)"]),
        ("geometry", &["st_geomfromtext('LINESTRING(0 0,1 1)')"], Utf8, &["LINESTRING(0 0,1 1)"]),
    ]
}

#[tokio::test]
async fn every_type_arrives_exactly() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("types").await;
    let remote = server.remote("types").await;
    for (at, (declaration, values, _, _)) in cases().into_iter().enumerate() {
        admin.query_drop(format!("CREATE TABLE t{at} (id int PRIMARY KEY, v {declaration})")).await.unwrap();
        for (id, value) in values.iter().enumerate() {
            admin.query_drop(format!("INSERT INTO t{at} VALUES ({id}, {value})")).await.unwrap();
        }
        admin.query_drop(format!("INSERT INTO t{at} VALUES (1000, NULL)")).await.unwrap();
    }
    let introspection = look(&remote).await;
    assert_eq!(introspection.omitted, []);
    let context = context(&remote).await;
    for (at, (declaration, _, data_type, expected)) in cases().into_iter().enumerate() {
        let table = introspection.tables.iter().find(|table| table.name == format!("t{at}")).unwrap();
        assert_eq!(table.columns[1].data_type, data_type, "{declaration}");
        let batches = context.sql(&format!("SELECT v FROM t{at} ORDER BY id")).await.unwrap().collect().await.unwrap();
        let got: Vec<String> = shown(&batches).into_iter().map(|mut row| row.remove(0)).collect();
        let expected: Vec<String> = expected.iter().map(|value| (*value).to_owned()).chain(["NULL".to_owned()]).collect();
        assert_eq!(got, expected, "{declaration}");
    }
}

#[tokio::test]
async fn presentations_are_seen() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("presentations").await;
    admin.query_drop("CREATE TABLE t (`j``k` json, u uuid, l longtext, d varchar(10) collate utf8mb4_nopad_bin)").await.unwrap();
    let remote = server.remote("presentations").await;
    let seen: Vec<_> = table(&remote, "t").await.columns.into_iter().map(|column| (column.presentation, column.comparison)).collect();
    assert_eq!(
        seen,
        [
            (Presentation::Json, Comparison::None),
            (Presentation::Uuid, Comparison::SupersetEquality),
            (Presentation::Plain, Comparison::SupersetEquality),
            (Presentation::Plain, Comparison::Total),
        ]
    );
}

#[tokio::test]
async fn dates_that_are_none_are_errors_that_name_the_column() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("zero").await;
    admin.query_drop("CREATE TABLE t (d date, dt datetime, ts timestamp null)").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES ('0000-00-00', '0000-00-00', '0000-00-00'), ('2024-00-10', NULL, NULL)").await.unwrap();
    let remote = server.remote("zero").await;
    let context = context(&remote).await;
    for (query, column, shown) in [
        ("SELECT d FROM t", "d", "0000-00-00"),
        ("SELECT dt FROM t", "dt", "0000-00-00"),
        ("SELECT ts FROM t", "ts", "0000-00-00"),
        ("SELECT max(d) AS d FROM t", "d", ""),
    ] {
        let error = context.sql(query).await.unwrap().collect().await.unwrap_err();
        let error = ours(&error);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{query}");
        assert!(error.message().contains(&format!("column \"{column}\" holds {shown}")), "{error}");
        assert!(error.message().starts_with("table \"zero.t\": "), "{error}");
        assert_eq!(error.datasource(), Some("shop"));
        assert!(error.hint_text().is_some());
    }
    // What is computed there is in no table.
    let error = cells(&remote, "SELECT MIN(d) FROM t", &[DataType::Date32]).await.unwrap_err();
    assert!(ours(&error).message().starts_with("column \"c0\" holds 0000-00-00"), "{error}");
}

/// The datasource with these options more.
async fn opened(server: &TestServer, database: &str, options: &[(&str, &str)]) -> Arc<MySqlRemote> {
    Arc::new(MySqlRemote::open(&server.options_with(database, options, PASSWORD)).await.unwrap())
}

async fn answer(context: &SessionContext, sql: &str) -> Vec<String> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    shown(&batches).into_iter().map(|row| row.join(" ")).collect()
}

#[tokio::test]
async fn dates_that_are_none_are_null_when_the_option_says_so() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("zero_null").await;
    admin.query_drop("CREATE TABLE t (id int, d date NOT NULL, dt datetime(3), ts timestamp NULL, UNIQUE KEY (d))").await.unwrap();
    admin
        .query_drop(
            "INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00'), (2, '2024-00-10', NULL, NULL), \
             (3, '2024-02-29', '2024-02-29 01:02:03.5', '2024-02-29 01:02:03')",
        )
        .await
        .unwrap();
    let remote = opened(server, "zero_null", &[("zero_dates", "null")]).await;
    let seen = table(&remote, "t").await;
    assert!(seen.columns[1].nullable && seen.unique_keys.is_empty(), "{seen:?}");
    let context = context(&remote).await;
    let rows = ["1 NULL NULL NULL", "2 NULL NULL NULL", "3 2024-02-29 2024-02-29T01:02:03.500 2024-02-29T01:02:03Z"];
    assert_eq!(answer(&context, "SELECT * FROM t ORDER BY id").await, rows);
    // To the server they are values, before and after others.
    for (filter, ids) in [
        ("d IS NULL", "1 2"),
        ("d IS NOT NULL", "3"),
        ("d < '2025-01-01'", "3"),
        ("d <> '2024-02-28'", "3"),
        ("d = '2024-02-29'", "3"),
        ("NOT (d = '2024-02-29')", ""),
        ("dt IS NULL AND ts IS NULL", "1 2"),
        ("d IN ('2024-02-29', '2024-03-01')", "3"),
        ("coalesce(d, DATE '1999-01-01') = DATE '1999-01-01'", "1 2"),
    ] {
        assert_eq!(answer(&context, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await.join(" "), ids, "{filter}");
    }
    assert_eq!(answer(&context, "SELECT count(d), count(ts), min(d), count(DISTINCT d) FROM t").await, ["1 1 2024-02-29 1"]);
    assert_eq!(answer(&context, "SELECT a.id FROM t a JOIN t b ON a.d = b.d").await, ["3"]);
}

#[tokio::test]
async fn dates_are_text_when_the_option_says_so() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("zero_text").await;
    admin.query_drop("CREATE TABLE t (d date NOT NULL, dt datetime(3), ts timestamp NULL, tm time)").await.unwrap();
    admin
        .query_drop("INSERT INTO t VALUES ('0000-00-00', '2024-00-10', NULL, '25:00:00'), ('2024-02-29', '2024-02-29 1:2:3.5', '2024-02-29 1:2:3', NULL)")
        .await
        .unwrap();
    let remote = opened(server, "zero_text", &[("zero_dates", "text")]).await;
    let context = context(&remote).await;
    let rows = ["0000-00-00 2024-00-10 00:00:00.000 NULL", "2024-02-29 2024-02-29 01:02:03.500 2024-02-29 01:02:03"];
    assert_eq!(answer(&context, "SELECT d, dt, ts FROM t ORDER BY d").await, rows);
    assert_eq!(answer(&context, "SELECT tm FROM t WHERE d = '0000-00-00' AND d IS NOT NULL").await, ["25 hours"]);
}

#[tokio::test]
async fn tinyint1_is_a_boolean_when_the_option_says_so() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("tinyint1").await;
    admin.query_drop("CREATE TABLE t (id int, b tinyint(1), n tinyint(4) NOT NULL)").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES (1, 1, 1), (2, 0, 2), (3, NULL, 3)").await.unwrap();
    let remote = opened(server, "tinyint1", &[("tinyint1", "boolean")]).await;
    let context = context(&remote).await;
    assert_eq!(answer(&context, "SELECT * FROM t ORDER BY id").await, ["1 true 1", "2 false 2", "3 NULL 3"]);
    for (filter, ids) in [("b", "1"), ("NOT b", "2"), ("b IS NULL", "3"), ("b IS NOT TRUE", "2 3"), ("b = false", "2")] {
        assert_eq!(answer(&context, &format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await.join(" "), ids, "{filter}");
    }
    // The server takes 2 for true; here it is neither, whatever is asked about it.
    admin.query_drop("INSERT INTO t VALUES (4, 2, 4)").await.unwrap();
    for sql in ["SELECT b FROM t", "SELECT id FROM t WHERE b", "SELECT id FROM t WHERE NOT b", "SELECT b, count(*) FROM t GROUP BY b"] {
        let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
        assert_eq!(ours(&error).message(), "table \"tinyint1.t\": column \"b\" holds a number that is neither 0 nor 1", "{sql}");
    }
    assert_eq!(answer(&context, "SELECT n FROM t WHERE id = 4").await, ["4"]);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error() {
    let Some(server) = TestServer::shared() else { return };
    server.database("drifted").await;
    let remote = server.remote("drifted").await;
    for (sql, data_type) in [
        ("SELECT 'x'", DataType::Int64),
        ("SELECT 1.5", DataType::Int64),
        ("SELECT 70000", DataType::Int16),
        ("SELECT 1", DataType::Utf8),
        ("SELECT 1", DataType::Date32),
        ("SELECT TIMESTAMP'2024-01-01 10:00:00'", DataType::Date32),
        ("SELECT 1.1e0", DataType::Float32),
        ("SELECT 2", DataType::Boolean),
        ("SELECT 12345.6", DataType::Decimal128(5, 1)),
        ("SELECT X'FF'", DataType::Utf8),
    ] {
        let error = cells(&remote, sql, std::slice::from_ref(&data_type)).await.unwrap_err();
        assert!(matches!(ours(&error).kind(), ErrorKind::SchemaMismatch | ErrorKind::Invalid), "{sql} as {data_type}: {error}");
        assert!(ours(&error).message().contains("\"c0\""), "{error}");
    }
    let error = cells(&remote, "SELECT 1, 2", &[DataType::Int64]).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Internal);
}
