//! What a column would cut or round without a word, by its type and modifier.

use tokio_postgres::types::{Kind, Type};

use super::misfit::Misfit;
use super::value::{Values, elements, microseconds};
use crate::postgres::type_mapping::precision_and_scale;

/// The longest name, in bytes. A longer one is cut.
const LONGEST_NAME: usize = 63;
const SECOND: i64 = 1_000_000;
/// The part of an interval's modifier that is its precision, when it has one.
const FULL_PRECISION: i32 = 0xFFFF;
/// Its other part, when it is not restricted to some fields.
const FULL_RANGE: i32 = 0x7FFF;

/// Up to which a column keeps its values as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// What does not fit is refused by the source itself.
    None,
    /// So many characters. More of them are cut when they are blanks.
    Characters(usize),
    Bytes(usize),
    /// Times in steps of so many microseconds.
    Step(i64),
    /// An interval's months, days and microseconds in such steps; 0 when there are none of them.
    Steps {
        months: i32,
        days: i32,
        time: i64,
    },
    /// A decimal, as text, of so many decimals.
    Decimals(i32),
}

impl Limit {
    /// That of a column of the type `remote` with its modifier.
    pub(super) fn of(remote: &Type, modifier: i32) -> Self {
        if let Kind::Array(element) = remote.kind() {
            return Self::of(element, modifier);
        }
        match *remote {
            Type::NAME => Self::Bytes(LONGEST_NAME),
            Type::CHAR => Self::Bytes(1),
            Type::VARCHAR if modifier >= 4 => usize::try_from(modifier - 4).map_or(Self::None, Self::Characters),
            Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ if (0..6).contains(&modifier) => Self::Step(step(modifier)),
            Type::INTERVAL if modifier >= 0 => interval(modifier),
            // Of no account to a decimal, which has the column's own scale.
            Type::NUMERIC => precision_and_scale(modifier).map_or(Self::None, |(_, scale)| Self::Decimals(scale)),
            _ => Self::None,
        }
    }

    /// Whether the value in `row`, which is not NULL, stays what it is.
    pub(super) fn check(self, values: &Values<'_>, row: usize) -> Result<(), Misfit> {
        let keep = |is_kept, misfit| if is_kept { Ok(()) } else { Err(misfit) };
        match (self, values) {
            (Self::None, _) => Ok(()),
            (_, Values::List(list, items)) => {
                elements(list, row).filter(|&place| !items.is_null(place)).try_for_each(|place| self.check(items, place))
            }
            (Self::Characters(most), Values::Text(values)) => {
                let text = values.value(row);
                keep(text.len() <= most || text.chars().count() <= most, Misfit::TooLong)
            }
            (Self::Bytes(most), Values::Text(values)) => keep(values.value(row).len() <= most, Misfit::TooLong),
            (Self::Step(step), Values::Time(values)) => keep(values.value(row) % step == 0, Misfit::MomentTooFine),
            (Self::Step(step), Values::Timestamp(values)) => {
                let moment = values.value(row);
                keep(moment % step == 0 || matches!(moment, i64::MIN | i64::MAX), Misfit::MomentTooFine)
            }
            (Self::Steps { months, days, time }, Values::Interval(values)) => {
                let value = values.value(row);
                let is_kept = is_step(value.months.into(), months.into())
                    && is_step(value.days.into(), days.into())
                    && is_step(microseconds(value)?, time);
                keep(is_kept, Misfit::MomentTooFine)
            }
            (Self::Decimals(most), Values::Text(values)) => {
                keep(decimals(values.value(row)).is_none_or(|decimals| decimals <= most.into()), Misfit::TooFine)
            }
            _ => Ok(()),
        }
    }
}

/// The microseconds of the last of so many decimals of a second.
fn step(decimals: i32) -> i64 {
    (decimals..6).fold(1, |step, _| step * 10)
}

fn is_step(value: i64, step: i64) -> bool {
    if step == 0 { value == 0 } else { value % step == 0 }
}

/// The fields of an interval's modifier, as the server's `timestamp.h` numbers them.
fn interval(modifier: i32) -> Limit {
    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    let (range, precision) = ((modifier >> 16) & FULL_RANGE, modifier & FULL_PRECISION);
    let fraction = if precision < 6 { step(precision) } else { 1 };
    let (months, days, time) = match range {
        YEAR => (12, 0, 0),
        _ if range == MONTH || range == YEAR | MONTH => (1, 0, 0),
        DAY => (1, 1, 0),
        _ if range == HOUR || range == DAY | HOUR => (1, 1, 3600 * SECOND),
        _ if range == MINUTE || range == HOUR | MINUTE || range == DAY | HOUR | MINUTE => (1, 1, 60 * SECOND),
        _ => (1, 1, fraction),
    };
    Limit::Steps { months, days, time }
}

/// How many decimals the text of a number has that are not zeros at its end, less than none for a multiple of ten; `None` for zero and
/// for what is no such text.
fn decimals(text: &str) -> Option<i64> {
    let (digits, exponent) = match text.trim().split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i64>().ok()?),
        None => (text.trim(), 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).filter(|byte| !matches!(byte, b'+' | b'-')).collect();
    if !all.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = all.len() - all.iter().rposition(|&digit| digit != b'0')? - 1;
    Some(fraction.len() as i64 - zeros as i64 - exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_counted_wherever_the_point_is() {
        let cases = [
            ("1.50", Some(1)),
            ("-0.005", Some(3)),
            ("12300", Some(-2)),
            ("1e-5", Some(5)),
            ("1.25E1", Some(1)),
            (" 7 ", Some(0)),
            ("0.00", None),
            ("NaN", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decimals(text), expected, "{text}");
        }
    }

    #[test]
    fn modifiers_say_what_is_kept() {
        let interval = |range: i32, precision: i32| Limit::of(&Type::INTERVAL, (range << 16) | precision);
        assert_eq!(Limit::of(&Type::VARCHAR, 12), Limit::Characters(8));
        assert_eq!(Limit::of(&Type::VARCHAR_ARRAY, 7), Limit::Characters(3));
        assert_eq!(Limit::of(&Type::TIMESTAMP, 3), Limit::Step(1000));
        assert_eq!(Limit::of(&Type::TIMESTAMP, 6), Limit::None);
        assert_eq!(Limit::of(&Type::TEXT, -1), Limit::None);
        assert_eq!(interval(FULL_RANGE, 0), Limit::Steps { months: 1, days: 1, time: SECOND });
        assert_eq!(interval(1 << 2, FULL_PRECISION), Limit::Steps { months: 12, days: 0, time: 0 });
        assert_eq!(interval(1 << 3 | 1 << 10, FULL_PRECISION), Limit::Steps { months: 1, days: 1, time: 3600 * SECOND });
    }
}
