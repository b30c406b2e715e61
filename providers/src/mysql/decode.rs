//! From the driver's values to Arrow: one builder per wanted column, and an error for every value that does not fit it exactly.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, LargeBinaryBuilder,
    LargeStringBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, SchemaRef, TimeUnit, i256};
use mysql_async::{Row, Value};

use super::policy::ZeroDates;
use crate::error::{Error, ErrorKind, Result};

/// Days from 0001-01-01 to 1970-01-01, as chrono counts them from the common era.
const EPOCH: i32 = 719_163;

/// Rows on their way to a batch.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    zero_dates: ZeroDates,
    /// The table each column is one of, as far as the server told; empty for what is computed.
    tables: Vec<String>,
    rows: usize,
    bytes: usize,
}

impl BatchBuilder {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an Arrow type no column of this connector has.
    pub(super) fn new(schema: SchemaRef, zero_dates: ZeroDates) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| Column::new(field)).collect::<Result<_>>()?;
        Ok(Self { schema, columns, zero_dates, tables: Vec::new(), rows: 0, bytes: 0 })
    }

    /// Tells which tables the columns of the result are of, for errors.
    pub(super) fn come_from(&mut self, tables: Vec<String>) {
        self.tables = tables;
    }

    /// Rows taken since the last batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes they hold.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a row, whose values are those of the schema by position.
    pub(super) fn push(&mut self, row: Row) -> Result<()> {
        // A schema without columns counts rows; the statement then selects something all the same.
        if row.len() != self.columns.len() && !self.columns.is_empty() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("the statement gave {} columns where {} were expected", row.len(), self.columns.len()),
            ));
        }
        let values = row.unwrap_raw();
        for (at, ((column, field), value)) in self.columns.iter_mut().zip(self.schema.fields()).zip(values).enumerate() {
            let value = value.unwrap_or(Value::NULL);
            if value == Value::NULL && !field.is_nullable() {
                return Err(Error::new(ErrorKind::Failed, format!("column \"{}\" is NOT NULL but holds NULL", field.name()))
                    .hint("the remote table has changed: refresh the datasource's catalog"));
            }
            self.bytes += 8 + if let Value::Bytes(bytes) = &value { bytes.len() } else { 0 };
            match column.push(value) {
                Err(Fault::NoDate(_)) if self.zero_dates == ZeroDates::Null && field.is_nullable() => column.push_null(),
                pushed => pushed.map_err(|fault| fault.at(field, self.tables.get(at).filter(|table| !table.is_empty())))?,
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows taken so far as a batch; the builder is empty again.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|cause| Error::new(ErrorKind::Internal, "a batch does not match its schema").because(cause))
    }
}

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// It is of another type than the column's.
    Mismatch(&'static str),
    /// A date that is none, as the server's looser modes let in.
    NoDate(String),
    /// It does not fit the type.
    TooLarge,
    /// Its bytes are not UTF-8.
    NotText,
}

impl Fault {
    fn at(self, field: &Field, table: Option<&String>) -> Error {
        let error = self.in_column(field);
        let Some(table) = table else { return error };
        Error::new(error.kind(), format!("table \"{table}\": {}", error.message())).hint(error.hint_text().unwrap_or_default())
    }

    fn in_column(self, field: &Field) -> Error {
        let column = field.name();
        match self {
            Fault::Mismatch(arrived) => {
                Error::new(ErrorKind::Failed, format!("column \"{column}\" arrived as {arrived}, not as {}", field.data_type()))
                    .hint("the remote table has changed: refresh the datasource's catalog")
            }
            Fault::NoDate(shown) => Error::new(ErrorKind::Invalid, format!("column \"{column}\" holds {shown}, which is no date"))
                .hint("correct the value at the source, leave it out of the query, or set the datasource's option `zero_dates`"),
            Fault::TooLarge if *field.data_type() == DataType::Boolean => {
                Error::new(ErrorKind::Invalid, format!("column \"{column}\" holds a number that is neither 0 nor 1"))
                    .hint("correct the value at the source, or leave the datasource's option `tinyint1` at `integer`")
            }
            Fault::TooLarge => {
                Error::new(ErrorKind::Invalid, format!("column \"{column}\" holds a number that does not fit {}", field.data_type()))
                    .hint("select an expression of a wider type")
            }
            Fault::NotText => Error::new(ErrorKind::Invalid, format!("column \"{column}\" holds bytes that are not UTF-8"))
                .hint("correct the value at the source, or make the column a binary type there"),
        }
    }
}

