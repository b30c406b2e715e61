//! Groups of `ROLLUP`, `CUBE` and `GROUPING SETS`, and outer joins with a side of constants, are taken to be in no order.
//!
//! DataFusion tells of a grouping what it knows of the rows below: that a key is the same in all of them, or ascends. Of grouping sets
//! that is not so, as a set without the key has NULL there. `WHERE a = 1 GROUP BY ROLLUP (a) ORDER BY a` was not sorted, and the final
//! grouping gave its groups as soon as the key changed, and again when it changed back. Of a join it tells that a column is constant which is
//! so on one side, even where that side's rows are filled up with NULL.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Statistics};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// To be applied before sorts are dropped.
#[derive(Debug)]
pub(crate) struct UnorderedRows;

impl PhysicalOptimizerRule for UnorderedRows {
    fn name(&self) -> &'static str {
        "unordered_rows"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let has_sets = plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| aggregate.group_expr().has_grouping_set());
            Ok(if has_sets || fills_constants(plan.as_ref()) {
                Transformed::yes(Arc::new(Unordered::new(plan)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(plan)
            })
        })
        .data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a plan is a join that gives rows with NULL in place of a constant.
fn fills_constants(plan: &dyn ExecutionPlan) -> bool {
    let hashed = plan.downcast_ref::<HashJoinExec>().map(HashJoinExec::join_type);
    let looped = plan.downcast_ref::<NestedLoopJoinExec>().map(NestedLoopJoinExec::join_type);
    let merged = plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let Some(join_type) = hashed.or(looped).or(merged.as_ref()) else { return false };
    let is_filled = match join_type {
        JoinType::Left => [false, true],
        JoinType::Right => [true, false],
        JoinType::Full => [true, true],
        _ => return false,
    };
    let has_constant = |input: &Arc<dyn ExecutionPlan>| !input.properties().eq_properties.constants().is_empty();
    plan.children().into_iter().zip(is_filled).any(|(input, is_filled)| is_filled && has_constant(input))
}

/// The rows of a plan, of which nothing is known but where they are.
#[derive(Debug)]
pub(crate) struct Unordered {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Unordered {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.properties();
        let equivalences = EquivalenceProperties::new(input.schema());
        let properties = PlanProperties::new(equivalences, known.partitioning.clone(), known.emission_type, known.boundedness)
            .with_evaluation_type(known.evaluation_type)
            .with_scheduling_type(known.scheduling_type);
        Self { input, properties: Arc::new(properties) }
    }

    fn over(mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::new(input))),
            _ => Err(DataFusionError::Internal("rows in no order have one input".to_owned())),
        }
    }
}

impl DisplayAs for Unordered {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unordered")
    }
}

impl ExecutionPlan for Unordered {
    fn name(&self) -> &'static str {
        "Unordered"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> DataFusionResult<Arc<Statistics>> {
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
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
        Self::over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Self::over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
