//! Numbers of a document, as a `numeric` takes them. What an exponent stands for is counted before it is written out.

use std::borrow::Cow;
use std::fmt::Write;

use super::document::{Fault, Form};

/// Digits of a `numeric` before and behind its point, at most.
/// Source: PostgreSQL's manual, section "Numeric Types".
const MOST_DIGITS: usize = 131_072;
const MOST_DECIMALS: usize = 16_383;

/// A number: the digits behind `0.`, times ten to the power of `point`.
pub(super) struct Number<'a> {
    is_negative: bool,
    /// Without zeros in front; none for zero.
    digits: Cow<'a, str>,
    point: i64,
    /// How many decimals it is shown with.
    scale: usize,
}

impl<'a> Number<'a> {
    /// Reads a text that is a number in JSON.
    ///
    /// # Errors
    /// When it has more digits than a `numeric`.
    pub(super) fn read(text: &'a str) -> Result<Self, Fault> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            // One that does not fit is far beyond the digits there may be, or of a zero.
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| Fault::TooLarge)?),
            None => (text, 0),
        };
        let (is_negative, unsigned) = mantissa.strip_prefix('-').map_or((false, mantissa), |unsigned| (true, unsigned));
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = if decimals.is_empty() { Cow::Borrowed(whole) } else { Cow::Owned(format!("{whole}{decimals}")) };
        // Zeros in front do not count, and there may be many with a large exponent.
        let leading = all.bytes().take_while(|digit| *digit == b'0').count();
        let digits = match all {
            Cow::Borrowed(all) => Cow::Borrowed(&all[leading..]),
            Cow::Owned(all) => Cow::Owned(all[leading..].to_owned()),
        };
        let point = length(whole)?.checked_add(exponent).ok_or(Fault::TooLarge)?;
        let point = point - i64::try_from(leading).map_err(|_| Fault::TooLarge)?;
        let scale = usize::try_from(length(decimals)?.saturating_sub(exponent).max(0));
        let scale = scale.ok().filter(|scale| *scale <= MOST_DECIMALS).ok_or(Fault::TooLarge)?;
        let has_too_many = usize::try_from(point).is_ok_and(|point| point > MOST_DIGITS);
        if has_too_many && !digits.is_empty() {
            return Err(Fault::TooLarge);
        }
        Ok(Self { is_negative: is_negative && !digits.is_empty(), digits, point, scale })
    }

    /// Digits before the point that are not written as a lone zero.
    fn whole_digits(&self) -> usize {
        if self.digits.is_empty() { 0 } else { usize::try_from(self.point).unwrap_or(0) }
    }

    /// The bytes of it as it is shown.
    pub(super) fn shown_bytes(&self) -> usize {
        let decimals = if self.scale > 0 { 1 + self.scale } else { 0 };
        usize::from(self.is_negative) + self.whole_digits().max(1) + decimals
    }

    pub(super) fn write(&self, form: Form, into: &mut String) {
        if self.is_negative {
            into.push('-');
        }
        match form {
            Form::Shown => self.write_out(into),
            Form::Compared if self.digits.is_empty() => into.push('0'),
            Form::Compared => {
                into.push_str(self.digits.trim_end_matches('0'));
                let _never_fails = write!(into, "e{}", self.point);
            }
        }
    }

    /// Without an exponent, and with as many decimals as it was given with.
    fn write_out(&self, into: &mut String) {
        let whole = self.whole_digits();
        let (before, behind) = self.digits.split_at(whole.min(self.digits.len()));
        into.push_str(if whole == 0 { "0" } else { before });
        into.extend(std::iter::repeat_n('0', whole.saturating_sub(self.digits.len())));
        if self.scale > 0 {
            into.push('.');
            into.extend(std::iter::repeat_n('0', self.scale.saturating_sub(behind.len())));
            into.push_str(behind);
        }
    }
}

fn length(digits: &str) -> Result<i64, Fault> {
    i64::try_from(digits.len()).map_err(|_| Fault::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_before_they_are_written() {
        for text in
            ["0", "-0.00", "0e5", "1", "-1.50", "1e2", "1.5e1", "1.50E+1", "1E-3", "-0.001e2", "0.001e5", "12345.678e-2", "1e131071"]
        {
            let number = Number::read(text).unwrap();
            let mut shown = String::new();
            number.write(Form::Shown, &mut shown);
            assert_eq!(number.shown_bytes(), shown.len(), "{text} is {shown}");
        }
    }

    #[test]
    fn a_number_is_compared_by_its_digits_and_not_written_out() {
        let compared = |text| {
            let mut compared = String::new();
            Number::read(text).unwrap().write(Form::Compared, &mut compared);
            compared
        };
        assert_eq!(compared("1e131071"), "1e131072");
        for (one, other) in [("1.0", "1"), ("100", "1e2"), ("0.010", "1e-2"), ("-0.0", "0"), ("0e7", "0"), ("-12.50", "-1250E-2")] {
            assert_eq!(compared(one), compared(other), "{one} {other}");
        }
        for (one, other) in [("1", "10"), ("1", "-1"), ("0.1", "0.01"), ("0", "1"), ("11e1", "1e11")] {
            assert_ne!(compared(one), compared(other), "{one} {other}");
        }
    }
}
