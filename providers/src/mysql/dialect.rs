//! How MySQL and MariaDB write SQL.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::scalar::ScalarValue;

use super::bind::Binding;
use crate::remote::{Comparison, RemoteColumn};
use crate::sql::{Argument, ChangeDialect, ChangeForms, Dialect, LikeSupport, NullOrder, Quoting};

/// The dialect of MySQL and MariaDB, for a session as the connector sets it: UTC, utf8mb4, double quotes are no identifiers.
///
/// No literal ever holds a quote or a backslash, so that no `sql_mode` can make one end early.
/// The default is what both servers understand alike.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MySqlDialect {
    flavor: Flavor,
    dates: Dates,
}

/// What a date that is none is to us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Dates {
    #[default]
    AsStored,
    NullWhenNone,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Flavor {
    #[default]
    Either,
    MariaDb,
    MySql,
}

/// The most digits of a decimal.
const DECIMAL_DIGITS: u8 = 65;
/// The most digits of a decimal's fraction on both servers.
const DECIMAL_SCALE: i8 = 30;

impl MySqlDialect {
    /// For a MariaDB server.
    pub(super) const fn maria_db() -> Self {
        Self { flavor: Flavor::MariaDb, dates: Dates::AsStored }
    }

    /// For a MySQL server.
    pub(super) const fn my_sql() -> Self {
        Self { flavor: Flavor::MySql, dates: Dates::AsStored }
    }

    /// The same for a datasource that reads a date such as `0000-00-00` as NULL: which dates are NULL is then decided here.
    #[must_use]
    pub(super) const fn with_dates_that_are_null(self) -> Self {
        Self { dates: Dates::NullWhenNone, ..self }
    }

    fn hides_nulls(&self, data_type: &DataType) -> bool {
        self.dates == Dates::NullWhenNone && matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
    }

    fn text(&self, text: &str) -> Option<String> {
        if text.chars().all(is_harmless) {
            return Some(format!("'{text}'"));
        }
        let bytes = format!("_utf8mb4 {}", hexadecimal(text.as_bytes()));
        if text.is_ascii() {
            return Some(bytes);
        }
        // Beside a column of a smaller character set the server refuses a literal that set cannot hold, unless the literal says how to
        // compare. It says: as we do, by code point and without padding. Beside utf8mb4 the column's index serves all the same.
        match self.flavor {
            Flavor::MariaDb => Some(format!("{bytes} COLLATE utf8mb4_nopad_bin")),
            Flavor::MySql => Some(format!("{bytes} COLLATE utf8mb4_0900_bin")),
            Flavor::Either => None,
        }
    }

    fn timestamp(&self, instant: Option<NaiveDateTime>) -> Option<String> {
        let instant = instant.filter(|instant| in_range(instant.date()))?;
        let micros = instant.and_utc().timestamp_subsec_micros();
        let whole = instant.format("%Y-%m-%d %H:%M:%S");
        match (micros, self.flavor) {
            (0, _) => Some(format!("TIMESTAMP'{whole}'")),
            // Beside an indexed column of lower precision MariaDB cuts a literal to fit, and `=` finds what is not equal; a cast it
            // leaves whole.
            (micros, Flavor::MariaDb) => Some(format!("CAST('{whole}.{micros:06}' AS DATETIME(6))")),
            (_, Flavor::MySql | Flavor::Either) => None,
        }
    }
}

impl Dialect for MySqlDialect {
    fn quote(&self, identifier: &str) -> String {
        format!("`{}`", identifier.replace('`', "``"))
    }

    fn quoting(&self) -> Quoting {
        Quoting::MySql
    }

