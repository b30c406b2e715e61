//! The plan node in each place of a sub-plan that is computed once, here.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::DFSchemaRef;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::exec::MaterializeExec;

/// One place of a sub-plan. It has the rows of its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Materialized {
    subplan: usize,
    input: LogicalPlan,
}

impl Materialized {
    /// A place of the sub-plan of that number, which is `input`.
    pub(crate) fn plan(subplan: usize, input: LogicalPlan) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { subplan, input }) })
    }

    /// The number of the sub-plan.
    pub(crate) fn subplan(&self) -> usize {
        self.subplan
    }
}

impl PartialOrd for Materialized {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.subplan.cmp(&other.subplan) {
            Ordering::Equal if self != other => None,
            order => Some(order),
        }
    }
}

impl UserDefinedLogicalNodeCore for Materialized {
    fn name(&self) -> &str {
        "Materialized"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Materialized: subplan={}", self.subplan)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> DataFusionResult<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() && exprs.is_empty() => Ok(Self { subplan: self.subplan, input }),
            _ => Err(DataFusionError::Internal("a materialized sub-plan has one input".to_owned())),
        }
    }
}

/// Plans each place with the sub-plan below it.
pub(crate) struct MaterializedExtension;

#[async_trait]
impl ExtensionPlanner for MaterializedExtension {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(place), [input]) = (node.as_any().downcast_ref::<Materialized>(), physical_inputs) else { return Ok(None) };
        Ok(Some(Arc::new(MaterializeExec::new(place.subplan, Arc::clone(input)))))
    }
}
