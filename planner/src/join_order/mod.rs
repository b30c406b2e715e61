//! The order of joins. DataFusion joins as it is written; here inner joins are put in the order whose intermediate results are believed
//! to be smallest, by what the sources and files know of their rows.
//!
//! It runs on the physical plan, where each input is a statement of a remote, a scan of files or whatever is computed above one, and
//! each has statistics. [`cluster`] finds the inputs and the conditions between them, [`cost`] chooses the order, and [`build`] makes
//! joins of it. What is believed chooses plans, never answers.

mod build;
mod cluster;
mod cost;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use cluster::Cluster;

/// Runs before the rule that chooses the sides of joins.
#[derive(Debug)]
pub(crate) struct JoinOrder;

impl PhysicalOptimizerRule for JoinOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if config.optimizer.join_reordering { ordered(plan) } else { Ok(plan) }
    }

    fn name(&self) -> &str {
        "join_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `plan` with each cluster of joins in the order of least cost.
fn ordered(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let Some(mut cluster) = Cluster::at(&plan) else {
        return plan.map_children(|child| ordered(child).map(Transformed::yes)).data();
    };
    for input in &mut cluster.inputs {
        *input = ordered(Arc::clone(input))?;
    }
    let Some(order) = cost::least(&cluster)? else {
        // Its joins stay, and what is below them is what it became.
        return build::as_written(&plan, &mut cluster.inputs.into_iter());
    };
    build::joined(&cluster, &order, &plan.schema())
}
