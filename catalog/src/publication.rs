//! From what a source has to what we publish of it: names, pinned and imported tables, column maps. Pure, but for asking for table
//! providers, which does no IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{Error, ErrorKind, Introspection, Omission, OmissionCause, RemoteTable, Result, Subject};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use crate::baseline::{Declared, Pin, PublishedIn, unreadable};
use crate::contracted::contracted;
use crate::datasource::{Expose, SchemaMode};
use crate::drift::{Severity, compare_table};
use crate::published::Offer;
use crate::snapshot::{ForeignTable, SnapshotSchema};
use crate::unopened::Unopened;

/// Gives a remote table's provider.
pub(crate) type Provide<'a> = &'a dyn Fn(&RemoteTable) -> Result<Arc<dyn TableProvider>>;

/// What one datasource publishes after one look at its source.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) offer: Offer,
    /// What is left out, and why.
    pub(crate) omitted: Vec<Omission>,
    /// Where pinned tables and the source disagree. Queries on these tables fail.
    pub(crate) mismatches: Vec<Mismatch>,
}

/// Where a pinned table and the source disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The remote table whose shape is the reason; `None` when it is not to be found at the source.
    pub(crate) remote: Option<Subject>,
    /// A sentence.
    pub(crate) text: String,
    /// Whether the table is a declared one that is not as its contract says. An imported one that is broken breaks nothing but itself,
    /// and one that our user may not read may well be as it was.
    pub(crate) is_binding: bool,
}

/// What keeps a table under a contract from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It is not what its contract, or its column map, says.
    Mismatch(String),
    /// Our user may not read it, or a column of it that the contract names.
    Forbidden(String),
}

impl Fault {
    fn text(&self) -> &str {
        let (Fault::Mismatch(text) | Fault::Forbidden(text)) = self;
        text
    }
}

impl Publication {
    /// What `declared` publishes of `seen`. A pinned table that is gone is shown as it was in `before`.
    ///
    /// # Errors
    /// `Conflict` when two remote schemas would be published under one name.
    pub(crate) fn new(declared: &Declared<'_>, provide: Provide<'_>, seen: &Introspection, before: Option<&Introspection>) -> Result<Self> {
        let mut building = Building::new(declared, provide, seen, before);
        building.omitted.clone_from(&seen.omitted);
        building.names_are_distinct()?;
        // The default schema is there even when it has no table, so that the datasource is seen.
        building.schema(&seen.default_schema);
        let mut pinned = BTreeSet::new();
        for pin in declared.pins(&seen.default_schema) {
            building.pin(&pin);
            if pin.published == PublishedIn::OwnSchema {
                pinned.insert((pin.remote_schema.clone(), pin.remote_table.clone()));
            }
        }
        if declared.datasource.expose == Expose::All {
            for table in building.tables() {
                if !pinned.contains(&(table.schema.clone(), table.name.clone())) {
                    building.expose(table);
                }
            }
        }
        Ok(building.done())
    }

    /// What `declared` publishes of `seen` under contracts, as far as it is of the remote tables in `of`.
    pub(crate) fn of_pins(
        declared: &Declared<'_>,
        provide: Provide<'_>,
        seen: &Introspection,
        before: Option<&Introspection>,
        of: &BTreeSet<Subject>,
    ) -> Self {
        let mut building = Building::new(declared, provide, seen, before);
        for pin in declared.pins(&seen.default_schema).iter().filter(|pin| of.contains(&pin.remote())) {
            building.pin(pin);
        }
        building.done()
    }

    /// The same without a verdict on contracts: what would be broken is no more than not to be read, for `reason`.
    pub(crate) fn without_verdict(mut self, reason: &Arc<Error>) -> Self {
        let spare = |table: &mut ForeignTable| {
            table.unavailable = None;
            table.provider = Arc::new(Unopened::new(Arc::clone(&table.columns), Arc::clone(reason)));
        };
        for schema in self.offer.schemas.values_mut() {
            schema.broken.clear();
            schema.tables.values_mut().filter(|table| table.is_broken()).for_each(|table| spare(Arc::make_mut(table)));
        }
        self.offer.imported.iter_mut().filter(|table| table.is_broken()).for_each(spare);
        self.offer.broken_imports.clear();
        self.mismatches.clear();
        self
    }

