//! Which tables a statement reads at its source, and which stored values it computes with.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, TYPE_CHANGED};
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

    /// The columns whose texts it compares, by the collations they were published with.
    pub fn collated(&self) -> impl Iterator<Item = CollatedColumn<'_>> {
        self.iter().flat_map(|(table, columns)| {
            columns.filter_map(move |column| Some(CollatedColumn { table, column, collation: column.collation.as_deref()? }))
        })
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

/// A column whose texts a statement has its source compare.
#[derive(Debug, Clone, Copy)]
pub struct CollatedColumn<'a> {
    /// Its table.
    pub table: &'a RemoteTable,
    /// The column.
    pub column: &'a RemoteColumn,
    /// The collation it was published with: what was decided to be asked of the source depends on it.
    pub collation: &'a str,
}

impl CollatedColumn<'_> {
    /// The error of a column that is of another type or collation `now`: the source would answer by another order, or hold other texts
    /// equal.
    pub fn changed(&self, now_type: &str, now_collation: &str) -> Error {
        let Self { table, column, collation } = self;
        let text = format!(
            "column \"{}\" of {} is {now_type} compared by {now_collation} at the source now, not {} by {collation}",
            column.name,
            table.subject(),
            column.remote_type
        );
        Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource")
    }
}
