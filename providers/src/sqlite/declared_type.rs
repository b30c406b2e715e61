//! Declared types of SQLite by their names: it takes any words for one.

use super::type_mapping::{Behaviour, map};
use crate::declared_type::DeclaredType;

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    let mapping = map(text, Behaviour::Viewed);
    DeclaredType::Known(mapping.data_type, mapping.presentation)
}
