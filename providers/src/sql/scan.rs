//! The physical scan of a remote statement.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;

use super::{RemoteSql, ScanLimits, SqlRemote, normalize};
use crate::scan_observer::{Tally, counted, observer};

/// Reads one statement's result from a remote, in one partition.
#[derive(Debug, Clone)]
pub struct RemoteScan {
    remote: Arc<dyn SqlRemote>,
    sql: RemoteSql,
    limits: ScanLimits,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RemoteScan {
    /// A scan of `sql`, whose columns are those of `schema` by position.
    pub fn new(remote: Arc<dyn SqlRemote>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { remote, sql, limits, properties, metrics: ExecutionPlanMetricsSet::new() }
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

impl DisplayAs for RemoteScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteScan: datasource={}, sql={}", self.remote.id(), self.sql.text)
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
        let mut rows = Arc::clone(&self.remote).execute(self.sql.clone(), Arc::clone(&schema), limits)?;
        if let Some(observer) = observer(&context) {
            let statement = normalize(&self.sql.text, self.remote.dialect().quoting());
            rows = counted(rows, Tally::new(observer, self.remote.id().clone(), statement));
        }
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let counted = futures::stream::poll_fn(move |context| metrics.record_poll(rows.poll_next_unpin(context)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
