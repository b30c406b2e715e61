//! The functions PostgreSQL computes exactly as DataFusion does, by DataFusion's names.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;

use super::{PostgresDialect, decimal_digits, is_text};
use crate::sql::{Argument, Dialect};

pub(super) fn scalar(dialect: &PostgresDialect, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String> {
    match (name, arguments) {
        ("abs", [value]) if is_number(&value.data_type) && value.data_type == *result => Some(format!("abs({})", value.sql)),
        ("coalesce", [_, ..]) if arguments.iter().all(|a| a.data_type == *result || (is_text(&a.data_type) && is_text(result))) => {
            dialect.type_name(result)?;
            Some(format!("coalesce({})", arguments.iter().map(as_read).collect::<Vec<_>>().join(", ")))
        }
        // Floats are left out: NaN equals itself over there. So is text, whose collation decides what is equal.
        ("nullif", [left, right]) if is_exact(&left.data_type) && left.data_type == right.data_type && left.data_type == *result => {
            Some(format!("nullif({}, {})", left.sql, right.sql))
        }
        ("character_length" | "char_length" | "length", [text]) if is_text(&text.data_type) => {
            Some(format!("CAST(char_length({}) AS {})", as_read(text), dialect.type_name(result)?))
        }
        ("substr" | "substring", [text, from]) if is_text(&text.data_type) && is_text(result) => {
            Some(format!("substr({}, {})", as_read(text), constant(from, 1)?))
        }
        ("substr" | "substring", [text, from, length]) if is_text(&text.data_type) && is_text(result) => {
            Some(format!("substr({}, {}, {})", as_read(text), constant(from, 1)?, constant(length, 0)?))
        }
        // In the byte order of "C", because a collation in which other bytes are equal too makes it fail.
        ("starts_with", [text, prefix]) if is_text(&text.data_type) && is_text(&prefix.data_type) => {
            Some(format!("starts_with({} COLLATE \"C\", {} COLLATE \"C\")", as_read(text), as_read(prefix)))
        }
        ("date_part", [part, moment]) if *result == DataType::Int32 => date_part(part, moment),
        _ => None,
    }
}

pub(super) fn aggregate(
    dialect: &PostgresDialect,
    name: &str,
    argument: Option<&Argument<'_>>,
    over: &str,
    result: &DataType,
) -> Option<String> {
    let Some(argument) = argument else {
        return (name == "count" && *result == DataType::Int64).then(|| format!("count(*){over}"));
    };
    let sql = &argument.sql;
    match name {
        "count" if *result == DataType::Int64 => Some(format!("count({sql}){over}")),
        // Sums of integers are wider over there. One that does not fit ours fails, as does a decimal when it is read.
        "sum" if is_integer(&argument.data_type) && *result == DataType::Int64 => Some(format!("CAST(sum({sql}){over} AS bigint)")),
        "sum" if has_same_scale(&argument.data_type, result) => Some(format!("CAST(sum({sql}){over} AS numeric)")),
        "min" | "max" if argument.data_type == *result && (is_exact(result) || is_text(result)) && *result != DataType::Boolean => {
            Some(format!("CAST({name}({}){over} AS {})", as_read(argument), dialect.type_name(result)?))
        }
        // Ours divides unscaled integers and cuts off the rest, which is what div() does; numeric's own division rounds.
        "avg" => {
            let ((_, before), (_, after)) = (decimal_digits(&argument.data_type)?, decimal_digits(result)?);
            (before <= after).then(|| {
                format!("(div(sum({sql}){over} * '1e{after}'::numeric, CAST(count({sql}){over} AS numeric)) * '1e-{after}'::numeric)")
            })
        }
        _ => None,
    }
}

/// `date_part` of the calendar's fields, for dates and times without a zone.
fn date_part(part: &Argument<'_>, moment: &Argument<'_>) -> Option<String> {
    let part = match part.literal? {
        ScalarValue::Utf8(Some(part)) | ScalarValue::Utf8View(Some(part)) | ScalarValue::LargeUtf8(Some(part)) => part.to_lowercase(),
        _ => return None,
    };
    let type_name = match moment.data_type {
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        _ => return None,
    };
    let known = match part.as_str() {
        "year" | "month" | "day" | "quarter" | "doy" | "dow" => true,
        "hour" | "minute" => type_name == "timestamp",
        _ => false,
    };
    if !known {
        return None;
    }
    // Ours knows no fields of infinity and of years beyond 262142, and answers NULL.
    let sql = &moment.sql;
    let known = format!("CASE WHEN {sql} > '-infinity'::{type_name} AND {sql} < '262143-01-01'::{type_name} THEN {sql} END");
    let field = format!("CAST(date_part('{part}', {known}) AS integer)");
    // Ours counts a year 0 before the year 1, where PostgreSQL has the year -1.
    Some(match part.as_str() {
        "year" => format!("({field} + CASE WHEN {sql} < '0001-01-01'::{type_name} THEN 1 ELSE 0 END)"),
        _ => field,
    })
}

/// The argument as we would have read it: text is `text`.
fn as_read(argument: &Argument<'_>) -> String {
    if is_text(&argument.data_type) { format!("CAST({} AS text)", argument.sql) } else { argument.sql.clone() }
}

/// An integer literal of at least `least` that fits the `integer` that `substr` takes.
fn constant(argument: &Argument<'_>, least: i64) -> Option<i32> {
    let value = match argument.literal? {
        ScalarValue::Int64(Some(value)) => *value,
        ScalarValue::Int32(Some(value)) => i64::from(*value),
        _ => return None,
    };
    i32::try_from(value).ok().filter(|_| value >= least)
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn is_number(data_type: &DataType) -> bool {
    is_integer(data_type) || decimal_digits(data_type).is_some() || matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// Types whose `=` and `<` are the same everywhere.
fn is_exact(data_type: &DataType) -> bool {
    is_integer(data_type)
        || decimal_digits(data_type).is_some()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Time64(TimeUnit::Microsecond)
        )
}

fn has_same_scale(argument: &DataType, result: &DataType) -> bool {
    match (decimal_digits(argument), decimal_digits(result)) {
        (Some((_, before)), Some((_, after))) => before == after,
        _ => false,
    }
}
