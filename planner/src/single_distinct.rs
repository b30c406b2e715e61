//! Aggregates over distinct values, which DataFusion computes by grouping twice, where that keeps their types.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// DataFusion's rule, but for aggregates that give decimals: a sum of sums has more digits than the sum it stands for, and what is above
/// was planned for that one.
#[derive(Debug)]
pub(crate) struct SingleDistinct(pub(crate) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SingleDistinct {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> DataFusionResult<Transformed<LogicalPlan>> {
        let gives_decimals = match &plan {
            LogicalPlan::Aggregate(aggregate) => {
                let results = aggregate.schema.fields().iter().skip(aggregate.group_expr.len());
                results.into_iter().any(|field| matches!(field.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..)))
            }
            _ => false,
        };
        if gives_decimals { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}
