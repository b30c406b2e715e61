//! Rules that make plans cheaper and no more right: where one fails, the plan stays as it was.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// A rule of DataFusion's that a plan can do without.
///
/// `ProjectionPushdown` mistakes columns of one name in the joins of a `FULL JOIN` with a condition above, and says so.
#[derive(Debug)]
pub(crate) struct Dispensable(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Dispensable {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let optimized = self.0.optimize(Arc::clone(&plan), config);
        Ok(optimized.unwrap_or_else(|_| {
            // The error may quote values of the statement.
            tracing::debug!(rule = self.0.name(), "a rule failed, and the plan stays as it was");
            plan
        }))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
