//! What a limited role may see and how much its statements may take, as plain values. A role is the user of that name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use causeway_catalog::CatalogSnapshot;
use causeway_planner::Guardrails;

/// A role whose statements only read, and no more than it is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `roles.NAME`: the user it is.
    pub name: String,
    /// `schemas`: the schemas it sees. Of one that has tables in [`Self::tables`] it sees these alone.
    pub schemas: BTreeSet<String>,
    /// `tables`: the tables it sees, by schema and name, and of which columns; `None` is all of them.
    pub tables: BTreeMap<(String, String), Option<Vec<String>>>,
    /// `limits`.
    pub limits: RoleLimits,
}

/// The bounds of each statement of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// `max_rows`: rows of a result; 1000 by default.
    pub max_rows: u64,
    /// `max_bytes`: bytes of a result as it is sent; 10MiB by default.
    pub max_bytes: u64,
    /// `max_scan_rows`: rows that all scans of a statement read together; five million by default.
    pub max_scan_rows: u64,
    /// `max_join_rows`: rows that a join gives, and pairs that one without an equality looks at; ten million by default.
    pub max_join_rows: u64,
    /// `statement_timeout`: how long a statement takes, waiting included; 20s by default.
    pub statement_timeout: Duration,
}

impl Default for RoleLimits {
    fn default() -> Self {
        Self {
            max_rows: 1_000,
            max_bytes: 10 << 20,
            max_scan_rows: 5_000_000,
            max_join_rows: 10_000_000,
            statement_timeout: Duration::from_secs(20),
        }
    }
}

/// What of a table's columns a role sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisibleColumns<'a> {
    /// All of them.
    All,
    /// These.
    Only(&'a [String]),
}

impl Role {
    /// What it sees of a table, whether there is one or not; `None` is nothing.
    pub fn sees(&self, schema: &str, table: &str) -> Option<VisibleColumns<'_>> {
        if let Some(columns) = self.tables.get(&(schema.to_owned(), table.to_owned())) {
            return Some(columns.as_deref().map_or(VisibleColumns::All, VisibleColumns::Only));
        }
        self.sees_all_of(schema).then_some(VisibleColumns::All)
    }

    /// Whether it sees all tables of a schema, whichever there are.
    pub fn sees_all_of(&self, schema: &str) -> bool {
        self.schemas.contains(schema) && !self.lists_tables_of(schema)
    }

    /// Whether it sees a schema at all.
    pub fn sees_schema(&self, schema: &str) -> bool {
        self.schemas.contains(schema) || self.lists_tables_of(schema)
    }

    fn lists_tables_of(&self, schema: &str) -> bool {
        self.tables.keys().any(|(of, _)| of == schema)
    }

    /// What it sees, in words.
    pub fn places(&self) -> String {
        let schemas = self.schemas.iter().filter(|schema| self.sees_all_of(schema)).map(|schema| format!("schema {schema}"));
        let tables = self.tables.keys().map(|(schema, table)| format!("{schema}.{table}"));
        let places: Vec<String> = schemas.chain(tables).collect();
        if places.is_empty() { "no table".to_owned() } else { places.join(", ") }
    }

    /// What it names that is not there, a sentence each. Of a datasource that is down nothing is known, and nothing said.
    pub fn unknown(&self, snapshot: &CatalogSnapshot) -> Vec<String> {
        let name = &self.name;
        let schemas = self.schemas.iter().filter(|schema| !snapshot.schemas.contains_key(*schema));
        let mut unknown: Vec<String> = schemas.map(|schema| format!("role \"{name}\" names schema {schema}, which is not there")).collect();
        for ((schema, table), columns) in &self.tables {
            let Some(published) = snapshot.schemas.get(schema) else {
                unknown.push(format!("role \"{name}\" names table {schema}.{table}, whose schema is not there"));
                continue;
            };
            match published.tables.get(table) {
                Some(found) => {
                    let is_there = |column: &&String| found.columns.field_with_name(column).is_ok();
                    let missing = columns.iter().flatten().filter(|column| !is_there(column));
                    unknown.extend(
                        missing.map(|column| format!("role \"{name}\" names column {column} of {schema}.{table}, which is not there")),
                    );
                }
                None if published.broken.contains_key(table) || published.unavailable.is_some() => {}
                None => unknown.push(format!("role \"{name}\" names table {schema}.{table}, which is not there")),
            }
        }
        unknown
    }

    /// Its bounds, as the planner keeps them.
    pub fn guardrails(&self) -> Arc<Guardrails> {
        Arc::new(Guardrails {
            role: self.name.clone(),
            max_rows: self.limits.max_rows,
            max_scan_rows: self.limits.max_scan_rows,
            max_join_rows: self.limits.max_join_rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(schemas: &[&str], tables: &[(&str, &str)]) -> Role {
        Role {
            name: "ai".to_owned(),
            schemas: schemas.iter().map(|schema| (*schema).to_owned()).collect(),
            tables: tables.iter().map(|(schema, table)| (((*schema).to_owned(), (*table).to_owned()), None)).collect(),
            limits: RoleLimits::default(),
        }
    }

    #[test]
    fn a_schema_whose_tables_are_listed_shows_these_alone() {
        let role = role(&["crm", "lake"], &[("lake", "lines"), ("erp", "orders")]);
        for (schema, table, sees) in
            [("crm", "any", true), ("lake", "lines", true), ("lake", "other", false), ("erp", "orders", true), ("erp", "other", false)]
        {
            assert_eq!(role.sees(schema, table).is_some(), sees, "{schema}.{table}");
        }
        assert!(role.sees_schema("erp") && !role.sees_schema("hr"));
        assert_eq!(role.places(), "schema crm, erp.orders, lake.lines");
    }

    #[test]
    fn nothing_listed_is_nothing_seen() {
        let role = role(&[], &[]);
        assert_eq!(role.sees("crm", "customers"), None);
        assert_eq!(role.places(), "no table");
    }
}
