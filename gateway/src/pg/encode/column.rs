//! The choice of a writer: Arrow type, presentation and format decide once per batch.

use bytes::{BufMut, BytesMut};
use causeway_providers::Presentation;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::array::list_writer;
use super::datetime::{Interval, UnitScale, write_interval};
use super::json::JsonColumn;
use super::numeric::Decimal;
use super::{Column, Format, Style, binary, flatten, text};
use crate::pg::pg_type::{self, CHAR, INT2, INT4, PgType};
use crate::pg::sqlstate::PgError;

type Written = Result<(), PgError>;

/// A writer for `array`.
pub(super) fn writer(
    array: &ArrayRef,
    field: &Field,
    presentation: Presentation,
    format: Format,
    style: &Style,
) -> Result<Box<dyn Column>, PgError> {
    match array.data_type() {
        DataType::Null => Ok(Box::new(AlwaysNull)),
        DataType::Boolean => {
            let [no, yes] = match format {
                Format::Text => *b"ft",
                Format::Binary => [0, 1],
            };
            typed::<BooleanArray>(array, move |array, row, out| {
                out.put_u8(if array.value(row) { yes } else { no });
                Ok(())
            })
        }
        DataType::Int8 => integer::<Int8Type>(array, field, format),
        DataType::Int16 => integer::<Int16Type>(array, field, format),
        DataType::Int32 => integer::<Int32Type>(array, field, format),
        DataType::Int64 => integer::<Int64Type>(array, field, format),
        DataType::UInt8 => integer::<UInt8Type>(array, field, format),
        DataType::UInt16 => integer::<UInt16Type>(array, field, format),
        DataType::UInt32 => integer::<UInt32Type>(array, field, format),
        DataType::UInt64 => decimal::<UInt64Type>(array, presentation, format, |value| Decimal::from_u128(u128::from(value), 0)),
        DataType::Float16 => float::<Float16Type>(array, format, style, f32::from),
        DataType::Float32 => float::<Float32Type>(array, format, style, |value| value),
        DataType::Float64 => {
            let digits = style.extra_float_digits;
            match format {
                Format::Text => typed::<PrimitiveArray<Float64Type>>(array, move |array, row, out| {
                    super::float::write_f64(array.value(row), digits, out);
                    Ok(())
                }),
                Format::Binary => typed::<PrimitiveArray<Float64Type>>(array, |array, row, out| Ok(out.put_f64(array.value(row)))),
            }
        }
        DataType::Decimal32(_, scale) => scaled::<Decimal32Type>(array, *scale, presentation, format, i128::from),
        DataType::Decimal64(_, scale) => scaled::<Decimal64Type>(array, *scale, presentation, format, i128::from),
        DataType::Decimal128(_, scale) => scaled::<Decimal128Type>(array, *scale, presentation, format, |value| value),
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            decimal::<Decimal256Type>(array, presentation, format, move |value| Decimal::from_i256(value, scale))
        }
        DataType::Utf8 => string::<StringArray>(array, field, presentation, format, |array, row| array.value(row).as_bytes()),
        DataType::LargeUtf8 => string::<LargeStringArray>(array, field, presentation, format, |array, row| array.value(row).as_bytes()),
        DataType::Utf8View => string::<StringViewArray>(array, field, presentation, format, |array, row| array.value(row).as_bytes()),
        DataType::Binary => bytes::<BinaryArray>(array, format, style, |array, row| array.value(row)),
        DataType::LargeBinary => bytes::<LargeBinaryArray>(array, format, style, |array, row| array.value(row)),
        DataType::BinaryView => bytes::<BinaryViewArray>(array, format, style, |array, row| array.value(row)),
        DataType::FixedSizeBinary(_) => bytes::<FixedSizeBinaryArray>(array, format, style, |array, row| array.value(row)),
        DataType::Date32 => date::<Date32Type>(array, format, |days| i64::from(days)),
        DataType::Date64 => date::<Date64Type>(array, format, |milliseconds| match milliseconds {
            i64::MAX => i64::from(i32::MAX),
            i64::MIN => i64::from(i32::MIN),
            finite => finite.div_euclid(86_400_000),
        }),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(array, format, |value| i64::from(value) * 1_000_000),
        DataType::Time32(_) => time::<Time32MillisecondType>(array, format, |value| i64::from(value) * 1_000),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(array, format, |value| value),
        DataType::Time64(_) => time::<Time64NanosecondType>(array, format, |value| value / 1_000),
        DataType::Timestamp(unit, zone) => {
            let has_zone = zone.is_some();
            match unit {
                TimeUnit::Second => timestamp::<TimestampSecondType>(array, has_zone, format, style, UnitScale::Times(1_000_000)),
                TimeUnit::Millisecond => timestamp::<TimestampMillisecondType>(array, has_zone, format, style, UnitScale::Times(1_000)),
                TimeUnit::Microsecond => timestamp::<TimestampMicrosecondType>(array, has_zone, format, style, UnitScale::Times(1)),
                TimeUnit::Nanosecond => timestamp::<TimestampNanosecondType>(array, has_zone, format, style, UnitScale::Thousandths),
            }
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            interval::<IntervalYearMonthType>(array, format, |months| Ok(Interval::months(months)))
        }
        DataType::Interval(IntervalUnit::DayTime) => interval::<IntervalDayTimeType>(array, format, |value| {
            Ok(Interval { months: 0, days: value.days, microseconds: i64::from(value.milliseconds) * 1_000 })
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => interval::<IntervalMonthDayNanoType>(array, format, |value| {
            Ok(Interval { months: value.months, days: value.days, microseconds: value.nanoseconds / 1_000 })
        }),
        DataType::Duration(TimeUnit::Second) => {
            interval::<DurationSecondType>(array, format, |value| Interval::scaled(value, UnitScale::Times(1_000_000)))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            interval::<DurationMillisecondType>(array, format, |value| Interval::scaled(value, UnitScale::Times(1_000)))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            interval::<DurationMicrosecondType>(array, format, |value| Interval::scaled(value, UnitScale::Times(1)))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            interval::<DurationNanosecondType>(array, format, |value| Interval::scaled(value, UnitScale::Thousandths))
        }
        DataType::Dictionary(_, value) => writer(&flatten(array, value)?, field, presentation, format, style),
        DataType::RunEndEncoded(_, values) => writer(&flatten(array, values.data_type())?, field, presentation, format, style),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) | DataType::ListView(_) | DataType::LargeListView(_) => {
            list_writer(array, field, presentation, format, style)
        }
        // JSON is text in both formats.
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => Ok(Box::new(JsonColumn::new(array, field, style)?)),
    }
}

