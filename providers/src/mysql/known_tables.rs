//! What the last look told of tables that can be read in ranges of their key. It is no part of what a table is: it may be old, and only
//! how a scan is read depends on it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::remote::{RemoteTable, Scope, TableKind};

/// The integer types. All of them compare as the numbers they are.
const INTEGERS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];

/// What is known of the tables, by schema and name.
#[derive(Debug, Default)]
pub(super) struct KnownTables(RwLock<HashMap<(String, String), Clustered>>);

/// An InnoDB table whose rows lie in the order of an integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clustered {
    /// The first column of the primary key.
    pub(super) key: String,
    /// About how many bytes its rows take.
    pub(super) bytes: u64,
}

impl Clustered {
    /// What `table` is, stored in `bytes` by `engine`.
    pub(super) fn of(table: &RemoteTable, engine: &str, bytes: u64) -> Option<Self> {
        let key = table.primary_key.first()?;
        let column = table.columns.iter().find(|column| column.name == *key)?;
        let name = column.remote_type.split(['(', ' ']).next()?.to_ascii_lowercase();
        let is_clustered = table.kind == TableKind::Table && engine.eq_ignore_ascii_case("InnoDB") && INTEGERS.contains(&name.as_str());
        is_clustered.then(|| Self { key: key.clone(), bytes })
    }
}

impl KnownTables {
    /// Takes in what a look at `scope` saw.
    pub(super) fn learn(&self, scope: &Scope, tables: HashMap<(String, String), Clustered>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(schema, _), _| !scope.schemas.is_empty() && !scope.schemas.contains(schema));
        known.extend(tables);
    }

    /// What is known of `table`, if it can be read in ranges.
    pub(super) fn clustered(&self, table: &RemoteTable) -> Option<Clustered> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&(table.schema.clone(), table.name.clone())).cloned()
    }
}
