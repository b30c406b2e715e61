//! Runs one statement and streams its rows, in a task of its own so that reading and computing overlap.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::ClickHouseRemote;
use super::connect::Session;
use super::convert::conform;
use super::failure::{self, Failure};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::Remote;
use crate::sql::{BATCHES_AHEAD, RemoteSql, ScanLimits};

/// The rows of `sql` as batches of `schema`. Nothing happens before the stream is polled.
pub(super) fn execute(
    remote: Arc<ClickHouseRemote>,
    sql: RemoteSql,
    schema: SchemaRef,
    limits: ScanLimits,
) -> Result<SendableRecordBatchStream> {
    let adapted = Arc::clone(&schema);
    let batches = futures::stream::once(async move {
        let mut task = RecordBatchReceiverStream::builder(Arc::clone(&schema), BATCHES_AHEAD);
        let output = task.tx();
        // Dropping the stream aborts the task, and that drops the session, which ends the statement at the server.
        task.spawn(async move {
            let run = remote.until_closed(Scan { remote: &remote, sql: &sql, schema, limits, output: &output }.run());
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
    remote: &'a ClickHouseRemote,
    sql: &'a RemoteSql,
    schema: SchemaRef,
    limits: ScanLimits,
    output: &'a Sender<DataFusionResult<RecordBatch>>,
}

impl Scan<'_> {
    async fn run(self) -> Result<()> {
        let limit = self.limits.query_timeout;
        let deadline = limit.map(Deadline::after);
        let out_of_time = |error: Error| match (error.kind(), limit) {
            (ErrorKind::Timeout, Some(limit)) => failure::timed_out(limit).because(error),
            _ => error,
        };
        let mut session = self.remote.session(deadline).await.map_err(out_of_time)?;
        let mut answered = false;
        let mut outcome = self.read(&mut session, &mut answered).await;
        // A connection that idled may have been closed by the server, which only shows now. Statements read: one may be run again.
        if !answered && session.has_served() && outcome.as_ref().is_err_and(Interruption::is_lost_connection) {
            session.finish();
            drop(session);
            session = self.remote.fresh_session(deadline).await.map_err(out_of_time)?;
            outcome = self.read(&mut session, &mut answered).await;
        }
        match outcome {
            Ok(()) => {
                session.finish();
                session.give_back();
                Ok(())
            }
            Err(Interruption::Remote(cause)) => {
                // The server has ended it by itself.
                if matches!(cause, Failure::Refused(_)) {
                    session.finish();
                }
                Err(failure::of_statement(cause, limit))
            }
            Err(Interruption::Here(error)) => Err(error),
            Err(Interruption::Unwanted) => Ok(()),
        }
    }

    async fn read(&self, session: &mut Session, answered: &mut bool) -> Result<(), Interruption> {
        let mut answer = session.ask(&self.sql.text, self.limits.query_timeout).await.map_err(Interruption::Remote)?;
        *answered = true;
        while let Some(batch) = answer.next().await.map_err(Interruption::Remote)? {
            let batch = conform(&batch, &self.schema, &self.sql.origins).map_err(Interruption::Here)?;
            let mut from = 0;
            while from < batch.num_rows() {
                let rows = self.limits.batch_rows.max(1).min(batch.num_rows() - from);
                self.output.send(Ok(batch.slice(from, rows))).await.map_err(|_| Interruption::Unwanted)?;
                from += rows;
            }
        }
        Ok(())
    }
}

/// Why reading ended before the result did.
enum Interruption {
    /// The server or the connection to it.
    Remote(Failure),
    /// A value or a column that has no place here.
    Here(Error),
    /// Nobody wants the rows any more.
    Unwanted,
}

impl Interruption {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Remote(cause) if cause.is_lost_connection())
    }
}
