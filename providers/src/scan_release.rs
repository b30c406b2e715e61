//! How the sources of a statement are freed at once when it ends, although what computes with their rows does not pause yet.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::prelude::SessionConfig;
use futures::{Stream, StreamExt};

use crate::error::{Error, ErrorKind};

/// The scans of one execution, which whoever ends it can drop while an operator still computes with what they gave.
///
/// An operator that computes for long holds its inputs all the while, and with them connections and statements at the sources.
#[derive(Clone, Default)]
pub struct ScanRelease(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    is_released: bool,
    /// Those that are gone are forgotten now and then: a recursive query scans anew in each of its rounds.
    scans: Vec<Weak<Mutex<Rows>>>,
    /// How many there may be before those that are gone are looked for.
    most: usize,
}

/// So few scans are not worth a look for those that are gone.
const FEW: usize = 64;

/// The rows of a scan.
enum Rows {
    Flowing(SendableRecordBatchStream),
    Ended,
    Released,
}

impl ScanRelease {
    /// Drops the rows of all scans, now and from now on. Whoever still reads one is told that the statement was ended.
    pub fn release(&self) {
        let scans = {
            let mut held = lock(&self.0);
            held.is_released = true;
            std::mem::take(&mut held.scans)
        };
        for scan in scans.iter().filter_map(Weak::upgrade) {
            let rows = std::mem::replace(&mut *lock(&scan), Rows::Released);
            // Not while it is locked: what is dropped here cancels a statement at its source.
            drop(rows);
        }
    }

    /// `rows`, until they are released.
    pub(crate) fn hold(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let mut held = lock(&self.0);
        let rows = if held.is_released { Rows::Released } else { Rows::Flowing(rows) };
        let rows = Arc::new(Mutex::new(rows));
        if held.scans.len() >= held.most {
            held.scans.retain(|scan| scan.strong_count() > 0);
            held.most = FEW.max(held.scans.len() * 2);
        }
        held.scans.push(Arc::downgrade(&rows));
        Box::pin(Releasable { schema, rows })
    }
}

impl fmt::Debug for ScanRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanRelease").field("is_released", &lock(&self.0).is_released).finish_non_exhaustive()
    }
}

/// Has the scans of a session freed by `release`.
pub fn release_scans(config: &mut SessionConfig, release: ScanRelease) {
    config.set_extension(Arc::new(release));
}

/// `rows`, freed when the session that `context` belongs to says so.
pub(crate) fn releasable(rows: SendableRecordBatchStream, context: &TaskContext) -> SendableRecordBatchStream {
    match context.session_config().get_extension::<ScanRelease>() {
        Some(release) => release.hold(rows),
        None => rows,
    }
}

struct Releasable {
    schema: SchemaRef,
    rows: Arc<Mutex<Rows>>,
}

impl Stream for Releasable {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut rows = lock(&self.rows);
        let next = match &mut *rows {
            Rows::Flowing(flowing) => flowing.poll_next_unpin(context),
            Rows::Ended => Poll::Ready(None),
            Rows::Released => {
                let ended = Error::new(ErrorKind::Cancelled, "the statement was ended");
                Poll::Ready(Some(Err(DataFusionError::External(Box::new(ended)))))
            }
        };
        if let Poll::Ready(None) = next {
            *rows = Rows::Ended;
        }
        next
    }
}

impl RecordBatchStream for Releasable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Each change is a single assignment, so what a panic left behind is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Rows without an end, and whether they were dropped.
    fn endless() -> (SendableRecordBatchStream, Arc<AtomicBool>) {
        let schema = Arc::new(Schema::empty());
        let is_dropped = Arc::new(AtomicBool::new(false));
        let dropped = Dropped(Arc::clone(&is_dropped));
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let rows = futures::stream::repeat_with(move || {
            let _held = &dropped;
            Ok(batch.clone())
        });
        (Box::pin(RecordBatchStreamAdapter::new(schema, rows)), is_dropped)
    }

    #[tokio::test]
    async fn rows_are_dropped_while_somebody_still_holds_the_scan() {
        let release = ScanRelease::default();
        let (rows, is_dropped) = endless();
        let mut scan = release.hold(rows);
        assert!(scan.next().await.unwrap().is_ok());
        release.release();
        assert!(is_dropped.load(Ordering::SeqCst));
        assert!(scan.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn scans_that_are_gone_are_not_remembered() {
        let release = ScanRelease::default();
        let (rows, is_dropped) = endless();
        let mut first = release.hold(rows);
        for _ in 0..10 * FEW {
            drop(release.hold(endless().0));
        }
        assert!(lock(&release.0).scans.len() <= FEW);
        release.release();
        assert!(is_dropped.load(Ordering::SeqCst), "one that is not gone is");
        assert!(first.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_scan_that_begins_too_late_reads_nothing() {
        let release = ScanRelease::default();
        release.release();
        let (rows, is_dropped) = endless();
        let mut scan = release.hold(rows);
        assert!(is_dropped.load(Ordering::SeqCst));
        assert!(scan.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_scan_at_its_end_stays_there() {
        let release = ScanRelease::default();
        let schema = Arc::new(Schema::empty());
        let mut scan = release.hold(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::empty())));
        assert!(scan.next().await.is_none());
        assert!(scan.next().await.is_none());
    }
}