    /// How many tables are published.
    pub(crate) fn tables(&self) -> usize {
        self.offer.schemas.values().map(|schema| schema.tables.len()).sum::<usize>() + self.offer.imported.len()
    }

    /// Whether a table of the datasource's declaration does not match.
    pub(crate) fn is_binding(&self) -> bool {
        self.mismatches.iter().any(|mismatch| mismatch.is_binding)
    }

    /// The error of a datasource that may not run with these mismatches. Imported tables have no part in it.
    pub(crate) fn mismatch_error(&self, datasource: &str) -> Error {
        let binding = self.mismatches.iter().filter(|mismatch| mismatch.is_binding);
        let texts: Vec<&str> = binding.map(|mismatch| mismatch.text.as_str()).collect();
        Error::new(ErrorKind::SchemaMismatch, format!("EXTERNAL_SCHEMA_MISMATCH: {}", texts.join("; ")))
            .at(datasource)
            .hint("mend the source; or mend `tables:`, or set `external.validation.on_mismatch: warn` to run without those tables, and restart the \
                 gateway: files are read at a start")
    }
}

/// The remote tables that keep pinned ones from being read.
pub(crate) fn broken(mismatches: &[Mismatch]) -> BTreeSet<Subject> {
    mismatches.iter().filter_map(|mismatch| mismatch.remote.clone()).collect()
}

struct Building<'a> {
    declared: &'a Declared<'a>,
    provide: Provide<'a>,
    seen: &'a Introspection,
    /// What our user may not read.
    unreadable: BTreeSet<&'a str>,
    before: Option<&'a Introspection>,
    offer: Offer,
    omitted: Vec<Omission>,
    mismatches: Vec<Mismatch>,
}

impl<'a> Building<'a> {
    fn new(declared: &'a Declared<'a>, provide: Provide<'a>, seen: &'a Introspection, before: Option<&'a Introspection>) -> Self {
        let (offer, omitted, mismatches) = (Offer::default(), Vec::new(), Vec::new());
        Self { declared, provide, seen, unreadable: unreadable(seen), before, offer, omitted, mismatches }
    }

    fn done(self) -> Publication {
        let Self { declared, mut offer, omitted, mismatches, .. } = self;
        if declared.datasource.schema_mode == SchemaMode::ValidateOnly {
            offer.keep_schemas_alone();
        }
        Publication { offer, omitted, mismatches }
    }

