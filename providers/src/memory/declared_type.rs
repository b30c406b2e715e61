//! Types of tables in memory by their names.

use datafusion::arrow::datatypes::DataType;

use crate::declared_type::{DeclaredType, of_arrow};

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    of_arrow(text, DataType::clone)
}
