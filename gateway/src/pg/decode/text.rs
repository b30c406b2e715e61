//! The text of simple values, as PostgreSQL's input functions read it.

use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDate, Offset, TimeZone};
use datafusion::arrow::datatypes::{IntervalMonthDayNano, i256};

use crate::pg::encode::days_from_civil;
use crate::pg::settings::Zone;
use crate::pg::sqlstate::{DATETIME_OVERFLOW, INVALID_DATETIME, INVALID_TEXT, OUT_OF_RANGE, PgError};

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

fn invalid(type_name: &str) -> PgError {
    // The value stays out of the text: it is the client's data, and errors are logged.
    PgError::new(INVALID_TEXT, format!("invalid input syntax for type {type_name}"))
}

fn invalid_datetime(type_name: &str) -> PgError {
    PgError::new(INVALID_DATETIME, format!("invalid input syntax for type {type_name}")).hint("Use ISO 8601, such as 2024-01-31 10:00:00.")
}

fn overflow(type_name: &str) -> PgError {
    PgError::new(DATETIME_OVERFLOW, format!("{type_name} out of range"))
}

pub(super) fn boolean(text: &str) -> Result<bool, PgError> {
    let folded = text.trim().to_ascii_lowercase();
    let is_prefix = |word: &str| !folded.is_empty() && word.starts_with(&folded);
    match folded.as_str() {
        "on" | "1" => Ok(true),
        "off" | "of" | "0" => Ok(false),
        _ if is_prefix("true") || is_prefix("yes") => Ok(true),
        _ if is_prefix("false") || is_prefix("no") => Ok(false),
        _ => Err(invalid("boolean")),
    }
}

pub(super) fn integer<T: FromStr>(text: &str, type_name: &str) -> Result<T, PgError> {
    let trimmed = text.trim();
    trimmed.parse().map_err(|_| {
        let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            PgError::new(OUT_OF_RANGE, format!("value is out of range for type {type_name}"))
        } else {
            invalid(type_name)
        }
    })
}

pub(super) fn float(text: &str, type_name: &str) -> Result<f64, PgError> {
    text.trim().parse().map_err(|_| invalid(type_name))
}

/// The lower-case form with hyphens, from any form PostgreSQL accepts.
pub(super) fn uuid(text: &str) -> Result<String, PgError> {
    let trimmed = text.trim().trim_start_matches('{').trim_end_matches('}');
    let digits: String = trimmed.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid("uuid"));
    }
    Ok(format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]))
}

/// Bytes in the format `\x` or in the old one.
pub(super) fn bytea(text: &str) -> Result<Vec<u8>, PgError> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or_else(|| invalid("bytea")))
            .collect::<Result<_, _>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(invalid("bytea")) };
        return Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, rest) {
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                rest = tail;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            (b'\\', _) => return Err(invalid("bytea")),
            (plain, _) => bytes.push(*plain),
        }
    }
    Ok(bytes)
}

/// Gathers decimal digits into a value with 38 of them behind the point.
pub(super) struct Digits {
    value: i256,
    /// The place of the last digit taken: 0 is the ones.
    place: i32,
    is_negative: bool,
}

impl Digits {
    pub(super) fn new(is_negative: bool) -> Self {
        Self { value: i256::ZERO, place: 39, is_negative }
    }

    /// Adds a digit at its place left (from 0) or right (below 0) of the point. Places descend.
    pub(super) fn push(&mut self, digit: u8, place: i32) -> Result<(), PgError> {
        if digit == 0 {
            return Ok(());
        }
        if place < -38 {
            return Err(PgError::new(OUT_OF_RANGE, "a numeric parameter has more than 38 digits after the decimal point"));
        }
        self.value = (place + 38 <= 76)
            .then(|| i256::from_i128(10).checked_pow((place + 38).unsigned_abs()))
            .flatten()
            .and_then(|power| power.checked_mul(i256::from_i128(i128::from(digit))))
            .and_then(|part| self.value.checked_add(part))
            .filter(|_| place <= 37)
            .ok_or_else(|| PgError::new(OUT_OF_RANGE, "a numeric parameter has more than 38 digits before the decimal point"))?;
        self.place = place;
        Ok(())
    }

    pub(super) fn value(&self) -> i256 {
        if self.is_negative { self.value.wrapping_neg() } else { self.value }
    }
}

/// A decimal number with an optional exponent.
pub(super) fn numeric(text: &str) -> Result<i256, PgError> {
    let text = text.trim();
    if matches!(text.to_ascii_lowercase().trim_start_matches(['+', '-']), "nan" | "infinity" | "inf") {
        return Err(PgError::new("0A000", "NaN and infinity are not supported in numeric parameters"));
    }
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().map_err(|_| invalid("numeric"))?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid("numeric"));
    }
    let mut digits = Digits::new(is_negative);
    let highest = i32::try_from(whole.len()).map_err(|_| invalid("numeric"))? - 1 + i32::from(exponent);
    for (place, byte) in (0_i32..).map(|index| highest - index).zip(whole.bytes().chain(fraction.bytes())) {
        if !byte.is_ascii_digit() {
            return Err(invalid("numeric"));
        }
        digits.push(byte - b'0', place)?;
    }
    Ok(digits.value())
}

