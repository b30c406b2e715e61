//! Decimals as PostgreSQL's `numeric`, in text and in groups of four digits.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::datatypes::i256;

/// The most digits a 256-bit integer has, and the zeros a negative scale may add.
const CAPACITY: usize = 78 + 128;
const LIMB: u128 = 10_u128.pow(38);

/// The digits of one value, on the stack.
#[derive(Debug)]
pub(super) struct Decimal {
    /// Digits as numbers, most significant first, without leading zeros but for the one of zero.
    digits: [u8; CAPACITY],
    length: usize,
    /// How many of them are behind the point; may exceed their number.
    scale: usize,
    is_negative: bool,
}

impl Decimal {
    pub(super) fn from_u128(value: u128, scale: i8) -> Self {
        let mut decimal = Self { digits: [0; CAPACITY], length: 0, scale: 0, is_negative: false };
        decimal.push_limb(value, 1);
        decimal.finish(scale)
    }

    pub(super) fn from_i128(value: i128, scale: i8) -> Self {
        let mut decimal = Self::from_u128(value.unsigned_abs(), scale);
        decimal.is_negative = value < 0;
        decimal
    }

    pub(super) fn from_i256(value: i256, scale: i8) -> Self {
        if let Some(small) = value.to_i128() {
            return Self::from_i128(small, scale);
        }
        let mut decimal = Self { digits: [0; CAPACITY], length: 0, scale: 0, is_negative: value.is_negative() };
        // At most 77 digits: two limbs of 38 and what is above them. Remainders keep the sign, so no absolute value is needed.
        let limb = i256::from_i128(LIMB as i128);
        let (high, low) = (value.wrapping_div(limb), value.wrapping_rem(limb));
        let (top, middle) = (high.wrapping_div(limb), high.wrapping_rem(limb));
        let magnitude = |part: i256| part.to_i128().map_or(0, i128::unsigned_abs);
        decimal.push_limb(magnitude(top), 1);
        decimal.push_limb(magnitude(middle), 38);
        decimal.push_limb(magnitude(low), 38);
        decimal.finish(scale)
    }

    /// Appends a number, with zeros before it up to `width` digits unless it is the first.
    fn push_limb(&mut self, mut value: u128, width: usize) {
        let mut reversed = [0_u8; 39];
        let mut count = 0;
        while value > 0 {
            // Two steps in 64 bits are far cheaper than many in 128.
            let mut chunk = (value % 1_000_000_000_000_000_000) as u64;
            value /= 1_000_000_000_000_000_000;
            let mut left = if value > 0 { 18 } else { usize::MAX };
            while left > 0 && (value > 0 || chunk > 0) {
                reversed[count] = (chunk % 10) as u8;
                chunk /= 10;
                count += 1;
                left -= 1;
            }
        }
        if self.length > 0 {
            count = count.max(width);
        }
        for digit in reversed[..count].iter().rev() {
            self.digits[self.length] = *digit;
            self.length += 1;
        }
    }

    fn finish(mut self, scale: i8) -> Self {
        match usize::try_from(scale) {
            Ok(scale) => self.scale = scale,
            // A negative scale is so many zeros more, unless there is nothing to multiply.
            Err(_) if self.length > 0 => self.length += usize::from(scale.unsigned_abs()),
            Err(_) => {}
        }
        if self.length == 0 {
            self.length = 1;
        }
        self
    }

    /// Takes away the zeros at the end of the fraction.
    pub(super) fn trim(&mut self) {
        if self.is_zero() {
            self.scale = 0;
            return;
        }
        while self.scale > 0 && self.length > 1 && self.digits[self.length - 1] == 0 {
            self.length -= 1;
            self.scale -= 1;
        }
    }

    fn is_zero(&self) -> bool {
        self.length == 1 && self.digits[0] == 0
    }

    /// The digit `place` places left of the point (0 is the ones) or, when negative, right of it.
    fn digit(&self, place: isize) -> u8 {
        let from_end = place + self.scale.cast_signed();
        match usize::try_from(from_end) {
            Ok(from_end) if from_end < self.length => self.digits[self.length - 1 - from_end],
            _ => 0,
        }
    }

    /// How many digits stand before the point; at least one.
    fn whole_digits(&self) -> usize {
        self.length.saturating_sub(self.scale).max(1)
    }

    pub(super) fn write_text(&self, out: &mut BytesMut) {
        if self.is_negative {
            out.put_u8(b'-');
        }
        let whole = self.whole_digits();
        out.reserve(whole + self.scale + 1);
        for place in (0..whole.cast_signed()).rev() {
            out.put_u8(b'0' + self.digit(place));
        }
        if self.scale > 0 {
            out.put_u8(b'.');
            for place in 1..=self.scale.cast_signed() {
                out.put_u8(b'0' + self.digit(-place));
            }
        }
    }

    /// Writes groups of four digits around the point, without zero groups at either end.
    pub(super) fn write_binary(&self, out: &mut BytesMut) {
        let group = |index: isize| (0..4).rev().fold(0_u16, |value, place| value * 10 + u16::from(self.digit(index * 4 + place)));
        let first = self.whole_digits().div_ceil(4).cast_signed() - 1;
        let last = -self.scale.div_ceil(4).cast_signed();
        let highest = (last..=first).rev().find(|index| group(*index) != 0);
        let lowest = (last..=first).find(|index| group(*index) != 0);
        let (highest, lowest) = match (highest, lowest) {
            (Some(highest), Some(lowest)) => (highest, lowest),
            // Zero has no groups at all.
            _ => (0, 1),
        };
        out.put_i16((highest - lowest + 1) as i16);
        out.put_i16(highest as i16);
        out.put_u16(if self.is_negative { 0x4000 } else { 0 });
        out.put_u16(self.scale as u16);
        for index in (lowest..=highest).rev() {
            out.put_u16(group(index));
        }
    }
}
