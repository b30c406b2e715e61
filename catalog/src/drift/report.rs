//! What a comparison finds.

use causeway_providers::Subject;
use serde::{Deserialize, Serialize};

use super::contract::ContractKind;
use super::image::TableImage;

/// Where a source and what is expected of it differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DriftReport {
    /// The tables that differ, by schema and name.
    pub tables: Vec<TableDrift>,
    /// Expected tables and columns that our user may not read, as [`Subject`]s print, in order. Nothing is known of them.
    pub unreadable: Vec<String>,
}

impl DriftReport {
    /// The worst severity of all differences; `None` without any.
    pub fn severity(&self) -> Option<Severity> {
        self.tables.iter().flat_map(|table| &table.differences).map(|difference| difference.severity).max()
    }
}

/// How one remote table differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDrift {
    /// The remote schema.
    pub schema: String,
    /// The remote table.
    pub table: String,
    /// Pinned when a contract that it breaks or outgrows is.
    pub kind: ContractKind,
    /// The table when it was last accepted; `None` when it never was.
    pub before: Option<TableImage>,
    /// The table now; `None` when it is gone.
    pub after: Option<TableImage>,
    /// What differs, in the order of kinds and then of columns; never empty.
    pub differences: Vec<Difference>,
}

impl TableDrift {
    /// The table's name for people and events, such as `public.cust`.
    pub fn subject(&self) -> Subject {
        Subject::table(&self.schema, &self.table)
    }

    /// The differences that break what is published.
    pub fn errors(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.severity == Severity::Error)
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// The remote column, where it is about one.
    pub column: Option<String>,
    /// What was expected; `None` is nothing.
    pub expected: Option<String>,
    /// What is there; `None` is nothing.
    pub actual: Option<String>,
    /// What it does to what is published.
    pub severity: Severity,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// An expected table is gone.
    MissingTable,
    /// A table is there that was not.
    NewTable,
    /// An expected column is gone.
    MissingColumn,
    /// A column is there that the contract does not know.
    UnmappedColumn,
    /// A column has another type.
    TypeMismatch,
    /// A column may be NULL where it was not to be, or the other way round.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing breaks.
    Warning,
    /// Statements would fail, or rely on what no longer holds.
    Error,
}

impl Severity {
    /// The word in events and views.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}
