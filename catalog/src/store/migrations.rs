//! The forms the store has had, and the ways between them.

use std::path::Path;

use causeway_providers::{Error, ErrorKind, Result};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::{ControlStore, failed, folder};

/// What cannot be done where a form is not told.
const UNTOLD: &str = "the control store's form cannot be read";

/// Every form by number and name, with the way there and back.
const FORMS: [(i64, &str, &str, &str); 3] = [
    (
        1,
        "external catalog",
        include_str!("migrations/0001_external_catalog.up.sql"),
        include_str!("migrations/0001_external_catalog.down.sql"),
    ),
    (2, "drift kept", include_str!("migrations/0002_drift_kept.up.sql"), include_str!("migrations/0002_drift_kept.down.sql")),
    (
        3,
        "drift published",
        include_str!("migrations/0003_drift_published.up.sql"),
        include_str!("migrations/0003_drift_published.down.sql"),
    ),
];

/// Which way to migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationDirection {
    /// To the newest form.
    Up,
    /// One form back. What only the newer form holds is lost.
    Down,
}

/// A form of the store and whether it is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub description: &'static str,
    /// Whether the store has it.
    pub is_applied: bool,
}

impl ControlStore {
    /// Brings the store to another form.
    ///
    /// # Errors
    /// `Invalid` when the store was written by a newer version of Causeway, or its past is not ours.
    pub async fn migrate(&self, direction: MigrationDirection) -> Result<()> {
        let migrator = migrator();
        let done = match direction {
            MigrationDirection::Up => migrator.run(&self.0.writer).await,
            MigrationDirection::Down => {
                let applied = self.migrations().await?.iter().filter(|form| form.is_applied).map(|form| form.version).max();
                let Some(applied) = applied else { return Ok(()) };
                migrator.undo(&self.0.writer, applied - 1).await
            }
        };
        done.map_err(not_migrated)
    }

    /// All forms, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn migrations(&self) -> Result<Vec<AppliedMigration>> {
        let mut connection = self.0.writer.acquire().await.map_err(|error| failed(UNTOLD, error))?;
        forms(&mut connection).await
    }

    /// All forms, oldest first, of the store in `folder`, of which nothing is changed.
    ///
    /// # Errors
    /// `Conflict` when another process has it open; when the file cannot be read or is none of ours.
    pub async fn migrations_in(folder: &Path) -> Result<Vec<AppliedMigration>> {
        let (_lock, path) = folder::lock_unchanged(folder)?;
        let options = SqliteConnectOptions::new().filename(&path).read_only(true);
        // Without a journal to look into, SQLite needs none of the files that it makes beside one.
        let options = options.immutable(!folder::has_journal(folder));
        let mut connection = options.connect().await.map_err(|error| failed(UNTOLD, error))?;
        let told = forms(&mut connection).await;
        connection.close().await.map_err(|error| failed(UNTOLD, error))?;
        told
    }
}

/// All forms, oldest first, and whether the store of `connection` has them. Reads only.
async fn forms(connection: &mut SqliteConnection) -> Result<Vec<AppliedMigration>> {
    let table = &migrator().table_name;
    let is_begun: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)")
        .bind(table.as_ref())
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| failed(UNTOLD, error))?;
    let applied = if is_begun { connection.list_applied_migrations(table).await.map_err(not_migrated)? } else { Vec::new() };
    let form = |&(version, description, _, _): &(i64, &'static str, &str, &str)| {
        let is_applied = applied.iter().any(|form| form.version == version);
        AppliedMigration { version, description, is_applied }
    };
    Ok(FORMS.iter().map(form).collect())
}

fn migrator() -> Migrator {
    let forms = FORMS.iter().flat_map(|&(version, description, up, down)| {
        let form = move |kind, sql: &'static str| Migration::new(version, description.into(), kind, sql.into_sql_str(), false);
        [form(MigrationType::ReversibleUp, up), form(MigrationType::ReversibleDown, down)]
    });
    Migrator::with_migrations(forms.collect())
}

fn not_migrated(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => {
            Error::new(ErrorKind::Invalid, format!("the control store has form {version}, which this version of Causeway does not know"))
                .hint("run the version that wrote it, or migrate the store down with that version first")
        }
        MigrateError::VersionMismatch(version) => {
            Error::new(ErrorKind::Invalid, format!("the control store's form {version} was not made by this version of Causeway"))
                .hint("run the version that wrote it")
        }
        MigrateError::Execute(error) => failed("the control store cannot be migrated", error),
        other => Error::new(ErrorKind::Internal, "the control store cannot be migrated").because(other),
    }
}
