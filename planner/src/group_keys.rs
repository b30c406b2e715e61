//! Groups by what is written, and by nothing else.
//!
//! DataFusion adds columns to a grouping that it takes to depend on those that are there, and drops sort keys and joins that it takes to
//! be decided already. What it takes for granted is not always so: of rows grouped by `(a, b)`, where `a` is a key of one of the joined
//! relations, it says that `a` alone determines all of them. So a grouping ends with a mark until it is planned, what comes behind the
//! mark is cut off, and no such belief is left to the rules that would act on it.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::FunctionalDependencies;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, GroupByExpr, Select, Statement, VisitMut, VisitorMut};

/// A key that nobody writes.
const MARK: &str = "\u{1}causeway: keys end here";

/// `statement`, with a mark behind the keys of each grouping.
pub(crate) fn mark(mut statement: Statement) -> Statement {
    let ControlFlow::Continue(()) = VisitMut::visit(&mut statement, &mut Marker);
    statement
}

struct Marker;

impl VisitorMut for Marker {
    type Break = Infallible;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        if let GroupByExpr::Expressions(keys, modifiers) = &mut select.group_by
            && modifiers.is_empty()
            && !keys.is_empty()
            && !keys.iter().any(|key| matches!(key, ast::Expr::Rollup(_) | ast::Expr::Cube(_) | ast::Expr::GroupingSets(_)))
        {
            keys.push(ast::Expr::value(ast::Value::SingleQuotedString(MARK.to_owned())));
        }
        ControlFlow::Continue(())
    }
}

/// `plan`, whose groupings have no mark and nothing that came behind it.
pub(crate) fn as_written(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let mut is_cut = false;
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.iter().any(is_mark) => {
            is_cut = true;
            let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
            let keys = group_expr.into_iter().take_while(|key| !is_mark(key)).fold(Vec::new(), |mut keys, key| {
                // What is written twice is one key.
                if !keys.contains(&key) {
                    keys.push(key);
                }
                keys
            });
            Ok(Transformed::yes(without_beliefs(input, keys, aggr_expr)?))
        }
        other if !is_cut || other.inputs().is_empty() => Ok(Transformed::no(other)),
        other => other.recompute_schema().map(Transformed::yes).map_err(|error| match error {
            DataFusionError::SchemaError(..) => DataFusionError::Plan(
                "a column of the SELECT must appear in the GROUP BY clause or be used in an aggregate function".to_owned(),
            ),
            other => other,
        }),
    })
    .data()
}

fn is_mark(key: &Expr) -> bool {
    matches!(key, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if text == MARK)
}

fn without_beliefs(input: Arc<LogicalPlan>, keys: Vec<Expr>, aggregates: Vec<Expr>) -> DataFusionResult<LogicalPlan> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = Aggregate::try_new(input, keys, aggregates)?;
    let schema = schema.as_ref().clone().with_functional_dependencies(FunctionalDependencies::empty())?;
    Ok(LogicalPlan::Aggregate(Aggregate::try_new_with_schema(input, group_expr, aggr_expr, Arc::new(schema))?))
}

/// Forgets what rows that are grouped are believed to depend on.
#[derive(Debug)]
pub(crate) struct ForgetDependencies;

impl OptimizerRule for ForgetDependencies {
    fn name(&self) -> &str {
        "forget_dependencies"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> DataFusionResult<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| {
            if node.schema().functional_dependencies().is_empty() || node.inputs().is_empty() {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(match node {
                LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => without_beliefs(input, group_expr, aggr_expr)?,
                other => other.recompute_schema()?,
            }))
        })
    }
}