enum Column {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Text(StringBuilder),
    LargeText(LargeStringBuilder),
    TextView(StringViewBuilder),
    Binary(BinaryBuilder),
    LargeBinary(LargeBinaryBuilder),
}

impl Column {
    fn new(field: &Field) -> Result<Self> {
        let decimal = |cause| Error::new(ErrorKind::Internal, "a decimal type is not valid").because(cause);
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            &DataType::Decimal128(precision, scale) if scale >= 0 => {
                let builder = Decimal128Builder::new().with_precision_and_scale(precision, scale).map_err(decimal)?;
                Self::Decimal128(builder, precision, scale)
            }
            &DataType::Decimal256(precision, scale) if scale >= 0 => {
                let builder = Decimal256Builder::new().with_precision_and_scale(precision, scale).map_err(decimal)?;
                Self::Decimal256(builder, precision, scale)
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeText(LargeStringBuilder::new()),
            DataType::Utf8View => Self::TextView(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::LargeBinary => Self::LargeBinary(LargeBinaryBuilder::new()),
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("column \"{}\": a MySQL server has no values of type {other}", field.name()),
                ));
            }
        })
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        if value == Value::NULL {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Boolean(to) => to.append_value(boolean(&value)?),
            Self::Int8(to) => to.append_value(integer(&value)?),
            Self::Int16(to) => to.append_value(integer(&value)?),
            Self::Int32(to) => to.append_value(integer(&value)?),
            Self::Int64(to) => to.append_value(integer(&value)?),
            Self::UInt64(to) => to.append_value(integer(&value)?),
            Self::Float32(to) => to.append_value(single(&value)?),
            Self::Float64(to) => to.append_value(double(&value)?),
            Self::Decimal128(to, precision, scale) => to.append_value(decimal128(&value, *precision, *scale)?),
            Self::Decimal256(to, precision, scale) => to.append_value(decimal256(&value, *precision, *scale)?),
            Self::Date(to) => to.append_value(date(&value)?),
            Self::Timestamp(to) => to.append_value(timestamp(&value)?),
            Self::Interval(to) => to.append_value(interval(&value)?),
            Self::Text(to) => to.append_value(text(&value)?),
            Self::LargeText(to) => to.append_value(text(&value)?),
            Self::TextView(to) => to.append_value(text(&value)?),
            Self::Binary(to) => to.append_value(bytes(&value)?),
            Self::LargeBinary(to) => to.append_value(bytes(&value)?),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(to) => to.append_null(),
            Self::Int8(to) => to.append_null(),
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::UInt64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Decimal128(to, ..) => to.append_null(),
            Self::Decimal256(to, ..) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
            Self::Interval(to) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::LargeText(to) => to.append_null(),
            Self::TextView(to) => to.append_null(),
            Self::Binary(to) => to.append_null(),
            Self::LargeBinary(to) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Boolean(builder) => builder,
            Self::Int8(builder) => builder,
            Self::Int16(builder) => builder,
            Self::Int32(builder) => builder,
            Self::Int64(builder) => builder,
            Self::UInt64(builder) => builder,
            Self::Float32(builder) => builder,
            Self::Float64(builder) => builder,
            Self::Decimal128(builder, ..) => builder,
            Self::Decimal256(builder, ..) => builder,
            Self::Date(builder) => builder,
            Self::Timestamp(builder) => builder,
            Self::Interval(builder) => builder,
            Self::Text(builder) => builder,
            Self::LargeText(builder) => builder,
            Self::TextView(builder) => builder,
            Self::Binary(builder) => builder,
            Self::LargeBinary(builder) => builder,
        };
        builder.finish()
    }
}

fn arrived(value: &Value) -> Fault {
    Fault::Mismatch(match value {
        Value::NULL => "NULL",
        Value::Bytes(_) => "text or bytes",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) | Value::Double(_) => "a floating point number",
        Value::Date(..) => "a date",
        Value::Time(..) => "a time",
    })
}

fn boolean(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Int(0) | Value::UInt(0) => Ok(false),
        Value::Int(1) | Value::UInt(1) => Ok(true),
        // A bit(1) is its byte.
        Value::Bytes(bytes) => match bytes.as_slice() {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(arrived(value)),
        },
        Value::Int(_) | Value::UInt(_) => Err(Fault::TooLarge),
        _ => Err(arrived(value)),
    }
}

