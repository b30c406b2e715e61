//! Rows that were read and not yet handed on.
//!
//! The thread that steps the statement adds rows and hands on full batches. While it waits inside SQLite for the next row, the
//! scan's supervisor hands on what has waited long enough, so that a slow statement's first rows are seen at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, SchemaRef};
use rusqlite::Row;
use tokio::sync::mpsc::Sender;

use super::connect::failure;
use super::decode::ColumnBuilder;
use super::policy::Mismatch;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{BATCH_BYTES, ScanLimits, row_bytes};

/// Rows under construction.
pub(super) struct Pending {
    schema: SchemaRef,
    limits: ScanLimits,
    /// What each row holds beside its text and blobs.
    row_bytes: usize,
    mismatch: Mismatch,
    state: Mutex<State>,
}

/// Why a row was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    /// The column of the result whose value it is about.
    pub(super) column: Option<usize>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, column: None }
    }
}

struct State {
    columns: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
    /// A batch has been taken and is not in the channel yet: what follows must not overtake it.
    handing_on: bool,
}

impl Pending {
    pub(super) fn new(schema: SchemaRef, limits: ScanLimits, mismatch: Mismatch) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| ColumnBuilder::new(field)).collect::<Result<Vec<_>>>()?;
        let state = State { columns, rows: 0, bytes: 0, since: None, handing_on: false };
        Ok(Self { row_bytes: row_bytes(schema.fields()), schema, limits, mismatch, state: Mutex::new(state) })
    }

    /// Adds a row. When that fills the batch it is returned, and [`handed_on`](Self::handed_on) must follow.
    pub(super) fn push(&self, row: &Row<'_>) -> Result<Option<RecordBatch>, Refusal> {
        let mut state = self.lock();
        let state = &mut *state;
        for (index, (column, field)) in state.columns.iter_mut().zip(self.schema.fields()).enumerate() {
            let value = row.get_ref(index).map_err(failure)?;
            state.bytes += column.append(field, value, self.mismatch).map_err(|error| Refusal { error, column: Some(index) })?;
        }
        state.rows += 1;
        state.bytes += self.row_bytes;
        state.since.get_or_insert_with(Instant::now);
        if state.rows < self.limits.batch_rows.max(1) && state.bytes < BATCH_BYTES {
            return Ok(None);
        }
        state.handing_on = true;
        Ok(self.take(state).map(Some)?)
    }

    /// The field of a column of the result.
    pub(super) fn field(&self, index: usize) -> &Field {
        self.schema.field(index)
    }

    /// The rows left at the end, if any.
    pub(super) fn rest(&self) -> Result<Option<RecordBatch>> {
        let mut state = self.lock();
        if state.rows == 0 {
            return Ok(None);
        }
        state.handing_on = true;
        self.take(&mut state).map(Some)
    }

    /// The batch that was returned last is in the channel.
    pub(super) fn handed_on(&self) {
        self.lock().handing_on = false;
    }

    /// Hands on rows that have waited for `age`, if the consumer has room for them.
    pub(super) fn hand_on_aged(&self, age: Duration, sender: &Sender<Result<RecordBatch>>) {
        let mut state = self.lock();
        if state.handing_on || state.since.is_none_or(|since| since.elapsed() < age) {
            return;
        }
        if let Ok(permit) = sender.try_reserve() {
            permit.send(self.take(&mut state));
        }
    }

    fn take(&self, state: &mut State) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = state.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(state.rows));
        (state.rows, state.bytes, state.since) = (0, 0, None);
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| Error::new(ErrorKind::Internal, "rows read do not make a batch").because(e))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic while a row was added nothing is handed on any more: the scan ends with an error.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
