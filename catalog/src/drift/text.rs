//! Differences in words, a line each, for errors, logs and the command line.

use std::fmt;

use super::report::{Difference, DifferenceKind, DriftReport, Severity, TableDrift};

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Difference {
    /// Without the table's name, such as `column email is gone (expected text)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = Column(self.column.as_deref().unwrap_or_default());
        let (expected, actual) = (self.expected.as_deref(), self.actual.as_deref());
        match self.kind {
            DifferenceKind::MissingTable => write!(f, "the {} is gone", expected.unwrap_or("table")),
            DifferenceKind::NewTable => write!(f, "the {} is new", actual.unwrap_or("table")),
            DifferenceKind::MissingColumn => write!(f, "{column} is gone (expected {})", expected.unwrap_or_default()),
            DifferenceKind::UnmappedColumn => write!(f, "{column} is new ({})", actual.unwrap_or_default()),
            DifferenceKind::TypeMismatch | DifferenceKind::NullabilityMismatch => {
                write!(f, "{column} is {} (expected {})", actual.unwrap_or_default(), expected.unwrap_or_default())
            }
            DifferenceKind::PkMismatch => match (expected, actual) {
                (Some(expected), Some(actual)) => write!(f, "the primary key is {actual} (expected {expected})"),
                (Some(expected), None) => write!(f, "the primary key is gone (expected {expected})"),
                (None, actual) => write!(f, "the primary key {} is new", actual.unwrap_or_default()),
            },
        }
    }
}

/// A column's name in a sentence, in quotes where it could be taken for something else.
struct Column<'a>(&'a str);

impl fmt::Display for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = !self.0.is_empty() && self.0.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_plain { write!(f, "column {}", self.0) } else { write!(f, "column \"{}\"", self.0.replace('"', "\"\"")) }
    }
}

impl fmt::Display for TableDrift {
    /// A line per difference, such as `public.cust: column email is gone (expected text)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        for (at, difference) in self.differences.iter().enumerate() {
            let line_break = if at > 0 { "\n" } else { "" };
            write!(f, "{line_break}{subject}: {difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DriftReport {
    /// A line per difference behind its severity, then a line per subject of which nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line_break = "";
        for drift in &self.tables {
            let subject = drift.subject();
            for difference in &drift.differences {
                write!(f, "{line_break}{:<7}  {subject}: {difference}", difference.severity)?;
                line_break = "\n";
            }
        }
        for subject in &self.unreadable {
            write!(f, "{line_break}{:<7}  {subject}: may not be read", "unknown")?;
            line_break = "\n";
        }
        Ok(())
    }
}
