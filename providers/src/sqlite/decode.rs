//! Values of SQLite into Arrow builders. A value that its column's type does not hold is an error, never a NULL or another value.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, LargeStringBuilder, StringBuilder, StringViewBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit, i256};
use rusqlite::types::{Type, ValueRef};

use super::policy::Mismatch;
use super::{decimal, instant};
use crate::error::{Error, ErrorKind, Result, VALUE_REFUSED};

/// The largest integer up to which every integer is a double.
const EXACT_DOUBLE: u64 = 1 << 53;

/// The builder of one column.
pub(super) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Utf8(StringBuilder),
    LargeUtf8(LargeStringBuilder),
    Utf8View(StringViewBuilder),
    Binary(BinaryBuilder),
    Date32(Date32Builder),
    Time64(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    /// A builder for the field's type.
    ///
    /// # Errors
    /// `Internal` for a type no column of SQLite is mapped to.
    pub(super) fn new(field: &Field) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal128(Decimal128Builder::new().with_data_type(field.data_type().clone()), *precision, *scale)
            }
            DataType::Decimal256(precision, scale) => {
                Self::Decimal256(Decimal256Builder::new().with_data_type(field.data_type().clone()), *precision, *scale)
            }
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeUtf8(LargeStringBuilder::new()),
            DataType::Utf8View => Self::Utf8View(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date32(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time64(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
                Self::Instant(TimestampMicrosecondBuilder::new().with_timezone(Arc::clone(zone)))
            }
            other => return Err(Error::new(ErrorKind::Internal, format!("a result of SQLite is asked for as {other}"))),
        })
    }

    /// Appends a value and says how many bytes it takes beyond a fixed few.
    ///
    /// # Errors
    /// `Invalid` naming the column when the value is not one of its type.
    pub(super) fn append(&mut self, field: &Field, value: ValueRef<'_>, mismatch: Mismatch) -> Result<usize> {
        if matches!(value, ValueRef::Null) {
            if !field.is_nullable() {
                return Err(belies(field, "NULL", "NULL", "the column is declared NOT NULL"));
            }
            self.append_null();
            return Ok(0);
        }
        if let Some(bytes) = self.append_some(value) {
            return Ok(bytes);
        }
        let replaced = match mismatch {
            Mismatch::Null if field.is_nullable() => {
                self.append_null();
                Some(0)
            }
            Mismatch::Text => self.append_written(value),
            Mismatch::Null | Mismatch::Refused => None,
        };
        replaced.ok_or_else(|| belies(field, storage_class(value), article(value), &format!("it is published as {}", field.data_type())))
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal128(builder, ..) => builder.append_null(),
            Self::Decimal256(builder, ..) => builder.append_null(),
            Self::Utf8(builder) => builder.append_null(),
            Self::LargeUtf8(builder) => builder.append_null(),
            Self::Utf8View(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::Date32(builder) => builder.append_null(),
            Self::Time64(builder) => builder.append_null(),
            Self::Timestamp(builder) | Self::Instant(builder) => builder.append_null(),
        }
    }

    /// `None` when the value is not one of the type.
    fn append_some(&mut self, value: ValueRef<'_>) -> Option<usize> {
        match self {
            Self::Boolean(builder) => builder.append_value(match integer(value)? {
                0 => false,
                1 => true,
                _ => return None,
            }),
            Self::Int16(builder) => builder.append_value(i16::try_from(integer(value)?).ok()?),
            Self::Int32(builder) => builder.append_value(i32::try_from(integer(value)?).ok()?),
            Self::Int64(builder) => builder.append_value(integer(value)?),
            Self::Float64(builder) => builder.append_value(double(value)?),
            Self::Decimal128(builder, precision, scale) => builder.append_value(decimal128(value, *precision, *scale)?),
            Self::Decimal256(builder, precision, scale) => builder.append_value(decimal256(value, *precision, *scale)?),
            Self::Utf8(builder) => return with_text(value, |text| builder.append_value(text)),
            Self::LargeUtf8(builder) => return with_text(value, |text| builder.append_value(text)),
            Self::Utf8View(builder) => return with_text(value, |text| builder.append_value(text)),
            Self::Binary(builder) => match value {
                ValueRef::Blob(bytes) => {
                    builder.append_value(bytes);
                    return Some(bytes.len());
                }
                _ => return None,
            },
            Self::Date32(builder) => builder.append_value(instant::date(text(value)?)?),
            Self::Time64(builder) => builder.append_value(instant::time(text(value)?)?),
            Self::Timestamp(builder) => builder.append_value(instant::timestamp(text(value)?)?),
            Self::Instant(builder) => builder.append_value(instant::instant(text(value)?)?),
        }
        Some(0)
    }

    /// Appends what SQLite would write for the value, to a column of text; or the bytes of that, to one of bytes.
    fn append_written(&mut self, value: ValueRef<'_>) -> Option<usize> {
        let written = match value {
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) if !matches!(self, Self::Binary(_)) => hexadecimal(bytes),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => return self.append_some(ValueRef::Blob(bytes)),
            ValueRef::Integer(value) => value.to_string(),
            ValueRef::Real(value) => format!("{value:?}"),
            ValueRef::Null => return None,
        };
        match self {
            Self::Binary(_) => self.append_some(ValueRef::Blob(written.as_bytes())),
            Self::Utf8(_) | Self::LargeUtf8(_) | Self::Utf8View(_) => self.append_some(ValueRef::Text(written.as_bytes())),
            _ => None,
        }
    }

    /// The array of what was appended; the builder is empty again.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal128(builder, ..) => Arc::new(builder.finish()),
            Self::Decimal256(builder, ..) => Arc::new(builder.finish()),
            Self::Utf8(builder) => Arc::new(builder.finish()),
            Self::LargeUtf8(builder) => Arc::new(builder.finish()),
            Self::Utf8View(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Date32(builder) => Arc::new(builder.finish()),
            Self::Time64(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) | Self::Instant(builder) => Arc::new(builder.finish()),
        }
    }
}

