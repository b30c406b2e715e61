//! The physical scan of a remote statement.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs};
use futures::StreamExt;

use super::{RemoteSql, ScanLimits, SplitScan, SqlRemote, normalize};
use crate::scan_observer::{ScanObserver, Tally, counted, observer};

/// Reads one statement's result from a remote, in one partition, or in several when the remote can split it.
pub struct RemoteScan {
    remote: Arc<dyn SqlRemote>,
    sql: RemoteSql,
    limits: ScanLimits,
    split: Option<Split>,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// What the partitions that are being read have counted together, when somebody is to be told.
    tally: Mutex<Weak<Tally>>,
}

/// A scan in several streams, and those of the current run that no partition has taken.
struct Split {
    scan: Arc<dyn SplitScan>,
    left: Mutex<Vec<Option<SendableRecordBatchStream>>>,
}

impl Split {
    /// The stream of a partition. A partition that is executed again begins a new run.
    fn stream(&self, partition: usize, schema: &SchemaRef, limits: ScanLimits) -> DataFusionResult<SendableRecordBatchStream> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.get(partition).is_none_or(Option::is_none) {
            *left = self.scan.start(schema, limits)?.into_iter().map(Some).collect();
        }
        left.get_mut(partition)
            .and_then(Option::take)
            .ok_or_else(|| DataFusionError::Internal(format!("a remote scan has no partition {partition}")))
    }
}

impl RemoteScan {
    /// A scan of `sql`, whose columns are those of `schema` by position.
    pub fn new(remote: Arc<dyn SqlRemote>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Self {
        Self {
            remote,
            sql,
            limits,
            split: None,
            statistics: Arc::new(Statistics::new_unknown(&schema)),
            properties: Arc::new(properties(schema, 1)),
            metrics: ExecutionPlanMetricsSet::new(),
            tally: Mutex::default(),
        }
    }

    /// The same rows, read as `scan` reads them.
    #[must_use]
    pub fn in_streams(mut self, scan: Arc<dyn SplitScan>) -> Self {
        self.properties = Arc::new(properties(self.schema(), scan.streams()));
        self.split = Some(Split { scan, left: Mutex::default() });
        self
    }

    /// The same scan, of which this is believed.
    #[must_use]
    pub fn with_statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Arc::new(statistics);
        self
    }

    /// In how many streams it is read.
    pub fn streams(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    /// Partitions that are read at once are one scan to whoever observes it.
    fn tally(&self, observer: Arc<dyn ScanObserver>) -> Arc<Tally> {
        let mut shared = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let statement = normalize(&self.sql.text, self.remote.dialect().quoting());
            let tally = Tally::new(observer, self.remote.id().clone(), statement);
            *shared = Arc::downgrade(&tally);
            tally
        })
    }

    /// The statement the remote will get.
    pub fn sql(&self) -> &RemoteSql {
        &self.sql
    }

    /// The remote it runs on.
    pub fn remote(&self) -> &Arc<dyn SqlRemote> {
        &self.remote
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
        let split = self.split.as_ref().map(|split| &split.scan);
        f.debug_struct("RemoteScan")
            .field("remote", &self.remote)
            .field("sql", &self.sql)
            .field("limits", &self.limits)
            .field("split", &split)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for RemoteScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteScan: datasource={}, ", self.remote.id())?;
        if self.split.is_some() {
            write!(f, "streams={}, ", self.streams())?;
        }
        write!(f, "sql={}", self.sql.text)
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
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
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
        let mut rows = match &self.split {
            Some(split) => split.stream(partition, &schema, limits)?,
            None => Arc::clone(&self.remote).execute(self.sql.clone(), Arc::clone(&schema), limits)?,
        };
        if let Some(observer) = observer(&context) {
            rows = counted(rows, self.tally(observer));
        }
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let counted = futures::stream::poll_fn(move |context| metrics.record_poll(rows.poll_next_unpin(context)));
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
