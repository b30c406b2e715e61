//! Arrow's values as SQLite keeps them: in the form that is read back as the same value, or not at all.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, i256,
};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::{decimal, instant};
use crate::changes::takes_no_null;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteColumn;

/// What SQLite makes of values on their way into a column, by the words of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    /// Every value stays what it is.
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    pub(super) fn of(declared: &str, strict: bool) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        match () {
            () if has(&["INT"]) => Self::Integer,
            () if has(&["CHAR", "CLOB", "TEXT"]) => Self::Text,
            () if has(&["BLOB"]) || declared.trim().is_empty() || (strict && declared == "ANY") => Self::Blob,
            () if has(&["REAL", "FLOA", "DOUB"]) => Self::Real,
            () => Self::Numeric,
        }
    }

    fn keeps_text(self, text: &str) -> bool {
        if matches!(self, Self::Text | Self::Blob) {
            return true;
        }
        let trimmed = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        let is_number = trimmed.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let Some(number) = trimmed.parse::<f64>().ok().filter(|_| is_number) else { return true };
        if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) {
            return self != Self::Real;
        }
        // SQLite reads 15 digits exactly, and gives a whole number the form of an integer.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let stays_real = self == Self::Real || number.fract() != 0.0;
        digits <= 15 && stays_real && format!("{number:?}") == text && !is_negative_zero(number)
    }
}

