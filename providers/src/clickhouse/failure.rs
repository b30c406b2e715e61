//! From the server's errors to ours. Its texts are kept where they name things, and left out where they may quote values.

use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use hyper::StatusCode;

use crate::error::{Error, ErrorKind, TYPE_CHANGED};
use crate::tls;

/// What keeps a request from being answered to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection failed.
    Lost(hyper::Error),
    /// The connection ended, or the result did, before the server had said that it is whole.
    Cut,
    /// The server says what is wrong.
    Refused(Refusal),
    /// What comes is nothing that a ClickHouse server sends.
    Garbled,
    /// A result that began as one cannot be read further.
    Damaged(ArrowError),
    /// An answer in HTTP's words alone, as something before the server gives it when there is no server for it.
    Unserved(StatusCode),
    /// The request cannot be made.
    Unsendable(hyper::http::Error),
}

impl Failure {
    /// Whether a connection that idled may simply have been closed by the server.
    pub(super) fn is_lost_connection(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Cut => true,
            Self::Refused(_) | Self::Garbled | Self::Damaged(_) | Self::Unserved(_) | Self::Unsendable(_) => false,
        }
    }
}

/// What the server says is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: u32,
    /// Such as `UNKNOWN_TABLE`; empty when it is not told.
    name: String,
    text: String,
}

impl Refusal {
    /// The last that `told` has: `Code: 60. DB::Exception: Unknown table ... (UNKNOWN_TABLE) (version ...)`.
    pub(super) fn find(told: &[u8]) -> Option<Self> {
        let told = String::from_utf8_lossy(told);
        let begins = |part: &&str| part.contains("DB::Exception: ");
        let last = told.split("Code: ").skip(1).filter(begins).last()?;
        // What a row holds is followed by what else the batch does.
        if last.contains('\0') {
            return None;
        }
        let digits = last.find(|letter: char| !letter.is_ascii_digit())?;
        let code = last[..digits].parse().ok()?;
        let text = last.split_once("DB::Exception: ").map_or("", |(_, text)| text);
        let name = text.rsplit('(').map(|part| part.split(')').next().unwrap_or_default());
        let is_name = |part: &&str| part.len() > 2 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let name = name.into_iter().find(is_name).unwrap_or_default().to_owned();
        // What follows repeats the statement.
        let text = [" In scope ", ": In scope", " while ", ": While ", "(while ", "(version", "Stack trace"]
            .iter()
            .fold(text, |text, mark| text.split(mark).next().unwrap_or_default());
        let text = text.split(&format!("({name})")).next().unwrap_or_default().trim().trim_end_matches('.').to_owned();
        Some(Self { code, name, text })
    }

    /// One whose code is all that is told.
    pub(super) fn unexplained(code: u32) -> Self {
        Self { code, name: String::new(), text: format!("error {code}") }
    }

    pub(super) fn code(&self) -> u32 {
        self.code
    }

    /// The text where all that it can quote are names.
    fn shown(&self) -> String {
        match self.code {
            16 | 47 | 60 | 81 | 115 | 158..=160 | 164 | 192..=195 | 201 | 202 | 241 | 307 | 394 | 396 | 452 | 497 | 516 => {
                self.text.clone()
            }
            code if self.name.is_empty() => format!("error {code}"),
            code => format!("error {code}: {}", self.name),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            16 | 47 | 60 | 81 => ErrorKind::NotFound,
            164 | 192..=195 | 291 | 497 | 516 => ErrorKind::Unauthorized,
            115 | 452 => ErrorKind::Unsupported,
            158 | 191 | 201 | 202 | 241 | 307 | 396 => ErrorKind::LimitExceeded,
            159 | 160 => ErrorKind::Timeout,
            394 | 735 => ErrorKind::Cancelled,
            43 | 53 | 386 => ErrorKind::SchemaMismatch,
            _ => ErrorKind::Failed,
        }
    }

    fn of_statement(&self, limit: Option<Duration>) -> Error {
        let kind = self.kind();
        let error = Error::new(kind, self.shown());
        match (kind, limit) {
            (ErrorKind::Timeout, Some(limit)) => timed_out(limit),
            (ErrorKind::Timeout, None) => error.hint("raise max_execution_time of the user's profile at the server"),
            (ErrorKind::NotFound, _) => error.hint("the remote schema may have changed: refresh the datasource's catalog"),
            (ErrorKind::SchemaMismatch, _) => error.code(TYPE_CHANGED).hint("refresh the catalog of the datasource"),
            (ErrorKind::Unauthorized, _) if self.code == 164 => error.hint(READONLY),
            (ErrorKind::Unauthorized, _) if self.code == 497 || self.code == 291 => error.hint("grant the datasource's user SELECT on it"),
            (ErrorKind::Unauthorized, _) => error.hint("check options.user and credentials.password"),
            (ErrorKind::Unsupported, _) => {
                error.hint("the server must know the settings that requests carry, and let the user's profile change them")
            }
            (ErrorKind::LimitExceeded, _) => error.hint("narrow the query, or raise the limit at the server"),
            (ErrorKind::Cancelled, _) => error.hint("somebody ended the statement at the server"),
            _ => error,
        }
    }
}

