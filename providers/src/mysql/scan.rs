//! Runs one statement and streams its rows, in a task of its own so that reading and computing overlap.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::StreamExt;

use super::connect::Session;
use super::decode::BatchBuilder;
use super::failure;
use super::row_reader::{Interruption, Output, RowReader};
use super::{MySqlRemote, collations};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::sql::{BATCHES_AHEAD, RemoteSql, ScanLimits};

/// The rows of `sql` as batches of `schema`. Nothing happens before the stream is polled.
pub(super) fn execute(
    remote: Arc<MySqlRemote>,
    sql: RemoteSql,
    schema: SchemaRef,
    limits: ScanLimits,
) -> Result<SendableRecordBatchStream> {
    let batch = BatchBuilder::new(Arc::clone(&schema), remote.policy.zero_dates).map_err(|error| error.at(remote.id().as_str()))?;
    let batch = batch.of(sql.origins.clone());
    let adapted = Arc::clone(&schema);
    let batches = futures::stream::once(async move {
        let mut task = RecordBatchReceiverStream::builder(schema, BATCHES_AHEAD);
        let output = task.tx();
        // Dropping the stream aborts the task, and that drops the session, which ends the statement at the server.
        task.spawn(async move {
            let rows = RowReader::new(batch, limits, Output::Stream(output.clone()));
            let run = remote.until_closed(Scan { remote: &remote, sql: &sql, limits }.run(rows));
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
}

impl Scan<'_> {
    async fn run(self, mut rows: RowReader) -> Result<()> {
        let deadline = self.limits.query_timeout.map(Deadline::after);
        let out_of_time = |error: Error| failure::while_waiting(error, self.limits.query_timeout);
        let mut session = self.remote.session(deadline).await.map_err(out_of_time)?;
        let mut outcome = self.read(&mut session, &mut rows).await;
        // A connection that idled may have been closed by the server, which only shows now. Statements read: one may be run again.
        if !rows.has_answered() && session.has_served() && outcome.as_ref().is_err_and(Interruption::is_lost_connection) {
            session.finish();
            drop(session);
            session = self.remote.fresh_session(deadline).await.map_err(out_of_time)?;
            outcome = self.read(&mut session, &mut rows).await;
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

    async fn read(&self, session: &mut Session, rows: &mut RowReader) -> Result<(), Interruption> {
        session.begin();
        session.limit_time(self.limits.query_timeout).await?;
        collations::check(session, self.remote.dialect, &self.sql.reliance).await?;
        rows.read(session, &self.sql.text).await
    }
}
