//! Differences in words, a line each, for errors, logs and the command line.

use std::fmt;

use super::compare::{Difference, DifferenceKind, DriftReport};

impl Difference {
    /// The difference in words, for a reader who sees a list of them.
    pub fn describe(&self, table: &str) -> String {
        let expected = self.expected.as_deref().unwrap_or("none");
        let actual = self.actual.as_deref().unwrap_or("none");
        let column = self.column.as_deref().unwrap_or_default();
        match self.kind {
            DifferenceKind::MissingTable => format!("{table}: the table is gone"),
            DifferenceKind::NewTable => format!("{table}: the table is new"),
            DifferenceKind::MissingColumn => format!("{table}: column {column} is gone (expected {expected})"),
            DifferenceKind::UnmappedColumn => format!("{table}: column {column} is new ({actual})"),
            DifferenceKind::TypeMismatch => format!("{table}: column {column} is {actual} (expected {expected})"),
            DifferenceKind::NullabilityMismatch => format!("{table}: column {column} is {actual} (expected {expected})"),
            DifferenceKind::PkMismatch => format!("{table}: the primary key is {actual} (expected {expected})"),
        }
    }
}

impl fmt::Display for DriftReport {
    /// A line per difference: `error` or `warning`, and what differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for drift in &self.tables {
            let table = drift.subject().to_string();
            for difference in &drift.differences {
                writeln!(f, "{:<7}  {}", difference.severity.as_str(), difference.describe(&table))?;
            }
        }
        for table in &self.unreadable {
            writeln!(f, "{:<7}  {table}: our user may not read it", "unknown")?;
        }
        Ok(())
    }
}
