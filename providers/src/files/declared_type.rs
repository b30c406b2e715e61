//! Types found in files by their names.

use super::type_mapping::publish;
use crate::declared_type::{DeclaredType, of_arrow};

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    of_arrow(text, publish)
}
