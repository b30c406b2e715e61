//! What the store's driver says, as an error of ours.

use causeway_providers::{Error, ErrorKind};
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;

/// SQLite's primary result codes that mean something to the reader: <https://www.sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const IO: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

/// The error of a store that failed at `what`. What the driver says is its cause, and not repeated in its text.
pub(crate) fn failed(what: &str, error: sqlx::Error) -> Error {
    let code = match &error {
        sqlx::Error::Database(database) => primary_code(database.as_ref()),
        _ => None,
    };
    let told = match code {
        Some(BUSY | LOCKED) => Error::new(ErrorKind::Conflict, format!("{what}: the file is locked"))
            .hint("end the process that keeps it locked and try again"),
        Some(READ_ONLY | CANNOT_OPEN) => Error::new(ErrorKind::Unauthorized, format!("{what}: the file may not be read and written"))
            .hint("let this user write the data folder and the files in it"),
        Some(FULL) => Error::new(ErrorKind::LimitExceeded, format!("{what}: the disk is full")).hint("make room in the data folder"),
        Some(CORRUPT | NOT_A_DATABASE) => {
            Error::new(ErrorKind::Invalid, format!("{what}: the file is damaged, or none of ours")).hint("restore it from a backup")
        }
        Some(IO) => Error::new(ErrorKind::Internal, format!("{what}: the disk fails")).hint("see the log of the system for the disk"),
        _ => Error::new(ErrorKind::Internal, what),
    };
    told.because(error)
}

fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}
