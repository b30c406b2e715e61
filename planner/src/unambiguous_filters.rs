//! Filters go down a plan to the column that they are about, and not to another one of its name.
//!
//! DataFusion's physical rules hand a condition from a node to the one below by the names of its columns, and take the first column of
//! a name. A join's rows may have two: `WHERE` on one relation then filtered the other one. Here a name that stands for two columns
//! ends the way of a condition, which is decided above, where it was.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A rule of DataFusion's that pushes filters down, kept from what it would mistake.
#[derive(Debug)]
pub(crate) struct UnambiguousFilters(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for UnambiguousFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let guarded = plan.transform_up(|node| {
            Ok(if is_ambiguous(&node.schema()) {
                Transformed::yes(Arc::new(Guard(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        });
        let guarded = guarded?;
        if !guarded.transformed {
            return self.0.optimize(guarded.data, config);
        }
        let pushed = self.0.optimize(guarded.data, config)?;
        pushed
            .transform_up(|node| {
                Ok(match node.downcast_ref::<Guard>() {
                    Some(Guard(below)) => Transformed::yes(Arc::clone(below)),
                    None => Transformed::no(node),
                })
            })
            .data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether two columns have one name.
fn is_ambiguous(schema: &Schema) -> bool {
    counts(schema).values().any(|columns| *columns > 1)
}

fn counts(schema: &Schema) -> HashMap<&str, usize> {
    let mut counts = HashMap::with_capacity(schema.fields().len());
    for field in schema.fields() {
        *counts.entry(field.name().as_str()).or_default() += 1;
    }
    counts
}

/// Stands above a node some of whose columns have one name, while filters are pushed down, and lets those by that are about others.
#[derive(Debug)]
struct Guard(Arc<dyn ExecutionPlan>);

impl DisplayAs for Guard {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl ExecutionPlan for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        let schema = self.0.schema();
        let counts = counts(&schema);
        let clear = schema.fields().iter().enumerate().filter(|(_, field)| counts.get(field.name().as_str()) == Some(&1));
        let clear = clear.map(|(place, _)| place).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, clear, &self.0)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        guarded(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        guarded(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        self.0.execute(partition, context)
    }
}

fn guarded(mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    match children.pop() {
        Some(child) if children.is_empty() => Ok(Arc::new(Guard(child))),
        _ => Err(DataFusionError::Internal("a guard has one child".to_owned())),
    }
}
