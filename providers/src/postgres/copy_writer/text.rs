//! The texts of values, as the source reads them in any session of ours.

use std::io::Write as _;

use datafusion::arrow::datatypes::{Decimal128Type, Decimal256Type, DecimalType};

use super::misfit::Misfit;
use super::value::{Values, elements, microseconds, time_of_day, within128, within256};
use crate::postgres::copy_binary::DAY_MICROSECONDS;

/// The Julian day of 1970-01-01. PostgreSQL reads such days whatever their year.
const EPOCH_JULIAN: i64 = 2_440_588;
/// The Julian day that PostgreSQL's calendar begins with.
const FIRST_JULIAN: i64 = 0;

/// Writes the value in `row`, which is not NULL.
pub(super) fn write(values: &Values<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
    match values {
        Values::Boolean(values) => out.push(if values.value(row) { b't' } else { b'f' }),
        Values::Int16(values) => print(out, format_args!("{}", values.value(row))),
        Values::Int32(values) => print(out, format_args!("{}", values.value(row))),
        Values::Int64(values) => print(out, format_args!("{}", values.value(row))),
        // The shortest text that reads back as the same number.
        Values::Float32(values) => match values.value(row) {
            number if number.is_finite() => print(out, format_args!("{number:e}")),
            number => out.extend_from_slice(unusual(number.into())),
        },
        Values::Float64(values) => match values.value(row) {
            number if number.is_finite() => print(out, format_args!("{number:e}")),
            number => out.extend_from_slice(unusual(number)),
        },
        Values::Decimal128 { values, bound, scale } => {
            let value = within128(values.value(row), *bound)?;
            decimal(&Decimal128Type::format_decimal(value, Decimal128Type::MAX_PRECISION, *scale as i8), out);
        }
        Values::Decimal256 { values, bound, scale } => {
            let value = within256(values.value(row), *bound)?;
            decimal(&Decimal256Type::format_decimal(value, Decimal256Type::MAX_PRECISION, *scale as i8), out);
        }
        Values::Date(values) => match values.value(row) {
            i32::MIN => out.extend_from_slice(b"-infinity"),
            i32::MAX => out.extend_from_slice(b"infinity"),
            days => day(days.into(), out)?,
        },
        Values::Timestamp(values) => match values.value(row) {
            i64::MIN => out.extend_from_slice(b"-infinity"),
            i64::MAX => out.extend_from_slice(b"infinity"),
            moment => {
                day(moment.div_euclid(DAY_MICROSECONDS), out)?;
                out.push(b' ');
                // The session's time zone is UTC.
                clock(moment.rem_euclid(DAY_MICROSECONDS), out);
            }
        },
        Values::Time(values) => clock(time_of_day(values.value(row))?, out),
        Values::Interval(values) => {
            let value = values.value(row);
            let time = microseconds(value)?;
            print(out, format_args!("{} mons {} days {}", value.months, value.days, if time < 0 { "-" } else { "" }));
            clock(time.checked_abs().ok_or(Misfit::MomentOutOfRange)?, out);
        }
        Values::Bytes(values) => {
            out.extend_from_slice(b"\\x");
            for byte in values.value(row) {
                print(out, format_args!("{byte:02x}"));
            }
        }
        Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::List(list, items) => {
            out.push(b'{');
            let mut item = Vec::new();
            for (index, place) in elements(list, row).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if items.is_null(place) {
                    out.extend_from_slice(b"NULL");
                    continue;
                }
                item.clear();
                write(items, place, &mut item)?;
                quote(&item, out);
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all that is written");
}

fn unusual(number: f64) -> &'static [u8] {
    if number.is_nan() {
        b"NaN"
    } else if number > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}

/// Without the zeros behind the point that say nothing.
fn decimal(text: &str, out: &mut Vec<u8>) {
    let shown = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    out.extend_from_slice(shown.as_bytes());
}

fn day(since_epoch: i64, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let julian = since_epoch + EPOCH_JULIAN;
    if julian < FIRST_JULIAN {
        return Err(Misfit::MomentOutOfRange);
    }
    print(out, format_args!("J{julian}"));
    Ok(())
}

fn clock(microseconds: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    print(out, format_args!("{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60));
}

fn quote(item: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in item {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
