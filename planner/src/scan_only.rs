//! Tables whose sources compute nothing: what [`PushDown::Off`](crate::PushDown::Off) reads from.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Constraints;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use causeway_providers::sql::SqlTable;

/// A table of a remote that is asked for whole columns only: no filter and no limit reaches it.
#[derive(Debug)]
struct ScanOnly(Arc<dyn TableProvider>);

#[async_trait]
impl TableProvider for ScanOnly {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.0.constraints()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, &[], None).await
    }
}

/// The table of a remote that `provider` is, whatever it may be asked.
pub(crate) fn stored(provider: &Arc<dyn TableProvider>) -> Option<&SqlTable> {
    match provider.downcast_ref::<ScanOnly>() {
        Some(ScanOnly(inner)) => inner.downcast_ref(),
        None => provider.downcast_ref(),
    }
}

/// Replaces every table of a remote in `plan`, in subqueries and views too.
pub(crate) fn scans_only(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(mut scan) => match source_as_provider(&scan.source) {
            Ok(provider) if provider.is::<SqlTable>() => {
                scan.source = provider_as_source(Arc::new(ScanOnly(provider)));
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            Ok(_) | Err(_) => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}
