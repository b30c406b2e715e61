//! Runs one statement and streams its rows, in a task of its own so that reading and computing overlap.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row};
use tokio::sync::mpsc::Sender;

use super::connect::Session;
use super::decode::BatchBuilder;
use super::failure;
use super::{MySqlRemote, collations};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::Remote;
use crate::sql::{BATCH_BYTES, BATCHES_AHEAD, RemoteSql, ScanLimits};

/// How long a batch that is not the first waits for the source to go on before it leaves unfilled.
const PAUSE: Duration = Duration::from_millis(5);

/// The rows of `sql` as batches of `schema`. Nothing happens before the stream is polled.
pub(super) fn execute(
    remote: Arc<MySqlRemote>,
    sql: RemoteSql,
    schema: SchemaRef,
    limits: ScanLimits,
) -> Result<SendableRecordBatchStream> {
    let batch = BatchBuilder::new(Arc::clone(&schema), remote.policy.zero_dates).map_err(|error| error.at(remote.id().as_str()))?;
    let adapted = Arc::clone(&schema);
    let batches = futures::stream::once(async move {
        let mut task = RecordBatchReceiverStream::builder(schema, BATCHES_AHEAD);
        let output = task.tx();
        // Dropping the stream aborts the task, and that drops the session, which ends the statement at the server.
        task.spawn(async move {
            let run = remote.until_closed(Scan { remote: &remote, sql: &sql, limits, output: &output }.run(batch));
            let outcome = match limits.query_timeout {
                Some(limit) => tokio::time::timeout(limit, run).await.unwrap_or_else(|_| Err(failure::timed_out(limit))),
                None => run.await,
            };
            if let Err(error) = outcome {
                // Through the channel, so that the rows before it arrive before it.
                let _ = output.send(Err(error.at(remote.id().as_str()).into())).await;
            }
            Ok(())
        });
        task.build()
    })
    .flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(adapted, batches)))
}

struct Scan<'a> {
    remote: &'a MySqlRemote,
    sql: &'a RemoteSql,
    limits: ScanLimits,
    output: &'a Sender<DataFusionResult<RecordBatch>>,
}

impl Scan<'_> {
    async fn run(self, mut batch: BatchBuilder) -> Result<()> {
        let deadline = self.limits.query_timeout.map(Deadline::after);
        let out_of_time = |error: Error| match (error.kind(), self.limits.query_timeout) {
            (ErrorKind::Timeout, Some(limit)) => failure::timed_out(limit).because(error),
            _ => error,
        };
        let mut session = self.remote.session(deadline).await.map_err(out_of_time)?;
        let mut answered = false;
        let mut outcome = self.read(&mut session, &mut batch, &mut answered).await;
        // A connection that idled may have been closed by the server, which only shows now. Statements read: one may be run again.
        if !answered && session.has_served() && outcome.as_ref().is_err_and(Interruption::is_lost_connection) {
            session.finish();
            drop(session);
            session = self.remote.fresh_session(deadline).await.map_err(out_of_time)?;
            outcome = self.read(&mut session, &mut batch, &mut answered).await;
        }
        match outcome {
            Ok(()) => {
                session.finish();
                session.give_back();
                Ok(())
            }
            Err(Interruption::Remote(cause)) => {
                if !failure::lost_connection(&cause) {
                    session.finish();
                    session.give_back();
                }
                Err(failure::of_statement(cause, self.limits.query_timeout))
            }
            Err(Interruption::Here(error)) => Err(error),
            Err(Interruption::Unwanted) => Ok(()),
        }
    }

    async fn read(&self, session: &mut Session, batch: &mut BatchBuilder, answered: &mut bool) -> Result<(), Interruption> {
        session.begin();
        session.limit_time(self.limits.query_timeout).await?;
        collations::check(session, self.remote.dialect, &self.sql.reliance).await?;
        // Prepared, although it has no parameters: the binary protocol gives numbers and times exactly, without text in between.
        let mut result = session.connection().exec_iter(self.sql.text.as_str(), Params::Empty).await?;
        *answered = true;
        batch.come_from(result.columns_ref()).map_err(Interruption::Here)?;
        let Some(mut rows) = result.stream::<Row>().await? else {
            return Err(Interruption::Here(Error::new(ErrorKind::Internal, "the statement gave no result")));
        };
        let mut first = true;
        loop {
            let row = match futures::poll!(rows.next()) {
                Poll::Ready(row) => row,
                Poll::Pending if batch.rows() == 0 => rows.next().await,
                Poll::Pending => match paused(first, rows.next()).await {
                    Some(row) => row,
                    None => {
                        self.send(batch, &mut first).await?;
                        continue;
                    }
                },
            };
            let Some(row) = row else { break };
            batch.push(row?).map_err(Interruption::Here)?;
            if batch.rows() >= self.limits.batch_rows || batch.bytes() >= BATCH_BYTES {
                self.send(batch, &mut first).await?;
            }
        }
        if batch.rows() > 0 {
            self.send(batch, &mut first).await?;
        }
        Ok(())
    }

    async fn send(&self, batch: &mut BatchBuilder, first: &mut bool) -> Result<(), Interruption> {
        *first = false;
        let batch = batch.finish().map_err(Interruption::Here)?;
        self.output.send(Ok(batch)).await.map_err(|_| Interruption::Unwanted)
    }
}

/// What `next` gives, unless the source pauses. Before the first batch any pause counts.
async fn paused<T>(first: bool, next: impl Future<Output = T>) -> Option<T> {
    if first { None } else { tokio::time::timeout(PAUSE, next).await.ok() }
}

/// Why reading ended early.
pub(super) enum Interruption {
    /// The server or the connection to it.
    Remote(mysql_async::Error),
    /// A row we cannot take.
    Here(Error),
    /// Nobody reads any more.
    Unwanted,
}

impl Interruption {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Remote(cause) if failure::lost_connection(cause))
    }
}

impl From<mysql_async::Error> for Interruption {
    fn from(cause: mysql_async::Error) -> Self {
        Self::Remote(cause)
    }
}
