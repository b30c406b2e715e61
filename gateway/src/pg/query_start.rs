//! How a query starts: it is planned, it runs up to its first rows, and it starts once more when a source turns out to have changed.

use std::sync::Arc;

use causeway_planner::{Asked, Progress, Query, StatementContext, changes};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::command::{Command, Parsed};
use super::encode::{Format, Style};
use super::notify::pg_notify;
use super::portal::{Bound, Plan, Portal, PortalState, Running, changed_result};
use super::second_look::{Looked, Wish};
use super::session::Session;
use super::sqlstate::{Aside, Halt, PgError};
use super::truncation::ResultLimit;

impl Session {
    /// Plans a statement against what is visible now, or takes `known`, or what was planned for it before, if that is still the same.
    pub(super) async fn plan(&mut self, statement: &Parsed, declared: &[Option<DataType>], known: Option<Plan>) -> Result<Plan, Halt> {
        let identity = self.identity();
        let changes = changes(&statement.statement);
        // A limited role is refused by the planner, without a word on gates.
        if !changes.is_empty() && self.role.is_none() {
            self.environment.admit(&changes, &identity).map_err(|refusal| PgError::from(&refusal))?;
        }
        let visible = self.environment.visible(&identity);
        if let Some(known) = known.filter(|known| known.is_current(visible.version, &self.settings)) {
            return Ok(known);
        }
        let mut functions = visible.functions;
        functions.push(pg_notify(self.transaction.pending().outbox()));
        functions.push(self.last_truncated.function());
        let context = StatementContext {
            catalog: visible.catalog,
            environment: identity.database.clone(),
            search_path: identity.search_path.clone(),
            time_zone: self.settings.time_zone().for_planner(),
            functions,
            push_down: self.settings.push_down(),
            observer: visible.observer,
            guardrails: self.role.as_ref().map(|role| role.guardrails()),
        };
        let (engine, environment) = (Arc::clone(&self.engine), Arc::clone(&self.environment));
        let role = self.role.clone();
        let refused = |error: causeway_planner::Error| {
            // Why a table is left out tells of what else there is.
            if let (Some(role), Some(table)) = (&role, error.undefined_table()) {
                let denied = role.denial(table.schema.as_deref(), &table.name);
                let mut shown = denied.unwrap_or_else(|| PgError::from(error));
                shown.hint.get_or_insert_with(|| role.sees_hint());
                return shown;
            }
            let known = error.undefined_table().and_then(|table| environment.left_out(table.schema.as_deref(), &table.name, &identity));
            let mut shown = PgError::from(error);
            shown.hint = known.or(shown.hint);
            shown
        };
        let cache = Arc::clone(self.environment.statement_cache());
        let role = self.role.as_ref().map(|role| role.name.clone());
        let (text, version) = (&statement.text, visible.version);
        let asked = Asked { statement: &statement.statement, text, declared, version, role: role.as_deref() };
        let query = self.guarded(async { cache.plan(&engine, asked, &context).await.map_err(refused) }).await?;
        Ok(Plan { query, version, settings: self.settings.clone() })
    }

    /// Starts a statement that was not prepared. Nothing is promised of its columns until its first rows are here.
    pub(super) async fn start_unprepared(&mut self, statement: &Parsed) -> Result<Running, Halt> {
        let plan = self.plan(statement, &[], None).await?;
        if !plan.query.parameter_types().is_empty() {
            return Err(PgError::new("42P02", "there is no parameter $1").into());
        }
        let formats = |query: &Query| vec![Format::Text; query.schema().fields().len()];
        let is_alone = self.writing.is_none();
        match self.first_rows(&plan.query, Vec::new(), formats(&plan.query)).await {
            Err(failed) if is_alone => {
                let looked = self.look_again(failed, plan.version, plan.query.tables()).await?;
                let query = self.plan(statement, &[], None).await?.query;
                let started = self.first_rows(&query, Vec::new(), formats(&query)).await;
                self.judge(looked, &started);
                started
            }
            started => started,
        }
    }