    fn table(&self, schema: &str, name: &str) -> String {
        if schema.is_empty() { self.quote(name) } else { format!("{}.{}", self.quote(schema), self.quote(name)) }
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        if value.is_null() {
            return Some("NULL".to_owned());
        }
        match value {
            ScalarValue::Boolean(Some(value)) => Some(if *value { "TRUE" } else { "FALSE" }.to_owned()),
            ScalarValue::Int8(Some(value)) => Some(value.to_string()),
            ScalarValue::Int16(Some(value)) => Some(value.to_string()),
            ScalarValue::Int32(Some(value)) => Some(value.to_string()),
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt8(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt16(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt32(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt64(Some(value)) => Some(value.to_string()),
            // A single is written as the double it equals: `1.1` would be another number beside a float column.
            ScalarValue::Float32(Some(value)) => float(f64::from(*value)),
            ScalarValue::Float64(Some(value)) => float(*value),
            ScalarValue::Decimal128(Some(value), _, scale) => decimal(&value.to_string(), *scale),
            ScalarValue::Decimal256(Some(value), _, scale) => decimal(&value.to_string(), *scale),
            ScalarValue::Utf8(Some(value)) | ScalarValue::LargeUtf8(Some(value)) | ScalarValue::Utf8View(Some(value)) => self.text(value),
            ScalarValue::Binary(Some(value))
            | ScalarValue::LargeBinary(Some(value))
            | ScalarValue::BinaryView(Some(value))
            | ScalarValue::FixedSizeBinary(_, Some(value)) => Some(hexadecimal(value)),
            ScalarValue::Date32(Some(days)) => {
                let date = DateTime::from_timestamp(i64::from(*days) * 86_400, 0)?.date_naive();
                in_range(date).then(|| format!("DATE'{}'", date.format("%Y-%m-%d")))
            }
            ScalarValue::TimestampSecond(Some(value), _) => self.timestamp(naive(*value, 1)),
            ScalarValue::TimestampMillisecond(Some(value), _) => self.timestamp(naive(*value, 1_000)),
            ScalarValue::TimestampMicrosecond(Some(value), _) => self.timestamp(naive(*value, 1_000_000)),
            ScalarValue::TimestampNanosecond(Some(value), _) if value % 1_000 == 0 => self.timestamp(naive(*value, 1_000_000_000)),
            ScalarValue::Dictionary(_, value) => self.literal(value),
            _ => None,
        }
    }

    /// Columns that do not compare as they read are compared here.
    fn literal_of(&self, _column: &RemoteColumn, _value: &ScalarValue) -> Option<String> {
        None
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some("SIGNED".to_owned()),
            DataType::Float64 => Some("DOUBLE".to_owned()),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                // A type at its bound may have had more digits. A cast would give the largest number that fits; whoever reads it tells.
                let precision = if *precision == DECIMAL128_MAX_PRECISION { DECIMAL_DIGITS } else { *precision };
                (precision <= DECIMAL_DIGITS && (0..=DECIMAL_SCALE).contains(scale)).then(|| format!("DECIMAL({precision},{scale})"))
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some("CHAR".to_owned()),
            DataType::Binary | DataType::LargeBinary => Some("BINARY".to_owned()),
            DataType::Date32 => Some("DATE".to_owned()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some("DATETIME(6)".to_owned()),
            _ => None,
        }
    }

    /// Where the server compares the two types exactly anyhow, and the value arrives exactly, nothing is written: a cast would keep an
    /// index from being used.
    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        let unchanged = || Some(sql.to_owned());
        match (from, to) {
            (from, to) if from == to => unchanged(),
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                unchanged()
            }
            (from, to) if integer_digits(from).zip(integer_digits(to)).is_some_and(|(from, to)| from <= to) => unchanged(),
            (from, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) => {
                let (digits, fraction) = match from {
                    DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                        (i16::from(*precision) - i16::from(*scale), *scale)
                    }
                    other => (i16::from(integer_digits(other)?), 0),
                };
                let fits = fraction <= *scale && digits <= i16::from(*precision) - i16::from(*scale);
                if fits { unchanged() } else { None }
            }
            // Adding zero is the cast that every version has.
            (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Float32, DataType::Float64) => Some(format!("({sql} + 0e0)")),
            (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, None)) => Some(format!("CAST({sql} AS DATETIME(6))")),
            _ => None,
        }
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        let remote_type = column.remote_type.to_ascii_lowercase();
        let (name, arguments) = remote_type.split_once('(').unwrap_or((&remote_type, ""));
        match name.trim() {
            "bit" if column.data_type == DataType::Utf8 => {
                let width: u8 = arguments.trim_end_matches(')').trim().parse().unwrap_or(64);
                format!("LPAD(BIN({sql}), {width}, '0')")
            }
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
            | "geomcollection" => format!("ST_AsText({sql})"),
            "uuid" | "inet4" | "inet6" => format!("CAST({sql} AS CHAR)"),
            "date" | "datetime" | "timestamp" if column.data_type == DataType::Utf8 => format!("CAST({sql} AS CHAR)"),
            _ => sql.to_owned(),
        }
    }

    fn tells_null(&self, column: &RemoteColumn) -> bool {
        // `d IS NULL` finds a zero date too, in a column that is declared NOT NULL; an outer join makes it worth asking.
        !self.hides_nulls(&column.data_type) && (column.nullable || !matches!(column.data_type, DataType::Date32 | DataType::Timestamp(..)))
    }

    fn order_by(&self, sql: &str, data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let order = format!("{} {direction}", distinguished(sql, data_type).join(&format!(" {direction}, ")));
        // The server takes NULL for the smallest value; only where that is wanted may an index give the order.
        match (ascending, nulls) {
            (true, NullOrder::First) | (false, NullOrder::Last) => order,
            (true, NullOrder::Last) | (false, NullOrder::First) => format!("{sql} IS NULL {direction}, {order}"),
        }
    }

    fn group_by(&self, sql: &str, data_type: &DataType) -> String {
        distinguished(sql, data_type).join(", ")
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} <=> {right}")
    }

    fn joins_outer_on_anything(&self) -> bool {
        true
    }

    fn like(&self) -> LikeSupport {
        LikeSupport::Local
    }

    fn computes(&self) -> bool {
        false
    }

    /// What is computed with unsigned numbers is unsigned, and an error below zero.
    fn keeps_digits_of(&self, column: &RemoteColumn) -> bool {
        !column.remote_type.contains("unsigned")
    }

    /// Decimals keep all digits up to 65, and behind the point up to 30; what is beyond is cut without a word.
    fn keeps_digits(&self, whole: i16, fraction: i16) -> bool {
        whole + fraction <= i16::from(DECIMAL_DIGITS) && fraction <= i16::from(DECIMAL_SCALE)
    }

    fn quotient(&self, _left: &str, _right: &str, _scale: u8) -> Option<String> {
        None
    }

    fn computes_named_queries_once(&self) -> bool {
        false
    }

    fn takes_subqueries_for_values(&self) -> bool {
        true
    }

    fn keeps_collations(&self) -> bool {
        false
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String> {
        // Of numbers of one type the server returns that type, and compares them as we do. A zero date it would take for NULL.
        let is_exact = integer_digits(result).is_some() || matches!(result, DataType::Decimal128(..) | DataType::Decimal256(..));
        if !is_exact || arguments.iter().any(|argument| argument.data_type != *result) {
            return None;
        }
        match (name, arguments) {
            ("coalesce", [_, ..]) => Some(format!("COALESCE({})", list(arguments))),
            ("nullif", [_, _]) => Some(format!("NULLIF({})", list(arguments))),
            _ => None,
        }
    }

    /// A cast would turn what does not fit into the largest number that does, with no more than a warning. So none is written: a sum of
    /// integers arrives as a decimal, and decoding it is an error when it does not fit.
    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String> {
        match (name, argument) {
            ("count", None) => (*result == DataType::Int64).then(|| format!("COUNT(*){over}")),
            ("count", Some(argument)) if self.hides_nulls(&argument.data_type) => None,
            ("count", Some(argument)) => (*result == DataType::Int64).then(|| format!("COUNT({}){over}", argument.sql)),
            ("sum", Some(argument)) => {
                let is_exact = match (&argument.data_type, result) {
                    (integer, DataType::Int64) => integer_digits(integer).is_some(),
                    // The server's sum has 22 digits more than its argument, as many as rows can add, up to 65 in all.
                    (
                        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
                        DataType::Decimal128(_, to) | DataType::Decimal256(_, to),
                    ) => scale == to && *precision + 22 <= DECIMAL_DIGITS && *scale <= DECIMAL_SCALE,
                    _ => false,
                };
                is_exact.then(|| format!("SUM({}){over}", argument.sql))
            }
            ("min" | "max", Some(argument)) => {
                let is_exact = integer_digits(result).is_some()
                    || matches!(
                        result,
                        DataType::Decimal128(..)
                            | DataType::Decimal256(..)
                            | DataType::Date32
                            | DataType::Timestamp(TimeUnit::Microsecond, _)
                            | DataType::Utf8
                    );
                (is_exact && argument.data_type == *result).then(|| format!("{}({}){over}", name.to_ascii_uppercase(), argument.sql))
            }
            _ => None,
        }
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!("LIMIT {limit}"),
            // There is no OFFSET without LIMIT; this is the manual's way to say "all".
            (limit, offset) => format!("LIMIT {} OFFSET {offset}", limit.unwrap_or(u64::MAX)),
        }
    }
}

