//! Differences in words, a line each, for errors, logs and the command line.

use std::fmt;

use super::compare::{Difference, DriftReport};

impl Difference {
    /// The difference in words, for a reader who sees a list of them.
    pub fn describe(&self, table: &str) -> String {
        describe(self.kind.as_str(), table, self.column.as_deref(), self.expected.as_deref(), self.actual.as_deref())
    }
}

/// A difference in words, from those it is stored in.
pub(crate) fn describe(kind: &str, table: &str, column: Option<&str>, expected: Option<&str>, actual: Option<&str>) -> String {
    let (column, expected, actual) = (column.unwrap_or_default(), expected.unwrap_or("none"), actual.unwrap_or("none"));
    match kind {
        "missing_table" => format!("{table}: the table is gone"),
        "new_table" => format!("{table}: the table is new"),
        "missing_column" => format!("{table}: column {column} is gone (expected {expected})"),
        "unmapped_column" => format!("{table}: column {column} is new ({actual})"),
        "pk_mismatch" => format!("{table}: the primary key is {actual} (expected {expected})"),
        // A type, or whether it may be NULL.
        _ => format!("{table}: column {column} is {actual} (expected {expected})"),
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
