//! Rows are skipped in the order that was asked for.
//!
//! DataFusion drops a sort whose order nobody needs, and sees that a limit does by the order that reaches it. Of `ORDER BY a OFFSET 2`
//! below something that no longer reads `a`, none does: a projection without `a` stands between the sort and the limit, and the first
//! two rows were any two. (A limit with a number is safe, as the sort has it too.) So the limit goes below such projections first.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// To be applied before sorts are dropped.
#[derive(Debug)]
pub(crate) struct OrderedSkip;

impl PhysicalOptimizerRule for OrderedSkip {
    fn name(&self) -> &'static str {
        "ordered_skip"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(if skips_in_order(&plan) { Transformed::yes(below_projections(&plan)?) } else { Transformed::no(plan) })
        })
        .data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether `plan` is a limit above projections of a sort.
fn skips_in_order(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() else { return false };
    let mut below = limit.input();
    while let Some(projection) = below.downcast_ref::<ProjectionExec>() {
        below = projection.input();
    }
    below.downcast_ref::<SortExec>().is_some()
}

/// `limit` under the projections that it stands on.
fn below_projections(limit: &Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let [input] = limit.children()[..] else { return Ok(Arc::clone(limit)) };
    let Some(projection) = input.downcast_ref::<ProjectionExec>() else { return Ok(Arc::clone(limit)) };
    let limit = replace_children_if_necessary(Arc::clone(limit), vec![Arc::clone(projection.input())])?;
    replace_children_if_necessary(Arc::clone(input), vec![below_projections(&limit)?])
}
