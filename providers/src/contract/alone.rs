//! DataFusion without a planner of ours: enough for a source that only reads.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::engine::{Answer, Engine, SCHEMA};
use super::refusal::Refusal;

/// Plans with DataFusion alone, which ships no statement: it is told of no work at the source.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataFusionAlone;

#[async_trait]
impl Engine for DataFusionAlone {
    async fn answer(&self, tables: Arc<dyn SchemaProvider>, sql: &str) -> Result<Answer, Refusal> {
        let session = SessionContext::new_with_config(SessionConfig::new().with_create_default_catalog_and_schema(false));
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, tables)?;
        session.register_catalog("datafusion", Arc::new(catalog));
        let rows = session.sql(sql).await?;
        let batches = rows.collect().await?;
        Ok(Answer { batches, statements: Vec::new(), computed_here: Vec::new() })
    }
}
