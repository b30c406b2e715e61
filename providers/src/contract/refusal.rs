//! Why an answer did not come, or a check did not hold.

use datafusion::error::DataFusionError;

use crate::error::{Error, VALUE_REFUSED, with_causes};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What went wrong.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Whether a value at the source is none of its column's: then the connector did what it should.
    pub is_of_data: bool,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, hint: None, is_of_data: false }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let is_of_data = error.code_text() == Some(VALUE_REFUSED);
        Self { message: error.with_causes(), hint: error.hint_text().filter(|hint| !hint.is_empty()).map(str::to_owned), is_of_data }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        // What DataFusion says around an error of ours adds nothing to it.
        Error::find(&error).map_or_else(|| Self::from(with_causes(&error)), Self::from)
    }
}
