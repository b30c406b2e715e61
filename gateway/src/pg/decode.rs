//! Parameters of a Bind: bytes of a declared type, as the planner's values.

mod array;
mod text;

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, i256};
use datafusion::scalar::ScalarValue;

use super::encode::Format;
use super::pg_type::{
    self, BOOL, BPCHAR, BYTEA, CHAR, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, INTERVAL, JSON, JSONB, NAME, NUMERIC, OID, REGCLASS, REGPROC,
    REGTYPE, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, UNKNOWN, UUID, VARCHAR, XID,
};
use super::settings::Zone;
use super::sqlstate::{INVALID_BINARY, NOT_UTF8, OUT_OF_RANGE, PgError, UNSUPPORTED};

const DAYS_TO_2000: i32 = 10_957;
const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;

/// Reads one parameter of type `oid` into a value of `target`, the type the plan has for it.
///
/// # Errors
/// 22P02 for a text that is no value of the type, 22P03 for such bytes, 22003 for a number the plan's type cannot hold.
pub(crate) fn parameter(oid: u32, format: Format, bytes: Option<&Bytes>, target: &DataType, zone: Zone) -> Result<ScalarValue, PgError> {
    let Some(bytes) = bytes else {
        return ScalarValue::try_from(target).map_err(|error| PgError::internal(error.to_string()));
    };
    let value = match format {
        Format::Text => text_value(oid, utf8(bytes)?, zone)?,
        Format::Binary => binary_value(oid, bytes)?,
    };
    fit(value, target)
}

/// Reads the text of a value, as in `EXECUTE p ('1')`.
pub(crate) fn from_text(oid: u32, value: Option<&str>, target: &DataType, zone: Zone) -> Result<ScalarValue, PgError> {
    let bytes = value.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    parameter(oid, Format::Text, bytes.as_ref(), target, zone)
}

/// Brings a value into the plan's type without changing it.
fn fit(value: ScalarValue, target: &DataType) -> Result<ScalarValue, PgError> {
    if value.data_type() == *target {
        return Ok(value);
    }
    let fitted = value.cast_to(target).map_err(|_| {
        PgError::new(OUT_OF_RANGE, format!("a parameter does not fit the type {target}"))
            .hint("Declare the parameter's type, or cast it in the statement.")
    })?;
    // A decimal that loses digits on the way would ask another question than the client did.
    let is_lossless = !matches!(value, ScalarValue::Decimal256(..)) || fitted.cast_to(&value.data_type()).is_ok_and(|back| back == value);
    if is_lossless {
        Ok(fitted)
    } else {
        Err(PgError::new(OUT_OF_RANGE, format!("a parameter has more digits than the type {target} holds"))
            .hint("Cast the parameter in the statement: $1::numeric."))
    }
}

fn utf8(bytes: &Bytes) -> Result<&str, PgError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PgError::new(NOT_UTF8, "invalid byte sequence for encoding \"UTF8\""))?;
    if text.contains('\0') { Err(PgError::new(NOT_UTF8, "invalid byte sequence for encoding \"UTF8\": 0x00")) } else { Ok(text) }
}

fn text_value(oid: u32, text: &str, zone: Zone) -> Result<ScalarValue, PgError> {
    Ok(match oid {
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | JSON | JSONB | UNKNOWN => ScalarValue::from(text),
        UUID => ScalarValue::from(text::uuid(text)?),
        BOOL => ScalarValue::from(text::boolean(text)?),
        INT2 => ScalarValue::from(text::integer::<i16>(text, "smallint")?),
        INT4 => ScalarValue::from(text::integer::<i32>(text, "integer")?),
        INT8 => ScalarValue::from(text::integer::<i64>(text, "bigint")?),
        OID | REGCLASS | REGTYPE | REGPROC | XID => ScalarValue::from(i64::from(text::integer::<u32>(text, "oid")?)),
        FLOAT4 => ScalarValue::from(text::float(text, "real")? as f32),
        FLOAT8 => ScalarValue::from(text::float(text, "double precision")?),
        NUMERIC => numeric(text::numeric(text)?),
        BYTEA => ScalarValue::Binary(Some(text::bytea(text)?)),
        DATE => ScalarValue::Date32(Some(text::date(text)?)),
        TIME => ScalarValue::Time64Microsecond(Some(text::time(text)?)),
        TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(text::timestamp(text)?), None),
        TIMESTAMPTZ => ScalarValue::TimestampMicrosecond(Some(text::timestamptz(text, zone)?), Some("UTC".into())),
        INTERVAL => ScalarValue::IntervalMonthDayNano(Some(text::interval(text)?)),
        other => array::from_text(element(other)?, text, |oid, text| text_value(oid, text, zone))?,
    })
}

