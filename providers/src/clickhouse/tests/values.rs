//! Values of every type, and those that have no place here.

use datafusion::arrow::datatypes::DataType;

use super::server::{TestServer, cells, context, ours, shown, table};
use crate::error::{ErrorKind, TYPE_CHANGED};
use crate::remote::{Comparison, Presentation, Remote};

/// A type, a value of it as the engine takes it, and as it is to be read.
const VALUES: &[(&str, &str, &str)] = &[
    ("Int8", "-128", "-128"),
    ("UInt8", "255", "255"),
    ("UInt16", "65535", "65535"),
    ("UInt32", "4294967295", "4294967295"),
    ("Int64", "-9223372036854775808", "-9223372036854775808"),
    ("UInt64", "18446744073709551615", "18446744073709551615"),
    ("Int128", "toInt128('-170141183460469231731687303715884105728')", "-170141183460469231731687303715884105728"),
    (
        "UInt256",
        "'115792089237316195423570985008687907853269984665640564039457584007913129639935'",
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    ),
    ("Float32", "1.5", "1.5"),
    ("Float64", "5e-324", "5e-324"),
    ("Decimal(9, 2)", "'-9999999.99'", "-9999999.99"),
    ("Decimal(38, 10)", "'9999999999999999999999999999.9999999999'", "9999999999999999999999999999.9999999999"),
    ("Decimal(76, 38)", "'-0.00000000000000000000000000000000000001'", "-0.00000000000000000000000000000000000001"),
    ("String", "'Straße 😀'", "Straße 😀"),
    ("String", "''", ""),
    ("LowCardinality(String)", "'low'", "low"),
    ("LowCardinality(Nullable(String))", "NULL", "NULL"),
    ("Nullable(Int32)", "NULL", "NULL"),
    ("FixedString(3)", "'ab'", "616200"),
    ("Date", "'2149-06-06'", "2149-06-06"),
    ("Date32", "'1900-01-01'", "1900-01-01"),
    ("Date32", "'2299-12-31'", "2299-12-31"),
    ("DateTime('Asia/Tokyo')", "toDateTime('2106-02-07 06:28:15', 'UTC')", "2106-02-07T06:28:15Z"),
    ("DateTime64(3, 'Europe/Berlin')", "toDateTime64('2024-07-01 10:00:00.123', 3, 'UTC')", "2024-07-01T10:00:00.123Z"),
    ("DateTime64(1)", "toDateTime64('2024-07-01 10:00:00.1', 1, 'UTC')", "2024-07-01T10:00:00.100Z"),
    ("DateTime64(6)", "toDateTime64('1900-01-01 00:00:00.000001', 6, 'UTC')", "1900-01-01T00:00:00.000001Z"),
    ("DateTime64(9)", "toDateTime64('2024-07-01 10:00:00.123456789', 9, 'UTC')", "2024-07-01T10:00:00.123456789Z"),
    ("Time", "'-10:00:05'", "-10:00:05"),
    ("Time64(3)", "'100:00:05.250'", "100:00:05.250"),
    ("Bool", "true", "true"),
    ("UUID", "'61F0C404-5cb3-11e7-907b-a6006ad3dba0'", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    ("Enum8('a' = 1, 'it\\'s' = -1)", "'it\\'s'", "it's"),
    ("Nullable(Enum16('a' = 1000))", "NULL", "NULL"),
    ("IPv4", "'1.2.3.4'", "1.2.3.4"),
    ("IPv6", "'::ffff:1.2.3.4'", "::ffff:1.2.3.4"),
    ("Array(Int32)", "[1, 2]", "[1, 2]"),
    ("Array(Nullable(UInt64))", "[18446744073709551615, NULL]", "[18446744073709551615, ]"),
    ("Array(String)", "['a', 'ä']", "[a, ä]"),
    ("Array(DateTime)", "[toDateTime('2024-01-01 00:00:00', 'UTC')]", "[2024-01-01T00:00:00Z]"),
    ("Array(Date)", "['2024-01-01']", "[2024-01-01]"),
    ("Array(UUID)", "['61f0c404-5cb3-11e7-907b-a6006ad3dba0']", "['61f0c404-5cb3-11e7-907b-a6006ad3dba0']"),
    ("Array(Array(Int8))", "[[1], []]", "[[1],[]]"),
    ("Map(String, Int8)", "map('k', 1)", "{'k':1}"),
    ("Tuple(a Int8, b String)", "(1, 'x')", "(1,'x')"),
    ("JSON", "'{\"a\": 1}'", "{\"a\":1}"),
    ("Point", "(1, 2)", "(1,2)"),
];

#[tokio::test]
async fn every_type_is_read_exactly() {
    let Some(server) = TestServer::shared() else { return };
    let columns: Vec<String> = VALUES.iter().enumerate().map(|(at, (of, _, _))| format!("c{at} {of}")).collect();
    let values: Vec<&str> = VALUES.iter().map(|(_, value, _)| *value).collect();
    server.database(
        "every_type",
        &format!(
            "CREATE TABLE IN_HERE.t ({}) ENGINE = MergeTree ORDER BY tuple();\nINSERT INTO IN_HERE.t SELECT {};\n",
            columns.join(", "),
            values.join(", ")
        ),
    );
    let remote = server.remote("every_type").await;
    let context = context(&remote).await;
    let read = context.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap();
    let read = shown(&read).remove(0);
    for ((of, value, expected), read) in VALUES.iter().zip(read) {
        assert_eq!(read, *expected, "{value} of {of}");
    }
    let seen = table(&remote, "t").await;
    let column = |of: &str| seen.columns.iter().find(|column| column.remote_type == of).unwrap();
    assert_eq!(column("UUID").presentation, Presentation::Uuid);
    assert_eq!(column("JSON").presentation, Presentation::Json);
    assert_eq!(column("IPv6").comparison, Comparison::None);
    assert!(column("LowCardinality(Nullable(String))").nullable && !column("LowCardinality(String)").nullable);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_an_error_that_names_their_column() {
    let Some(server) = TestServer::shared() else { return };
    server.database(
        "no_text",
        "CREATE TABLE IN_HERE.t (id Int32, good String, bad String) ENGINE = MergeTree ORDER BY id;\n\
         INSERT INTO IN_HERE.t VALUES (1, 'a', 'b'), (2, 'c', unhex('ff'))",
    );
    let remote = server.remote("no_text").await;
    let context = context(&remote).await;
    let ask = async |sql: &str| context.sql(sql).await.unwrap().collect().await;
    let error = ask("SELECT * FROM t").await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Invalid, "{error}");
    assert!(ours(&error).message().starts_with("table \"no_text.t\": column \"bad\""), "{error}");
    // The other columns, and the other rows, are as good as ever.
    assert_eq!(shown(&ask("SELECT id, good FROM t ORDER BY id").await.unwrap()).len(), 2);
    assert_eq!(shown(&ask("SELECT bad FROM t WHERE id = 1").await.unwrap()), [["b".to_owned()]]);
}

#[tokio::test]
async fn a_column_of_another_type_is_told_as_changed() {
    let Some(server) = TestServer::shared() else { return };
    server.database(
        "changed",
        "CREATE TABLE IN_HERE.t (a Int32, b Nullable(Int32)) ENGINE = MergeTree ORDER BY tuple();\nINSERT INTO IN_HERE.t VALUES (1, NULL)",
    );
    let remote = server.remote("changed").await;
    let error = cells(&remote, "SELECT toString(a) FROM changed.t", &[DataType::Int32]).await.unwrap_err();
    assert_eq!((ours(&error).kind(), ours(&error).code_text()), (ErrorKind::SchemaMismatch, Some(TYPE_CHANGED)), "{error}");
    let before = table(&remote, "t").await;
    server.admin("ALTER TABLE changed.t MODIFY COLUMN a String");
    let provider = std::sync::Arc::clone(&remote).table(&before).unwrap();
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("t", provider).unwrap();
    for sql in ["SELECT a FROM t", "SELECT b FROM t WHERE a > 5"] {
        let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
        assert_eq!((ours(&error).kind(), ours(&error).code_text()), (ErrorKind::SchemaMismatch, Some(TYPE_CHANGED)), "{sql}: {error}");
    }
}
