//! The driver's values as those of Arrow's types: exactly, or not at all.

use datafusion::arrow::datatypes::{IntervalMonthDayNano, i256};
use mysql_async::Value;

use super::Fault;

/// Days from 0001-01-01 to 1970-01-01, as chrono counts them from the common era.
const EPOCH: i32 = 719_163;

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

pub(super) fn boolean(value: &Value) -> Result<bool, Fault> {
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
pub(super) fn integer<T: TryFrom<i128>>(value: &Value) -> Result<T, Fault> {
    let wide = match value {
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        Value::Bytes(digits) => Digits::parse(digits).ok_or_else(|| arrived(value))?.scaled(38, 0)?,
        _ => return Err(arrived(value)),
    };
    T::try_from(wide).map_err(|_| Fault::TooLarge)
}

pub(super) fn single(value: &Value) -> Result<f32, Fault> {
    match value {
        Value::Float(number) => Ok(*number),
        // Functions over a float may give a double, which still is that float.
        Value::Double(number) if f64::from(*number as f32) == *number => Ok(*number as f32),
        Value::Double(_) => Err(Fault::TooLarge),
        _ => Err(arrived(value)),
    }
}

pub(super) fn double(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        _ => Err(arrived(value)),
    }
}

pub(super) fn decimal128(value: &Value, precision: u8, scale: i8) -> Result<i128, Fault> {
    let mut small = [0; 20];
    digits(value, &mut small)?.scaled(precision, scale)
}

pub(super) fn decimal256(value: &Value, precision: u8, scale: i8) -> Result<i256, Fault> {
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

pub(super) fn date(value: &Value) -> Result<i32, Fault> {
    match value {
        Value::Date(y, m, d, 0, 0, 0, 0) => day(*y, *m, *d),
        _ => Err(arrived(value)),
    }
}

pub(super) fn timestamp(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Date(y, m, d, hour, minute, second, micros) => {
            let seconds = i64::from(day(*y, *m, *d)?) * 86_400 + i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
            Ok(seconds * 1_000_000 + i64::from(*micros))
        }
        _ => Err(arrived(value)),
    }
}

pub(super) fn interval(value: &Value) -> Result<IntervalMonthDayNano, Fault> {
    match value {
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let seconds = i64::from(*days) * 86_400 + i64::from(*hours) * 3600 + i64::from(*minutes) * 60 + i64::from(*seconds);
            let nanos = seconds * 1_000_000_000 + i64::from(*micros) * 1000;
            Ok(IntervalMonthDayNano::new(0, 0, if *negative { -nanos } else { nanos }))
        }
        _ => Err(arrived(value)),
    }
}

pub(super) fn text(value: &Value) -> Result<&str, Fault> {
    std::str::from_utf8(bytes(value)?).map_err(|_| Fault::NotText)
}

pub(super) fn bytes(value: &Value) -> Result<&[u8], Fault> {
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
