//! Builds one Arrow column from binary values, chosen by the Arrow type alone.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanBuilder, Decimal128Builder, Decimal256Builder, IntervalMonthDayNanoBuilder, ListArray, NullBufferBuilder,
    PrimitiveBuilder, StringArray,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, i256,
};
use datafusion::arrow::error::ArrowError;
use uuid::Uuid;

use super::numeric;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's calendar begins.
pub(in super::super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(in super::super) const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// Microseconds of a day, which `time '24:00:00'` reaches and Arrow's time does not.
pub(in super::super) const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Columns are not given room for more rows than this before they are seen to need it.
const FIRST_ROOM: usize = 16;

/// Why a value cannot be held. The column is added where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// The bytes are not of the expected type.
    Malformed,
    /// `NaN` in a `numeric`.
    NumericNan,
    /// An infinity in a `numeric`.
    NumericInfinity,
    /// More digits than the decimal type has.
    NumericOutOfRange,
    /// An integer beyond a narrower type.
    IntegerOutOfRange,
    /// A timestamp after the year 294246.
    TimestampOutOfRange,
    /// `24:00:00`.
    EndOfDay,
    /// An interval of more than 292 years of hours.
    IntervalOutOfRange,
    /// An array with several dimensions.
    Dimensions,
    /// An array whose first subscript is not 1.
    LowerBound,
    /// More than 2 GiB in one batch.
    TooLarge,
}

impl ValueFault {
    /// What is wrong, to follow `column "x"`.
    pub(super) fn message(self) -> &'static str {
        match self {
            ValueFault::Malformed => "holds a value whose bytes are not of the expected type",
            ValueFault::NumericNan => "holds the numeric NaN, which no decimal can hold",
            ValueFault::NumericInfinity => "holds an infinite numeric, which no decimal can hold",
            ValueFault::NumericOutOfRange => "holds a numeric with more digits than its decimal type can hold",
            ValueFault::IntegerOutOfRange => "holds an integer beyond its type",
            ValueFault::TimestampOutOfRange => "holds a timestamp beyond the year 294246",
            ValueFault::EndOfDay => "holds the time 24:00:00, which is beyond the last microsecond of a day",
            ValueFault::IntervalOutOfRange => "holds an interval whose hours exceed 292 years",
            ValueFault::Dimensions => "holds an array of several dimensions",
            ValueFault::LowerBound => "holds an array whose first subscript is not 1",
            ValueFault::TooLarge => "holds more than 2 GiB in one batch",
        }
    }

    /// What the reader can do.
    pub(super) fn hint(self) -> &'static str {
        match self {
            ValueFault::Malformed => "refresh the catalog of the datasource; if it persists, report it with the column's type",
            ValueFault::TooLarge => "select fewer rows or leave the column out",
            ValueFault::NumericNan | ValueFault::NumericInfinity | ValueFault::NumericOutOfRange => {
                "leave the column out, exclude the row, publish a view at the source that casts the column to text, or, for a numeric \
                 without precision, set the datasource's option `numeric` to text"
            }
            ValueFault::IntegerOutOfRange
            | ValueFault::TimestampOutOfRange
            | ValueFault::EndOfDay
            | ValueFault::IntervalOutOfRange
            | ValueFault::Dimensions
            | ValueFault::LowerBound => {
                "leave the column out, exclude the row, or publish a view at the source that casts the column to text"
            }
        }
    }

    /// Whether the source has a value that its column cannot hold here; else it, or whoever reads it, does something else wrong.
    pub(super) fn is_the_values(self) -> bool {
        !matches!(self, ValueFault::Malformed | ValueFault::TooLarge)
    }
}

/// What the bytes of a text are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum TextForm {
    /// The text.
    #[default]
    Plain,
    /// The text, filled up with blanks, which are no part of it.
    BlankPadded,
    /// The 16 bytes of a UUID.
    Uuid,
    /// The text behind the number of its format.
    Jsonb,
}

/// The only format of `jsonb` there is.
pub(in super::super) const JSONB_FORMAT: u8 = 1;

