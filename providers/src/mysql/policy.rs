//! What a datasource makes of values that have more than one meaning: `tinyint(1)`, and dates that are none.

use datafusion::arrow::datatypes::DataType;

use crate::error::Result;
use crate::options::Options;

/// What a `tinyint(1)` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TinyInt1 {
    /// A number, as the server has it.
    #[default]
    Integer,
    /// A truth value. A number but 0 and 1 in it is an error.
    Boolean,
}

/// What a date such as `0000-00-00` or `2024-02-31` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ZeroDates {
    /// An error that names the column.
    #[default]
    Refused,
    /// NULL.
    Null,
    /// Text, like every other date of the datasource.
    Text,
}

/// A datasource's choices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) tinyint1: TinyInt1,
    pub(super) zero_dates: ZeroDates,
}

impl Policy {
    pub(super) fn of(options: &Options) -> Result<Self> {
        let tinyint1 = if options.required("tinyint1")? == "boolean" { TinyInt1::Boolean } else { TinyInt1::Integer };
        let zero_dates = match options.required("zero_dates")? {
            "null" => ZeroDates::Null,
            "text" => ZeroDates::Text,
            // The manifest allows `error` besides.
            _ => ZeroDates::Refused,
        };
        Ok(Self { tinyint1, zero_dates })
    }

    /// Whether a column of this type may hold what is read as NULL and is none to the server.
    pub(super) fn makes_nulls_of(self, data_type: &DataType) -> bool {
        self.zero_dates == ZeroDates::Null && matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
    }
}
