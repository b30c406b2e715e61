//! The planner as the engine of the contract: it plans a statement over one schema, and its plan tells who computes.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_planner::{Engine, EngineLimits, Error, PushDown, Result, StatementContext};
use causeway_providers::contract::{self, Answer, SCHEMA};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider};
use futures::TryStreamExt;

/// The environment its statements run in.
const ENVIRONMENT: &str = "default";
/// Bytes its statements may hold in operators' memory.
const MEMORY: usize = 512 << 20;
/// How the line of a plan begins that is one statement at a source.
const AT_THE_SOURCE: &str = "RemoteScan on ";

/// An engine with a spill folder of its own, gone with it.
#[derive(Debug)]
pub(super) struct PlannerEngine {
    engine: Engine,
    spill: PathBuf,
}

impl PlannerEngine {
    /// # Errors
    /// When the spill folder cannot be made.
    pub(super) fn new() -> Result<Self> {
        let spill = std::env::temp_dir().join(format!("causeway-connector-{}", std::process::id()));
        Ok(Self { engine: Engine::new(EngineLimits { memory: MEMORY, spill: spill.clone() })?, spill })
    }

    async fn rows(&self, context: &StatementContext, sql: &str) -> Result<Vec<RecordBatch>> {
        let statement = self.engine.parse(sql)?.remove(0);
        let query = self.engine.plan(&statement, &[], context).await?;
        query.execute(Vec::new()).await?.try_collect().await.map_err(Error::from)
    }
}

#[async_trait]
impl contract::Engine for PlannerEngine {
    async fn answer(&self, tables: Arc<dyn SchemaProvider>, sql: &str) -> Result<Answer, String> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, tables).map_err(|error| error.to_string())?;
        let all = MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(&all, ENVIRONMENT.to_owned(), Arc::new(catalog));
        let context = StatementContext {
            catalog: Arc::new(all),
            environment: ENVIRONMENT.to_owned(),
            search_path: vec![SCHEMA.to_owned()],
            time_zone: "+00:00".to_owned(),
            functions: Vec::new(),
            push_down: PushDown::On,
            observer: None,
        };
        let told = |error: Error| causeway_providers::with_causes(&error);
        let batches = self.rows(&context, sql).await.map_err(told)?;
        let plan = self.rows(&context, &format!("EXPLAIN {sql}")).await.map_err(told)?;
        let first = plan.first().filter(|lines| lines.num_rows() > 0).map(|lines| lines.column(0).as_string::<i32>().value(0).to_owned());
        Ok(Answer { batches, at_the_source: first.is_some_and(|line| line.starts_with(AT_THE_SOURCE)) })
    }
}

impl Drop for PlannerEngine {
    fn drop(&mut self) {
        // What is left of it is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.spill);
    }
}
