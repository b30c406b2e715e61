//! Which filters, made while a plan runs, remote scans wait for: those of hash joins, which know all keys of one side before they
//! ask the other for its first row.

use std::collections::HashSet;
use std::sync::Arc;

use causeway_providers::sql::RemoteScan;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;

/// Runs last, once the filters are in place.
#[derive(Debug)]
pub(crate) struct WaitForJoins;

impl PhysicalOptimizerRule for WaitForJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut joins = HashSet::new();
        plan.apply(|node| {
            if node.is::<HashJoinExec>() {
                joins.extend(node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        plan.transform_up(|node| {
            let scan = node.downcast_ref::<RemoteScan>().and_then(|scan| scan.waiting_for(&|id| joins.contains(&id)));
            Ok(match scan {
                Some(scan) => Transformed::yes(Arc::new(scan) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "wait_for_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
