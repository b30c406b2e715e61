//! How PostgreSQL writes SQL, and which of its functions give our results.
//!
//! Text that is not `text` over there (`uuid`, `json`, enumerations, ...) is `Utf8` here, so an argument of text is cast before a
//! function sees it: the cast gives what we would have read.

mod function;
#[cfg(test)]
mod tests;

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType, IntervalUnit, TimeUnit,
};
use datafusion::scalar::ScalarValue;

use crate::remote::{Comparison, RemoteColumn};
use crate::sql::{Argument, ChangeDialect, ChangeForms, Dialect, LikeSupport, NullOrder, Quoting};

/// PostgreSQL's dialect, for sessions with `standard_conforming_strings` on, `TimeZone` UTC and ISO dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresDialect {
    texts: Texts,
}

/// What a database takes its texts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    Characters,
    Bytes,
}

impl PostgresDialect {
    /// Of a database that knows where characters begin.
    pub(super) const CHARACTERS: Self = Self { texts: Texts::Characters };
    /// Of one whose encoding is `SQL_ASCII`, which counts bytes where we count characters.
    pub(super) const BYTES: Self = Self { texts: Texts::Bytes };
}

impl Dialect for PostgresDialect {
    fn quote(&self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }

    fn quoting(&self) -> Quoting {
        Quoting::Standard
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", self.quote(schema), self.quote(name))
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        if value.is_null() {
            return Some(format!("NULL::{}", self.type_name(&value.data_type())?));
        }
        Some(match value {
            ScalarValue::Boolean(Some(true)) => "TRUE".to_owned(),
            ScalarValue::Boolean(Some(false)) => "FALSE".to_owned(),
            ScalarValue::Int8(Some(value)) => integer(i64::from(*value), "smallint"),
            ScalarValue::Int16(Some(value)) => integer(i64::from(*value), "smallint"),
            ScalarValue::Int32(Some(value)) => integer(i64::from(*value), "integer"),
            ScalarValue::Int64(Some(value)) => integer(*value, "bigint"),
            // The shortest text that reads back as the same number.
            ScalarValue::Float32(Some(value)) if value.is_finite() => format!("'{value:e}'::real"),
            ScalarValue::Float64(Some(value)) if value.is_finite() => format!("'{value:e}'::double precision"),
            ScalarValue::Decimal128(Some(value), precision, scale) if *scale >= 0 => {
                format!("'{}'::numeric", Decimal128Type::format_decimal(*value, *precision, *scale))
            }
            ScalarValue::Decimal256(Some(value), precision, scale) if *scale >= 0 => {
                format!("'{}'::numeric", Decimal256Type::format_decimal(*value, *precision, *scale))
            }
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => string(text)?,
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
                hexadecimal(bytes)
            }
            ScalarValue::Date32(Some(days)) => format!("'{}'::date", date(*days)?),
            ScalarValue::TimestampMicrosecond(Some(value), None) => format!("'{}'::timestamp", timestamp(*value)?),
            ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => match *value {
                i64::MIN | i64::MAX => format!("'{}'::timestamptz", timestamp(*value)?),
                instant => format!("'{}+00'::timestamptz", timestamp(instant)?),
            },
            ScalarValue::Time64Microsecond(Some(value)) => format!("'{}'::time", time_of_day(*value)?),
            _ => return None,
        })
    }

    /// A `uuid` reads as its canonical text, and only such a text can be equal to one.
    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        match value {
            ScalarValue::Utf8(Some(text)) if column.remote_type == "uuid" && is_canonical_uuid(text) => Some(format!("'{text}'::uuid")),
            _ => None,
        }
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        Some(
            match data_type {
                DataType::Boolean => "boolean",
                DataType::Int8 | DataType::Int16 => "smallint",
                DataType::Int32 => "integer",
                DataType::Int64 => "bigint",
                DataType::Float32 => "real",
                DataType::Float64 => "double precision",
                // Without precision and scale: they would round silently, while the reader refuses what does not fit.
                DataType::Decimal128(_, 0..) | DataType::Decimal256(_, 0..) => "numeric",
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
                DataType::Date32 => "date",
                DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
                DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz",
                DataType::Time64(TimeUnit::Microsecond) => "time",
                DataType::Interval(IntervalUnit::MonthDayNano) => "interval",
                DataType::List(element) if !matches!(element.data_type(), DataType::List(_)) => {
                    return Some(format!("{}[]", self.type_name(element.data_type())?));
                }
                _ => return None,
            }
            .to_owned(),
        )
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        let exact = match (from, to) {
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => true,
            (DataType::Int8 | DataType::Int16, DataType::Float32) => true,
            (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Float32, DataType::Float64) => true,
            (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, None)) => true,
            _ => match (integer_digits(from), integer_digits(to), decimal_digits(from), decimal_digits(to)) {
                (Some(narrow), Some(wide), ..) => narrow <= wide,
                (Some(digits), _, _, Some((whole, _))) => digits <= whole,
                // The widest type of all is what two decimals meet in, even where it holds fewer digits than they have: then we fail.
                (_, _, Some((whole, scale)), Some((wider, finer))) => scale <= finer && (whole <= wider || is_widest(to)),
                _ => false,
            },
        };
        if exact { Some(format!("CAST({sql} AS {})", self.type_name(to)?)) } else { None }
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        if arrives_as_it_is(&column.remote_type, &column.data_type) {
            return sql.to_owned();
        }
        if column.remote_type == "inet" {
            // A cast to text adds the prefix length of a single host, which PostgreSQL does not show; concat prints as it does.
            return format!("nullif(concat({sql}), '')");
        }
        match self.type_name(&column.data_type) {
            Some(name) => format!("CAST({sql} AS {name})"),
            None => sql.to_owned(),
        }
    }

    fn fetched(&self, column: &RemoteColumn, sql: &str) -> String {
        if has_text_form(&column.remote_type, &column.data_type) { sql.to_owned() } else { self.output(column, sql) }
    }

    fn tells_null(&self, _column: &RemoteColumn) -> bool {
        true
    }

    fn order_by(&self, sql: &str, _data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let nulls = if nulls == NullOrder::First { "FIRST" } else { "LAST" };
        format!("{sql} {direction} NULLS {nulls}")
    }

    fn group_by(&self, sql: &str, _data_type: &DataType) -> String {
        sql.to_owned()
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    fn joins_outer_on_anything(&self) -> bool {
        true
    }

    fn like(&self) -> LikeSupport {
        match self.texts {
            Texts::Characters => LikeSupport::Exact,
            // `_` matches one byte over there.
            Texts::Bytes => LikeSupport::Local,
        }
    }

    fn computes(&self) -> bool {
        true
    }

    /// What does not divide evenly `numeric` rounds at a digit of its own choice; `div` cuts off what is behind the point.
    fn quotient(&self, left: &str, right: &str, scale: u8) -> Option<String> {
        Some(format!("(div({left} * '1e{scale}'::numeric, {right}) * '1e-{scale}'::numeric)"))
    }

    fn computes_named_queries_once(&self) -> bool {
        true
    }

    fn takes_subqueries_for_values(&self) -> bool {
        true
    }

    fn keeps_collations(&self) -> bool {
        true
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String> {
        match (self.texts, name) {
            (Texts::Bytes, "character_length" | "char_length" | "length" | "substr" | "substring") => None,
            (Texts::Characters | Texts::Bytes, _) => function::scalar(self, name, arguments, result),
        }
    }

    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String> {
        function::aggregate(self, name, argument, over, result)
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

impl ChangeDialect for PostgresDialect {
    fn forms(&self) -> ChangeForms {
        ChangeForms::ALL
    }

    /// What is no text there is read from one as its own type reads it; numbers that are none have their names.
    fn assigned(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        match value {
            value if value.is_null() => Some("NULL".to_owned()),
            ScalarValue::Float32(Some(value)) if !value.is_finite() => Some(format!("'{value}'::real")),
            ScalarValue::Float64(Some(value)) if !value.is_finite() => Some(format!("'{value}'::double precision")),
            ScalarValue::Utf8(Some(text)) if column.comparison == Comparison::None || column.comparison == Comparison::OwnType => {
                // Not cast: a cast to `varchar(3)` cuts what an assignment refuses.
                string(text).map(|literal| literal.trim_end_matches("::text").to_owned())
            }
            value => self.literal(value),
        }
    }

    fn by_code_point(&self, column: &RemoteColumn, sql: &str) -> Option<String> {
        (column.comparison == Comparison::Equality).then(|| format!("({sql} COLLATE \"C\")"))
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn integer(value: i64, type_name: &str) -> String {
    // A cast binds closer than a sign, and would meet the smallest integer without it.
    if value < 0 { format!("({value})::{type_name}") } else { format!("{value}::{type_name}") }
}

/// PostgreSQL's text has no NUL.
fn string(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    Some(format!("'{}'::text", text.replace('\'', "''")))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut sql = String::with_capacity(2 * bytes.len() + 11);
    sql.push_str("'\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            sql.push(char::from_digit(u32::from(digit), 16).expect("half a byte is one hexadecimal digit"));
        }
    }
    sql.push_str("'::bytea");
    sql
}

/// Dates of the years 1 to 9999, whose text is beyond doubt, and the infinities.
fn date(days: i32) -> Option<String> {
    const FIRST: i32 = -719_162;
    const LAST: i32 = 2_932_896;
    match days {
        i32::MIN => Some("-infinity".to_owned()),
        i32::MAX => Some("infinity".to_owned()),
        FIRST..=LAST => Some(chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0)?.format("%Y-%m-%d").to_string()),
        _ => None,
    }
}

fn timestamp(microseconds: i64) -> Option<String> {
    const FIRST: i64 = -719_162 * 86_400_000_000;
    const LAST: i64 = 2_932_897 * 86_400_000_000 - 1;
    match microseconds {
        i64::MIN => Some("-infinity".to_owned()),
        i64::MAX => Some("infinity".to_owned()),
        FIRST..=LAST => Some(chrono::DateTime::from_timestamp_micros(microseconds)?.format("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        _ => None,
    }
}

fn time_of_day(microseconds: i64) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    match microseconds {
        0..DAY => Some(chrono::DateTime::from_timestamp_micros(microseconds)?.format("%H:%M:%S%.6f").to_string()),
        _ => None,
    }
}

/// How many decimal digits any value of an integer type needs at most.
fn integer_digits(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    }
}

/// Digits before and after the point.
fn decimal_digits(data_type: &DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            let scale = u8::try_from(*scale).ok()?;
            Some((precision.checked_sub(scale)?, scale))
        }
        _ => None,
    }
}

/// Whether no decimal of its kind has more digits.
fn is_widest(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _))
}

