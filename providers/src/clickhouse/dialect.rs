//! How ClickHouse writes SQL, and what of it computes as we do.

use std::fmt::Write;
use std::net::Ipv4Addr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;

use super::remote_type::{Stored, Type};
use crate::remote::RemoteColumn;
use crate::sql::{Argument, Dialect, LikeSupport, NullOrder, Quoting};

/// The dialect, for requests with the settings that the connector sends: columns come before aliases of their name, numbers are no
/// positions, the time zone is UTC.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClickHouseDialect;

impl Dialect for ClickHouseDialect {
    fn quote(&self, identifier: &str) -> String {
        // The server knows a doubled quote too, which logs read as the end of nothing.
        format!("`{}`", identifier.replace('\\', "\\\\").replace('`', "``"))
    }

    fn quoting(&self) -> Quoting {
        // Backslashes escape; a `"` begins a name over there, but none is written.
        Quoting::MySql
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", self.quote(schema), self.quote(name))
    }

    fn table_alias(&self) -> &'static str {
        // `t1.id` is a column of the table `t1` to the server, whatever that one's alias is.
        "causeway_t"
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        if value.is_null() {
            return Some("NULL".to_owned());
        }
        match value {
            ScalarValue::Boolean(Some(value)) => Some(if *value { "true" } else { "false" }.to_owned()),
            ScalarValue::Int8(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int16(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int32(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int64(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt8(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt16(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt32(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt64(Some(value)) => Some(integer((*value).into())),
            // A single is written as the double it equals.
            ScalarValue::Float32(Some(value)) => float((*value).into()),
            ScalarValue::Float64(Some(value)) => float(*value),
            // A column of this type may be a `UInt64`, in whose `IN` lists no decimals stand.
            ScalarValue::Decimal128(Some(value), 20, 0) => {
                (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(value).then(|| integer(*value))
            }
            ScalarValue::Decimal128(Some(value), precision, scale) => decimal(&value.to_string(), *precision, *scale),
            ScalarValue::Decimal256(Some(value), precision, scale) => decimal(&value.to_string(), *precision, *scale),
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => Some(string(text)),
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
                Some(hexadecimal(bytes))
            }
            ScalarValue::Date32(Some(days)) => {
                let date = DateTime::from_timestamp(i64::from(*days) * 86_400, 0)?.date_naive();
                is_date32(date).then(|| format!("toDate32('{}')", date.format("%Y-%m-%d")))
            }
            ScalarValue::TimestampSecond(Some(value), Some(_)) => {
                let second = u32::try_from(*value).ok()?;
                let instant = DateTime::from_timestamp(second.into(), 0)?;
                Some(format!("toDateTime('{}', 'UTC')", instant.format("%Y-%m-%d %H:%M:%S")))
            }
            ScalarValue::TimestampMillisecond(Some(value), Some(_)) => instant(naive(*value, 1_000)?, 3),
            ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => instant(naive(*value, 1_000_000)?, 6),
            ScalarValue::TimestampNanosecond(Some(value), Some(_)) => instant(naive(*value, 1_000_000_000)?, 9),
            ScalarValue::Dictionary(_, value) => self.literal(value),
            _ => None,
        }
    }

    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        match (Stored::parse(&column.remote_type).of, value) {
            (Type::Uuid, value) => {
                let text = text(value).filter(|text| is_uuid(text))?;
                Some(format!("toUUID('{text}')"))
            }
            (Type::Enum(labels), value) => {
                let text = text(value)?;
                labels.iter().any(|label| label == text).then(|| string(text))
            }
            (Type::Ipv4, value) => {
                let text = text(value)?;
                let address: Ipv4Addr = text.parse().ok()?;
                // Others of its spellings are not what we read.
                (address.to_string() == text).then(|| format!("toIPv4('{text}')"))
            }
            // Zero has a sign, which is no difference over there.
            (Type::Float(32), ScalarValue::Float32(Some(number))) if *number != 0.0 => float((*number).into()),
            (Type::Float(64), ScalarValue::Float64(Some(number))) if *number != 0.0 => float(*number),
            // A shorter one would be filled up with zeros.
            (
                Type::FixedString(length),
                ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)),
            ) => (bytes.len() as u64 == length).then(|| hexadecimal(bytes)),
            _ => None,
        }
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "Bool".to_owned(),
            DataType::Int16 => "Int16".to_owned(),
            DataType::Int32 => "Int32".to_owned(),
            DataType::Int64 => "Int64".to_owned(),
            DataType::Float32 => "Float32".to_owned(),
            DataType::Float64 => "Float64".to_owned(),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => decimal_name(*precision, *scale)?,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "String".to_owned(),
            DataType::Date32 => "Date32".to_owned(),
            DataType::Timestamp(TimeUnit::Second, Some(_)) => "DateTime('UTC')".to_owned(),
            DataType::Timestamp(TimeUnit::Millisecond, Some(_)) => "DateTime64(3, 'UTC')".to_owned(),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "DateTime64(6, 'UTC')".to_owned(),
            DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "DateTime64(9, 'UTC')".to_owned(),
            _ => return None,
        };
        // A cast to a type that is not nullable fails on NULL.
        Some(format!("Nullable({name})"))
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        let cast = || Some(format!("CAST({sql} AS {})", self.type_name(to)?));
        match (from, to) {
            (from, to) if from == to => Some(sql.to_owned()),
            // The server compares integers of any two types exactly, and their values arrive exactly.
            (from, to) if whole_digits(from).zip(whole_digits(to)).is_some_and(|(from, to)| from <= to) => Some(sql.to_owned()),
            (from, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) => {
                let (digits, fraction) = match from {
                    DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                        (i16::from(*precision) - i16::from(*scale), *scale)
                    }
                    other => (whole_digits(other)?, 0),
                };
                if fraction <= *scale && digits <= i16::from(*precision) - i16::from(*scale) { cast() } else { None }
            }
            (DataType::Int16 | DataType::Int32 | DataType::Float32, DataType::Float64) => cast(),
            // What a `DateTime` holds, all of them hold.
            (DataType::Timestamp(TimeUnit::Second, Some(_)), DataType::Timestamp(_, Some(_))) => cast(),
            (DataType::Timestamp(TimeUnit::Millisecond, Some(_)), DataType::Timestamp(TimeUnit::Microsecond, Some(_))) => cast(),
            _ => None,
        }
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        if Stored::parse(&column.remote_type).of.is_printed() { format!("toString({sql})") } else { sql.to_owned() }
    }

    fn tells_null(&self, _column: &RemoteColumn) -> bool {
        true
    }

    fn order_by(&self, sql: &str, _data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let nulls = match nulls {
            NullOrder::First => "FIRST",
            NullOrder::Last => "LAST",
        };
        format!("{sql} {direction} NULLS {nulls}")
    }

    fn group_by(&self, sql: &str, _data_type: &DataType) -> String {
        sql.to_owned()
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("ifNull({left} = {right}, ({left} IS NULL) AND ({right} IS NULL))")
    }

    fn joins_outer_on_anything(&self) -> bool {
        false
    }

    fn like(&self) -> LikeSupport {
        // It knows no ESCAPE clause in every version, and reads a backslash twice.
        LikeSupport::Local
    }

    fn longest_list(&self) -> usize {
        // Each literal is a call of a function to the parser, which takes 50,000 elements in all.
        1_000
    }

    fn computes(&self) -> bool {
        // Integers wrap around.
        false
    }

    fn quotient(&self, _left: &str, _right: &str, _scale: u8) -> Option<String> {
        None
    }

    fn computes_named_queries_once(&self) -> bool {
        false
    }

    fn takes_subqueries_for_values(&self) -> bool {
        false
    }

    fn keeps_collations(&self) -> bool {
        false
    }

    fn function(&self, _name: &str, _arguments: &[Argument<'_>], _result: &DataType) -> Option<String> {
        None
    }

    /// Sums wrap around. Of no rows the least and the greatest are zero unless they are asked for as here.
    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String> {
        match (name, argument) {
            ("count", None) if *result == DataType::Int64 => Some(format!("count(){over}")),
            ("count", Some(argument)) if *result == DataType::Int64 => Some(format!("count({}){over}", argument.sql)),
            ("min" | "max", Some(argument)) if argument.data_type == *result && is_ordered_alike(result) => {
                Some(format!("{name}OrNull({}){over}", argument.sql))
            }
            _ => None,
        }
    }

    /// It counts in unsigned integers, which have no type in common with signed ones.
    fn rank(&self, sql: &str) -> String {
        format!("toInt64({sql})")
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!("LIMIT {limit}"),
            (None, offset) => format!("OFFSET {offset}"),
            (Some(limit), offset) => format!("LIMIT {limit} OFFSET {offset}"),
        }
    }
}

fn is_ordered_alike(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Utf8
            | DataType::Date32
            | DataType::Timestamp(..)
    )
}

