//! From the driver's errors to ours. The texts of the server are kept, the literals it quotes are not.

use std::time::Duration;

use mysql_async::{DriverError, Error as DriverFailure, IoError, ServerError};

use crate::error::{Error, ErrorKind};
use crate::tls;

/// The error of a statement that ran longer than the datasource allows.
pub(super) fn timed_out(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("query_timeout of {} exceeded", humantime::format_duration(limit)))
        .hint("narrow the query, or raise external.query_timeout of the datasource")
}

/// The error of waiting for a connection, of a statement that may take `limit`.
pub(super) fn while_waiting(error: Error, limit: Option<Duration>) -> Error {
    match (error.kind(), limit) {
        (ErrorKind::Timeout, Some(limit)) => timed_out(limit).because(error),
        _ => error,
    }
}

/// The error of a statement. `limit` is the time limit the server was given for it.
pub(super) fn of_statement(failure: DriverFailure, limit: Option<Duration>) -> Error {
    match failure {
        DriverFailure::Server(answer) => of_server(&answer, limit),
        DriverFailure::Io(cause) => Error::new(ErrorKind::Unreachable, "the connection to the server was lost")
            .hint("check that the server is up; the statement may be run again")
            .because(cause),
        DriverFailure::Driver(cause) => of_driver(cause),
        DriverFailure::Other(cause) => Error::new(ErrorKind::Failed, "the driver gave up").because(cause),
        DriverFailure::Url(cause) => Error::new(ErrorKind::Internal, "the connection settings are not valid").because(cause),
    }
}

/// The error of a write.
pub(super) fn of_write(failure: DriverFailure) -> Error {
    let DriverFailure::Server(answer) = failure else { return of_statement(failure, None) };
    let (kind, hint) = match answer.code {
        1044 | 1142 | 1143 | 1227 | 1370 => (
            ErrorKind::Unauthorized,
            "grant the datasource's user INSERT, UPDATE (which finding a key there already takes) and SELECT on it",
        ),
        1290 | 1792 | 1836 => {
            (ErrorKind::Unauthorized, "the source takes no writes: see read_only and transaction_read_only (tx_read_only) at the server")
        }
        1021 | 1114 => (ErrorKind::LimitExceeded, "the source has no room: free some there"),
        1205 => (ErrorKind::Timeout, "another session there holds a lock on the table: try again when it is done"),
        1213 => (ErrorKind::Failed, "the source gave it up for another write: try again"),
        1969 | 3024 => (ErrorKind::Timeout, "try again, or give it more time"),
        1046 | 1049 | 1054 | 1146 => (ErrorKind::NotFound, "make the table ready first, and its database by hand"),
        1048 | 1364 | 1366 | 1406 | 1452 | 3819 | 4025 => {
            (ErrorKind::Failed, "a constraint of the table refuses a row: let it allow the row")
        }
        _ => return of_server(&answer, None),
    };
    Error::new(kind, shown(&answer)).hint(hint).remote_code(answer.state)
}

/// The code of the server's answer, when it is one.
pub(super) fn code(failure: &DriverFailure) -> Option<u16> {
    match failure {
        DriverFailure::Server(answer) => Some(answer.code),
        DriverFailure::Io(_) | DriverFailure::Driver(_) | DriverFailure::Other(_) | DriverFailure::Url(_) => None,
    }
}

/// Whether the connection is of no use after this failure.
pub(super) fn lost_connection(failure: &DriverFailure) -> bool {
    match failure {
        DriverFailure::Server(answer) => ends_connection(answer.code),
        DriverFailure::Io(_) | DriverFailure::Driver(_) | DriverFailure::Other(_) | DriverFailure::Url(_) => true,
    }
}

/// Whether the server refused to encrypt, or could not, so that `sslmode: prefer` goes on in clear text.
pub(super) fn no_encryption(failure: &DriverFailure) -> bool {
    match failure {
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) | DriverFailure::Io(IoError::Tls(_)) => true,
        DriverFailure::Io(IoError::Io(cause)) => is_tls(cause),
        _ => false,
    }
}

