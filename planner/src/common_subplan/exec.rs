//! What runs in each place of a sub-plan that is computed once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::Statistics;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EvaluationType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, Partitioning, PlanProperties,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use tokio::task::JoinError;

use super::kept_rows::KeptRows;

/// Has each sub-plan of `plan` computed in one place and read in all others.
///
/// The last thing that is done to a plan: whatever is put in the place of a node afterwards computes for itself.
pub(crate) fn share(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let mut results: BTreeMap<usize, Arc<Once>> = BTreeMap::new();
    plan.transform_up(|node| {
        let Some(place) = node.downcast_ref::<MaterializeExec>() else { return Ok(Transformed::no(node)) };
        if let Some(subplan) = results.get(&place.number) {
            let reader = MaterializeExec { subplan: Arc::clone(subplan), part: Part::Reads, ..place.again() };
            return Ok(Transformed::yes(Arc::new(reader) as Arc<dyn ExecutionPlan>));
        }
        results.insert(place.number, Arc::clone(&place.subplan));
        Ok(Transformed::no(node))
    })
    .data()
}

/// A sub-plan and, from when they are first asked for, its rows.
#[derive(Debug)]
struct Once {
    input: Arc<dyn ExecutionPlan>,
    rows: OnceLock<Computing>,
}

/// Rows that a task of their own computes, from when somebody first waits for them.
type Computing = Shared<BoxFuture<'static, Result<Arc<KeptRows>, Arc<DataFusionError>>>>;

/// What a place has to do with its sub-plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It has it as its input.
    Computes,
    /// Another place has.
    Reads,
}

/// One place of a sub-plan: all rows of it, in one partition, which are computed once for all places.
#[derive(Debug)]
pub(crate) struct MaterializeExec {
    number: usize,
    subplan: Arc<Once>,
    part: Part,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl MaterializeExec {
    /// A place of the sub-plan of that number, which is `input`.
    pub(super) fn new(number: usize, input: Arc<dyn ExecutionPlan>) -> Self {
        let mut rows = input.equivalence_properties().clone();
        rows.clear_orderings();
        rows.clear_per_partition_constants();
        let properties = PlanProperties::new(rows, Partitioning::UnknownPartitioning(1), input.pipeline_behavior(), input.boundedness())
            .with_evaluation_type(EvaluationType::Lazy)
            .with_scheduling_type(SchedulingType::Cooperative);
        let (subplan, properties) = (Arc::new(Once { input, rows: OnceLock::new() }), Arc::new(properties));
        Self { number, subplan, part: Part::Computes, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The same place, to be run anew.
    fn again(&self) -> Self {
        Self {
            number: self.number,
            subplan: Arc::clone(&self.subplan),
            part: self.part,
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match (self.part, children.pop()) {
            (Part::Computes, Some(input)) if children.is_empty() => Ok(Arc::new(Self::new(self.number, input))),
            (Part::Reads, None) => Ok(Arc::new(self.again())),
            _ => Err(DataFusionError::Internal("a place of a sub-plan has that as its input, or none".to_owned())),
        }
    }
}

impl Once {
    fn rows(&self, context: &Arc<TaskContext>, metrics: &ExecutionPlanMetricsSet) -> Computing {
        let compute = || {
            let (input, context) = (Arc::clone(&self.input), Arc::clone(context));
            let spilled = SpillMetrics::new(metrics, 0);
            let rows = async move { KeptRows::of(input.execute(0, Arc::clone(&context))?, &context, spilled).await };
            // It goes on while nobody waits for it, and ends with the last who may.
            let rows = async move { SpawnedTask::spawn(rows).join_unwind().await.map_err(ended)? };
            rows.map_ok(Arc::new).map_err(Arc::new).boxed().shared()
        };
        self.rows.get_or_init(compute).clone()
    }
}

fn ended(error: JoinError) -> DataFusionError {
    DataFusionError::ExecutionJoin(Box::new(error))
}

impl DisplayAs for MaterializeExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.part {
            Part::Computes => "computed once",
            Part::Reads => "computed above",
        };
        write!(f, "MaterializeExec: sub-plan {}, {how}", self.number)
    }
}

impl ExecutionPlan for MaterializeExec {
    fn name(&self) -> &'static str {
        "MaterializeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        match self.part {
            Part::Computes => vec![&self.subplan.input],
            Part::Reads => Vec::new(),
        }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.children().len()])
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
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, 0);
        let rows = self.subplan.rows(&context, &self.metrics);
        let rows = async move { rows.await.map_err(DataFusionError::Shared)?.read() };
        let counted = rows.try_flatten_stream().inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> DataFusionResult<Arc<Statistics>> {
        StatisticsContext::new().compute(self.subplan.input.as_ref(), &StatisticsArgs::new())
    }

    /// Not told: a limit that one place has must not get below it.
    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Unknown
    }
}
