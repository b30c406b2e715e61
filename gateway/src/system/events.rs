//! `causeway.events`: the event log as a relation, read in pages, from the number a statement asks for on.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_catalog::Environment;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;

use super::rows;

/// The log of one environment.
pub(super) struct EventLog {
    schema: SchemaRef,
    environment: Arc<Environment>,
}

impl EventLog {
    pub(super) fn new(schema: SchemaRef, environment: Arc<Environment>) -> Self {
        Self { schema, environment }
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("environment", &self.environment.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for EventLog {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// A lower bound on `seq` says where to begin; the statement checks it again, as it does all else.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let supported = |filter: &&Expr| match first_wanted(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(supported).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let after = filters.iter().filter_map(first_wanted).max().map_or(0, |first| first.saturating_sub(1));
        let pages = Pages { schema: Arc::clone(&self.schema), environment: Arc::clone(&self.environment), after };
        StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(pages)])?.scan(state, projection, &[], limit).await
    }
}

/// The least number that a filter lets through, when it is a lower bound of `seq`.
fn first_wanted(filter: &Expr) -> Option<i64> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let (op, bound) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Int64(Some(bound)), _)) if column.name == "seq" => (*op, *bound),
        (Expr::Literal(ScalarValue::Int64(Some(bound)), _), Expr::Column(column)) if column.name == "seq" => (op.swap()?, *bound),
        _ => return None,
    };
    match op {
        Operator::Gt => bound.checked_add(1),
        Operator::GtEq | Operator::Eq => Some(bound),
        _ => None,
    }
}

/// The log after a number, a page at a time.
struct Pages {
    schema: SchemaRef,
    environment: Arc<Environment>,
    after: i64,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("after", &self.after).finish_non_exhaustive()
    }
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (environment, schema) = (Arc::clone(&self.environment), Arc::clone(&self.schema));
        // What is written while the statement runs is for the next one: a log that grows would never end.
        let last = *environment.latest_event().borrow();
        let pages = stream::try_unfold(self.after, move |after| {
            let (environment, schema) = (Arc::clone(&environment), Arc::clone(&schema));
            async move {
                let mut page = environment.events_page(after).await?;
                page.retain(|event| event.sequence <= last);
                let Some(newest) = page.last().map(|event| event.sequence) else { return Ok::<_, DataFusionError>(None) };
                let batch = RecordBatch::try_new(schema, rows::events(&page))?;
                Ok(Some((batch, newest)))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pages))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn only_lower_bounds_of_the_number_say_where_to_begin() {
        for (filter, expected) in [
            (col("seq").gt(lit(41_i64)), Some(42)),
            (col("seq").gt_eq(lit(42_i64)), Some(42)),
            (lit(41_i64).lt(col("seq")), Some(42)),
            (col("seq").eq(lit(42_i64)), Some(42)),
            (col("seq").gt(lit(i64::MAX)), None),
            (col("seq").lt(lit(42_i64)), None),
            (col("id").gt(lit(41_i64)), None),
            (col("seq").gt(lit(41_i64)).or(col("seq").lt(lit(3_i64))), None),
        ] {
            assert_eq!(first_wanted(&filter), expected, "{filter}");
        }
    }
}
