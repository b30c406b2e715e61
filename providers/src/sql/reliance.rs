//! Which tables a statement reads at its source, and which stored values it computes with.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::remote::{RemoteColumn, RemoteTable};

/// The tables a statement reads, and of each the columns it filters, joins, groups, sorts or calculates by at the source. Those it
/// only returns are not among them: they are looked at when they arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reliance(Vec<(Arc<RemoteTable>, BTreeSet<usize>)>);

impl Reliance {
    /// That of a statement that reads `table` and computes with nothing in it.
    pub fn of(table: &Arc<RemoteTable>) -> Self {
        Self(vec![(Arc::clone(table), BTreeSet::new())])
    }

    /// Adds the column at `index` of `table`.
    pub fn on(&mut self, table: &Arc<RemoteTable>, index: usize) {
        self.columns_of(table).insert(index);
    }

    /// Adds all that is in `other`.
    pub fn merge(&mut self, other: &Reliance) {
        for (table, columns) in &other.0 {
            self.columns_of(table).extend(columns);
        }
    }

    /// Whether there is no column in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, columns)| columns.is_empty())
    }

    /// The tables.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<RemoteTable>> {
        self.0.iter().map(|(table, _)| table)
    }

    /// The tables and their columns.
    pub fn iter(&self) -> impl Iterator<Item = (&RemoteTable, impl Iterator<Item = &RemoteColumn>)> {
        self.0.iter().map(|(table, columns)| (table.as_ref(), columns.iter().map(|&index| &table.columns[index])))
    }

    fn columns_of(&mut self, table: &Arc<RemoteTable>) -> &mut BTreeSet<usize> {
        let known = self.0.iter().position(|(known, _)| known.schema == table.schema && known.name == table.name);
        let at = known.unwrap_or_else(|| {
            self.0.push((Arc::clone(table), BTreeSet::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}
