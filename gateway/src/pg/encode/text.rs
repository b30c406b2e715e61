//! The text format of the simple types.

use bytes::{BufMut, BytesMut};

use super::datetime::{civil_from_days, offset_at};
use crate::pg::settings::Zone;

const HEX: &[u8; 16] = b"0123456789abcdef";
const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Writes a whole number.
pub(super) fn integer(value: i64, out: &mut BytesMut) {
    if value < 0 {
        out.put_u8(b'-');
    }
    unsigned(value.unsigned_abs(), 1, out);
}

/// Writes a whole number with leading zeros up to `width` digits.
pub(super) fn unsigned(mut value: u64, width: usize, out: &mut BytesMut) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.put_slice(&digits[start.min(digits.len() - width)..]);
}

/// Writes bytes as `\x` and hexadecimal digits.
pub(super) fn bytea_hex(bytes: &[u8], out: &mut BytesMut) {
    out.reserve(2 + 2 * bytes.len());
    out.put_slice(b"\\x");
    for byte in bytes {
        out.put_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Writes bytes in PostgreSQL's old format: printable ASCII as it is, the rest as octal numbers.
pub(super) fn bytea_escape(bytes: &[u8], out: &mut BytesMut) {
    for byte in bytes {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            0x20..=0x7e => out.put_u8(*byte),
            _ => out.put_slice(&[b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]),
        }
    }
}

/// Writes days since 1970; the extreme numbers are the infinities.
pub(super) fn date(days: i64, out: &mut BytesMut) {
    if days == i64::from(i32::MAX) {
        out.put_slice(b"infinity");
    } else if days == i64::from(i32::MIN) {
        out.put_slice(b"-infinity");
    } else if calendar_date(days, out) {
        out.put_slice(b" BC");
    }
}

/// Writes year, month and day, and says whether the year is before Christ.
fn calendar_date(days: i64, out: &mut BytesMut) -> bool {
    let (year, month, day) = civil_from_days(days);
    let is_before_christ = year <= 0;
    // There is no year zero: astronomical 0 is 1 BC.
    let shown = if is_before_christ { 1 - year } else { year };
    unsigned(shown.unsigned_abs(), 4, out);
    out.put_u8(b'-');
    unsigned(u64::from(month), 2, out);
    out.put_u8(b'-');
    unsigned(u64::from(day), 2, out);
    is_before_christ
}

/// Writes microseconds since midnight.
pub(super) fn time(microseconds: i64, out: &mut BytesMut) {
    clock(microseconds.unsigned_abs(), out);
}

/// Writes hours, minutes and seconds, and the fraction that is not zero.
pub(super) fn clock(microseconds: u64, out: &mut BytesMut) {
    let seconds = microseconds / 1_000_000;
    unsigned(seconds / 3600, 2, out);
    out.put_u8(b':');
    unsigned(seconds / 60 % 60, 2, out);
    out.put_u8(b':');
    unsigned(seconds % 60, 2, out);
    fraction(microseconds % 1_000_000, out);
}

fn fraction(mut microseconds: u64, out: &mut BytesMut) {
    if microseconds == 0 {
        return;
    }
    let mut width = 6;
    while microseconds.is_multiple_of(10) {
        microseconds /= 10;
        width -= 1;
    }
    out.put_u8(b'.');
    unsigned(microseconds, width, out);
}

/// Writes microseconds since 1970 without a zone; the extreme numbers are the infinities.
pub(super) fn timestamp(microseconds: i64, out: &mut BytesMut) {
    if infinity(microseconds, out) {
        return;
    }
    if date_and_clock(i128::from(microseconds), out) {
        out.put_slice(b" BC");
    }
}

/// Writes an instant in `zone`, with its offset.
pub(super) fn timestamptz(microseconds: i64, zone: Zone, out: &mut BytesMut) {
    if infinity(microseconds, out) {
        return;
    }
    let east = offset_at(zone, microseconds);
    let is_before_christ = date_and_clock(i128::from(microseconds) + i128::from(east) * 1_000_000, out);
    offset(east, out);
    if is_before_christ {
        out.put_slice(b" BC");
    }
}

fn infinity(microseconds: i64, out: &mut BytesMut) -> bool {
    match microseconds {
        i64::MAX => out.put_slice(b"infinity"),
        i64::MIN => out.put_slice(b"-infinity"),
        _ => return false,
    }
    true
}

fn date_and_clock(microseconds: i128, out: &mut BytesMut) -> bool {
    let day = i128::from(MICROSECONDS_PER_DAY);
    // Both fit: the first is below 2^37, the second below a day.
    let days = microseconds.div_euclid(day) as i64;
    let is_before_christ = calendar_date(days, out);
    out.put_u8(b' ');
    clock(microseconds.rem_euclid(day) as u64, out);
    is_before_christ
}

/// Writes `+01`, `+05:30` or, for the offsets of old local times, `+00:53:28`.
fn offset(east: i32, out: &mut BytesMut) {
    out.put_u8(if east < 0 { b'-' } else { b'+' });
    let seconds = u64::from(east.unsigned_abs());
    unsigned(seconds / 3600, 2, out);
    if !seconds.is_multiple_of(3600) {
        out.put_u8(b':');
        unsigned(seconds / 60 % 60, 2, out);
    }
    if !seconds.is_multiple_of(60) {
        out.put_u8(b':');
        unsigned(seconds % 60, 2, out);
    }
}
