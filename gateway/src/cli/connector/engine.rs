//! The planner as the engine of the contract: it plans a statement over one schema, and its plan tells who computes.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_planner::{Engine, EngineLimits, Error, ErrorKind, Progress, PushDown, Result, StatementContext};
use causeway_providers::contract::{self, Answer, Refusal, SCHEMA};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider};
use futures::TryStreamExt;
use tempfile::TempDir;

/// The environment its statements run in.
const ENVIRONMENT: &str = "default";
/// Bytes its statements may hold in operators' memory.
const MEMORY: usize = 512 << 20;
/// Operators that read, and one that only lets others run.
const NOT_COMPUTING: [&str; 3] = ["RemoteScan", "FileScan", "Values Scan"];

/// An engine with a spill folder of its own, gone with it.
#[derive(Debug)]
pub(super) struct PlannerEngine {
    engine: Engine,
    /// After the engine, so that nothing is written to it any more when it goes.
    _spill: TempDir,
}

impl PlannerEngine {
    /// # Errors
    /// When the spill folder cannot be made.
    pub(super) fn new() -> Result<Self> {
        let spill = tempfile::Builder::new().prefix("causeway-connector-").tempdir();
        let spill = spill.map_err(|cause| Error::new(ErrorKind::Invalid, format!("the spill folder cannot be made: {}", cause.kind())))?;
        Ok(Self {
            engine: Engine::new(EngineLimits { memory: MEMORY, spill: spill.path().to_owned(), spill_quota: 1 << 30 })?,
            _spill: spill,
        })
    }

    async fn rows(&self, context: &StatementContext, sql: &str) -> Result<Vec<RecordBatch>> {
        let statement = self.engine.parse(sql)?.remove(0);
        let query = self.engine.plan(&statement, &[], context).await?;
        query.execute(Vec::new(), &Progress::default()).await?.rows.try_collect().await.map_err(Error::from)
    }
}

#[async_trait]
impl contract::Engine for PlannerEngine {
    async fn answer(&self, tables: Arc<dyn SchemaProvider>, sql: &str) -> Result<Answer, Refusal> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, tables)?;
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
            guardrails: None,
        };
        let batches = self.rows(&context, sql).await.map_err(refusal)?;
        let plan = self.rows(&context, &format!("EXPLAIN {sql}")).await.map_err(refusal)?;
        let lines: Vec<&str> = plan.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()).collect();
        Ok(Answer { batches, statements: statements(&lines), computed_here: computed_here(&lines) })
    }
}

/// Why there is no answer: what the connector said, when it was that.
fn refusal(error: Error) -> Refusal {
    match error.datasource_error() {
        Some(of_source) => Refusal::from(of_source),
        None => Refusal { hint: error.hint_text().map(str::to_owned), ..Refusal::from(causeway_providers::with_causes(&error)) },
    }
}

/// The statements a page of `EXPLAIN` lists: `  [1] source: SELECT ...`.
fn statements(lines: &[&str]) -> Vec<String> {
    let listed = lines.iter().filter_map(|line| line.strip_prefix("  [")?.split_once("] ")?.1.split_once(": "));
    listed.map(|(_, sql)| sql.to_owned()).collect()
}

/// The operators of the tree that a page of `EXPLAIN` begins with, but those that compute nothing.
fn computed_here(lines: &[&str]) -> Vec<String> {
    let tree = lines.iter().take_while(|line| !line.is_empty());
    let names = tree.filter_map(|line| line.trim_start().trim_start_matches("->").trim_start().split([':', '(']).next());
    let names = names.filter_map(|name| name.split(" on ").next()).map(str::trim_end);
    names.filter(|name| !NOT_COMPUTING.contains(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_a_spill_folder_each() {
        let (one, two) = (PlannerEngine::new().unwrap(), PlannerEngine::new().unwrap());
        let (gone, kept) = (one._spill.path().to_owned(), two._spill.path().to_owned());
        drop(one);
        assert!(!gone.exists() && kept.is_dir());
    }

    #[test]
    fn a_plan_tells_who_computes() {
        let page = [
            "Hash Join: mode=Partitioned  (rows=3)",
            "  ->  Limit: skip=0, fetch=3",
            "        ->  RemoteScan on shop [1]  (rows=3 width=4)",
            "",
            "Remote statements",
            "  [1] shop: SELECT 1 LIMIT 3",
        ];
        assert_eq!(computed_here(&page), ["Hash Join", "Limit"]);
        assert_eq!(statements(&page), ["SELECT 1 LIMIT 3"]);
    }
}
