//! The physical scan of a remote statement.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::dynamic_filter::{DynamicFilters, MOST_KEYS};
use super::first_row::{Answered, first_row_within};
use super::narrow::{Narrow, Narrowed};
use super::shared_snapshot::shared_snapshot;
use super::{Reliance, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, Turn, normalize};
use crate::deadline::Deadline;
use crate::scan_release::releasable;
use crate::statement_observer::{StatementObserver, Tally, bytes, counted, observer};

/// How many characters of what a join has added a plan shows.
const SHOWN: usize = 200;

/// Reads one statement's result from a remote, in one partition, or in several when the remote can split it.
///
/// One whose rows can be narrowed takes in what the joins above it find out, see [`waiting_for`](Self::waiting_for).
pub struct RemoteScan {
    reading: Arc<Reading>,
    limits: ScanLimits,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RemoteScan {
    /// Of its metrics, the one that counts what the values that arrived take in memory.
    pub const BYTES: &str = "bytes_fetched";

    /// Of its metrics, the one that tells how long each partition has waited for the source.
    pub const WAITING: &str = "time_waiting";

    /// A scan of `sql`, whose columns are those of `schema` by position.
    pub fn new(remote: Arc<dyn SqlRemote>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Self {
        Self {
            statistics: Arc::new(Statistics::new_unknown(&schema)),
            properties: Arc::new(properties(schema, 1)),
            reading: Arc::new(Reading::new(remote, Statement { sql, split: None }, None)),
            limits,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The same rows, which are those of `select`, read as `scan` reads them.
    #[must_use]
    pub fn in_streams(mut self, scan: Arc<dyn SplitScan>, select: &Select) -> Self {
        self.properties = Arc::new(properties(self.schema(), scan.streams()));
        let split = Split { scan, select: Arc::new(select.clone()) };
        let statement = Statement { split: Some(split), ..self.reading.statement.clone() };
        self.reading = Arc::new(Reading::new(Arc::clone(&self.reading.remote), statement, self.reading.narrowing.clone()));
        self
    }

    /// The same scan, of which this is believed.
    #[must_use]
    pub fn with_statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Arc::new(statistics);
        self
    }

    /// The same scan, which may be told more conditions on its rows.
    #[must_use]
    pub fn narrowed_by(mut self, statement: Arc<dyn Narrow>) -> Self {
        self.reading = Arc::new(self.reading.again(Some(Narrowing { statement, filters: DynamicFilters::default() })));
        self
    }

    /// The same scan, waiting for those filters only that `is_wanted` names by their [`PhysicalExpr::expression_id`]; `None` when
    /// that is what it does already.
    ///
    /// Filters come from joins, which finish them before they ask for rows, and from operators that go on making them while they
    /// read rows: to wait for one of those would be to wait for oneself.
    pub fn waiting_for(&self, is_wanted: &dyn Fn(u64) -> bool) -> Option<Self> {
        let is_right = self.filters().all(|filter| filter.expression_id().is_some_and(is_wanted));
        (!is_right).then(|| self.filtered(|filters| filters.only(is_wanted)))
    }

    /// In how many streams it is read.
    pub fn streams(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    /// How many connections read it at once, at most.
    pub fn connections(&self) -> usize {
        self.reading.statement.split.as_ref().map_or(1, |split| split.scan.connections())
    }

    /// The statement the remote will get.
    pub fn sql(&self) -> &RemoteSql {
        &self.reading.statement.sql
    }

    /// The statement that is sent, or was, without its values.
    pub fn normalized(&self) -> String {
        let narrowed = self.reading.narrowed.get().and_then(Option::as_ref).map(|narrowed| &narrowed.statement);
        normalize(&narrowed.unwrap_or(&self.reading.statement).sql.text, self.reading.remote.dialect().quoting())
    }

    /// What joins do to it, in words: what they added to the statement once it ran, and before that, that they may.
    pub fn narrowing(&self) -> Option<String> {
        match self.reading.narrowed.get() {
            Some(Some(narrowed)) => Some(format!("narrowed by a join to {}", shortened(&narrowed.added))),
            Some(None) => None,
            None => self.reading.waits().then(|| "to be narrowed by a join".to_owned()),
        }
    }

    /// The remote it runs on.
    pub fn remote(&self) -> &Arc<dyn SqlRemote> {
        &self.reading.remote
    }

    /// The same scan with other filters, and nothing read yet.
    fn filtered(&self, change: impl FnOnce(&DynamicFilters) -> DynamicFilters) -> Self {
        let narrowing = self.reading.narrowing.as_ref().map(|known| Narrowing { filters: change(&known.filters), ..known.clone() });
        Self {
            reading: Arc::new(self.reading.again(narrowing)),
            limits: self.limits,
            statistics: Arc::clone(&self.statistics),
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn filters(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.reading.narrowing.iter().flat_map(|narrowing| narrowing.filters.iter())
    }
}

/// A statement, and how it is read when not in one stream.
#[derive(Debug, Clone)]
struct Statement {
    sql: RemoteSql,
    split: Option<Split>,
}

/// A select that is read over several connections.
#[derive(Debug, Clone)]
struct Split {
    scan: Arc<dyn SplitScan>,
    select: Arc<Select>,
}

/// A statement that filters may be added to.
#[derive(Debug, Clone)]
struct Narrowing {
    statement: Arc<dyn Narrow>,
    filters: DynamicFilters,
}

impl Narrowing {
    /// The statement with what the filters say, once they do. A split one is split anew.
    async fn narrowed(&self, remote: &Arc<dyn SqlRemote>, statement: &Statement) -> Option<Narrower> {
        let most_keys = remote.dialect().longest_list().min(MOST_KEYS);
        let conditions = self.filters.conditions(&self.statement.columns(), most_keys).await;
        let Narrowed { sql, added, table } = self.statement.narrowed(&conditions)?;
        let split = statement.split.as_ref().zip(table).and_then(|(Split { scan, .. }, (table, select))| {
            let again = Arc::clone(remote).split(&table, &select, scan.streams()).filter(|again| again.streams() == scan.streams())?;
            Some(Split { scan: again, select: Arc::new(select) })
        });
        Some(Narrower { statement: Statement { sql, split }, added })
    }
}

/// The measurements of one partition.
struct Measured {
    baseline: BaselineMetrics,
    bytes: Count,
    waiting: Time,
    /// Since when it waits.
    since: Option<Instant>,
}

impl Measured {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            bytes: MetricBuilder::new(metrics).counter(RemoteScan::BYTES, partition),
            waiting: MetricBuilder::new(metrics).subset_time(RemoteScan::WAITING, partition),
            since: None,
        }
    }

    fn record(&mut self, next: Poll<Option<DataFusionResult<RecordBatch>>>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        match &next {
            Poll::Pending => drop(self.since.get_or_insert_with(Instant::now)),
            Poll::Ready(batch) => {
                if let Some(since) = self.since.take() {
                    self.waiting.add_duration(since.elapsed());
                }
                if let Some(Ok(batch)) = batch {
                    self.bytes.add(usize::try_from(bytes(batch)).unwrap_or(usize::MAX));
                }
            }
        }
        self.baseline.record_poll(next)
    }
}

/// What is read after all.
#[derive(Debug)]
struct Narrower {
    statement: Statement,
    /// The conditions that were added to the statement.
    added: String,
}

/// What the streams of all partitions share.
struct Reading {
    remote: Arc<dyn SqlRemote>,
    statement: Statement,
    narrowing: Option<Narrowing>,
    /// Whether the filters have said anything, and what is read if so.
    narrowed: OnceCell<Option<Narrower>>,
    /// The streams of the current run that no partition has taken.
    left: Mutex<Vec<Option<SendableRecordBatchStream>>>,
    /// Whether it was read before, to whoever counts.
    is_begun: AtomicBool,
    /// What the partitions that are being read have counted together, when somebody is to be told.
    tally: Mutex<Weak<Tally>>,
    /// Whether the source has answered.
    answered: Answered,
}

impl Reading {
    fn new(remote: Arc<dyn SqlRemote>, statement: Statement, narrowing: Option<Narrowing>) -> Self {
        Self {
            remote,
            statement,
            narrowing,
            narrowed: OnceCell::new(),
            left: Mutex::default(),
            is_begun: AtomicBool::new(false),
            tally: Mutex::default(),
            answered: Answered::default(),
        }
    }

    /// The same with nothing read yet.
    fn again(&self, narrowing: Option<Narrowing>) -> Self {
        Self::new(Arc::clone(&self.remote), self.statement.clone(), narrowing)
    }

    fn waits(&self) -> bool {
        self.narrowing.as_ref().is_some_and(|narrowing| !narrowing.filters.is_empty())
    }

    /// What is to be read, once that is known.
    async fn statement(&self) -> &Statement {
        let narrowed = match &self.narrowing {
            Some(narrowing) if !narrowing.filters.is_empty() => {
                self.narrowed.get_or_init(|| narrowing.narrowed(&self.remote, &self.statement)).await.as_ref()
            }
            _ => None,
        };
        narrowed.map_or(&self.statement, |narrowed| &narrowed.statement)
    }

    /// The rows of one partition.
    fn rows(
        &self,
        statement: &Statement,
        partition: usize,
        schema: &SchemaRef,
        limits: ScanLimits,
        observer: Option<Arc<dyn StatementObserver>>,
        snapshot: Option<Arc<dyn SharedSnapshot>>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = match &statement.split {
            Some(split) => self.stream((split, &statement.sql.reliance), partition, schema, limits, snapshot)?,
            None if partition == 0 => {
                let (sql, schema) = (statement.sql.clone(), Arc::clone(schema));
                match snapshot {
                    Some(snapshot) => snapshot.execute(sql, schema, limits, self.turn())?,
                    None => Arc::clone(&self.remote).execute(sql, schema, limits)?,
                }
            }
            // It was to be split, and is not any more.
            None => return Ok(Box::pin(EmptyRecordBatchStream::new(Arc::clone(schema)))),
        };
        let rows = match self.remote.first_row_timeout() {
            Some(limit) => first_row_within(rows, limit, self.remote.id(), Arc::clone(&self.answered)),
            None => rows,
        };
        Ok(match observer {
            Some(observer) => counted(rows, self.tally(&statement.sql, observer)),
            None => rows,
        })
    }

    /// The stream of a partition. A partition that is executed again begins a new run.
    fn stream(
        &self,
        (split, reliance): (&Split, &Reliance),
        partition: usize,
        schema: &SchemaRef,
        limits: ScanLimits,
        snapshot: Option<Arc<dyn SharedSnapshot>>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.get(partition).is_none_or(Option::is_none) {
            let scan = match snapshot {
                Some(snapshot) => snapshot.split(&split.select, split.scan.streams(), self.turn()),
                None => Arc::clone(&split.scan),
            };
            *left = scan.start(schema, reliance, limits)?.into_iter().map(Some).collect();
        }
        left.get_mut(partition)
            .and_then(Option::take)
            .ok_or_else(|| DataFusionError::Internal(format!("a remote scan has no partition {partition}")))
    }

    fn turn(&self) -> Turn {
        if self.is_begun.swap(true, Ordering::Relaxed) { Turn::Again } else { Turn::First }
    }

    /// Partitions that are read at once are one scan to whoever observes it.
    fn tally(&self, sql: &RemoteSql, observer: Arc<dyn StatementObserver>) -> Arc<Tally> {
        let mut shared = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let statement = normalize(&sql.text, self.remote.dialect().quoting());
            let tally = Tally::new(observer, self.remote.id().clone(), statement);
            *shared = Arc::downgrade(&tally);
            tally
        })
    }
}

fn properties(schema: SchemaRef, streams: usize) -> PlanProperties {
    PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(streams),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )
}

impl fmt::Debug for RemoteScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteScan")
            .field("remote", &self.reading.remote)
            .field("statement", &self.reading.statement)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for RemoteScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteScan: datasource={}, ", self.reading.remote.id())?;
        if self.reading.statement.split.is_some() {
            write!(f, "streams={}, ", self.streams())?;
        }
        if let Some(narrowing) = self.narrowing() {
            write!(f, "{narrowing}, ")?;
        }
        write!(f, "sql={}", self.reading.statement.sql.text)
    }
}

