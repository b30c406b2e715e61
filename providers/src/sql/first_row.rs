//! The time a source has until it gives the first rows of a statement, or says that there are none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::Sleep;

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::remote::RemoteId;

/// Whether a source has answered a statement. The streams of one scan share it: the first of them to give something answers for all.
pub(super) type Answered = Arc<AtomicBool>;

/// `rows`, which end with an error when `limit` has passed since they were first asked for and nobody has set `answered`.
pub(super) fn first_row_within(
    rows: SendableRecordBatchStream,
    limit: Duration,
    id: &RemoteId,
    answered: Answered,
) -> SendableRecordBatchStream {
    Box::pin(FirstRow { schema: rows.schema(), rows: Some(rows), limit, id: id.clone(), answered, sleep: None })
}

struct FirstRow {
    schema: SchemaRef,
    /// Gone once time is over, and what it does at the source with it.
    rows: Option<SendableRecordBatchStream>,
    limit: Duration,
    id: RemoteId,
    answered: Answered,
    /// From the first poll until an answer is here.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Stream for FirstRow {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(rows) = &mut this.rows else { return Poll::Ready(None) };
        let next = rows.poll_next_unpin(context);
        if this.answered.load(Ordering::Relaxed) {
            return next;
        }
        if next.is_ready() {
            this.answered.store(true, Ordering::Relaxed);
            this.sleep = None;
            return next;
        }
        let limit = this.limit;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Deadline::after(limit).instant())));
        if sleep.poll_unpin(context).is_pending() {
            return Poll::Pending;
        }
        this.rows = None;
        let text = format!("first_row_timeout of {} exceeded", humantime::format_duration(limit));
        let error = Error::new(ErrorKind::Timeout, text)
            .at(this.id.as_str())
            .hint("ask for less, or raise `external.first_row_timeout` of the datasource");
        Poll::Ready(Some(Err(error.into())))
    }
}

impl RecordBatchStream for FirstRow {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::{TryStreamExt, stream};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    /// Batches, each after a pause.
    fn after(pauses: &[u64]) -> SendableRecordBatchStream {
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let pauses: Vec<_> = pauses.iter().map(|milliseconds| Duration::from_millis(*milliseconds)).collect();
        let batches = stream::iter(pauses).then(move |pause| {
            let batch = batch.clone();
            async move {
                tokio::time::sleep(pause).await;
                Ok(batch)
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, Box::pin(batches)))
    }

    async fn read(rows: SendableRecordBatchStream) -> Result<usize, String> {
        rows.try_collect::<Vec<_>>().await.map(|batches| batches.len()).map_err(|error| error.to_string())
    }

    fn limited(pauses: &[u64], answered: &Answered) -> SendableRecordBatchStream {
        first_row_within(after(pauses), LIMIT, &RemoteId::new("crm"), Arc::clone(answered))
    }

    #[tokio::test]
    async fn the_first_row_alone_is_waited_for() {
        assert_eq!(read(limited(&[0, 400, 400], &Answered::default())).await, Ok(3));
        assert_eq!(read(limited(&[], &Answered::default())).await, Ok(0));
        let error = read(limited(&[60_000, 1], &Answered::default())).await.unwrap_err();
        assert!(error.contains("crm") && error.contains("first_row_timeout of 200ms exceeded"), "{error}");
    }

    #[tokio::test]
    async fn streams_of_one_scan_answer_for_each_other() {
        let answered = Answered::default();
        let (one, other) = tokio::join!(read(limited(&[0], &answered)), read(limited(&[600], &answered)));
        assert_eq!((one, other), (Ok(1), Ok(1)));
    }
}
