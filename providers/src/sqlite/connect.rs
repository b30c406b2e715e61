//! One connection to a database file: opening, settings, waiting for locks, interrupting, errors.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, ffi};
use tokio_util::sync::CancellationToken;

use super::verify::Verified;
use crate::error::{Error, ErrorKind, Result, VALUE_REFUSED};
use crate::pool::{Access, Dial};
use crate::remote::ServerVersion;
use crate::sql::Reliance;

/// How long SQLite itself waits for a lock before it asks us whether to go on. An interrupt does not end that wait, so it is short.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// A connection and the file it was opened on.
pub(super) struct Database {
    connection: Connection,
    file: FileIdentity,
    verified: Box<RefCell<Verified>>,
}

impl Database {
    /// Opens the file. Blocks.
    fn open(path: &Path, access: Access) -> Result<Self> {
        let file = FileIdentity::of(path)?;
        let flag = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            // Without the flag that makes a missing file.
            Access::Write | Access::Change => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let connection = Connection::open_with_flags(path, flag | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failure)?;
        let settings = || {
            connection.busy_timeout(LOCK_WAIT)?;
            // With this off an unknown "name" is an error; SQLite would otherwise take it for a string.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            // Views and generated columns of a file we did not write may not call functions with side effects.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.pragma_update(None, "query_only", access == Access::Read)
        };
        settings().map_err(failure)?;
        Ok(Self { connection, file, verified: Box::default() })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Begins a transaction for a statement and makes sure of the columns it relies on. Blocks.
    pub(super) fn make_sure(&self, reliance: &Reliance, stopped: &dyn Fn() -> bool) -> Result<()> {
        if reliance.is_empty() {
            return Ok(());
        }
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN").map_err(failure)?;
        }
        self.verified.borrow_mut().ensure(&self.connection, reliance, stopped)
    }

    /// Ends the transaction, if there is one.
    pub(super) fn end(&self) -> Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.connection.execute_batch("COMMIT").map_err(failure) }
    }

    /// Whether the path still names the file this connection has open. A removed or replaced file keeps its old rows for those
    /// who have it open.
    fn is_still_at(&self, path: &Path) -> bool {
        FileIdentity::of(path).is_ok_and(|file| file == self.file)
    }

    /// The version, once the file's header and schema were read.
    pub(super) fn version(&self, patience: Duration, stopped: &dyn Fn() -> bool) -> Result<ServerVersion> {
        let version: String = patiently(patience, stopped, || {
            self.connection.query_row("SELECT sqlite_version(), count(*) FROM main.sqlite_schema", [], |row| row.get(0)).map_err(failure)
        })?;
        Ok(ServerVersion { product: "SQLite".to_owned(), version })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where a file is, and what it is opened for.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) access: Access,
}

impl Dial for DatabaseFile {
    type Connection = Database;

    async fn connect(&self) -> Result<Database> {
        let (path, access) = (self.path.clone(), self.access);
        tokio::task::spawn_blocking(move || Database::open(&path, access))
            .await
            .map_err(|e| Error::new(ErrorKind::Internal, "opening the database file was aborted").because(e))?
    }

    fn is_usable(&self, database: &Database) -> bool {
        database.is_still_at(&self.path)
    }

    /// There is nobody who could have hung up.
    async fn answers(&self, _database: &mut Database) -> bool {
        true
    }
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileIdentity {
    fn of(path: &Path) -> Result<Self> {
        let shown = path.display();
        let metadata = std::fs::metadata(path).map_err(|e| {
            match e.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                    Error::new(ErrorKind::NotFound, format!("there is no file {shown}"))
                        .hint("correct the option `path`; a missing database is not created")
                }
                std::io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Unauthorized, format!("the file {shown} may not be read"))
                    .hint("let the gateway's user read the file and enter its folder"),
                _ => Error::new(ErrorKind::Unreachable, format!("the file {shown} cannot be reached")),
            }
            .because(e)
        })?;
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::Invalid, format!("{shown} is a folder, not a database file"))
                .hint("give the option `path` a file; for a folder of Parquet, CSV or JSON there is the connector `files`"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Ok(Self { device: metadata.dev(), inode: metadata.ino() })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }
}

/// Ends a running statement when it is dropped, unless it was disarmed.
pub(super) struct Stop {
    requested: CancellationToken,
    interrupt: InterruptHandle,
    armed: bool,
}

impl Stop {
    pub(super) fn new(database: &Database) -> Self {
        Self { requested: CancellationToken::new(), interrupt: database.connection.get_interrupt_handle(), armed: true }
    }

    /// Cancelled when the work is to end.
    pub(super) fn token(&self) -> CancellationToken {
        self.requested.clone()
    }

    /// Interrupts the statement that is running now. One that begins later is not, so callers repeat this until it has ended.
    pub(super) fn now(&self) {
        self.requested.cancel();
        self.interrupt.interrupt();
    }

    pub(super) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if self.armed {
            self.now();
        }
    }
}

/// Repeats `attempt` while another program holds a lock that excludes readers.
pub(super) fn patiently<T>(patience: Duration, stopped: &dyn Fn() -> bool, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_locked(&error) && start.elapsed() < patience && !stopped() => {}
            done => return done,
        }
    }
}

