//! Where a column of a result comes from.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};

use super::Reliance;
use crate::remote::{RemoteColumn, RemoteTable};

/// The stored column that a column of a result is, whatever it is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    table: Arc<RemoteTable>,
    index: usize,
}

impl Origin {
    /// The column at `index` of `table`.
    pub fn new(table: &Arc<RemoteTable>, index: usize) -> Self {
        Self { table: Arc::clone(table), index }
    }

    /// The column of that name of `table`, if it has one.
    fn named(table: &Arc<RemoteTable>, name: &str) -> Option<Self> {
        Some(Self::new(table, table.columns.iter().position(|column| column.name == name)?))
    }

    /// The table.
    pub fn table(&self) -> &RemoteTable {
        &self.table
    }

    /// The column.
    pub fn column(&self) -> &RemoteColumn {
        &self.table.columns[self.index]
    }
}

/// Which stored columns those of `schema` are, in a scan that reads one table and gives columns the names they have there.
pub(crate) fn origins(schema: &Schema, scan: &Reliance) -> Vec<Option<Origin>> {
    let table = scan.tables().next();
    schema.fields().iter().map(|field| Origin::named(table?, field.name())).collect()
}

/// A column of a result as errors name it: as the source does, where it is one of a table there.
pub(crate) fn column_of(field: &Field, origin: Option<&Origin>) -> String {
    match origin {
        Some(origin) => format!("table \"{}\": column \"{}\"", origin.table().subject(), origin.column().name),
        None => format!("column \"{}\"", field.name()),
    }
}
