//! The comparison, and what it finds.
//!
//! The order of columns, comments, row estimates and the spelling of types are no differences. A table or column that our user may not
//! read any more says nothing about its shape, so it is no difference either.

use std::collections::{BTreeMap, BTreeSet};

use causeway_providers::{Introspection, OmissionCause, RemoteColumn, RemoteTable, Subject, TypeChange};
use serde::Serialize;

use super::contract::{Baseline, Contract, Expectation};
use super::image::TableImage;
use crate::published_name::PublishedName;

/// How a type of the connector relates to one that was expected.
pub(crate) type TypeRule<'a> = &'a (dyn Fn(&str, &str) -> TypeChange + Send + Sync);

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// An expected table is not there.
    MissingTable,
    /// A table is there that was not.
    NewTable,
    /// An expected column is not there.
    MissingColumn,
    /// A column is there that was not.
    UnmappedColumn,
    /// A column has another type.
    TypeMismatch,
    /// A column may be NULL and was not to be, or the other way round.
    NullabilityMismatch,
    /// The primary key is another.
    PkMismatch,
}

impl DifferenceKind {
    /// The word in events and views.
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::MissingTable => "missing_table",
            DifferenceKind::NewTable => "new_table",
            DifferenceKind::MissingColumn => "missing_column",
            DifferenceKind::UnmappedColumn => "unmapped_column",
            DifferenceKind::TypeMismatch => "type_mismatch",
            DifferenceKind::NullabilityMismatch => "nullability_mismatch",
            DifferenceKind::PkMismatch => "pk_mismatch",
        }
    }
}

/// What a difference does to what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It breaks it: statements fail, or would answer wrongly.
    Error,
    /// It does not.
    Warning,
}

impl Severity {
    /// The word in events and views.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// The remote column it is about.
    pub column: Option<String>,
    /// What was expected.
    pub expected: Option<String>,
    /// What is there.
    pub actual: Option<String>,
    /// What that does.
    pub severity: Severity,
    /// The tables of ours that expected something else; none when nobody asked for whom it was expected, and for a new table.
    pub published: Vec<PublishedName>,
}

impl Difference {
    /// Whether it is the same, whichever tables of ours it is about. A column that is gone is gone, whatever type was expected of it.
    fn is_same(&self, other: &Self) -> bool {
        let expected = |of: &Self| of.expected.clone().filter(|_| of.kind != DifferenceKind::MissingColumn);
        let key = |of: &Self| (of.kind, of.column.clone(), expected(of), of.actual.clone(), of.severity);
        key(self) == key(other)
    }
}

/// One table that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableDrift {
    /// The remote schema.
    pub schema: String,
    /// The remote table.
    pub table: String,
    /// How it was when it was last accepted.
    pub before: Option<TableImage>,
    /// How it is now.
    pub after: Option<TableImage>,
    /// What differs, in the order of kinds and columns.
    pub differences: Vec<Difference>,
}

impl TableDrift {
    /// The table.
    pub fn subject(&self) -> Subject {
        Subject::table(&self.schema, &self.table)
    }

    /// Whether the table is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.differences.iter().any(|difference| difference.kind == DifferenceKind::MissingTable)
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DriftReport {
    /// The tables that differ, by schema and name.
    pub tables: Vec<TableDrift>,
    /// Expected tables that our user may not read.
    pub unreadable: Vec<String>,
}

impl DriftReport {
    /// What was found of one table.
    pub fn of(&self, subject: &Subject) -> Option<&TableDrift> {
        self.tables.iter().find(|drift| drift.schema == subject.schema && drift.table == subject.table)
    }
}

/// What one look saw, by what matters to a comparison.
pub(crate) struct Observation<'a> {
    tables: BTreeMap<(&'a str, &'a str), &'a RemoteTable>,
    /// Tables, and columns as `table.column`, that our user may not read.
    unreadable: BTreeSet<&'a str>,
}

