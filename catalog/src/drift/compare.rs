//! The comparison, and what it finds.
//!
//! The order of columns, comments, row estimates and the spelling of types are no differences. A table or column that our user may not
//! read any more says nothing about its shape, so it is no difference either.

use std::collections::{BTreeMap, BTreeSet};

use causeway_providers::{Introspection, OmissionCause, RemoteColumn, RemoteTable, Subject, TypeChange};
use serde::Serialize;

use super::contract::{Baseline, Contract, Expectation, Standing};
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
    /// All there are.
    pub(crate) const ALL: [DifferenceKind; 7] = [
        DifferenceKind::MissingTable,
        DifferenceKind::NewTable,
        DifferenceKind::MissingColumn,
        DifferenceKind::UnmappedColumn,
        DifferenceKind::TypeMismatch,
        DifferenceKind::NullabilityMismatch,
        DifferenceKind::PkMismatch,
    ];

    /// Whether a difference of this kind may be what became of one of kind `other`, of the same column or of the table as a whole.
    pub(crate) fn can_replace(self, other: Self) -> bool {
        match other {
            // What there is to be said of the table's key is not said in the place of the table.
            DifferenceKind::MissingTable | DifferenceKind::NewTable | DifferenceKind::PkMismatch => self == other,
            DifferenceKind::MissingColumn | DifferenceKind::UnmappedColumn => true,
            DifferenceKind::TypeMismatch | DifferenceKind::NullabilityMismatch => {
                self == other || matches!(self, DifferenceKind::MissingColumn | DifferenceKind::UnmappedColumn)
            }
        }
    }

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
    /// How it was when it was last accepted; how its contract says it is, when nothing differs from that but the contract.
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

    /// What is not there: the table, or columns of it.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Subject> {
        self.differences.iter().filter_map(|difference| match (difference.kind, &difference.column) {
            (DifferenceKind::MissingTable, _) => Some(self.subject()),
            (DifferenceKind::MissingColumn, Some(column)) => Some(Subject::column(&self.schema, &self.table, column)),
            _ => None,
        })
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DriftReport {
    /// The tables that differ, by schema and name.
    pub tables: Vec<TableDrift>,
    /// Expected tables, and expected columns of others, that our user may not read.
    pub unreadable: Vec<String>,
    #[serde(skip)]
    unknown: Unknown,
}

/// What a comparison can say nothing of.
#[derive(Debug, Clone, PartialEq, Default)]
struct Unknown {
    /// Tables, and columns as `table.column`, that our user may not read.
    hidden: BTreeSet<String>,
    /// Tables whose primary key may have columns among these.
    keys: BTreeSet<String>,
    /// Of tables with such columns, the tables of ours and the columns that each expects.
    expected: BTreeMap<String, Vec<(PublishedName, BTreeSet<String>)>>,
}

impl DriftReport {
    /// What was found of one table.
    pub fn of(&self, subject: &Subject) -> Option<&TableDrift> {
        self.tables.iter().find(|drift| drift.schema == subject.schema && drift.table == subject.table)
    }

    /// Whether it can say nothing of a difference of a table, which then is what it was.
    pub(crate) fn says_nothing_of(&self, table: &Subject, kind: &str, column: Option<&str>) -> bool {
        let Unknown { hidden, keys, expected: _ } = &self.unknown;
        if hidden.is_empty() {
            return false;
        }
        let is_hidden = |column: &str| hidden.contains(&Subject::column(&table.schema, &table.table, column).to_string());
        let name = table.to_string();
        hidden.contains(&name) || column.is_some_and(is_hidden) || (kind == DifferenceKind::PkMismatch.as_str() && keys.contains(&name))
    }

