//! The binary format of the types that differ from network byte order of their Arrow values.

use bytes::{BufMut, BytesMut};

use super::out_of_range;
use crate::pg::sqlstate::{DATETIME_OVERFLOW, INVALID_TEXT, PgError};

/// Days from 1970 to 2000, where PostgreSQL begins to count.
const DAYS_TO_2000: i64 = 10_957;
/// The same in microseconds.
const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;

pub(super) fn int2(value: i64, out: &mut BytesMut) -> Result<(), PgError> {
    out.put_i16(i16::try_from(value).map_err(|_| out_of_range("smallint"))?);
    Ok(())
}

pub(super) fn int4(value: i64, out: &mut BytesMut) -> Result<(), PgError> {
    out.put_i32(i32::try_from(value).map_err(|_| out_of_range("integer"))?);
    Ok(())
}

pub(super) fn oid(value: i64, out: &mut BytesMut) -> Result<(), PgError> {
    out.put_u32(u32::try_from(value).map_err(|_| out_of_range("OID"))?);
    Ok(())
}

/// Days since 1970; the extreme numbers stay the infinities.
pub(super) fn date(days: i64, out: &mut BytesMut) -> Result<(), PgError> {
    let shifted = if days == i64::from(i32::MAX) || days == i64::from(i32::MIN) { days } else { days - DAYS_TO_2000 };
    out.put_i32(i32::try_from(shifted).map_err(|_| PgError::new(DATETIME_OVERFLOW, "date out of range"))?);
    Ok(())
}

/// Microseconds since 1970; the extreme numbers stay the infinities.
pub(super) fn timestamp(microseconds: i64, out: &mut BytesMut) -> Result<(), PgError> {
    let shifted = match microseconds {
        i64::MAX | i64::MIN => Some(microseconds),
        finite => finite.checked_sub(MICROSECONDS_TO_2000),
    };
    out.put_i64(shifted.ok_or_else(|| PgError::new(DATETIME_OVERFLOW, "timestamp out of range"))?);
    Ok(())
}

/// The sixteen bytes of a uuid written as text.
pub(super) fn uuid(text: &[u8], out: &mut BytesMut) -> Result<(), PgError> {
    let malformed = || PgError::new(INVALID_TEXT, "a value is not a valid uuid");
    let mut value: u128 = 0;
    let mut digits = 0;
    for byte in text.iter().filter(|byte| **byte != b'-') {
        let digit = char::from(*byte).to_digit(16).ok_or_else(malformed)?;
        value = value << 4 | u128::from(digit);
        digits += 1;
    }
    if digits != 32 {
        return Err(malformed());
    }
    out.put_u128(value);
    Ok(())
}
