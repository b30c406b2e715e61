//! The schema `causeway`: what the gateway knows of itself, as views.

mod drift;
mod events;
mod rows;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_catalog::{CatalogSnapshot, Environment};
use causeway_providers::{PRESENTATION_KEY, Presentation};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use drift::DriftLog;
use events::EventLog;

use crate::pg::Sessions;

/// The name of the schema.
pub(crate) const SCHEMA: &str = "causeway";

/// A view of what there is: its rows are made anew for each scan, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateView {
    Datasources,
    RemoteTables,
    ForeignTables,
    Omissions,
    Capabilities,
    Pools,
    CatalogHistory,
    Subscribers,
    DeadLetters,
    Statements,
}

/// A view of what happened, of which no more is read than is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogView {
    Drift,
    Events,
}

/// One of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    State(StateView),
    Log(LogView),
}

impl View {
    const ALL: [View; 12] = [
        View::State(StateView::Datasources),
        View::State(StateView::RemoteTables),
        View::State(StateView::ForeignTables),
        View::State(StateView::Omissions),
        View::State(StateView::Capabilities),
        View::State(StateView::Pools),
        View::Log(LogView::Drift),
        View::State(StateView::CatalogHistory),
        View::Log(LogView::Events),
        View::State(StateView::Subscribers),
        View::State(StateView::DeadLetters),
        View::State(StateView::Statements),
    ];

    fn name(self) -> &'static str {
        match self {
            View::State(StateView::Datasources) => "datasources",
            View::State(StateView::RemoteTables) => "remote_tables",
            View::State(StateView::ForeignTables) => "foreign_tables",
            View::State(StateView::Omissions) => "omissions",
            View::State(StateView::Capabilities) => "capabilities",
            View::State(StateView::Pools) => "pools",
            View::Log(LogView::Drift) => "drift",
            View::State(StateView::CatalogHistory) => "catalog_history",
            View::Log(LogView::Events) => "events",
            View::State(StateView::Subscribers) => "subscribers",
            View::State(StateView::DeadLetters) => "dead_letters",
            View::State(StateView::Statements) => "statements",
        }
    }

    fn named(name: &str) -> Option<View> {
        View::ALL.into_iter().find(|view| view.name() == name)
    }

    fn schema(self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let maybe_text = |name: &str| Field::new(name, DataType::Utf8, true);
        let flag = |name: &str| Field::new(name, DataType::Boolean, false);
        let count = |name: &str| Field::new(name, DataType::Int64, false);
        let maybe_count = |name: &str| Field::new(name, DataType::Int64, true);
        let moment = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
        let json = |name: &str| {
            let word = Presentation::Json.as_str().expect("json has a word");
            Field::new(name, DataType::Utf8, false).with_metadata([(PRESENTATION_KEY.to_owned(), word.to_owned())].into())
        };
        Arc::new(Schema::new(match self {
            View::State(StateView::Datasources) => vec![
                text("name"),
                text("connector"),
                text("origin"),
                text("schema_mode"),
                text("state"),
                maybe_count("version"),
                flag("allow_writes"),
                maybe_text("query_timeout"),
                maybe_text("last_error"),
                moment("stale_since"),
                maybe_count("drift"),
            ],
            View::State(StateView::RemoteTables) => vec![
                text("datasource"),
                text("remote_schema"),
                text("remote_table"),
                text("kind"),
                count("column_count"),
                maybe_text("primary_key"),
                maybe_count("row_estimate"),
                maybe_text("comment"),
            ],
            View::State(StateView::ForeignTables) => vec![
                text("schema"),
                text("name"),
                text("datasource"),
                text("remote_schema"),
                text("remote_table"),
                flag("pinned"),
                count("column_count"),
                flag("imported"),
                flag("writable"),
                maybe_text("unavailable"),
            ],
            View::State(StateView::Omissions) => vec![text("datasource"), text("subject"), text("reason")],
            View::State(StateView::Capabilities) => vec![text("datasource"), text("capability"), flag("supported")],
            View::State(StateView::Pools) => vec![
                text("datasource"),
                text("serves"),
                count("size"),
                count("max_size"),
                count("in_use"),
                count("idle"),
                count("waiting"),
                count("waited_ms_total"),
                count("opened_total"),
                count("errors_total"),
                maybe_text("last_error"),
                moment("last_error_at"),
            ],
            View::Log(LogView::Drift) => vec![
                text("datasource"),
                text("remote_schema"),
                text("remote_table"),
                text("kind"),
                maybe_text("column"),
                maybe_text("expected"),
                maybe_text("actual"),
                text("severity"),
                moment("first_seen"),
                count("event"),
                moment("resolved_at"),
                maybe_count("resolved_event"),
                maybe_text("resolution"),
                text("published"),
            ],
            View::State(StateView::CatalogHistory) => {
                vec![text("datasource"), count("version"), moment("taken_at"), moment("seen_at"), count("table_count"), text("fingerprint")]
            }
            View::Log(LogView::Events) => vec![
                count("seq"),
                text("id"),
                text("type"),
                maybe_text("subject"),
                text("source"),
                moment("time"),
                maybe_text("actor"),
                json("data"),
            ],
            View::State(StateView::Subscribers) => vec![
                text("name"),
                text("kind"),
                text("target"),
                maybe_text("types"),
                text("state"),
                count("position"),
                count("behind"),
                count("attempts"),
                moment("retry_at"),
                maybe_text("last_error"),
            ],
            View::State(StateView::DeadLetters) => {
                vec![text("subscriber"), count("seq"), moment("failed_at"), count("attempts"), text("error")]
            }
            View::State(StateView::Statements) => vec![
                count("pid"),
                text("user"),
                text("application_name"),
                text("client"),
                moment("started_at"),
                count("elapsed_ms"),
                text("phase"),
                text("query"),
                count("rows_sent"),
                text("datasources"),
                json("scans"),
            ],
        }))
    }
}

