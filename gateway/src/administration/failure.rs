//! Why something that was asked for is not done, as a stable word that programs can match on.

use causeway_catalog::{SCHEMA_MODE_VIOLATION, WRITE_FORBIDDEN};
use causeway_providers::{Error, ErrorKind};

/// A result with a [`Failure`].
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What went wrong, in the words that clients match on. A word is never reused for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// There is no datasource of that name.
    DatasourceNotFound,
    /// The source has no such table, or our user may not see it.
    RemoteTableNotFound,
    /// No snapshot of that number is kept.
    SnapshotNotFound,
    /// There is no webhook of that name.
    WebhookNotFound,
    /// Something else that does not exist.
    NotFound,
    /// A name is taken.
    NameTaken,
    /// Something changed in the meantime, or is in use.
    Conflict,
    /// A table at the source is not what it was published as.
    ExternalSchemaMismatch,
    /// The datasource does not allow writes.
    ExternalWriteForbidden,
    /// The datasource's schema is not for Causeway to change.
    ExternalSchemaModeViolation,
    /// There is no store that outlives the process.
    NoWritableStore,
    /// A secret was given where only a reference to one can be kept.
    NoSecretStore,
    /// The control store cannot be read or written.
    StoreUnusable,
    /// The source cannot be reached.
    DatasourceUnreachable,
    /// The source refused our credentials, or our user may not do this there.
    DatasourceUnauthorized,
    /// The source was reached and failed.
    DatasourceFailed,
    /// It cannot be done.
    Unsupported,
    /// It took too long.
    Timeout,
    /// A size or count limit ended it.
    LimitExceeded,
    /// It was cancelled.
    Cancelled,
    /// What was asked for makes no sense.
    Invalid,
    /// A fault of our own.
    Internal,
}

impl Code {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Code::DatasourceNotFound => "DATASOURCE_NOT_FOUND",
            Code::RemoteTableNotFound => "REMOTE_TABLE_NOT_FOUND",
            Code::SnapshotNotFound => "SNAPSHOT_NOT_FOUND",
            Code::WebhookNotFound => "WEBHOOK_NOT_FOUND",
            Code::NotFound => "NOT_FOUND",
            Code::NameTaken => "NAME_TAKEN",
            Code::Conflict => "CONFLICT",
            Code::ExternalSchemaMismatch => "EXTERNAL_SCHEMA_MISMATCH",
            Code::ExternalWriteForbidden => WRITE_FORBIDDEN,
            Code::ExternalSchemaModeViolation => SCHEMA_MODE_VIOLATION,
            Code::NoWritableStore => "NO_WRITABLE_STORE",
            Code::NoSecretStore => "NO_SECRET_STORE",
            Code::StoreUnusable => "STORE_UNUSABLE",
            Code::DatasourceUnreachable => "DATASOURCE_UNREACHABLE",
            Code::DatasourceUnauthorized => "DATASOURCE_UNAUTHORIZED",
            Code::DatasourceFailed => "DATASOURCE_FAILED",
            Code::Unsupported => "UNSUPPORTED",
            Code::Timeout => "TIMEOUT",
            Code::LimitExceeded => "LIMIT_EXCEEDED",
            Code::Cancelled => "CANCELLED",
            Code::Invalid => "INVALID",
            Code::Internal => "INTERNAL",
        }
    }

    /// What an error says when nothing more is known of what was asked for.
    fn of(error: &Error) -> Self {
        // What names no datasource happened here, and what happens here happens to the store.
        let at_source = error.datasource().is_some();
        match error.kind() {
            ErrorKind::Unreachable => Code::DatasourceUnreachable,
            ErrorKind::Unauthorized if at_source => Code::DatasourceUnauthorized,
            ErrorKind::Unauthorized => Code::StoreUnusable,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Unsupported => Code::Unsupported,
            ErrorKind::Timeout => Code::Timeout,
            ErrorKind::LimitExceeded if at_source => Code::LimitExceeded,
            ErrorKind::LimitExceeded => Code::StoreUnusable,
            ErrorKind::Cancelled => Code::Cancelled,
            ErrorKind::Invalid => Code::Invalid,
            ErrorKind::Conflict => Code::Conflict,
            ErrorKind::ReadOnly if error.message().starts_with(SCHEMA_MODE_VIOLATION) => Code::ExternalSchemaModeViolation,
            ErrorKind::ReadOnly => Code::ExternalWriteForbidden,
            ErrorKind::SchemaMismatch => Code::ExternalSchemaMismatch,
            ErrorKind::Failed => Code::DatasourceFailed,
            ErrorKind::Internal => Code::Internal,
        }
    }
}

/// An error and its word.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) error: Error,
}

impl Failure {
    /// A failure of a kind this module knows best.
    pub(crate) fn new(code: Code, error: Error) -> Self {
        Self { code, error }
    }

    /// Says more precisely what an error of `kind` means here.
    #[must_use]
    pub(crate) fn where_kind(mut self, kind: ErrorKind, code: Code) -> Self {
        if self.error.kind() == kind {
            self.code = code;
        }
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: Code::of(&error), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_means_what_it_means_where_it_happened() {
        let here = || Error::new(ErrorKind::Unauthorized, "the file cannot be written");
        assert_eq!(Failure::from(here()).code, Code::StoreUnusable);
        assert_eq!(Failure::from(here().at("crm")).code, Code::DatasourceUnauthorized);
        let missing = Failure::from(Error::new(ErrorKind::NotFound, "gone").at("crm"));
        assert_eq!(missing.code, Code::NotFound);
        let missing = missing.where_kind(ErrorKind::Conflict, Code::NameTaken).where_kind(ErrorKind::NotFound, Code::RemoteTableNotFound);
        assert_eq!(missing.code, Code::RemoteTableNotFound);
    }
}
