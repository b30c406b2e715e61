//! Which tables of a source the contract is about: those that a gateway would publish.

use crate::remote::{Introspection, RemoteTable, Scope};

/// What a gateway would publish of a datasource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// The schemas that the source is asked for.
    pub scope: Scope,
    /// The tables of these that are published; `None` is all.
    pub only: Option<Vec<CoveredTable>>,
}

/// A table by its remote name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredTable {
    /// Its schema; `None` is the source's default schema.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

impl Coverage {
    /// The tables of a look that would be published, those of the default schema first.
    pub(super) fn of<'a>(&self, seen: &'a Introspection) -> Vec<&'a RemoteTable> {
        let mut tables: Vec<&RemoteTable> = seen.tables.iter().filter(|table| self.has(table, &seen.default_schema)).collect();
        tables.sort_by_key(|table| table.schema != seen.default_schema);
        tables
    }

    fn has(&self, table: &RemoteTable, default_schema: &str) -> bool {
        let is_named = |named: &CoveredTable| named.schema.as_deref().unwrap_or(default_schema) == table.schema && named.name == table.name;
        (self.scope.schemas.is_empty() || self.scope.schemas.contains(&table.schema))
            && self.only.as_ref().is_none_or(|only| only.iter().any(is_named))
    }
}
