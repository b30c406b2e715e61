//! A planned query: what it returns, what parameters it takes, and its execution. A change is one too, run by its [`Write`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use causeway_providers::sql::share_snapshots;
use causeway_providers::{RemoteId, RemoteTable};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, Volatility};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::scalar::ScalarValue;

use crate::arithmetic::{checked, plain};
use crate::common_subplan::share;
use crate::engine::{PushDown, StatementContext};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::Explain;
use crate::federation::{Thrift, bring_together, federate};
use crate::guardrails::{Guardrails, Truncation};
use crate::memory::ProcessMemory;
use crate::progress::Progress;
use crate::report::PlanReport;
use crate::scan_only::stored;
use crate::sort_keys::sorted_by_columns;
use crate::stack::Roomy;
use crate::stop::Stop;
use crate::unmeasured::{is_fault, unmeasured};
use crate::write::Write;
use crate::{output, parameters, session};

/// A query with its names and types resolved, to be run any number of times.
#[derive(Clone)]
pub struct Query {
    planned: Arc<Planned>,
    schema: SchemaRef,
    parameter_types: Arc<[DataType]>,
    tables: Arc<[(String, String)]>,
    write: Option<Arc<Write>>,
}

/// What planning left behind for execution.
#[derive(Clone)]
pub(crate) struct Planned {
    /// The plan with typed placeholders, not optimised.
    pub(crate) plan: LogicalPlan,
    /// The session it was planned in.
    pub(crate) state: Arc<SessionState>,
    /// Whether the sources may compute.
    pub(crate) push_down: PushDown,
    /// Set when the plan is to be shown.
    pub(crate) explain: Option<Explain>,
    /// How long it took to resolve names and types.
    pub(crate) elapsed: Duration,
    /// Of which each execution gets a share.
    pub(crate) memory: Arc<ProcessMemory>,
    /// What bounds it.
    pub(crate) guardrails: Option<Arc<Guardrails>>,
    /// Its plan as it was optimised last, for a query that is optimised to the same each time.
    pub(crate) optimized: Arc<Mutex<Option<Optimized>>>,
}

/// A plan after optimisation and federation.
#[derive(Clone)]
pub(crate) struct Optimized {
    logical: LogicalPlan,
    /// What stayed here and why.
    report: PlanReport,
    /// When it was made: what sources believe of their tables chooses plans, and changes.
    made: Instant,
}

/// Whether a plan is the query's own, of which an optimised one may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    Allowed,
    /// It has values of parameters in it, or other rows.
    Never,
}

/// How long an optimised plan is as good as a new one.
const LASTING: Duration = Duration::from_secs(60);

/// A query that runs.
pub struct Execution {
    /// Its rows. Dropping them ends the work here and at the sources.
    pub rows: SendableRecordBatchStream,
    /// Whether the rows were cut, once they are at their end.
    pub truncation: Truncation,
}

/// A plan that is ready to run, and how it came about.
pub(crate) struct Prepared {
    /// The plan after optimisation and federation.
    pub(crate) logical: LogicalPlan,
    /// What runs.
    pub(crate) physical: Arc<dyn ExecutionPlan>,
    /// What stayed here and why.
    pub(crate) report: PlanReport,
    /// The session of this one execution.
    pub(crate) state: SessionState,
    /// The memory of this one execution.
    pub(crate) memory: Arc<dyn MemoryPool>,
    /// Ends the execution.
    pub(crate) stop: Stop,
    /// Whether its rows were cut.
    pub(crate) truncation: Truncation,
}

impl Query {
    pub(crate) fn new(planned: Planned, schema: SchemaRef, parameter_types: Vec<DataType>, tables: Vec<(String, String)>) -> Self {
        let schema = match &planned.explain {
            Some(explain) => explain.schema(),
            None => schema,
        };
        Self { planned: Arc::new(planned), schema, parameter_types: parameter_types.into(), tables: tables.into(), write: None }
    }

    /// A change, of which `main` is the query that tells which rows change, or gives those that are inserted.
    pub(crate) fn of_write(write: Write, main: &Self, schema: SchemaRef, types: Vec<DataType>, tables: Vec<(String, String)>) -> Self {
        let planned = Arc::clone(&main.planned);
        Self { planned, schema, parameter_types: types.into(), tables: tables.into(), write: Some(Arc::new(write)) }
    }

    /// The change that this is, when it is not one that only reads. Then it is run by that, and its columns are those it returns.
    pub fn write(&self) -> Option<&Arc<Write>> {
        self.write.as_ref()
    }

