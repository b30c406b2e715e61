//! The immutable set of tables a statement sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{Error, ErrorKind, RemoteTable, Result, Subject};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

/// All published tables of one environment at one moment.
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    /// Grows by one with every change; never reused.
    pub version: u64,
    /// Schemas by published name.
    pub schemas: BTreeMap<String, Arc<SnapshotSchema>>,
    /// When a datasource's tables were replaced last by what a look at it saw. What others publish changes nothing here.
    pub replaced: BTreeMap<String, Replaced>,
}

/// The versions in which the tables of one datasource were replaced last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// All of them.
    pub all: u64,
    /// Those that were replaced alone since then.
    pub tables: BTreeMap<Subject, u64>,
}

impl Replaced {
    /// The version since which all of these remote tables are what they are.
    pub fn since<'t>(&self, tables: impl IntoIterator<Item = &'t Subject>) -> u64 {
        tables.into_iter().map(|table| self.tables.get(table).copied().unwrap_or(self.all)).min().unwrap_or(self.all)
    }
}

impl CatalogSnapshot {
    /// All published tables, by schema and name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<ForeignTable>> {
        self.schemas.values().flat_map(|schema| schema.tables.values())
    }

    /// The remote tables of a datasource behind published names, each a schema and a name; none for those that are not its own.
    pub fn remotes(&self, datasource: &str, names: &[(String, String)]) -> BTreeSet<Subject> {
        let table = |(schema, name): &(String, String)| self.schemas.get(schema)?.tables.get(name);
        names.iter().filter_map(table).filter(|table| table.datasource == datasource).map(|table| table.remote.subject()).collect()
    }
}

/// One published schema.
#[derive(Debug, Clone, Default)]
pub struct SnapshotSchema {
    /// The datasource it belongs to; `None` for a schema that holds imported tables, of any datasource.
    pub datasource: Option<String>,
    /// Its remote name; empty for a schema of imported tables.
    pub remote_schema: String,
    /// Tables by published name.
    pub tables: BTreeMap<String, Arc<ForeignTable>>,
    /// Pinned tables that break their contract, or may not be read, and of which no columns are known, by published name, and why.
    pub broken: BTreeMap<String, Arc<Error>>,
    /// Why its tables cannot be read now: any look-up of a table in it fails with this, but for those that break their contract.
    pub unavailable: Option<Arc<Error>>,
}

impl SnapshotSchema {
    /// Looks a table up.
    ///
    /// # Errors
    /// How the table breaks its contract, else [`Self::unavailable`], whatever the name.
    pub fn table(&self, name: &str) -> Result<Option<&Arc<ForeignTable>>> {
        let found = self.tables.get(name);
        let reason = found.and_then(|table| table.unavailable.as_ref()).or_else(|| self.broken.get(name));
        match reason.or(self.unavailable.as_ref()) {
            Some(reason) => Err(reason.restated()),
            None => Ok(found),
        }
    }
}

/// The error a statement gets that names a table of a datasource which failed with `error`.
///
/// Whatever the reason is, such as a file that is not there or a password that is not taken, to the statement it is that the
/// datasource cannot be reached: kinds such as `NotFound` would speak of the table.
pub(crate) fn unavailable(error: &Error) -> Error {
    let told = Error::new(ErrorKind::Unreachable, format!("the datasource is not available: {}", error.message()))
        .hint(error.hint_text().unwrap_or("it is tried again by itself; see causeway.datasources"));
    match error.datasource() {
        Some(datasource) => told.at(datasource),
        None => told,
    }
}

/// A remote table as published.
#[derive(Debug, Clone)]
pub struct ForeignTable {
    /// The published schema.
    pub schema: String,
    /// The published name.
    pub name: String,
    /// The datasource.
    pub datasource: String,
    /// Whether it was pinned.
    pub pinned: bool,
    /// Whether writes are allowed, given the datasource allows them.
    pub writable: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// What the source said about it.
    pub remote: RemoteTable,
    /// The published columns, in order: names after the column map, Arrow types, presentation metadata.
    pub columns: SchemaRef,
    /// For each published column its index in `remote.columns`.
    pub remote_columns: Vec<usize>,
    /// Why it cannot be read now though others of its datasource may be: it is not what it was pinned to, our user may not read it, or it
    /// is one imported from a datasource that is down.
    pub unavailable: Option<Arc<Error>>,
    /// How to read it.
    pub provider: Arc<dyn TableProvider>,
}

impl ForeignTable {
    /// Whether it cannot be read for a reason of its own: it breaks the contract it was pinned to, or our user may not read it.
    pub(crate) fn is_broken(&self) -> bool {
        let is_own = |kind| matches!(kind, ErrorKind::SchemaMismatch | ErrorKind::Unauthorized);
        self.unavailable.as_ref().is_some_and(|reason| is_own(reason.kind()))
    }
}
