//! Which declared types of SQLite hold the values of which others.
//!
//! SQLite itself goes by the affinity alone. What is read here also goes by the words, and what was meant by the length, so types are
//! one when they have the same affinity, arrive in the same form and have the same length.

use datafusion::arrow::datatypes::DataType;

use super::type_mapping::{Behaviour, Mapping, map};
use crate::type_change::{Declaration, TypeChange};

/// What became of a column that was declared `expected` and is declared `actual`.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    TypeChange::between(&Declared::parse(expected), &Declared::parse(actual), fits)
}

#[derive(Debug)]
struct Declared {
    affinity: Affinity,
    mapping: Mapping,
    /// Characters of text.
    length: Option<i64>,
}

/// What SQLite tries to turn a value into when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Declared {
    fn parse(text: &str) -> Self {
        // Of a view's columns no comparison is trusted, and none is asked for here.
        let mapping = map(text, Behaviour::Viewed);
        let length = Declaration::parse(text).and_then(|declaration| match declaration.numbers()?.as_slice() {
            [length] => Some(*length),
            _ => None,
        });
        Self { affinity: Affinity::of(text), length: length.filter(|_| mapping.data_type == DataType::Utf8), mapping }
    }

    /// The digits before and behind the point.
    fn digits(&self) -> Option<(i16, i16)> {
        match self.mapping.data_type {
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                Some((i16::from(precision) - i16::from(scale), i16::from(scale)))
            }
            _ => None,
        }
    }
}

impl Affinity {
    /// SQLite's rules, in their order.
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if has(&["INT"]) {
            Affinity::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Affinity::Text
        } else if has(&["BLOB"]) || declared.trim().is_empty() {
            Affinity::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }
}

/// Whether each value of `narrow` is an equal value of `wide`.
fn fits(narrow: &Declared, wide: &Declared) -> bool {
    if narrow.affinity != wide.affinity {
        return false;
    }
    if let (Some((before, after)), Some((wide_before, wide_after))) = (narrow.digits(), wide.digits()) {
        return before <= wide_before && after <= wide_after;
    }
    let same_form = narrow.mapping.data_type == wide.mapping.data_type && narrow.mapping.presentation == wide.mapping.presentation;
    let short_enough = match (narrow.length, wide.length) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(length), Some(limit)) => length <= limit,
    };
    same_form && short_enough
}

#[cfg(test)]
mod tests;
