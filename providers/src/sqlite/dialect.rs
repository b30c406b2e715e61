//! How SQLite writes SQL, and what of it computes as we do.

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::temporal_conversions::date32_to_datetime;
use datafusion::scalar::ScalarValue;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::bind::{Affinity, Binding};

use crate::remote::{Comparison, RemoteColumn};
use crate::sql::{Argument, ChangeDialect, ChangeForms, Dialect, LikeSupport, NullOrder, Quoting};

/// The dialect. Its connections must have double-quoted strings off, as the `sqlite` connector's do: an unknown `"name"` is an error
/// then and never a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqliteDialect {
    nulls: Nulls,
}

/// Whether SQLite knows which values are NULL to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Known,
    /// Values that are read as others, or as NULL, are not.
    Unknown,
}

impl SqliteDialect {
    /// Of a datasource that refuses values which belie their column.
    pub(super) const EXACT: Self = Self { nulls: Nulls::Known };
    /// Of one that reads others in their place.
    pub(super) const LENIENT: Self = Self { nulls: Nulls::Unknown };
}

impl Dialect for SqliteDialect {
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
            return Some("NULL".to_owned());
        }
        match value {
            ScalarValue::Boolean(Some(value)) => Some(integer(i64::from(*value))),
            ScalarValue::Int8(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int16(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int32(Some(value)) => Some(integer((*value).into())),
            ScalarValue::Int64(Some(value)) => Some(integer(*value)),
            ScalarValue::UInt8(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt16(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt32(Some(value)) => Some(integer((*value).into())),
            ScalarValue::UInt64(Some(value)) => i64::try_from(*value).ok().map(integer),
            ScalarValue::Float32(Some(value)) => real((*value).into()),
            ScalarValue::Float64(Some(value)) => real(*value),
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => string(text),
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
                Some(blob(bytes))
            }
            ScalarValue::Date32(Some(days)) => date(*days),
            // Decimals and timestamps are stored in several forms, none of which a literal compares with as a value.
            _ => None,
        }
    }

    /// Columns that do not compare as they read are compared here.
    fn literal_of(&self, _column: &RemoteColumn, _value: &ScalarValue) -> Option<String> {
        None
    }

    fn type_name(&self, _data_type: &DataType) -> Option<String> {
        // A cast of SQLite turns any value into any type without an error: 'abc' becomes 0.
        None
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        // All integers are one type of 64 bits over there.
        let width = |data_type: &DataType| match data_type {
            DataType::Int8 => Some(8),
            DataType::Int16 => Some(16),
            DataType::Int32 => Some(32),
            DataType::Int64 => Some(64),
            _ => None,
        };
        (width(from)? <= width(to)?).then(|| sql.to_owned())
    }

    fn output(&self, _column: &RemoteColumn, sql: &str) -> String {
        sql.to_owned()
    }

    fn tells_null(&self, column: &RemoteColumn) -> bool {
        // What is compared there holds nothing but values of its type.
        self.nulls == Nulls::Known || column.comparison != Comparison::None
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
        format!("({left} IS {right})")
    }

    fn joins_outer_on_anything(&self) -> bool {
        true
    }

    fn like(&self) -> LikeSupport {
        // It ignores the case of ASCII letters.
        LikeSupport::Local
    }

    fn computes(&self) -> bool {
        // An integer that overflows becomes a REAL.
        false
    }

    fn quotient(&self, _left: &str, _right: &str, _scale: u8) -> Option<String> {
        None
    }

    /// Since 3.35.
    fn computes_named_queries_once(&self) -> bool {
        true
    }

    fn takes_subqueries_for_values(&self) -> bool {
        false
    }

    fn keeps_collations(&self) -> bool {
        false
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String> {
        match (name, arguments) {
            ("coalesce", _) if self.nulls == Nulls::Unknown => None,
            ("coalesce", [_, _, ..]) if arguments.iter().all(|a| a.data_type == *result || a.data_type == DataType::Null) => {
                let written: Vec<&str> = arguments.iter().map(|a| a.sql.as_str()).collect();
                Some(format!("coalesce({})", written.join(", ")))
            }
            _ => None,
        }
    }

    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String> {
        match (name, argument) {
            ("count", Some(_)) if self.nulls == Nulls::Unknown => None,
            ("count", None) if *result == DataType::Int64 => Some(format!("count(*){over}")),
            ("count", Some(argument)) if *result == DataType::Int64 => Some(format!("count({}){over}", argument.sql)),
            // The order of floats has NaN for us and not there; text and the rest are for the caller to compare.
            ("min" | "max", Some(argument)) if argument.data_type == *result && is_ordered_alike(result) => {
                Some(format!("{name}({}){over}", argument.sql))
            }
            // It adds 64-bit integers and fails when they overflow.
            ("sum", Some(argument)) if argument.data_type == DataType::Int64 && *result == DataType::Int64 => {
                Some(format!("sum({}){over}", argument.sql))
            }
            _ => None,
        }
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        // More rows than a signed 64-bit number counts are not there.
        let signed = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!("LIMIT {}", signed(limit)),
            (None, offset) => format!("LIMIT -1 OFFSET {}", signed(offset)),
            (Some(limit), offset) => format!("LIMIT {} OFFSET {}", signed(limit), signed(offset)),
        }
    }
}

impl ChangeDialect for SqliteDialect {
    fn forms(&self) -> ChangeForms {
        ChangeForms { assigns_defaults: false, ..ChangeForms::ALL }
    }

    /// In the form it is inserted in: a decimal or a moment has several, of which one reads back.
    fn assigned(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        if value.is_null() {
            return Some("NULL".to_owned());
        }
        let array = value.cast_to(&column.data_type).ok()?.to_array().ok()?;
        let binding = Binding::new(column, Affinity::of(&column.remote_type, false), &array).ok()?;
        match binding.value(0).ok()? {
            ToSqlOutput::Owned(Value::Integer(value)) => Some(integer(value)),
            ToSqlOutput::Owned(Value::Real(value)) => real(value),
            ToSqlOutput::Owned(Value::Text(text)) => string(&text),
            ToSqlOutput::Borrowed(ValueRef::Text(text)) => string(std::str::from_utf8(text).ok()?),
            ToSqlOutput::Borrowed(ValueRef::Blob(bytes)) => Some(blob(bytes)),
            _ => None,
        }
    }

    fn by_code_point(&self, column: &RemoteColumn, sql: &str) -> Option<String> {
        (column.comparison == Comparison::SupersetEquality).then(|| format!("({sql} COLLATE BINARY)"))
    }

    fn assigned_integer(&self, sql: &str) -> String {
        // The one integer without an absolute value is how to fail.
        format!("CASE WHEN typeof({sql}) = 'real' THEN abs(-9223372036854775807 - 1) ELSE {sql} END")
    }
}

fn is_ordered_alike(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Boolean | DataType::Utf8 | DataType::Binary
    )
}