impl<'a> Observation<'a> {
    pub(crate) fn of(seen: &'a Introspection) -> Self {
        let unreadable = seen.omitted.iter().filter(|omission| omission.cause == OmissionCause::Unreadable);
        let unreadable: BTreeSet<&str> = unreadable.map(|omission| omission.subject.as_str()).collect();
        // What is known of a table that may not be read is not what is there.
        let is_readable = |table: &&RemoteTable| unreadable.is_empty() || !unreadable.contains(table.subject().to_string().as_str());
        let tables = seen.tables.iter().filter(is_readable);
        Self { tables: tables.map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect(), unreadable }
    }
}

/// Compares what is there with what is expected.
pub(crate) fn compare(base: &Baseline, seen: &Observation<'_>, types: TypeRule<'_>) -> DriftReport {
    let mut found: BTreeMap<(String, String), TableDrift> = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for expectation in &base.expectations {
        let contract = &expectation.contract;
        let name = Subject::table(&contract.schema, &contract.table).to_string();
        let table = seen.tables.get(&(contract.schema.as_str(), contract.table.as_str())).copied();
        let differences = match table {
            None if seen.unreadable.contains(name.as_str()) => {
                unreadable.insert(name);
                continue;
            }
            None => vec![missing_table(&name)],
            Some(_) if expectation.is_unseen => continue,
            Some(table) => {
                let mut found = differences(contract, table, types, &|column| {
                    let column = Subject::column(&contract.schema, &contract.table, column).to_string();
                    seen.unreadable.contains(column.as_str())
                });
                add_collations(&mut found, expectation, table);
                found
            }
        };
        if !differences.is_empty() {
            let drift = found.entry((contract.schema.clone(), contract.table.clone())).or_insert_with(|| drift(expectation, table));
            for mut difference in differences {
                difference.published.extend(expectation.published.clone());
                // A table that is published twice has each of its differences once.
                match drift.differences.iter_mut().find(|known| known.is_same(&difference)) {
                    Some(known) => known.published.append(&mut difference.published),
                    None => drift.differences.push(difference),
                }
            }
        }
    }
    for drift in found.values_mut() {
        sort(&mut drift.differences);
        drift.differences.iter_mut().for_each(|difference| difference.published.sort());
    }
    if base.watches_new_tables {
        let expected: BTreeSet<(&str, &str)> =
            base.expectations.iter().map(|e| (e.contract.schema.as_str(), e.contract.table.as_str())).collect();
        for (&(schema, name), table) in seen.tables.iter().filter(|(key, _)| !expected.contains(*key)) {
            let new = Difference {
                kind: DifferenceKind::NewTable,
                column: None,
                expected: None,
                actual: Some(Subject::table(schema, name).to_string()),
                severity: Severity::Warning,
                published: Vec::new(),
            };
            let (schema, name) = (schema.to_owned(), name.to_owned());
            let after = Some(TableImage::of(table));
            found.insert((schema.clone(), name.clone()), TableDrift { schema, table: name, before: None, after, differences: vec![new] });
        }
    }
    DriftReport { tables: found.into_values().collect(), unreadable: unreadable.into_iter().collect() }
}

/// How one table differs from its contract.
pub(crate) fn compare_table(contract: &Contract, table: &RemoteTable, types: TypeRule<'_>) -> Vec<Difference> {
    differences(contract, table, types, &|_| false)
}

fn drift(expectation: &Expectation, table: Option<&RemoteTable>) -> TableDrift {
    TableDrift {
        schema: expectation.contract.schema.clone(),
        table: expectation.contract.table.clone(),
        before: expectation.accepted.as_ref().map(TableImage::of),
        after: table.map(TableImage::of),
        differences: Vec::new(),
    }
}

fn missing_table(name: &str) -> Difference {
    Difference {
        kind: DifferenceKind::MissingTable,
        column: None,
        expected: Some(name.to_owned()),
        actual: None,
        severity: Severity::Error,
        published: Vec::new(),
    }
}

