//! A table of the source with its rows, taken in once: what answers are compared with, and where literals come from.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::scalar::ScalarValue;

use super::values;
use crate::remote::{RemoteColumn, RemoteTable};

/// A table with more rows is scanned and not queried in every way.
pub(super) const MOST_ROWS: usize = 5_000;

/// So is a table with more columns: planning all of them for each statement takes longer than it tells.
const MOST_COLUMNS: usize = 100;

/// A table and its rows.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) table: RemoteTable,
    pub(super) rows: RecordBatch,
}

impl Sampled {
    /// A table of which these rows were read.
    pub(super) fn new(table: RemoteTable, batches: &[RecordBatch]) -> Result<Self, String> {
        let rows = concat_batches(&table.arrow_schema(), batches).map_err(|error| error.to_string())?;
        Ok(Self { table, rows })
    }

    /// Whether statements of every kind on it tell something, in bearable time.
    pub(super) fn is_queried(&self) -> bool {
        (2..=MOST_ROWS).contains(&self.rows.num_rows()) && self.table.columns.len() <= MOST_COLUMNS && !values::is_proof(&self.table)
    }

    /// The same rows in memory.
    pub(super) fn in_memory(&self) -> Result<Arc<dyn TableProvider>, String> {
        let table = MemTable::try_new(self.rows.schema(), vec![vec![self.rows.clone()]]).map_err(|error| error.to_string())?;
        Ok(Arc::new(table))
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
        let Some(values) = self.rows.column_by_name(&column.name) else { return Vec::new() };
        let mut all: Vec<ScalarValue> =
            (0..values.len()).filter(|row| !values.is_null(*row)).filter_map(|row| ScalarValue::try_from_array(values, row).ok()).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        all.dedup();
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
