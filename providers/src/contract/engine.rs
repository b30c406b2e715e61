//! What plans and computes statements for the contract. The crate that plans implements it; this one knows none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::SchemaProvider;

use super::refusal::Refusal;

/// The schema that the tables of a statement are in.
pub const SCHEMA: &str = "source";

/// Answers statements over the tables of one remote, or over the same rows in memory.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    /// Answers one query. `tables` are the schema [`SCHEMA`]; what a source may compute, it is asked to.
    ///
    /// # Errors
    /// Whatever kept it from answering: what the connector said, when it was that.
    async fn answer(&self, tables: Arc<dyn SchemaProvider>, sql: &str) -> Result<Answer, Refusal>;
}

/// An answer, and who computed it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// The statements that the source was sent, in the order of the plan.
    pub statements: Vec<String>,
    /// The operators that computed here, by name.
    pub computed_here: Vec<String>,
}

impl Answer {
    /// Whether all of it ran as one statement at the source.
    pub(super) fn is_the_sources(&self) -> bool {
        self.statements.len() == 1 && self.computed_here.is_empty()
    }

    /// The rows as texts, NULL as `None`.
    pub(super) fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.batches.iter().flat_map(|batch| rows(batch.columns(), batch.num_rows())).collect()
    }
}

/// The rows of some columns as texts.
pub(super) fn rows(columns: &[ArrayRef], count: usize) -> Vec<Vec<Option<String>>> {
    let options = FormatOptions::new().with_display_error(true);
    let formatters: Vec<_> = columns.iter().map(|column| ArrayFormatter::try_new(column, &options)).collect();
    (0..count)
        .map(|row| {
            let value = |(column, formatter): (&ArrayRef, &Result<ArrayFormatter<'_>, _>)| match formatter {
                _ if column.is_null(row) => None,
                Ok(formatter) => Some(formatter.value(row).to_string()),
                Err(error) => Some(format!("{error}")),
            };
            columns.iter().zip(&formatters).map(value).collect()
        })
        .collect()
}

/// How often each row is there: what two answers without an order agree in.
pub(super) fn counted(rows: Vec<Vec<Option<String>>>) -> BTreeMap<Vec<Option<String>>, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    counts
}