const READONLY: &str = "requests carry settings, which a profile with readonly = 1 refuses: give the user one with readonly = 2 or 0";

/// The error of a statement that ran longer than the datasource allows.
pub(super) fn timed_out(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("query_timeout of {} exceeded", humantime::format_duration(limit)))
        .hint("narrow the query, or raise external.query_timeout of the datasource")
}

/// The error of a statement. `limit` is the time limit the server was given for it.
pub(super) fn of_statement(failure: Failure, limit: Option<Duration>) -> Error {
    let lost = || {
        Error::new(ErrorKind::Unreachable, "the connection to the server was lost")
            .hint("check that the server is up; the statement may be run again")
    };
    match failure {
        Failure::Lost(cause) => lost().because(cause),
        Failure::Cut => lost(),
        Failure::Refused(refusal) => refusal.of_statement(limit),
        Failure::Garbled => Error::new(ErrorKind::Unreachable, "what answers is not a ClickHouse server's HTTP interface")
            .hint("check options.host and options.port: the HTTP interface has a port of its own, 8123 as a rule"),
        Failure::Damaged(cause) => Error::new(ErrorKind::Failed, "the result began as one and then was damaged: it cannot be read further")
            .hint("run the statement again; if it stays so, look at what stands between here and the server, such as a proxy")
            .because(cause),
        Failure::Unserved(status) => {
            Error::new(ErrorKind::Unreachable, format!("the answer is HTTP status {status}, and not from a ClickHouse server"))
                .hint("a proxy before the server may have none to send the request to: check that the server is up, and try again")
        }
        Failure::Unsendable(cause) => Error::new(ErrorKind::Internal, "the request cannot be made").because(cause),
    }
}

/// The error of a server at `place`, which names host, port, database and user, that does not let us in.
pub(super) fn of_connect(failure: Failure, place: &str) -> Error {
    let error = match failure {
        Failure::Refused(refusal) if refusal.code == 81 => Error::new(ErrorKind::NotFound, refusal.shown()).hint("check options.database"),
        other => of_statement(other, None),
    };
    let told = Error::new(error.kind(), format!("cannot connect to {place}: {}", error.message()));
    let hint = error.hint_text().map(str::to_owned);
    let told = told.because(error);
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// The error of a connection to `place` that cannot be made.
pub(super) fn unreachable(cause: std::io::Error, place: &str) -> Error {
    if let Some((reason, hint)) = tls::cause_in(&cause).map(tls::explained) {
        return Error::new(ErrorKind::Unreachable, format!("cannot connect to {place}: the TLS handshake failed: {reason}"))
            .hint(hint)
            .because(cause);
    }
    Error::new(ErrorKind::Unreachable, format!("cannot connect to {place}: {cause}"))
        .hint("check options.host and options.port, and that the server is up and reachable")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(told: &str) -> Error {
        of_statement(Failure::Refused(Refusal::find(told.as_bytes()).unwrap()), Some(Duration::from_secs(30)))
    }

    #[test]
    fn kinds_follow_the_code() {
        let cases = [
            (60, ErrorKind::NotFound),
            (47, ErrorKind::NotFound),
            (497, ErrorKind::Unauthorized),
            (516, ErrorKind::Unauthorized),
            (164, ErrorKind::Unauthorized),
            (241, ErrorKind::LimitExceeded),
            (159, ErrorKind::Timeout),
            (394, ErrorKind::Cancelled),
            (53, ErrorKind::SchemaMismatch),
            (395, ErrorKind::Failed),
        ];
        for (code, kind) in cases {
            assert_eq!(refused(&format!("Code: {code}. DB::Exception: text. (NAME)")).kind(), kind, "{code}");
        }
    }

    #[test]
    fn names_are_kept_and_statements_are_not() {
        let unknown = refused(
            "Code: 47. DB::Exception: Unknown expression identifier `nocol`. In scope SELECT nocol FROM t WHERE card = '4111'. \
             (UNKNOWN_IDENTIFIER) (version 26.9.2.1)",
        );
        assert_eq!(unknown.message(), "Unknown expression identifier `nocol`");
        let failed = refused("Code: 6. DB::Exception: Cannot parse string '4111' as Int8: while executing 'f(4111)'. (CANNOT_PARSE_TEXT)");
        assert_eq!(failed.message(), "error 6: CANNOT_PARSE_TEXT");
        assert_eq!(
            refused("Code: 159. DB::Exception: Timeout exceeded: elapsed 1 s. (TIMEOUT_EXCEEDED)").message(),
            "query_timeout of 30s exceeded"
        );
    }

    #[test]
    fn the_last_exception_counts() {
        let told = "rows Code: 1. nothing\r\n__exception__\r\nabc\r\nCode: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)\r\n99 abc\r\n__exception__\r\n";
        let found = Refusal::find(told.as_bytes()).unwrap();
        assert_eq!((found.code, found.name.as_str(), found.text.as_str()), (241, "MEMORY_LIMIT_EXCEEDED", "Memory limit exceeded"));
        assert_eq!(Refusal::find(b"no exception, Code: 5"), None);
    }
}
