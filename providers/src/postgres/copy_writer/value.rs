//! The values of one column of a batch, and the binary forms they are written in.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256};
use tokio_postgres::types::{Kind, Type};
use uuid::Uuid;

use super::misfit::Misfit;
use super::numeric;
use crate::postgres::copy_binary::{DAY_MICROSECONDS, EPOCH_DAYS, EPOCH_MICROSECONDS, JSONB_FORMAT, bound256};

/// The values of one column of a batch.
#[derive(Debug)]
pub(in super::super) enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal128 { values: &'a Decimal128Array, bound: i128, scale: u8 },
    Decimal256 { values: &'a Decimal256Array, bound: i256, scale: u8 },
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Time(&'a Time64MicrosecondArray),
    Interval(&'a IntervalMonthDayNanoArray),
    Bytes(&'a BinaryArray),
    Text(&'a StringArray),
    List(&'a ListArray, Box<Values<'a>>),
}

impl<'a> Values<'a> {
    /// Those of `array`; `None` when no column is published with its type.
    pub(in super::super) fn of(array: &'a ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(precision, scale) => Self::Decimal128 {
                values: array.as_primitive(),
                bound: 10i128.checked_pow((*precision).into())?,
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Decimal256(precision, scale) => {
                Self::Decimal256 { values: array.as_primitive(), bound: bound256(*precision), scale: u8::try_from(*scale).ok()? }
            }
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Timestamp(array.as_primitive()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(array.as_primitive()),
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(array.as_primitive()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List(list, Box::new(Values::of(list.values())?))
            }
            _ => return None,
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(values) => *values,
            Self::Int16(values) => *values,
            Self::Int32(values) => *values,
            Self::Int64(values) => *values,
            Self::Float32(values) => *values,
            Self::Float64(values) => *values,
            Self::Decimal128 { values, .. } => *values,
            Self::Decimal256 { values, .. } => *values,
            Self::Date(values) => *values,
            Self::Timestamp(values) => *values,
            Self::Time(values) => *values,
            Self::Interval(values) => *values,
            Self::Bytes(values) => *values,
            Self::Text(values) => *values,
            Self::List(values, _) => *values,
        }
    }

    pub(in super::super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }
}

/// Where the elements of the list in `row` lie among all elements.
pub(super) fn elements(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    // Offsets are never negative.
    offsets[row] as usize..offsets[row + 1] as usize
}

/// How the values of a column are written, where their Arrow type alone does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BinaryForm {
    Plain,
    /// An integer of 32 bits without a sign.
    Oid,
    /// The 16 bytes of a UUID.
    Uuid,
    /// The text behind the number of its format.
    Jsonb,
    /// An array of one dimension, or of none when it is empty.
    Array {
        element: Box<BinaryForm>,
        oid: u32,
    },
}

impl BinaryForm {
    /// That of a column read as `data_type` of the type `remote`; `None` when only text is known to come back as it is.
    pub(super) fn of(data_type: &DataType, remote: &Type) -> Option<Self> {
        match data_type {
            DataType::Int64 if *remote == Type::OID => Some(Self::Oid),
            // A `numeric` that is read as the nearest number.
            DataType::Float64 if *remote != Type::FLOAT8 => None,
            DataType::Utf8 => match (remote, remote.kind()) {
                (&Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::JSON, _) | (_, Kind::Enum(_)) => Some(Self::Plain),
                (&Type::UUID, _) => Some(Self::Uuid),
                (&Type::JSONB, _) => Some(Self::Jsonb),
                _ => None,
            },
            DataType::List(items) => match remote.kind() {
                Kind::Array(element) => Some(Self::Array { element: Box::new(Self::of(items.data_type(), element)?), oid: element.oid() }),
                _ => None,
            },
            _ => Some(Self::Plain),
        }
    }

    /// Writes the value in `row`, which is not NULL, without its length.
    pub(super) fn write(&self, values: &Values<'_>, row: usize, out: &mut BytesMut) -> Result<(), Misfit> {
        match (values, self) {
            (Values::Boolean(values), Self::Plain) => out.put_u8(values.value(row).into()),
            (Values::Int16(values), Self::Plain) => out.put_i16(values.value(row)),
            (Values::Int32(values), Self::Plain) => out.put_i32(values.value(row)),
            (Values::Int64(values), Self::Plain) => out.put_i64(values.value(row)),
            (Values::Int64(values), Self::Oid) => out.put_u32(u32::try_from(values.value(row)).map_err(|_| Misfit::OutOfRange)?),
            (Values::Float32(values), Self::Plain) => out.put_f32(values.value(row)),
            (Values::Float64(values), Self::Plain) => out.put_f64(values.value(row)),
            (Values::Decimal128 { values, bound, scale }, Self::Plain) => {
                numeric::decimal128(within128(values.value(row), *bound)?, *scale, out);
            }
            (Values::Decimal256 { values, bound, scale }, Self::Plain) => {
                numeric::decimal256(within256(values.value(row), *bound)?, *scale, out);
            }
            (Values::Date(values), Self::Plain) => out.put_i32(date(values.value(row))?),
            (Values::Timestamp(values), Self::Plain) => out.put_i64(timestamp(values.value(row))?),
            (Values::Time(values), Self::Plain) => out.put_i64(time_of_day(values.value(row))?),
            (Values::Interval(values), Self::Plain) => {
                let value = values.value(row);
                out.put_i64(microseconds(value)?);
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
            (Values::Bytes(values), Self::Plain) => out.put_slice(values.value(row)),
            (Values::Text(values), Self::Plain) => out.put_slice(values.value(row).as_bytes()),
            (Values::Text(values), Self::Uuid) => {
                out.put_slice(Uuid::try_parse(values.value(row)).map_err(|_| Misfit::NotUuid)?.as_bytes());
            }
            (Values::Text(values), Self::Jsonb) => {
                out.put_u8(JSONB_FORMAT);
                out.put_slice(values.value(row).as_bytes());
            }
            (Values::List(list, items), Self::Array { element, oid }) => {
                let places = elements(list, row);
                let nulls = places.clone().any(|place| items.is_null(place));
                out.put_i32(i32::from(!places.is_empty()));
                out.put_i32(i32::from(nulls));
                out.put_u32(*oid);
                if !places.is_empty() {
                    out.put_i32(i32::try_from(places.len()).map_err(|_| Misfit::TooLarge)?);
                    out.put_i32(1);
                }
                for place in places {
                    if items.is_null(place) {
                        out.put_i32(-1);
                    } else {
                        sized(out, |out| element.write(items, place, out))?;
                    }
                }
            }
            _ => return Err(Misfit::Other),
        }
        Ok(())
    }
}

/// Writes a value behind its length.
pub(super) fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> Result<(), Misfit>) -> Result<(), Misfit> {
    let at = out.len();
    out.put_i32(0);
    write(out)?;
    let length = i32::try_from(out.len() - at - size_of::<i32>()).map_err(|_| Misfit::TooLarge)?;
    out[at..at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(super) fn within128(value: i128, bound: i128) -> Result<i128, Misfit> {
    if value.unsigned_abs() < bound.unsigned_abs() { Ok(value) } else { Err(Misfit::OutOfRange) }
}

pub(super) fn within256(value: i256, bound: i256) -> Result<i256, Misfit> {
    if value < bound && value > bound.wrapping_neg() { Ok(value) } else { Err(Misfit::OutOfRange) }
}

/// The extreme integers are the infinities on both sides, so a finite value may not become one.
fn date(days: i32) -> Result<i32, Misfit> {
    match days {
        i32::MIN | i32::MAX => Ok(days),
        days => days.checked_sub(EPOCH_DAYS).filter(|&days| days != i32::MIN).ok_or(Misfit::MomentOutOfRange),
    }
}

fn timestamp(microseconds: i64) -> Result<i64, Misfit> {
    match microseconds {
        i64::MIN | i64::MAX => Ok(microseconds),
        microseconds => microseconds.checked_sub(EPOCH_MICROSECONDS).filter(|&moment| moment != i64::MIN).ok_or(Misfit::MomentOutOfRange),
    }
}

pub(super) fn time_of_day(microseconds: i64) -> Result<i64, Misfit> {
    if (0..DAY_MICROSECONDS).contains(&microseconds) { Ok(microseconds) } else { Err(Misfit::MomentOutOfRange) }
}

/// The part of an interval that is neither days nor months.
pub(super) fn microseconds(value: IntervalMonthDayNano) -> Result<i64, Misfit> {
    if value.nanoseconds % 1000 == 0 { Ok(value.nanoseconds / 1000) } else { Err(Misfit::MomentTooFine) }
}
