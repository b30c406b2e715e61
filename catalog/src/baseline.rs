//! What is expected of a datasource: its declared pins, the tables imported from it, and what it had when it was last accepted.

use std::collections::{BTreeMap, BTreeSet};

use causeway_providers::{Introspection, OmissionCause, RemoteTable, Subject};

use crate::contracted::FormRule;
use crate::datasource::{Datasource, Expose, SchemaMode};
use crate::drift::{Baseline, Contract, ContractColumn, Expectation, Standing, TypeRule};
use crate::published_name::PublishedName;
use crate::store::StoredForeignTable;

/// A datasource with all that was said about its tables.
pub(crate) struct Declared<'a> {
    pub(crate) datasource: &'a Datasource,
    pub(crate) imported: &'a [StoredForeignTable],
    /// Remote tables that met their contracts again after all others were read: what tables under a contract are made of.
    pub(crate) mended: &'a BTreeMap<Subject, RemoteTable>,
    /// How the types of its connector relate.
    pub(crate) types: TypeRule<'a>,
    /// In which form their values arrive.
    pub(crate) forms: FormRule<'a>,
}

/// A table published under a contract.
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    pub(crate) published: PublishedIn,
    pub(crate) name: String,
    pub(crate) remote_schema: String,
    pub(crate) remote_table: String,
    pub(crate) writable: bool,
    pub(crate) comment: Option<String>,
    pub(crate) column_map: BTreeMap<String, String>,
    pub(crate) ignore_columns: Vec<String>,
    /// `None` follows the source, but for what the column map names.
    pub(crate) contract: Option<Contract>,
}

impl Pin {
    /// The remote table.
    pub(crate) fn remote(&self) -> Subject {
        Subject::table(&self.remote_schema, &self.remote_table)
    }

    /// Whether it is of this remote table.
    pub(crate) fn is_of(&self, table: &RemoteTable) -> bool {
        table.schema == self.remote_schema && table.name == self.remote_table
    }

    /// Its published name, with the schema where that is not its datasource's own.
    pub(crate) fn shown(&self) -> String {
        match &self.published {
            PublishedIn::OwnSchema => self.name.clone(),
            PublishedIn::Shared(schema) => format!("{schema}.{}", self.name),
        }
    }
}

/// Where a pinned table is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublishedIn {
    /// In the schema its remote schema is published as.
    OwnSchema,
    /// In a schema of imported tables.
    Shared(String),
}

