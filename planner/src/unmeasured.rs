//! Plans whose filters say nothing of the rows that they let pass.
//!
//! DataFusion reckons from the extremes of columns what share of the rows a condition keeps, and where the reckoning fails, as for a share
//! above one, planning does. No answer needs it.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Filter, LogicalPlan, ScalarUDF, Volatility, create_udf};

/// Whether a plan may fail for what is believed of it.
pub(crate) fn is_fault(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Internal(_))
}

/// `plan` with conditions of which nothing is reckoned.
pub(crate) fn unmeasured(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => {
            let condition = HOLDS.call(vec![filter.predicate]);
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(condition, filter.input)?)))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// A condition as it is.
static HOLDS: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let evaluate = |arguments: &[ColumnarValue]| match arguments {
        [condition] => Ok(condition.clone()),
        _ => internal_err!("a condition is one value"),
    };
    create_udf("holds", vec![DataType::Boolean], DataType::Boolean, Volatility::Immutable, Arc::new(evaluate))
});

#[cfg(test)]
mod tests {
    use datafusion::assert_batches_eq;
    use datafusion::prelude::SessionContext;

    use super::unmeasured;

    #[tokio::test]
    async fn the_rows_are_those_of_the_condition() {
        let context = SessionContext::new();
        let sql = "SELECT column1 FROM (VALUES (1), (2), (3)) WHERE column1 > 1 AND column1 < 3";
        let plan = unmeasured(context.sql(sql).await.unwrap().into_optimized_plan().unwrap()).unwrap();
        let frame = context.execute_logical_plan(plan).await.unwrap();
        let rows = frame.collect().await.unwrap();
        assert_batches_eq!(["+---------+", "| column1 |", "+---------+", "| 2       |", "+---------+"], &rows);
    }
}
