//! Conditions stay above a grouping without keys: it gives its one row of no rows too.
//!
//! DataFusion's rule hands a condition to what is below a grouping if all of its columns are keys, and of one that has no column that is
//! always so: of `WHERE false`, of what can never hold together, of a subquery. The grouping then gave its row although nothing held.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule that pushes filters down, kept from those.
#[derive(Debug)]
pub(crate) struct AboveOneGroup(pub(crate) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for AboveOneGroup {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> DataFusionResult<Transformed<LogicalPlan>> {
        if filters_one_group(&plan) { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// Whether `plan` is a filter, or several, above a grouping without keys.
fn filters_one_group(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Filter(filter) = plan else { return false };
    match filter.input.as_ref() {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        below => filters_one_group(below),
    }
}
