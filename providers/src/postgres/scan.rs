//! Runs one statement as a binary `COPY` and streams its rows as record batches.
//!
//! Decoding runs in a task of its own, a few batches ahead of the reader; the source waits when the reader does. Whatever ends the
//! task early drops the seat on its connection, which cancels the statement at the source.

use std::future::Future;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::{StreamExt, stream};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep_until;
use tokio_postgres::CopyOutStream;
use tokio_util::sync::CancellationToken;

use super::connect::Connections;
use super::copy_binary::CopyDecoder;
use super::copy_reader::{CopyReader, ReadError, Step};
use super::described::Wanted;
use super::exported_snapshot::ExportedSnapshot;
use super::failure::{self, Clock};
use super::known_tables::KnownTables;
use super::seat::Seat;
use super::shape::Shapes;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteId;
use crate::sql::{BATCHES_AHEAD, Dialect, RemoteSql, ScanLimits, Turn};

/// Where statements run.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) id: RemoteId,
    pub(super) connections: Arc<Connections>,
    pub(super) closed: CancellationToken,
    pub(super) dialect: &'static dyn Dialect,
    /// What the looks so far told of its tables.
    pub(super) known: Arc<KnownTables>,
}

/// A statement to run.
pub(super) struct Scan {
    pub(super) source: Source,
    pub(super) sql: RemoteSql,
    pub(super) limits: ScanLimits,
    /// The snapshot it reads in; without one it takes its own.
    pub(super) snapshot: Option<(Arc<ExportedSnapshot>, Turn)>,
}

impl Scan {
    /// The rows, as batches of exactly `schema`. Nothing happens until the stream is polled.
    pub(super) fn stream(self, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
        let decoder = CopyDecoder::new(Arc::clone(&schema), self.limits).map_err(|error| error.at(self.source.id.as_str()))?;
        let decoder = decoder.of(self.sql.origins.clone());
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
        within(deadline, &self.source.closed, self.read(decoder, sender, deadline)).await.map_err(|error| error.at(self.source.id.as_str()))
    }

    async fn read(
        &self,
        mut decoder: CopyDecoder,
        sender: Sender<DataFusionResult<RecordBatch>>,
        deadline: Option<Deadline>,
    ) -> Result<()> {
        let (seat, rows) = self.start(&mut decoder, deadline).await?;
        let mut reader = CopyReader::new(decoder);
        let mut rows = Box::pin(rows);
        loop {
            match reader.step(&mut rows).await {
                Ok(Step::Batch(batch)) => {
                    // Nobody reads any more: the drop of the seat cancels the statement.
                    if sender.send(Ok(batch)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Step::End) => {
                    // The next statement need not wait until the last rows are taken.
                    seat.finish().await;
                    if let Some(batch) = reader.rest()? {
                        // A reader that went away does not need them.
                        let _ = sender.send(Ok(batch)).await;
                    }
                    return Ok(());
                }
                Err(ReadError::Driver(error)) => {
                    return Err(seat.fail(failure::running(error, clock(deadline))));
                }
                Err(ReadError::Value(error)) => return Err(error),
            }
        }
    }

    /// Sends the statement, on another connection when the one from the pool turns out to be dead.
    async fn start(&self, decoder: &mut CopyDecoder, deadline: Option<Deadline>) -> Result<(Seat, CopyOutStream)> {
        let shapes = Shapes::of(&self.sql.reliance, &self.source.known, self.source.dialect)?;
        let mut seat = match &self.snapshot {
            Some((snapshot, turn)) => snapshot.seat(*turn, deadline).await?,
            None => Seat::alone(self.source.connections.lease(deadline).await?),
        };
        loop {
            let replaceable = seat.is_replaceable();
            match seat.copy_out(&self.sql.text, Some(Wanted { decoder, shapes: &shapes }), self.limits.query_timeout).await {
                Ok(rows) => return Ok((seat, rows)),
                Err(ReadError::Value(error)) => return Err(seat.fail(error)),
                Err(ReadError::Driver(error)) => {
                    let is_old = replaceable && failure::is_lost(&error);
                    let error = seat.fail(failure::running(error, clock(deadline)));
                    // A used connection is not seen again, so this ends with a new one at the latest.
                    if !is_old {
                        return Err(error);
                    }
                    seat = Seat::alone(self.source.connections.lease(deadline).await?);
                }
            }
        }
    }
}

/// Runs `work` until the deadline passes or the datasource is closed.
pub(super) async fn within(deadline: Option<Deadline>, closed: &CancellationToken, work: impl Future<Output = Result<()>>) -> Result<()> {
    let out_of_time = async {
        match deadline {
            Some(deadline) => {
                sleep_until(deadline.instant()).await;
                failure::timeout(deadline.limit(), "")
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        result = work => result,
        error = out_of_time => Err(error),
        () = closed.cancelled() => Err(self::closed()),
    }
}

/// The error of a stream whose datasource was closed.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unreachable, "the datasource was closed").hint("start the datasource and run the statement again")
}

/// How much of its time a statement has had.
pub(super) fn clock(deadline: Option<Deadline>) -> Option<Clock> {
    deadline.map(|deadline| Clock { limit: deadline.limit(), elapsed: deadline.limit().saturating_sub(deadline.remaining()) })
}
