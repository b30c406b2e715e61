//! Who is told of each statement a source was sent, and how its rows are counted for that.
//!
//! Only what is sent for users' statements is told of: what a connector asks for itself, to list tables or to see whether the source is
//! there, does not run in a session that has an observer.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::prelude::SessionConfig;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use crate::error::{Error, ErrorKind};
use crate::remote::RemoteId;

/// Is told of statements that ended.
pub trait StatementObserver: fmt::Debug + Send + Sync {
    /// A statement ended as `report` says. Its end is held back until the future is done; one that was dropped has nobody to hold back,
    /// and its future runs by itself.
    ///
    /// `None` when there is nothing to wait for.
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>>;
}

/// One statement of a source that ended: a scan, a change of rows, or the commit of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementReport {
    /// The datasource.
    pub datasource: RemoteId,
    /// The statement without its values, or for files what was read.
    pub statement: String,
    /// The rows that arrived, or were changed.
    pub rows: u64,
    /// The bytes their values take in memory, as they arrived: not those on the wire. Zero for what changes rows.
    pub bytes: u64,
    /// From the first demand for rows, or from when the change was sent, to the end. Time the reader took between batches counts.
    pub elapsed: Duration,
    /// How it ended.
    pub outcome: StatementOutcome,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementOutcome {
    /// All its rows were read, or changed.
    Completed,
    /// It failed.
    Failed(ErrorKind),
    /// It was dropped before its end: by a cancel, a limit of time, a client that left, or because no more rows were wanted.
    Cancelled,
}

/// The observer as a session carries it.
struct Observed(Arc<dyn StatementObserver>);

/// Has `observer` told of what the scans of a session send.
pub fn observe_statements(config: &mut SessionConfig, observer: Arc<dyn StatementObserver>) {
    config.set_extension(Arc::new(Observed(observer)));
}

/// The observer of the session that `context` belongs to.
pub(crate) fn observer(context: &TaskContext) -> Option<Arc<dyn StatementObserver>> {
    context.session_config().get_extension::<Observed>().map(|observed| Arc::clone(&observed.0))
}

/// What the streams of one scan have counted so far. The last of them to end reports it.
#[derive(Debug)]
pub(crate) struct Tally {
    observer: Arc<dyn StatementObserver>,
    datasource: RemoteId,
    statement: String,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    started: Option<Instant>,
    rows: u64,
    bytes: u64,
    failure: Option<ErrorKind>,
    is_dropped: bool,
}

impl Tally {
    pub(crate) fn new(observer: Arc<dyn StatementObserver>, datasource: RemoteId, statement: String) -> Arc<Self> {
        Arc::new(Self { observer, datasource, statement, counted: Mutex::default() })
    }

    fn count(&self, change: impl FnOnce(&mut Counted)) {
        // Sums are whole after any panic.
        change(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reports that the last stream was dropped. Nobody waits for the observer then.
    fn dropped(self: Arc<Self>) {
        self.count(|counted| counted.is_dropped |= counted.started.is_some());
        in_background(self.end());
    }

    /// Reports, unless other streams still count or nothing was ever asked of the source.
    fn end(self: Arc<Self>) -> Option<BoxFuture<'static, ()>> {
        let Self { observer, datasource, statement, counted } = Arc::into_inner(self)?;
        let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let started = counted.started?;
        let outcome = match counted.failure {
            Some(kind) => StatementOutcome::Failed(kind),
            None if counted.is_dropped => StatementOutcome::Cancelled,
            None => StatementOutcome::Completed,
        };
        let (rows, bytes) = (counted.rows, counted.bytes);
        observer.ended(StatementReport { datasource, statement, rows, bytes, elapsed: started.elapsed(), outcome })
    }
}

/// The rows of one stream of a scan, counted.
pub(crate) fn counted(rows: SendableRecordBatchStream, tally: Arc<Tally>) -> SendableRecordBatchStream {
    Box::pin(CountedRows { rows, tally: Some(tally), ending: None })
}

struct CountedRows {
    rows: SendableRecordBatchStream,
    /// Gone once this stream has ended.
    tally: Option<Arc<Tally>>,
    ending: Option<Ending>,
}

/// What is handed on once the observer is done.
struct Ending {
    told: BoxFuture<'static, ()>,
    last: Option<DataFusionResult<RecordBatch>>,
}

impl Stream for CountedRows {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(ending) = &mut self.ending {
            ready!(ending.told.poll_unpin(context));
            return Poll::Ready(self.ending.take().and_then(|ending| ending.last));
        }
        let Some(tally) = self.tally.clone() else { return self.rows.poll_next_unpin(context) };
        tally.count(|counted| {
            counted.started.get_or_insert_with(Instant::now);
        });
        let next = ready!(self.rows.poll_next_unpin(context));
        match &next {
            Some(Ok(batch)) => {
                tally.count(|counted| {
                    counted.rows += batch.num_rows() as u64;
                    counted.bytes += bytes(batch);
                });
                return Poll::Ready(next);
            }
            Some(Err(error)) => tally.count(|counted| {
                counted.failure.get_or_insert(kind(error));
            }),
            None => {}
        }
        self.tally = None;
        match tally.end() {
            Some(told) => {
                self.ending = Some(Ending { told, last: next });
                self.poll_next(context)
            }
            None => Poll::Ready(next),
        }
    }
}

