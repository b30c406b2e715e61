//! What a datasource makes of values that are none of their column's type.

use datafusion::arrow::datatypes::DataType;

use crate::error::Result;
use crate::options::Options;
use crate::remote::{Comparison, Presentation, RemoteColumn};

/// What becomes of a value that belies its column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// An error that names the table, the column and the row.
    #[default]
    Refused,
    /// NULL.
    Null,
    /// Text, like every other value of its column.
    Text,
}

impl Mismatch {
    pub(super) fn of(options: &Options) -> Result<Self> {
        Ok(match options.required("on_mismatch")? {
            "null" => Self::Null,
            "text" => Self::Text,
            // The manifest allows `error` besides.
            _ => Self::Refused,
        })
    }

    /// How a column is published that may hold what is none of its type. SQLite compares the values it has, not those that are read
    /// in their place, so nothing is compared there.
    pub(super) fn applied_to(self, column: RemoteColumn) -> RemoteColumn {
        match self {
            Self::Refused => column,
            Self::Null => RemoteColumn { nullable: true, comparison: Comparison::None, ..column },
            Self::Text if column.data_type == DataType::Binary => RemoteColumn { comparison: Comparison::None, ..column },
            Self::Text => {
                RemoteColumn { data_type: DataType::Utf8, presentation: Presentation::Plain, comparison: Comparison::None, ..column }
            }
        }
    }
}
