//! The calendar: days, units, offsets and intervals, over the whole range PostgreSQL has.

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Offset, TimeZone};

use super::text::{clock, unsigned};
use crate::pg::settings::Zone;
use crate::pg::sqlstate::{DATETIME_OVERFLOW, PgError};

/// How a unit becomes microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum UnitScale {
    Times(i64),
    /// Nanoseconds: what is finer than a microsecond is cut off.
    Thousandths,
}

impl UnitScale {
    /// The extreme numbers stay what they are, because they stand for the infinities. Those of nanoseconds stand for none: they are
    /// moments of the years 1677 and 2262.
    pub(super) fn microseconds(self, value: i64) -> Result<i64, PgError> {
        match (value, self) {
            (i64::MAX | i64::MIN, UnitScale::Times(_)) => Ok(value),
            (_, UnitScale::Thousandths) => Ok(value.div_euclid(1_000)),
            (_, UnitScale::Times(factor)) => {
                value.checked_mul(factor).ok_or_else(|| PgError::new(DATETIME_OVERFLOW, "timestamp out of range"))
            }
        }
    }
}

/// Year, month and day of the proleptic Gregorian calendar, for days since 1970. Years count astronomically: 0 is 1 BC.
pub(super) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Eras of 400 years that begin on the first of March of year 0.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The inverse of [`civil_from_days`]. The day of the month is not checked.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The offset of a zone at an instant, in seconds east.
pub(super) fn offset_at(zone: Zone, microseconds: i64) -> i32 {
    match zone {
        Zone::Fixed(east) => east,
        Zone::Named(chrono_tz::UTC) => 0,
        Zone::Named(named) => {
            // Beyond chrono's range no zone has rules: the first and last of its years stand for all others.
            let seconds = microseconds.div_euclid(1_000_000).clamp(DateTime::<chrono::Utc>::MIN_UTC.timestamp(), i64::MAX);
            let instant = DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
            named.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
        }
    }
}

/// An interval as PostgreSQL has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) microseconds: i64,
}

impl Interval {
    pub(super) fn months(months: i32) -> Self {
        Self { months, days: 0, microseconds: 0 }
    }

    /// A duration in some unit.
    pub(super) fn scaled(value: i64, scale: UnitScale) -> Result<Self, PgError> {
        let microseconds = match scale {
            UnitScale::Thousandths => value / 1_000,
            UnitScale::Times(factor) => {
                value.checked_mul(factor).ok_or_else(|| PgError::new(DATETIME_OVERFLOW, "interval out of range"))?
            }
        };
        Ok(Self { months: 0, days: 0, microseconds })
    }
}

/// Writes an interval in the style `postgres`: a positive part after a negative one has its sign written.
pub(crate) fn write_interval(value: Interval, out: &mut BytesMut) {
    let mut is_empty = true;
    let mut after_negative = false;
    for (number, unit) in [(value.months / 12, "year"), (value.months % 12, "mon"), (value.days, "day")] {
        if number == 0 {
            continue;
        }
        if !is_empty {
            out.put_u8(b' ');
        }
        if number < 0 {
            out.put_u8(b'-');
        } else if after_negative {
            out.put_u8(b'+');
        }
        unsigned(u64::from(number.unsigned_abs()), 1, out);
        out.put_u8(b' ');
        out.put_slice(unit.as_bytes());
        if number != 1 {
            out.put_u8(b's');
        }
        after_negative = number < 0;
        is_empty = false;
    }
    if is_empty || value.microseconds != 0 {
        if !is_empty {
            out.put_u8(b' ');
        }
        if value.microseconds < 0 {
            out.put_u8(b'-');
        } else if after_negative {
            out.put_u8(b'+');
        }
        clock(value.microseconds.unsigned_abs(), out);
    }
}