/// The error of a connection that could not be made to `place`, which names host, port, database and user.
pub(super) fn of_connect(failure: DriverFailure, place: &str) -> Error {
    match failure {
        DriverFailure::Server(answer) => {
            let (kind, hint) = match answer.code {
                1045 | 1698 => (ErrorKind::Unauthorized, "check options.user and credentials.password"),
                1044 => (ErrorKind::Unauthorized, "grant the user SELECT on the database"),
                1130 => (ErrorKind::Unauthorized, "the server does not let this user in from this host"),
                1049 => (ErrorKind::NotFound, "check options.database"),
                1040 | 1203 | 1226 => (ErrorKind::LimitExceeded, "lower external.pool.max_connections or raise the limit at the server"),
                1129 => (ErrorKind::Unreachable, "the server blocks this host after many failed connections: run FLUSH HOSTS there"),
                1251 | 1524 => (ErrorKind::Unsupported, "the server asks for a way to authenticate that is not supported here"),
                _ => (ErrorKind::Unreachable, "see the log of the server"),
            };
            Error::new(kind, format!("cannot connect to {place}: {}", shown(&answer))).hint(hint).remote_code(answer.state)
        }
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) => {
            Error::new(ErrorKind::Unreachable, format!("cannot connect to {place}: the server does not offer TLS"))
                .hint("turn TLS on at the server, or set options.sslmode to prefer or disable")
        }
        DriverFailure::Driver(cause @ (DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled)) => {
            Error::new(ErrorKind::Unsupported, format!("cannot connect to {place}: the way to authenticate is not supported"))
                .hint("use a user with mysql_native_password, caching_sha2_password or ed25519")
                .because(cause)
        }
        DriverFailure::Io(IoError::Tls(cause)) => untrusted(place, tls::cause_in(&cause)).because(cause),
        DriverFailure::Io(IoError::Io(cause)) if is_tls(&cause) => untrusted(place, tls::cause_in(&cause)).because(cause),
        DriverFailure::Io(IoError::Io(cause)) => Error::new(ErrorKind::Unreachable, format!("cannot connect to {place}: {cause}"))
            .hint("check options.host and options.port, and that the server is up and reachable")
            .because(cause),
        DriverFailure::Driver(_) | DriverFailure::Other(_) | DriverFailure::Url(_) => {
            Error::new(ErrorKind::Unreachable, format!("cannot connect to {place}: it does not answer as a MySQL server does"))
                .hint("check options.host and options.port")
        }
    }
}

fn untrusted(place: &str, cause: Option<&rustls::Error>) -> Error {
    let failed = format!("cannot connect to {place}: the TLS handshake failed");
    match cause.map(tls::explained) {
        Some((reason, hint)) => Error::new(ErrorKind::Unreachable, format!("{failed}: {reason}")).hint(hint),
        None => Error::new(ErrorKind::Unreachable, failed).hint("check options.sslrootcert and that the certificate is for options.host"),
    }
}

