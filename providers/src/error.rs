//! The error of this crate: a kind the reader can act on, the datasource it came from, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use datafusion::error::DataFusionError;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The code of a [`SchemaMismatch`](ErrorKind::SchemaMismatch) that a statement ran into: a column has another type at the source than
/// it was published with.
pub const TYPE_CHANGED: &str = "SOURCE_TYPE_CHANGED";

/// The code of an [`Invalid`](ErrorKind::Invalid) that a statement ran into: a value at the source is none that its column, as it is
/// published, can hold. The source's data are at fault, not whoever reads them.
pub const VALUE_REFUSED: &str = "SOURCE_VALUE_REFUSED";

/// What went wrong, by what the reader can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The source could not be reached, or the connection to it was lost. Trying again later may help.
    Unreachable,
    /// The source refused our credentials, or our user may not do this there.
    Unauthorized,
    /// A table, column, file or bucket is not at the source (any more).
    NotFound,
    /// The source, or Causeway, cannot do this.
    Unsupported,
    /// A time limit ended it.
    Timeout,
    /// A size or count limit ended it.
    LimitExceeded,
    /// Somebody cancelled it.
    Cancelled,
    /// An option, a statement or a value is not valid.
    Invalid,
    /// Something of that name exists already, or changed in the meantime.
    Conflict,
    /// A gate is closed: the datasource may not be written to, or not be given tables.
    ReadOnly,
    /// A table at the source is not what it was published as.
    SchemaMismatch,
    /// The source was reached and failed to execute what we sent.
    Failed,
    /// A fault of our own.
    Internal,
}

/// A failure of a connector or of a remote.
///
/// The text never holds credentials. The cause is attached as [`source`](StdError::source) and not repeated in the text.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    datasource: Option<Arc<str>>,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    code: Option<&'static str>,
    remote_code: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a text for the reader: lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            datasource: None,
            message: message.into(),
            detail: None,
            hint: None,
            code: None,
            remote_code: None,
            source: None,
        }))
    }

    /// Names the datasource; the first name given stays.
    #[must_use]
    pub fn at(mut self, datasource: &str) -> Self {
        self.0.datasource.get_or_insert_with(|| Arc::from(datasource));
        self
    }

    /// Says the particulars, for who reads on.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names what happened more precisely than the kind does, in a word that programs can match on.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Keeps the code the source itself gave: an SQLSTATE of five characters.
    #[must_use]
    pub fn remote_code(mut self, code: impl Into<String>) -> Self {
        self.0.remote_code = Some(code.into());
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same for another reader. The cause stays with the first.
    pub fn restated(&self) -> Self {
        let Inner { kind, datasource, message, detail, hint, code, remote_code, source: _ } = &*self.0;
        let (datasource, message, detail, hint) = (datasource.clone(), message.clone(), detail.clone(), hint.clone());
        let (kind, code, remote_code) = (*kind, *code, remote_code.clone());
        Self(Box::new(Inner { kind, datasource, message, detail, hint, code, remote_code, source: None }))
    }

    /// What went wrong, by what the reader can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The datasource it came from, when there is one.
    pub fn datasource(&self) -> Option<&str> {
        self.0.datasource.as_deref()
    }

    /// The text alone, without the datasource.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The text with the datasource and all causes, for the log. A cause that the text before it ends with is not said twice.
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }

    /// The particulars, when they are told beside the text.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What the reader can do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The word for what happened, when there is one.
    pub fn code_text(&self) -> Option<&'static str> {
        self.0.code
    }

    /// The SQLSTATE the source itself gave.
    pub fn remote_sqlstate(&self) -> Option<&str> {
        self.0.remote_code.as_deref()
    }

    /// Finds one of ours in a chain of DataFusion errors.
    pub fn find(error: &DataFusionError) -> Option<&Error> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(current) = next {
            if let Some(found) = current.downcast_ref::<Error>() {
                return Some(found);
            }
            if let Some(DataFusionError::Shared(shared)) = current.downcast_ref::<DataFusionError>() {
                return Error::find(shared);
            }
            next = current.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.datasource {
            Some(datasource) => write!(f, "datasource \"{datasource}\": {}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("datasource", &self.0.datasource)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}
/// An error's text with all its causes, for the log. A cause that the text before it ends with is not said twice.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = cause.source();
    }
    text
}
