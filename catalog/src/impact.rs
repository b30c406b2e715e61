//! What a drift breaks here: published tables and columns, and statements that clients have prepared.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::drift::TableDrift;
use crate::snapshot::{CatalogSnapshot, ForeignTable};

/// Knows the statements that clients have prepared; the catalog knows none.
pub trait PreparedStatements: Debug + Send + Sync {
    /// Those that read one of `tables`, each a published schema and name.
    fn reading(&self, tables: &[(String, String)]) -> Vec<PreparedStatement>;
}

/// A statement a client has prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreparedStatement {
    /// The session's process id, as in `pg_stat_activity`.
    pub pid: i32,
    /// Its name; empty for the unnamed one.
    pub name: String,
}

/// What one table's drift breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Impact {
    foreign_tables: Vec<AffectedTable>,
    prepared_statements: Vec<PreparedStatement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct AffectedTable {
    schema: String,
    name: String,
    pinned: bool,
    /// The published columns that differ.
    columns: Vec<String>,
}

/// Where the prepared statements are asked for, once somebody knows them.
pub(crate) type PreparedStatementsCell = Arc<OnceLock<Arc<dyn PreparedStatements>>>;

impl Impact {
    /// What `drift` of a table of `datasource` breaks in `snapshot`.
    pub(crate) fn of(datasource: &str, drift: &TableDrift, snapshot: &CatalogSnapshot, statements: &PreparedStatementsCell) -> Self {
        let is_affected = |table: &&Arc<ForeignTable>| {
            table.datasource == datasource && table.remote.schema == drift.schema && table.remote.name == drift.table
        };
        let affected: Vec<&Arc<ForeignTable>> = snapshot.tables().filter(is_affected).collect();
        let names: Vec<(String, String)> = affected.iter().map(|table| (table.schema.clone(), table.name.clone())).collect();
        Self {
            foreign_tables: affected.into_iter().map(|table| affected_table(table, drift)).collect(),
            prepared_statements: statements.get().map(|statements| statements.reading(&names)).unwrap_or_default(),
        }
    }
}

fn affected_table(table: &ForeignTable, drift: &TableDrift) -> AffectedTable {
    let differs = |remote: &str| drift.differences.iter().any(|difference| difference.column.as_deref() == Some(remote));
    let columns = table.remote_columns.iter().zip(table.columns.fields());
    AffectedTable {
        schema: table.schema.clone(),
        name: table.name.clone(),
        pinned: table.pinned,
        columns: columns.filter(|(i, _)| differs(&table.remote.columns[**i].name)).map(|(_, field)| field.name().clone()).collect(),
    }
}