impl RecordBatchStream for CountedRows {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Drop for CountedRows {
    fn drop(&mut self) {
        match (self.tally.take(), self.ending.take()) {
            (Some(tally), _) => tally.dropped(),
            (None, Some(ending)) => in_background(Some(ending.told)),
            (None, None) => {}
        }
    }
}

fn in_background(told: Option<BoxFuture<'static, ()>>) {
    // Without a runtime the process is ending, and nobody is left to be told.
    if let (Some(told), Ok(runtime)) = (told, tokio::runtime::Handle::try_current()) {
        runtime.spawn(told);
    }
}

/// `work`, of which its observer is told once it has ended with the number of its rows, or is dropped before. `kind` is that of its error.
pub(crate) async fn observed<E>(
    tally: Arc<Tally>,
    work: impl Future<Output = Result<u64, E>>,
    kind: fn(&E) -> ErrorKind,
) -> Result<u64, E> {
    let (outcome, told) = ended(tally, work, kind).await;
    let mut telling = Telling(told);
    if let Some(told) = &mut telling.0 {
        told.await;
    }
    telling.0 = None;
    outcome
}

/// The same for what nobody may wait for longer than it takes: the observer is told in the background.
pub(crate) async fn observed_aside<E>(
    tally: Arc<Tally>,
    work: impl Future<Output = Result<u64, E>>,
    kind: fn(&E) -> ErrorKind,
) -> Result<u64, E> {
    let (outcome, told) = ended(tally, work, kind).await;
    in_background(told);
    outcome
}

async fn ended<E>(
    tally: Arc<Tally>,
    work: impl Future<Output = Result<u64, E>>,
    kind: fn(&E) -> ErrorKind,
) -> (Result<u64, E>, Option<BoxFuture<'static, ()>>) {
    tally.count(|counted| counted.started = Some(Instant::now()));
    let mut unfinished = Unfinished(Some(tally));
    let outcome = work.await;
    let told = unfinished.0.take().and_then(|tally| {
        tally.count(|counted| match &outcome {
            Ok(rows) => counted.rows = *rows,
            Err(error) => counted.failure = Some(kind(error)),
        });
        tally.end()
    });
    (outcome, told)
}

/// An observer that is being told. Dropped before, it is told in the background.
struct Telling(Option<BoxFuture<'static, ()>>);

impl Drop for Telling {
    fn drop(&mut self) {
        in_background(self.0.take());
    }
}

/// Work that has not ended.
struct Unfinished(Option<Arc<Tally>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(tally) = self.0.take() {
            tally.dropped();
        }
    }
}

/// The bytes of the batch's own rows, whatever larger buffers it shares with others.
pub(crate) fn bytes(batch: &RecordBatch) -> u64 {
    let of = |column: &Arc<dyn Array>| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
    batch.columns().iter().map(|column| of(column) as u64).sum()
}

/// The kind of ours that is in `error`.
pub(crate) fn kind(error: &DataFusionError) -> ErrorKind {
    Error::find(error).map_or(ErrorKind::Internal, Error::kind)
}

#[cfg(test)]
mod tests;