/// A column that holds only nulls.
struct AlwaysNull;

impl Column for AlwaysNull {
    fn is_null(&self, _row: usize) -> bool {
        true
    }

    fn write(&mut self, _row: usize, _out: &mut BytesMut) -> Written {
        Ok(())
    }
}

/// A column of one array type with the function that writes its values.
struct Typed<A, F> {
    array: A,
    write: F,
}

impl<A, F> Column for Typed<A, F>
where
    A: Array,
    F: Fn(&A, usize, &mut BytesMut) -> Written + Send,
{
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&mut self, row: usize, out: &mut BytesMut) -> Written {
        (self.write)(&self.array, row, out)
    }
}

fn typed<A: Array + Clone + 'static>(
    array: &ArrayRef,
    write: impl Fn(&A, usize, &mut BytesMut) -> Written + Send + 'static,
) -> Result<Box<dyn Column>, PgError> {
    let array = array
        .as_any()
        .downcast_ref::<A>()
        .ok_or_else(|| PgError::internal(format!("an array of {} is not laid out as such", array.data_type())))?;
    Ok(Box::new(Typed { array: array.clone(), write }))
}

fn integer<T>(array: &ArrayRef, field: &Field, format: Format) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    if format == Format::Text {
        return typed::<PrimitiveArray<T>>(array, |array, row, out| {
            text::integer(array.value(row).into(), out);
            Ok(())
        });
    }
    // The column's number decides the width, because the system catalogs show wider integers as `oid`.
    match PgType::of(field)?.oid {
        INT2 => typed::<PrimitiveArray<T>>(array, |array, row, out| binary::int2(array.value(row).into(), out)),
        INT4 => typed::<PrimitiveArray<T>>(array, |array, row, out| binary::int4(array.value(row).into(), out)),
        pg_type::OID | pg_type::REGCLASS | pg_type::REGTYPE | pg_type::REGPROC | pg_type::XID => {
            typed::<PrimitiveArray<T>>(array, |array, row, out| binary::oid(array.value(row).into(), out))
        }
        _ => typed::<PrimitiveArray<T>>(array, |array, row, out| Ok(out.put_i64(array.value(row).into()))),
    }
}

fn float<T>(
    array: &ArrayRef,
    format: Format,
    style: &Style,
    single: impl Fn(T::Native) -> f32 + Send + 'static,
) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    let digits = style.extra_float_digits;
    match format {
        Format::Text => typed::<PrimitiveArray<T>>(array, move |array, row, out| {
            super::float::write_f32(single(array.value(row)), digits, out);
            Ok(())
        }),
        Format::Binary => typed::<PrimitiveArray<T>>(array, move |array, row, out| Ok(out.put_f32(single(array.value(row))))),
    }
}

