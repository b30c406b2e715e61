//! Why a datasource does not open, when that is nothing its connector could have done better.

use crate::error::{Error, ErrorKind};

/// What keeps a datasource from being opened: its source, or what was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// What it is, by what can be done about it.
    pub kind: ErrorKind,
    /// What the connector said of it, without the datasource's name.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

impl Unopened {
    /// `None` for an error that a connector which keeps its contract does not give.
    pub(super) fn by(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::Unreachable
            | ErrorKind::Unauthorized
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::Timeout
            | ErrorKind::LimitExceeded
            | ErrorKind::Invalid
            | ErrorKind::Conflict => {
                let told = error.with_causes();
                let named = error.datasource().map(|name| format!("datasource \"{name}\": ")).unwrap_or_default();
                let message = told.strip_prefix(&named).unwrap_or(&told).to_owned();
                Some(Self { kind: error.kind(), message, hint: error.hint_text().map(str::to_owned) })
            }
            ErrorKind::Cancelled | ErrorKind::ReadOnly | ErrorKind::SchemaMismatch | ErrorKind::Failed | ErrorKind::Internal => None,
        }
    }
}