/// What to make room for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    rows: usize,
    bytes: usize,
}

/// The values of one column so far.
#[derive(Debug)]
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128 { values: Decimal128Builder, precision: u8, scale: u8 },
    Decimal256 { values: Decimal256Builder, bound: i256, scale: u8 },
    Date32(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Interval(IntervalMonthDayNanoBuilder),
    Bytes(BytesColumn),
    List(ListColumn),
}

/// Values of text or of bytes, kept in one buffer so that UTF-8 is checked once per batch and not per value.
#[derive(Debug)]
pub(super) struct BytesColumn {
    data_type: DataType,
    form: TextForm,
    offsets: Vec<i32>,
    values: Vec<u8>,
    validity: NullBufferBuilder,
}

/// Arrays of one dimension.
#[derive(Debug)]
pub(super) struct ListColumn {
    element: FieldRef,
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
    items: Box<Column>,
    length: i32,
}

impl Column {
    /// An empty column of `data_type`, whose texts come in `form`; `None` when no binary form decodes to it.
    pub(super) fn new(data_type: &DataType, form: TextForm, room: Room) -> Option<Self> {
        let Room { rows: room, bytes } = room;
        let room = room.max(FIRST_ROOM);
        Some(match data_type {
            DataType::Boolean => Column::Boolean(BooleanBuilder::with_capacity(room)),
            DataType::Int8 => Column::Int8(PrimitiveBuilder::with_capacity(room)),
            DataType::Int16 => Column::Int16(PrimitiveBuilder::with_capacity(room)),
            DataType::Int32 => Column::Int32(PrimitiveBuilder::with_capacity(room)),
            DataType::Int64 => Column::Int64(PrimitiveBuilder::with_capacity(room)),
            DataType::Float32 => Column::Float32(PrimitiveBuilder::with_capacity(room)),
            DataType::Float64 => Column::Float64(PrimitiveBuilder::with_capacity(room)),
            DataType::Decimal128(precision, scale) => Column::Decimal128 {
                values: Decimal128Builder::with_capacity(room).with_data_type(data_type.clone()),
                precision: *precision,
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Decimal256(precision, scale) => Column::Decimal256 {
                values: Decimal256Builder::with_capacity(room).with_data_type(data_type.clone()),
                bound: numeric::bound256(*precision),
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Date32 => Column::Date32(PrimitiveBuilder::with_capacity(room)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Column::Timestamp(PrimitiveBuilder::with_capacity(room).with_data_type(data_type.clone()))
            }
            DataType::Time64(TimeUnit::Microsecond) => Column::Time(PrimitiveBuilder::with_capacity(room)),
            DataType::Interval(IntervalUnit::MonthDayNano) => Column::Interval(IntervalMonthDayNanoBuilder::with_capacity(room)),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Column::Bytes(BytesColumn {
                    data_type: data_type.clone(),
                    form,
                    offsets: first_offset(room),
                    values: Vec::with_capacity(bytes),
                    validity: NullBufferBuilder::new(room),
                })
            }
            DataType::List(element) => Column::List(ListColumn {
                element: Arc::clone(element),
                offsets: first_offset(room),
                validity: NullBufferBuilder::new(room),
                // A list of lists has no binary form: PostgreSQL's arrays nest as dimensions.
                items: Box::new(
                    Column::new(element.data_type(), form, Room { rows: room, bytes }).filter(|items| !matches!(items, Column::List(_)))?,
                ),
                length: 0,
            }),
            _ => return None,
        })
    }

    /// Appends a value, or NULL.
    #[inline]
    pub(super) fn append(&mut self, value: Option<&[u8]>) -> Result<(), ValueFault> {
        match self {
            Column::Boolean(values) => match value {
                Some(raw) => values.append_value(exact::<1>(raw)? != [0]),
                None => values.append_null(),
            },
            Column::Int8(values) => {
                append(values, value, |raw| i8::try_from(i16::from_be_bytes(exact(raw)?)).map_err(|_| ValueFault::IntegerOutOfRange))?
            }
            Column::Int16(values) => append(values, value, |raw| Ok(i16::from_be_bytes(exact(raw)?)))?,
            Column::Int32(values) => append(values, value, |raw| Ok(i32::from_be_bytes(exact(raw)?)))?,
            Column::Int64(values) => append(values, value, |raw| Ok(i64::from_be_bytes(exact(raw)?)))?,
            Column::Float32(values) => append(values, value, |raw| Ok(f32::from_be_bytes(exact(raw)?)))?,
            Column::Float64(values) => append(values, value, |raw| Ok(f64::from_be_bytes(exact(raw)?)))?,
            Column::Decimal128 { values, precision, scale } => {
                append(values, value, |raw| numeric::decimal128(raw, *precision, *scale))?;
            }
            Column::Decimal256 { values, bound, scale } => append(values, value, |raw| numeric::decimal256(raw, *bound, *scale))?,
            Column::Date32(values) => append(values, value, date)?,
            Column::Timestamp(values) => append(values, value, timestamp)?,
            Column::Time(values) => append(values, value, time_of_day)?,
            Column::Interval(values) => append(values, value, interval)?,
            Column::Bytes(column) => column.append(value)?,
            Column::List(column) => column.append(value)?,
        }
        Ok(())
    }

    /// What a column for as many values again needs.
    pub(super) fn room(&self, rows: usize) -> Room {
        let bytes = match self {
            Column::Bytes(column) => column.values.len(),
            _ => 0,
        };
        Room { rows, bytes }
    }

    /// Takes the values as an array. The column is of no use afterwards.
    ///
    /// # Errors
    /// Text that is not UTF-8.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Column::Boolean(values) => Arc::new(values.finish()),
            Column::Int8(values) => Arc::new(values.finish()),
            Column::Int16(values) => Arc::new(values.finish()),
            Column::Int32(values) => Arc::new(values.finish()),
            Column::Int64(values) => Arc::new(values.finish()),
            Column::Float32(values) => Arc::new(values.finish()),
            Column::Float64(values) => Arc::new(values.finish()),
            Column::Decimal128 { values, .. } => Arc::new(values.finish()),
            Column::Decimal256 { values, .. } => Arc::new(values.finish()),
            Column::Date32(values) => Arc::new(values.finish()),
            Column::Timestamp(values) => Arc::new(values.finish()),
            Column::Time(values) => Arc::new(values.finish()),
            Column::Interval(values) => Arc::new(values.finish()),
            Column::Bytes(column) => column.finish()?,
            Column::List(column) => column.finish()?,
        })
    }
}

