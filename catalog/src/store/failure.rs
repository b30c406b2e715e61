//! What the store's driver says, as an error of ours.

use causeway_providers::{Error, ErrorKind};
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;

/// SQLite's primary result codes that mean something to the reader: <https://www.sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

/// The error of a store that failed at `what`.
pub(crate) fn failed(what: &str, error: sqlx::Error) -> Error {
    let code = match &error {
        sqlx::Error::Database(database) => primary_code(database.as_ref()),
        _ => None,
    };
    let (kind, hint) = match code {
        Some(BUSY | LOCKED) => (ErrorKind::Conflict, Some("another process keeps the file locked: end it and try again")),
        Some(READ_ONLY | CANNOT_OPEN) => (ErrorKind::Unauthorized, Some("let this user write the data folder and the files in it")),
        Some(FULL) => (ErrorKind::LimitExceeded, Some("the disk is full: make room in the data folder")),
        Some(CORRUPT | NOT_A_DATABASE) => (ErrorKind::Invalid, Some("the file is damaged or none of ours: restore it from a backup")),
        _ => (ErrorKind::Internal, None),
    };
    let told = Error::new(kind, format!("{what}: {error}"));
    let told = match hint {
        Some(hint) => told.hint(hint),
        None => told,
    };
    told.because(error)
}

fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}
