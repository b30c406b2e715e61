//! Messages that accompany a result without ending it: notices and warnings.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::NoticeResponse;

/// How much a notice matters, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something the user may like to know.
    Notice,
    /// Something that is probably not what the user meant.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
        }
    }

    /// Whether a session with this `client_min_messages` wants to hear it.
    pub(crate) fn passes(self, client_min_messages: &str) -> bool {
        match client_min_messages {
            "error" => false,
            "warning" => self >= Severity::Warning,
            _ => true,
        }
    }
}

/// One notice: what goes along with the answer to a statement that succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// Its SQLSTATE.
    pub code: &'static str,
    /// Its text, without secrets.
    pub message: String,
}

impl Notice {
    /// A warning under a code.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, message: message.into() }
    }

    /// Something the user may like to know.
    pub fn for_user(message: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, code: "00000", message: message.into() }
    }

    /// The same under a code of its own.
    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn into_message(self) -> PgWireBackendMessage {
        PgWireBackendMessage::NoticeResponse(NoticeResponse::new(vec![
            (b'S', self.severity.as_str().to_owned()),
            (b'V', self.severity.as_str().to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', self.message),
        ]))
    }
}
