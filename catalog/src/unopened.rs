//! A table that is known and cannot be read: its columns answer, and a scan of it fails with the reason.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_providers::Error;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// A table without a source.
#[derive(Debug)]
pub(crate) struct Unopened {
    columns: SchemaRef,
    reason: Arc<Error>,
}

impl Unopened {
    /// A table with these columns that fails with `reason`.
    pub(crate) fn new(columns: SchemaRef, reason: Arc<Error>) -> Self {
        Self { columns, reason }
    }
}

#[async_trait]
impl TableProvider for Unopened {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.reason.restated().into())
    }
}