/// Days since 1970.
pub(super) fn date(text: &str) -> Result<i32, PgError> {
    match special(text) {
        Some(true) => return Ok(i32::MAX),
        Some(false) => return Ok(i32::MIN),
        None => {}
    }
    // A timestamp, or a date with an offset as pgjdbc sends it, is a date too: the rest is dropped once it has proven to be right.
    let (days, _, suffix) = date_and_clock(text, "date")?;
    if !suffix.is_empty() && !suffix.eq_ignore_ascii_case("z") && iso_offset(suffix).is_none() {
        return Err(invalid_datetime("date"));
    }
    i32::try_from(days).map_err(|_| overflow("date"))
}

fn special(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "infinity" | "+infinity" => Some(true),
        "-infinity" => Some(false),
        _ => None,
    }
}

fn era(text: &str) -> (&str, bool) {
    match text.strip_suffix("BC").or_else(|| text.strip_suffix("bc")) {
        Some(body) => (body.trim_end(), true),
        None => (text.strip_suffix("AD").map_or(text, str::trim_end), false),
    }
}

/// Reads `YYYY-MM-DD` and returns the days and what follows.
fn calendar_date(text: &str, is_before_christ: bool) -> Option<(i64, &str)> {
    let (year, rest) = text.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, rest) = rest.split_at(end);
    if year.len() < 4 || [year, month, day].iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let (year, month, day): (i64, u32, u32) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    if year == 0 || year > 294_276 {
        return None;
    }
    let astronomical = if is_before_christ { 1 - year } else { year };
    // The calendar repeats every 400 years, so a year chrono knows tells how long the month is.
    let alike = i32::try_from(astronomical.rem_euclid(400) + 2000).ok()?;
    NaiveDate::from_ymd_opt(alike, month, day)?;
    Some((days_from_civil(astronomical, month, day), rest))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, PgError> {
    let (microseconds, rest) = split_clock(text.trim()).ok_or_else(|| invalid_datetime("time"))?;
    // An offset says nothing of a time without zone; PostgreSQL drops it.
    let is_offset = |text: &str| text.starts_with(['+', '-']) && iso_offset(text).is_some();
    if !rest.trim().is_empty() && !is_offset(rest.trim()) || microseconds > MICROSECONDS_PER_DAY {
        return Err(invalid_datetime("time"));
    }
    Ok(microseconds)
}

/// Reads `HH:MM[:SS[.ffffff]]` and returns the microseconds and what follows.
fn split_clock(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut parts = clock.split(':');
    let hours: i64 = two_digits(parts.next()?)?;
    let minutes: i64 = two_digits(parts.next()?)?;
    let (seconds, fraction) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("0", ""),
    };
    let seconds: i64 = two_digits(seconds)?;
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 60 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction_microseconds(fraction);
    Some((total, rest))
}

fn two_digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 2 { None } else { text.parse().ok() }
}

/// Rounds a fraction's digits to microseconds.
fn fraction_microseconds(digits: &str) -> i64 {
    let mut padded = [b'0'; 7];
    for (place, digit) in padded.iter_mut().zip(digits.bytes()) {
        *place = digit;
    }
    let sevenths = padded.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    (sevenths + 5) / 10
}

/// Microseconds since 1970 of a timestamp without time zone; an offset is ignored, as PostgreSQL does.
pub(super) fn timestamp(text: &str) -> Result<i64, PgError> {
    match special(text) {
        Some(true) => return Ok(i64::MAX),
        Some(false) => return Ok(i64::MIN),
        None => {}
    }
    local(text, "timestamp").map(|(microseconds, _)| microseconds)
}

/// Microseconds since 1970 of an instant; without an offset it is a time in the session's zone.
pub(super) fn timestamptz(text: &str, zone: Zone) -> Result<i64, PgError> {
    const NAME: &str = "timestamp with time zone";
    match special(text) {
        Some(true) => return Ok(i64::MAX),
        Some(false) => return Ok(i64::MIN),
        None => {}
    }
    let (microseconds, suffix) = local(text, NAME)?;
    let zone = match suffix {
        "" => zone,
        "Z" | "z" => Zone::Fixed(0),
        offset if offset.starts_with(['+', '-']) => Zone::Fixed(iso_offset(offset).ok_or_else(|| invalid_datetime(NAME))?),
        name => crate::pg::settings::zone(name).ok_or_else(|| invalid_datetime(NAME))?,
    };
    let east = match zone {
        Zone::Fixed(east) => east,
        Zone::Named(named) => {
            let wall = DateTime::from_timestamp_micros(microseconds).ok_or_else(|| overflow(NAME))?.naive_utc();
            match named.offset_from_local_datetime(&wall) {
                LocalResult::Single(offset) => offset.fix().local_minus_utc(),
                // Of two readings PostgreSQL takes standard time, which is the later one.
                LocalResult::Ambiguous(_, later) => later.fix().local_minus_utc(),
                // In the gap of a clock change the offset before the change holds.
                LocalResult::None => {
                    let before = wall - chrono::Duration::hours(3);
                    named.offset_from_utc_datetime(&before).fix().local_minus_utc()
                }
            }
        }
    };
    microseconds.checked_sub(i64::from(east) * 1_000_000).ok_or_else(|| overflow(NAME))
}

