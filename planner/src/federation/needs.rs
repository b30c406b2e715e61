//! What a statement needs, whatever its form: that of all it is made from.

use std::time::Duration;

use causeway_providers::sql::Reliance;

/// The time, the stored values and the named queries of a statement, and what it reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    /// The shortest time that one of its tables allows it.
    pub(super) query_timeout: Option<Duration>,
    /// The stored values it computes with.
    pub(super) reliance: Reliance,
    /// Its named queries, each behind those that it reads.
    named: Vec<NamedQuery>,
    /// How many rows it is believed to read of its tables, named queries apart; `None` when that is not known of one of them.
    read: Option<u64>,
}

/// A sub-plan that one statement has several times, as a query of its `WITH`.
#[derive(Debug, Clone)]
struct NamedQuery {
    subplan: usize,
    sql: String,
    read: Option<u64>,
}

impl Needs {
    /// Those of a statement that reads nothing yet.
    pub(super) fn none() -> Self {
        Self { read: Some(0), ..Self::default() }
    }

    /// Those of a table of which so many rows are believed to be read.
    pub(super) fn of_scan(query_timeout: Option<Duration>, reliance: Reliance, read: Option<u64>) -> Self {
        Self { query_timeout, reliance, named: Vec::new(), read }
    }

    /// These and those of something else in the same statement.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.query_timeout = [self.query_timeout, other.query_timeout].into_iter().flatten().min();
        self.reliance.merge(&other.reliance);
        self.read = self.read.zip(other.read).map(|(one, other)| one.saturating_add(other));
        for query in &other.named {
            if self.named.iter().all(|known| known.subplan != query.subplan) {
                self.named.push(query.clone());
            }
        }
        self
    }

    /// These, once `sql` is a query of the statement's own. Gives how it is called.
    pub(super) fn name(&mut self, subplan: usize, sql: String) -> String {
        let read = self.read.replace(0);
        self.named.push(NamedQuery { subplan, sql, read });
        query_name(subplan)
    }

    /// How many rows the statement is believed to read.
    pub(super) fn read(&self) -> Option<u64> {
        self.named.iter().map(|query| query.read).fold(self.read, |sum, read| Some(sum?.saturating_add(read?)))
    }

    /// `WITH` and what is named, before a statement; or nothing.
    pub(super) fn with(&self) -> String {
        let named: Vec<String> = self.named.iter().map(|query| format!("{} AS ({})", query_name(query.subplan), query.sql)).collect();
        if named.is_empty() { String::new() } else { format!("WITH {} ", named.join(", ")) }
    }
}

/// What a sub-plan is called in `WITH`. Tables are called by their schemas too, and so are never meant.
fn query_name(subplan: usize) -> String {
    format!("w{subplan}")
}