    /// Starts the query of a portal that has not begun. Its columns are those its statement was prepared with, whatever the sources
    /// have now.
    pub(super) async fn start(&mut self, portal: &mut Portal) -> Result<(), Halt> {
        let PortalState::Ready(bound) = &mut portal.state else { return Ok(()) };
        let Some(Bound { query, version, parameters }) = bound.take() else { return Ok(()) };
        portal.state = PortalState::Done(None);
        // What was changed before in the same transaction has failed with it.
        let is_alone = self.writing.is_none();
        let running = match self.first_rows(&query, parameters.clone(), portal.formats.clone()).await {
            Err(failed) if is_alone => {
                let looked = self.look_again(failed, version, query.tables()).await?;
                let Some(Command::Query { statement, .. }) = &portal.prepared.command else {
                    return Err(PgError::internal("a portal without a query was started").into());
                };
                // The parameters have been read by their types, which stay as they are.
                let types: Vec<_> = query.parameter_types().iter().cloned().map(Some).collect();
                let query = self.plan(statement, &types, None).await?.query;
                if !portal.prepared.describes(query.schema()) {
                    return Err(changed_result().into());
                }
                let started = self.first_rows(&query, parameters, portal.formats.clone()).await;
                self.judge(looked, &started);
                started?
            }
            started => started?,
        };
        portal.state = PortalState::Running(Box::new(running));
        Ok(())
    }

    /// Runs a query until its first rows, or its end, are at hand. The client has been sent nothing of it yet.
    async fn first_rows(&mut self, query: &Query, parameters: Vec<ScalarValue>, formats: Vec<Format>) -> Result<Running, Halt> {
        let begun = Instant::now();
        let progress = Progress::default();
        self.starts(&progress);
        if let Some(write) = query.write() {
            let style = Style::of(&self.settings);
            let written = self.make(query, write, &parameters, &progress).await?;
            let schema = Arc::clone(query.schema());
            let running = match written.returned {
                Some(returned) => Running::new(returned.rows, schema, formats, style)?,
                None => Running::of_nothing(schema, formats, style)?,
            };
            let mut running = running.shown_by(progress).of_change(written.rows);
            self.begin(&mut running).await?;
            return Ok(running);
        }
        self.admit_reading(query)?;
        let execution = self.guarded(async { query.execute(parameters, &progress).await.map_err(PgError::from) }).await?;
        let running = Running::new(execution.rows, Arc::clone(query.schema()), formats, Style::of(&self.settings))?;
        let mut running = running.shown_by(progress);
        if let Some(role) = &self.role {
            running = running.limited(ResultLimit::new(Arc::clone(role), execution.truncation), begun.elapsed());
        }
        self.begin(&mut running).await?;
        Ok(running)
    }

    /// Has those of `tables` looked at anew that are of a source which lacks what the plan of `version` took for granted; gives the
    /// datasource, unless others had them looked at since. The caller plans once more then, and only once: a source may lack for
    /// ever what it says it has.
    ///
    /// # Errors
    /// What `failed` is when a new look cannot help, or cannot be had; and whatever ends the statement meanwhile.
    async fn look_again(&mut self, failed: Halt, version: u64, tables: &[(String, String)]) -> Result<Option<Box<str>>, Halt> {
        let error = match failed {
            Halt::Statement(error) => error,
            other => return Err(other),
        };
        let Aside::OutdatedAt(datasource) = error.aside.clone() else { return Err(Halt::Statement(error)) };
        if self.environment.replaced(&datasource, tables) > version {
            return Ok(None);
        }
        let environment = Arc::clone(&self.environment);
        let wish = Wish { datasource: &datasource, tables, actor: &self.identity().user };
        match self.guarded(async { Ok(environment.second_looks().look(&environment, wish).await) }).await? {
            Ok(Looked::Now) => Ok(Some(datasource)),
            Ok(Looked::Lately) => {
                debug!(datasource, "a look at its tables was in vain a moment ago");
                Err(Halt::Statement(error))
            }
            Err(refused) => {
                warn!(datasource, error = refused.message, "its tables could not be looked at");
                Err(Halt::Statement(error))
            }
        }
    }

    /// Notes that the source lacks even what it was just looked at for.
    fn judge(&self, looked: Option<Box<str>>, started: &Result<Running, Halt>) {
        if let (Some(datasource), Err(Halt::Statement(error))) = (looked, started)
            && error.aside == Aside::OutdatedAt(datasource.clone())
        {
            self.environment.second_looks().was_in_vain(&datasource);
        }
    }
}
