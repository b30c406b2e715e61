//! The plan node that stands for a statement of a remote, and its physical form.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, DFSchemaRef, Statistics};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use causeway_providers::sql::{Narrow, Origin, RemoteScan, RemoteSql, ScanLimits, SqlRemote, believed};

use super::narrow::OpenToMore;
use super::open::OpenSelect;
use crate::common_subplan::MaterializedExtension;

/// One statement at a remote. It has no inputs: all it reads is over there.
#[derive(Debug, Clone)]
pub(crate) struct RemoteQuery {
    remote: Arc<dyn SqlRemote>,
    sql: RemoteSql,
    limits: ScanLimits,
    schema: DFSchemaRef,
    /// How many rows it is believed to have.
    rows: Option<u64>,
    /// How conditions that are known later are added to it.
    narrow: Option<Arc<dyn Narrow>>,
    /// How many rows it is believed to read there.
    read: Option<u64>,
}

impl RemoteQuery {
    /// The plan that reads what `open` stands for, whose columns are those of `schema` by position.
    pub(super) fn plan(open: &OpenSelect, schema: DFSchemaRef) -> LogicalPlan {
        let (sql, limits) = open.finish();
        let narrow = OpenToMore::of(open).map(|open| Arc::new(open) as Arc<dyn Narrow>);
        let node = Self { remote: Arc::clone(&open.remote), sql, limits, schema, rows: open.believed, narrow, read: open.needs.read() };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }

    /// How many rows it is believed to have.
    pub(super) fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// How many rows it is believed to read there.
    pub(super) fn read(&self) -> Option<u64> {
        self.read
    }

    /// What is believed of its `rows`: of columns that are a table's, what is believed of those.
    fn believed(&self, rows: usize) -> Statistics {
        let of_column = |origin: &Option<Origin>| {
            let origin = origin.as_ref()?;
            Some(self.remote.statistics(origin.table())?.of_column(&origin.column().name, rows))
        };
        let columns = self.sql.origins.iter().map(|origin| of_column(origin).unwrap_or_else(ColumnStatistics::new_unknown));
        believed(rows, columns.collect())
    }

    /// Two are the same when they ask the same of the same remote.
    fn identity(&self) -> (&str, &str) {
        (self.remote.id().as_str(), &self.sql.text)
    }
}

impl PartialEq for RemoteQuery {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.schema == other.schema
    }
}

impl Eq for RemoteQuery {}

impl PartialOrd for RemoteQuery {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.identity().cmp(&other.identity()))
    }
}

impl Hash for RemoteQuery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for RemoteQuery {
    fn name(&self) -> &str {
        "RemoteQuery"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteQuery: datasource={}, sql={}", self.remote.id(), self.sql.text)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> DataFusionResult<Self> {
        if exprs.is_empty() && inputs.is_empty() {
            Ok(self.clone())
        } else {
            Err(DataFusionError::Internal("a remote query has no inputs".to_owned()))
        }
    }
}

/// Plans as DataFusion does, remote queries as remote scans, and what is computed once as such.
#[derive(Debug)]
pub(crate) struct RemoteQueryPlanner;

#[async_trait]
impl QueryPlanner for RemoteQueryPlanner {
    async fn create_physical_plan(&self, logical_plan: &LogicalPlan, session: &dyn Session) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(RemoteQueryExtension), Arc::new(MaterializedExtension)]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

struct RemoteQueryExtension;

#[async_trait]
impl ExtensionPlanner for RemoteQueryExtension {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        _physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        let Some(query) = node.as_any().downcast_ref::<RemoteQuery>() else { return Ok(None) };
        let schema = Arc::clone(query.schema.inner());
        let mut scan = RemoteScan::new(Arc::clone(&query.remote), query.sql.clone(), Arc::clone(&schema), query.limits);
        if let Some(rows) = query.rows {
            scan = scan.with_statistics(query.believed(usize::try_from(rows).unwrap_or(usize::MAX)));
        }
        if let Some(narrow) = &query.narrow {
            scan = scan.narrowed_by(Arc::clone(narrow));
        }
        Ok(Some(Arc::new(scan)))
    }
}