/// Reads a timestamp's microseconds, and returns what follows them.
fn local<'a>(text: &'a str, type_name: &str) -> Result<(i64, &'a str), PgError> {
    let (days, clock, suffix) = date_and_clock(text, type_name)?;
    let microseconds = days.checked_mul(MICROSECONDS_PER_DAY).and_then(|day| day.checked_add(clock)).ok_or_else(|| overflow(type_name))?;
    Ok((microseconds, suffix))
}

/// Reads the days of a date, the microseconds of the time of day that may follow, and what follows both.
fn date_and_clock<'a>(text: &'a str, type_name: &str) -> Result<(i64, i64, &'a str), PgError> {
    let (body, is_before_christ) = era(text.trim());
    let (days, rest) = calendar_date(body, is_before_christ).ok_or_else(|| invalid_datetime(type_name))?;
    let after = rest.strip_prefix(['T', ' ']).unwrap_or(rest).trim_start();
    if after.len() < rest.len() && after.starts_with(|c: char| c.is_ascii_digit()) {
        let (clock, suffix) = split_clock(after).ok_or_else(|| invalid_datetime(type_name))?;
        return Ok((days, clock, suffix.trim()));
    }
    Ok((days, 0, after.trim()))
}

/// Reads `+02`, `+0230`, `+02:30` or `+02:30:15` as seconds east.
fn iso_offset(text: &str) -> Option<i32> {
    let (sign, digits) = text.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
    let compact: String = digits.chars().filter(|c| *c != ':').collect();
    if compact.is_empty() || compact.len() > 6 || !compact.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| compact.get(range).map_or(Some(0), |digits| digits.parse::<i32>().ok());
    let hours = compact[..compact.len().min(2)].parse::<i32>().ok()?;
    let (minutes, seconds) = (part(2..4)?, part(4..6)?);
    if hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    let east = hours * 3600 + minutes * 60 + seconds;
    Some(if sign == "-" { -east } else { east })
}

/// Reads `1 year -2 mons 3 days 04:05:06.7` and the same with other words for units.
pub(super) fn interval(text: &str) -> Result<IntervalMonthDayNano, PgError> {
    let failed = || invalid_datetime("interval").hint("Use a form such as 1 day 02:30:00.");
    let (mut months, mut days, mut microseconds) = (0_i64, 0_i64, 0_i64);
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        return Err(failed());
    }
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (sign, clock) = match word.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, word.strip_prefix('+').unwrap_or(word)),
            };
            microseconds += sign * long_clock(clock).ok_or_else(failed)?;
            continue;
        }
        let end = word.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(word.len());
        let (number, attached) = word.split_at(end);
        let number: f64 = number.parse().map_err(|_| failed())?;
        let unit = if attached.is_empty() { words.next().unwrap_or("seconds") } else { attached };
        let whole = number.trunc();
        match unit.to_ascii_lowercase().trim_end_matches('s') {
            "year" | "yr" | "y" => months += (number * 12.0).round() as i64,
            "mon" | "month" => {
                months += whole as i64;
                days += ((number - whole) * 30.0).round() as i64;
            }
            "week" | "w" => days += (number * 7.0).round() as i64,
            "day" | "d" => {
                days += whole as i64;
                microseconds += ((number - whole) * 86_400e6).round() as i64;
            }
            "hour" | "hr" | "h" => microseconds += (number * 3_600e6).round() as i64,
            "minute" | "min" | "m" => microseconds += (number * 60e6).round() as i64,
            "second" | "sec" | "" => microseconds += (number * 1e6).round() as i64,
            "millisecond" | "msec" | "millisec" => microseconds += (number * 1e3).round() as i64,
            "microsecond" | "usec" | "u" => microseconds += number.round() as i64,
            _ => return Err(failed()),
        }
    }
    let out_of_range = || overflow("interval");
    Ok(IntervalMonthDayNano {
        months: i32::try_from(months).map_err(|_| out_of_range())?,
        days: i32::try_from(days).map_err(|_| out_of_range())?,
        nanoseconds: microseconds.checked_mul(1_000).ok_or_else(out_of_range)?,
    })
}

/// Hours beyond a day are allowed in intervals.
fn long_clock(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once(':')?;
    let hours: i64 = hours.parse().ok().filter(|hours| (0..=2_562_047_788).contains(hours))?;
    let (below, tail) = split_clock(&format!("00:{rest}")).map(|(microseconds, tail)| (microseconds, tail.is_empty()))?;
    if tail { hours.checked_mul(3_600_000_000)?.checked_add(below) } else { None }
}
