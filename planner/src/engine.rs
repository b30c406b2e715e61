//! The engine: parses and plans statements with one DataFusion session template for the whole process.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use causeway_providers::StatementObserver;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::CatalogProviderList;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};

use crate::balance::balance;
use crate::bounds::admit;
use crate::changes::row_change;
use crate::column_names::{column_names, name_columns};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::Explain;
use crate::group_keys::{as_written, mark};
use crate::guardrails::Guardrails;
use crate::integer_literals::as_integers;
use crate::memory::ProcessMemory;
use crate::names::Names;
use crate::output::result_schema;
use crate::parameters::{declared_fields, infer};
use crate::parse::parse;
use crate::query::{Planned, Query};
use crate::rewrite::{group_by_dependents, join_on, rewrite, tell_apart};
use crate::scan_only::scans_only;
use crate::set_operations::{as_joins, as_unions};
use crate::stack::{Roomy, roomy};
use crate::{Statement, session, write};

/// The bounds of one process.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Bytes all statements together may hold in operators' memory.
    pub memory: usize,
    /// Where operators spill.
    pub spill: PathBuf,
    /// Bytes that all statements together may spill.
    pub spill_quota: u64,
}

/// Parses and plans. Cheap to share, built once.
pub struct Engine {
    template: Arc<SessionState>,
    memory: Arc<ProcessMemory>,
}

/// Whether sub-plans and filters may run at the sources. Off reads whole tables and computes everything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PushDown {
    /// What the allow-list permits runs at the source, and scans are narrowed by what joins find out while they run.
    #[default]
    On,
    /// The same, but without what is only known while the statement runs.
    Static,
    /// Everything but the bare scan runs here.
    Off,
}

/// What a statement sees and how it is to be run.
#[derive(Debug, Clone)]
pub struct StatementContext {
    /// The tables, as of the snapshot the statement is pinned to. Exactly one catalog is named [`Self::environment`].
    pub catalog: Arc<dyn CatalogProviderList>,
    /// The environment, which is the catalog unqualified names belong to.
    pub environment: String,
    /// Schemas searched for unqualified names, in order; `pg_catalog` is always searched first.
    pub search_path: Vec<String>,
    /// The session's time zone, an IANA name or an offset.
    pub time_zone: String,
    /// Functions that know the session, such as `current_user`. They come before the engine's own of the same name.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Whether the sources may compute.
    pub push_down: PushDown,
    /// Is told of every statement that is sent to a source for this one.
    pub observer: Option<Arc<dyn StatementObserver>>,
    /// What bounds the statement, when it is one of a limited role.
    pub guardrails: Option<Arc<Guardrails>>,
}

impl Engine {
    /// An engine with its own memory pool and spill folder.
    ///
    /// # Errors
    /// When the spill folder cannot be made.
    pub fn new(limits: EngineLimits) -> Result<Self> {
        Ok(Self { template: Arc::new(session::template(&limits)?), memory: ProcessMemory::new(limits.memory) })
    }

    /// The memory of which each statement gets a share.
    pub(crate) fn memory(&self) -> Arc<ProcessMemory> {
        Arc::clone(&self.memory)
    }

    /// Splits a text into statements. An empty text is an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`].
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        roomy(|| parse(sql))
    }

    /// Resolves names and types. Nothing is read and nothing optimised yet.
    ///
    /// Queries and `EXPLAIN` of queries are planned, and changes of one table's rows; any other statement is [`ErrorKind::Unsupported`].
    /// `parameter_types` are those the client declared; `None` is inferred.
    ///
    /// # Errors
    /// Unknown names, types that do not fit, datasources that are down.
    pub async fn plan(&self, statement: &Statement, parameter_types: &[Option<DataType>], context: &StatementContext) -> Result<Query> {
        Roomy::new(self.plan_here(statement, parameter_types, context)).await
    }

    async fn plan_here(&self, statement: &Statement, parameter_types: &[Option<DataType>], context: &StatementContext) -> Result<Query> {
        let (statement, explain) = match statement {
            Statement::Explain(explain) => (explain.statement.as_ref(), Some(Explain::new(&explain.options)?)),
            other => (other, None),
        };
        // A long chain is a deep tree, for which a walk may need more stack than there is: all that comes after sees a shallow one.
        let statement = match statement {
            Statement::Statement(inner) => Cow::Owned(Statement::Statement(Box::new(balance(inner.as_ref().clone())?))),
            other => Cow::Borrowed(other),
        };
        let guardrails = context.guardrails.as_ref();
        if let Some(guardrails) = guardrails {
            guardrails.admit(&statement)?;
        }
        let explain = explain.map(|explain| if guardrails.is_some() { explain.without_sources() } else { explain });
        if explain.is_none()
            && let Statement::Statement(inner) = statement.as_ref()
            && let Some((change, with)) = row_change(inner)
        {
            return write::plan(self, change, with, parameter_types, context).await;
        }
        self.query(query_of(&statement)?, explain, parameter_types, context).await
    }

    /// A query that is any session's, in that of `context`.
    pub(crate) fn adopt(&self, query: &Query, context: &StatementContext) -> Result<Query> {
        let state = session::for_statement(&self.template, context)?;
        Ok(query.in_session(Arc::new(state), context.guardrails.clone()))
    }

    /// A query that is any session's, without the one that it was planned in.
    pub(crate) fn disown(&self, query: &Query) -> Query {
        query.in_session(Arc::clone(&self.template), None)
    }

    /// Plans a query, or what shows its plan.
    pub(crate) async fn query(
        &self,
        query: &SqlStatement,
        explain: Option<Explain>,
        parameter_types: &[Option<DataType>],
        context: &StatementContext,
    ) -> Result<Query> {
        let started = Instant::now();
        let guardrails = context.guardrails.as_ref();
        admit(query)?;
        refuse(query)?;
        let state = session::for_statement(&self.template, context)?;
        let planned = rewrite(name_columns(query.clone()));
        let names = Names::resolve(&Statement::Statement(Box::new(planned.clone())), &state, context).await?;
        let planned = as_unions(mark(group_by_dependents(tell_apart(join_on(planned, &names)?, names.all_columns()), &names)));
        let planner = SqlToRel::new_with_options(&names, parser_options(&state));
        let mut scope = PlannerContext::new().with_prepare_param_data_types(declared_fields(parameter_types));
        let plan = as_joins(as_integers(as_written(planner.sql_statement_to_plan_with_context(planned, &mut scope)?)?)?, &state)?;
        reads_only(&plan)?;
        if let Some(guardrails) = guardrails {
            guardrails.admit_functions(&plan)?;
        }
        let plan = match context.push_down {
            PushDown::On | PushDown::Static => plan,
            PushDown::Off => scans_only(plan)?,
        };
        let tables = names.places();
        let (plan, types) = infer(plan, parameter_types)?;
        let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
        let schema = result_schema(analyzed.schema().as_arrow(), column_names(query, analyzed.schema().as_arrow()));
        let planned = Planned {
            plan,
            state: Arc::new(state),
            push_down: context.push_down,
            explain,
            elapsed: started.elapsed(),
            memory: Arc::clone(&self.memory),
            guardrails: guardrails.cloned(),
            optimized: Arc::default(),
        };
        Ok(Query::new(planned, schema, types, tables))
    }
}