impl ChangeDialect for MySqlDialect {
    fn forms(&self) -> ChangeForms {
        let is_maria_db = self.flavor == Flavor::MariaDb;
        ChangeForms {
            assigns_defaults: true,
            assigns_at_once: is_maria_db,
            insert_returning: is_maria_db,
            delete_returning: is_maria_db,
            ..ChangeForms::default()
        }
    }

    /// What an insert would refuse, because the server would store another value, has no form.
    fn assigned(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        if value.is_null() {
            return Some("NULL".to_owned());
        }
        let array = value.cast_to(&column.data_type).ok()?.to_array().ok()?;
        Binding::new(column).value(&array, 0).ok()?;
        self.literal(value)
    }

    fn takes_computed(&self, column: &RemoteColumn) -> bool {
        let name = column.remote_type.split(['(', ' ']).next().unwrap_or_default();
        !["year", "bit", "enum", "set"].iter().any(|other| name.eq_ignore_ascii_case(other))
    }

    fn by_code_point(&self, column: &RemoteColumn, sql: &str) -> Option<String> {
        let collation = match self.flavor {
            Flavor::MariaDb => "utf8mb4_nopad_bin",
            Flavor::MySql => "utf8mb4_0900_bin",
            Flavor::Either => return None,
        };
        let compares = matches!(column.comparison, Comparison::Equality | Comparison::SupersetEquality);
        compares.then(|| format!("(CONVERT({sql} USING utf8mb4) COLLATE {collation})"))
    }
}

