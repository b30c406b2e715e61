//! The binary form of `numeric`, as a decimal of a given scale. What does not fit exactly is a fault, never rounded.

use datafusion::arrow::datatypes::i256;

use super::column::ValueFault;

/// Powers of ten that an `i128` holds.
pub(super) const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Digits of base 10000 whose value certainly fits an `i128`.
const GROUPS_IN_I128: usize = 9;
/// And those whose value fits a `u64`, with which most values are done at a fraction of the cost.
const GROUPS_IN_U64: usize = 4;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// A finite value as it came: `sign * 0.d1d2d3... * 10000^(weight + 1)`, the digits in base 10000.
struct Numeric<'a> {
    negative: bool,
    weight: i32,
    groups: &'a [u8],
}

impl<'a> Numeric<'a> {
    fn parse(raw: &'a [u8]) -> Result<Self, ValueFault> {
        let (header, groups) = raw.split_first_chunk::<8>().ok_or(ValueFault::Malformed)?;
        let [n0, n1, w0, w1, s0, s1, _, _] = *header;
        let negative = match u16::from_be_bytes([s0, s1]) {
            0 => false,
            NEGATIVE => true,
            NAN => return Err(ValueFault::NumericNan),
            INFINITY | NEGATIVE_INFINITY => return Err(ValueFault::NumericInfinity),
            _ => return Err(ValueFault::Malformed),
        };
        if groups.len() != 2 * usize::from(u16::from_be_bytes([n0, n1])) {
            return Err(ValueFault::Malformed);
        }
        Ok(Self { negative, weight: i32::from(i16::from_be_bytes([w0, w1])), groups })
    }

    fn group(&self, index: usize) -> u16 {
        u16::from_be_bytes([self.groups[2 * index], self.groups[2 * index + 1]])
    }

    /// The number of groups, and the power of ten that turns their concatenation into an integer at `scale`.
    ///
    /// A negative power of -1 to -3 drops trailing zeros of the last group. Anything below means that the value has more decimals.
    fn shape(&self, scale: u8) -> (usize, i32) {
        let count = self.groups.len() / 2;
        // The header holds both numbers in 16 bits, so this cannot overflow.
        (count, 4 * (self.weight - (count as i32 - 1)) + i32::from(scale))
    }

    /// The last group without the trailing zeros that are beyond the scale, and how many digits of it are left.
    fn last_group(&self, count: usize, power: i32) -> Result<(u16, usize), ValueFault> {
        let last = self.group(count - 1);
        let (divisor, digits) = match power {
            0.. => return Ok((last, 4)),
            -1 => (10, 3),
            -2 => (100, 2),
            -3 => (1000, 1),
            _ => return Err(ValueFault::NumericOutOfRange),
        };
        if !last.is_multiple_of(divisor) {
            return Err(ValueFault::NumericOutOfRange);
        }
        Ok((last / divisor, digits))
    }
}

/// Decodes to the unscaled integer of `Decimal128(precision, scale)`.
pub(super) fn decimal128(raw: &[u8], precision: u8, scale: u8) -> Result<i128, ValueFault> {
    let numeric = Numeric::parse(raw)?;
    let (count, power) = numeric.shape(scale);
    if count == 0 {
        return Ok(0);
    }
    let (last, digits) = numeric.last_group(count, power)?;
    let mut value = 0i128;
    if count <= GROUPS_IN_U64 {
        let front = (0..count - 1).fold(0u64, |value, index| value * 10_000 + u64::from(numeric.group(index)));
        value = i128::from(front * POWERS[digits] as u64 + u64::from(last));
    } else if count <= GROUPS_IN_I128 {
        for index in 0..count - 1 {
            value = value * 10_000 + i128::from(numeric.group(index));
        }
        value = value * POWERS[digits] + i128::from(last);
    } else {
        let step = |value: i128, factor: i128, group: u16| value.checked_mul(factor)?.checked_add(group.into());
        for index in 0..count - 1 {
            value = step(value, 10_000, numeric.group(index)).ok_or(ValueFault::NumericOutOfRange)?;
        }
        value = step(value, POWERS[digits], last).ok_or(ValueFault::NumericOutOfRange)?;
    }
    if power > 0 {
        let factor = POWERS.get(power as usize).ok_or(ValueFault::NumericOutOfRange)?;
        value = value.checked_mul(*factor).ok_or(ValueFault::NumericOutOfRange)?;
    }
    if value >= POWERS[usize::from(precision)] {
        return Err(ValueFault::NumericOutOfRange);
    }
    Ok(if numeric.negative { -value } else { value })
}

/// Decodes to the unscaled integer of a `Decimal256` of `scale` whose magnitude is below `bound`.
pub(super) fn decimal256(raw: &[u8], bound: i256, scale: u8) -> Result<i256, ValueFault> {
    let numeric = Numeric::parse(raw)?;
    let (count, power) = numeric.shape(scale);
    if count == 0 {
        return Ok(i256::ZERO);
    }
    let (last, digits) = numeric.last_group(count, power)?;
    let step = |value: i256, factor, group: u16| value.checked_mul(i256::from_i128(factor))?.checked_add(i256::from_i128(group.into()));
    let mut value = if count <= GROUPS_IN_I128 {
        let mut value = 0i128;
        for index in 0..count - 1 {
            value = value * 10_000 + i128::from(numeric.group(index));
        }
        i256::from_i128(value * POWERS[digits] + i128::from(last))
    } else {
        let mut value = i256::ZERO;
        for index in 0..count - 1 {
            value = step(value, 10_000, numeric.group(index)).ok_or(ValueFault::NumericOutOfRange)?;
        }
        step(value, POWERS[digits], last).ok_or(ValueFault::NumericOutOfRange)?
    };
    let mut power = usize::try_from(power).unwrap_or(0);
    while power > 0 {
        // A power beyond the table is applied in parts; a value it is applied to is not zero, so this ends soon.
        let part = power.min(POWERS.len() - 1);
        value = value.checked_mul(i256::from_i128(POWERS[part])).ok_or(ValueFault::NumericOutOfRange)?;
        power -= part;
    }
    if value >= bound {
        return Err(ValueFault::NumericOutOfRange);
    }
    Ok(if numeric.negative { value.wrapping_neg() } else { value })
}

/// The first integer that has more than `precision` digits.
pub(in super::super) fn bound256(precision: u8) -> i256 {
    let precision = usize::from(precision);
    let low = precision.min(POWERS.len() - 1);
    i256::from_i128(POWERS[low]).wrapping_mul(i256::from_i128(POWERS[precision - low]))
}
