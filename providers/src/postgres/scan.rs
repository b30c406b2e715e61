//! Runs one statement as a binary `COPY` and streams its rows as record batches.
//!
//! Decoding runs in a task of its own, a few batches ahead of the reader; the source waits when the reader does. Whatever ends the
//! task early drops the lease of its connection, which cancels the statement at the source.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_postgres::{CopyOutStream, Error as DriverError};
use tokio_util::sync::CancellationToken;

use super::connect::{Connections, Lease};
use super::copy_binary::{CopyDecoder, Progress};
use super::failure::{self, Clock};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteId;
use crate::sql::{RemoteSql, ScanLimits};

/// Batches that may wait for the reader.
const BATCHES_AHEAD: usize = 2;
/// How long the source may pause before a batch that is not full leaves. The first batch leaves at the first pause of any length.
const LINGER: Duration = Duration::from_millis(5);

/// A statement to run.
pub(super) struct Scan {
    pub(super) id: RemoteId,
    pub(super) connections: Arc<Connections>,
    pub(super) closed: CancellationToken,
    pub(super) sql: RemoteSql,
    pub(super) limits: ScanLimits,
}

impl Scan {
    /// The rows, as batches of exactly `schema`. Nothing happens until the stream is polled.
    pub(super) fn stream(self, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
        let decoder = CopyDecoder::new(Arc::clone(&schema), self.limits.batch_rows).map_err(|error| error.at(self.id.as_str()))?;
        let row_schema = Arc::clone(&schema);
        let rows = stream::once(async move {
            let mut builder = RecordBatchReceiverStream::builder(row_schema, BATCHES_AHEAD);
            let sender = builder.tx();
            builder.spawn(async move { self.run(decoder, sender).await.map_err(DataFusionError::from) });
            builder.build()
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.flatten())))
    }

    async fn run(self, decoder: CopyDecoder, sender: Sender<DataFusionResult<RecordBatch>>) -> Result<()> {
        let deadline = self.limits.query_timeout.map(Deadline::after);
        let out_of_time = async {
            match deadline {
                Some(deadline) => {
                    sleep_until(deadline.instant()).await;
                    failure::timeout(deadline.limit(), "")
                }
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            biased;
            result = self.read(decoder, sender, deadline) => result,
            error = out_of_time => Err(error),
            () = self.closed.cancelled() => Err(closed()),
        };
        result.map_err(|error| error.at(self.id.as_str()))
    }

    async fn read(&self, decoder: CopyDecoder, sender: Sender<DataFusionResult<RecordBatch>>, deadline: Option<Deadline>) -> Result<()> {
        let (lease, rows) = self.start(deadline).await?;
        let mut reader = Reader { rows: Box::pin(rows), decoder, linger: Box::pin(sleep(LINGER)), pause: Pause::First };
        loop {
            match std::future::poll_fn(|context| reader.poll_step(context)).await {
                Ok(Step::Batch) => {
                    // Nobody reads any more: the drop of the lease cancels the statement.
                    if sender.send(Ok(reader.decoder.take_batch()?)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Step::End) => {
                    // The next statement need not wait until the last rows are taken.
                    lease.finish();
                    if reader.decoder.rows() > 0 {
                        // A reader that went away does not need them.
                        let _ = sender.send(Ok(reader.decoder.take_batch()?)).await;
                    }
                    return Ok(());
                }
                Err(ReadError::Driver(error)) => {
                    lease.discard();
                    return Err(failure::running(error, clock(deadline)));
                }
                Err(ReadError::Value(error)) => return Err(error),
            }
        }
    }

    /// Sends the statement, on another connection when the one from the pool turns out to be dead.
    async fn start(&self, deadline: Option<Deadline>) -> Result<(Lease, CopyOutStream)> {
        loop {
            let mut lease = self.connections.lease(deadline).await?;
            let used = lease.is_used();
            match lease.copy_out(&self.sql.text, self.limits.query_timeout).await {
                Ok(rows) => return Ok((lease, rows)),
                Err(error) => {
                    lease.discard();
                    // A used connection is not seen again, so this ends with a new one at the latest.
                    if !(used && failure::is_lost(&error)) {
                        return Err(failure::running(error, clock(deadline)));
                    }
                }
            }
        }
    }
}

/// The error of a stream whose datasource was closed.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unreachable, "the datasource was closed").hint("start the datasource and run the statement again")
}

fn clock(deadline: Option<Deadline>) -> Option<Clock> {
    deadline.map(|deadline| Clock { limit: deadline.limit(), elapsed: deadline.limit().saturating_sub(deadline.remaining()) })
}

struct Reader {
    rows: Pin<Box<CopyOutStream>>,
    decoder: CopyDecoder,
    linger: Pin<Box<Sleep>>,
    pause: Pause,
}

/// What a pause of the source means to the rows at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// No batch has left yet: they leave at once.
    First,
    /// They wait for more, but not long.
    Unseen,
    /// They are waiting.
    Seen,
}

enum Step {
    Batch,
    End,
}

enum ReadError {
    Driver(DriverError),
    Value(Error),
}

impl Reader {
    /// Reads until a batch should leave or the result is complete.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, ReadError>> {
        loop {
            if self.decoder.decode().map_err(ReadError::Value)? == Progress::Full {
                return self.batch();
            }
            match self.rows.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(message))) => self.decoder.push(message),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(ReadError::Driver(error))),
                Poll::Ready(None) if self.decoder.is_complete() => return Poll::Ready(Ok(Step::End)),
                Poll::Ready(None) => {
                    let text = "lost the connection while reading: the source ended the result before it was complete";
                    return Poll::Ready(Err(ReadError::Value(Error::new(ErrorKind::Unreachable, text).hint("try again"))));
                }
                Poll::Pending => break,
            }
        }
        if self.decoder.rows() == 0 {
            return Poll::Pending;
        }
        if self.pause == Pause::Unseen {
            self.linger.as_mut().reset(Instant::now() + LINGER);
            self.pause = Pause::Seen;
        }
        if self.pause == Pause::Seen {
            ready!(self.linger.as_mut().poll(context));
        }
        self.batch()
    }

    fn batch(&mut self) -> Poll<Result<Step, ReadError>> {
        self.pause = Pause::Unseen;
        Poll::Ready(Ok(Step::Batch))
    }
}
