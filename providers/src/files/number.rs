//! Numbers as they are written, and which type holds them exactly.

use datafusion::arrow::datatypes::{DataType, i256};

/// The type of numbers that neither `bigint` nor `double precision` holds exactly: as many digits before the point as behind it.
pub(super) const NUMERIC: DataType = DataType::Decimal256(76, NUMERIC_SCALE);

/// Digits behind the point.
const NUMERIC_SCALE: i8 = 38;

/// So many digits stand before the point, and so many behind it.
const NUMERIC_SIDE: i64 = 38;
const NUMERIC_DIGITS: usize = 38;

/// Any number of so many digits is told apart from its neighbours by a double, and printed again as it was.
const DOUBLE_DIGITS: usize = 15;

/// Digits that name any double.
const ALL_DOUBLE_DIGITS: usize = 17;

/// Exponents at which doubles have all their digits.
const DOUBLE_EXPONENTS: std::ops::Range<i64> = -290..290;

/// The same for what is written, whatever zeros are in front or behind.
const SURE_EXPONENTS: std::ops::Range<i64> = -270..270;

/// Whether a text has digits, and nothing else.
pub(super) fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number's text, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    text: &'a str,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
    /// Whether it has neither a point nor an exponent.
    is_integer: bool,
}

impl<'a> Number<'a> {
    /// `None` for what is not written as a number, or has zeros or a plus in front.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let is_canonical = are_digits(whole) && (whole == "0" || !whole.starts_with('0'));
        if !is_canonical || fraction.is_some_and(|fraction| !are_digits(fraction)) {
            return None;
        }
        let is_integer = fraction.is_none() && exponent.is_none();
        let exponent = match exponent {
            // An exponent of more digits than any number has keeps the number from being one.
            Some(exponent) if are_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) => exponent.parse().ok()?,
            Some(_) => return None,
            None => 0,
        };
        Some(Self { text, whole, fraction: fraction.unwrap_or_default(), exponent, is_integer })
    }

    /// The number as `bigint`, when it is written as one and is one.
    pub(super) fn bigint(&self) -> Option<i64> {
        if self.is_integer { self.text.parse().ok() } else { None }
    }

    /// The number as a double, when the double is printed as this number: by its shortest text, or by all the digits it has.
    pub(super) fn double(&self) -> Option<f64> {
        let value: f64 = self.text.parse().ok()?;
        if self.whole.len() + self.fraction.len() <= DOUBLE_DIGITS && SURE_EXPONENTS.contains(&self.exponent) {
            return Some(value);
        }
        let (digits, exponent) = self.significant();
        if digits.is_empty() {
            return Some(value);
        }
        if self.is_integer && self.bigint().is_none() || !value.is_finite() {
            return None;
        }
        let keeps_any = digits.len() <= DOUBLE_DIGITS && DOUBLE_EXPONENTS.contains(&exponent);
        let is_printed = |printed: String| Number::parse(&printed).is_some_and(|shown| shown.significant() == (digits.clone(), exponent));
        let is_kept = keeps_any
            || is_printed(format!("{value:e}"))
            || digits.len() == ALL_DOUBLE_DIGITS && !self.is_integer && is_printed(format!("{value:.16e}"));
        is_kept.then_some(value)
    }

    /// The number as [`NUMERIC`], when it has room for all digits.
    pub(super) fn numeric(&self) -> Option<i256> {
        let (digits, exponent) = self.significant();
        if digits.is_empty() {
            return Some(i256::ZERO);
        }
        // The value is 0.DIGITS times ten to the exponent.
        let behind = i64::try_from(digits.len()).ok()?.checked_sub(exponent)?;
        if exponent > NUMERIC_SIDE || behind > NUMERIC_SIDE {
            return None;
        }
        let zeros = usize::try_from(i64::from(NUMERIC_SCALE) - behind).ok()?;
        let sign = if self.text.starts_with('-') { "-" } else { "" };
        i256::from_string(&format!("{sign}{digits}{}", "0".repeat(zeros)))
    }

    /// Whether [`numeric`](Self::numeric) has room for it, which most numbers show by their length.
    fn is_numeric(&self) -> bool {
        let fits = |digits: &str| digits.len() <= NUMERIC_DIGITS;
        self.exponent == 0 && fits(self.whole) && fits(self.fraction) || self.numeric().is_some()
    }

    /// The digits from the first to the last that is not zero, and where the point stands behind the first of them.
    fn significant(&self) -> (String, i64) {
        let mut digits = String::with_capacity(self.whole.len() + self.fraction.len());
        digits.push_str(self.whole);
        digits.push_str(self.fraction);
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let place = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let exponent = (place(self.whole.len()) - place(leading)).saturating_add(self.exponent);
        (digits.trim_matches('0').to_owned(), exponent)
    }
}

