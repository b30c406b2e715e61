//! Floats as PostgreSQL prints them.

use std::fmt::{self, LowerExp, Write};

use bytes::{BufMut, BytesMut};

use super::text::unsigned;

/// Writes a double. Above zero `extra_float_digits` means the shortest text that reads back exactly.
pub(super) fn write_f64(value: f64, extra_float_digits: i32, out: &mut BytesMut) {
    if !special(value, out) {
        write_finite(value, 15, extra_float_digits, out);
    }
}

/// Writes a single.
pub(super) fn write_f32(value: f32, extra_float_digits: i32, out: &mut BytesMut) {
    if !special(f64::from(value), out) {
        write_finite(value, 6, extra_float_digits, out);
    }
}

fn special(value: f64, out: &mut BytesMut) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else {
        return false;
    };
    out.put_slice(text);
    true
}

/// Lays out the digits like C's `%g`: plain between 10^-4 and 10^`sure`, else with an exponent.
fn write_finite(value: impl LowerExp, sure: i32, extra_float_digits: i32, out: &mut BytesMut) {
    let mut scientific = Scientific { bytes: [0; 48], length: 0 };
    let (written, plain_below) = if extra_float_digits > 0 {
        (write!(scientific, "{value:e}"), sure)
    } else {
        let precision = (sure + extra_float_digits).max(1);
        (write!(scientific, "{:.*e}", precision as usize - 1, value), precision)
    };
    debug_assert!(written.is_ok(), "the longest float fits");
    let text = &scientific.bytes[..scientific.length];
    let (mantissa, exponent) = split_exponent(text);
    let (negative, mantissa) = match mantissa.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, mantissa),
    };
    let mut digits = [0_u8; 40];
    let mut count = 0;
    for digit in mantissa.iter().filter(|byte| byte.is_ascii_digit()) {
        digits[count] = *digit;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    if negative {
        out.put_u8(b'-');
    }
    layout(&digits[..count], exponent, plain_below, out);
}

fn layout(digits: &[u8], exponent: i32, plain_below: i32, out: &mut BytesMut) {
    if (-4..plain_below).contains(&exponent) {
        if exponent < 0 {
            out.put_slice(b"0.");
            out.put_bytes(b'0', exponent.unsigned_abs() as usize - 1);
            out.put_slice(digits);
        } else {
            let whole = exponent as usize + 1;
            out.put_slice(&digits[..whole.min(digits.len())]);
            out.put_bytes(b'0', whole.saturating_sub(digits.len()));
            if digits.len() > whole {
                out.put_u8(b'.');
                out.put_slice(&digits[whole..]);
            }
        }
    } else {
        out.put_slice(&digits[..1]);
        if digits.len() > 1 {
            out.put_u8(b'.');
            out.put_slice(&digits[1..]);
        }
        out.put_slice(if exponent < 0 { b"e-" } else { b"e+" });
        unsigned(u64::from(exponent.unsigned_abs()), 2, out);
    }
}

/// Splits `1.5e-7` into its digits and its exponent.
fn split_exponent(text: &[u8]) -> (&[u8], i32) {
    let at = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
    let exponent = std::str::from_utf8(text.get(at + 1..).unwrap_or_default()).ok().and_then(|text| text.parse().ok());
    (&text[..at], exponent.unwrap_or(0))
}

/// A place on the stack for the digits.
struct Scientific {
    bytes: [u8; 48],
    length: usize,
}

impl Write for Scientific {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
