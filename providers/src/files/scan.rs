//! A scan of files with the datasource's own store, limits and errors in place of the session's.
//!
//! It stands around DataFusion's file scan and passes on everything the optimizer asks, so that statistics, projections, filters and
//! partitions are as they would be without it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source::{DataSource, DataSourceExec, OpenArgs};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, SortOrderPushdownResult};
use futures::{Stream, StreamExt};

use super::connect::read_failure;
use super::source::{Source, closed, timed_out};
use crate::deadline::Deadline;
use crate::remote::RemoteId;
use crate::scan_release::ScanRelease;
use crate::statement_observer::{StatementObserver, Tally, counted, observer};

/// A data source that reads from its datasource's store.
#[derive(Debug)]
pub(super) struct SourceScan {
    scan: Arc<dyn DataSource>,
    source: Arc<Source>,
    what: Arc<str>,
    /// What the partitions that are being read have counted together, when somebody is to be told.
    tally: Mutex<Weak<Tally>>,
}

impl SourceScan {
    /// `what` names the table's files in errors that do not name one.
    pub(super) fn new(scan: Arc<dyn DataSource>, source: Arc<Source>, what: String) -> Self {
        Self { scan, source, what: what.into(), tally: Mutex::default() }
    }

    fn around(&self, scan: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(Self { scan, source: Arc::clone(&self.source), what: Arc::clone(&self.what), tally: Mutex::default() })
    }

    /// Partitions that are read at once are one scan to whoever observes it.
    fn tally(&self, observer: Arc<dyn StatementObserver>) -> Arc<Tally> {
        let mut shared = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let tally = Tally::new(observer, self.source.id.clone(), format!("READ {}", self.what));
            *shared = Arc::downgrade(&tally);
            tally
        })
    }
}

/// The datasource whose files `plan` scans, and what it reads there; `None` for any other plan.
pub fn files_read(plan: &dyn ExecutionPlan) -> Option<(&RemoteId, &str)> {
    let scan = plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<SourceScan>()?;
    Some((&scan.source.id, &scan.what))
}

impl DataSource for SourceScan {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn open_with_args(&self, mut args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let observer = observer(&args.context);
        // The scan looks up its store and its batch size here, and no functions.
        args.context = Arc::new(TaskContext::new(
            args.context.task_id(),
            args.context.session_id(),
            args.context.session_config().clone(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            self.source.runtime(&args.context.runtime_env()),
        ));
        let rows = self.scan.open_with_args(args).map_err(|e| read_failure(e, &self.what, &self.source.id))?;
        let schema = rows.schema();
        let rows = bounded(rows, Arc::clone(&self.source), Arc::clone(&self.what));
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        Ok(match observer {
            Some(observer) => counted(rows, self.tally(observer)),
            None => rows,
        })
    }

    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "datasource={}, ", self.source.id)?,
            DisplayFormatType::TreeRender => writeln!(f, "datasource={}", self.source.id)?,
        }
        self.scan.fmt_as(format, f)
    }

    fn repartitioned(&self, partitions: usize, minimum_size: usize, ordering: Option<LexOrdering>) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.scan.repartitioned(partitions, minimum_size, ordering)?.map(|scan| self.around(scan)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.scan.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.scan.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.scan.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.scan.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.scan.with_fetch(limit).map(|scan| self.around(scan))
    }

    fn fetch(&self) -> Option<usize> {
        self.scan.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.scan.metrics()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        // A computation of the statement that fails must not look like a damaged file, so only columns move in here.
        if !projection.as_ref().iter().all(|column| column.expr.is::<Column>()) {
            return Ok(None);
        }
        Ok(self.scan.try_swapping_with_projection(projection)?.map(|scan| self.around(scan)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let pushed = self.scan.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node: pushed.updated_node.map(|scan| self.around(scan)) })
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        Ok(self.scan.try_pushdown_sort(order)?.map(|scan| self.around(scan)))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.scan.with_preserve_order(preserve_order).map(|scan| self.around(scan))
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.scan.apply_expressions(f)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.scan.with_new_state(state).map(|scan| self.around(scan))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.scan.create_sibling_state(config)
    }
}

/// The rows, up to the first error: one of reading, the end of the statement's time, or the datasource's.
fn bounded(rows: SendableRecordBatchStream, source: Arc<Source>, what: Arc<str>) -> impl Stream<Item = Result<RecordBatch>> {
    enum State {
        Ready(SendableRecordBatchStream),
        Running(SendableRecordBatchStream, Option<Deadline>, SpawnedTask<()>),
        Ended,
    }
    futures::stream::unfold(State::Ready(rows), move |state| {
        let (source, what) = (Arc::clone(&source), Arc::clone(&what));
        async move {
            // Time runs from the first poll.
            let (mut rows, deadline, freeing) = match state {
                State::Ready(rows) => {
                    let deadline = source.query_timeout.map(Deadline::after);
                    let (rows, freeing) = freed(rows, &source, deadline);
                    (rows, deadline, freeing)
                }
                State::Running(rows, deadline, freeing) => (rows, deadline, freeing),
                State::Ended => return None,
            };
            let next = tokio::select! {
                biased;
                () = source.closed.cancelled() => Some(Err(closed().at(source.id.as_str()).into())),
                limit = passed(deadline) => Some(Err(timed_out(limit).at(source.id.as_str()).into())),
                next = rows.next() => next,
            };
            match next? {
                Ok(batch) => Some((Ok(batch), State::Running(rows, deadline, freeing))),
                Err(error) => Some((Err(read_failure(error, &what, &source.id)), State::Ended)),
            }
        }
    })
}

/// The rows, whose files are closed when their time is over although nobody reads on. They are as long as the task is kept.
fn freed(rows: SendableRecordBatchStream, source: &Source, deadline: Option<Deadline>) -> (SendableRecordBatchStream, SpawnedTask<()>) {
    let release = ScanRelease::default();
    let (rows, closed) = (release.hold(rows), source.closed.clone());
    let freeing = SpawnedTask::spawn(async move {
        tokio::select! {
            () = closed.cancelled() => {}
            _ = passed(deadline) => {}
        }
        release.release();
    });
    (rows, freeing)
}

/// Waits for the deadline, if there is one, and says what the limit was.
async fn passed(deadline: Option<Deadline>) -> Duration {
    match deadline {
        Some(deadline) => {
            tokio::time::sleep_until(deadline.instant()).await;
            deadline.limit()
        }
        None => std::future::pending().await,
    }
}