/// What the numbers of a column are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    bigint: bool,
    double: bool,
    numeric: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { bigint: true, double: true, numeric: true }
    }
}

impl Numbers {
    /// Takes in a value, which need not be a number.
    pub(super) fn see(&mut self, text: &str) {
        if !(self.bigint || self.double || self.numeric) {
            return;
        }
        let number = Number::parse(text);
        self.bigint &= number.is_some_and(|number| number.bigint().is_some());
        self.double &= number.is_some_and(|number| number.double().is_some());
        self.numeric &= number.is_some_and(|number| number.is_numeric());
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.bigint &= other.bigint;
        self.double &= other.double;
        self.numeric &= other.numeric;
    }

    /// The narrowest type that holds all of them exactly.
    pub(super) fn data_type(self) -> Option<DataType> {
        match self {
            Self { bigint: true, .. } => Some(DataType::Int64),
            Self { double: true, .. } => Some(DataType::Float64),
            Self { numeric: true, .. } => Some(NUMERIC),
            Self { bigint: false, double: false, numeric: false } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<DataType> {
        let mut numbers = Numbers::default();
        texts.iter().for_each(|text| numbers.see(text));
        numbers.data_type()
    }

    #[test]
    fn the_type_of_numbers_loses_no_digit() {
        let (bigint, double, numeric) = (Some(DataType::Int64), Some(DataType::Float64), Some(NUMERIC));
        let cases: &[(&[&str], &Option<DataType>)] = &[
            (&["1", "-20", "0", "9223372036854775807"], &bigint),
            (&["1.5", "2", "3.25"], &double),
            (&["1", "1.5", "-2e10", "1E-7", "0.0", "-0.0", "5e-324", "1.7976931348623157e308"], &double),
            // Printed with all the digits that a double has.
            (&["0.10000000000000001", "2.2999999999999998"], &double),
            (&["9007199254740992", "0.5"], &double),
            (&["9007199254740993", "0.5"], &numeric),
            (&["1234567890123456789", "0.25"], &numeric),
            (&["9223372036854775808"], &numeric),
            (&["100000000000000000000"], &numeric),
            (&["0.123456789012345678901"], &numeric),
            (&["1.234567890123456789e5", "-0"], &numeric),
            (&["12345678901234567890123456789012345678", "0.00000000000000000000000000000000000001"], &numeric),
            (&["123456789012345678901234567890123456789"], &None),
            (&["0.0000000000000000000000000000000000000123456789012345678"], &None),
            (&["1e999"], &None),
            (&["1e-400"], &None),
            (&["1e99999999999999999999"], &None),
            (&["9007199254740993", "1e-300"], &None),
            (&["007"], &None),
            (&["+1"], &None),
            (&["-"], &None),
            (&["1."], &None),
            (&[".5"], &None),
            (&["1e"], &None),
            (&["NaN"], &None),
            (&["é"], &None),
        ];
        for (texts, wanted) in cases {
            assert_eq!(of(texts), **wanted, "{texts:?}");
        }
    }

    #[test]
    fn a_numeric_is_the_number() {
        let numeric = |text| Number::parse(text).and_then(|number| number.numeric());
        let scaled = |text: &str| i256::from_string(&format!("{text}{}", "0".repeat(38)));
        assert_eq!(numeric("9007199254740993"), scaled("9007199254740993"));
        assert_eq!(numeric("-12e2"), scaled("-1200"));
        assert_eq!(numeric("0.00"), Some(i256::ZERO));
        assert_eq!(numeric("-0.5"), i256::from_string(&format!("-5{}", "0".repeat(37))));
        assert_eq!(numeric("1200e-1"), scaled("120"));
    }
}