    /// The tables we may publish at all. What is known of one that may not be read is not there to be published.
    fn tables(&self) -> Vec<&'a RemoteTable> {
        let is_readable = |table: &&RemoteTable| self.unreadable.is_empty() || !self.unreadable.contains(subject(table).as_str());
        self.declared.allowed(self.seen).filter(is_readable).collect()
    }

    /// The table of a pin, if it is there and may be read.
    fn readable(&self, pin: &Pin) -> Option<&'a RemoteTable> {
        let found = self.declared.allowed(self.seen).find(|table| pin.is_of(table));
        found.filter(|_| !self.unreadable.contains(pin.remote().to_string().as_str()))
    }

    fn names_are_distinct(&self) -> Result<()> {
        let mut remote_by_name = BTreeMap::new();
        for remote in self.tables().iter().map(|table| table.schema.as_str()).chain([self.seen.default_schema.as_str()]) {
            let name = self.published_schema(remote);
            if let Some(other) = remote_by_name.insert(name.clone(), remote).filter(|other| *other != remote) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("remote schemas \"{other}\" and \"{remote}\" would both be published as schema \"{name}\""),
                )
                .at(&self.declared.datasource.name)
                .hint("give one of them another name under `schema_names`"));
            }
        }
        Ok(())
    }

    fn published_schema(&self, remote_schema: &str) -> String {
        self.declared.published_schema(&self.seen.default_schema, remote_schema)
    }

    fn schema(&mut self, remote_schema: &str) -> &mut SnapshotSchema {
        let datasource = &self.declared.datasource.name;
        let name = self.published_schema(remote_schema);
        self.offer.schemas.entry(name).or_insert_with(|| SnapshotSchema {
            datasource: Some(datasource.clone()),
            remote_schema: remote_schema.to_owned(),
            ..SnapshotSchema::default()
        })
    }

    /// Publishes a table as it is.
    fn expose(&mut self, table: &RemoteTable) {
        let taken = self.schema(&table.schema).tables.contains_key(&table.name);
        let published = if taken {
            Err("a pinned table of the same name hides it".to_owned())
        } else {
            (self.provide)(table).map_err(|error| error.message().to_owned())
        };
        let provider = match published {
            Ok(provider) => provider,
            Err(reason) => return self.omit(table, reason),
        };
        let published = ForeignTable {
            schema: self.published_schema(&table.schema),
            name: table.name.clone(),
            datasource: self.declared.datasource.name.clone(),
            pinned: false,
            writable: false,
            comment: table.comment.clone(),
            remote: table.clone(),
            columns: table.arrow_schema(),
            remote_columns: (0..table.columns.len()).collect(),
            unavailable: None,
            provider,
        };
        self.schema(&table.schema).tables.insert(table.name.clone(), Arc::new(published));
    }

    /// Publishes a table under its contract; one that breaks it is shown, and fails whoever reads it.
    fn pin(&mut self, pin: &Pin) {
        let mended = self.declared.mended.get(&pin.remote());
        let found = mended.or_else(|| self.readable(pin));
        let broken = match found {
            Some(table) => self.broken(pin, table),
            None => Some(self.missing(pin)),
        };
        let earlier = self.before.unwrap_or(self.seen).tables.iter();
        let before = earlier.into_iter().find(|table| pin.is_of(table));
        if let Some(broken) = &broken {
            self.mismatched(pin, broken);
        }
        // What may not be read, and never was, breaks nothing: it is left out.
        if found.or(before).is_none() && self.omission(pin).is_some() {
            return;
        }
        // What breaks its contract is shown as the contract has it: that is what clients were told of.
        let agreed = broken.as_ref().and(pin.contract.as_ref()).map(|contract| {
            let known: Vec<&RemoteTable> = found.into_iter().chain(before).collect();
            contracted(contract, &known, self.declared.types, self.declared.forms)
        });
        let known = agreed.as_ref().or(found).or(before);
        let (table, kept, names) = match known.map(|table| (table, columns(pin, table))) {
            Some((table, Ok((kept, names)))) => (table, kept, names),
            Some((_, Err(mismatch))) => {
                let mismatch = Fault::Mismatch(mismatch);
                self.mismatched(pin, &mismatch);
                return self.cannot_be_shown(pin, &mismatch);
            }
            // Nothing is known of it: there are no columns to show.
            None => return self.cannot_be_shown(pin, &self.missing(pin)),
        };
        let fields: Vec<_> = kept.iter().zip(&names).map(|(&i, name)| table.columns[i].field().with_name(name)).collect();
        let columns: SchemaRef = Arc::new(Schema::new(fields));
        let unavailable = broken.map(|broken| Arc::new(self.error(pin, &broken)));
        let provider = match &unavailable {
            Some(reason) => Ok(Arc::new(Unopened::new(Arc::clone(&columns), Arc::clone(reason))) as Arc<dyn TableProvider>),
            None => self.provider(pin, table, &kept, &names),
        };
        let provider = match provider {
            Ok(provider) => provider,
            Err(reason) => return self.omit(table, reason),
        };
        let published = ForeignTable {
            schema: self.declared.schema_of(pin, &self.seen.default_schema),
            name: pin.name.clone(),
            datasource: self.declared.datasource.name.clone(),
            pinned: true,
            writable: pin.writable,
            comment: pin.comment.clone().or_else(|| table.comment.clone()),
            remote: table.clone(),
            columns,
            remote_columns: kept,
            unavailable,
            provider,
        };
        match pin.published {
            PublishedIn::Shared(_) => self.offer.imported.push(published),
            PublishedIn::OwnSchema if self.schema(&table.schema).tables.contains_key(&pin.name) => {
                let text = format!("pinned table \"{}\" is declared twice in one schema", pin.name);
                self.mismatches.push(Mismatch { remote: None, text, is_binding: true });
            }
            PublishedIn::OwnSchema => {
                self.schema(&table.schema).tables.insert(pin.name.clone(), Arc::new(published));
            }
        }
    }

    fn mismatched(&mut self, pin: &Pin, fault: &Fault) {
        let text = format!("pinned table \"{}\": {}", pin.shown(), fault.text());
        let is_binding = pin.published == PublishedIn::OwnSchema && matches!(fault, Fault::Mismatch(_));
        self.mismatches.push(Mismatch { remote: Some(pin.remote()), text, is_binding });
    }

    /// Publishes the name of a table without columns, so that whoever asks for it is told why.
    fn cannot_be_shown(&mut self, pin: &Pin, fault: &Fault) {
        let reason = Arc::new(self.error(pin, fault));
        match &pin.published {
            PublishedIn::Shared(schema) => self.offer.broken_imports.push((schema.clone(), pin.name.clone(), reason)),
            PublishedIn::OwnSchema => {
                self.schema(&pin.remote_schema).broken.insert(pin.name.clone(), reason);
            }
        }
    }

    /// What of a table breaks its contract or its column map, or keeps it from being read as they say.
    fn broken(&self, pin: &Pin, table: &RemoteTable) -> Option<Fault> {
        let is_unreadable = |column: &str| {
            let column = Subject::column(&table.schema, &table.name, column);
            !self.unreadable.is_empty() && self.unreadable.contains(column.to_string().as_str())
        };
        let is_there = |column: &str| table.columns.iter().any(|c| c.name == *column);
        if let Some(column) = pin.column_map.keys().find(|column| !is_there(column) && !is_unreadable(column)) {
            return Some(Fault::Mismatch(format!("{} has no column {column}", subject(table))));
        }
        let differences = match &pin.contract {
            Some(contract) => compare_table(contract, table, self.declared.types, &is_unreadable),
            None => Vec::new(),
        };
        let errors: Vec<String> = differences
            .iter()
            .filter(|difference| difference.severity == Severity::Error)
            .map(|difference| difference.describe(&subject(table)))
            .collect();
        if !errors.is_empty() {
            return Some(Fault::Mismatch(errors.join("; ")));
        }
        let agreed = pin.contract.iter().flat_map(|contract| &contract.columns).map(|column| column.name.as_str());
        let is_kept = |column: &&str| pin.contract.as_ref().is_none_or(|contract| !contract.ignore_columns.contains(*column));
        let mut wanted = agreed.chain(pin.column_map.keys().map(String::as_str)).filter(is_kept);
        // One that may not be read may be shown as it was accepted.
        let hidden = wanted.find(|column| is_unreadable(column))?;
        Some(self.forbidden(&Subject::column(&table.schema, &table.name, hidden)))
    }

    /// Why the source does not show the table of a pin, when it says so.
    fn omission(&self, pin: &Pin) -> Option<&'a Omission> {
        self.omission_of(&pin.remote())
    }

    fn omission_of(&self, subject: &Subject) -> Option<&'a Omission> {
        let remote = subject.to_string();
        self.seen.omitted.iter().find(|omission| omission.subject == remote)
    }

    fn missing(&self, pin: &Pin) -> Fault {
        let remote = pin.remote();
        match self.omission(pin).map(|omission| (omission.cause, &omission.reason)) {
            Some((OmissionCause::Unreadable, _)) => self.forbidden(&remote),
            Some((OmissionCause::Unmapped, reason)) => Fault::Mismatch(format!("{remote} cannot be read: {reason}")),
            None => Fault::Mismatch(format!("the source has no table {remote}")),
        }
    }

    fn forbidden(&self, subject: &Subject) -> Fault {
        let reason = self.omission_of(subject).map(|omission| format!(": {}", omission.reason));
        Fault::Forbidden(format!("permission denied for {subject}{}", reason.unwrap_or_default()))
    }

    /// What a statement is told that names the table.
    fn error(&self, pin: &Pin, fault: &Fault) -> Error {
        let shown = pin.shown();
        let told = match fault {
            Fault::Mismatch(differences) => {
                let text = format!("EXTERNAL_SCHEMA_MISMATCH: pinned table \"{shown}\": {differences}");
                Error::new(ErrorKind::SchemaMismatch, text).detail(differences).hint(match pin.published {
                    PublishedIn::OwnSchema => {
                        "mend the source, and the next check or CALL causeway.refresh_catalog publishes it again; or mend `tables:` and \
                         restart the gateway: files are read at a start"
                    }
                    PublishedIn::Shared(_) => {
                        "mend the source, and the next check or CALL causeway.refresh_catalog publishes it again; or import it as it is now"
                    }
                })
            }
            Fault::Forbidden(text) => Error::new(ErrorKind::Unauthorized, format!("pinned table \"{shown}\": {text}")).hint(
                "have the owner of the table let the datasource's user read it; the next check or CALL causeway.refresh_catalog publishes \
                 it again",
            ),
        };
        told.at(&self.declared.datasource.name)
    }

    fn provider(&self, pin: &Pin, table: &RemoteTable, kept: &[usize], names: &[String]) -> Result<Arc<dyn TableProvider>, String> {
        let inner = (self.provide)(table).map_err(|error| error.message().to_owned())?;
        let is_whole = kept.iter().copied().eq(0..table.columns.len()) && pin.column_map.is_empty();
        if is_whole { Ok(inner) } else { view(inner, table, kept, names) }
    }

    fn omit(&mut self, table: &RemoteTable, reason: String) {
        self.omitted.push(Omission { subject: subject(table), reason, cause: OmissionCause::Unmapped });
    }
}