fn binary_value(oid: u32, bytes: &Bytes) -> Result<ScalarValue, PgError> {
    let mut bytes = bytes.clone();
    Ok(match oid {
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | JSON | UNKNOWN => ScalarValue::from(utf8(&bytes)?),
        JSONB => match bytes.split_first() {
            Some((1, document)) => ScalarValue::from(utf8(&bytes.slice_ref(document))?),
            _ => return Err(PgError::new(INVALID_BINARY, "unsupported jsonb version number")),
        },
        UUID => ScalarValue::from(text::uuid(&format!("{:032x}", u128::from_be_bytes(exact(&bytes)?)))?),
        BOOL => ScalarValue::from(exact::<1>(&bytes)?[0] != 0),
        INT2 => ScalarValue::from(i16::from_be_bytes(exact(&bytes)?)),
        INT4 => ScalarValue::from(i32::from_be_bytes(exact(&bytes)?)),
        INT8 => ScalarValue::from(i64::from_be_bytes(exact(&bytes)?)),
        OID | REGCLASS | REGTYPE | REGPROC | XID => ScalarValue::from(i64::from(u32::from_be_bytes(exact(&bytes)?))),
        FLOAT4 => ScalarValue::from(f32::from_be_bytes(exact(&bytes)?)),
        FLOAT8 => ScalarValue::from(f64::from_be_bytes(exact(&bytes)?)),
        NUMERIC => numeric(binary_numeric(bytes)?),
        BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        DATE => {
            let days = i32::from_be_bytes(exact(&bytes)?);
            let shifted = if matches!(days, i32::MAX | i32::MIN) { Some(days) } else { days.checked_add(DAYS_TO_2000) };
            ScalarValue::Date32(Some(shifted.ok_or_else(malformed)?))
        }
        TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(exact(&bytes)?))),
        TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(binary_timestamp(&bytes)?), None),
        TIMESTAMPTZ => ScalarValue::TimestampMicrosecond(Some(binary_timestamp(&bytes)?), Some("UTC".into())),
        INTERVAL => {
            exact::<16>(&bytes)?;
            let microseconds = bytes.get_i64();
            let (days, months) = (bytes.get_i32(), bytes.get_i32());
            let nanoseconds = microseconds.checked_mul(1_000).ok_or_else(|| PgError::new("22008", "interval out of range"))?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))
        }
        other => array::from_binary(element(other)?, bytes, &|oid, bytes| binary_value(oid, bytes))?,
    })
}

fn element(array: u32) -> Result<u32, PgError> {
    pg_type::element_oid(array)
        .ok_or_else(|| PgError::new(UNSUPPORTED, format!("parameters of the type with number {array} are not supported")))
}

fn numeric(value: i256) -> ScalarValue {
    ScalarValue::Decimal256(Some(value), 76, 38)
}

fn malformed() -> PgError {
    PgError::new(INVALID_BINARY, "incorrect binary data format in a bind parameter")
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], PgError> {
    bytes.try_into().map_err(|_| malformed())
}

fn binary_timestamp(bytes: &[u8]) -> Result<i64, PgError> {
    match i64::from_be_bytes(exact(bytes)?) {
        infinite @ (i64::MAX | i64::MIN) => Ok(infinite),
        finite => finite.checked_add(MICROSECONDS_TO_2000).ok_or_else(malformed),
    }
}

/// Reads groups of four digits into a value with 38 digits behind the point.
fn binary_numeric(mut bytes: Bytes) -> Result<i256, PgError> {
    if bytes.len() < 8 {
        return Err(malformed());
    }
    let (groups, weight) = (bytes.get_i16(), bytes.get_i16());
    let (sign, _scale) = (bytes.get_u16(), bytes.get_u16());
    let groups = usize::try_from(groups).map_err(|_| malformed())?;
    if bytes.len() != groups * 2 {
        return Err(malformed());
    }
    let is_negative = match sign {
        0 => false,
        0x4000 => true,
        0xC000 | 0xD000 | 0xF000 => return Err(PgError::new(UNSUPPORTED, "NaN and infinity are not supported in numeric parameters")),
        _ => return Err(malformed()),
    };
    let mut digits = text::Digits::new(is_negative);
    let mut place = i32::from(weight) * 4 + 3;
    for _ in 0..groups {
        let group = bytes.get_u16();
        if group > 9_999 {
            return Err(malformed());
        }
        for divisor in [1_000, 100, 10, 1] {
            digits.push((group / divisor % 10) as u8, place)?;
            place -= 1;
        }
    }
    Ok(digits.value())
}
