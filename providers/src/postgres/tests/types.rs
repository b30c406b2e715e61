//! Every type, with the values at its edges.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Float64Type, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;

use super::server::Database;
use super::{PostgresRemote, assert_fails, column, look, open, ours, read};
use crate::error::ErrorKind;
use crate::remote::Presentation;

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn list(items: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(items, true)))
}

/// A type, values for it, what it is here, and how the values print here.
struct Case {
    remote: &'static str,
    values: &'static [&'static str],
    data_type: DataType,
    presentation: Presentation,
    shown: &'static [&'static str],
}

fn case(remote: &'static str, values: &'static [&'static str], data_type: DataType, shown: &'static [&'static str]) -> Case {
    Case { remote, values, data_type, presentation: Presentation::Plain, shown }
}

fn text(remote: &'static str, values: &'static [&'static str], presentation: Presentation, shown: &'static [&'static str]) -> Case {
    Case { remote, values, data_type: DataType::Utf8, presentation, shown }
}

fn cases() -> Vec<Case> {
    use Presentation::{Bpchar, Json, Jsonb, Plain, UnconstrainedNumeric, Uuid};
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    vec![
        case("boolean", &["true", "false"], DataType::Boolean, &["true", "false"]),
        case("smallint", &["-32768", "32767"], DataType::Int16, &["-32768", "32767"]),
        case("integer", &["-2147483648", "2147483647"], DataType::Int32, &["-2147483648", "2147483647"]),
        case("bigint", &["-9223372036854775808", "9223372036854775807"], DataType::Int64, &["-9223372036854775808", "9223372036854775807"]),
        case("oid", &["0", "4294967295"], DataType::Int64, &["0", "4294967295"]),
        case(
            "real",
            &["3.4028235e38", "1e-45", "-0", "NaN", "-Infinity"],
            DataType::Float32,
            &["3.4028235e38", "1e-45", "-0.0", "NaN", "-inf"],
        ),
        case(
            "double precision",
            &["1.7976931348623157e308", "5e-324", "0.1", "NaN", "Infinity"],
            DataType::Float64,
            &["1.7976931348623157e308", "5e-324", "0.1", "NaN", "inf"],
        ),
        case(
            "numeric(10,2)",
            &["-99999999.99", "0", "0.01", "10000", "1234.5"],
            DataType::Decimal128(10, 2),
            &["-99999999.99", "0.00", "0.01", "10000.00", "1234.50"],
        ),
        case(
            "numeric(38,0)",
            &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "10000000000000000"],
            DataType::Decimal128(38, 0),
            &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "10000000000000000"],
        ),
        case(
            "numeric(38,38)",
            &["0.99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001"],
            DataType::Decimal128(38, 38),
            &["0.99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001"],
        ),
        case(
            "numeric(76,1)",
            &["-999999999999999999999999999999999999999999999999999999999999999999999999999.9", "0.5"],
            DataType::Decimal256(76, 1),
            &["-999999999999999999999999999999999999999999999999999999999999999999999999999.9", "0.5"],
        ),
        Case {
            remote: "numeric",
            values: &["1.5", "-99999999999999999999999999999999999999", "1e-38", "0"],
            data_type: DataType::Decimal256(76, 38),
            presentation: UnconstrainedNumeric,
            shown: &[
                "1.50000000000000000000000000000000000000",
                "-99999999999999999999999999999999999999.00000000000000000000000000000000000000",
                "0.00000000000000000000000000000000000001",
                "0.00000000000000000000000000000000000000",
            ],
        },
        text("numeric(3,-2)", &["12300"], Plain, &["12300"]),
        text("numeric(2,4)", &["0.0012"], Plain, &["0.0012"]),
        text("numeric(100,2)", &["1.50"], Plain, &["1.50"]),
        text("money", &["-12.34"], Plain, &["-$12.34"]),
        text("text", &["", "a", "ünï 🐘", "back\\slash", "line\nbreak"], Plain, &["", "a", "ünï 🐘", "back\\slash", "line\nbreak"]),
        text("character varying", &["x"], Plain, &["x"]),
        text("character varying(3)", &["🐘🐘🐘", "  "], Plain, &["🐘🐘🐘", "  "]),
        text("name", &["relname"], Plain, &["relname"]),
        text("\"char\"", &["x", ""], Plain, &["x", ""]),
        text("character(4)", &["ab", "", " a"], Bpchar, &["ab", "", " a"]),
        text("citext", &["CamelCase"], Plain, &["CamelCase"]),
        case("bytea", &["\\x", "\\x00ff10"], DataType::Binary, &["", "00ff10"]),
        case(
            "date",
            &["0001-01-01", "9999-12-31", "1969-12-31", "2000-02-29"],
            DataType::Date32,
            &["0001-01-01", "9999-12-31", "1969-12-31", "2000-02-29"],
        ),
        case("timestamp(3)", &["1969-12-31 23:59:59.999"], TIMESTAMP, &["1969-12-31T23:59:59.999"]),
        case("timestamp", &["2000-01-01", "9999-12-31 23:59:59.999999"], TIMESTAMP, &["2000-01-01T00:00:00", "9999-12-31T23:59:59.999999"]),
        case(
            "timestamptz",
            &["2024-07-01 12:00:00+02", "1900-01-01 00:00:00.000001+00"],
            instant.clone(),
            &["2024-07-01T10:00:00Z", "1900-01-01T00:00:00.000001Z"],
        ),
        case("time", &["00:00:00", "23:59:59.999999"], DataType::Time64(TimeUnit::Microsecond), &["00:00:00", "23:59:59.999999"]),
        text("timetz", &["12:00:00+05:30"], Plain, &["12:00:00+05:30"]),
        case(
            "interval",
            &["1 year 2 mons 3 days 04:05:06.000007", "-1 day", "0"],
            DataType::Interval(IntervalUnit::MonthDayNano),
            &["14 mons 3 days 4 hours 5 mins 6.000007000 secs", "-1 days", "0 secs"],
        ),
        text("uuid", &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], Uuid, &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        text("json", &["{\"b\": 1,  \"a\":2}"], Json, &["{\"b\": 1,  \"a\":2}"]),
        text("jsonb", &["{\"b\": 1,  \"a\":2}"], Jsonb, &["{\"a\": 2, \"b\": 1}"]),
        text("xml", &["<a/>"], Plain, &["<a/>"]),
        text("inet", &["10.0.0.1/8", "::1"], Plain, &["10.0.0.1/8", "::1"]),
        text("cidr", &["10.0.0.0/8"], Plain, &["10.0.0.0/8"]),
        text("macaddr", &["08:00:2b:01:02:03"], Plain, &["08:00:2b:01:02:03"]),
        text("bit(3)", &["101"], Plain, &["101"]),
        text("bit varying", &["10"], Plain, &["10"]),
        text("tsvector", &["a b"], Plain, &["'a' 'b'"]),
        text("tsquery", &["a & b"], Plain, &["'a' & 'b'"]),
        text("int4range", &["[1,5]"], Plain, &["[1,6)"]),
        text("datemultirange", &["{[2024-01-01,2024-01-02]}"], Plain, &["{[2024-01-01,2024-01-03)}"]),
        text("point", &["(1,2)"], Plain, &["(1,2)"]),
        text("polygon", &["((0,0),(1,1),(1,0))"], Plain, &["((0,0),(1,1),(1,0))"]),
        text("pg_lsn", &["16/B374D848"], Plain, &["16/B374D848"]),
        text("hstore", &["a=>1"], Plain, &["\"a\"=>\"1\""]),
        text("mood", &["ok"], Plain, &["ok"]),
        text("pair", &["(1,\"a b\")"], Plain, &["(1,\"a b\")"]),
        text("int2vector", &["1 2"], Plain, &["1 2"]),
        text("macaddr8", &["08:00:2b:01:02:03:04:05"], Plain, &["08:00:2b:01:02:03:04:05"]),
        text("circle", &["<(1,2),3>"], Plain, &["<(1,2),3>"]),
        text("jsonpath", &["$.a"], Plain, &["$.\"a\""]),
        text("numrange", &["[1.5,2)", "empty"], Plain, &["[1.5,2)", "empty"]),
        text("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"], Plain, &["{\"{\\\"a\\\": 1}\"}"]),
        text("pair[]", &["{\"(1,x)\"}"], Plain, &["{\"(1,x)\"}"]),
        text("int4range[]", &["{\"[1,5)\"}"], Plain, &["{\"[1,5)\"}"]),
        case("numbers", &["{1,2}"], list(DataType::Int32), &["[1, 2]"]),
        text("positive[]", &["{1,2}"], Plain, &["{1,2}"]),
        text("mood[]", &["{ok,sad}"], Plain, &["{ok,sad}"]),
        text("inet[]", &["{::1}"], Plain, &["{::1}"]),
        text("numeric[]", &["{1.5,NaN}"], Plain, &["{1.5,NaN}"]),
        text("regclass", &["pg_class"], Plain, &["pg_class"]),
        case("positive", &["5"], DataType::Int32, &["5"]),
        text("label", &["x"], Plain, &["x"]),
        text("padded", &["x"], Bpchar, &["x"]),
        case("exact", &["1.50"], DataType::Decimal128(6, 2), &["1.50"]),
        case("integer[]", &["{}", "{1,NULL,-3}"], list(DataType::Int32), &["[]", "[1, , -3]"]),
        case("bigint[]", &["{9223372036854775807}"], list(DataType::Int64), &["[9223372036854775807]"]),
        case("oid[]", &["{4294967295}"], list(DataType::Int64), &["[4294967295]"]),
        case("boolean[]", &["{t,f}"], list(DataType::Boolean), &["[true, false]"]),
        case("double precision[]", &["{0.1}"], list(DataType::Float64), &["[0.1]"]),
        case("numeric(6,2)[]", &["{1.5,NULL}"], list(DataType::Decimal128(6, 2)), &["[1.50, ]"]),
        case("text[]", &["{\"a,b\",NULL,\"\",🐘}"], list(DataType::Utf8), &["[a,b, , , 🐘]"]),
        case("character(3)[]", &["{a}"], list(DataType::Utf8), &["[a]"]),
        case("uuid[]", &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"], list(DataType::Utf8), &["[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"]),
        case("date[]", &["{2024-02-29}"], list(DataType::Date32), &["[2024-02-29]"]),
        case("timestamptz[]", &["{2024-02-29 00:00:00+00}"], list(instant), &["[2024-02-29T00:00:00Z]"]),
        case("bytea[]", &["{\"\\\\x01\"}"], list(DataType::Binary), &["[01]"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_it_is() {
    let mut sql = "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('sad', 'ok'); \
                   CREATE TYPE pair AS (a integer, b text); CREATE DOMAIN positive AS integer CHECK (VALUE > 0); \
                   CREATE DOMAIN label AS varchar(5); CREATE DOMAIN numbers AS integer[]; CREATE DOMAIN padded AS char(4); CREATE DOMAIN exact AS numeric(6, 2);"
        .to_owned();
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        write!(sql, "CREATE TABLE t{number:03} (n serial, v {});", case.remote).unwrap();
        for value in case.values {
            write!(sql, "INSERT INTO t{number:03} (v) VALUES ('{}');", value.replace('\'', "''")).unwrap();
        }
        write!(sql, "INSERT INTO t{number:03} (v) VALUES (NULL);").unwrap();
    }
    let Some(database) = Database::new(&sql).await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    assert_eq!(seen.tables.len(), cases.len());
    for (case, table) in cases.iter().zip(&seen.tables) {
        let column = &table.columns[1];
        assert_eq!((&column.data_type, column.presentation), (&case.data_type, case.presentation), "{}", case.remote);
        assert!(column.nullable);
        let batches = read(&remote, table).await.unwrap_or_else(|error| panic!("{}: {error}", case.remote));
        let mut shown = Vec::new();
        for batch in &batches {
            let values = batch.column(1);
            for row in 0..values.len() {
                shown.push((!values.is_null(row)).then(|| array_value_to_string(values, row).unwrap()));
            }
        }
        let expected: Vec<_> = case.shown.iter().map(|text| Some((*text).to_owned())).chain([None]).collect();
        assert_eq!(shown, expected, "{}", case.remote);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numeric_without_precision_is_what_the_option_says() {
    let sql = "CREATE TABLE t (v numeric, list numeric[]); INSERT INTO t VALUES (1.50, '{0.1,NULL}'), ('NaN', '{NaN}'), (NULL, NULL)";
    let Some(database) = Database::new(sql).await else { return };
    let shown = async |policy: &str| {
        let remote = PostgresRemote::open(&database.options_with(&[("numeric", policy)])).await.unwrap();
        let table = look(&remote, &[]).await.tables.remove(0);
        let batches = read(&remote, &table).await?;
        Ok::<_, datafusion::error::DataFusionError>(datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string())
    };
    let text = shown("text").await.unwrap();
    assert!(text.contains("| 1.50 | {0.1,NULL} |") && text.contains("| NaN  | {NaN}      |"), "{text}");
    let float = shown("float").await.unwrap();
    assert!(float.contains("| 1.5 | [0.1, ] |") && float.contains("| NaN | [NaN]   |"), "{float}");
    assert_fails(ours(&shown("decimal").await.unwrap_err()), ErrorKind::Invalid, "numeric NaN");
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_rows_and_long_values_arrive_whole() {
    let columns: Vec<String> = (0..1600).map(|at| format!("c{at} smallint DEFAULT {at}")).collect();
    let sql = format!(
        "CREATE TABLE wide ({}); INSERT INTO wide DEFAULT VALUES; INSERT INTO wide DEFAULT VALUES; \
         CREATE TABLE long AS SELECT i, repeat('🐘', 262144) AS animals, repeat(E'\\x7f', 1048576) AS odd FROM generate_series(1, 40) i",
        columns.join(", ")
    );
    let Some(database) = Database::new(&sql).await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    let (long, wide) = (&seen.tables[0], &seen.tables[1]);
    let batches = read(&remote, wide).await.unwrap();
    assert_eq!((batches[0].num_columns(), batches.iter().map(|batch| batch.num_rows()).sum::<usize>()), (1600, 2));
    assert_eq!(array_value_to_string(batches[0].column(1599), 0).unwrap(), "1599");
    let batches = read(&remote, long).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 40);
    // Long values do not pile up to a batch of as many rows as it may have.
    assert!(batches.len() > 1, "80 MB in one batch");
    for batch in &batches {
        assert!(batch.column(1).as_string::<i32>().iter().all(|value| value == Some("🐘".repeat(262_144).as_str())));
        assert!(batch.column(2).as_string::<i32>().iter().all(|value| value.is_some_and(|value| value.len() == 1_048_576)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn infinity_and_times_before_our_era_keep_their_order() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let sql = "SELECT v FROM (VALUES ('-infinity'::date), ('4713-01-01 BC'), ('0001-12-31 BC'), ('1970-01-01'), ('5874897-12-31'), \
               ('infinity')) t (v)";
    let dates = column(&remote, sql, DataType::Date32).await.unwrap();
    let dates = dates.as_primitive::<Date32Type>().values().to_vec();
    assert_eq!(dates, [i32::MIN, -2_440_550, -719_163, 0, 2_145_042_905, i32::MAX]);

    let sql = "SELECT v FROM (VALUES ('-infinity'::timestamp), ('0001-12-31 23:59:59 BC'), ('1969-12-31 23:59:59.999999'), \
               ('294246-12-31'), ('infinity')) t (v)";
    let moments = column(&remote, sql, TIMESTAMP).await.unwrap();
    let moments = moments.as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(moments, [i64::MIN, -62_135_596_801_000_000, -1, 9_223_371_158_400_000_000, i64::MAX]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_held_names_its_column() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let unconstrained = DataType::Decimal256(76, 38);
    let cases = [
        ("'NaN'::numeric", unconstrained.clone(), "numeric NaN"),
        ("'NaN'::numeric(5,2)", DataType::Decimal128(5, 2), "numeric NaN"),
        ("'Infinity'::numeric", unconstrained.clone(), "infinite numeric"),
        ("'-Infinity'::numeric", unconstrained.clone(), "infinite numeric"),
        ("1e38::numeric", unconstrained.clone(), "more digits"),
        ("1e200::numeric", unconstrained.clone(), "more digits"),
        ("1e-39::numeric", unconstrained.clone(), "more digits"),
        ("1e-3000::numeric", unconstrained, "more digits"),
        ("123.456::numeric", DataType::Decimal128(10, 2), "more digits"),
        ("100::numeric", DataType::Decimal128(4, 2), "more digits"),
        ("'294276-12-31'::timestamp", TIMESTAMP, "beyond the year 294246"),
        ("'24:00:00'::time", DataType::Time64(TimeUnit::Microsecond), "24:00:00"),
        ("'3000000 hours'::interval", DataType::Interval(IntervalUnit::MonthDayNano), "292 years"),
        ("300::smallint", DataType::Int8, "beyond its type"),
        ("'{{1,2},{3,4}}'::integer[]", list(DataType::Int32), "several dimensions"),
        ("'[0:1]={1,2}'::integer[]", list(DataType::Int32), "first subscript"),
        ("'{NaN}'::numeric[]", list(DataType::Decimal128(5, 2)), "numeric NaN"),
    ];
    for (sql, data_type, text) in cases {
        let error = column(&remote, &format!("SELECT {sql}"), data_type).await.unwrap_err();
        let error = ours(&error);
        assert_fails(error, ErrorKind::Invalid, "column \"v\"");
        assert!(error.message().contains(text), "{sql}: {error}");
        assert!(error.hint_text().is_some(), "{sql}");
    }
    let error = column(&remote, "SELECT 1::bigint", DataType::Int32).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::SchemaMismatch, "column \"v\" is int8 at the source now");
    // A value that cannot be held harms nobody else.
    let one = column(&remote, "SELECT 1::float8", DataType::Float64).await.unwrap();
    assert_eq!(one.as_primitive::<Float64Type>().value(0), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_text_of_other_widths_are_read_too() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    for data_type in [DataType::LargeUtf8, DataType::Utf8View] {
        let array = column(&remote, "SELECT v FROM (VALUES ('a longer text than twelve'), (NULL), ('')) t (v)", data_type).await.unwrap();
        assert_eq!(array_value_to_string(&array, 0).unwrap(), "a longer text than twelve");
        assert!(array.is_null(1) && array.is_valid(2));
    }
    for data_type in [DataType::LargeBinary, DataType::BinaryView] {
        let array = column(&remote, "SELECT '\\x0102'::bytea", data_type).await.unwrap();
        assert_eq!(array_value_to_string(&array, 0).unwrap(), "0102");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_fail_at_the_source() {
    let Some(server) = super::server::Server::shared() else { return };
    let ascii = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'SQL_ASCII'";
    let Some(database) = Database::on(server, "CREATE TABLE t (v text); INSERT INTO t VALUES (E'\\377')", ascii).await else { return };
    let remote = open(&database).await;
    let error = column(&remote, "SELECT v FROM t", DataType::Utf8).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Failed, "invalid byte sequence");
    assert_eq!(ours(&error).remote_sqlstate(), Some("22021"));
}