/// The columns of all views, for the system catalogs.
pub(crate) fn columns() -> BTreeMap<String, SchemaRef> {
    View::ALL.into_iter().map(|view| (view.name().to_owned(), view.schema())).collect()
}

/// The schema as a statement sees it.
pub(crate) fn schema(environment: &Arc<Environment>, snapshot: &Arc<CatalogSnapshot>, sessions: &Arc<Sessions>) -> Arc<dyn SchemaProvider> {
    Arc::new(CausewaySchema { environment: Arc::clone(environment), snapshot: Arc::clone(snapshot), sessions: Arc::clone(sessions) })
}

#[derive(Debug)]
struct CausewaySchema {
    environment: Arc<Environment>,
    snapshot: Arc<CatalogSnapshot>,
    sessions: Arc<Sessions>,
}

#[async_trait]
impl SchemaProvider for CausewaySchema {
    fn table_names(&self) -> Vec<String> {
        View::ALL.map(|view| view.name().to_owned()).into()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (environment, snapshot, sessions) = (Arc::clone(&self.environment), Arc::clone(&self.snapshot), Arc::clone(&self.sessions));
        Ok(View::named(name).map(|view| match view {
            View::Log(LogView::Events) => Arc::new(EventLog::new(view.schema(), environment)) as Arc<dyn TableProvider>,
            View::Log(LogView::Drift) => Arc::new(DriftLog::new(view.schema(), environment)),
            View::State(state) => Arc::new(SystemView { view: state, schema: view.schema(), environment, snapshot, sessions }),
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        View::named(name).is_some()
    }
}

/// A view of what there is. Its rows are made when it is scanned, so that a prepared statement sees the state of every execution.
struct SystemView {
    view: StateView,
    schema: SchemaRef,
    environment: Arc<Environment>,
    snapshot: Arc<CatalogSnapshot>,
    sessions: Arc<Sessions>,
}

impl fmt::Debug for SystemView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SystemView").field(&self.view).finish()
    }
}

#[async_trait]
impl TableProvider for SystemView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = match self.view {
            StateView::Datasources => {
                let drift = self.environment.open_drift_counts().await;
                // A store that cannot be read must not hide how the datasources are.
                let drift = drift.inspect_err(|error| tracing::warn!(%error, "open differences are not counted")).ok();
                rows::datasources(&self.environment.datasources(), drift.as_ref())
            }
            StateView::RemoteTables => rows::remote_tables(&self.snapshot),
            StateView::ForeignTables => rows::foreign_tables(&self.snapshot),
            StateView::Omissions => rows::omissions(&self.environment.datasources()),
            StateView::Capabilities => rows::capabilities(&self.environment.datasources()),
            StateView::Pools => rows::pools(&self.environment.pools()),
            StateView::CatalogHistory => rows::catalog_history(&self.environment.history().await?),
            StateView::Subscribers => {
                let latest = *self.environment.latest_event().borrow();
                rows::subscribers(&self.environment.store().subscribers(self.environment.name()).await?, latest)
            }
            StateView::Statements => rows::statements(&self.sessions.activity()),
            StateView::DeadLetters => rows::dead_letters(&self.environment.store().dead_letters(self.environment.name()).await?),
        };
        let batch = RecordBatch::try_new(self.schema(), columns)?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?.scan(state, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests;