/// In parentheses when negative: `x -` and `-1` make a comment together.
fn integer(value: i64) -> String {
    if value < 0 { format!("({value})") } else { value.to_string() }
}

fn string(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
}

fn blob(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("X'");
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).expect("four bits are a hexadecimal digit").to_ascii_uppercase());
        }
    }
    text.push('\'');
    text
}

/// Years of four digits only: their text sorts as dates do.
fn date(days: i32) -> Option<String> {
    let date = date32_to_datetime(days)?.date();
    (0..=9999).contains(&chrono::Datelike::year(&date)).then(|| format!("'{}'", date.format("%Y-%m-%d")))
}

/// A double as an expression whose value in SQLite is that very double, or `None` when there is no short one.
///
/// SQLite promises to read 15 digits. Beyond them the double is written as its integer significand divided by a power of two: both are
/// exact doubles, and so is their quotient.
fn real(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    if significant <= 15 && exponent.abs() <= 15 {
        let text = format!("{value:?}");
        return Some(if value.is_sign_negative() { format!("({text})") } else { text });
    }
    let bits = value.to_bits();
    let biased = i32::try_from(bits >> 52 & 0x7ff).ok()?;
    if biased == 0 {
        return None;
    }
    let significand = i64::try_from(bits & ((1 << 52) - 1) | 1 << 52).ok()?;
    let zeros = significand.trailing_zeros();
    let odd = if value < 0.0 { -(significand >> zeros) } else { significand >> zeros };
    let power = biased - 1075 + i32::try_from(zeros).ok()?;
    let factor = |power: i32| 1_i64 << power;
    match power {
        -124..=-63 => Some(format!("(CAST({odd} AS REAL) / {} / {})", factor(62), factor(-power - 62))),
        -62..=-1 => Some(format!("(CAST({odd} AS REAL) / {})", factor(-power))),
        0..=62 => Some(format!("(CAST({odd} AS REAL) * {})", factor(power))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(sql: &str, data_type: DataType) -> Argument<'static> {
        Argument { sql: sql.to_owned(), data_type, literal: None }
    }

    fn sqlite() -> rusqlite::Connection {
        rusqlite::Connection::open_in_memory().unwrap()
    }

    fn read<T: rusqlite::types::FromSql>(expression: &str) -> T {
        sqlite().query_row(&format!("SELECT {expression}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        assert_eq!(SqliteDialect::EXACT.quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(SqliteDialect::EXACT.table("main", "t x"), "\"main\".\"t x\"");
    }

    #[test]
    fn literals_come_back_from_sqlite_as_they_were() {
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(read::<i64>(&SqliteDialect::EXACT.literal(&ScalarValue::from(value)).unwrap()), value);
        }
        for text in ["", "it's", "a\\'; --", "\"x\"", "naïve ☃", "line\nbreak"] {
            assert_eq!(read::<String>(&SqliteDialect::EXACT.literal(&ScalarValue::from(text)).unwrap()), text);
        }
        let bytes = vec![0_u8, 1, 0xab, 0xff];
        assert_eq!(read::<Vec<u8>>(&SqliteDialect::EXACT.literal(&ScalarValue::Binary(Some(bytes.clone()))).unwrap()), bytes);
        assert_eq!(SqliteDialect::EXACT.literal(&ScalarValue::Utf8(None)).as_deref(), Some("NULL"));
        assert_eq!(SqliteDialect::EXACT.literal(&ScalarValue::Date32(Some(19782))).as_deref(), Some("'2024-02-29'"));
        assert_eq!(SqliteDialect::EXACT.literal(&ScalarValue::Boolean(Some(true))).as_deref(), Some("1"));
    }

    #[test]
    fn what_has_no_exact_literal_has_none() {
        let none = [
            ScalarValue::from("nul\0byte"),
            ScalarValue::from(f64::NAN),
            ScalarValue::from(f64::INFINITY),
            ScalarValue::from(f64::MIN_POSITIVE / 2.0),
            ScalarValue::from(u64::MAX),
            ScalarValue::Date32(Some(3_000_000)),
            ScalarValue::Decimal128(Some(1), 3, 1),
            ScalarValue::TimestampMicrosecond(Some(0), None),
        ];
        for value in none {
            assert_eq!(SqliteDialect::EXACT.literal(&value), None, "{value:?}");
        }
    }

    #[test]
    fn doubles_come_back_bit_for_bit() {
        let database = sqlite();
        // A fixed generator: what fails once fails always.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut doubles = vec![0.1, 0.1 + 0.2, 1.0 / 3.0, 1e15, 1e-15, 9_007_199_254_740_993.0, -0.1, 123.45, 4.6e18, 5e-324, f64::MAX];
        for _ in 0..20_000 {
            let bits = next();
            doubles.push(f64::from_bits(bits & !(0x7ff << 52) | (1023 - 70 + next() % 130) << 52));
            #[expect(clippy::cast_precision_loss, reason = "any double will do")]
            doubles.push((bits % 1_000_000_000_000_000) as f64 / 10_f64.powi((next() % 16) as i32));
        }
        let mut written = 0;
        for value in doubles {
            if let Some(sql) = real(value) {
                let back: f64 = database.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).unwrap();
                assert_eq!(back.to_bits(), value.to_bits(), "{value:e} as {sql}");
                written += 1;
            }
        }
        assert!(written > 39_000, "{written} of 40,011 were written");
    }

    #[test]
    fn only_what_is_exact_is_computed_there() {
        let dialect = SqliteDialect::EXACT;
        assert_eq!(dialect.aggregate("count", None, "", &DataType::Int64).as_deref(), Some("count(*)"));
        let int = argument("\"a\"", DataType::Int64);
        let float = argument("\"f\"", DataType::Float64);
        assert_eq!(dialect.aggregate("sum", Some(&int), "", &DataType::Int64).as_deref(), Some("sum(\"a\")"));
        assert_eq!(dialect.aggregate("max", Some(&int), "", &DataType::Int64).as_deref(), Some("max(\"a\")"));
        for (name, argument) in [("avg", &int), ("sum", &float), ("min", &float), ("stddev", &int)] {
            assert_eq!(dialect.aggregate(name, Some(argument), "", &argument.data_type), None, "{name}");
        }
        assert_eq!(dialect.function("coalesce", &[int.clone(), int.clone()], &DataType::Int64).as_deref(), Some("coalesce(\"a\", \"a\")"));
        assert_eq!(dialect.function("coalesce", &[int.clone(), float], &DataType::Float64), None);
        // Where values are read as NULL, only rows are counted.
        let lenient = SqliteDialect::LENIENT;
        assert_eq!(lenient.aggregate("count", None, "", &DataType::Int64).as_deref(), Some("count(*)"));
        assert!(dialect.aggregate("count", Some(&int), "", &DataType::Int64).is_some());
        assert_eq!(lenient.aggregate("count", Some(&int), "", &DataType::Int64), None);
        assert_eq!(lenient.function("coalesce", &[int.clone(), int.clone()], &DataType::Int64), None);
        assert_eq!(dialect.function("lower", &[int], &DataType::Utf8), None);
        assert_eq!(dialect.widening_cast("x", &DataType::Int32, &DataType::Int64).as_deref(), Some("x"));
        assert_eq!(dialect.widening_cast("x", &DataType::Int64, &DataType::Int32), None);
        assert_eq!(dialect.widening_cast("x", &DataType::Int64, &DataType::Float64), None);
    }

    #[test]
    fn limits_and_orders() {
        assert_eq!(SqliteDialect::EXACT.limit(None, 0), "");
        assert_eq!(SqliteDialect::EXACT.limit(Some(5), 0), "LIMIT 5");
        assert_eq!(SqliteDialect::EXACT.limit(None, 3), "LIMIT -1 OFFSET 3");
        assert_eq!(SqliteDialect::EXACT.limit(Some(u64::MAX), 1), format!("LIMIT {} OFFSET 1", i64::MAX));
        assert_eq!(SqliteDialect::EXACT.order_by("a", &DataType::Int64, false, NullOrder::Last), "a DESC NULLS LAST");
        assert_eq!(read::<i64>(&SqliteDialect::EXACT.null_safe_equal("NULL", "NULL")), 1);
    }
}
