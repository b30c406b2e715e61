//! Writing SQLite databases.

use std::path::Path;

/// Makes a database at `path`, or opens the one there, and runs a script in it.
///
/// # Panics
/// When a statement of it fails.
pub fn write_sqlite(path: &Path, script: &str) {
    let database = rusqlite::Connection::open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
    database.execute_batch(script).unwrap_or_else(|e| panic!("{e}"));
}
