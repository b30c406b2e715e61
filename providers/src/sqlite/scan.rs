//! One statement's rows as record batches.
//!
//! SQLite runs in a thread for blocking work; a task supervises it: it stops the statement when the consumer goes away, the time is
//! up or the datasource is closed, and it alone says how the scan ended. A stream that ends without an error is complete.

use std::cell::Cell;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt};
use rusqlite::{Row, Statement};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::SqliteRemote;
use super::connect::{Database, DatabaseFile, Stop, failure, patiently};
use super::pending::{Pending, Refusal};
use super::verify;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::{Access, Pooled};
use crate::sql::{BATCHES_AHEAD, RemoteSql, ScanLimits};

/// Rows do not wait longer than this for a batch to fill.
const ROW_AGE: Duration = Duration::from_millis(20);

/// How often a statement that is to end is interrupted until it has.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(10);

pub(super) fn execute(
    remote: Arc<SqliteRemote>,
    sql: RemoteSql,
    schema: SchemaRef,
    limits: ScanLimits,
) -> Result<SendableRecordBatchStream> {
    let rows = Arc::new(Pending::new(Arc::clone(&schema), limits, remote.mismatch).map_err(|e| e.at(remote.id.as_str()))?);
    let width = schema.fields().len();
    let batches = futures::stream::once(async move {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let scan = Scan { remote, sql, width, query_timeout: limits.query_timeout, rows };
        // The task ends by itself once the receiver is gone and SQLite has noticed.
        tokio::spawn(scan.supervise(sender));
        until_error(receiver)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.flatten())))
}

