//! What the dialect lets the source compute is what DataFusion computes from the values we read.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;

use super::server::Database;
use super::{PostgresRemote, column, look, open, read};
use crate::postgres::dialect::PostgresDialect;
use crate::remote::RemoteTable;
use crate::sql::{Argument, Dialect};

const TABLE: &str = r"
    CREATE TABLE t (id integer, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, d1 numeric(12, 3), d2 numeric(40, 5),
                    s text, c char(6), u uuid, b boolean, day date, at timestamp,
                    n name DEFAULT 'relname', o oid DEFAULT 4294967295, clock time DEFAULT '23:59:59.999999', raw bytea DEFAULT '\x00ff');
    INSERT INTO t (id, i2, i4, i8, f4, f8, d1, d2, s, c, u, b, day, at) VALUES
        (1, 1, 2, 3, 0.5, -0.25, 1.125, 2.5, 'abc', 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, '2024-02-29', '2024-02-29 13:14:15.5'),
        (2, -32767, -2147483647, -9223372036854775807, -1e30, 1e300, -999999999.999, -1, 'ünï🐘x', 'ünï', NULL, false, '0001-01-01', '0001-01-01 00:00:00'),
        (3, 0, 0, 0, 0, 'NaN', 0, 0, '', '', NULL, NULL, '0001-12-31 BC', '0044-03-15 12:00:00 BC'),
        (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (5, 7, 7, 7, 7, 7, 0.001, 0.00001, 'ab%_\', 'x y', NULL, true, 'infinity', 'infinity'),
        (6, 7, -7, 12, 7, 7, 10, 33.33333, 'Zz', 'z', NULL, true, '-infinity', '-infinity'),
        (7, 2, 7, 7, 7, 7, 0.002, 1, 'abcabc', '  a', NULL, true, '262142-12-31', '262142-12-31 23:59:59.999999'),
        (8, 2, 7, 7, 7, 7, -0.001, 1, 'abcabc', 'a', NULL, true, '262143-01-01', '262143-01-01'),
        (9, 2, 7, 7, 7, 7, 5, 1, 'a''b', 'a', NULL, true, '4713-11-24 BC', '4713-11-24 00:00:00 BC'),
        (10, 2, 7, 7, 7, 7, 5, 1, 'a', 'a', NULL, true, '1969-12-31', '1969-12-31 23:59:59.999999');
";

async fn local(remote: &Arc<PostgresRemote>, table: &RemoteTable, sql: &str) -> ArrayRef {
    let batches = read(remote, table).await.unwrap();
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    context.register_table("t", Arc::new(MemTable::try_new(table.arrow_schema(), vec![batches]).unwrap())).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(0).as_ref()).collect();
    concat(&arrays).unwrap_or_else(|_| new_empty_array(&DataType::Null))
}

fn argument<'a>(table: &RemoteTable, name: &str) -> Argument<'a> {
    let column = table.columns.iter().find(|column| column.name == name).unwrap();
    Argument { sql: PostgresDialect::CHARACTERS.quote(name), data_type: column.data_type.clone(), literal: None }
}

fn literal(value: &ScalarValue) -> Argument<'_> {
    Argument { sql: PostgresDialect::CHARACTERS.literal(value).unwrap(), data_type: value.data_type(), literal: Some(value) }
}

