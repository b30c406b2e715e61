//! Arrow's values as the server is given them: those that it would store as others are errors.

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use mysql_async::Value;

use crate::changes::takes_no_null;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteColumn;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The longest `time`: 838:59:59.999999.
const LONGEST_TIME: u64 = 3_020_400_000_000;

/// What the server makes of values of a type without saying so, even when it is strict.
#[derive(Debug, PartialEq)]
enum Rule {
    /// Nothing.
    Exact,
    /// It drops what is beyond so many digits of a second.
    Seconds(u32),
    /// It rounds to so many digits.
    Rounded(usize),
    /// It drops blanks at the end.
    NoBlanksAtTheEnd,
    /// It fills up to so many bytes.
    Filled(usize),
    /// It takes other texts for a number of so many bits.
    Bits(usize),
    /// It takes small numbers for years of one century or another.
    Year,
    /// It takes texts that differ in case for one of these, and digits for their places.
    Member(Vec<String>),
    /// As a member, for several of them in their order.
    Members(Vec<String>),
    /// It drops digits of a date that is written, of so many characters.
    Written(usize),
    /// It takes texts that are none for NULL.
    Shape,
}

impl Rule {
    fn of(column: &RemoteColumn) -> Self {
        let full = column.remote_type.as_str();
        let (name, arguments) = full.split_once('(').unwrap_or((full, ""));
        let name = name.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        let inside = arguments.rsplit_once(')').map_or("", |(inside, _)| inside);
        let number = |default: usize| inside.trim().parse().unwrap_or(default);
        let is_text = column.data_type == DataType::Utf8;
        match name.as_str() {
            "date" if is_text => Self::Written(10),
            "datetime" | "timestamp" if is_text => Self::Written(match number(0) {
                0 => 19,
                digits => 20 + digits,
            }),
            "datetime" | "timestamp" | "time" => Self::Seconds(u32::try_from(number(0)).unwrap_or(0)),
            "float" | "double" | "real" => match inside.split_once(',') {
                Some((_, scale)) => Self::Rounded(scale.trim().parse().unwrap_or(0)),
                None => Self::Exact,
            },
            "char" => Self::NoBlanksAtTheEnd,
            "binary" => Self::Filled(number(1)),
            "bit" if is_text => Self::Bits(number(1)),
            "year" => Self::Year,
            "enum" => Self::Member(members(inside)),
            "set" => Self::Members(members(inside)),
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
            | "geomcollection" => Self::Shape,
            _ => Self::Exact,
        }
    }
}

/// The texts of an `enum` or a `set` as the server prints them.
fn members(inside: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut current: Option<String> = None;
    let mut rest = inside.chars().peekable();
    while let Some(character) = rest.next() {
        match (&mut current, character) {
            (None, '\'') => current = Some(String::new()),
            (None, _) => {}
            (Some(text), '\'') if rest.peek() == Some(&'\'') => {
                rest.next();
                text.push('\'');
            }
            (Some(_), '\'') => members.extend(current.take()),
            (Some(text), '\\') => text.push(match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            }),
            (Some(text), other) => text.push(other),
        }
    }
    members
}

/// A column that rows are inserted into.
pub(super) struct Binding<'a> {
    column: &'a RemoteColumn,
    rule: Rule,
}

impl<'a> Binding<'a> {
    pub(super) fn new(column: &'a RemoteColumn) -> Self {
        Self { column, rule: Rule::of(column) }
    }

