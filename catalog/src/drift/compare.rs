//! The comparison.
//!
//! The order of columns, comments, collations, unique keys and row estimates are no drift, and neither are spellings of a type. What
//! our user may not read is neither missing nor changed: nothing is known of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use causeway_providers::{Introspection, OmissionCause, RemoteTable, Subject, TypeChange};

use super::contract::{Contract, ContractColumn, ContractKind};
use super::image::TableImage;
use super::report::{Difference, DifferenceKind, DriftReport, Severity, TableDrift};

/// What is expected of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    /// Table by table. A table that is published more than once has as many contracts.
    pub contracts: Vec<Contract>,
    /// Whether a table that is neither under contract nor among the images is a difference.
    pub watches_new_tables: bool,
    /// The tables as they were last accepted.
    pub images: Vec<TableImage>,
}

/// What one look at a source saw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The tables that are there and readable.
    pub tables: Vec<RemoteTable>,
    /// Tables and columns that our user may not read, as [`Subject`]s print.
    pub unreadable: BTreeSet<String>,
}

impl From<Introspection> for Observation {
    fn from(seen: Introspection) -> Self {
        let unreadable = seen.omitted.into_iter().filter(|omission| omission.cause == OmissionCause::Unreadable);
        Self { tables: seen.tables, unreadable: unreadable.map(|omission| omission.subject).collect() }
    }
}

/// Where `seen` differs from `base`. `types` is the connector's judgement of an expected and an actual type.
pub fn compare(base: &Baseline, seen: &Observation, types: &dyn Fn(&str, &str) -> TypeChange) -> DriftReport {
    let tables: HashMap<(&str, &str), &RemoteTable> = seen.tables.iter().map(|t| ((t.schema.as_str(), t.name.as_str()), t)).collect();
    let images: HashMap<(&str, &str), &TableImage> = base.images.iter().map(|i| ((i.schema.as_str(), i.name.as_str()), i)).collect();
    let mut drifts: BTreeMap<(&str, &str), TableDrift> = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for contract in &base.contracts {
        let key = (contract.schema.as_str(), contract.table.as_str());
        let before = images.get(&key).copied();
        let differences = match tables.get(&key) {
            Some(table) => Comparison { contract, table, seen, types }.differences(&mut unreadable),
            None => {
                let subject = Subject::table(&contract.schema, &contract.table).to_string();
                if seen.unreadable.contains(&subject) {
                    unreadable.insert(subject);
                    continue;
                }
                let was = before.map(|image| image.kind.clone());
                vec![Difference {
                    kind: DifferenceKind::MissingTable,
                    column: None,
                    expected: was,
                    actual: None,
                    severity: Severity::Error,
                }]
            }
        };
        if !differences.is_empty() {
            let drift = drifts.entry(key).or_insert_with(|| drift(key, contract.kind, before, tables.get(&key).copied()));
            drift.kind = drift.kind.max(contract.kind);
            drift.differences.extend(differences);
        }
    }
    if base.watches_new_tables {
        let under_contract: BTreeSet<(&str, &str)> = base.contracts.iter().map(|c| (c.schema.as_str(), c.table.as_str())).collect();
        for (&key, &table) in tables.iter().filter(|(key, _)| !under_contract.contains(*key) && !images.contains_key(*key)) {
            let mut drift = drift(key, ContractKind::Exposed, None, Some(table));
            let actual = Some(table.kind.as_str().to_owned());
            let new = Difference { kind: DifferenceKind::NewTable, column: None, expected: None, actual, severity: Severity::Warning };
            drift.differences.push(new);
            drifts.insert(key, drift);
        }
    }
    for drift in drifts.values_mut() {
        // Two contracts of one table may break in the same way.
        drift.differences.sort();
        drift.differences.dedup();
    }
    DriftReport { tables: drifts.into_values().collect(), unreadable: unreadable.into_iter().collect() }
}

fn drift(key: (&str, &str), kind: ContractKind, before: Option<&TableImage>, after: Option<&RemoteTable>) -> TableDrift {
    TableDrift {
        schema: key.0.to_owned(),
        table: key.1.to_owned(),
        kind,
        before: before.cloned(),
        after: after.map(TableImage::of),
        differences: Vec::new(),
    }
}