/// Refuses what the planner below us would silently answer otherwise: a sample with the whole table, a conversion between time
/// zones with the value as it was.
fn refuse(query: &SqlStatement) -> Result<()> {
    struct Refused;
    impl Visitor for Refused {
        type Break = Error;

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias: Ident { value, quote_style: Some('\''), .. }, .. } = item {
                    return ControlFlow::Break(Error::new(ErrorKind::Syntax, format!("syntax error at or near \"'{value}'\"")));
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
            match factor {
                TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                    ControlFlow::Break(Error::new(ErrorKind::Unsupported, "TABLESAMPLE is not supported"))
                }
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
            match expr {
                Expr::SimilarTo { pattern, .. } if !is_text(pattern) => ControlFlow::Break(
                    Error::new(ErrorKind::Unsupported, "SIMILAR TO is supported with a pattern that is written down")
                        .hint("Use LIKE, or ~ with a regular expression."),
                ),
                Expr::AtTimeZone { .. } => ControlFlow::Break(
                    Error::new(ErrorKind::Unsupported, "AT TIME ZONE is not supported")
                        .hint("SET TimeZone decides how instants are shown; or convert at the source, in a view."),
                ),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Refused) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_), .. }))
}

/// What is said to writes, and what to do instead.
const WRITES: (&str, &str) = (
    "a change is not supported in this place",
    "Write INSERT, UPDATE or DELETE as a statement of its own; instead of it, EXPLAIN a SELECT with its condition.",
);

/// The statement, if it is a query.
fn query_of(statement: &Statement) -> Result<&SqlStatement> {
    let (what, hint) = match statement {
        Statement::Statement(inner) => match inner.as_ref() {
            SqlStatement::Query(query) => match query.body.as_ref() {
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => WRITES,
                _ => return Ok(inner),
            },
            SqlStatement::Insert(_) | SqlStatement::Update(_) | SqlStatement::Delete(_) | SqlStatement::Merge(_) => WRITES,
            SqlStatement::Copy { .. } => ("COPY is not supported in this form", "Select the rows instead."),
            other => {
                let words = other.to_string();
                let verb: String = words.split_whitespace().next().unwrap_or("this").to_uppercase();
                return Err(Error::new(ErrorKind::Unsupported, format!("{verb} statements are not supported"))
                    .hint("Queries (SELECT, WITH, VALUES) and EXPLAIN are planned here."));
            }
        },
        Statement::CreateExternalTable(_) => {
            ("CREATE EXTERNAL TABLE is not supported", "Declare a datasource of the files connector instead.")
        }
        Statement::CopyTo(_) => ("COPY to a file is not supported", "Select the rows instead."),
        Statement::Reset(_) => ("RESET is not a query", "The session answers it."),
        Statement::Explain(_) => ("EXPLAIN of EXPLAIN is not supported", "Explain the query itself."),
    };
    Err(Error::new(ErrorKind::Unsupported, what).hint(hint))
}

/// Refuses what hides in the form of a query: `SELECT INTO`, `WITH x AS (...) INSERT`.
fn reads_only(plan: &LogicalPlan) -> Result<()> {
    let mut writes = false;
    plan.apply_with_subqueries(|node| {
        writes |= matches!(node, LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if writes {
        return Err(Error::new(ErrorKind::Unsupported, WRITES.0).hint(WRITES.1));
    }
    Ok(())
}

fn parser_options(state: &SessionState) -> ParserOptions {
    let options = &state.config_options().sql_parser;
    ParserOptions {
        parse_float_as_decimal: options.parse_float_as_decimal,
        enable_ident_normalization: options.enable_ident_normalization,
        support_varchar_with_length: options.support_varchar_with_length,
        enable_options_value_normalization: options.enable_options_value_normalization,
        collect_spans: options.collect_spans,
        map_string_types_to_utf8view: options.map_string_types_to_utf8view,
        default_null_ordering: options.default_null_ordering.as_str().into(),
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("memory", &self.memory).finish_non_exhaustive()
    }
}
