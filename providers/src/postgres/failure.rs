//! What a failure of the driver or of the server means to the reader.
//!
//! The driver's error is never attached when the server sent it: its detail may hold data, and a log line that prints causes would
//! show it.

mod changing;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tokio_postgres::Error as DriverError;
use tokio_postgres::error::{DbError, SqlState};

pub(super) use self::changing::{changing, inserting};
use crate::error::{Error, ErrorKind};
use crate::tls;

/// The time one statement had, and how much of it was gone when it failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) limit: Duration,
    pub(super) elapsed: Duration,
}

/// The error for a statement that used up its time. `doing` says what it was at, and may be empty.
pub(super) fn timeout(limit: Duration, doing: &str) -> Error {
    let limit = humantime::format_duration(limit);
    Error::new(ErrorKind::Timeout, format!("query_timeout of {limit} exceeded{doing}"))
        .hint("make the statement smaller, or raise `external.query_timeout` of the datasource")
}

/// The error for a failure to connect to `address`.
pub(super) fn connecting(error: DriverError, address: &str) -> Error {
    let failed = format!("cannot connect to {address}");
    if let Some(remote) = error.as_db_error() {
        return refused(remote, &failed);
    }
    // Certificates are checked below the driver's own errors.
    if let Some((reason, hint)) = tls::cause_in(&error).map(tls::explained) {
        return Error::new(ErrorKind::Unreachable, format!("{failed}: TLS failed: {reason}")).hint(hint).because(error);
    }
    match cause::<io::Error>(&error) {
        Some(io) if io.kind() == io::ErrorKind::ConnectionRefused => {
            Error::new(ErrorKind::Unreachable, format!("{failed}: connection refused"))
                .hint("check that the server runs there and that `options.host` and `options.port` are right")
                .because(error)
        }
        Some(io) => network(io, &failed).because(error),
        None => without_io(error, &failed),
    }
}

/// The error for a host of `address` that stands for none to connect to.
pub(super) fn resolving(error: io::Error, address: &str) -> Error {
    network(&error, &format!("cannot connect to {address}")).because(error)
}

fn network(io: &io::Error, failed: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("{failed}: {io}"))
        .hint("check `options.host` and `options.port`, the network, and that the server runs")
}

fn without_io(error: DriverError, failed: &str) -> Error {
    let reason = error.source().map(ToString::to_string).unwrap_or_else(|| error.to_string());
    if reason.contains("password missing") {
        return Error::new(ErrorKind::Unauthorized, format!("{failed}: the server asks for a password and none is configured"))
            .hint("give the datasource a password under `credentials:`");
    }
    if reason.contains("does not support TLS") {
        return Error::new(ErrorKind::Unreachable, format!("{failed}: the server has no TLS"))
            .hint("turn TLS on at the server, or set `options.sslmode` to prefer or disable");
    }
    // A server that does not know our password, or a server that is not the one that knows it.
    if error.to_string().contains("authentication") {
        return Error::new(ErrorKind::Unauthorized, format!("{failed}: {reason}"))
            .hint("check `options.user` and `credentials.password`, and the server's pg_hba.conf");
    }
    Error::new(ErrorKind::Unreachable, format!("{failed}: {reason}")).hint("check that a PostgreSQL server listens there").because(error)
}

fn refused(remote: &DbError, failed: &str) -> Error {
    let code = remote.code();
    let (kind, hint) = if *code == SqlState::INVALID_CATALOG_NAME {
        (ErrorKind::NotFound, "check `options.database`")
    } else if code.code().starts_with("28") {
        (ErrorKind::Unauthorized, "check `options.user` and `credentials.password`, and the server's pg_hba.conf")
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        (ErrorKind::Unauthorized, "grant the role CONNECT on the database")
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        (ErrorKind::LimitExceeded, "lower `external.pool.max_connections`, or raise the server's or the role's connection limit")
    } else if code.code().starts_with("57P") {
        (ErrorKind::Unreachable, "the server is starting or stopping: try again")
    } else {
        (ErrorKind::Failed, "see the server's log")
    };
    Error::new(kind, format!("{failed}: {}", remote.message())).hint(hint).remote_code(code.code())
}

/// The error for a statement that failed.
pub(super) fn running(error: DriverError, clock: Option<Clock>) -> Error {
    match error.as_db_error() {
        Some(remote) => at_source(remote, clock),
        None => lost(error),
    }
}

/// The error for a write that failed.
pub(super) fn writing(error: DriverError) -> Error {
    let lost = |text: String| {
        Error::new(ErrorKind::Unreachable, text)
            .hint("the server stopped or the network failed: write again, what has arrived is recognised")
    };
    let Some(remote) = error.as_db_error() else {
        return lost("lost the connection while writing".to_owned()).because(error);
    };
    let message = || remote.message().to_owned();
    let (kind, text, hint) = match remote.code().code() {
        "42501" => (ErrorKind::Unauthorized, message(), "grant the datasource's role INSERT and SELECT on the table"),
        "25006" => return read_only(remote.message()),
        "53100" => return disk_full(remote),
        "42P01" | "42703" | "3F000" => (ErrorKind::NotFound, message(), "make the table ready first, and its schema by hand"),
        "42P10" => (
            ErrorKind::Conflict,
            "the table's primary key is not the described one".to_owned(),
            "make the table ready first, and see what that leaves to be done by hand",
        ),
        "23505" => (ErrorKind::Conflict, constraint(remote), "another key than the primary one is taken: drop that constraint"),
        code if code.starts_with("23") => (ErrorKind::Failed, constraint(remote), "drop the constraint, or let it allow the row"),
        code if is_shutdown(remote.code()) => {
            return lost(format!("lost the connection while writing: {}", remote.message())).remote_code(code);
        }
        _ => return at_source(remote, None),
    };
    Error::new(kind, text).hint(hint).remote_code(remote.code().code())
}

