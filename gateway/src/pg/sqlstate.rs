//! Failures as a client sees them: SQLSTATE, message, detail and hint.
//!
//! Only kinds meant for users show their text. What is a fault of ours reaches the client as a number, and the log as a text.

use causeway_planner as planner;
use causeway_providers as providers;
use datafusion::error::DataFusionError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

pub(crate) const WARNING: &str = "01000";
pub(crate) const SUCCESSFUL_COMPLETION_ACTIVE_TRANSACTION: &str = "25001";
pub(crate) const READ_ONLY: &str = "25006";
pub(crate) const NO_ACTIVE_TRANSACTION: &str = "25P01";
pub(crate) const FAILED_TRANSACTION: &str = "25P02";
pub(crate) const IDLE_IN_TRANSACTION: &str = "25P03";
pub(crate) const IDLE_SESSION: &str = "57P05";
pub(crate) const SYNTAX: &str = "42601";
pub(crate) const NAME_TOO_LONG: &str = "42622";
pub(crate) const DUPLICATE_OBJECT: &str = "42710";
pub(crate) const INVALID_OPTION_NAME: &str = "HV00D";
pub(crate) const FORBIDDEN: &str = "42501";
pub(crate) const UNDEFINED_OBJECT: &str = "42704";
pub(crate) const UNSUPPORTED: &str = "0A000";
pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
pub(crate) const INVALID_PARAMETER_VALUE: &str = "22023";
pub(crate) const INVALID_TEXT: &str = "22P02";
pub(crate) const INVALID_BINARY: &str = "22P03";
pub(crate) const NOT_UTF8: &str = "22021";
pub(crate) const OUT_OF_RANGE: &str = "22003";
pub(crate) const DATETIME_OVERFLOW: &str = "22008";
pub(crate) const INVALID_DATETIME: &str = "22007";
pub(crate) const CANNOT_CHANGE: &str = "55P02";
pub(crate) const UNDEFINED_CURSOR: &str = "34000";
pub(crate) const UNDEFINED_STATEMENT: &str = "26000";
pub(crate) const DUPLICATE_STATEMENT: &str = "42P05";
pub(crate) const DUPLICATE_CURSOR: &str = "42P03";
pub(crate) const NOT_IN_STATE: &str = "55000";
pub(crate) const UNDEFINED_SAVEPOINT: &str = "3B001";
pub(crate) const UNKNOWN_DATABASE: &str = "3D000";
pub(crate) const INVALID_AUTHORIZATION: &str = "28000";
pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
pub(crate) const CANCELLED: &str = "57014";
pub(crate) const SHUTTING_DOWN: &str = "57P01";
pub(crate) const CANNOT_CONNECT_NOW: &str = "57P03";
pub(crate) const INTERNAL: &str = "XX000";

/// A failure on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) aside: Aside,
}

/// What the gateway itself makes of a failure; none of it reaches the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aside {
    Nothing,
    /// A fault of ours, in words for the log; the client is given only the number of the log line.
    Fault(Box<str>),
    /// This datasource lacks what we believe it has: a new look at its tables may help.
    OutdatedAt(Box<str>),
}

impl PgError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), detail: None, hint: None, aside: Aside::Nothing }
    }

    /// A fault of our own: `what` goes to the log only.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self { aside: Aside::Fault(what.into().into()), ..Self::new(INTERNAL, "internal error") }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(CANCELLED, "canceling statement due to user request")
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(CANCELLED, "canceling statement due to statement timeout").hint("Raise statement_timeout, or ask for fewer rows.")
    }

    pub(crate) fn terminated() -> Self {
        Self::new(SHUTTING_DOWN, "terminating connection due to administrator command")
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(PROTOCOL_VIOLATION, message)
    }

    /// The message that ends a statement, or with `FATAL` the session.
    pub(crate) fn into_message(self, severity: ErrorSeverity) -> PgWireBackendMessage {
        let word = severity.as_str();
        let mut fields = vec![(b'S', word.to_owned()), (b'V', word.to_owned()), (b'C', self.code), (b'M', without_nul(self.message))];
        if let Some(detail) = self.detail {
            fields.push((b'D', without_nul(detail)));
        }
        if let Some(hint) = self.hint {
            fields.push((b'H', without_nul(hint)));
        }
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
    }
}

/// A NUL would end the field early and shift all that follows.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Whether the session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorSeverity {
    Error,
    Fatal,
}

impl ErrorSeverity {
    fn as_str(self) -> &'static str {
        match self {
            ErrorSeverity::Error => "ERROR",
            ErrorSeverity::Fatal => "FATAL",
        }
    }
}

/// Why work for a client stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The statement failed; the session goes on.
    Statement(Box<PgError>),
    /// The session ends, and the client is told why.
    Fatal(Box<PgError>),
    /// Nobody is there to be told.
    Gone,
}

impl From<PgError> for Halt {
    fn from(error: PgError) -> Self {
        Halt::Statement(Box::new(error))
    }
}

