//! The text alone; what it computes is tested against a real server by the connector.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::scalar::ScalarValue;

use super::PostgresDialect;
use crate::remote::{Comparison, Presentation, RemoteColumn};
use crate::sql::{Argument, Dialect, LikeSupport, NullOrder};

fn column(remote_type: &str, data_type: DataType) -> RemoteColumn {
    RemoteColumn {
        name: "c".to_owned(),
        remote_type: remote_type.to_owned(),
        data_type,
        presentation: Presentation::Plain,
        nullable: true,
        comment: None,
        collation: None,
        comparison: Comparison::None,
    }
}

#[test]
fn literals_cannot_break_out() {
    let text = |text: &str| PostgresDialect::CHARACTERS.literal(&ScalarValue::Utf8(Some(text.to_owned())));
    assert_eq!(text("it's").as_deref(), Some("'it''s'::text"));
    assert_eq!(text("\\'; DROP TABLE t; --").as_deref(), Some("'\\''; DROP TABLE t; --'::text"));
    assert_eq!(text("nul\0"), None);
    assert_eq!(PostgresDialect::CHARACTERS.quote("a\"b"), "\"a\"\"b\"");
}

#[test]
fn literals_have_their_type_and_sign() {
    let cases = [
        (ScalarValue::Int64(Some(5)), Some("5::bigint")),
        (ScalarValue::Int32(Some(-5)), Some("(-5)::integer")),
        (ScalarValue::Int64(Some(i64::MIN)), Some("(-9223372036854775808)::bigint")),
        (ScalarValue::Float64(Some(1e300)), Some("'1e300'::double precision")),
        (ScalarValue::Float64(Some(f64::NAN)), None),
        (ScalarValue::Float32(Some(f32::INFINITY)), None),
        (ScalarValue::Decimal128(Some(-5), 10, 2), Some("'-0.05'::numeric")),
        (ScalarValue::Decimal128(Some(5), 10, -2), None),
        (ScalarValue::Utf8(None), Some("NULL::text")),
        (ScalarValue::Null, None),
        (ScalarValue::UInt64(Some(5)), None),
        (ScalarValue::Date32(Some(19_782)), Some("'2024-02-29'::date")),
        (ScalarValue::Date32(Some(-719_163)), None),
        (ScalarValue::Date32(Some(i32::MAX)), Some("'infinity'::date")),
        (ScalarValue::TimestampMicrosecond(Some(1), None), Some("'1970-01-01 00:00:00.000001'::timestamp")),
        (ScalarValue::TimestampMicrosecond(Some(0), Some("+00:00".into())), Some("'1970-01-01 00:00:00.000000+00'::timestamptz")),
        (ScalarValue::TimestampNanosecond(Some(0), None), None),
        (ScalarValue::Time64Microsecond(Some(86_400_000_000)), None),
        (ScalarValue::IntervalYearMonth(Some(1)), None),
    ];
    for (value, expected) in cases {
        assert_eq!(PostgresDialect::CHARACTERS.literal(&value).as_deref(), expected, "{value:?}");
    }
}

#[test]
fn columns_are_cast_unless_their_binary_form_is_known() {
    let list = |items| DataType::List(Arc::new(Field::new_list_field(items, true)));
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let cases = [
        ("text", DataType::Utf8, "c"),
        ("character varying(20)", DataType::Utf8, "c"),
        ("json", DataType::Utf8, "c"),
        ("jsonb", DataType::Utf8, "CAST(c AS text)"),
        ("character(3)", DataType::Utf8, "CAST(c AS text)"),
        ("uuid", DataType::Utf8, "CAST(c AS text)"),
        ("public.text", DataType::Utf8, "CAST(c AS text)"),
        ("text[]", DataType::Utf8, "CAST(c AS text)"),
        ("text_like", DataType::Utf8, "CAST(c AS text)"),
        ("oid", DataType::Int64, "CAST(c AS bigint)"),
        ("bigint", DataType::Int64, "c"),
        ("numeric(10,2)", DataType::Decimal128(10, 2), "c"),
        ("cents", DataType::Decimal128(10, 2), "CAST(c AS numeric)"),
        ("timestamp(3) without time zone", timestamp.clone(), "c"),
        ("timestamp with time zone", instant, "c"),
        ("moment", timestamp, "CAST(c AS timestamp)"),
        ("integer[]", list(DataType::Int32), "c"),
        ("uuid[]", list(DataType::Utf8), "CAST(c AS text[])"),
        ("character varying(20)[]", list(DataType::Utf8), "c"),
    ];
    for (remote_type, data_type, expected) in cases {
        assert_eq!(PostgresDialect::CHARACTERS.output(&column(remote_type, data_type), "c"), expected, "{remote_type}");
    }
}