/// How many decimal digits hold every value of an integer type.
fn whole_digits(data_type: &DataType) -> Option<i16> {
    match data_type {
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    }
}

/// In parentheses where a sign could meet another.
fn integer(value: i128) -> String {
    if value < 0 { format!("({value})") } else { value.to_string() }
}

/// A literal that is a double to the server, with as many digits as tell it from its neighbours.
fn float(value: f64) -> Option<String> {
    value.is_finite().then(|| if value.is_sign_negative() { format!("({value:e})") } else { format!("{value:e}") })
}

fn decimal_name(precision: u8, scale: i8) -> Option<String> {
    (scale >= 0).then(|| format!("Decimal({precision}, {scale})"))
}

/// A literal of exactly the type: one with another scale would be compared otherwise in `IN`.
fn decimal(unscaled: &str, precision: u8, scale: i8) -> Option<String> {
    let name = decimal_name(precision, scale)?;
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!("CAST('{sign}{whole}{point}{fraction}' AS {name})"))
}

/// A text in quotes, whatever it holds.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '\0' => quoted.push_str("\\0"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 9);
    text.push_str("unhex('");
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text.push_str("')");
    text
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.as_deref(),
        _ => None,
    }
}

/// Whether it is a UUID as the server prints it.
fn is_uuid(text: &str) -> bool {
    let is_expected = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_expected)
}

