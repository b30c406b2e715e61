//! Writes a SQLite database for samples. Datasources themselves are opened to be read.

use std::path::Path;

use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Result};

/// Makes the SQLite database `path` by running `script` in one transaction. Blocks the thread.
///
/// A file that is there already is added to.
///
/// # Errors
/// `Failed` when the file cannot be written or the script is not SQLite's.
pub fn write_sqlite_sample(path: &Path, script: &str) -> Result<()> {
    let failed = |error: rusqlite::Error| {
        Error::new(ErrorKind::Failed, format!("the sample database {} cannot be written", path.display())).because(error)
    };
    let mut connection = Connection::open(path).map_err(failed)?;
    let transaction = connection.transaction().map_err(failed)?;
    transaction.execute_batch(script).map_err(failed)?;
    transaction.commit().map_err(failed)
}