/// The error of a source that takes no writes.
pub(super) fn read_only(why: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, format!("the source takes no writes: {why}"))
        .hint("the server is a standby, or default_transaction_read_only is set for the role, the database or the server")
        .remote_code(SqlState::READ_ONLY_SQL_TRANSACTION.code())
}

fn disk_full(remote: &DbError) -> Error {
    Error::new(ErrorKind::LimitExceeded, remote.message())
        .hint("the source's disk is full: make room there")
        .remote_code(remote.code().code())
}

/// Names the constraint that refused a row, and never the row.
fn constraint(remote: &DbError) -> String {
    match (remote.constraint(), remote.column()) {
        (Some(name), _) => format!("constraint \"{name}\" refuses a row"),
        (None, Some(name)) => format!("column \"{name}\" refuses a row"),
        (None, None) => "a constraint refuses a row".to_owned(),
    }
}

/// Whether a statement that makes something failed because it is there already. The check of `IF NOT EXISTS` and the making are two
/// steps, between which another session may come; then an index of the catalog says so.
pub(super) fn is_there_already(error: &DriverError) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "42P07" | "42701" | "42710" | "23505"))
}

/// Whether the connection itself is gone, so that another one may do better.
pub(super) fn is_lost(error: &DriverError) -> bool {
    error.is_closed() || cause::<io::Error>(error).is_some() || error.as_db_error().is_some_and(|e| is_shutdown(e.code()))
}

/// Whether the source does not let us lock or export a snapshot, which says nothing of whether it lets us read.
pub(super) fn is_refused(error: &DriverError) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "42501" | "42883" | "42601" | "42809" | "0A000" | "25006" | "55000"))
}

fn is_shutdown(code: &SqlState) -> bool {
    matches!(code.code(), "57P01" | "57P02" | "57P03") || code.code().starts_with("08")
}

fn lost(error: DriverError) -> Error {
    Error::new(ErrorKind::Unreachable, "lost the connection while reading")
        .hint("the server stopped or the network failed: try again")
        .because(error)
}

fn at_source(remote: &DbError, clock: Option<Clock>) -> Error {
    let code = remote.code();
    let (kind, text, hint): (ErrorKind, String, Option<&str>) = match code.code() {
        "57014" => match clock {
            Some(clock) if clock.elapsed >= clock.limit => return timeout(clock.limit, "").remote_code(code.code()),
            _ => (ErrorKind::Cancelled, "the statement was cancelled at the source".to_owned(), Some("somebody cancelled it there")),
        },
        "55P03" => (
            ErrorKind::Timeout,
            "waited too long for a lock at the source".to_owned(),
            Some("another session there alters the table: try again when it is done"),
        ),
        "42P01" | "42703" | "3F000" => (
            ErrorKind::NotFound,
            remote.message().to_owned(),
            Some("the source's schema has changed: refresh the catalog of the datasource"),
        ),
        "42501" => (ErrorKind::Unauthorized, remote.message().to_owned(), Some("grant the datasource's role SELECT there")),
        "53300" => (
            ErrorKind::LimitExceeded,
            remote.message().to_owned(),
            Some("lower `external.pool.max_connections`, or raise the server's connection limit"),
        ),
        "25006" => (
            ErrorKind::Failed,
            remote.message().to_owned(),
            Some("Causeway reads in read-only transactions: a view or function at the source tries to write"),
        ),
        "40001" | "40P01" => (ErrorKind::Failed, remote.message().to_owned(), Some("the source gave it up for another one: try again")),
        other if other.starts_with("28") => (ErrorKind::Unauthorized, remote.message().to_owned(), None),
        _ if is_shutdown(code) => (
            ErrorKind::Unreachable,
            format!("lost the connection while reading: {}", remote.message()),
            Some("the server stopped or dropped the connection: try again"),
        ),
        // These messages quote the value that offends.
        other if other.starts_with("22") || other.starts_with("23") => {
            (ErrorKind::Failed, without_values(remote.message()).to_owned(), Some("the source could not compute it for some row"))
        }
        _ => (ErrorKind::Failed, remote.message().to_owned(), None),
    };
    let error = Error::new(kind, text).remote_code(code.code());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A message up to its first quoted part: `invalid input syntax for type integer: "..."` loses the value.
fn without_values(message: &str) -> &str {
    match message.find(['"', '\'', '\u{201e}', '\u{201c}', '\u{ab}']) {
        Some(end) => message[..end].trim_end_matches([' ', ':']),
        None => message,
    }
}

/// The first `E` among the causes, looking into what IO errors wrap.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // The source of an IO error is the source of what it wraps, so the wrapped error itself has to be asked for.
        let wrapped = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}

/// Whether the server lacks what was asked for, as one that only speaks PostgreSQL's protocol may.
pub(super) fn is_unknown_there(error: &DriverError) -> bool {
    let absent = [
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    error.code().is_some_and(|code| absent.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_the_values_they_quote() {
        assert_eq!(without_values("invalid input syntax for type integer: \"4111-1111\""), "invalid input syntax for type integer");
        assert_eq!(without_values("division by zero"), "division by zero");
        assert_eq!(without_values("date/time field value out of range: \"x\""), "date/time field value out of range");
    }

    #[test]
    fn a_cause_is_found_inside_an_io_error() {
        let wrapped = io::Error::other(rustls::Error::HandshakeNotComplete);
        assert_eq!(cause::<rustls::Error>(&wrapped), Some(&rustls::Error::HandshakeNotComplete));
        assert!(cause::<rustls::Error>(&io::Error::other("plain")).is_none());
    }
}