/// The beginning of a text that may be very long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl ExecutionPlan for RemoteScan {
    fn name(&self) -> &'static str {
        "RemoteScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        // A join makes its filter only if it finds somebody who uses it.
        for filter in self.filters() {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        // They narrow what is read and decide nothing, so whoever has them keeps them.
        let filters = DynamicFilters::among(result.parent_filters.iter().map(|filter| Arc::clone(&filter.filter)));
        let unsupported = FilterPushdownPropagation::all_unsupported(result);
        if phase != FilterPushdownPhase::Post || self.reading.narrowing.is_none() || filters.is_empty() {
            return Ok(unsupported);
        }
        Ok(unsupported.with_updated_node(Arc::new(self.filtered(|known| known.with(filters)))))
    }

    /// The joins above make other filters when they run again, which nobody hands down then.
    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.filtered(|_| DynamicFilters::default())))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { Err(DataFusionError::Internal("a remote scan has no children".to_owned())) }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { Err(DataFusionError::Internal("a remote scan has no children".to_owned())) }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let limits = ScanLimits { batch_rows: context.session_config().batch_size(), ..self.limits };
        let observer = observer(&context);
        let shared = shared_snapshot(&context, self.reading.remote.id());
        let rows = if self.reading.waits() || shared.is_some() {
            let (reading, row_schema) = (Arc::clone(&self.reading), Arc::clone(&schema));
            let rows = stream::once(async move {
                let statement = reading.statement().await;
                let snapshot = match shared {
                    Some(shared) => Some(shared.opened(limits.query_timeout.map(Deadline::after)).await?),
                    None => None,
                };
                reading.rows(statement, partition, &row_schema, limits, observer, snapshot)
            });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows.try_flatten()))
        } else {
            self.reading.rows(&self.reading.statement, partition, &schema, limits, observer, None)?
        };
        let mut rows = releasable(rows, &context);
        let mut measured = Measured::new(&self.metrics, partition);
        let counted = futures::stream::poll_fn(move |context| measured.record(rows.poll_next_unpin(context)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> DataFusionResult<Arc<Statistics>> {
        let streams = self.streams();
        if args.partition().is_none() || streams == 1 {
            return Ok(Arc::clone(&self.statistics));
        }
        let part = |whole: Precision<usize>| whole.map(|whole| whole / streams);
        let mut statistics = self.statistics.as_ref().clone();
        statistics.num_rows = part(statistics.num_rows);
        statistics.total_byte_size = part(statistics.total_byte_size);
        // How many of the values are in one stream is not known.
        statistics.column_statistics = Statistics::unknown_column(&self.schema());
        Ok(Arc::new(statistics))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
