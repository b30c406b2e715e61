//! What is wrong in a configuration, and where.

use std::cell::RefCell;
use std::fmt;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    /// The file as the user would find it.
    pub file: String,
    /// The line, from 1; 0 when the fault is the file itself.
    pub line: usize,
    /// The keys that lead there, such as `external.pool.max_connections`; empty when no key does.
    pub key: String,
    /// What is wrong and what would be right. Never a credential.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.key.is_empty() { write!(f, ": {}", self.message) } else { write!(f, ": {}: {}", self.key, self.message) }
    }
}

/// All faults of a configuration, one per line when printed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// A fault of one setting that came from the command line.
    pub fn one(file: &str, key: &str, message: impl Into<String>) -> Self {
        Self(vec![Fault { file: file.to_owned(), line: 0, key: key.to_owned(), message: message.into() }])
    }

    /// The faults, by file and line.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while files are read. Shared by the sections of a tree, which are walked one at a time.
#[derive(Debug, Default)]
pub(crate) struct Report(RefCell<Vec<Fault>>);

impl Report {
    pub(crate) fn add(&self, file: &str, line: usize, key: &str, message: impl Into<String>) {
        self.0.borrow_mut().push(Fault { file: file.to_owned(), line, key: key.to_owned(), message: message.into() });
    }

    pub(crate) fn into_faults(self) -> Faults {
        let mut faults = self.0.into_inner();
        // Files keep the order in which they were read; within one, lines tell.
        let mut files: Vec<String> = Vec::new();
        for fault in &faults {
            if !files.contains(&fault.file) {
                files.push(fault.file.clone());
            }
        }
        faults.sort_by_key(|fault| (files.iter().position(|file| *file == fault.file), fault.line));
        Faults(faults)
    }
}
