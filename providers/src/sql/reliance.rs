//! Which stored values a statement computes with at its source.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::remote::{RemoteColumn, RemoteTable};

/// The columns a statement filters, joins, groups, sorts or calculates by at the source. Those it only returns are not among them:
/// they are looked at when they arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reliance(Vec<(Arc<RemoteTable>, BTreeSet<usize>)>);

impl Reliance {
    /// Adds the column at `index` of `table`.
    pub fn on(&mut self, table: &Arc<RemoteTable>, index: usize) {
        match self.0.iter_mut().find(|(known, _)| known.schema == table.schema && known.name == table.name) {
            Some((_, columns)) => {
                columns.insert(index);
            }
            None => self.0.push((Arc::clone(table), BTreeSet::from([index]))),
        }
    }

    /// Adds all that is in `other`.
    pub fn merge(&mut self, other: &Reliance) {
        for (table, columns) in &other.0 {
            for index in columns {
                self.on(table, *index);
            }
        }
    }

    /// Whether there is no column in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tables and their columns.
    pub fn iter(&self) -> impl Iterator<Item = (&RemoteTable, impl Iterator<Item = &RemoteColumn>)> {
        self.0.iter().map(|(table, columns)| (table.as_ref(), columns.iter().map(|&index| &table.columns[index])))
    }
}
