//! What a failure to change rows means to the client whose statement it was.
//!
//! Its own words are told as far as they quote no value: of constraints, their names and their columns'.

use tokio_postgres::Error as DriverError;
use tokio_postgres::error::DbError;

use super::{at_source, disk_full, is_lost, is_shutdown, read_only, without_values};
use crate::error::{Error, ErrorKind};

/// The error for a change that failed, with which its transaction has.
pub(in super::super) fn changing(error: DriverError) -> Error {
    inserting(error, &[])
}

/// As [`changing`], of rows for `columns`, of which the error may name one.
pub(in super::super) fn inserting(error: DriverError, columns: &[&str]) -> Error {
    let Some(remote) = error.as_db_error() else {
        if is_lost(&error) {
            return lost("lost the connection while changing rows".to_owned()).because(error);
        }
        return Error::new(ErrorKind::Failed, "the rows could not be sent").hint("send smaller values").because(error);
    };
    let code = remote.code().code();
    let message = || remote.message().to_owned();
    let (kind, text, hint) = match code {
        "42501" => (
            ErrorKind::Unauthorized,
            message(),
            Some("grant the datasource's role INSERT, UPDATE, DELETE and SELECT on the table as needed"),
        ),
        "25006" => return read_only(remote.message()),
        "53100" => return disk_full(remote),
        "42P01" | "42703" | "3F000" => {
            (ErrorKind::NotFound, message(), Some("the source's schema has changed: refresh the catalog of the datasource"))
        }
        // A column that is generated, conflicts without an index, one row that conflicts twice.
        "428C9" | "42P10" | "21000" => (ErrorKind::Invalid, message(), None),
        // What a view, or a table of another kind, does not take.
        "0A000" | "42809" | "55000" => (ErrorKind::Unsupported, message(), None),
        "44000" => (ErrorKind::Conflict, message(), None),
        "55P03" => (
            ErrorKind::Timeout,
            "waited too long for a lock at the source".to_owned(),
            Some("another transaction there holds the rows or the table: try again when it has ended"),
        ),
        "40001" | "40P01" => (ErrorKind::Failed, message(), Some("the source gave it up for another one: run the transaction again")),
        code if code.starts_with("23") => (ErrorKind::Conflict, constraint(remote), None),
        code if code.starts_with("22") => (ErrorKind::Invalid, value(remote, columns), None),
        _ if is_shutdown(remote.code()) => {
            return lost(format!("lost the connection while changing rows: {}", remote.message())).remote_code(code);
        }
        _ => return at_source(remote, None),
    };
    let error = Error::new(kind, text).remote_code(code);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn lost(text: String) -> Error {
    Error::new(ErrorKind::Unreachable, text).hint("the server stopped or the network failed: run the transaction again")
}

/// Names what refused a row, in the words that clients know from the server.
fn constraint(remote: &DbError) -> String {
    let table = remote.table().map(|table| format!(" of table \"{table}\"")).unwrap_or_default();
    match (remote.code().code(), remote.constraint(), remote.column()) {
        ("23502", _, Some(column)) => format!("null value in column \"{column}\"{table} violates not-null constraint"),
        ("23505", Some(name), _) => format!("duplicate key value violates unique constraint \"{name}\"{table}"),
        ("23503", Some(name), _) => format!("the change violates foreign key constraint \"{name}\"{table}"),
        ("23514", Some(name), _) => format!("new row violates check constraint \"{name}\"{table}"),
        (_, Some(name), _) => format!("the change violates constraint \"{name}\"{table}"),
        (_, None, Some(column)) => format!("column \"{column}\"{table} refuses a row"),
        (_, None, None) => format!("a constraint{table} refuses a row"),
    }
}

/// Says what is wrong with a value, and of which column if the source tells.
fn value(remote: &DbError, columns: &[&str]) -> String {
    let what = match (remote.code().code(), without_values(remote.message())) {
        // `value "..." is out of range for type integer` begins with the value.
        ("22003", shown) if shown != remote.message() => "a number is out of range",
        (_, shown) => shown,
    };
    match named(remote, columns) {
        Some(column) => format!("column \"{column}\": {what}"),
        None => what.to_owned(),
    }
}

/// The column that a `COPY` was at: `COPY accounts, line 2, column owner: "..."`. Only a name that is known is told, never a value.
fn named<'a>(remote: &DbError, columns: &[&'a str]) -> Option<&'a str> {
    let (_, told) = remote.where_()?.split_once(", column ")?;
    columns.iter().copied().filter(|column| told.strip_prefix(column).is_some_and(ends)).max_by_key(|column| column.len())
}

/// Whether a name ends here.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([':', '\n'])
}