/// The sort keys that tell values of `data_type` apart. The server's sort, which may also serve its grouping, holds texts equal
/// that differ only in how many NUL characters they end in; of such the shorter one is the smaller.
fn distinguished(sql: &str, data_type: &DataType) -> Vec<String> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => vec![sql.to_owned(), format!("OCTET_LENGTH({sql})")],
        _ => vec![sql.to_owned()],
    }
}

/// Characters that mean nothing to the server within quotes, nor to the driver, which looks for parameters in the statement's text.
fn is_harmless(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ' ' | '_' | '-' | '.' | ',' | '/' | '+' | '@' | '(' | ')' | '%' | '&' | '!')
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("X'");
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\'');
    text
}

/// A literal that is a double to the server because it has an exponent, with as many digits as tell it from its neighbours.
fn float(value: f64) -> Option<String> {
    value.is_finite().then(|| format!("{value:e}"))
}

fn decimal(unscaled: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok().filter(|scale| *scale <= DECIMAL_SCALE as usize)?;
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if digits.len() > usize::from(DECIMAL_DIGITS) {
        return None;
    }
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// How many decimal digits hold every value of an integer type.
fn integer_digits(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    }
}

/// What the servers document as the range of dates.
fn in_range(date: NaiveDate) -> bool {
    (1000..=9999).contains(&date.year())
}

/// A timestamp in the session's zone, which is UTC; one in another zone is the same instant.
fn naive(value: i64, per_second: i64) -> Option<NaiveDateTime> {
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    DateTime::from_timestamp(value.div_euclid(per_second), u32::try_from(nanos).ok()?).map(|instant| instant.naive_utc())
}

fn list(arguments: &[Argument<'_>]) -> String {
    arguments.iter().map(|argument| argument.sql.as_str()).collect::<Vec<_>>().join(", ")
}