/// Whether the error is that of a lock held by another program.
fn is_locked(error: &Error) -> bool {
    result_code(error).is_some_and(|e| matches!(e.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether reading failed because somebody who may write has to open the file first, and undo a write that was cut short.
pub(super) fn needs_recovery(error: &Error) -> bool {
    result_code(error).is_some_and(|e| e.code == ErrorCode::ReadOnly)
}

fn result_code(error: &Error) -> Option<&ffi::Error> {
    std::error::Error::source(error).and_then(|e| e.downcast_ref())
}

/// An error of a write in our words.
pub(super) fn write_failure(error: rusqlite::Error) -> Error {
    let (code, text) = match &error {
        rusqlite::Error::SqliteFailure(code, text) => (*code, text.as_deref().unwrap_or_default()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (*error, msg.as_str()),
        _ => return failure(error),
    };
    let told = match code.code {
        ErrorCode::ReadOnly => Error::new(ErrorKind::Unauthorized, "the database file may not be written to")
            .hint("let the gateway's user write to the file and to its folder, where SQLite keeps its journal"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::new(ErrorKind::Unreachable, "the database is locked by another program")
                .hint("try again when its writer has committed and its readers are done")
        }
        ErrorCode::DiskFull => Error::new(ErrorKind::LimitExceeded, "the disk of the database file is full").hint("make room there"),
        ErrorCode::SystemIoFailure => Error::new(ErrorKind::Unreachable, "writing to the database file failed"),
        ErrorCode::ConstraintViolation => match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                Error::new(ErrorKind::Conflict, "another unique key of the table than its primary one refuses a row").hint("drop that key")
            }
            _ => Error::new(ErrorKind::Failed, "a constraint of the table refuses a row").hint("let it allow the row"),
        },
        _ if text.starts_with("ON CONFLICT clause does not match") => {
            Error::new(ErrorKind::Conflict, "the table's primary key is not the described one")
                .hint("make the table ready first, and see what that leaves to be done by hand")
        }
        _ => return failure(error),
    };
    told.because(code)
}

/// An error of SQLite in our words. Its own text may quote the statement and is only passed on where it cannot hold a literal.
pub(super) fn failure(error: rusqlite::Error) -> Error {
    let (code, text) = match error {
        rusqlite::Error::SqliteFailure(code, text) => (code, text),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg)),
        rusqlite::Error::Utf8Error(column, cause) => {
            return Error::new(ErrorKind::Invalid, format!("column {} of the result holds text that is not UTF-8", column + 1))
                .code(VALUE_REFUSED)
                .because(cause);
        }
        other => return Error::new(ErrorKind::Failed, "SQLite could not run the statement").because(other),
    };
    let text = text.unwrap_or_default();
    let error = match code.code {
        ErrorCode::ReadOnly if code.extended_code == ffi::SQLITE_READONLY_ROLLBACK => {
            Error::new(ErrorKind::Unreachable, "a program ended in the midst of a write to the file, which must be undone first").hint(
                "open it once with a program that may write to it, such as sqlite3; with external.allow_writes the gateway does so when it opens the datasource",
            )
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::new(ErrorKind::Unreachable, "the database is locked by another program")
                .hint("try again when its writer has committed, or use journal_mode=WAL, in which readers never wait")
        }
        ErrorCode::NotADatabase => Error::new(ErrorKind::Invalid, "the file is not a SQLite database")
            .hint("correct the option `path`; encrypted files are not read"),
        ErrorCode::DatabaseCorrupt => {
            Error::new(ErrorKind::Failed, "the database file is damaged").hint("look with `PRAGMA integrity_check` and restore it")
        }
        ErrorCode::CannotOpen => Error::new(ErrorKind::Unreachable, "the database file cannot be opened")
            .hint("check the permissions of the file and, in WAL mode, of its folder"),
        ErrorCode::ReadOnly => Error::new(ErrorKind::Unreachable, "the database has to be recovered before it can be read")
            .hint("open it once with a program that may write to it"),
        ErrorCode::SystemIoFailure => Error::new(ErrorKind::Unreachable, "reading the database file failed"),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            Error::new(ErrorKind::Unauthorized, "the database file may not be read")
        }
        ErrorCode::OperationInterrupted => Error::new(ErrorKind::Cancelled, "the statement was interrupted"),
        ErrorCode::OutOfMemory | ErrorCode::TooBig => {
            Error::new(ErrorKind::LimitExceeded, "the statement needs more memory than SQLite may use")
        }
        ErrorCode::SchemaChanged => Error::new(ErrorKind::Conflict, "the schema changed while the statement ran").hint("run it again"),
        _ if text.starts_with("no such table: ") || text.starts_with("no such column: ") => {
            // Behind the dash SQLite guesses at quotes.
            let text = text.split(" - ").next().unwrap_or_default().replace('"', "");
            Error::new(ErrorKind::NotFound, text).hint("refresh the datasource's catalog")
        }
        _ if text == "integer overflow" => Error::new(ErrorKind::Failed, "a sum exceeds 64 bits"),
        _ => Error::new(ErrorKind::Failed, format!("SQLite could not run the statement (result code {})", code.extended_code)),
    };
    error.because(code)
}
