//! Which types of ClickHouse hold the values of which others. Types are read as `system.columns` prints them, or as people write them.

use super::remote_type::{Stored, Type};
use crate::type_change::TypeChange;

/// What became of a column that was `expected` and is `actual`.
///
/// Whether a column may be NULL is told by itself and is no part of its type here; that of an array's items is. `LowCardinality` and
/// time zones change no value.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    TypeChange::between(&Stored::parse(expected).of, &Stored::parse(actual).of, fits)
}

/// Whether each value of `narrow` is an equal value of `wide`.
fn fits(narrow: &Type, wide: &Type) -> bool {
    if narrow == wide {
        return true;
    }
    match (narrow, wide) {
        (Type::Whole { signed, bits }, Type::Whole { signed: wide_signed, bits: wide_bits }) => {
            // Those of more than 64 bits arrive as text.
            let room = if *wide_signed && !signed { bits < wide_bits } else { bits <= wide_bits };
            room && (*wide_signed || !signed) && (*bits > 64) == (*wide_bits > 64)
        }
        (Type::Whole { signed, bits: bits @ ..=64 }, Type::Decimal { precision, scale }) => {
            digits(*signed, *bits) <= i16::from(*precision) - i16::from(*scale)
        }
        (Type::Whole { signed, bits: bits @ ..=64 }, Type::Float(wide)) => {
            let magnitude = bits - u16::from(*signed);
            match wide {
                32 => magnitude <= 24,
                64 => magnitude <= 53,
                _ => false,
            }
        }
        (Type::Float(32), Type::Float(64)) => true,
        (Type::Decimal { precision, scale }, Type::Decimal { precision: wide_precision, scale: wide_scale }) => {
            let before = |precision: &u8, scale: &u8| i16::from(*precision) - i16::from(*scale);
            scale <= wide_scale && before(precision, scale) <= before(wide_precision, wide_scale)
        }
        (Type::Date, Type::Date32) => true,
        (Type::DateTime, Type::DateTime64(_)) => true,
        // Nanoseconds end in 2262, the others in 2299.
        (Type::DateTime64(digits), Type::DateTime64(wide)) => digits <= wide && *wide < 9,
        (Type::Enum(labels), Type::Enum(wide)) => labels.iter().all(|label| wide.contains(label)),
        (Type::Enum(_), Type::String) => true,
        (Type::Array(narrow), Type::Array(wide)) => {
            // What arrives as an array and what is printed differ.
            let same_form = Type::Array(narrow.clone()).is_printed() == Type::Array(wide.clone()).is_printed();
            same_form && (wide.nullable || !narrow.nullable) && fits(&narrow.of, &wide.of)
        }
        _ => false,
    }
}

/// How many decimal digits hold every value.
fn digits(signed: bool, bits: u16) -> i16 {
    match (signed, bits) {
        (_, 8) => 3,
        (_, 16) => 5,
        (_, 32) => 10,
        (true, _) => 19,
        (false, _) => 20,
    }
}

#[cfg(test)]
mod tests;
