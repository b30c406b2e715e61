//! A table of the source with its rows, taken in once: what answers are compared with, and where literals come from.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::scalar::ScalarValue;

use super::part::{self, Part};
use super::refusal::Refusal;
use super::report::{Checked, TableExtent};
use super::values;
use crate::remote::{Remote, RemoteColumn, RemoteTable};

/// Of a table with more rows a part is known.
pub(super) const MOST_ROWS: usize = 5_000;

/// A table with more columns is not queried in every way: planning all of them for each statement takes longer than it tells.
const MOST_COLUMNS: usize = 100;

/// A table as far as it is looked at, and the rows it has there.
#[derive(Debug, Clone)]
pub(super) struct Sampled {
    /// The table with the columns that are looked at.
    pub(super) table: RemoteTable,
    pub(super) rows: RecordBatch,
    /// The table as the source has it.
    source: RemoteTable,
    part: Option<Part>,
}

impl Sampled {
    /// A table of which no row is known yet.
    pub(super) fn new(table: &RemoteTable) -> Self {
        Self { rows: RecordBatch::new_empty(table.arrow_schema()), table: table.clone(), source: table.clone(), part: None }
    }

    /// The same with those of its columns that `keep` says.
    pub(super) fn with_columns(&self, keep: impl Fn(&RemoteColumn) -> bool) -> Self {
        let mut table = self.table.clone();
        table.columns.retain(keep);
        let has_all = |key: &Vec<String>| key.iter().all(|name| table.columns.iter().any(|column| column.name == *name));
        table.unique_keys.retain(has_all);
        if !has_all(&table.primary_key) {
            table.primary_key.clear();
        }
        Self { rows: RecordBatch::new_empty(table.arrow_schema()), table, source: self.source.clone(), part: self.part.clone() }
    }

    /// The same with the rows that were read of it.
    pub(super) fn with_rows(&self, batches: &[RecordBatch]) -> Result<Self, Refusal> {
        let rows = concat_batches(&self.table.arrow_schema(), batches).map_err(|error| error.to_string())?;
        Ok(Self { rows, ..self.clone() })
    }

    /// A part of it, of which no row is known yet.
    pub(super) fn narrowed_to(&self, part: Part) -> Self {
        Self { rows: RecordBatch::new_empty(self.rows.schema()), part: Some(part), ..self.clone() }
    }

    /// Which of its rows are looked at, when not all are.
    pub(super) fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    /// Why statements of every kind on it would tell nothing, or take too long.
    pub(super) fn not_queried(&self) -> Option<String> {
        let columns = self.table.columns.len();
        if values::is_proof(&self.table) {
            Some("it says itself what its values are to be read as".to_owned())
        } else if self.rows.num_rows() < 2 {
            Some("it has fewer than two rows".to_owned())
        } else if columns > MOST_COLUMNS {
            Some(format!("it has {columns} columns, more than {MOST_COLUMNS}"))
        } else {
            None
        }
    }

    /// How far it was looked at, when those in `queried` were queried in every way.
    pub(super) fn extent(&self, queried: &[&Sampled]) -> TableExtent {
        let is_queried = queried.iter().any(|other| other.table.subject() == self.table.subject());
        let checked = match (is_queried, &self.part) {
            (true, None) => Checked::Whole,
            (true, Some(part)) => Checked::Part(part.to_string()),
            (false, _) => Checked::Read(self.not_queried().unwrap_or_else(|| "more rows are known of others".to_owned())),
        };
        TableExtent { table: self.table.subject().to_string(), checked }
    }

    /// It at its source, as far as it is looked at.
    pub(super) fn at(&self, remote: &Arc<dyn Remote>) -> Result<Arc<dyn TableProvider>, Refusal> {
        let whole = Arc::clone(remote).table(&self.source)?;
        let is_whole = self.part.is_none() && self.table.columns.len() == self.source.columns.len();
        if is_whole { Ok(whole) } else { part::view(whole, &self.table.columns, self.part.as_ref()) }
    }

    /// The same rows in memory.
    pub(super) fn in_memory(&self) -> Result<Arc<dyn TableProvider>, Refusal> {
        Ok(Arc::new(MemTable::try_new(self.rows.schema(), vec![vec![self.rows.clone()]])?))
    }

    /// Its name in a statement.
    pub(super) fn name(&self) -> String {
        format!("source.{}", quoted(&self.table.name))
    }

    /// The first `most` columns.
    pub(super) fn columns(&self, most: usize) -> impl Iterator<Item = &RemoteColumn> {
        self.table.columns.iter().take(most)
    }

    /// Up to three literals that are values of the column, among them its least and greatest.
    pub(super) fn literals(&self, column: &RemoteColumn) -> Vec<String> {
        let all = self.values(column);
        let picked = match all.len() {
            0 => Vec::new(),
            1 => vec![0],
            2 => vec![0, 1],
            len => vec![0, len / 2, len - 1],
        };
        picked.into_iter().filter_map(|at| literal(&all[at])).collect()
    }
}

/// An identifier in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as a literal of the engine's SQL; `None` for what has no plain one.
fn literal(value: &ScalarValue) -> Option<String> {
    let data_type = value.data_type();
    let text = value.to_array().and_then(|array| Ok(array_value_to_string(&array, 0)?)).ok()?;
    match data_type {
        DataType::Boolean => Some(text.to_uppercase()),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(format!("({text})")),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(format!("'{}'", text.replace('\'', "''"))),
        DataType::Date32 => Some(format!("CAST('{text}' AS date)")),
        DataType::Timestamp(_, None) => Some(format!("CAST('{text}' AS timestamp)")),
        DataType::Timestamp(_, Some(_)) => Some(format!("CAST('{text}' AS timestamptz)")),
        DataType::Float32 | DataType::Float64 => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| format!("CAST('{text}' AS double precision)"))
        }
        _ => None,
    }
}