/// Whether values of the type PostgreSQL calls `remote_type` are sent in the binary form that `data_type` is decoded from.
///
/// Types of users are printed with their schema when they share a name with one of these; all that is not known here is cast.
fn arrives_as_it_is(remote_type: &str, data_type: &DataType) -> bool {
    // `timestamp(3) without time zone` is `timestamp` and a tail, with a modifier between them.
    let is = |head, tail| is_type(remote_type, head, tail);
    match data_type {
        DataType::Boolean => is("boolean", ""),
        DataType::Int16 => is("smallint", ""),
        DataType::Int32 => is("integer", ""),
        DataType::Int64 => is("bigint", ""),
        DataType::Float32 => is("real", ""),
        DataType::Float64 => is("double precision", ""),
        DataType::Decimal128(..) | DataType::Decimal256(..) => is("numeric", ""),
        DataType::Utf8 => is("text", "") || is("character varying", "") || is("json", ""),
        DataType::Binary => is("bytea", ""),
        DataType::Date32 => is("date", ""),
        DataType::Timestamp(TimeUnit::Microsecond, None) => is("timestamp", " without time zone"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => is("timestamp", " with time zone"),
        DataType::Time64(TimeUnit::Microsecond) => is("time", " without time zone"),
        DataType::Interval(IntervalUnit::MonthDayNano) => is("interval", ""),
        DataType::List(element) => remote_type.strip_suffix("[]").is_some_and(|item| arrives_as_it_is(item, element.data_type())),
        _ => false,
    }
}

/// Whether the binary form of values of that type, or of arrays of it, is decoded to their text. The source would make the text at a
/// multiple of the cost.
fn has_text_form(remote_type: &str, data_type: &DataType) -> bool {
    let is = |head| is_type(remote_type, head, "");
    match data_type {
        DataType::Utf8 => is("character") || is("bpchar") || is("uuid") || is("jsonb"),
        DataType::List(element) => remote_type.strip_suffix("[]").is_some_and(|item| has_text_form(item, element.data_type())),
        _ => false,
    }
}

/// Whether `remote_type` is `head` and `tail`, with or without a modifier between them.
fn is_type(remote_type: &str, head: &str, tail: &str) -> bool {
    remote_type.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|modifier| {
        modifier.is_empty()
            || modifier
                .strip_prefix('(')
                .and_then(|inner| inner.strip_suffix(')'))
                .is_some_and(|inner| inner.bytes().all(|b| b.is_ascii_digit() || b == b','))
    })
}

/// 8-4-4-4-12 hexadecimal digits, in lower case as PostgreSQL prints them.
fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
