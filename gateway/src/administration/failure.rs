//! Why something that was asked for is not done, as a stable word that programs can match on.

use causeway_catalog::{
    DATASOURCE_NOT_PUBLISHED, NAME_TAKEN, NO_WRITABLE_STORE, REMOTE_SCHEMA_NOT_FOUND, REMOTE_TABLE_NOT_FOUND, SCHEMA_MODE_VIOLATION,
    WRITE_FORBIDDEN,
};
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
    /// The source has no such schema, or its datasource leaves it out.
    RemoteSchemaNotFound,
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
    /// The datasource publishes no tables at all.
    DatasourceNotPublished,
    /// A table at the source is not what it was published as.
    ExternalSchemaMismatch,
    /// The datasource does not allow writes.
    ExternalWriteForbidden,
    /// The datasource's schema is not for Causeway to change.
    ExternalSchemaModeViolation,
    /// There is no store that outlives the process.
    NoWritableStore,
    /// A secret was given where only a reference to one can be kept.
    SecretNotAReference,
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
            Code::RemoteTableNotFound => REMOTE_TABLE_NOT_FOUND,
            Code::RemoteSchemaNotFound => REMOTE_SCHEMA_NOT_FOUND,
            Code::DatasourceNotPublished => DATASOURCE_NOT_PUBLISHED,
            Code::SnapshotNotFound => "SNAPSHOT_NOT_FOUND",
            Code::WebhookNotFound => "WEBHOOK_NOT_FOUND",
            Code::NotFound => "NOT_FOUND",
            Code::NameTaken => NAME_TAKEN,
            Code::Conflict => "CONFLICT",
            Code::ExternalSchemaMismatch => "EXTERNAL_SCHEMA_MISMATCH",
            Code::ExternalWriteForbidden => WRITE_FORBIDDEN,
            Code::ExternalSchemaModeViolation => SCHEMA_MODE_VIOLATION,
            Code::NoWritableStore => NO_WRITABLE_STORE,
            Code::SecretNotAReference => "SECRET_NOT_A_REFERENCE",
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

    /// The code whoever refused has named.
    fn named(word: &str) -> Option<Self> {
        match word {
            NAME_TAKEN => Some(Code::NameTaken),
            NO_WRITABLE_STORE => Some(Code::NoWritableStore),
            DATASOURCE_NOT_PUBLISHED => Some(Code::DatasourceNotPublished),
            REMOTE_TABLE_NOT_FOUND => Some(Code::RemoteTableNotFound),
            REMOTE_SCHEMA_NOT_FOUND => Some(Code::RemoteSchemaNotFound),
            SCHEMA_MODE_VIOLATION => Some(Code::ExternalSchemaModeViolation),
            WRITE_FORBIDDEN => Some(Code::ExternalWriteForbidden),
            _ => None,
        }
    }

    /// What an error says by itself: what happened where it was named, and else what its kind means.
    fn of(error: &Error) -> Self {
        if let Some(code) = error.code_text().and_then(Self::named) {
            return code;
        }
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
            ErrorKind::Conflict if at_source => Code::Conflict,
            // Another process holds the store.
            ErrorKind::Conflict => Code::StoreUnusable,
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

    /// Says what an error of `kind` means here that did not say it itself.
    #[must_use]
    pub(crate) fn where_kind(mut self, kind: ErrorKind, code: Code) -> Self {
        if self.error.kind() == kind && self.error.code_text().is_none() {
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
        assert_eq!(missing.where_kind(ErrorKind::Conflict, Code::NameTaken).code, Code::NotFound);
    }

    #[test]
    fn what_happened_goes_over_what_the_kind_would_mean() {
        let conflict = || Error::new(ErrorKind::Conflict, "it is there");
        assert_eq!(Failure::from(conflict().at("crm").code(NAME_TAKEN)).code, Code::NameTaken);
        assert_eq!(Failure::from(conflict().at("crm")).code, Code::Conflict, "no name is taken where none was said to be");
        assert_eq!(Failure::from(conflict()).code, Code::StoreUnusable, "the store is locked");
        let table = Error::new(ErrorKind::NotFound, "no such table").at("crm").code(REMOTE_TABLE_NOT_FOUND);
        let table = Failure::from(table).where_kind(ErrorKind::NotFound, Code::DatasourceUnreachable);
        assert_eq!((table.code, table.code.as_str()), (Code::RemoteTableNotFound, "REMOTE_TABLE_NOT_FOUND"));
    }
}
