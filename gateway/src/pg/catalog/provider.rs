//! `pg_catalog` and `information_schema` as DataFusion sees them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{SchemaProvider, Session as PlannerSession, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::PgCatalog;
use super::relations::{SystemKind, SystemRelation, SystemSchema, system_relation, system_relations};
use super::session::Session;
use super::tables;

/// How many rows a batch has, so that operators may start before the end and spread over cores.
const BATCH_ROWS: usize = 8_192;

/// A system schema, as one session sees it.
#[derive(Debug)]
pub(super) struct SystemSchemaProvider {
    pub(super) schema: SystemSchema,
    pub(super) catalog: Arc<PgCatalog>,
    pub(super) session: Arc<Session>,
}

#[async_trait]
impl SchemaProvider for SystemSchemaProvider {
    fn table_names(&self) -> Vec<String> {
        let listed = system_relations().iter().filter(|r| r.schema == self.schema && r.kind != SystemKind::Function);
        listed.map(|r| r.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(system_relation(self.schema, name).map(|relation| {
            Arc::new(SystemTable { relation, catalog: Arc::clone(&self.catalog), session: Arc::clone(&self.session) })
                as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        system_relation(self.schema, name).is_some()
    }
}

/// A system relation, as one session sees it. Its rows are built by the first scan that needs them.
#[derive(Debug)]
struct SystemTable {
    relation: &'static SystemRelation,
    catalog: Arc<PgCatalog>,
    session: Arc<Session>,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.relation.arrow)
    }

    fn table_type(&self) -> TableType {
        match self.relation.kind {
            SystemKind::Table => TableType::Base,
            SystemKind::View | SystemKind::Function => TableType::View,
        }
    }

    async fn scan(
        &self,
        _state: &dyn PlannerSession,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batches = if tables::is_live(self.relation) {
            slices(&tables::build_live(self.relation, &self.catalog, &self.session)?)
        } else {
            self.catalog.rows(self.relation)?
        };
        Ok(MemorySourceConfig::try_new_exec(&[batches], self.schema(), projection.cloned())?)
    }
}

/// A batch in pieces of [`BATCH_ROWS`], without a copy.
pub(super) fn slices(batch: &RecordBatch) -> Vec<RecordBatch> {
    (0..batch.num_rows()).step_by(BATCH_ROWS).map(|start| batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start))).collect()
}