/// The batches up to and including the first error.
fn until_error(receiver: mpsc::Receiver<Result<RecordBatch>>) -> impl Stream<Item = Result<RecordBatch, DataFusionError>> {
    futures::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await? {
            Ok(batch) => Some((Ok(batch), Some(receiver))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

struct Scan {
    remote: Arc<SqliteRemote>,
    sql: RemoteSql,
    width: usize,
    query_timeout: Option<Duration>,
    rows: Arc<Pending>,
}

/// How the supervision of a running statement ended.
enum End {
    Finished(Result<Pooled<DatabaseFile>>),
    Abandoned,
    TimedOut(Duration),
    Closed,
}

impl Scan {
    async fn supervise(self, sender: Sender<Result<RecordBatch>>) {
        let deadline = self.query_timeout.map(Deadline::after);
        let database = tokio::select! {
            () = sender.closed() => return,
            acquired = self.remote.acquire(Access::Read, deadline) => match (acquired, deadline) {
                (Ok(database), _) => database,
                (Err(error), Some(deadline)) if error.kind() == ErrorKind::Timeout => {
                    return self.fail(&sender, timed_out(deadline.limit()).because(error)).await;
                }
                (Err(error), _) => return self.fail(&sender, error).await,
            },
        };
        let stop = Stop::new(&database);
        let mut worker = self.start(database, &stop, sender.clone());
        match self.watch(&mut worker, deadline, &sender).await {
            End::Finished(Ok(database)) => {
                stop.disarm();
                database.give_back();
            }
            End::Finished(Err(error)) => self.fail(&sender, error).await,
            End::Abandoned => interrupt(&stop, worker).await,
            End::TimedOut(limit) => {
                tokio::join!(self.fail(&sender, timed_out(limit)), interrupt(&stop, worker));
            }
            End::Closed => {
                let closed = Error::new(ErrorKind::Unreachable, "the datasource was closed");
                tokio::join!(self.fail(&sender, closed), interrupt(&stop, worker));
            }
        }
    }

    fn start(
        &self,
        database: Pooled<DatabaseFile>,
        stop: &Stop,
        sender: Sender<Result<RecordBatch>>,
    ) -> JoinHandle<Result<Pooled<DatabaseFile>>> {
        let stop = stop.token();
        let rows = Arc::clone(&self.rows);
        let sql = self.sql.clone();
        let (width, patience) = (self.width, self.remote.patience);
        tokio::task::spawn_blocking(move || {
            read(&database, &sql, width, patience, &stop, &rows, &sender)?;
            Ok(database)
        })
    }

    async fn watch(
        &self,
        worker: &mut JoinHandle<Result<Pooled<DatabaseFile>>>,
        deadline: Option<Deadline>,
        sender: &Sender<Result<RecordBatch>>,
    ) -> End {
        let time_up = async {
            match deadline {
                Some(deadline) => {
                    tokio::time::sleep_until(deadline.instant()).await;
                    deadline.limit()
                }
                None => pending().await,
            }
        };
        tokio::pin!(time_up);
        let mut clock = tokio::time::interval(ROW_AGE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                finished = &mut *worker => {
                    return End::Finished(finished.unwrap_or_else(|e| {
                        Err(Error::new(ErrorKind::Internal, "reading from SQLite was aborted").because(e))
                    }));
                }
                () = sender.closed() => return End::Abandoned,
                limit = &mut time_up => return End::TimedOut(limit),
                () = self.remote.closed.cancelled() => return End::Closed,
                _ = clock.tick() => self.rows.hand_on_aged(ROW_AGE, sender),
            }
        }
    }

    async fn fail(&self, sender: &Sender<Result<RecordBatch>>, error: Error) {
        // A consumer that is gone needs no error.
        let _ = sender.send(Err(error.at(self.remote.id.as_str()))).await;
    }
}

fn timed_out(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("query_timeout of {} exceeded", humantime::format_duration(limit)))
        .hint("read less, or raise `external.query_timeout` of the datasource")
}

/// Interrupts until the statement has ended. An interrupt that comes between two steps is lost, so one is not enough.
pub(super) async fn interrupt<T>(stop: &Stop, mut worker: JoinHandle<T>) {
    loop {
        stop.now();
        if tokio::time::timeout(INTERRUPT_AGAIN, &mut worker).await.is_ok() {
            return;
        }
    }
}

/// The error of a value that is none of its column's type, with the table and the row, where the value is one that is stored.
pub(super) fn located(database: &Database, row: &Row<'_>, rows: &Pending, refusal: Refusal) -> Error {
    let Refusal { error, column: Some(column) } = refusal else { return refusal.error };
    let statement: &Statement<'_> = row.as_ref();
    let origin = statement.columns_with_metadata().into_iter().nth(column);
    let origin = origin.and_then(|origin| Some((origin.table_name()?.to_owned(), origin.origin_name()?.to_owned())));
    match origin {
        Some((table, name)) => verify::located(database.connection(), &table, &rows.field(column).clone().with_name(name), &error),
        None => error,
    }
}

/// Steps the statement to its end. Blocks.
fn read(
    database: &Database,
    sql: &RemoteSql,
    width: usize,
    patience: Duration,
    stop: &CancellationToken,
    rows: &Pending,
    sender: &Sender<Result<RecordBatch>>,
) -> Result<()> {
    let stopped = || stop.is_cancelled();
    let mut statement = patiently(patience, &stopped, || database.connection().prepare(&sql.text).map_err(failure))?;
    // A statement for counting rows has one column that nobody reads.
    if statement.column_count() != width.max(1) {
        let text = format!("the statement gives {} columns where {width} are wanted", statement.column_count());
        return Err(Error::new(ErrorKind::Internal, text));
    }
    let cancelled = || Error::new(ErrorKind::Cancelled, "the statement was cancelled");
    let runtime = Handle::current();
    let hand_on = |batch: RecordBatch| {
        // A consumer that takes nothing for long holds nothing up when the statement is to end.
        let sent = runtime.block_on(async {
            tokio::select! {
                sent = sender.send(Ok(batch)) => sent.map_err(|_| cancelled()),
                () = stop.cancelled() => Err(cancelled()),
            }
        });
        rows.handed_on();
        sent
    };
    // A lock is met at the first step or not at all; once a row was read the statement is never begun again.
    let begun = Cell::new(false);
    patiently(patience, &|| begun.get() || stopped(), || {
        database.make_sure(&sql.reliance, &stopped)?;
        let mut result = statement.query([]).map_err(failure)?;
        while let Some(row) = result.next().map_err(failure)? {
            begun.set(true);
            if stopped() {
                return Err(cancelled());
            }
            if let Some(batch) = rows.push(row).map_err(|refusal| located(database, row, rows, refusal))? {
                hand_on(batch)?;
            }
        }
        match rows.rest()? {
            Some(batch) => hand_on(batch),
            None => Ok(()),
        }
    })?;
    drop(statement);
    database.end()
}
