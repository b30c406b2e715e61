//! From what a source has to what we publish of it: names, pinned tables, column maps. Pure, but for asking the remote for table
//! providers, which does no IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{Error, ErrorKind, Introspection, Omission, OmissionCause, Remote, RemoteTable, Result, Subject};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use crate::datasource::{Datasource, Expose, PinnedTable, SchemaMode};
use crate::snapshot::{ForeignTable, SnapshotSchema};

/// What one datasource publishes after one look at its source.
#[derive(Debug)]
pub(crate) struct Publication {
    /// Schemas by published name.
    pub(crate) schemas: BTreeMap<String, SnapshotSchema>,
    /// What is left out, and why.
    pub(crate) omitted: Vec<Omission>,
    /// Where pinned tables and the source disagree, a sentence each. Their tables are left out.
    pub(crate) mismatches: Vec<String>,
}

impl Publication {
    /// What `datasource` publishes of `seen`.
    ///
    /// # Errors
    /// `Conflict` when two remote schemas would be published under one name.
    pub(crate) fn new(datasource: &Datasource, remote: &Arc<dyn Remote>, seen: &Introspection) -> Result<Self> {
        let mut building = Building { datasource, remote, seen, schemas: BTreeMap::new(), omitted: seen.omitted.clone() };
        building.names_are_distinct()?;
        // The default schema is there even when it has no table, so that the datasource is seen.
        building.schema(&seen.default_schema);
        let mut mismatches = Vec::new();
        let mut pinned_remotes = BTreeSet::new();
        for pin in &datasource.tables {
            match building.pin(pin) {
                Ok(key) => {
                    pinned_remotes.insert(key);
                }
                Err(Left::Mismatch(mismatch)) => mismatches.push(mismatch),
                Err(Left::Omitted(omission)) => building.omitted.push(omission),
            }
        }
        if datasource.expose == Expose::All {
            for table in building.tables() {
                if !pinned_remotes.contains(&(table.schema.as_str(), table.name.as_str())) {
                    building.expose(table);
                }
            }
        }
        let Building { mut schemas, omitted, .. } = building;
        if datasource.schema_mode == SchemaMode::ValidateOnly {
            schemas.values_mut().for_each(|schema| schema.tables.clear());
        }
        Ok(Self { schemas, omitted, mismatches })
    }

    /// How many tables are published.
    pub(crate) fn tables(&self) -> usize {
        self.schemas.values().map(|schema| schema.tables.len()).sum()
    }

    /// The error of a datasource that may not run with these mismatches.
    pub(crate) fn mismatch_error(&self, datasource: &str) -> Error {
        Error::new(ErrorKind::Conflict, format!("EXTERNAL_SCHEMA_MISMATCH: {}", self.mismatches.join("; ")))
            .at(datasource)
            .hint("mend `tables:` or the source, or set `external.validation.on_mismatch: warn` to run without those tables")
    }
}

/// Why a pinned table is not published.
enum Left {
    Mismatch(String),
    Omitted(Omission),
}

struct Building<'a> {
    datasource: &'a Datasource,
    remote: &'a Arc<dyn Remote>,
    seen: &'a Introspection,
    schemas: BTreeMap<String, SnapshotSchema>,
    omitted: Vec<Omission>,
}

impl<'a> Building<'a> {
    /// The tables we may publish at all.
    fn tables(&self) -> impl Iterator<Item = &'a RemoteTable> + use<'a> {
        let allowed = &self.datasource.allowed_schemas;
        self.seen.tables.iter().filter(move |table| allowed.is_empty() || allowed.contains(&table.schema))
    }

