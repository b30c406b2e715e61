//! The error of this crate: what of the statement or of its execution failed, with the SQLSTATE class it belongs to.

mod classify;
#[cfg(test)]
mod tests;

use std::fmt;

use datafusion::error::DataFusionError;

pub(crate) use classify::sql_type_names;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text does not parse (42601).
    Syntax,
    /// A table is not known (42P01).
    UndefinedTable,
    /// A column is not known (42703).
    UndefinedColumn,
    /// A column is named twice where that makes no sense (42701).
    DuplicateColumn,
    /// A name fits more than one column (42702).
    AmbiguousColumn,
    /// A function or operator is not known for these types (42883).
    UndefinedFunction,
    /// A schema is not known (3F000).
    UndefinedSchema,
    /// Types do not fit (42804).
    TypeMismatch,
    /// A text is not a value of the type (22P02).
    InvalidText,
    /// An argument that a function does not take (22023).
    InvalidArgument,
    /// A number is out of its type's range (22003).
    OutOfRange,
    /// A division by zero (22012).
    DivisionByZero,
    /// A regular expression that is none (2201B).
    RegularExpression,
    /// Valid SQL that we do not run (0A000).
    Unsupported,
    /// Memory or spill space ran out (53200).
    OutOfMemory,
    /// More than a limit allows, such as a value that would be too large (54000).
    LimitExceeded,
    /// What the role of the session may not do (42501).
    Forbidden,
    /// A write, by a role that only reads (25006).
    ReadOnly,
    /// A datasource failed: the providers' error is the source and knows more.
    Datasource,
    /// A statement that is wrong in another way (42000).
    Invalid,
    /// A fault of our own (XX000).
    Internal,
}

/// A failure to plan or to run a statement.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    table: Option<Box<UndefinedTable>>,
    source: Option<Box<DataFusionError>>,
}

/// A table that is not known, as the statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndefinedTable {
    /// Its schema, when the statement says it; without, the search path was gone through.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

impl Error {
    /// An error with a text for the client.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, table: None, source: None }
    }

    /// Says what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the table that is not known.
    #[must_use]
    pub(crate) fn of_table(mut self, schema: Option<&str>, name: &str) -> Self {
        self.table = Some(Box::new(UndefinedTable { schema: schema.map(str::to_owned), name: name.to_owned() }));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the reader can do about it. A datasource's own hint is found at [`Self::datasource_error`].
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The table that is not known, when that is what went wrong.
    pub fn undefined_table(&self) -> Option<&UndefinedTable> {
        self.table.as_deref()
    }

    /// The datasource's own error, when one failed.
    pub fn datasource_error(&self) -> Option<&causeway_providers::Error> {
        self.source.as_deref().and_then(causeway_providers::Error::find)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let classified = classify::classify(&error);
        Self { source: Some(Box::new(error)), ..classified }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}
