//! What inserts rows: the text of the statement, and the rows that wait for it.

use std::fmt::Write;

use datafusion::arrow::record_batch::RecordBatch;
use mysql_async::{Params, Value};

use super::bind::size;
use super::dialect::MySqlDialect;
use crate::changes::Insertion;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteColumn;
use crate::sql::Dialect;

/// The bounds of one statement's rows, unless the server's packets are smaller still.
pub(super) const STATEMENT_BYTES: usize = 1 << 20;
const STATEMENT_VALUES: usize = 16_384;

/// Refuses rows of other columns than those of the insertion.
pub(super) fn check_types(batch: &RecordBatch, insertion: &Insertion, columns: &[&RemoteColumn]) -> Result<()> {
    let is_as_wide = batch.num_columns() == columns.len() && columns.len() == insertion.columns.len();
    let mut pairs = columns.iter().zip(batch.columns());
    if is_as_wide && pairs.all(|(column, array)| column.data_type == *array.data_type()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, "the rows to be inserted have other columns than the insertion"))
}

/// The text of an insertion.
pub(super) struct Statement {
    head: String,
    row: String,
    clauses: String,
}

impl Statement {
    pub(super) fn new(dialect: MySqlDialect, insertion: &Insertion, columns: &[&RemoteColumn]) -> Self {
        let names: Vec<String> = columns.iter().map(|column| dialect.quote(&column.name)).collect();
        let table = dialect.table(&insertion.table.schema, &insertion.table.name);
        Self {
            head: format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
            row: format!("({})", vec!["?"; columns.len()].join(", ")),
            clauses: insertion.clauses.clone(),
        }
    }

    pub(super) fn text(&self, rows: usize) -> String {
        let mut text = self.head.clone();
        text.push_str(&vec![self.row.as_str(); rows].join(", "));
        if !self.clauses.is_empty() {
            // Writing to a text does not fail.
            let _ = write!(text, " {}", self.clauses);
        }
        text
    }
}

/// Rows that wait for the statement that inserts them.
pub(super) struct Waiting {
    columns: usize,
    values: Vec<Value>,
    /// The bytes of each row.
    sizes: Vec<usize>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, values: Vec::new(), sizes: Vec::new(), bytes: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.sizes.len()
    }

    /// Adds a row and says how many bytes it has.
    pub(super) fn push(&mut self, row: impl Iterator<Item = Result<Value>>) -> Result<usize> {
        let mut bytes = 4;
        for value in row {
            let value = value?;
            bytes += size(&value);
            self.values.push(value);
        }
        self.sizes.push(bytes);
        self.bytes += bytes;
        Ok(bytes)
    }

    /// How many rows are to leave, if there are more than one statement takes: a power of two, so that the server prepares few statements.
    pub(super) fn beyond(&self, most_bytes: usize) -> Option<usize> {
        let is_beyond = self.bytes > most_bytes || self.rows() * self.columns.max(1) > STATEMENT_VALUES;
        let others = self.rows().checked_sub(1).filter(|others| is_beyond && *others > 0)?;
        Some(1 << others.ilog2())
    }

    /// The first rows' values.
    pub(super) fn take(&mut self, rows: usize) -> Params {
        self.bytes -= self.sizes.drain(..rows).sum::<usize>();
        let values: Vec<Value> = self.values.drain(..rows * self.columns).collect();
        if values.is_empty() { Params::Empty } else { Params::Positional(values) }
    }
}
