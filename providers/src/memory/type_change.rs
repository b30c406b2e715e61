//! Which types of tables in memory hold the values of which others.

use crate::type_change::{TypeChange, between_arrow_types};

/// What became of a column that was `expected` and is `actual`, as Arrow prints both.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    between_arrow_types(expected, actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_by_their_values() {
        assert_eq!(type_change("Int64", "Int64"), TypeChange::Same);
        assert_eq!(type_change("Int32", "Int64"), TypeChange::Widened);
        assert_eq!(type_change("Int64", "Int32"), TypeChange::Narrowed);
        assert_eq!(type_change("Int64", "Utf8"), TypeChange::Different);
    }
}