impl BytesColumn {
    #[inline]
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), ValueFault> {
        match value {
            Some(raw) => {
                match self.form {
                    TextForm::Plain => self.values.extend_from_slice(raw),
                    TextForm::BlankPadded => self.values.extend_from_slice(without_padding(raw)),
                    TextForm::Uuid => {
                        let mut text = Uuid::encode_buffer();
                        self.values.extend_from_slice(Uuid::from_bytes(exact(raw)?).hyphenated().encode_lower(&mut text).as_bytes());
                    }
                    TextForm::Jsonb => match raw.split_first() {
                        Some((&JSONB_FORMAT, text)) => self.values.extend_from_slice(text),
                        _ => return Err(ValueFault::Malformed),
                    },
                }
                self.validity.append_non_null();
            }
            None => self.validity.append_null(),
        }
        self.offsets.push(i32::try_from(self.values.len()).map_err(|_| ValueFault::TooLarge)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let values = Buffer::from_vec(std::mem::take(&mut self.values));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        let validity = self.validity.finish();
        let array: ArrayRef = match self.data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Arc::new(StringArray::try_new(offsets, values, validity)?),
            _ => Arc::new(BinaryArray::try_new(offsets, values, validity)?),
        };
        match self.data_type {
            DataType::Utf8 | DataType::Binary => Ok(array),
            _ => cast(&array, &self.data_type),
        }
    }
}

