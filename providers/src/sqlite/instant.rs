//! Dates and times in the text forms SQLite's own functions write, read strictly.

use chrono::{DateTime, Datelike, NaiveDate};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// `YYYY-MM-DD` as days since 1970.
pub(super) fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(&bytes[..4])?).ok()?,
        u32::try_from(number(&bytes[5..7])?).ok()?,
        u32::try_from(number(&bytes[8..])?).ok()?,
    )?;
    Some(date.num_days_from_ce() - DateTime::UNIX_EPOCH.date_naive().num_days_from_ce())
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff` as microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (number(&bytes[..2])?, number(&bytes[3..5])?);
    let (second, fraction) = match bytes.len() {
        5 => (0, 0),
        8 if bytes[5] == b':' => (number(&bytes[6..8])?, 0),
        10.. if bytes[5] == b':' && bytes[8] == b'.' => (number(&bytes[6..8])?, micros(&bytes[9..])?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + fraction)
}

/// A date, alone or with a time behind a blank or a `T`, as microseconds since 1970. No offset.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let days = i64::from(date(text.get(..10)?)?);
    let of_day = match text.as_bytes().get(10) {
        None => 0,
        Some(b' ' | b'T') => time(text.get(11..)?)?,
        Some(_) => return None,
    };
    Some(days * MICROS_PER_DAY + of_day)
}

/// A date with a time and an offset (`Z`, `+02:00`, `+0200`, `+02`) as microseconds since 1970 in UTC.
pub(super) fn instant(text: &str) -> Option<i64> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return timestamp(local.trim_end_matches(' ')).filter(|_| local.len() > 10);
    }
    let at = 11 + text.get(11..)?.find(['+', '-'])?;
    let (local, offset) = text.split_at_checked(at)?;
    let bytes = offset.as_bytes();
    let (hours, minutes) = match bytes.len() {
        3 => (number(&bytes[1..3])?, 0),
        5 => (number(&bytes[1..3])?, number(&bytes[3..5])?),
        6 if bytes[3] == b':' => (number(&bytes[1..3])?, number(&bytes[4..6])?),
        _ => return None,
    };
    if hours > 15 || minutes > 59 {
        return None;
    }
    let ahead = (hours * 60 + minutes) * 60 * MICROS_PER_SECOND;
    let local = timestamp(local.trim_end_matches(' '))?;
    Some(if bytes[0] == b'-' { local + ahead } else { local - ahead })
}

/// Days since 1970 as [`date`] reads them; `None` beyond the years of four digits.
pub(super) fn written_date(days: i32) -> Option<String> {
    let date = NaiveDate::from_epoch_days(days)?;
    (0..=9999).contains(&date.year()).then(|| date.format("%Y-%m-%d").to_string())
}

/// Microseconds since midnight as [`time`] reads them: with a fraction only if there is one, as SQLite's own functions write.
pub(super) fn written_time(micros: i64) -> Option<String> {
    if !(0..MICROS_PER_DAY).contains(&micros) {
        return None;
    }
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(if fraction == 0 { whole } else { format!("{whole}.{fraction:06}") })
}

/// Microseconds since 1970 as [`timestamp`] reads them.
pub(super) fn written_timestamp(micros: i64) -> Option<String> {
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?;
    Some(format!("{} {}", written_date(days)?, written_time(micros.rem_euclid(MICROS_PER_DAY))?))
}

/// An unsigned number of a few digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Digits behind the point as microseconds; beyond six only zeros.
fn micros(digits: &[u8]) -> Option<i64> {
    let (kept, beyond) = digits.split_at(digits.len().min(6));
    if !beyond.iter().all(|digit| *digit == b'0') {
        return None;
    }
    let scale = 10_i64.pow(6 - u32::try_from(kept.len()).ok()?);
    Some(number(kept)? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_strict() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2024-02-29"), Some(19782));
        assert_eq!(date("0000-01-01"), Some(-719_528));
        for text in ["2023-02-29", "2024-1-1", "24-01-01", "2024-01-01 ", "2024/01/01", "", "today", "２０２４-01-1"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for days in [-719_528, -1, 0, 19_782, 2_932_896] {
            assert_eq!(date(&written_date(days).unwrap()), Some(days));
        }
        assert_eq!((written_date(-719_529), written_date(2_932_897), written_date(i32::MAX)), (None, None, None));
        for micros in [0, 1, MICROS_PER_SECOND, MICROS_PER_DAY - 1] {
            assert_eq!(time(&written_time(micros).unwrap()), Some(micros));
        }
        assert_eq!((written_time(-1), written_time(MICROS_PER_DAY)), (None, None));
        for micros in [-719_528 * MICROS_PER_DAY, -1, 0, 500_000, 2_932_897 * MICROS_PER_DAY - 1] {
            let text = written_timestamp(micros).unwrap();
            assert_eq!((timestamp(&text), instant(&(text + "+00:00"))), (Some(micros), Some(micros)));
        }
        assert_eq!((written_timestamp(2_932_897 * MICROS_PER_DAY), written_timestamp(i64::MIN)), (None, None));
    }

    #[test]
    fn times_keep_microseconds_and_no_less() {
        assert_eq!(time("00:00"), Some(0));
        assert_eq!(time("23:59:59.999999"), Some(MICROS_PER_DAY - 1));
        assert_eq!(time("01:02:03.5"), Some(3_723_500_000));
        assert_eq!(time("01:02:03.123456000"), Some(3_723_123_456));
        for text in ["24:00:00", "12:60", "12:00:60", "12:00:00.1234567", "12:00:00.", "1:00", "12-00", "12:00:0x"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_timestamp_is_local_and_an_instant_is_not() {
        assert_eq!(timestamp("1970-01-02"), Some(MICROS_PER_DAY));
        assert_eq!(timestamp("1970-01-01T00:00:01"), Some(1_000_000));
        assert_eq!(timestamp("1970-01-01 00:00:00.25"), Some(250_000));
        for text in ["1970-01-01Z", "1970-01-01 00:00:00Z", "1970-01-01 00:00:00+01:00", "1970-01-01x00:00", "1970-01-01 ", "é970-01-01"] {
            assert_eq!(timestamp(text), None, "{text}");
        }
        assert_eq!(instant("1970-01-01 01:00:00+01:00"), Some(0));
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("1969-12-31 22:30:00.5-0130"), Some(500_000));
        for text in ["1970-01-01 00:00:00", "1970-01-01Z", "1970-01-01", "1970-01-01 00:00:00+1", "1970-01-01 00:00:00 UTC", "éééééé+01"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
