//! `EXISTS` and `IN` over a subquery as values: in a select list, an argument of an aggregate, a key of a grouping, window or order.
//!
//! DataFusion joins by what a filter asks of a subquery, and knows such conditions in no other place. A join that marks the rows for
//! which the subquery finds some gives their values as well; it is had by asking for them in a filter, which is then taken off.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::error::{Error, ErrorKind};
use crate::named::map_named;

/// To be applied before filters are joined with their subqueries, and after every `IN` that may be NULL has been written out by `EXISTS`.
#[derive(Debug)]
pub(crate) struct SubqueryValues;

impl OptimizerRule for SubqueryValues {
    fn name(&self) -> &'static str {
        "subquery_values"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| marked(node, config))
    }
}

/// Whether a node computes values that conditions over subqueries may be part of. The keys of a sort become columns before.
pub(crate) fn computes_values(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_))
}

/// `node` over joins that have the values of its conditions over subqueries.
fn marked(node: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let conditions = if computes_values(&node) { conditions(&node)? } else { Vec::new() };
    let [input] = node.inputs()[..] else { return Ok(Transformed::no(node)) };
    if conditions.is_empty() {
        return Ok(Transformed::no(node));
    }
    let columns = node.schema().columns();
    let mut input = input.clone();
    let mut marks = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let (joined, mark) = join(input, condition.clone(), config)?;
        input = joined;
        marks.push((condition, mark));
    }
    let node = map_named(node, |expr| {
        expr.transform_down(|expr| {
            let mark = marks.iter().find(|(condition, _)| *condition == expr).map(|(_, mark)| mark.clone());
            Ok(mark.map_or_else(|| Transformed::no(expr), Transformed::yes))
        })
    })?;
    let expressions = node.data.expressions();
    let node = node.data.with_new_exprs(expressions, vec![input])?;
    if node.schema().fields().len() == columns.len() {
        return Ok(Transformed::yes(node));
    }
    LogicalPlanBuilder::from(node).project(columns.into_iter().map(Expr::from))?.build().map(Transformed::yes)
}

/// The conditions over subqueries in a node's expressions, each once.
fn conditions(node: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut found = Vec::new();
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            if matches!(expr, Expr::Exists(_) | Expr::InSubquery(_)) && !found.contains(expr) {
                found.push(expr.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// `input` with one column more, which the second value reads: whether `condition` holds.
fn join(input: LogicalPlan, condition: Expr, config: &dyn OptimizerConfig) -> Result<(LogicalPlan, Expr)> {
    let asked = Filter::try_new(first_alone(condition)?.is_true(), Arc::new(input))?;
    let joined = DecorrelatePredicateSubquery::new().rewrite(LogicalPlan::Filter(asked), config)?.data;
    if let LogicalPlan::Projection(columns) = joined
        && let LogicalPlan::Filter(Filter { predicate: Expr::IsTrue(mark), input, .. }) = Arc::unwrap_or_clone(columns.input)
    {
        return Ok((Arc::unwrap_or_clone(input), *mark));
    }
    let error = Error::new(ErrorKind::Unsupported, "EXISTS or IN as a value over a subquery that no join stands for is not supported");
    Err(DataFusionError::External(Box::new(error.hint("Join with the subquery, or put the condition into WHERE."))))
}

/// The condition, with one row of a subquery that is the same for all rows.
fn first_alone(condition: Expr) -> Result<Expr> {
    let Expr::Exists(Exists { subquery, negated }) = condition else { return Ok(condition) };
    if !subquery.outer_ref_columns.is_empty() {
        return Ok(Expr::Exists(Exists { subquery, negated }));
    }
    let first = LogicalPlanBuilder::from(Arc::unwrap_or_clone(subquery.subquery)).limit(0, Some(1))?.build()?;
    Ok(Expr::Exists(Exists { subquery: Subquery { subquery: Arc::new(first), ..subquery }, negated }))
}
