//! The forms the store has had, and the ways between them.

use causeway_providers::{Error, ErrorKind, Result};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

use super::{ControlStore, failed};

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
        let what = "the control store's form cannot be read";
        let mut connection = self.0.writer.acquire().await.map_err(|error| failed(what, error))?;
        let table = &migrator().table_name;
        connection.ensure_migrations_table(table).await.map_err(not_migrated)?;
        let applied = connection.list_applied_migrations(table).await.map_err(not_migrated)?;
        Ok(FORMS
            .iter()
            .map(|&(version, description, _, _)| AppliedMigration {
                version,
                description,
                is_applied: applied.iter().any(|form| form.version == version),
            })
            .collect())
    }
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
