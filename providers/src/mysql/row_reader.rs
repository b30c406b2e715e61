//! Reads the rows of a statement into batches and hands those on as soon as the source pauses.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result as DataFusionResult;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row};
use tokio::sync::mpsc::Sender;

use super::connect::Session;
use super::decode::BatchBuilder;
use super::failure;
use crate::error::{Error, ErrorKind};
use crate::shared_rows::RowQueue;
use crate::sql::{BATCH_BYTES, ScanLimits};

/// How long a batch that is not the first waits for the source to go on before it leaves unfilled.
const PAUSE: Duration = Duration::from_millis(5);

/// Where batches go.
pub(super) enum Output {
    /// To the one who reads the statement.
    Stream(Sender<DataFusionResult<RecordBatch>>),
    /// To all who read the scan.
    Queue(Arc<RowQueue>),
}

/// Reads statements of one schema, one after the other.
pub(super) struct RowReader {
    batch: BatchBuilder,
    limits: ScanLimits,
    output: Output,
    has_sent: bool,
    has_answered: bool,
}

impl RowReader {
    pub(super) fn new(batch: BatchBuilder, limits: ScanLimits, output: Output) -> Self {
        Self { batch, limits, output, has_sent: false, has_answered: false }
    }

    /// Whether the source has answered a statement: it cannot be sent on another connection any more.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Runs `sql` and hands on all of its rows.
    pub(super) async fn read(&mut self, session: &mut Session, sql: &str) -> Result<(), Interruption> {
        // Prepared, although it has no parameters: the binary protocol gives numbers and times exactly, without text in between.
        let mut result = session.connection().exec_iter(sql, Params::Empty).await?;
        self.has_answered = true;
        self.batch.come_from(result.columns_ref()).map_err(Interruption::Here)?;
        let Some(mut rows) = result.stream::<Row>().await? else {
            return Err(Interruption::Here(Error::new(ErrorKind::Internal, "the statement gave no result")));
        };
        loop {
            let row = match futures::poll!(rows.next()) {
                Poll::Ready(row) => row,
                Poll::Pending if self.batch.rows() == 0 => rows.next().await,
                Poll::Pending => match paused(self.has_sent, rows.next()).await {
                    Some(row) => row,
                    None => {
                        self.send().await?;
                        continue;
                    }
                },
            };
            let Some(row) = row else { break };
            self.batch.push(row?).map_err(Interruption::Here)?;
            if self.batch.rows() >= self.limits.batch_rows || self.batch.bytes() >= BATCH_BYTES {
                self.send().await?;
            }
        }
        if self.batch.rows() > 0 {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Interruption> {
        self.has_sent = true;
        let batch = self.batch.finish().map_err(Interruption::Here)?;
        match &self.output {
            Output::Stream(stream) => stream.send(Ok(batch)).await.map_err(|_| Interruption::Unwanted),
            Output::Queue(queue) => {
                queue.push(batch).await;
                Ok(())
            }
        }
    }
}

/// What `next` gives, unless the source pauses. Before the first batch any pause counts.
async fn paused<T>(has_sent: bool, next: impl Future<Output = T>) -> Option<T> {
    if has_sent { tokio::time::timeout(PAUSE, next).await.ok() } else { None }
}

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum Interruption {
    /// The server or the connection to it.
    Remote(mysql_async::Error),
    /// A row we cannot take.
    Here(Error),
    /// Nobody reads any more.
    Unwanted,
}

impl Interruption {
    pub(super) fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Remote(cause) if failure::lost_connection(cause))
    }
}

impl From<mysql_async::Error> for Interruption {
    fn from(cause: mysql_async::Error) -> Self {
        Self::Remote(cause)
    }
}