    /// The value of a row, which has the column's Arrow type.
    ///
    /// # Errors
    /// `Invalid` naming the column when the server would store another value, `Conflict` for a `NULL` where it stores none.
    pub(super) fn value(&self, array: &ArrayRef, row: usize) -> Result<Value> {
        if array.is_null(row) {
            return if self.column.nullable { Ok(Value::NULL) } else { Err(takes_no_null(self.column)) };
        }
        match array.data_type() {
            DataType::Boolean => Ok(Value::Int(array.as_boolean().value(row).into())),
            DataType::Int16 => self.integer(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => self.integer(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => self.integer(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float32 => {
                let value = array.as_primitive::<Float32Type>().value(row);
                self.check_float(value.into(), |digits| format!("{value:.digits$}").parse() == Ok(value))?;
                Ok(Value::Float(value))
            }
            DataType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(row);
                self.check_float(value, |digits| format!("{value:.digits$}").parse() == Ok(value))?;
                Ok(Value::Double(value))
            }
            DataType::Decimal128(..) => Ok(text(array.as_primitive::<Decimal128Type>().value_as_string(row))),
            DataType::Decimal256(..) => Ok(text(array.as_primitive::<Decimal256Type>().value_as_string(row))),
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>().value(row);
                let (year, month, day) = self.date(days.into())?;
                Ok(Value::Date(year, month, day, 0, 0, 0, 0))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.moment(array.as_primitive::<TimestampMicrosecondType>().value(row)),
            DataType::Interval(IntervalUnit::MonthDayNano) => self.time(array.as_primitive::<IntervalMonthDayNanoType>().value(row)),
            DataType::Utf8 => self.text(array.as_string::<i32>().value(row)),
            DataType::Binary => {
                let bytes = array.as_binary::<i32>().value(row);
                match self.rule {
                    Rule::Filled(length) if bytes.len() < length => {
                        Err(self.refuses(&format!("less than {length} bytes: the server fills them up"), "22026"))
                    }
                    _ => Ok(Value::Bytes(bytes.to_vec())),
                }
            }
            other => Err(Error::new(ErrorKind::Internal, format!("column \"{}\" is given as {other}", self.column.name))),
        }
    }

    fn integer(&self, value: i64) -> Result<Value> {
        match self.rule {
            Rule::Year if value != 0 && !(1901..=2155).contains(&value) => {
                Err(self.refuses("a year that is neither 0 nor from 1901 to 2155", "22003"))
            }
            _ => Ok(Value::Int(value)),
        }
    }

    fn check_float(&self, value: f64, is_kept: impl FnOnce(usize) -> bool) -> Result<()> {
        match self.rule {
            _ if !value.is_finite() => Err(self.refuses("NaN or an infinity", "22003")),
            _ if value == 0.0 && value.is_sign_negative() => Err(self.refuses("-0.0, which MariaDB makes 0", "22003")),
            Rule::Rounded(digits) if !is_kept(digits) => {
                Err(self.refuses(&format!("more than {digits} digits behind the point: the server rounds"), "22003"))
            }
            _ => Ok(()),
        }
    }

    fn date(&self, days: i64) -> Result<(u16, u8, u8)> {
        let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
        let parts = date.and_then(|date| {
            let part = |number: u32| u8::try_from(number).ok();
            Some((u16::try_from(date.year()).ok().filter(|year| *year <= 9999)?, part(date.month())?, part(date.day())?))
        });
        parts.ok_or_else(|| self.refuses("a date beyond the years 0 to 9999", "22008"))
    }

    fn moment(&self, micros: i64) -> Result<Value> {
        let (year, month, day) = self.date(micros.div_euclid(MICROS_PER_DAY))?;
        let of_day = micros.rem_euclid(MICROS_PER_DAY).unsigned_abs();
        self.check_seconds(of_day)?;
        let (hours, minutes, seconds, fraction) = clock(of_day);
        let small = |number: u64| u8::try_from(number).unwrap_or_default();
        Ok(Value::Date(year, month, day, small(hours), small(minutes), small(seconds), fraction))
    }

    fn time(&self, value: IntervalMonthDayNano) -> Result<Value> {
        if value.months != 0 || value.days != 0 || value.nanoseconds % 1000 != 0 {
            return Err(self.refuses("an interval with months, days or nanoseconds", "22008"));
        }
        let micros = value.nanoseconds.unsigned_abs() / 1000;
        if micros >= LONGEST_TIME {
            return Err(self.refuses("an interval of 839 hours or more", "22008"));
        }
        self.check_seconds(micros)?;
        let (hours, minutes, seconds, fraction) = clock(micros);
        let small = |number: u64| u8::try_from(number).unwrap_or_default();
        let days = u32::try_from(hours / 24).unwrap_or_default();
        Ok(Value::Time(value.nanoseconds < 0, days, small(hours % 24), small(minutes), small(seconds), fraction))
    }

    fn check_seconds(&self, micros: u64) -> Result<()> {
        match self.rule {
            Rule::Seconds(digits) if !micros.is_multiple_of(10_u64.pow(6_u32.saturating_sub(digits))) => {
                Err(self.refuses(&format!("more than {digits} digits of a second: the server drops them"), "22008"))
            }
            _ => Ok(()),
        }
    }

    fn text(&self, value: &str) -> Result<Value> {
        match &self.rule {
            Rule::NoBlanksAtTheEnd if value.ends_with(' ') => Err(self.refuses("blanks at the end: the server drops them", "22001")),
            Rule::Bits(width) => {
                let bits = u64::from_str_radix(value, 2).ok().filter(|_| value.len() == *width && !value.starts_with('+'));
                bits.map(Value::UInt).ok_or_else(|| self.refuses(&format!("anything but {width} binary digits"), "22P02"))
            }
            Rule::Member(members) if !members.iter().any(|member| member == value) => {
                Err(self.refuses("a text that is none of its values, letter by letter", "22P02"))
            }
            Rule::Members(members) if !value.is_empty() => {
                let mut left = members.iter();
                if value.split(',').all(|part| left.any(|member| member == part)) {
                    Ok(text(value))
                } else {
                    Err(self.refuses("anything but some of its values in their order, letter by letter", "22P02"))
                }
            }
            Rule::Written(length) if value.len() != *length || !value.bytes().all(|b| b.is_ascii_digit() || b"-: .".contains(&b)) => {
                Err(self.refuses("a date in another form than it is read in", "22007"))
            }
            Rule::Shape => Err(Error::new(ErrorKind::Unsupported, format!("column \"{}\" takes no shapes through here", self.column.name))
                .hint("write them at the source itself")
                .remote_code("0A000")),
            _ => Ok(text(value)),
        }
    }

    fn refuses(&self, what: &str, state: &str) -> Error {
        Error::new(ErrorKind::Invalid, format!("column \"{}\" cannot hold {what}", self.column.name)).remote_code(state)
    }
}

fn text(value: impl Into<String>) -> Value {
    Value::Bytes(value.into().into_bytes())
}

/// Hours, minutes, seconds and microseconds.
fn clock(micros: u64) -> (u64, u64, u64, u32) {
    let seconds = micros / 1_000_000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, u32::try_from(micros % 1_000_000).unwrap_or_default())
}

/// About how many bytes a value takes on its way.
pub(super) fn size(value: &Value) -> usize {
    if let Value::Bytes(bytes) = value { bytes.len() + 9 } else { 13 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_the_server_prints_them() {
        assert_eq!(members("'a','b''c','','x,y','back\\\\slash','new\\nline'"), ["a", "b'c", "", "x,y", "back\\slash", "new\nline"]);
        assert_eq!(members(""), [""; 0]);
    }
}