impl From<std::io::Error> for Halt {
    fn from(_: std::io::Error) -> Self {
        Halt::Gone
    }
}

impl From<planner::Error> for PgError {
    fn from(error: planner::Error) -> Self {
        let code = match error.kind() {
            planner::ErrorKind::Syntax => SYNTAX,
            planner::ErrorKind::UndefinedTable => "42P01",
            planner::ErrorKind::UndefinedColumn => "42703",
            planner::ErrorKind::DuplicateColumn => "42701",
            planner::ErrorKind::AmbiguousColumn => "42702",
            planner::ErrorKind::UndefinedFunction => "42883",
            planner::ErrorKind::UndefinedSchema => "3F000",
            planner::ErrorKind::TypeMismatch => "42804",
            planner::ErrorKind::InvalidText => INVALID_TEXT,
            planner::ErrorKind::InvalidArgument => INVALID_PARAMETER_VALUE,
            planner::ErrorKind::OutOfRange => OUT_OF_RANGE,
            planner::ErrorKind::DivisionByZero => "22012",
            planner::ErrorKind::RegularExpression => "2201B",
            planner::ErrorKind::Unsupported => UNSUPPORTED,
            planner::ErrorKind::OutOfMemory => "53200",
            planner::ErrorKind::LimitExceeded => "54000",
            planner::ErrorKind::Forbidden => FORBIDDEN,
            planner::ErrorKind::ReadOnly => READ_ONLY,
            planner::ErrorKind::Invalid => "42000",
            planner::ErrorKind::Datasource => {
                return match error.datasource_error() {
                    Some(cause) => PgError::from(cause),
                    None => PgError::internal(providers::with_causes(&error)),
                };
            }
            planner::ErrorKind::Internal => return PgError::internal(providers::with_causes(&error)),
        };
        let mut shown = PgError::new(code, error.message());
        shown.hint = error.hint_text().map(str::to_owned);
        shown
    }
}

impl From<DataFusionError> for PgError {
    fn from(error: DataFusionError) -> Self {
        planner::Error::from(error).into()
    }
}

impl From<&providers::Error> for PgError {
    fn from(error: &providers::Error) -> Self {
        let code = match error.kind() {
            providers::ErrorKind::Unreachable => "HV00N",
            providers::ErrorKind::Unauthorized => "28000",
            providers::ErrorKind::NotFound => "42P01",
            providers::ErrorKind::Unsupported => UNSUPPORTED,
            providers::ErrorKind::Timeout | providers::ErrorKind::Cancelled => CANCELLED,
            providers::ErrorKind::LimitExceeded => "54000",
            providers::ErrorKind::Invalid => "22000",
            providers::ErrorKind::Conflict => DUPLICATE_OBJECT,
            providers::ErrorKind::ReadOnly => READ_ONLY,
            providers::ErrorKind::SchemaMismatch => "42P17",
            providers::ErrorKind::Failed => "HV000",
            providers::ErrorKind::Internal => return PgError::internal(providers::with_causes(error)),
        };
        let code = error.remote_sqlstate().filter(|remote| is_users_business(remote)).unwrap_or(code);
        let mut shown = PgError::new(code, error.to_string());
        shown.detail = detail(error);
        let is_outdated = error.kind() == providers::ErrorKind::NotFound || error.code_text() == Some(providers::TYPE_CHANGED);
        if let Some(datasource) = error.datasource().filter(|_| is_outdated) {
            shown.aside = Aside::OutdatedAt(datasource.into());
        }
        shown.hint = error.hint_text().map(str::to_owned).or_else(|| default_hint(error));
        shown
    }
}

/// Whether what the source objected to is the user's business under the code that the source gave it: a value, a constraint, a transaction
/// to be tried again, a lock that somebody else holds, or what a trigger says.
fn is_users_business(code: &str) -> bool {
    is_sqlstate(code)
        && (["21", "22", "23", "40", "44"].iter().any(|class| code.starts_with(class))
            || [FAILED_TRANSACTION, "55P03", "P0001"].contains(&code))
}