/// An integer, or a decimal without fraction: the server's sum of integers is a decimal.
fn integer<T: TryFrom<i128>>(value: &Value) -> Result<T, Fault> {
    let wide = match value {
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        Value::Bytes(digits) => Digits::parse(digits).ok_or_else(|| arrived(value))?.scaled(38, 0)?,
        _ => return Err(arrived(value)),
    };
    T::try_from(wide).map_err(|_| Fault::TooLarge)
}

fn single(value: &Value) -> Result<f32, Fault> {
    match value {
        Value::Float(number) => Ok(*number),
        // Functions over a float may give a double, which still is that float.
        Value::Double(number) if f64::from(*number as f32) == *number => Ok(*number as f32),
        Value::Double(_) => Err(Fault::TooLarge),
        _ => Err(arrived(value)),
    }
}

fn double(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        _ => Err(arrived(value)),
    }
}

fn decimal128(value: &Value, precision: u8, scale: i8) -> Result<i128, Fault> {
    let mut small = [0; 20];
    digits(value, &mut small)?.scaled(precision, scale)
}

fn decimal256(value: &Value, precision: u8, scale: i8) -> Result<i256, Fault> {
    let mut small = [0; 20];
    let digits = digits(value, &mut small)?;
    let unscaled = digits.unscaled(precision, scale)?;
    i256::from_string(&unscaled).ok_or(Fault::TooLarge)
}

fn digits<'a>(value: &'a Value, small: &'a mut [u8; 20]) -> Result<Digits<'a>, Fault> {
    match value {
        Value::Bytes(bytes) => Digits::parse(bytes).ok_or_else(|| arrived(value)),
        Value::Int(number) => Ok(Digits::of(*number < 0, number.unsigned_abs(), small)),
        Value::UInt(number) => Ok(Digits::of(false, *number, small)),
        _ => Err(arrived(value)),
    }
}

/// A decimal number as the server writes it.
#[derive(Debug, Clone, Copy)]
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, fraction) = match rest.iter().position(|byte| *byte == b'.') {
            Some(point) => (&rest[..point], &rest[point + 1..]),
            None => (rest, &[][..]),
        };
        let is_number = whole.len() + fraction.len() > 0 && whole.iter().chain(fraction).all(u8::is_ascii_digit);
        is_number.then_some(Self { negative, whole, fraction })
    }

    fn of(negative: bool, mut magnitude: u64, room: &'a mut [u8; 20]) -> Self {
        let mut at = room.len();
        loop {
            at -= 1;
            room[at] = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
            if magnitude == 0 {
                break;
            }
        }
        Self { negative, whole: &room[at..], fraction: &[] }
    }

    /// The fraction's digits that a type of `scale` keeps, and how many zeros follow. Digits lost must be zeros.
    fn kept(&self, scale: i8) -> Result<(&'a [u8], usize), Fault> {
        let scale = usize::try_from(scale).map_err(|_| Fault::TooLarge)?;
        let (kept, lost) = self.fraction.split_at(scale.min(self.fraction.len()));
        if lost.iter().any(|digit| *digit != b'0') {
            return Err(Fault::TooLarge);
        }
        Ok((kept, scale - kept.len()))
    }

    /// The number times ten to the power of `scale`, of at most `precision` digits, itself at most 38.
    fn scaled(&self, precision: u8, scale: i8) -> Result<i128, Fault> {
        let (kept, zeros) = self.kept(scale)?;
        let mut number: i128 = 0;
        for digit in self.whole.iter().chain(kept).copied().chain(std::iter::repeat_n(b'0', zeros)) {
            number = number.checked_mul(10).and_then(|n| n.checked_add(i128::from(digit - b'0'))).ok_or(Fault::TooLarge)?;
        }
        if number >= 10_i128.pow(u32::from(precision.min(38))) {
            return Err(Fault::TooLarge);
        }
        Ok(if self.negative { -number } else { number })
    }

    /// As [`scaled`](Self::scaled), in digits.
    fn unscaled(&self, precision: u8, scale: i8) -> Result<String, Fault> {
        let (kept, zeros) = self.kept(scale)?;
        let all: String = self.whole.iter().chain(kept).map(|digit| char::from(*digit)).chain(std::iter::repeat_n('0', zeros)).collect();
        let significant = all.trim_start_matches('0');
        if significant.len() > usize::from(precision) {
            return Err(Fault::TooLarge);
        }
        let sign = if self.negative && !significant.is_empty() { "-" } else { "" };
        Ok(format!("{sign}{}", if significant.is_empty() { "0" } else { significant }))
    }
}

fn day(year: u16, month: u8, day: u8) -> Result<i32, Fault> {
    use chrono::Datelike;
    chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))
        .map(|date| date.num_days_from_ce() - EPOCH)
        .ok_or_else(|| Fault::NoDate(format!("{year:04}-{month:02}-{day:02}")))
}