    fn names_are_distinct(&self) -> Result<()> {
        let mut remote_by_name = BTreeMap::new();
        for remote in self.tables().map(|table| table.schema.as_str()).chain([self.seen.default_schema.as_str()]) {
            let name = self.published_schema(remote);
            if let Some(other) = remote_by_name.insert(name.clone(), remote).filter(|other| *other != remote) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("remote schemas \"{other}\" and \"{remote}\" would both be published as schema \"{name}\""),
                )
                .at(&self.datasource.name)
                .hint("give one of them another name under `external.schema_names`"));
            }
        }
        Ok(())
    }

    fn published_schema(&self, remote_schema: &str) -> String {
        let name = &self.datasource.name;
        match self.datasource.schema_names.get(remote_schema) {
            Some(chosen) => chosen.clone(),
            None if remote_schema == self.seen.default_schema => name.clone(),
            None => format!("{name}_{remote_schema}"),
        }
    }

    fn schema(&mut self, remote_schema: &str) -> &mut SnapshotSchema {
        self.schemas.entry(self.published_schema(remote_schema)).or_insert_with(|| SnapshotSchema {
            datasource: self.datasource.name.clone(),
            remote_schema: remote_schema.to_owned(),
            tables: BTreeMap::new(),
            unavailable: None,
        })
    }

    /// Publishes a table as it is.
    fn expose(&mut self, table: &RemoteTable) {
        let columns = (0..table.columns.len()).collect();
        let schema = table.arrow_schema();
        let taken = self.schema(&table.schema).tables.contains_key(&table.name);
        let published = if taken {
            Err("a pinned table of the same name hides it".to_owned())
        } else {
            Arc::clone(self.remote).table(table).map_err(|error| error.message().to_owned())
        };
        match published {
            Ok(provider) => self.insert(table, &table.name, false, schema, columns, provider),
            Err(reason) => self.omitted.push(omission(table, reason)),
        }
    }

    /// Publishes a table under its contract; gives the remote schema and name that it stands for.
    fn pin(&mut self, pin: &PinnedTable) -> Result<(&'a str, &'a str), Left> {
        let remote_schema = pin.remote_schema.as_deref().unwrap_or(&self.seen.default_schema);
        let Some(table) = self.tables().find(|table| table.schema == remote_schema && table.name == pin.remote_table) else {
            let remote = Subject::table(remote_schema, &pin.remote_table).to_string();
            return Err(Left::Mismatch(match self.seen.omitted.iter().find(|omission| omission.subject == remote) {
                Some(omission) => format!("pinned table \"{}\": {remote} cannot be read: {}", pin.name, omission.reason),
                None => format!("pinned table \"{}\": the source has no table {remote}", pin.name),
            }));
        };
        for column in pin.column_map.keys() {
            if !table.columns.iter().any(|c| c.name == *column) {
                return Err(Left::Mismatch(format!("pinned table \"{}\": {} has no column {column}", pin.name, table.subject())));
            }
        }
        let kept: Vec<usize> = (0..table.columns.len()).filter(|&i| !pin.ignore_columns.contains(&table.columns[i].name)).collect();
        let names: Vec<&str> = kept
            .iter()
            .map(|&i| table.columns[i].name.as_str())
            .map(|name| pin.column_map.get(name).map_or(name, String::as_str))
            .collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(**name)) {
            return Err(Left::Mismatch(format!("pinned table \"{}\": two columns would be named {twice}", pin.name)));
        }
        let omitted = |reason: String| Left::Omitted(omission(table, reason));
        let inner = Arc::clone(self.remote).table(table).map_err(|error| omitted(error.message().to_owned()))?;
        let renamed = kept.len() != table.columns.len() || !pin.column_map.is_empty();
        let provider = if renamed { view(inner, table, &kept, &names).map_err(omitted)? } else { inner };
        let schema = self.schema(&table.schema);
        if schema.tables.contains_key(&pin.name) {
            return Err(Left::Mismatch(format!("pinned table \"{}\" is declared twice in one schema", pin.name)));
        }
        let fields: Vec<_> = kept.iter().zip(&names).map(|(&i, name)| table.columns[i].field().with_name(*name)).collect();
        self.insert(table, &pin.name, true, Arc::new(Schema::new(fields)), kept, provider);
        Ok((&table.schema, &table.name))
    }

    fn insert(
        &mut self,
        table: &RemoteTable,
        name: &str,
        pinned: bool,
        columns: SchemaRef,
        remote_columns: Vec<usize>,
        provider: Arc<dyn TableProvider>,
    ) {
        let published = ForeignTable {
            schema: self.published_schema(&table.schema),
            name: name.to_owned(),
            datasource: self.datasource.name.clone(),
            pinned,
            remote: table.clone(),
            columns,
            remote_columns,
            provider,
        };
        self.schema(&table.schema).tables.insert(name.to_owned(), Arc::new(published));
    }
}

/// A projection over the remote table. The planner inlines it, so renamed columns are pushed down like any other.
fn view(inner: Arc<dyn TableProvider>, table: &RemoteTable, kept: &[usize], names: &[&str]) -> Result<Arc<dyn TableProvider>, String> {
    let reference = TableReference::bare(table.name.as_str());
    let columns = kept.iter().zip(names).map(|(&i, name)| {
        let remote = &table.columns[i].name;
        let column = Expr::Column(Column::new(Some(reference.clone()), remote.as_str()));
        if remote == name { column } else { column.alias(*name) }
    });
    let plan = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(inner), None)
        .and_then(|scan| scan.project(columns.collect::<Vec<_>>()))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| format!("its columns cannot be renamed: {}", error.strip_backtrace()))?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn omission(table: &RemoteTable, reason: String) -> Omission {
    Omission { subject: table.subject().to_string(), reason, cause: OmissionCause::Unmapped }
}

#[cfg(test)]
mod tests;
