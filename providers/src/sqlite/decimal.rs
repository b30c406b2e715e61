//! Numbers of SQLite as decimals: exact, or not at all.

use datafusion::arrow::datatypes::i256;

/// The digits of a decimal of `precision` and `scale` without its point, or `None` when `text` is not a number that it holds exactly.
///
/// `text` is as a person writes a number: sign, digits, point, exponent. Zeros beyond the scale are no loss.
pub(super) fn unscaled(text: &str, precision: u8, scale: i8) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The value is digits * 10^(exponent - fraction.len()); it is wanted as a multiple of 10^-scale.
    let shift = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + i64::from(scale);
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    digits = significant.to_owned();
    if shift < 0 {
        let kept = usize::try_from(-shift).ok().and_then(|dropped| digits.len().checked_sub(dropped))?;
        if !digits[kept..].bytes().all(|b| b == b'0') {
            return None;
        }
        digits.truncate(kept);
    } else {
        let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= usize::from(precision))?;
        digits.extend(std::iter::repeat_n('0', zeros));
    }
    if digits.is_empty() || digits.len() > usize::from(precision) {
        return None;
    }
    if negative {
        digits.insert(0, '-');
    }
    Some(digits)
}

/// A REAL as the shortest decimal text that SQLite reads as the same REAL: what was typed in, whenever that had up to 15 digits.
pub(super) fn shortest(real: f64) -> Option<String> {
    real.is_finite().then(|| format!("{real:e}"))
}

/// [`unscaled`] of an integer for the narrow decimal, without a detour through text.
pub(super) fn scaled_integer(value: i64, precision: u8, scale: i8) -> Option<i128> {
    let factor = 10_i128.checked_pow(u32::try_from(scale).ok()?)?;
    let scaled = i128::from(value).checked_mul(factor)?;
    let bound = 10_i128.checked_pow(u32::from(precision))?;
    (scaled.unsigned_abs() < bound.unsigned_abs()).then_some(scaled)
}

/// A narrow decimal from a number's text.
pub(super) fn decimal128(text: &str, precision: u8, scale: i8) -> Option<i128> {
    unscaled(text, precision, scale)?.parse().ok()
}

/// A wide decimal from a number's text.
pub(super) fn decimal256(text: &str, precision: u8, scale: i8) -> Option<i256> {
    i256::from_string(&unscaled(text, precision, scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_held_exactly_or_refused() {
        let cases = [
            ("123.45", 10, 2, Some(12345)),
            ("-0.05", 10, 2, Some(-5)),
            (" +7 ", 10, 2, Some(700)),
            (".5", 3, 1, Some(5)),
            ("5.", 3, 1, Some(50)),
            ("1.500", 3, 1, Some(15)),
            ("1.25e1", 5, 1, Some(125)),
            ("1e3", 4, 0, Some(1000)),
            ("00012", 2, 0, Some(12)),
            ("1.55", 3, 1, None),
            ("1000", 3, 0, None),
            ("1e9", 3, 0, None),
            ("1e-9", 10, 2, None),
            ("0e-9", 10, 2, Some(0)),
            ("-0", 10, 2, Some(0)),
            ("", 10, 2, None),
            (".", 10, 2, None),
            ("abc", 10, 2, None),
            ("1,5", 10, 2, None),
            ("NaN", 10, 2, None),
            ("1e999999999999", 10, 2, None),
            ("--1", 10, 2, None),
        ];
        for (text, precision, scale, wanted) in cases {
            assert_eq!(decimal128(text, precision, scale), wanted, "{text} as ({precision}, {scale})");
        }
    }

    #[test]
    fn a_real_is_what_was_typed() {
        assert_eq!(decimal128(&shortest(123.45).unwrap(), 10, 2), Some(12345));
        assert_eq!(decimal128(&shortest(0.1 + 0.2).unwrap(), 10, 2), None);
        assert_eq!(decimal128(&shortest(1e20).unwrap(), 21, 0), Some(100_000_000_000_000_000_000));
        assert_eq!(shortest(f64::INFINITY), None);
    }

    #[test]
    fn integers_respect_the_precision() {
        assert_eq!(scaled_integer(12, 4, 2), Some(1200));
        assert_eq!(scaled_integer(-99, 4, 2), Some(-9900));
        assert_eq!(scaled_integer(100, 4, 2), None);
        assert_eq!(scaled_integer(i64::MIN, 38, 18), Some(i128::from(i64::MIN) * 10_i128.pow(18)));
    }

    #[test]
    fn the_wide_decimal_reaches_its_ends() {
        let text = "9".repeat(76);
        assert_eq!(decimal256(&text, 76, 0).unwrap().to_string(), text);
        assert_eq!(decimal256(&"9".repeat(77), 76, 0), None);
    }
}
