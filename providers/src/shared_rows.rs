//! Rows that several workers produce and several streams hand on, whichever asks first.
//!
//! Which stream gives a batch is decided by who asks, so no stream ever waits for a worker of its own: one worker feeds all of them,
//! and a stream that nobody reads keeps nothing from the others.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::Stream;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// Where workers put rows.
#[derive(Debug)]
pub(crate) struct RowQueue {
    state: Mutex<State>,
    /// Places for batches that wait for a reader.
    room: Semaphore,
}

struct State {
    batches: VecDeque<RecordBatch>,
    /// Who is to be woken, by stream.
    readers: Vec<Option<Waker>>,
    end: Option<End>,
}

/// How the work ended. Every stream is told of a failure: rows may be missing from any of them.
#[derive(Debug, Clone)]
enum End {
    Complete,
    Failed(Arc<DataFusionError>),
}

impl RowQueue {
    fn new(streams: usize, capacity: usize) -> Self {
        let state = State { batches: VecDeque::with_capacity(capacity), readers: vec![None; streams], end: None };
        Self { state: Mutex::new(state), room: Semaphore::new(capacity) }
    }

    /// Hands a batch to the streams; waits while too many are waiting for them.
    pub(crate) async fn push(&self, batch: RecordBatch) {
        // It is never closed.
        if let Ok(place) = self.room.acquire().await {
            place.forget();
        }
        self.change(|state| state.batches.push_back(batch));
    }