    /// Whether it has columns to tell of: all but changes that return nothing.
    pub fn gives_rows(&self) -> bool {
        self.write.is_none() || !self.schema.fields().is_empty()
    }

    /// Whether running it reads tables of `datasource` other than by changing them.
    pub fn reads(&self, datasource: &RemoteId) -> bool {
        if self.write.as_ref().is_some_and(|write| !write.is_insert()) {
            return false;
        }
        let mut found = false;
        let looked = self.planned.plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Ok(provider) = source_as_provider(&scan.source)
                && let Some(table) = stored(&provider)
            {
                found |= table.remote().id() == datasource;
            }
            Ok(TreeNodeRecursion::Continue)
        });
        // A plan that cannot be looked through may read anything.
        looked.is_err() || found
    }

    /// The columns of its result. Field metadata holds `causeway_providers::Presentation`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The types of `$1`, `$2`, ...
    pub fn parameter_types(&self) -> &[DataType] {
        &self.parameter_types
    }

    /// The schemas and names of the tables it reads.
    pub fn tables(&self) -> &[(String, String)] {
        &self.tables
    }

    /// Binds the parameters, optimises, federates and starts. `now()` is the moment of this call.
    ///
    /// Dropping the stream ends the work here and at the sources. `progress`, which is one of no other execution, shows how far it is.
    ///
    /// # Errors
    /// What planning could not see yet; later failures come through the stream and convert `Into<Error>`.
    pub async fn execute(&self, parameters: Vec<ScalarValue>, progress: &Progress) -> Result<Execution> {
        Roomy::new(self.execute_here(parameters, progress)).await
    }

    async fn execute_here(&self, parameters: Vec<ScalarValue>, progress: &Progress) -> Result<Execution> {
        self.execute_within(parameters, progress, self.planned.memory.for_statement()).await
    }

    /// The same with the memory of the statement that it is a part of.
    pub(crate) async fn execute_within(
        &self,
        parameters: Vec<ScalarValue>,
        progress: &Progress,
        memory: Arc<dyn MemoryPool>,
    ) -> Result<Execution> {
        if self.write.is_some() {
            return Err(Error::new(ErrorKind::Internal, "internal error: a change was run as a query"));
        }
        let started = Instant::now();
        let plan = parameters::bind(self.planned.plan.clone(), &self.parameter_types, parameters)?;
        let reuse = if self.parameter_types.is_empty() { Reuse::Allowed } else { Reuse::Never };
        let prepared = self.planned.prepare(plan, reuse, memory).await?;
        progress.show(&prepared.physical);
        if let Some(explain) = &self.planned.explain {
            let rows = explain.run(prepared, self.planned.elapsed + started.elapsed()).await?;
            // What is shown of a plan is whole, even where its rows were not.
            return Ok(Execution { rows, truncation: Truncation::default() });
        }
        let truncation = prepared.truncation.clone();
        Ok(Execution { rows: output::conform(prepared.rows()?, Arc::clone(&self.schema)), truncation })
    }
}

/// Whether `plan` is optimised to the same each time: nothing in it depends on the moment.
fn lasts(plan: &LogicalPlan) -> bool {
    let depends = |expr: &Expr| match expr {
        Expr::ScalarFunction(called) => Ok(called.func.signature().volatility != Volatility::Immutable),
        _ => Ok(false),
    };
    let mut any = false;
    let looked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            any |= expr.exists(depends)?;
            Ok(TreeNodeRecursion::Continue)
        })
    });
    looked.is_ok() && !any
}