/// The columns of `table` that a pin publishes, by index, and their published names.
fn columns(pin: &Pin, table: &RemoteTable) -> Result<(Vec<usize>, Vec<String>), String> {
    let kept: Vec<usize> = match &pin.contract {
        // What the contract names, in its order; a column that is gone is a difference already told.
        Some(contract) => {
            contract.columns.iter().filter_map(|wanted| table.columns.iter().position(|column| column.name == wanted.name)).collect()
        }
        None => (0..table.columns.len()).filter(|&i| !pin.ignore_columns.contains(&table.columns[i].name)).collect(),
    };
    let name = |&i: &usize| {
        let remote = &table.columns[i].name;
        pin.column_map.get(remote).unwrap_or(remote).clone()
    };
    let names: Vec<String> = kept.iter().map(name).collect();
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("two columns would be named {twice}")),
        None => Ok((kept, names)),
    }
}

/// A projection over the remote table. The planner inlines it, so renamed columns are pushed down like any other.
fn view(inner: Arc<dyn TableProvider>, table: &RemoteTable, kept: &[usize], names: &[String]) -> Result<Arc<dyn TableProvider>, String> {
    let reference = TableReference::bare(table.name.as_str());
    let columns = kept.iter().zip(names).map(|(&i, name)| {
        let remote = &table.columns[i].name;
        let column = Expr::Column(Column::new(Some(reference.clone()), remote.as_str()));
        if remote == name { column } else { column.alias(name) }
    });
    let plan = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(inner), None)
        .and_then(|scan| scan.project(columns.collect::<Vec<_>>()))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| format!("its columns cannot be renamed: {}", error.strip_backtrace()))?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn subject(table: &RemoteTable) -> String {
    Subject::table(&table.schema, &table.name).to_string()
}

#[cfg(test)]
mod tests;