fn is_tls(cause: &std::io::Error) -> bool {
    cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn of_server(answer: &ServerError, limit: Option<Duration>) -> Error {
    let kind = match answer.code {
        // The server's own limit is ours, told to it when the statement began.
        1969 | 3024 => {
            return match limit {
                Some(limit) => timed_out(limit),
                None => Error::new(ErrorKind::Timeout, "the server's own statement time limit was exceeded")
                    .hint("raise max_statement_time (MariaDB) or max_execution_time (MySQL) for the user"),
            }
            .remote_code(answer.state.clone());
        }
        1049 | 1051 | 1054 | 1109 | 1146 => ErrorKind::NotFound,
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => ErrorKind::Unauthorized,
        code if ends_connection(code) => ErrorKind::Unreachable,
        1037 | 1038 | 1040 | 1041 | 1104 | 1153 | 1203 | 1226 | 1461 => ErrorKind::LimitExceeded,
        1317 => ErrorKind::Cancelled,
        _ => ErrorKind::Failed,
    };
    let error = Error::new(kind, shown(answer)).remote_code(answer.state.clone());
    match kind {
        ErrorKind::NotFound => error.hint("the remote schema may have changed: refresh the datasource's catalog"),
        ErrorKind::Unauthorized => error.hint("grant the datasource's user SELECT on it"),
        ErrorKind::Unreachable => error.hint("check that the server is up; the statement may be run again"),
        ErrorKind::Cancelled => error.hint("somebody ended the statement at the server"),
        _ => error,
    }
}

pub(super) fn ends_connection(code: u16) -> bool {
    matches!(code, 1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013 | 4031)
}

fn of_driver(cause: DriverError) -> Error {
    match cause {
        DriverError::ConnectionClosed | DriverError::PacketOutOfOrder | DriverError::UnexpectedPacket { .. } => {
            // The packet is not attached: it may hold rows.
            Error::new(ErrorKind::Unreachable, "the connection to the server was lost")
                .hint("check that the server is up; the statement may be run again")
        }
        DriverError::PacketTooLarge => {
            Error::new(ErrorKind::LimitExceeded, "a packet is larger than the driver takes").hint("lower max_allowed_packet at the server")
        }
        DriverError::FromValue { .. } | DriverError::FromRow { .. } => Error::new(ErrorKind::Internal, "a row could not be decoded"),
        other => Error::new(ErrorKind::Failed, "the driver refused the statement").because(other),
    }
}

/// The server's text. Names of tables, columns and users may be shown, other quoted parts may hold literals of the statement.
fn shown(answer: &ServerError) -> String {
    match answer.code {
        1040 | 1044 | 1045 | 1049 | 1051 | 1053 | 1054 | 1109 | 1130 | 1142 | 1143 | 1146 | 1203 | 1227 | 1267 | 1698 | 1927 => {
            answer.message.clone()
        }
        code => format!("error {code}: {}", without_quotations(&answer.message)),
    }
}

/// The text with everything between the first and the last quote of each kind left out: a literal may hold quotes itself.
fn without_quotations(message: &str) -> String {
    let mut text = message.to_owned();
    for quote in ['\'', '"', '`'] {
        if let (Some(first), Some(last)) = (text.find(quote), text.rfind(quote))
            && first < last
        {
            text.replace_range(first + 1..last, "...");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> DriverFailure {
        DriverFailure::Server(ServerError { code, message: message.to_owned(), state: "HY000".to_owned() })
    }

    #[test]
    fn kinds_follow_the_code() {
        let cases = [
            (1146, ErrorKind::NotFound),
            (1054, ErrorKind::NotFound),
            (1142, ErrorKind::Unauthorized),
            (1143, ErrorKind::Unauthorized),
            (2013, ErrorKind::Unreachable),
            (1053, ErrorKind::Unreachable),
            (1927, ErrorKind::Unreachable),
            (1040, ErrorKind::LimitExceeded),
            (1203, ErrorKind::LimitExceeded),
            (1317, ErrorKind::Cancelled),
            (1969, ErrorKind::Timeout),
            (3024, ErrorKind::Timeout),
            (1064, ErrorKind::Failed),
        ];
        for (code, kind) in cases {
            let error = of_statement(server(code, "text"), Some(Duration::from_secs(30)));
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.remote_sqlstate(), Some("HY000"), "{code}");
        }
    }

    #[test]
    fn the_servers_limit_reads_as_ours() {
        let error = of_statement(server(1969, "Query execution was interrupted"), Some(Duration::from_secs(30)));
        assert_eq!(error.message(), "query_timeout of 30s exceeded");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("external.query_timeout")));
    }

    #[test]
    fn literals_are_left_out() {
        let error = of_statement(server(1064, "syntax error near 'WHERE card = 'it''s 4111' LIMIT 1' at line 1"), None);
        assert_eq!(error.message(), "error 1064: syntax error near '...' at line 1");
    }

    #[test]
    fn names_are_kept() {
        let error = of_statement(server(1146, "Table 'shop.orders' doesn't exist"), None);
        assert_eq!(error.message(), "Table 'shop.orders' doesn't exist");
    }
}