    fn end(&self, result: Result<()>) {
        self.change(|state| {
            state.end.get_or_insert_with(|| match result {
                Ok(()) => End::Complete,
                Err(error) => End::Failed(Arc::new(error.into())),
            });
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        // All of them: the one that would be woken alone may be one that nobody polls any more.
        let readers: Vec<Waker> = state.readers.iter_mut().filter_map(Option::take).collect();
        drop(state);
        readers.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, stream: usize, context: &mut Context<'_>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        let mut state = self.lock();
        if let Some(End::Failed(error)) = &state.end {
            return Poll::Ready(Some(Err(DataFusionError::Shared(Arc::clone(error)))));
        }
        if let Some(batch) = state.batches.pop_front() {
            self.room.add_permits(1);
            return Poll::Ready(Some(Ok(batch)));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        state.readers[stream] = Some(context.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so the state is whole after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("batches", &self.batches.len()).field("end", &self.end).finish_non_exhaustive()
    }
}

/// As many `streams` of `schema` as told, which share what `work` puts into its queue. At most `capacity` batches wait in it.
///
/// `work` starts when the first stream is polled and is dropped with the last of them. What it fails with, every stream fails with.
pub(crate) fn shared_rows(
    schema: &SchemaRef,
    streams: usize,
    capacity: usize,
    work: impl FnOnce(Arc<RowQueue>) -> BoxFuture<'static, Result<()>>,
) -> Vec<SendableRecordBatchStream> {
    let queue = Arc::new(RowQueue::new(streams, capacity));
    let work = work(Arc::clone(&queue));
    let run = Arc::new(Run { queue, work: Mutex::new(Work::Waiting(work)) });
    (0..streams)
        .map(|stream| {
            let (schema, run) = (Arc::clone(schema), Some(Arc::clone(&run)));
            Box::pin(SharedStream { schema, run, stream }) as SendableRecordBatchStream
        })
        .collect()
}

/// The work of a few streams, ended with the last of them.
struct Run {
    queue: Arc<RowQueue>,
    work: Mutex<Work>,
}

enum Work {
    Waiting(BoxFuture<'static, Result<()>>),
    Started(JoinHandle<()>),
    /// In between.
    Starting,
}

impl Run {
    fn start(&self) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Work::Waiting(_) = &*work
            && let Work::Waiting(waiting) = std::mem::replace(&mut *work, Work::Starting)
        {
            let end = EndOnDrop(Arc::clone(&self.queue));
            *work = Work::Started(tokio::spawn(async move {
                let result = waiting.await;
                end.0.end(result);
            }));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Work::Started(task) = self.work.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// Ends the queue even if the work panics, so that nobody waits for ever.
struct EndOnDrop(Arc<RowQueue>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(Err(Error::new(ErrorKind::Internal, "the scan stopped before its end")));
    }
}

struct SharedStream {
    schema: SchemaRef,
    /// Gone once this stream has ended.
    run: Option<Arc<Run>>,
    stream: usize,
}

impl Stream for SharedStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(run) = &self.run else { return Poll::Ready(None) };
        run.start();
        let next = run.queue.poll(self.stream, context);
        if !matches!(next, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.run = None;
        }
        next
    }
}

impl RecordBatchStream for SharedStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use datafusion::arrow::array::{AsArray, Int32Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};
    use futures::{FutureExt, StreamExt, TryStreamExt};

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("i", DataType::Int32, false)]))
    }

    fn batch(i: i32) -> RecordBatch {
        RecordBatch::try_new(schema(), vec![Arc::new(Int32Array::from(vec![i]))]).unwrap()
    }

    /// Pushes 0 to 99, counting them.
    fn hundred(pushed: &Arc<AtomicUsize>, streams: usize) -> Vec<SendableRecordBatchStream> {
        let pushed = Arc::clone(pushed);
        shared_rows(&schema(), streams, 2, |queue| {
            async move {
                for i in 0..100 {
                    queue.push(batch(i)).await;
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            .boxed()
        })
    }

    async fn rest(stream: SendableRecordBatchStream) -> Vec<i32> {
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        batches.iter().map(|batch| batch.column(0).as_primitive::<Int32Type>().value(0)).collect()
    }

    #[tokio::test]
    async fn each_batch_goes_to_one_stream_whoever_asks() {
        let pushed = Arc::default();
        let all = futures::future::join_all(hundred(&pushed, 3).into_iter().map(rest)).await;
        let mut all: Vec<i32> = all.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stream_that_is_polled_no_more_keeps_nothing_from_the_others() {
        let pushed = Arc::default();
        let mut streams = hundred(&pushed, 2);
        let (two, mut one) = (streams.pop().unwrap(), streams.pop().unwrap());
        // It waits, and its waker is the one that is known first.
        assert!(one.next().now_or_never().is_none());
        assert_eq!(rest(two).await.len(), 100);
        drop(one);
        let mut streams = hundred(&pushed, 2);
        drop(streams.pop());
        assert_eq!(rest(streams.pop().unwrap()).await.len(), 100);
    }

    #[tokio::test]
    async fn work_begins_with_the_first_poll_waits_for_readers_and_ends_with_the_last() {
        let pushed: Arc<AtomicUsize> = Arc::default();
        let mut streams = hundred(&pushed, 2);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&pushed), 2);
        assert_eq!(pushed.load(Ordering::Relaxed), 0);
        streams[0].next().await.unwrap().unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // One was taken and two wait.
        assert_eq!(pushed.load(Ordering::Relaxed), 3);
        drop(streams);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&pushed), 1, "the work goes on");
    }

    #[tokio::test]
    async fn a_failure_reaches_every_stream() {
        let failing: [fn() -> Result<()>; 2] = [|| Err(Error::new(ErrorKind::Failed, "no more")), || panic!("on purpose")];
        for (work, text) in failing.into_iter().zip(["no more", "stopped before its end"]) {
            let streams = shared_rows(&schema(), 2, 2, |queue| {
                async move {
                    queue.push(batch(1)).await;
                    work()
                }
                .boxed()
            });
            for mut stream in streams {
                let mut last = stream.next().await.unwrap();
                if last.is_ok() {
                    last = stream.next().await.unwrap();
                }
                let error = last.unwrap_err();
                assert!(Error::find(&error).unwrap().message().contains(text), "{error}");
                assert!(stream.next().await.is_none());
            }
        }
    }
}
