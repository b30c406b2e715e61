//! The immutable set of tables a statement sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use causeway_providers::{Error, RemoteTable, Result};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

/// All published tables of one environment at one moment.
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    /// Grows by one with every change; never reused.
    pub version: u64,
    /// Schemas by published name.
    pub schemas: BTreeMap<String, Arc<SnapshotSchema>>,
    /// The version in which a datasource's tables were replaced last by what a look at it saw. What others publish changes nothing here.
    pub replaced: BTreeMap<String, u64>,
}

impl CatalogSnapshot {
    /// All published tables, by schema and name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<ForeignTable>> {
        self.schemas.values().flat_map(|schema| schema.tables.values())
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
    /// Why its tables cannot be read now: any look-up of a table in it fails with this.
    pub unavailable: Option<Arc<Error>>,
}

impl SnapshotSchema {
    /// Looks a table up.
    ///
    /// # Errors
    /// [`Self::unavailable`], whatever the name; [`ForeignTable::unavailable`] of the one that is found.
    pub fn table(&self, name: &str) -> Result<Option<&Arc<ForeignTable>>> {
        if let Some(reason) = &self.unavailable {
            return Err(restate(reason));
        }
        let found = self.tables.get(name);
        match found.and_then(|table| table.unavailable.as_ref()) {
            Some(reason) => Err(restate(reason)),
            None => Ok(found),
        }
    }
}

/// The same error once more, for another reader. The cause stays with the first.
pub(crate) fn restate(error: &Error) -> Error {
    let mut told = Error::new(error.kind(), error.message());
    if let Some(datasource) = error.datasource() {
        told = told.at(datasource);
    }
    if let Some(hint) = error.hint_text() {
        told = told.hint(hint);
    }
    if let Some(code) = error.code_text() {
        told = told.code(code);
    }
    if let Some(code) = error.remote_sqlstate() {
        told = told.remote_code(code);
    }
    told
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
    /// Why it cannot be read now though others of its datasource may be: it is not what it was pinned to, or it is one imported
    /// from a datasource that is down.
    pub unavailable: Option<Arc<Error>>,
    /// How to read it.
    pub provider: Arc<dyn TableProvider>,
}