#[test]
fn only_casts_without_loss_are_written() {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    let cases = [
        (DataType::Int16, DataType::Int64, true),
        (DataType::Int64, DataType::Int32, false),
        (DataType::Int32, DataType::Float64, true),
        (DataType::Int64, DataType::Float64, false),
        (DataType::Int32, DataType::Float32, false),
        (DataType::Float32, DataType::Float64, true),
        (DataType::Float64, DataType::Float32, false),
        (DataType::Int64, DataType::Decimal128(19, 0), true),
        (DataType::Int64, DataType::Decimal128(20, 2), false),
        (DataType::Decimal128(10, 2), DataType::Decimal128(12, 4), true),
        (DataType::Decimal128(10, 2), DataType::Decimal128(12, 5), false),
        // Where two decimals meet that have more digits together than any type.
        (DataType::Decimal128(36, 2), DataType::Decimal128(38, 6), true),
        (DataType::Decimal128(36, 4), DataType::Decimal128(38, 2), false),
        (DataType::Decimal128(10, 2), DataType::Decimal256(40, 1), false),
        (DataType::Decimal128(10, 2), DataType::Float64, false),
        (DataType::Date32, timestamp.clone(), true),
        (timestamp, DataType::Date32, false),
        (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), false),
        (DataType::Date32, DataType::Timestamp(TimeUnit::Nanosecond, None), false),
        (DataType::Utf8, DataType::Utf8View, true),
        (DataType::Int32, DataType::Utf8, false),
        (DataType::Boolean, DataType::Int32, false),
    ];
    for (from, to, written) in cases {
        assert_eq!(PostgresDialect::CHARACTERS.widening_cast("x", &from, &to).is_some(), written, "{from} to {to}");
    }
}

#[test]
fn what_is_not_proven_equal_is_not_written() {
    let argument = |data_type: DataType| Argument { sql: "x".to_owned(), data_type, literal: None };
    let function = |name: &str, data_type: DataType| PostgresDialect::CHARACTERS.function(name, &[argument(data_type.clone())], &data_type);
    for name in ["lower", "upper", "btrim", "round", "random", "now", "to_char", "sqrt"] {
        assert_eq!(function(name, DataType::Utf8), None, "{name}");
        assert_eq!(function(name, DataType::Float64), None, "{name}");
    }
    let aggregate = |name: &str, from: DataType, to: DataType| PostgresDialect::CHARACTERS.aggregate(name, Some(&argument(from)), "", &to);
    assert_eq!(aggregate("sum", DataType::Float64, DataType::Float64), None);
    assert_eq!(aggregate("avg", DataType::Int64, DataType::Float64), None);
    assert_eq!(aggregate("avg", DataType::Float64, DataType::Float64), None);
    assert_eq!(aggregate("max", DataType::Float64, DataType::Float64), None);
    assert_eq!(aggregate("max", DataType::Boolean, DataType::Boolean), None);
    assert_eq!(aggregate("stddev", DataType::Float64, DataType::Float64), None);
    assert_eq!(aggregate("bool_and", DataType::Boolean, DataType::Boolean), None);
    let zero = ScalarValue::Int64(Some(0));
    let start = Argument { sql: "0".to_owned(), data_type: DataType::Int64, literal: Some(&zero) };
    assert_eq!(PostgresDialect::CHARACTERS.function("substr", &[argument(DataType::Utf8), start], &DataType::Utf8), None);
    let nullif = [argument(DataType::Float64), argument(DataType::Float64)];
    assert_eq!(PostgresDialect::CHARACTERS.function("nullif", &nullif, &DataType::Float64), None);
}

#[test]
fn orders_place_nulls() {
    assert_eq!(PostgresDialect::CHARACTERS.order_by("x", &DataType::Utf8, false, NullOrder::Last), "x DESC NULLS LAST");
    assert_eq!(PostgresDialect::CHARACTERS.limit(Some(5), 2), "LIMIT 5 OFFSET 2");
    assert_eq!(PostgresDialect::CHARACTERS.limit(None, 0), "");
}

#[test]
fn the_source_makes_no_text_that_is_made_here() {
    let utf8 = DataType::Utf8;
    let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let cases = [
        ("character(25)", &utf8, "c"),
        ("bpchar", &utf8, "c"),
        ("uuid", &utf8, "c"),
        ("jsonb", &utf8, "c"),
        ("uuid[]", &texts, "c"),
        ("\"char\"", &utf8, "CAST(c AS text)"),
        ("other.uuid", &utf8, "CAST(c AS text)"),
        ("mood", &utf8, "CAST(c AS text)"),
    ];
    for (remote_type, data_type, expected) in cases {
        let column = column(remote_type, data_type.clone());
        assert_eq!(PostgresDialect::CHARACTERS.fetched(&column, "c"), expected, "{remote_type}");
        // A statement above computes with the text.
        assert!(PostgresDialect::CHARACTERS.output(&column, "c").starts_with("CAST(c AS text"), "{remote_type}");
    }
}

#[test]
fn a_database_of_bytes_computes_nothing_with_characters() {
    let text = || Argument { sql: "x".to_owned(), data_type: DataType::Utf8, literal: None };
    for (name, arguments) in [("length", vec![text()]), ("character_length", vec![text()]), ("char_length", vec![text()])] {
        assert!(PostgresDialect::CHARACTERS.function(name, &arguments, &DataType::Int32).is_some(), "{name}");
        assert_eq!(PostgresDialect::BYTES.function(name, &arguments, &DataType::Int32), None);
    }
    assert_eq!((PostgresDialect::CHARACTERS.like(), PostgresDialect::BYTES.like()), (LikeSupport::Exact, LikeSupport::Local));
    let coalesce = PostgresDialect::CHARACTERS.function("coalesce", &[text(), text()], &DataType::Utf8);
    assert!(coalesce.is_some() && PostgresDialect::BYTES.function("coalesce", &[text(), text()], &DataType::Utf8) == coalesce);
}