    /// Whether a table of ours expects a column no more that may not be read: no difference of it is about that table then, but one that
    /// tells of a column nobody expects.
    pub(crate) fn is_given_up(&self, table: &Subject, kind: &str, column: &str, published: &PublishedName) -> bool {
        let expected = self.unknown.expected.get(&table.to_string()).into_iter().flatten();
        let of_name: Vec<_> = expected.filter(|(name, _)| name == published).collect();
        let is_expected = of_name.iter().any(|(_, columns)| columns.contains(column));
        kind != DifferenceKind::UnmappedColumn.as_str() && !of_name.is_empty() && !is_expected
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

impl Observation<'_> {
    /// Whether some columns of a table may not be read.
    fn hides_columns_of(&self, table: &str) -> bool {
        let prefix = format!("{table}.");
        self.unreadable.range(&*prefix..).next().is_some_and(|first| first.starts_with(&prefix))
    }
}

/// Compares what is there with what is expected.
pub(crate) fn compare(base: &Baseline, seen: &Observation<'_>, types: TypeRule<'_>) -> DriftReport {
    let mut found: BTreeMap<(String, String), TableDrift> = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut expected: BTreeMap<String, Vec<(PublishedName, BTreeSet<String>)>> = BTreeMap::new();
    for expectation in &base.expectations {
        let contract = &expectation.contract;
        let subject = Subject::table(&contract.schema, &contract.table);
        let name = subject.to_string();
        let is_unreadable = |column: &str| is_unreadable(seen, &subject, column);
        let table = seen.tables.get(&(contract.schema.as_str(), contract.table.as_str())).copied();
        let differences = match (table, expectation.standing) {
            (None, _) if seen.unreadable.contains(name.as_str()) => {
                unreadable.insert(name);
                continue;
            }
            (None, _) => vec![missing_table(&name)],
            (Some(_), Standing::Unseen | Standing::Hidden) => continue,
            (Some(table), Standing::Published | Standing::Imported) => {
                let hidden = contract.columns.iter().filter(|column| is_unreadable(&column.name));
                unreadable.extend(hidden.map(|hidden| Subject::column(&contract.schema, &contract.table, &hidden.name).to_string()));
                if let Some(published) = expectation.published.as_ref().filter(|_| seen.hides_columns_of(&name)) {
                    let columns = contract.columns.iter().map(|column| column.name.clone()).collect();
                    expected.entry(name.clone()).or_default().push((published.clone(), columns));
                }
                if is_key_unknown(contract, table, &is_unreadable) {
                    keys.insert(name);
                }
                let mut found = compare_table(contract, table, types, &is_unreadable);
                add_collations(&mut found, expectation, table);
                found
            }
        };
        if !differences.is_empty() {
            let drift = found.entry((subject.schema, subject.table)).or_insert_with(|| drift(expectation, table, types));
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
    for (schema, name, table) in new_tables(base, seen) {
        let new = Difference {
            kind: DifferenceKind::NewTable,
            column: None,
            expected: None,
            actual: Some(Subject::table(schema, name).to_string()),
            severity: Severity::Warning,
            published: Vec::new(),
        };
        let (schema, table_name) = (schema.to_owned(), name.to_owned());
        let drift = found.entry((schema.clone(), table_name.clone())).or_insert_with(|| TableDrift {
            schema,
            table: table_name,
            before: None,
            after: Some(TableImage::of(table)),
            differences: Vec::new(),
        });
        drift.differences.push(new);
    }
    for drift in found.values_mut() {
        sort(&mut drift.differences);
        drift.differences.iter_mut().for_each(|difference| difference.published.sort());
    }
    let hidden = seen.unreadable.iter().map(|name| (*name).to_owned()).collect();
    let unknown = Unknown { hidden, keys, expected };
    DriftReport { tables: found.into_values().collect(), unreadable: unreadable.into_iter().collect(), unknown }
}

/// The tables that are there and that the datasource does not show, when that is a difference.
fn new_tables<'s>(base: &Baseline, seen: &Observation<'s>) -> Vec<(&'s str, &'s str, &'s RemoteTable)> {
    if !base.watches_new_tables {
        return Vec::new();
    }
    let shown = base.expectations.iter().filter(|expectation| match expectation.standing {
        Standing::Published | Standing::Unseen => true,
        Standing::Imported | Standing::Hidden => false,
    });
    let shown: BTreeSet<(&str, &str)> = shown.map(|shown| (shown.contract.schema.as_str(), shown.contract.table.as_str())).collect();
    seen.tables.iter().filter(|(key, _)| !shown.contains(*key)).map(|(&(schema, name), &table)| (schema, name, table)).collect()
}

fn is_unreadable(seen: &Observation<'_>, table: &Subject, column: &str) -> bool {
    !seen.unreadable.is_empty() && seen.unreadable.contains(Subject::column(&table.schema, &table.table, column).to_string().as_str())
}

fn drift(expectation: &Expectation, table: Option<&RemoteTable>, types: TypeRule<'_>) -> TableDrift {
    let Expectation { contract, earlier, .. } = expectation;
    // What was accepted may be what is there: then it is the contract that says otherwise.
    let is_other = |earlier: &&RemoteTable| {
        table.is_none_or(|table| {
            let before = Contract { ignore_columns: contract.ignore_columns.clone(), ..Contract::of(earlier) };
            !compare_table(&before, table, types, &|_| false).is_empty() || recollated(contract, earlier, table).next().is_some()
        })
    };
    let as_agreed = || TableImage::agreed(contract, &table.into_iter().chain(earlier).collect::<Vec<_>>(), types);
    TableDrift {
        schema: contract.schema.clone(),
        table: contract.table.clone(),
        before: earlier.iter().find(is_other).map(TableImage::of).or_else(as_agreed),
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

/// How one table differs from its contract, as far as our user may read its columns.
pub(crate) fn compare_table(
    contract: &Contract,
    table: &RemoteTable,
    types: TypeRule<'_>,
    is_unreadable: &dyn Fn(&str) -> bool,
) -> Vec<Difference> {
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
            let word = |nullable| Some(nullability_word(nullable).to_owned());
            add(DifferenceKind::NullabilityMismatch, Some(name), word(nullable), word(actual.nullable), severity);
        }
    }
    for actual in &table.columns {
        let is_known = contract.columns.iter().any(|column| column.name == actual.name) || contract.ignore_columns.contains(&actual.name);
        if !is_known {
            add(DifferenceKind::UnmappedColumn, Some(&actual.name), None, Some(actual.remote_type.clone()), Severity::Warning);
        }
    }
    let key = contract.primary_key.as_ref().filter(|key| **key != table.primary_key);
    if let Some(key) = key.filter(|_| !is_key_unknown(contract, table, is_unreadable)) {
        let severity = if key.is_empty() { Severity::Warning } else { Severity::Error };
        add(DifferenceKind::PkMismatch, None, key_word(key), key_word(&table.primary_key), severity);
    }
    sort(&mut found);
    found
}

/// Whether a column may be NULL, in the words of a difference.
pub(crate) fn nullability_word(nullable: bool) -> &'static str {
    if nullable { "nullable" } else { "not null" }
}

/// A primary key in the words of a difference; `None` when there is none.
pub(crate) fn key_word(key: &[String]) -> Option<String> {
    (!key.is_empty()).then(|| format!("({})", key.join(", ")))
}

/// All that a difference of types may call the type of a column.
pub(crate) fn type_words(column: &RemoteColumn) -> Vec<String> {
    [column.remote_type.clone()].into_iter().chain(with_collation(column)).collect()
}

/// A type with its collation, where that is what differs.
fn with_collation(column: &RemoteColumn) -> Option<String> {
    Some(format!("{} COLLATE {}", column.remote_type, column.collation.as_deref()?))
}

/// Adds the columns that are of the type expected, and compare by another collation than when they were accepted.
fn add_collations(found: &mut Vec<Difference>, expectation: &Expectation, table: &RemoteTable) {
    let Some(accepted) = expectation.earlier.first() else { return };
    for (known, actual) in recollated(&expectation.contract, accepted, table) {
        let is_told = found.iter().any(|told| told.kind == DifferenceKind::TypeMismatch && told.column.as_deref() == Some(&actual.name));
        if !is_told {
            found.push(Difference {
                kind: DifferenceKind::TypeMismatch,
                column: Some(actual.name.clone()),
                expected: with_collation(known),
                actual: with_collation(actual),
                // What is asked of the source is decided anew before it is asked.
                severity: Severity::Warning,
                published: Vec::new(),
            });
        }
    }
    sort(found);
}

/// The columns of a contract that have another collation than before, as they were and as they are.
fn recollated<'a>(
    contract: &Contract,
    before: &'a RemoteTable,
    now: &'a RemoteTable,
) -> impl Iterator<Item = (&'a RemoteColumn, &'a RemoteColumn)> {
    let is_expected = |name: &str| contract.columns.iter().any(|c| c.name == name) && !contract.ignore_columns.contains(name);
    now.columns.iter().filter(move |column| is_expected(&column.name)).filter_map(|actual| {
        let known = before.columns.iter().find(|column| column.name == actual.name)?;
        let is_other = known.collation.as_ref().zip(actual.collation.as_ref()).is_some_and(|(before, now)| before != now);
        is_other.then_some((known, actual))
    })
}

/// Whether the key of a table may have columns that our user may not read, or was to have: it is not shown then.
fn is_key_unknown(contract: &Contract, table: &RemoteTable, is_unreadable: &dyn Fn(&str) -> bool) -> bool {
    let is_hidden = |column: &String| is_unreadable(column);
    let was_shown = contract.columns.iter().any(|column| is_unreadable(&column.name));
    contract.primary_key.as_ref().is_some_and(|key| key.iter().any(is_hidden)) || (table.primary_key.is_empty() && was_shown)
}

fn sort(differences: &mut [Difference]) {
    differences.sort_by(|a, b| (a.kind, &a.column, &a.expected, &a.actual).cmp(&(b.kind, &b.column, &b.expected, &b.actual)));
}
