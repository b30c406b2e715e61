//! Which of the source's types hold the values of which others.

use crate::type_change::TypeChange;

/// What became of a column that was `expected` and is `actual`. In doubt two types are different.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    if expected == actual { TypeChange::Same } else { TypeChange::Different }
}
