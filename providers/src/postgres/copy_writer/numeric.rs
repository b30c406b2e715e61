//! The binary form of `numeric`, of a decimal. It shows no more decimals than the value has: the column's own scale adds its zeros.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::datatypes::i256;

/// The most digits of base 10000 that a decimal of 76 digits has, wherever its point is.
const MOST_GROUPS: usize = 24;
const NEGATIVE: u16 = 0x4000;

/// A value as digits of base 10000, the lowest first.
struct Groups {
    digits: [u16; MOST_GROUPS],
    count: usize,
    /// How many of them are behind the point.
    fraction: usize,
}

impl Groups {
    fn new(scale: u8) -> Self {
        Self { digits: [0; MOST_GROUPS], count: 0, fraction: usize::from(scale.div_ceil(4)) }
    }

    fn push(&mut self, digit: u16) {
        self.digits[self.count] = digit;
        self.count += 1;
    }

    fn rest(&mut self, mut value: u128) {
        while value > 0 {
            self.push((value % 10_000) as u16);
            value /= 10_000;
        }
    }

    fn write(&self, negative: bool, out: &mut BytesMut) {
        let digits = &self.digits[..self.count];
        let Some(highest) = digits.iter().rposition(|&digit| digit != 0) else {
            // Zero is no digit at all.
            out.put_u64(0);
            return;
        };
        let lowest = digits.iter().position(|&digit| digit != 0).unwrap_or(highest);
        let zeros = match digits[lowest] {
            digit if digit % 1000 == 0 => 3,
            digit if digit % 100 == 0 => 2,
            digit if digit % 10 == 0 => 1,
            _ => 0,
        };
        let decimals = (4 * self.fraction.saturating_sub(lowest)).saturating_sub(zeros);
        // All of them are far below 16 bits.
        out.put_u16((highest - lowest + 1) as u16);
        out.put_i16(highest as i16 - self.fraction as i16);
        out.put_u16(if negative { NEGATIVE } else { 0 });
        out.put_u16(decimals as u16);
        for &digit in digits[lowest..=highest].iter().rev() {
            out.put_u16(digit);
        }
    }
}

/// How many decimals the lowest digit of base 10000 holds at `scale`, as a power of ten, and what is missing of a whole one.
fn lowest(scale: u8) -> Option<(u16, u16)> {
    match (scale, scale % 4) {
        (0, _) => None,
        (_, 1) => Some((10, 1000)),
        (_, 2) => Some((100, 100)),
        (_, 3) => Some((1000, 10)),
        _ => Some((10_000, 1)),
    }
}

/// Writes the unscaled `value` of `Decimal128(_, scale)`.
pub(super) fn decimal128(value: i128, scale: u8, out: &mut BytesMut) {
    let mut groups = Groups::new(scale);
    let mut rest = value.unsigned_abs();
    if let Some((power, filling)) = lowest(scale) {
        groups.push((rest % u128::from(power)) as u16 * filling);
        rest /= u128::from(power);
    }
    groups.rest(rest);
    groups.write(value < 0, out);
}

/// Writes the unscaled `value` of `Decimal256(_, scale)`, whose magnitude is within 76 digits.
pub(super) fn decimal256(value: i256, scale: u8, out: &mut BytesMut) {
    let mut groups = Groups::new(scale);
    let mut rest = value.wrapping_abs();
    if let Some((power, filling)) = lowest(scale) {
        groups.push(remainder(rest, power) * filling);
        rest = rest.wrapping_div(i256::from_i128(power.into()));
    }
    while rest.to_i128().is_none() {
        groups.push(remainder(rest, 10_000));
        rest = rest.wrapping_div(i256::from_i128(10_000));
    }
    groups.rest(rest.as_i128().unsigned_abs());
    groups.write(value.is_negative(), out);
}

fn remainder(value: i256, divisor: u16) -> u16 {
    value.wrapping_rem(i256::from_i128(divisor.into())).as_i128() as u16
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, Schema};
    use datafusion::arrow::record_batch::RecordBatch;

    use super::*;
    use crate::postgres::copy_binary::{CopyDecoder, PLAIN_HEADER, bound256};
    use crate::sql::ScanLimits;

    /// What a scan reads.
    fn read(data_type: DataType, value: &[u8]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("v", data_type, true)]));
        let mut decoder = CopyDecoder::new(schema, ScanLimits::new(None, 1)).unwrap();
        let mut message = BytesMut::from(&PLAIN_HEADER[..]);
        message.put_i16(1);
        message.put_i32(value.len() as i32);
        message.put_slice(value);
        decoder.push(message.freeze());
        decoder.decode().unwrap();
        decoder.take_batch().unwrap()
    }

    #[test]
    fn decimals_read_back_as_they_were() {
        let edges = [0, 1, 9, 10, 99, 9999, 10_000, 10_001, 120_000_000, i128::from(i64::MAX), 10i128.pow(37), 10i128.pow(38) - 1];
        for scale in 0..=38 {
            for edge in edges.into_iter().flat_map(|edge| [edge, -edge]) {
                let mut out = BytesMut::new();
                decimal128(edge, scale, &mut out);
                let batch = read(DataType::Decimal128(38, scale as i8), &out);
                assert_eq!(batch.column(0).as_primitive::<Decimal128Type>().value(0), edge, "{edge} at {scale}");
                out.clear();
                decimal256(i256::from_i128(edge), scale, &mut out);
                let batch = read(DataType::Decimal256(76, scale as i8), &out);
                assert_eq!(batch.column(0).as_primitive::<Decimal256Type>().value(0), i256::from_i128(edge), "{edge} at {scale}");
            }
        }
        let largest = bound256(76).wrapping_sub(i256::ONE);
        for scale in 0..=76 {
            for edge in [largest, largest.wrapping_neg(), bound256(75), bound256(39)] {
                let mut out = BytesMut::new();
                decimal256(edge, scale, &mut out);
                let batch = read(DataType::Decimal256(76, scale as i8), &out);
                assert_eq!(batch.column(0).as_primitive::<Decimal256Type>().value(0), edge, "{edge} at {scale}");
            }
        }
    }

    #[test]
    fn no_more_decimals_are_shown_than_there_are() {
        for (value, scale, decimals) in [(1_500, 3, 1), (15, 38, 38), (100, 2, 0), (1_000_000, 2, 0), (12_345, 4, 4)] {
            let mut out = BytesMut::new();
            decimal128(value, scale, &mut out);
            assert_eq!(u16::from_be_bytes([out[6], out[7]]), decimals, "{value} at {scale}");
        }
    }
}