impl ListColumn {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), ValueFault> {
        match value {
            Some(raw) => {
                self.append_items(raw)?;
                self.validity.append_non_null();
            }
            None => self.validity.append_null(),
        }
        self.offsets.push(self.length);
        Ok(())
    }

    /// `dimensions, has nulls, element type`, then per dimension `length, lower bound`, then the elements, each behind its length.
    fn append_items(&mut self, raw: &[u8]) -> Result<(), ValueFault> {
        let mut rest = raw;
        let dimensions = take_i32(&mut rest)?;
        let (_has_nulls, _element) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
        if dimensions == 0 {
            return Ok(());
        }
        if dimensions != 1 {
            return Err(ValueFault::Dimensions);
        }
        let length = take_i32(&mut rest)?;
        if take_i32(&mut rest)? != 1 {
            return Err(ValueFault::LowerBound);
        }
        for _ in 0..length {
            match usize::try_from(take_i32(&mut rest)?) {
                Ok(size) => {
                    let (item, after) = rest.split_at_checked(size).ok_or(ValueFault::Malformed)?;
                    self.items.append(Some(item))?;
                    rest = after;
                }
                Err(_) => self.items.append(None)?,
            }
        }
        if !rest.is_empty() {
            return Err(ValueFault::Malformed);
        }
        self.length = self.length.checked_add(length).ok_or(ValueFault::TooLarge)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        let items = self.items.finish()?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.element), offsets, items, self.validity.finish())?))
    }
}

fn first_offset(room: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(room + 1);
    offsets.push(0);
    offsets
}

#[inline]
fn append<T: ArrowPrimitiveType>(
    values: &mut PrimitiveBuilder<T>,
    value: Option<&[u8]>,
    decode: impl FnOnce(&[u8]) -> Result<T::Native, ValueFault>,
) -> Result<(), ValueFault> {
    match value {
        Some(raw) => values.append_value(decode(raw)?),
        None => values.append_null(),
    }
    Ok(())
}

#[inline]
fn exact<const N: usize>(raw: &[u8]) -> Result<[u8; N], ValueFault> {
    raw.try_into().map_err(|_| ValueFault::Malformed)
}

fn without_padding(raw: &[u8]) -> &[u8] {
    let length = raw.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    &raw[..length]
}

fn take_i32(rest: &mut &[u8]) -> Result<i32, ValueFault> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(ValueFault::Malformed)?;
    *rest = tail;
    Ok(i32::from_be_bytes(*head))
}

/// Infinities are PostgreSQL's own extreme integers and stay as they are.
fn date(raw: &[u8]) -> Result<i32, ValueFault> {
    match i32::from_be_bytes(exact(raw)?) {
        infinity @ (i32::MIN | i32::MAX) => Ok(infinity),
        days => days.checked_add(EPOCH_DAYS).ok_or(ValueFault::Malformed),
    }
}

fn timestamp(raw: &[u8]) -> Result<i64, ValueFault> {
    match i64::from_be_bytes(exact(raw)?) {
        infinity @ (i64::MIN | i64::MAX) => Ok(infinity),
        // The extreme integers themselves mean infinity here, so a finite value may not land on them.
        microseconds => microseconds.checked_add(EPOCH_MICROSECONDS).filter(|&sum| sum != i64::MAX).ok_or(ValueFault::TimestampOutOfRange),
    }
}

fn time_of_day(raw: &[u8]) -> Result<i64, ValueFault> {
    match i64::from_be_bytes(exact(raw)?) {
        DAY_MICROSECONDS => Err(ValueFault::EndOfDay),
        microseconds @ 0..DAY_MICROSECONDS => Ok(microseconds),
        _ => Err(ValueFault::Malformed),
    }
}

fn interval(raw: &[u8]) -> Result<IntervalMonthDayNano, ValueFault> {
    let raw: [u8; 16] = exact(raw)?;
    let value = u128::from_be_bytes(raw);
    let microseconds = (value >> 64) as i64;
    let (days, months) = ((value >> 32) as i32, value as i32);
    let nanoseconds = microseconds.checked_mul(1000).ok_or(ValueFault::IntervalOutOfRange)?;
    Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
}