/// One column of a batch.
pub(super) struct Binding<'a> {
    column: &'a RemoteColumn,
    affinity: Affinity,
    array: &'a dyn Array,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal128(&'a PrimitiveArray<Decimal128Type>, u8, i8),
    Decimal256(&'a PrimitiveArray<Decimal256Type>, u8, i8),
    Text(&'a datafusion::arrow::array::StringArray),
    Binary(&'a datafusion::arrow::array::BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Instant(&'a PrimitiveArray<TimestampMicrosecondType>),
}

impl<'a> Binding<'a> {
    /// # Errors
    /// `Internal` when the array has another type than the column.
    pub(super) fn new(column: &'a RemoteColumn, affinity: Affinity, array: &'a ArrayRef) -> Result<Self> {
        if *array.data_type() != column.data_type {
            let text = format!("column \"{}\" is {} and is given {}", column.name, column.data_type, array.data_type());
            return Err(Error::new(ErrorKind::Internal, text));
        }
        let values = match &column.data_type {
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int64 => Values::Int64(primitive(array)),
            DataType::Float64 => Values::Float64(primitive(array)),
            DataType::Decimal128(precision, scale) => Values::Decimal128(primitive(array), *precision, *scale),
            DataType::Decimal256(precision, scale) => Values::Decimal256(primitive(array), *precision, *scale),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::Date32 => Values::Date(primitive(array)),
            DataType::Time64(TimeUnit::Microsecond) => Values::Time(primitive(array)),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Values::Timestamp(primitive(array)),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Values::Instant(primitive(array)),
            other => return Err(Error::new(ErrorKind::Internal, format!("a column of SQLite is given as {other}"))),
        };
        Ok(Self { column, affinity, array, values })
    }

    /// The value of a row.
    ///
    /// # Errors
    /// `Invalid` naming the column when SQLite would keep another value, `Conflict` for a `NULL` that it takes for something else.
    pub(super) fn value(&self, row: usize) -> Result<ToSqlOutput<'_>> {
        if self.array.is_null(row) {
            return if self.column.nullable { Ok(ToSqlOutput::Owned(Value::Null)) } else { Err(takes_no_null(self.column)) };
        }
        let owned = match &self.values {
            Values::Boolean(values) => Value::Integer(values.value(row).into()),
            Values::Int64(values) => Value::Integer(values.value(row)),
            Values::Float64(values) => self.real(values.value(row))?,
            Values::Decimal128(values, precision, scale) => {
                let value = values.value(row);
                self.number(i256::from_i128(value), &values.value_as_string(row), *precision, *scale)?
            }
            Values::Decimal256(values, precision, scale) => {
                self.number(values.value(row), &values.value_as_string(row), *precision, *scale)?
            }
            Values::Text(values) => {
                let text = values.value(row);
                if !self.affinity.keeps_text(text) {
                    let why =
                        format!("text that reads like a number: SQLite makes one of it, as the column is {}", self.column.remote_type);
                    return Err(self.refuses(&why, "22P02").hint("declare the column TEXT at the source"));
                }
                return Ok(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())));
            }
            Values::Binary(values) => return Ok(ToSqlOutput::Borrowed(ValueRef::Blob(values.value(row)))),
            Values::Date(values) => self.moment(instant::written_date(values.value(row)))?,
            Values::Time(values) => self.moment(instant::written_time(values.value(row)))?,
            Values::Timestamp(values) => self.moment(instant::written_timestamp(values.value(row)))?,
            Values::Instant(values) => self.moment(instant::written_timestamp(values.value(row)).map(|text| text + "+00:00"))?,
        };
        Ok(ToSqlOutput::Owned(owned))
    }

    fn real(&self, value: f64) -> Result<Value> {
        if value.is_nan() {
            return Err(self.refuses("NaN, which SQLite makes NULL", "22003"));
        }
        if is_negative_zero(value) {
            return Err(self.refuses("-0.0, which SQLite makes 0.0", "22003"));
        }
        Ok(Value::Real(value))
    }

    /// A decimal as the integer or the double that reads back as it.
    fn number(&self, unscaled: i256, text: &str, precision: u8, scale: i8) -> Result<Value> {
        if matches!(self.affinity, Affinity::Text | Affinity::Blob) {
            return Ok(Value::Text(text.to_owned()));
        }
        let whole = text.split_once('.').map_or(text, |(whole, fraction)| if fraction.bytes().all(|b| b == b'0') { whole } else { "" });
        if let Ok(whole) = whole.parse::<i64>() {
            return Ok(Value::Integer(whole));
        }
        let real: Option<f64> = text.parse().ok();
        let read = real.and_then(decimal::shortest).and_then(|text| decimal::decimal256(&text, precision, scale));
        match (real, read) {
            (Some(real), Some(read)) if read == unscaled => Ok(Value::Real(real)),
            _ => Err(self.refuses("a number of more digits than SQLite keeps, which are about 15", "22003")),
        }
    }

    fn moment(&self, written: Option<String>) -> Result<Value> {
        written.map(Value::Text).ok_or_else(|| self.refuses("a moment beyond the years 0 to 9999 or the hours of a day", "22008"))
    }

    fn refuses(&self, what: &str, state: &str) -> Error {
        Error::new(ErrorKind::Invalid, format!("column \"{}\" cannot hold {what}", self.column.name)).remote_code(state)
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> &PrimitiveArray<T> {
    array.as_primitive()
}

fn is_negative_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// Whether SQLite reads the text back as it was, the way a scan writes what it finds.
    fn reads_back(declared: &str, text: &str) -> bool {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("CREATE TABLE t (v {declared})")).unwrap();
        connection.execute("INSERT INTO t VALUES (?)", [text]).unwrap();
        let found = connection.query_row("SELECT v FROM t", [], |row| row.get::<_, Value>(0)).unwrap();
        let found = match found {
            Value::Text(text) => text,
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => format!("{value:?}"),
            other => panic!("{other:?}"),
        };
        found == text
    }

    #[test]
    fn text_is_kept_only_where_it_reads_back() {
        let texts = [
            "",
            "a",
            "7",
            "007",
            "-7",
            "+7",
            " 7",
            "7 ",
            "7.0",
            "7.50",
            "7.5",
            "-7.5",
            ".5",
            "5.",
            "1e3",
            "1e400",
            "-0",
            "0",
            "0.0",
            "-0.0",
            "9223372036854775807",
            "9223372036854775808",
            "0.1",
            "0.30000000000000004",
            "123456789012345.6",
            "2024-01-01",
            "12:30",
            "0x10",
            "inf",
            "NaN",
            "1e5x",
            "e",
            "-",
            ".",
            "1_000",
            "100000.0",
            "1e-7",
            "7\n",
            "\u{a0}7",
        ];
        for declared in ["STRING", "JSON", "POINT", "REAL", "TEXT", "BLOB", "", "ANY"] {
            let affinity = Affinity::of(declared, false);
            for text in texts {
                let (keeps, reads) = (affinity.keeps_text(text), reads_back(declared, text));
                assert!(reads || !keeps, "{text:?} as {declared} is kept and changes");
                // What is refused without need are numbers written with more digits than are exact anyhow.
                assert!(
                    keeps || !reads || text.len() > 15 || text.starts_with("1e"),
                    "{text:?} as {declared} is refused and would not change"
                );
            }
        }
        assert!(Affinity::of("ANY", true).keeps_text("007"));
    }
}
