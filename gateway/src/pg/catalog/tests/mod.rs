//! Tests over a database with tables of every kind, asked through the real planner.

mod corpora;
mod database;
mod functions;
mod psql;
mod relations;

use std::sync::Arc;

use causeway_planner::{Engine, EngineLimits, Progress, PushDown, StatementContext};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use futures::TryStreamExt;

use super::{OidRegistry, PgCatalog, Session};

/// A session on a catalog, with an engine to ask it.
pub(super) struct Client {
    engine: Engine,
    pub(super) catalog: Arc<PgCatalog>,
    pub(super) session: Arc<Session>,
}

/// Rows as text; NULL is `∅`.
pub(super) type Rows = Vec<Vec<String>>;

impl Client {
    /// A session of `ana` on the database of [`database::database`], without a search path of its own.
    pub(super) fn new() -> Self {
        Self::with_path(&["$user", "public"])
    }

    /// The same with a search path.
    pub(super) fn with_path(path: &[&str]) -> Self {
        let limits = EngineLimits { memory: 256 << 20, spill: std::env::temp_dir(), spill_quota: 1 << 30 };
        Self {
            engine: Engine::new(limits).unwrap(),
            catalog: PgCatalog::new(database::database(), Arc::new(OidRegistry::default())),
            session: Arc::new(database::session(path)),
        }
    }

    fn context(&self) -> StatementContext {
        let schemas = self.catalog.schemas(&self.session);
        let environment = MemoryCatalogProvider::new();
        environment.register_schema("pg_catalog", schemas.pg_catalog).unwrap();
        environment.register_schema("information_schema", schemas.information_schema).unwrap();
        let list = MemoryCatalogProviderList::new();
        list.register_catalog("default".to_owned(), Arc::new(environment));
        StatementContext {
            catalog: Arc::new(list),
            environment: "default".to_owned(),
            search_path: self.session.search_path.clone(),
            time_zone: "UTC".to_owned(),
            functions: self.catalog.functions(&self.session),
            push_down: PushDown::On,
            observer: None,
            guardrails: None,
        }
    }

    /// Asks, after putting oids in place of `{schema.relation}`.
    pub(super) async fn try_ask(&self, sql: &str) -> Result<Rows, String> {
        let sql = self.with_oids(sql);
        let statements = self.engine.parse(&sql).map_err(|e| format!("parse: {e}"))?;
        let mut rows = Vec::new();
        for statement in &statements {
            let query = self.engine.plan(statement, &[], &self.context()).await.map_err(|e| format!("plan: {e}"))?;
            let stream = query.execute(Vec::new(), &Progress::default()).await.map_err(|e| format!("execute: {e}"))?.rows;
            let batches: Vec<_> = stream.try_collect().await.map_err(|e| format!("run: {}", causeway_planner::Error::from(e)))?;
            rows.clear();
            let options = FormatOptions::default().with_null("∅");
            for batch in batches {
                let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
                rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>()));
            }
        }
        Ok(rows)
    }

    /// Asks; a failure fails the test.
    pub(super) async fn ask(&self, sql: &str) -> Rows {
        self.try_ask(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// The rows with `|` between values.
    pub(super) async fn lines(&self, sql: &str) -> Vec<String> {
        self.ask(sql).await.into_iter().map(|row| row.join("|")).collect()
    }

    /// The one value of the one row.
    pub(super) async fn value(&self, sql: &str) -> String {
        let rows = self.ask(sql).await;
        assert_eq!((rows.len(), rows.first().map_or(0, Vec::len)), (1, 1), "{sql}");
        rows[0][0].clone()
    }

    fn with_oids(&self, sql: &str) -> String {
        let mut text = String::new();
        let mut rest = sql;
        while let Some(open) = rest.find('{') {
            let found = rest[open..].find('}').and_then(|length| {
                let (schema, name) = rest[open + 1..open + length].split_once('.')?;
                Some((length, self.catalog.model().by_name(schema, name)?.oid()))
            });
            text.push_str(&rest[..open]);
            match found {
                Some((length, oid)) => {
                    text.push_str(&oid.to_string());
                    rest = &rest[open + length + 1..];
                }
                None => {
                    text.push('{');
                    rest = &rest[open + 1..];
                }
            }
        }
        text + rest
    }
}

/// The statements of a corpus, each with the line above it that says where it is from.
pub(super) fn statements(corpus: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for part in corpus.split("\n-- ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        found.extend(rest.split(";\n").map(str::trim).filter(|sql| !sql.is_empty()).map(|sql| (name, sql)));
    }
    found
}