/// What `Date32` and `DateTime64` reach; beyond it the server takes the nearest that they do.
fn is_date32(date: NaiveDate) -> bool {
    (1900..=2299).contains(&date.year())
}

fn instant(instant: NaiveDateTime, digits: usize) -> Option<String> {
    let fraction = format!("{:09}", instant.and_utc().timestamp_subsec_nanos());
    let whole = instant.format("%Y-%m-%d %H:%M:%S");
    is_date32(instant.date()).then(|| format!("toDateTime64('{whole}.{}', {digits}, 'UTC')", &fraction[..digits]))
}

fn naive(value: i64, per_second: i64) -> Option<NaiveDateTime> {
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    DateTime::from_timestamp(value.div_euclid(per_second), u32::try_from(nanos).ok()?).map(|instant| instant.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{Comparison, Presentation};

    fn column(remote_type: &str) -> RemoteColumn {
        RemoteColumn {
            name: "c".to_owned(),
            remote_type: remote_type.to_owned(),
            data_type: DataType::Utf8,
            presentation: Presentation::Plain,
            nullable: true,
            comment: None,
            collation: None,
            comparison: Comparison::None,
        }
    }

    #[test]
    fn literals_are_exact_or_none() {
        let utc = Some("+00:00".into());
        let cases = [
            (ScalarValue::Int64(Some(i64::MIN)), Some("(-9223372036854775808)")),
            (ScalarValue::Float32(Some(1.1)), Some("1.100000023841858e0")),
            (ScalarValue::Float64(Some(f64::NAN)), None),
            (ScalarValue::Decimal128(Some(-5), 10, 2), Some("CAST('-0.05' AS Decimal(10, 2))")),
            (ScalarValue::Decimal128(Some(u64::MAX.into()), 20, 0), Some("18446744073709551615")),
            (ScalarValue::Decimal128(Some(i128::from(u64::MAX) + 1), 20, 0), None),
            (ScalarValue::Utf8(Some("it's \\ \0".to_owned())), Some("'it\\'s \\\\ \\0'")),
            (ScalarValue::Binary(Some(vec![0, 255])), Some("unhex('00FF')")),
            (ScalarValue::Date32(Some(0)), Some("toDate32('1970-01-01')")),
            (ScalarValue::Date32(Some(-25_567)), Some("toDate32('1900-01-01')")),
            (ScalarValue::Date32(Some(-25_568)), None),
            (ScalarValue::Date32(Some(i32::MAX)), None),
            (ScalarValue::TimestampSecond(Some(-1), utc.clone()), None),
            (ScalarValue::TimestampSecond(Some(u32::MAX.into()), utc.clone()), Some("toDateTime('2106-02-07 06:28:15', 'UTC')")),
            (ScalarValue::TimestampSecond(Some(i64::from(u32::MAX) + 1), utc.clone()), None),
            (ScalarValue::TimestampMillisecond(Some(-1), utc.clone()), Some("toDateTime64('1969-12-31 23:59:59.999', 3, 'UTC')")),
            (ScalarValue::TimestampMicrosecond(Some(i64::MIN), utc.clone()), None),
            (ScalarValue::TimestampMicrosecond(Some(0), None), None),
            (ScalarValue::TimestampNanosecond(Some(1), utc), Some("toDateTime64('1970-01-01 00:00:00.000000001', 9, 'UTC')")),
        ];
        for (value, expected) in cases {
            assert_eq!(ClickHouseDialect.literal(&value).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn literals_of_a_columns_own_type_are_values_that_it_can_have() {
        let uuid = "61f0c404-5cb3-11e7-907b-a6006ad3dba0";
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let cases = [
            ("UUID", text(uuid), Some("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')")),
            ("UUID", text(&uuid.to_uppercase()), None),
            ("Nullable(Enum8('a' = 1))", text("a"), Some("'a'")),
            ("Enum8('a' = 1)", text("b"), None),
            ("IPv4", text("1.2.3.4"), Some("toIPv4('1.2.3.4')")),
            ("IPv4", text("1.2.3.004"), None),
            ("IPv6", text("::1"), None),
            ("FixedString(2)", ScalarValue::Binary(Some(vec![65, 0])), Some("unhex('4100')")),
            ("FixedString(2)", ScalarValue::Binary(Some(vec![65])), None),
            ("Int128", text("5"), None),
            ("Float64", ScalarValue::Float64(Some(-1.5)), Some("(-1.5e0)")),
            ("Float64", ScalarValue::Float64(Some(-0.0)), None),
            ("Float64", ScalarValue::Float64(Some(f64::INFINITY)), None),
            ("Float32", ScalarValue::Float64(Some(1.5)), None),
        ];
        for (remote_type, value, expected) in cases {
            assert_eq!(ClickHouseDialect.literal_of(&column(remote_type), &value).as_deref(), expected, "{remote_type} {value:?}");
        }
    }

    #[test]
    fn names_cannot_end_early() {
        assert_eq!(ClickHouseDialect.quote("a`b\\"), "`a``b\\\\`");
        assert_eq!(ClickHouseDialect.table("d", "t"), "`d`.`t`");
    }

    #[test]
    fn only_what_cannot_wrap_or_default_is_aggregated() {
        let argument = |data_type: DataType| Argument { sql: "a".to_owned(), data_type, literal: None };
        let of =
            |name: &str, data_type: DataType, result: DataType| ClickHouseDialect.aggregate(name, Some(&argument(data_type)), "", &result);
        assert_eq!(ClickHouseDialect.aggregate("count", None, "", &DataType::Int64).as_deref(), Some("count()"));
        assert_eq!(of("max", DataType::Int32, DataType::Int32).as_deref(), Some("maxOrNull(a)"));
        assert_eq!(of("max", DataType::Float64, DataType::Float64), None);
        assert_eq!(of("sum", DataType::Int64, DataType::Int64), None);
        assert_eq!(of("avg", DataType::Float64, DataType::Float64), None);
    }
}