fn differences(contract: &Contract, table: &RemoteTable, types: TypeRule<'_>, is_unreadable: &dyn Fn(&str) -> bool) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |kind, column: Option<&str>, expected: Option<String>, actual: Option<String>, severity| {
        found.push(Difference { kind, column: column.map(str::to_owned), expected, actual, severity, published: Vec::new() });
    };
    for expected in contract.columns.iter().filter(|column| !contract.ignore_columns.contains(&column.name)) {
        let name = expected.name.as_str();
        let Some(actual) = table.columns.iter().find(|column| column.name == name) else {
            if !is_unreadable(name) {
                let expected = (!expected.remote_type.is_empty()).then(|| expected.remote_type.clone());
                add(DifferenceKind::MissingColumn, Some(name), expected, None, Severity::Error);
            }
            continue;
        };
        let severity = match types(&expected.remote_type, &actual.remote_type) {
            _ if expected.remote_type.is_empty() => None,
            TypeChange::Same => None,
            TypeChange::Widened => Some(Severity::Warning),
            TypeChange::Narrowed | TypeChange::Different => Some(Severity::Error),
        };
        if let Some(severity) = severity {
            let (expected, actual) = (expected.remote_type.clone(), actual.remote_type.clone());
            add(DifferenceKind::TypeMismatch, Some(name), Some(expected), Some(actual), severity);
        }
        // A column that may be NULL now breaks what was planned on its never being so.
        let severity = if actual.nullable { Severity::Error } else { Severity::Warning };
        if let Some(nullable) = expected.nullable.filter(|nullable| *nullable != actual.nullable) {
            let word = |nullable: bool| Some(if nullable { "nullable" } else { "not null" }.to_owned());
            add(DifferenceKind::NullabilityMismatch, Some(name), word(nullable), word(actual.nullable), severity);
        }
    }
    for actual in &table.columns {
        let is_known = contract.columns.iter().any(|column| column.name == actual.name) || contract.ignore_columns.contains(&actual.name);
        if !is_known {
            add(DifferenceKind::UnmappedColumn, Some(&actual.name), None, Some(actual.remote_type.clone()), Severity::Warning);
        }
    }
    if let Some(key) = contract.primary_key.as_ref().filter(|key| **key != table.primary_key) {
        // A key that cannot be read says nothing.
        if !key.iter().any(|column| is_unreadable(column)) {
            let word = |key: &[String]| (!key.is_empty()).then(|| format!("({})", key.join(", ")));
            let severity = if key.is_empty() { Severity::Warning } else { Severity::Error };
            add(DifferenceKind::PkMismatch, None, word(key), word(&table.primary_key), severity);
        }
    }
    sort(&mut found);
    found
}

/// Adds the columns that are of the type expected, and compare by another collation than when they were accepted.
fn add_collations(found: &mut Vec<Difference>, expectation: &Expectation, table: &RemoteTable) {
    let Some(accepted) = &expectation.accepted else { return };
    let contract = &expectation.contract;
    let is_expected = |name: &str| contract.columns.iter().any(|c| c.name == name) && !contract.ignore_columns.contains(name);
    for actual in table.columns.iter().filter(|column| is_expected(&column.name)) {
        let Some(known) = accepted.columns.iter().find(|column| column.name == actual.name) else { continue };
        let is_told = found.iter().any(|told| told.kind == DifferenceKind::TypeMismatch && told.column.as_deref() == Some(&actual.name));
        let (Some(before), Some(now)) = (&known.collation, &actual.collation) else { continue };
        if before != now && !is_told {
            let shown = |column: &RemoteColumn, collation: &str| Some(format!("{} COLLATE {collation}", column.remote_type));
            found.push(Difference {
                kind: DifferenceKind::TypeMismatch,
                column: Some(actual.name.clone()),
                expected: shown(known, before),
                actual: shown(actual, now),
                // What is asked of the source is decided anew before it is asked.
                severity: Severity::Warning,
                published: Vec::new(),
            });
        }
    }
    sort(found);
}

fn sort(differences: &mut [Difference]) {
    differences.sort_by(|a, b| (a.kind, &a.column, &a.expected, &a.actual).cmp(&(b.kind, &b.column, &b.expected, &b.actual)));
}