#[tokio::test(flavor = "multi_thread")]
async fn scalar_functions_agree() {
    let Some(database) = Database::new(TABLE).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.remove(0);
    let mut checked = 0;

    let mut calls: Vec<(&str, Vec<Argument<'_>>, String)> = Vec::new();
    for name in ["i2", "i4", "i8", "f4", "f8", "d1", "d2"] {
        calls.push(("abs", vec![argument(&table, name)], format!("abs({name})")));
    }
    for name in ["s", "c", "u"] {
        calls.push(("character_length", vec![argument(&table, name)], format!("character_length({name})")));
    }
    let numbers: Vec<ScalarValue> = [1i64, 2, 3, 0, 100, i64::from(i32::MAX)].map(|number| ScalarValue::Int64(Some(number))).to_vec();
    for name in ["s", "c", "u"] {
        for from in numbers.iter().filter(|number| **number != ScalarValue::Int64(Some(0))) {
            calls.push(("substr", vec![argument(&table, name), literal(from)], format!("substr({name}, {from})")));
            for length in &numbers {
                let arguments = vec![argument(&table, name), literal(from), literal(length)];
                calls.push(("substr", arguments, format!("substr({name}, {from}, {length})")));
            }
        }
    }
    let prefixes: Vec<ScalarValue> = ["", "a", "ab", "ün", "ab%"].map(|prefix| ScalarValue::Utf8(Some(prefix.to_owned()))).to_vec();
    for prefix in &prefixes {
        for name in ["s", "c"] {
            calls.push(("starts_with", vec![argument(&table, name), literal(prefix)], format!("starts_with({name}, '{prefix}')")));
        }
    }
    let parts: Vec<ScalarValue> =
        ["year", "MONTH", "day", "quarter", "doy", "dow"].map(|part| ScalarValue::Utf8(Some(part.to_owned()))).to_vec();
    let clock: Vec<ScalarValue> = ["hour", "minute"].map(|part| ScalarValue::Utf8(Some(part.to_owned()))).to_vec();
    for part in &parts {
        for name in ["day", "at"] {
            calls.push(("date_part", vec![literal(part), argument(&table, name)], format!("date_part('{part}', {name})")));
        }
    }
    for part in &clock {
        calls.push(("date_part", vec![literal(part), argument(&table, "at")], format!("date_part('{part}', at)")));
    }
    for (left, right) in [("i4", "i4"), ("d1", "d1"), ("b", "b"), ("day", "day")] {
        calls.push(("nullif", vec![argument(&table, left), argument(&table, right)], format!("nullif({left}, {right})")));
        calls.push(("coalesce", vec![argument(&table, left), argument(&table, right)], format!("coalesce({left}, {right})")));
    }
    calls.push(("coalesce", vec![argument(&table, "u"), argument(&table, "c"), argument(&table, "s")], "coalesce(u, c, s)".to_owned()));

    for (name, arguments, sql) in calls {
        let here = local(&remote, &table, &format!("SELECT {sql} FROM t ORDER BY id")).await;
        let written =
            PostgresDialect::CHARACTERS.function(name, &arguments, here.data_type()).unwrap_or_else(|| panic!("{sql} is not written"));
        let there = column(&remote, &format!("SELECT {written} FROM public.t ORDER BY id"), here.data_type().clone()).await;
        let there = there.unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(there.to_data(), here.to_data(), "{sql} as {written}");
        checked += 1;
    }
    assert!(checked > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_agree() {
    let Some(database) = Database::new(TABLE).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.remove(0);
    let calls: &[(&str, &[&str])] = &[
        ("count", &["i4", "s", "u", "b", "f8", "day"]),
        ("sum", &["i2", "i4", "d1", "d2"]),
        ("min", &["i2", "i4", "i8", "d1", "d2", "day", "at"]),
        ("max", &["i2", "i4", "i8", "d1", "d2", "day", "at"]),
        ("avg", &["d1", "d2"]),
    ];
    for (name, columns) in calls {
        for column_name in *columns {
            for filter in ["true", "id % 2 = 1", "id = 4", "id > 100", "id <> 2"] {
                let sql = format!("SELECT {name}({column_name}) FROM t WHERE {filter}");
                let here = local(&remote, &table, &sql).await;
                let argument = argument(&table, column_name);
                let written =
                    PostgresDialect::CHARACTERS.aggregate(name, Some(&argument), "", here.data_type()).unwrap_or_else(|| panic!("{sql}"));
                let there = format!("SELECT {written} FROM public.t WHERE {filter}");
                let there = column(&remote, &there, here.data_type().clone()).await.unwrap_or_else(|error| panic!("{there}: {error}"));
                assert_eq!(there.to_data(), here.to_data(), "{sql}");
            }
        }
    }
    let here = local(&remote, &table, "SELECT count(*) FROM t").await;
    let written = PostgresDialect::CHARACTERS.aggregate("count", None, "", here.data_type()).unwrap();
    let there = column(&remote, &format!("SELECT {written} FROM public.t"), DataType::Int64).await.unwrap();
    assert_eq!(there.to_data(), here.to_data());
}

#[tokio::test(flavor = "multi_thread")]
async fn literals_come_back_as_they_went() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let tz = Some("+00:00".into());
    let values = [
        ScalarValue::Boolean(Some(true)),
        ScalarValue::Boolean(Some(false)),
        ScalarValue::Int8(Some(i8::MIN)),
        ScalarValue::Int16(Some(i16::MIN)),
        ScalarValue::Int32(Some(i32::MIN)),
        ScalarValue::Int64(Some(i64::MIN)),
        ScalarValue::Int64(Some(i64::MAX)),
        ScalarValue::Float32(Some(f32::MAX)),
        ScalarValue::Float32(Some(0.1)),
        ScalarValue::Float64(Some(-0.0)),
        ScalarValue::Float64(Some(f64::MIN_POSITIVE)),
        ScalarValue::Float64(Some(5e-324)),
        ScalarValue::Float64(Some(0.1 + 0.2)),
        ScalarValue::Decimal128(Some(-150), 10, 2),
        ScalarValue::Decimal128(Some(5), 38, 38),
        ScalarValue::Decimal256(Some((-7i64).into()), 76, 38),
        ScalarValue::Utf8(Some("it's \\ \"quoted\" 🐘; -- $$".to_owned())),
        ScalarValue::Utf8View(Some(String::new())),
        ScalarValue::LargeUtf8(Some("\n\t".to_owned())),
        ScalarValue::Binary(Some(vec![0, 1, 0xfe, b'\''])),
        ScalarValue::Date32(Some(-719_162)),
        ScalarValue::Date32(Some(2_932_896)),
        ScalarValue::Date32(Some(i32::MAX)),
        ScalarValue::Date32(Some(i32::MIN)),
        ScalarValue::TimestampMicrosecond(Some(-62_135_596_800_000_000), None),
        ScalarValue::TimestampMicrosecond(Some(253_402_300_799_999_999), tz.clone()),
        ScalarValue::TimestampMicrosecond(Some(-1), None),
        ScalarValue::TimestampMicrosecond(Some(i64::MAX), tz),
        ScalarValue::Time64Microsecond(Some(86_399_999_999)),
    ];
    for value in values {
        let nothing = ScalarValue::try_from(value.data_type()).unwrap();
        for value in [value, nothing] {
            let written = PostgresDialect::CHARACTERS.literal(&value).unwrap_or_else(|| panic!("{value:?} is not written"));
            let read = column(&remote, &format!("SELECT {written}"), value.data_type()).await.unwrap();
            assert_eq!(ScalarValue::try_from_array(&read, 0).unwrap(), value, "{written}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn widening_casts_agree() {
    let Some(database) = Database::new(TABLE).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.remove(0);
    let targets = [
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(19, 0),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(60, 10),
        DataType::Utf8View,
        DataType::LargeUtf8,
    ];
    let mut checked = 0;
    for name in ["i2", "i4", "i8", "f4", "d1", "d2", "s", "c", "u"] {
        let argument = argument(&table, name);
        let here = local(&remote, &table, &format!("SELECT {name} FROM t ORDER BY id")).await;
        for target in &targets {
            let Some(written) = PostgresDialect::CHARACTERS.widening_cast(&argument.sql, &argument.data_type, target) else { continue };
            let there = column(&remote, &format!("SELECT {written} FROM public.t ORDER BY id"), target.clone()).await.unwrap();
            assert_eq!(there.to_data(), cast(&here, target).unwrap().to_data(), "{written}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
    let moments = PostgresDialect::CHARACTERS.widening_cast("day", &DataType::Date32, &table.columns[13].data_type).unwrap();
    let sql = format!("SELECT {moments} FROM public.t WHERE day < '10000-01-01' AND day > '-infinity' ORDER BY id");
    let there = column(&remote, &sql, table.columns[13].data_type.clone()).await.unwrap();
    let days = column(&remote, "SELECT day FROM public.t WHERE day < '10000-01-01' AND day > '-infinity' ORDER BY id", DataType::Date32)
        .await
        .unwrap();
    assert_eq!(there.to_data(), cast(&days, &table.columns[13].data_type).unwrap().to_data());
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_of_columns_with_literals_agree() {
    let Some(database) = Database::new(TABLE).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.remove(0);
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let cases = [
        ("c", text("ab")),
        ("c", text("ab ")),
        ("c", text("")),
        ("s", text("a'b")),
        ("s", text("")),
        ("i8", ScalarValue::Int64(Some(7))),
        ("d1", ScalarValue::Decimal128(Some(1), 12, 3)),
        ("day", ScalarValue::Date32(Some(i32::MAX))),
        ("b", ScalarValue::Boolean(Some(true))),
        ("n", text("relname")),
        ("n", text(&"relname".repeat(20))),
        ("clock", ScalarValue::Time64Microsecond(Some(86_399_999_999))),
        ("raw", ScalarValue::Binary(Some(vec![0, 255]))),
    ];
    for (name, value) in cases {
        let written = PostgresDialect::CHARACTERS.literal(&value).unwrap();
        let sql = format!("SELECT (\"{name}\" = {written}) FROM public.t ORDER BY id");
        let there = column(&remote, &sql, DataType::Boolean).await.unwrap();
        let values = local(&remote, &table, &format!("SELECT {name} FROM t ORDER BY id")).await;
        for row in 0..values.len() {
            let here = ScalarValue::try_from_array(&values, row).unwrap();
            let expected = (!here.is_null()).then(|| here == value);
            let there = there.as_boolean();
            assert_eq!(there.is_valid(row).then(|| there.value(row)), expected, "{name} = {written}, row {row}");
        }
    }
}