/// One contract and the table it is about.
struct Comparison<'a> {
    contract: &'a Contract,
    table: &'a RemoteTable,
    seen: &'a Observation,
    types: &'a dyn Fn(&str, &str) -> TypeChange,
}

impl Comparison<'_> {
    fn differences(&self, unreadable: &mut BTreeSet<String>) -> Vec<Difference> {
        let mut found = Vec::new();
        for expected in self.contract.columns.iter().filter(|column| !self.contract.ignore_columns.contains(&column.name)) {
            if let Some(subject) = self.unreadable(&expected.name) {
                unreadable.insert(subject);
            } else {
                self.column(expected, &mut found);
            }
        }
        found.extend(self.unmapped_columns());
        found.extend(self.primary_key());
        found
    }

    /// The subject of a column that is not seen because our user may not read it.
    fn unreadable(&self, column: &str) -> Option<String> {
        if self.table.columns.iter().any(|seen| seen.name == column) {
            return None;
        }
        Some(Subject::column(&self.table.schema, &self.table.name, column).to_string())
            .filter(|subject| self.seen.unreadable.contains(subject))
    }

    fn column(&self, expected: &ContractColumn, found: &mut Vec<Difference>) {
        let mut add = |kind, wanted: String, actual: Option<String>, severity| {
            found.push(Difference { kind, column: Some(expected.name.clone()), expected: Some(wanted), actual, severity });
        };
        let Some(actual) = self.table.columns.iter().find(|column| column.name == expected.name) else {
            return add(DifferenceKind::MissingColumn, expected.remote_type.clone(), None, Severity::Error);
        };
        // Almost always nothing has changed, and no connector need be asked.
        let change = if expected.remote_type == actual.remote_type {
            TypeChange::Same
        } else {
            (self.types)(&expected.remote_type, &actual.remote_type)
        };
        let severity = match change {
            TypeChange::Same => None,
            TypeChange::Widened => Some(Severity::Warning),
            TypeChange::Narrowed | TypeChange::Different => Some(Severity::Error),
        };
        if let Some(severity) = severity {
            add(DifferenceKind::TypeMismatch, expected.remote_type.clone(), Some(actual.remote_type.clone()), severity);
        }
        if let Some(nullable) = expected.nullable.filter(|nullable| *nullable != actual.nullable) {
            // Statements are planned on what is never NULL; what never is one where it might be harms none.
            let severity = if nullable { Severity::Warning } else { Severity::Error };
            add(DifferenceKind::NullabilityMismatch, null_word(nullable), Some(null_word(actual.nullable)), severity);
        }
    }

    fn unmapped_columns(&self) -> impl Iterator<Item = Difference> {
        let known =
            |name: &String| self.contract.columns.iter().any(|column| column.name == *name) || self.contract.ignore_columns.contains(name);
        self.table.columns.iter().filter(move |column| !known(&column.name)).map(|column| Difference {
            kind: DifferenceKind::UnmappedColumn,
            column: Some(column.name.clone()),
            expected: None,
            actual: Some(column.remote_type.clone()),
            severity: Severity::Warning,
        })
    }

    fn primary_key(&self) -> Option<Difference> {
        let (expected, actual) = (self.contract.primary_key.as_ref()?, &self.table.primary_key);
        // A key is not seen when one of its columns may not be read.
        if expected == actual || expected.iter().any(|column| self.unreadable(column).is_some()) {
            return None;
        }
        // Statements are planned on keys, but not on there being none.
        let severity = if expected.is_empty() { Severity::Warning } else { Severity::Error };
        let shown = |key: &[String]| (!key.is_empty()).then(|| format!("({})", key.join(", ")));
        Some(Difference { kind: DifferenceKind::PkMismatch, column: None, expected: shown(expected), actual: shown(actual), severity })
    }
}

fn null_word(nullable: bool) -> String {
    if nullable { "nullable" } else { "not null" }.to_owned()
}
