//! From SQLite's errors to ours when a client's statement changes rows: constraints with the SQLSTATE that PostgreSQL has for them.

use rusqlite::{ErrorCode, ffi};

use super::connect::{failure, storing};
use crate::error::{Error, ErrorKind};

/// An error of a change in our words. Of SQLite's own only names of tables, columns and checks are passed on.
pub(super) fn change_failure(error: rusqlite::Error) -> Error {
    let (code, text) = match &error {
        rusqlite::Error::SqliteFailure(code, text) => (*code, text.as_deref().unwrap_or_default()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (*error, msg.as_str()),
        _ => return failure(error),
    };
    if let Some(told) = storing(code) {
        return told;
    }
    let told = match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, text),
        ErrorCode::TypeMismatch => Error::new(ErrorKind::Invalid, "the key of the table takes only integers").remote_code("22P02"),
        ErrorCode::TooBig => {
            Error::new(ErrorKind::LimitExceeded, "a value or a row is larger than SQLite takes").hint("store it in smaller pieces")
        }
        _ if text == "integer overflow" => Error::new(ErrorKind::Invalid, "an integer is beyond 64 bits").remote_code("22003"),
        _ if text.starts_with("ON CONFLICT clause does not match") => {
            Error::new(ErrorKind::Invalid, "the table has no unique key of the columns that ON CONFLICT names").remote_code("42P10")
        }
        _ => return failure(error),
    };
    told.because(code)
}

fn constraint(extended: i32, text: &str) -> Error {
    // Behind the colon it names what failed.
    let of = text.split_once("failed: ").map(|(_, named)| format!(": {named}")).unwrap_or_default();
    let conflict = |what: &str, state: &str| Error::new(ErrorKind::Conflict, format!("{what}{of}")).remote_code(state);
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            conflict("a unique key of the table refuses a row", "23505")
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => conflict("a column takes no NULL", "23502"),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => conflict("a foreign key refuses the change", "23503"),
        ffi::SQLITE_CONSTRAINT_CHECK => conflict("a check of the table refuses a row", "23514"),
        ffi::SQLITE_CONSTRAINT_DATATYPE => {
            Error::new(ErrorKind::Invalid, "a column of the strict table takes no value of that type").remote_code("22P02")
        }
        // Its text is the trigger's own and may quote the row.
        ffi::SQLITE_CONSTRAINT_TRIGGER => Error::new(ErrorKind::Failed, "a trigger of the table refuses the change").remote_code("P0001"),
        _ => conflict("a constraint of the table refuses a row", "23000"),
    }
}