/// As SQLite writes a blob.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = "x'".to_owned();
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    text
}

fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

/// A double, or an integer that is one: views and expressions give integers in columns of REAL.
fn double(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Real(value) => Some(value),
        #[expect(clippy::cast_precision_loss, reason = "the guard leaves only integers that are doubles")]
        ValueRef::Integer(value) if value.unsigned_abs() <= EXACT_DOUBLE => Some(value as f64),
        _ => None,
    }
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Hands text to `take`. Numbers, which a column without a type of its own may hold, are written as SQL writes them.
fn with_text(value: ValueRef<'_>, take: impl FnOnce(&str)) -> Option<usize> {
    let written = match value {
        ValueRef::Text(_) => {
            let text = text(value)?;
            take(text);
            return Some(text.len());
        }
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    take(&written);
    Some(written.len())
}

fn decimal128(value: ValueRef<'_>, precision: u8, scale: i8) -> Option<i128> {
    match value {
        ValueRef::Integer(value) => decimal::scaled_integer(value, precision, scale),
        ValueRef::Real(value) => decimal::decimal128(&decimal::shortest(value)?, precision, scale),
        ValueRef::Text(_) => decimal::decimal128(text(value)?, precision, scale),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn decimal256(value: ValueRef<'_>, precision: u8, scale: i8) -> Option<i256> {
    match value {
        ValueRef::Integer(value) => decimal::decimal256(&value.to_string(), precision, scale),
        ValueRef::Real(value) => decimal::decimal256(&decimal::shortest(value)?, precision, scale),
        ValueRef::Text(_) => decimal::decimal256(text(value)?, precision, scale),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// The storage class in the words of SQLite's `typeof`.
fn storage_class(value: ValueRef<'_>) -> &'static str {
    match value.data_type() {
        Type::Null => "null",
        Type::Integer => "integer",
        Type::Real => "real",
        Type::Text => "text",
        Type::Blob => "blob",
    }
}

fn article(value: ValueRef<'_>) -> &'static str {
    match value.data_type() {
        Type::Null => "NULL",
        Type::Integer => "an integer",
        Type::Real => "a real",
        Type::Text => "text",
        Type::Blob => "a blob",
    }
}

fn belies(field: &Field, class: &str, what: &str, why: &str) -> Error {
    let column = field.name();
    let quoted = column.replace('"', "\"\"");
    Error::new(ErrorKind::Invalid, format!("column \"{column}\" holds {what} that does not fit: {why}")).code(VALUE_REFUSED).hint(format!(
        "look at the rows with typeof(\"{quoted}\") = '{}' and correct them, read the other columns, or set the datasource's option \
         `on_mismatch` to null or text",
        class.to_lowercase()
    ))
}
