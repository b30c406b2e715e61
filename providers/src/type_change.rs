//! How a type at a source relates to the one that was expected there. Pure; each connector parses its own texts.

use std::fmt;

mod arrow;
mod declaration;
#[cfg(test)]
pub(crate) mod table;

pub(crate) use self::arrow::between_arrow_types;
pub(crate) use self::declaration::Declaration;

/// What became of a column's type, judged by the values that it holds and how they arrive here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeChange {
    /// The same type, or another spelling of it, or one that holds the same values.
    Same,
    /// Every value of the expected type still fits, and arrives as an equal value.
    Widened,
    /// Every value of the type that is there now would have fitted, but not the other way round.
    Narrowed,
    /// Neither holds all values of the other, or equal values arrive in another form.
    Different,
}

impl TypeChange {
    /// The change from `expected` to `actual`; `fits` says of two types whether each value of the first is an equal value of the second.
    ///
    /// A widening read backwards is a narrowing by construction, and `fits` has only to be transitive for widenings to be so.
    pub(crate) fn between<T>(expected: &T, actual: &T, fits: impl Fn(&T, &T) -> bool) -> Self {
        match (fits(expected, actual), fits(actual, expected)) {
            (true, true) => TypeChange::Same,
            (true, false) => TypeChange::Widened,
            (false, true) => TypeChange::Narrowed,
            (false, false) => TypeChange::Different,
        }
    }

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            TypeChange::Same => "same",
            TypeChange::Widened => "widened",
            TypeChange::Narrowed => "narrowed",
            TypeChange::Different => "different",
        }
    }
}

impl fmt::Display for TypeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
