//! Which types found in files hold the values of which others.

use crate::type_change::{TypeChange, between_arrow_types};

/// What became of a column that was `expected` and is `actual`, as Arrow prints both.
///
/// Types that are published alike because they differ only in their encoding are the same.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    between_arrow_types(expected, actual)
}

#[cfg(test)]
mod tests;
