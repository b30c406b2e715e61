//! What drift breaks here: published tables and columns, and statements that clients have prepared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::drift::{Difference, Severity};
use crate::published_name::PublishedName;
use crate::snapshot::{CatalogSnapshot, ForeignTable};
use crate::store::DriftRow;

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

/// What differences break.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Impact {
    /// The tables whose own expectations are broken, by schema and name.
    pub foreign_tables: Vec<AffectedTable>,
    /// The statements that read one of them.
    pub prepared_statements: Vec<PreparedStatement>,
}

/// A published table that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AffectedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it is under a contract.
    pub pinned: bool,
    /// The columns that are broken, by published name, in the order of their remote ones; none when it is the table as a whole, or its
    /// key.
    pub columns: Vec<String>,
}

/// Where the prepared statements are asked for, once somebody knows them.
pub(crate) type PreparedStatementsCell = Arc<OnceLock<Arc<dyn PreparedStatements>>>;

/// A difference that breaks something: the tables of ours it is about, and the remote column.
type Breach<'a> = (&'a [PublishedName], Option<&'a str>);

impl Impact {
    /// What differences break in `snapshot`.
    pub(crate) fn of(differences: &[Difference], snapshot: &CatalogSnapshot, statements: &PreparedStatementsCell) -> Self {
        let breaches = differences.iter().filter(|difference| difference.severity == Severity::Error);
        Self::new(breaches.map(|difference| (&*difference.published, difference.column.as_deref())), snapshot, statements)
    }

    /// What stored differences break in `snapshot`.
    pub(crate) fn of_rows(rows: &[DriftRow], snapshot: &CatalogSnapshot, statements: &PreparedStatementsCell) -> Self {
        let breaches = rows.iter().filter(|row| row.severity == Severity::Error.as_str());
        Self::new(breaches.map(|row| (&*row.published, row.column.as_deref())), snapshot, statements)
    }

    fn new<'a>(breaches: impl Iterator<Item = Breach<'a>>, snapshot: &CatalogSnapshot, statements: &PreparedStatementsCell) -> Self {
        let mut affected: BTreeMap<&PublishedName, BTreeSet<&str>> = BTreeMap::new();
        for (published, column) in breaches {
            for name in published {
                affected.entry(name).or_default().extend(column);
            }
        }
        // What is published no more, or not yet, breaks nothing.
        let published = affected.into_iter().filter_map(|(name, columns)| {
            let table = snapshot.schemas.get(&name.schema)?.tables.get(&name.name)?;
            Some(affected_table(table, &columns))
        });
        let foreign_tables: Vec<AffectedTable> = published.collect();
        let names: Vec<(String, String)> = foreign_tables.iter().map(|table| (table.schema.clone(), table.name.clone())).collect();
        let reading = statements.get().map(|statements| statements.reading(&names)).unwrap_or_default();
        Self { foreign_tables, prepared_statements: reading }
    }
}

fn affected_table(table: &ForeignTable, broken: &BTreeSet<&str>) -> AffectedTable {
    // A column that is published no more has no name but the remote one.
    let published = |remote: &&str| {
        let known = table.remote_columns.iter().zip(table.columns.fields());
        let mut known = known.filter(|(i, _)| table.remote.columns[**i].name == **remote);
        known.next().map_or_else(|| (*remote).to_owned(), |(_, field)| field.name().clone())
    };
    AffectedTable {
        schema: table.schema.clone(),
        name: table.name.clone(),
        pinned: table.pinned,
        columns: broken.iter().map(published).collect(),
    }
}
