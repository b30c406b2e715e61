//! What the checks found.

use super::refusal::Refusal;
use super::unopened::Unopened;
use crate::remote::Omission;

/// All checks of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The connector's kind.
    pub kind: &'static str,
    /// The checks by what they are about, in the order they ran.
    pub groups: Vec<Group>,
    /// How far each table that is published was looked at.
    pub tables: Vec<TableExtent>,
    /// What the source left out when it told its tables.
    pub omitted: Vec<Omission>,
    /// Why there was no source to check the connector on. Then no check ran.
    pub unopened: Option<Unopened>,
}

/// How far a table was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableExtent {
    /// The table.
    pub table: String,
    /// What was done with it.
    pub checked: Checked,
}

/// What was done with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// All its rows were queried in every way.
    Whole,
    /// Some of its rows were, told by their place in a column.
    Part(String),
    /// It was read, and not queried; this is why.
    Read(String),
    /// It was not read to be checked; this is why.
    Unread(String),
}

impl Report {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, groups: Vec::new(), tables: Vec::new(), omitted: Vec::new(), unopened: None }
    }

    pub(super) fn add(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// How many checks held.
    pub fn passed(&self) -> usize {
        self.groups.iter().map(|group| group.passed).sum()
    }

    /// What did not hold, a sentence each, by group.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.groups.iter().flat_map(|group| group.failures.iter().map(|failure| (group.name, failure.as_str())))
    }

    /// Values of the source that are none of their column's, each told once. They are not the connector's fault.
    pub fn refused(&self) -> Vec<&Refusal> {
        let mut all: Vec<&Refusal> = Vec::new();
        for refusal in self.groups.iter().flat_map(|group| &group.refused) {
            if !all.contains(&refusal) {
                all.push(refusal);
            }
        }
        all
    }

    /// How many tables were queried in every way, in part at least.
    pub fn queried(&self) -> usize {
        self.tables.iter().filter(|table| matches!(table.checked, Checked::Whole | Checked::Part(_))).count()
    }

    /// Whether nothing was left out: every check ran, on all rows of every table.
    pub fn is_complete(&self) -> bool {
        let all = self.groups.iter().all(|group| group.left_out.is_empty() && group.refused.is_empty());
        all && self.tables.iter().all(|table| table.checked == Checked::Whole)
    }
}

/// Checks of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they are about.
    pub name: &'static str,
    /// How many held.
    pub passed: usize,
    /// Those that did not, a sentence each.
    pub failures: Vec<String>,
    /// Those that met a value of the source that is none of its column's.
    pub refused: Vec<Refusal>,
    /// What could not be checked here, and why.
    pub left_out: Vec<String>,
}

impl Group {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, passed: 0, failures: Vec::new(), refused: Vec::new(), left_out: Vec::new() }
    }

    /// Counts one check.
    pub(super) fn check(&mut self, what: impl AsRef<str>, held: Result<(), Refusal>) {
        self.value(what, held);
    }

    /// Counts one check that something is so.
    pub(super) fn holds(&mut self, what: impl AsRef<str>, so: bool) {
        self.check(what, if so { Ok(()) } else { Err("it is not so".into()) });
    }

    /// Counts one check that gives something to go on with.
    pub(super) fn value<T>(&mut self, what: impl AsRef<str>, made: Result<T, Refusal>) -> Option<T> {
        match made {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(refusal) if refusal.is_of_data => {
                self.refused.push(refusal);
                None
            }
            Err(Refusal { message, hint, .. }) => {
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.failures.push(format!("{}: {message}{hint}", what.as_ref()));
                None
            }
        }
    }

    /// Says what is not checked.
    pub(super) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }
}
