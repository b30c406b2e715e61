//! `causeway.drift`: the differences of the store, read as far as a statement asks for them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_catalog::{DriftSelection, DriftState, Environment};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::rows;

/// The differences of one environment.
pub(super) struct DriftLog {
    schema: SchemaRef,
    environment: Arc<Environment>,
}

impl DriftLog {
    pub(super) fn new(schema: SchemaRef, environment: Arc<Environment>) -> Self {
        Self { schema, environment }
    }
}

impl fmt::Debug for DriftLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriftLog").field("environment", &self.environment.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for DriftLog {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// What the store is asked for is not checked again, so that a limit behind it is for the store as well.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let supported = |filter: &&Expr| match wanted(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
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
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        let found = match select(filters, limit) {
            Some(which) => self.environment.drift(which).await?,
            None => Vec::new(),
        };
        let batch = RecordBatch::try_new(self.schema(), rows::drift(&found))?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?.scan(state, projection, &[], limit.map(|limit| limit as usize)).await
    }
}

/// A condition that the store decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted<'a> {
    Datasource(&'a str),
    State(DriftState),
}

fn wanted(filter: &Expr) -> Option<Wanted<'_>> {
    let is = |expr: &Expr, name: &str| matches!(expr, Expr::Column(column) if column.name == name);
    match filter {
        Expr::IsNull(of) if is(of, "resolved_at") => Some(Wanted::State(DriftState::Open)),
        Expr::IsNotNull(of) if is(of, "resolved_at") => Some(Wanted::State(DriftState::Resolved)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(value, _)) | (Expr::Literal(value, _), column) if is(column, "datasource") => {
                Some(Wanted::Datasource(value.try_as_str()??))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What meets all of `filters`; `None` when nothing can.
fn select(filters: &[Expr], limit: Option<u32>) -> Option<DriftSelection<'_>> {
    let mut which = DriftSelection { limit, ..DriftSelection::default() };
    for wanted in filters.iter().filter_map(wanted) {
        let is_possible = match wanted {
            Wanted::Datasource(name) => which.datasource.replace(name).is_none_or(|other| other == name),
            Wanted::State(state) => which.state.replace(state).is_none_or(|other| other == state),
        };
        if !is_possible {
            return None;
        }
    }
    Some(which)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn the_store_is_asked_for_one_datasource_and_one_state() {
        let open = || col("resolved_at").is_null();
        let crm = || col("datasource").eq(lit("crm"));
        let which = |datasource, state, limit| Some(DriftSelection { datasource, state, limit });
        assert_eq!(select(&[], Some(3)), which(None, None, Some(3)));
        assert_eq!(select(&[crm(), open()], Some(3)), which(Some("crm"), Some(DriftState::Open), Some(3)));
        assert_eq!(
            select(&[lit("crm").eq(col("datasource")), col("resolved_at").is_not_null()], None),
            which(Some("crm"), Some(DriftState::Resolved), None)
        );
        assert_eq!(select(&[crm(), crm()], None), which(Some("crm"), None, None));
        assert_eq!(select(&[crm(), col("datasource").eq(lit("erp"))], None), None);
        assert_eq!(select(&[open(), col("resolved_at").is_not_null()], None), None);
        for other in [col("datasource").not_eq(lit("crm")), col("kind").eq(lit("crm")), crm().or(open()), col("datasource").gt(lit("crm"))]
        {
            assert_eq!(wanted(&other), None, "{other}");
        }
    }
}
