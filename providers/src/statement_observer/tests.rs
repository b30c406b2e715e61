//! Scans that end in every way, and what the observer is told of them.

use std::sync::Mutex;

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use tokio::sync::Semaphore;

use super::*;

/// Keeps what it was told, once its gate lets it.
#[derive(Debug)]
struct Told {
    reports: Arc<Mutex<Vec<StatementReport>>>,
    gate: Arc<Semaphore>,
}

impl Told {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self { reports: Arc::default(), gate: Arc::new(Semaphore::new(open)) })
    }

    fn reports(&self) -> Vec<StatementReport> {
        self.reports.lock().unwrap().clone()
    }
}

impl StatementObserver for Told {
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>> {
        let (reports, gate) = (Arc::clone(&self.reports), Arc::clone(&self.gate));
        Some(Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            reports.lock().unwrap().push(report);
        }))
    }
}

fn batch(rows: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new((0..rows).collect::<Int64Array>())]).unwrap()
}

fn stream(batches: Vec<DataFusionResult<RecordBatch>>) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(batch(0).schema(), futures::stream::iter(batches)))
}

fn tally(told: &Arc<Told>) -> Arc<Tally> {
    Tally::new(Arc::clone(told) as _, RemoteId::new("crm"), "SELECT ?".to_owned())
}

#[tokio::test]
async fn a_scan_read_to_its_end_is_completed_with_its_rows_and_bytes() {
    let told = Told::new(1);
    // A slice of a larger batch counts for what it is.
    let rows = counted(stream(vec![Ok(batch(3)), Ok(batch(1000).slice(0, 2))]), tally(&told));
    assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let [report] = <[StatementReport; 1]>::try_from(told.reports()).unwrap();
    assert_eq!((report.datasource.as_str(), report.statement.as_str()), ("crm", "SELECT ?"));
    assert_eq!((report.rows, report.bytes, report.outcome), (5, 40, StatementOutcome::Completed));
}

#[tokio::test]
async fn a_failure_is_told_with_its_kind_and_handed_on() {
    let told = Told::new(1);
    let failure = Error::new(ErrorKind::Timeout, "too slow");
    let rows = counted(stream(vec![Ok(batch(3)), Err(failure.into())]), tally(&told));
    let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(Error::find(&error).unwrap().kind(), ErrorKind::Timeout);
    let [report] = <[StatementReport; 1]>::try_from(told.reports()).unwrap();
    assert_eq!((report.rows, report.outcome), (3, StatementOutcome::Failed(ErrorKind::Timeout)));
}

#[tokio::test]
async fn a_dropped_scan_is_cancelled_and_one_never_read_is_nothing() {
    let told = Told::new(1);
    drop(counted(stream(vec![Ok(batch(3))]), tally(&told)));
    let mut rows = counted(stream(vec![Ok(batch(3)), Ok(batch(3))]), tally(&told));
    rows.next().await.unwrap().unwrap();
    drop(rows);
    while told.reports().is_empty() {
        tokio::task::yield_now().await;
    }
    let [report] = <[StatementReport; 1]>::try_from(told.reports()).unwrap();
    assert_eq!((report.rows, report.outcome), (3, StatementOutcome::Cancelled));
}

#[tokio::test]
async fn the_end_waits_for_the_observer_and_not_for_one_that_was_dropped_meanwhile() {
    let told = Told::new(0);
    let mut rows = counted(stream(vec![Ok(batch(3))]), tally(&told));
    assert!(rows.next().await.unwrap().is_ok());
    assert!(futures::poll!(rows.next()).is_pending(), "the observer has not been told yet");
    drop(rows);
    assert!(told.reports().is_empty());
    told.gate.add_permits(1);
    while told.reports().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(told.reports()[0].outcome, StatementOutcome::Completed);
}

#[tokio::test]
async fn streams_of_one_scan_are_one_report() {
    let told = Told::new(2);
    let tally = tally(&told);
    let one = counted(stream(vec![Ok(batch(3))]), Arc::clone(&tally));
    let other = counted(stream(vec![Ok(batch(4))]), tally);
    one.try_collect::<Vec<_>>().await.unwrap();
    assert!(told.reports().is_empty(), "the other still reads");
    other.try_collect::<Vec<_>>().await.unwrap();
    let [report] = <[StatementReport; 1]>::try_from(told.reports()).unwrap();
    assert_eq!((report.rows, report.outcome), (7, StatementOutcome::Completed));
}