fn scaled<T>(
    array: &ArrayRef,
    scale: i8,
    presentation: Presentation,
    format: Format,
    widen: impl Fn(T::Native) -> i128 + Send + 'static,
) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    decimal::<T>(array, presentation, format, move |value| Decimal::from_i128(widen(value), scale))
}

fn decimal<T>(
    array: &ArrayRef,
    presentation: Presentation,
    format: Format,
    read: impl Fn(T::Native) -> Decimal + Send + 'static,
) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    let trims = presentation == Presentation::UnconstrainedNumeric;
    typed::<PrimitiveArray<T>>(array, move |array, row, out| {
        let mut value = read(array.value(row));
        if trims {
            value.trim();
        }
        match format {
            Format::Text => value.write_text(out),
            Format::Binary => value.write_binary(out),
        }
        Ok(())
    })
}

fn string<A: Array + Clone + 'static>(
    array: &ArrayRef,
    field: &Field,
    presentation: Presentation,
    format: Format,
    get: fn(&A, usize) -> &[u8],
) -> Result<Box<dyn Column>, PgError> {
    match (presentation, format) {
        (Presentation::Uuid, Format::Binary) => typed::<A>(array, move |array, row, out| binary::uuid(get(array, row), out)),
        (Presentation::Jsonb, Format::Binary) => typed::<A>(array, move |array, row, out| {
            out.put_u8(1);
            out.put_slice(get(array, row));
            Ok(())
        }),
        (
            Presentation::Plain
            | Presentation::Uuid
            | Presentation::Json
            | Presentation::Jsonb
            | Presentation::Bpchar
            | Presentation::UnconstrainedNumeric,
            _,
        ) => {
            // PostgreSQL's "char" is one byte.
            let is_char = PgType::of(field).is_ok_and(|kind| kind.oid == CHAR);
            typed::<A>(array, move |array, row, out| {
                let value = get(array, row);
                out.put_slice(if is_char { &value[..value.len().min(1)] } else { value });
                Ok(())
            })
        }
    }
}

fn bytes<A: Array + Clone + 'static>(
    array: &ArrayRef,
    format: Format,
    style: &Style,
    get: fn(&A, usize) -> &[u8],
) -> Result<Box<dyn Column>, PgError> {
    match format {
        Format::Text if style.bytea_escape => typed::<A>(array, move |array, row, out| Ok(text::bytea_escape(get(array, row), out))),
        Format::Text => typed::<A>(array, move |array, row, out| Ok(text::bytea_hex(get(array, row), out))),
        Format::Binary => typed::<A>(array, move |array, row, out| Ok(out.put_slice(get(array, row)))),
    }
}

fn date<T>(array: &ArrayRef, format: Format, days: fn(T::Native) -> i64) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    match format {
        Format::Text => typed::<PrimitiveArray<T>>(array, move |array, row, out| Ok(text::date(days(array.value(row)), out))),
        Format::Binary => typed::<PrimitiveArray<T>>(array, move |array, row, out| binary::date(days(array.value(row)), out)),
    }
}

fn time<T>(array: &ArrayRef, format: Format, microseconds: fn(T::Native) -> i64) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    match format {
        Format::Text => typed::<PrimitiveArray<T>>(array, move |array, row, out| Ok(text::time(microseconds(array.value(row)), out))),
        Format::Binary => typed::<PrimitiveArray<T>>(array, move |array, row, out| Ok(out.put_i64(microseconds(array.value(row))))),
    }
}

fn timestamp<T>(array: &ArrayRef, has_zone: bool, format: Format, style: &Style, scale: UnitScale) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType<Native = i64>,
{
    let zone = style.zone;
    match (format, has_zone) {
        (Format::Text, false) => {
            typed::<PrimitiveArray<T>>(array, move |array, row, out| Ok(text::timestamp(scale.microseconds(array.value(row))?, out)))
        }
        (Format::Text, true) => typed::<PrimitiveArray<T>>(array, move |array, row, out| {
            Ok(text::timestamptz(scale.microseconds(array.value(row))?, zone, out))
        }),
        (Format::Binary, _) => {
            typed::<PrimitiveArray<T>>(array, move |array, row, out| binary::timestamp(scale.microseconds(array.value(row))?, out))
        }
    }
}

fn interval<T>(array: &ArrayRef, format: Format, read: fn(T::Native) -> Result<Interval, PgError>) -> Result<Box<dyn Column>, PgError>
where
    T: ArrowPrimitiveType,
{
    typed::<PrimitiveArray<T>>(array, move |array, row, out| {
        let value = read(array.value(row))?;
        match format {
            Format::Text => write_interval(value, out),
            Format::Binary => {
                out.put_i64(value.microseconds);
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
        }
        Ok(())
    })
}