/// What is not as agreed, where that is the error, and the datasource.
fn detail(error: &providers::Error) -> Option<String> {
    let differs = match error.kind() {
        providers::ErrorKind::SchemaMismatch => Some(error.detail_text().unwrap_or(error.message()).to_owned()),
        providers::ErrorKind::Unreachable
        | providers::ErrorKind::Unauthorized
        | providers::ErrorKind::NotFound
        | providers::ErrorKind::Unsupported
        | providers::ErrorKind::Timeout
        | providers::ErrorKind::LimitExceeded
        | providers::ErrorKind::Cancelled
        | providers::ErrorKind::Invalid
        | providers::ErrorKind::Conflict
        | providers::ErrorKind::ReadOnly
        | providers::ErrorKind::Failed
        | providers::ErrorKind::Internal => error.detail_text().map(str::to_owned),
    };
    let lines: Vec<String> = differs.into_iter().chain(error.datasource().map(|datasource| format!("datasource: {datasource}"))).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What to do when the error itself does not say.
fn default_hint(error: &providers::Error) -> Option<String> {
    match error.kind() {
        providers::ErrorKind::Unreachable => Some("Check that the source is up; Causeway reconnects by itself.".to_owned()),
        providers::ErrorKind::Unauthorized => Some("Check the datasource's user and credentials, and the rights of that user.".to_owned()),
        providers::ErrorKind::NotFound => error.datasource().map(|datasource| {
            let literal = datasource.replace('\'', "''");
            format!("The remote schema may have changed: CALL causeway.refresh_catalog('{literal}').")
        }),
        providers::ErrorKind::Timeout => Some("Raise the datasource's query_timeout, or ask for fewer rows.".to_owned()),
        providers::ErrorKind::LimitExceeded => Some("Ask for fewer rows, or raise the limit.".to_owned()),
        providers::ErrorKind::Unsupported
        | providers::ErrorKind::Cancelled
        | providers::ErrorKind::Invalid
        | providers::ErrorKind::Conflict
        | providers::ErrorKind::ReadOnly
        | providers::ErrorKind::SchemaMismatch
        | providers::ErrorKind::Failed
        | providers::ErrorKind::Internal => None,
    }
}

fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: providers::Error) -> PgError {
        DataFusionError::from(error).into()
    }

    #[test]
    fn a_remote_code_about_the_user_s_rows_is_passed_on() {
        let error = providers::Error::new(providers::ErrorKind::Failed, "division by zero").remote_code("22012").at("crm");
        let shown = PgError::from(&error);
        assert_eq!(shown.code, "22012");
        assert_eq!(shown.detail.as_deref(), Some("datasource: crm"));
        // By these a driver knows that the transaction may be tried again.
        for (kind, code) in [
            (providers::ErrorKind::Conflict, "40P01"),
            (providers::ErrorKind::Failed, "40001"),
            (providers::ErrorKind::Timeout, "55P03"),
            (providers::ErrorKind::Invalid, "21000"),
        ] {
            assert_eq!(PgError::from(&providers::Error::new(kind, "try again").remote_code(code)).code, code);
        }
    }

    #[test]
    fn a_remote_code_of_another_class_is_not() {
        let error = providers::Error::new(providers::ErrorKind::Failed, "no such thing").remote_code("42P01").at("crm");
        assert_eq!(PgError::from(&error).code, "HV000");
        let odd = providers::Error::new(providers::ErrorKind::Failed, "odd").remote_code("22\u{e9}1");
        assert_eq!(PgError::from(&odd).code, "HV000");
    }

    #[test]
    fn faults_of_ours_keep_their_text_to_the_log() {
        let error = PgError::from(&providers::Error::new(providers::ErrorKind::Internal, "secret state"));
        assert_eq!((error.code.as_str(), error.message.as_str()), (INTERNAL, "internal error"));
        assert!(matches!(error.aside, Aside::Fault(fault) if fault.contains("secret state")));
    }

    #[test]
    fn an_unreachable_source_says_which_and_what_to_do() {
        let error = PgError::from(&providers::Error::new(providers::ErrorKind::Unreachable, "connection refused").at("erp"));
        assert_eq!(error.code, "HV00N");
        assert!(error.hint.is_some());
        assert_eq!(error.detail.as_deref(), Some("datasource: erp"));
    }

    #[test]
    fn a_hint_names_the_datasource_it_is_about() {
        let missing = |error: providers::Error| PgError::from(&error).hint;
        let error = || providers::Error::new(providers::ErrorKind::NotFound, "relation \"t\" does not exist");
        let expected = "The remote schema may have changed: CALL causeway.refresh_catalog('crm').";
        assert_eq!(missing(error().at("crm")).as_deref(), Some(expected));
        assert_eq!(missing(error()), None, "nothing can be refreshed that is not named");
    }

    #[test]
    fn a_broken_contract_tells_what_differs() {
        let mismatch = || providers::Error::new(providers::ErrorKind::SchemaMismatch, "pinned table \"crm.cust\": no good").at("crm");
        let told = PgError::from(&mismatch().detail("public.cust: column id is text (expected integer)"));
        let expected = "public.cust: column id is text (expected integer)\ndatasource: crm";
        assert_eq!((told.code.as_str(), told.detail.as_deref()), ("42P17", Some(expected)));
        assert_eq!(PgError::from(&mismatch()).detail.as_deref(), Some("pinned table \"crm.cust\": no good\ndatasource: crm"));
    }

    #[test]
    fn a_nul_does_not_break_the_message() {
        let PgWireBackendMessage::ErrorResponse(response) = PgError::new("42601", "a\0b").into_message(ErrorSeverity::Error) else {
            panic!("not an error response");
        };
        assert!(response.fields.iter().all(|(_, text)| !text.contains('\0')));
    }

    #[test]
    fn a_source_error_is_found_through_datafusion() {
        let error = providers::Error::new(providers::ErrorKind::Timeout, "took longer than 5s").at("crm");
        assert_eq!(shown(error).code, CANCELLED);
    }
}