impl<'a> Declared<'a> {
    /// The tables of `seen` that may be published at all.
    pub(crate) fn allowed<'s>(&self, seen: &'s Introspection) -> impl Iterator<Item = &'s RemoteTable> + use<'s, 'a> {
        let allowed = &self.datasource.allowed_schemas;
        seen.tables.iter().filter(move |table| allowed.is_empty() || allowed.contains(&table.schema))
    }

    /// The published name of a remote schema.
    pub(crate) fn published_schema(&self, default_schema: &str, remote_schema: &str) -> String {
        let name = &self.datasource.name;
        match self.datasource.schema_names.get(remote_schema) {
            Some(chosen) => chosen.clone(),
            None if remote_schema == default_schema => name.clone(),
            None => format!("{name}_{remote_schema}"),
        }
    }

    /// The schema a table under a contract is published in.
    pub(crate) fn schema_of(&self, pin: &Pin, default_schema: &str) -> String {
        match &pin.published {
            PublishedIn::OwnSchema => self.published_schema(default_schema, &pin.remote_schema),
            PublishedIn::Shared(schema) => schema.clone(),
        }
    }

    /// All tables under a contract: the declared ones, then the imported ones.
    pub(crate) fn pins(&self, default_schema: &str) -> Vec<Pin> {
        let declared = self.datasource.tables.iter().map(|pin| Pin {
            published: PublishedIn::OwnSchema,
            name: pin.name.clone(),
            remote_schema: pin.remote_schema.clone().unwrap_or_else(|| default_schema.to_owned()),
            remote_table: pin.remote_table.clone(),
            writable: pin.writable,
            comment: None,
            column_map: pin.column_map.clone(),
            ignore_columns: pin.ignore_columns.clone(),
            contract: pin.contract(default_schema),
        });
        let imported = self.imported.iter().map(|table| Pin {
            published: PublishedIn::Shared(table.schema.clone()),
            name: table.name.clone(),
            remote_schema: table.contract.schema.clone(),
            remote_table: table.contract.table.clone(),
            writable: table.writable,
            comment: table.comment.clone(),
            column_map: BTreeMap::new(),
            ignore_columns: Vec::new(),
            contract: Some(table.contract.clone()),
        });
        declared.chain(imported).collect()
    }

    /// What a look at the source is compared with: contracts, and for whatever has none what was last accepted.
    pub(crate) fn baseline(&self, accepted: Option<&Introspection>, default_schema: &str) -> Baseline {
        let known: BTreeMap<(&str, &str), &RemoteTable> = accepted
            .map(|accepted| self.allowed(accepted).map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect())
            .unwrap_or_default();
        let mut expectations = Vec::new();
        let mut pinned = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for pin in self.pins(default_schema) {
            let accepted = known.get(&(pin.remote_schema.as_str(), pin.remote_table.as_str())).copied();
            let earlier: Vec<RemoteTable> = self.mended.get(&pin.remote()).into_iter().chain(accepted).cloned().collect();
            let table = earlier.first();
            let published = PublishedName { schema: self.schema_of(&pin, default_schema), name: pin.name.clone() };
            let replaces_exposed = pin.published == PublishedIn::OwnSchema;
            let standing = match (&pin.contract, table) {
                (None, None) => Standing::Unseen,
                _ if replaces_exposed => Standing::Published,
                _ => Standing::Imported,
            };
            let mut contract = pin.contract.unwrap_or_else(|| {
                table.map_or_else(
                    || Contract { schema: pin.remote_schema.clone(), table: pin.remote_table.clone(), ..Contract::default() },
                    Contract::of,
                )
            });
            contract.ignore_columns.extend(pin.ignore_columns);
            if standing != Standing::Unseen {
                expect_mapped(&mut contract, &pin.column_map);
            }
            contract.columns.retain(|column| !contract.ignore_columns.contains(&column.name));
            if replaces_exposed {
                pinned.insert((contract.schema.clone(), contract.table.clone()));
                taken.insert(published.clone());
            }
            expectations.push(Expectation { earlier, contract, standing, published: Some(published) });
        }
        let exposes = self.datasource.expose == Expose::All;
        // What is ours may grow: we make tables there ourselves.
        let watches_new_tables = exposes && accepted.is_some() && self.datasource.schema_mode != SchemaMode::Managed;
        let hidden = accepted.map(unreadable).unwrap_or_default();
        for table in known.values().filter(|_| exposes) {
            if !pinned.contains(&(table.schema.clone(), table.name.clone())) {
                let name = PublishedName { schema: self.published_schema(default_schema, &table.schema), name: table.name.clone() };
                // A pinned table of the same name hides it.
                let is_hidden = !hidden.is_empty() && hidden.contains(table.subject().to_string().as_str());
                let published = Some(name).filter(|name| !taken.contains(name) && !is_hidden);
                let standing = if is_hidden { Standing::Hidden } else { Standing::Published };
                expectations.push(Expectation { contract: Contract::of(table), standing, earlier: vec![(*table).clone()], published });
            }
        }
        Baseline { expectations, watches_new_tables }
    }
}

/// The tables and columns that a look found our user may not read, as their subjects print.
pub(crate) fn unreadable(seen: &Introspection) -> BTreeSet<&str> {
    let omitted = seen.omitted.iter().filter(|omission| omission.cause == OmissionCause::Unreadable);
    omitted.map(|omission| omission.subject.as_str()).collect()
}

/// Expects the columns that a column map names, whatever was accepted since: the table is not published without them.
fn expect_mapped(contract: &mut Contract, column_map: &BTreeMap<String, String>) {
    for name in column_map.keys() {
        if !contract.columns.iter().any(|column| column.name == *name) {
            contract.columns.push(ContractColumn { name: name.clone(), remote_type: String::new(), nullable: None });
        }
    }
}