impl Query {
    /// Whether it would be the same for any session in whose place `context` could stand: whether it uses no function that knows its
    /// session, and changes nothing.
    pub(crate) fn is_anyones(&self, context: &StatementContext) -> bool {
        let knows = |expr: &Expr| match expr {
            Expr::ScalarFunction(called) => Ok(context.functions.iter().any(|function| function.name() == called.func.name())),
            _ => Ok(false),
        };
        let mut knows_any = false;
        let looked = self.planned.plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                knows_any |= expr.exists(knows)?;
                Ok(TreeNodeRecursion::Continue)
            })
        });
        self.write.is_none() && looked.is_ok() && !knows_any
    }

    /// The same, to be run in another session.
    pub(crate) fn in_session(&self, state: Arc<SessionState>, guardrails: Option<Arc<Guardrails>>) -> Self {
        let planned = Planned { state, guardrails, ..self.planned.as_ref().clone() };
        Self { planned: Arc::new(planned), ..self.clone() }
    }

    /// The plan for these parameters as of now, with its expressions simplified and its nodes as they were written.
    pub(crate) fn simplified(&self, parameters: Vec<ScalarValue>) -> Result<LogicalPlan> {
        let plan = parameters::bind(self.planned.plan.clone(), &self.parameter_types, parameters)?;
        let mut state = self.planned.state.as_ref().clone();
        state.mark_start_execution();
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
        Ok(session::simplifier().optimize(plan, &state, |_, _| {})?)
    }

    /// Runs it, a part of the statement whose memory this is, over `rows` in the place of those that `table` has.
    pub(crate) async fn execute_over(
        &self,
        parameters: Vec<ScalarValue>,
        table: &RemoteTable,
        rows: Vec<RecordBatch>,
        progress: &Progress,
        memory: Arc<dyn MemoryPool>,
    ) -> Result<Execution> {
        let rows: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(table.arrow_schema(), vec![rows])?);
        let plan = parameters::bind(self.planned.plan.clone(), &self.parameter_types, parameters)?;
        let plan = plan.transform_up(|node| match node {
            LogicalPlan::TableScan(scan) => {
                let scan = TableScan { source: provider_as_source(Arc::clone(&rows)), ..scan };
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let prepared = self.planned.prepare(plan.data, Reuse::Never, memory).await?;
        progress.show(&prepared.physical);
        let truncation = prepared.truncation.clone();
        Ok(Execution { rows: output::conform(prepared.rows()?, Arc::clone(&self.schema)), truncation })
    }
}

impl Prepared {
    /// Starts it.
    pub(crate) fn rows(&self) -> Result<SendableRecordBatchStream> {
        let runtime = RuntimeEnv { memory_pool: Arc::clone(&self.memory), ..self.state.runtime_env().as_ref().clone() };
        let context = TaskContext::from(&self.state).with_runtime(Arc::new(runtime));
        let rows = execute_stream(Arc::clone(&self.physical), Arc::new(context))?;
        Ok(output::in_background(rows, self.stop.clone()))
    }
}

impl Planned {
    /// Optimises and federates `plan`, or takes what became of it a moment ago.
    fn optimized(&self, plan: LogicalPlan, state: &SessionState, reuse: Reuse) -> Result<Optimized> {
        let lasts = reuse == Reuse::Allowed && self.guardrails.is_none() && lasts(&plan);
        if lasts
            && let Some(kept) = self.optimized.lock().unwrap_or_else(PoisonError::into_inner).clone()
            && kept.made.elapsed() < LASTING
        {
            return Ok(kept);
        }
        let plan = match &self.guardrails {
            Some(guardrails) => guardrails.limited(plan)?,
            None => plan,
        };
        let optimized = state.optimize(&plan)?;
        if let Some(guardrails) = &self.guardrails {
            guardrails.admit_joins(&optimized)?;
        }
        let (logical, report) = match self.push_down {
            PushDown::On | PushDown::Static => {
                let thrift = if self.guardrails.is_some() { Thrift::Fetched } else { Thrift::Work };
                let (federated, report) = federate(bring_together(plain(optimized)?)?, thrift)?;
                (sorted_by_columns(checked(federated)?)?, report)
            }
            PushDown::Off => (sorted_by_columns(optimized)?, PlanReport::off()),
        };
        let optimized = Optimized { logical, report, made: Instant::now() };
        if lasts {
            *self.optimized.lock().unwrap_or_else(PoisonError::into_inner) = Some(optimized.clone());
        }
        Ok(optimized)
    }

    async fn prepare(&self, plan: LogicalPlan, reuse: Reuse, memory: Arc<dyn MemoryPool>) -> Result<Prepared> {
        let mut state = self.state.as_ref().clone();
        state.mark_start_execution();
        let Optimized { logical, report, .. } = self.optimized(plan, &state, reuse)?;
        let planner = Arc::clone(state.query_planner());
        let stop = Stop::default();
        let truncation = Truncation::default();
        let physical = match planner.create_physical_plan(&logical, &state).await {
            Err(fault) if is_fault(&fault) => {
                planner.create_physical_plan(&unmeasured(logical.clone())?, &state).await.map_err(|_| fault)?
            }
            planned => planned?,
        };
        let physical = match &self.guardrails {
            Some(guardrails) => guardrails.guarded(physical, &truncation)?,
            None => physical,
        };
        let physical = share(stop.joins_of(physical)?)?;
        stop.scans_of(state.config_mut());
        share_snapshots(state.config_mut(), &physical)?;
        Ok(Prepared { logical, physical, report, state, memory, stop, truncation })
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("schema", &self.schema).field("parameter_types", &self.parameter_types).finish_non_exhaustive()
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("truncation", &self.truncation).finish_non_exhaustive()
    }
}