fn date(value: &Value) -> Result<i32, Fault> {
    match value {
        Value::Date(y, m, d, 0, 0, 0, 0) => day(*y, *m, *d),
        _ => Err(arrived(value)),
    }
}

fn timestamp(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Date(y, m, d, hour, minute, second, micros) => {
            let seconds = i64::from(day(*y, *m, *d)?) * 86_400 + i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
            Ok(seconds * 1_000_000 + i64::from(*micros))
        }
        _ => Err(arrived(value)),
    }
}

fn interval(value: &Value) -> Result<IntervalMonthDayNano, Fault> {
    match value {
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let seconds = i64::from(*days) * 86_400 + i64::from(*hours) * 3600 + i64::from(*minutes) * 60 + i64::from(*seconds);
            let nanos = seconds * 1_000_000_000 + i64::from(*micros) * 1000;
            Ok(IntervalMonthDayNano::new(0, 0, if *negative { -nanos } else { nanos }))
        }
        _ => Err(arrived(value)),
    }
}

fn text(value: &Value) -> Result<&str, Fault> {
    std::str::from_utf8(bytes(value)?).map_err(|_| Fault::NotText)
}

fn bytes(value: &Value) -> Result<&[u8], Fault> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(arrived(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(digits: &str) -> Value {
        Value::Bytes(digits.as_bytes().to_vec())
    }

    #[test]
    fn decimals_are_rescaled_without_loss() {
        assert_eq!(decimal128(&of("-12.50"), 10, 2), Ok(-1250));
        assert_eq!(decimal128(&of("12"), 10, 2), Ok(1200));
        assert_eq!(decimal128(&of("0.000"), 10, 2), Ok(0));
        assert_eq!(decimal128(&of("0.001"), 10, 2), Err(Fault::TooLarge));
        assert_eq!(decimal128(&of("123.45"), 4, 2), Err(Fault::TooLarge));
        assert_eq!(decimal128(&Value::UInt(u64::MAX), 20, 0), Ok(i128::from(u64::MAX)));
        assert_eq!(decimal128(&Value::Int(i64::MIN), 20, 0), Ok(i128::from(i64::MIN)));
        assert_eq!(decimal128(&of(&"9".repeat(38)), 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal128(&of(&"9".repeat(40)), 38, 0), Err(Fault::TooLarge));
        assert!(decimal128(&of("1e5"), 10, 2).is_err());
        assert!(decimal128(&of(""), 10, 2).is_err());
        let wide = decimal256(&of(&format!("-{}.5", "9".repeat(60))), 65, 2).unwrap();
        assert_eq!(wide.to_string(), format!("-{}50", "9".repeat(60)));
        assert_eq!(decimal256(&of("-0.00"), 65, 2), Ok(i256::ZERO));
    }

    #[test]
    fn integers_must_fit() {
        assert_eq!(integer::<i64>(&of("9223372036854775807")), Ok(i64::MAX));
        assert_eq!(integer::<i64>(&of("9223372036854775808")), Err(Fault::TooLarge));
        assert_eq!(integer::<i64>(&of("1.0")), Ok(1));
        assert_eq!(integer::<i64>(&of("1.5")), Err(Fault::TooLarge));
        assert_eq!(integer::<i16>(&Value::Int(40_000)), Err(Fault::TooLarge));
        assert_eq!(integer::<i16>(&of("abc")), Err(Fault::Mismatch("text or bytes")));
    }

    #[test]
    fn dates_that_are_none_are_errors() {
        assert_eq!(date(&Value::Date(1970, 1, 2, 0, 0, 0, 0)), Ok(1));
        assert_eq!(date(&Value::Date(0, 0, 0, 0, 0, 0, 0)), Err(Fault::NoDate("0000-00-00".to_owned())));
        assert_eq!(timestamp(&Value::Date(2024, 2, 31, 1, 0, 0, 0)), Err(Fault::NoDate("2024-02-31".to_owned())));
        assert_eq!(timestamp(&Value::Date(1969, 12, 31, 23, 59, 59, 999_999)), Ok(-1));
    }

    #[test]
    fn floats_keep_their_value() {
        assert_eq!(single(&Value::Double(f64::from(1.1_f32))), Ok(1.1_f32));
        assert_eq!(single(&Value::Double(1.1)), Err(Fault::TooLarge));
        assert_eq!(double(&Value::Float(1.1)), Ok(f64::from(1.1_f32)));
    }
}
