//! Which functions a limited role may call: those whose volatility says that they only compute, and a few volatile ones by name.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::Guardrails;
use crate::error::Result;

/// Volatile functions that change nothing: they only give another value each time.
const HARMLESS: [&str; 3] = ["gen_random_uuid", "random", "uuid"];

/// See [`Guardrails::admit_functions`].
pub(super) fn admit(guardrails: &Guardrails, plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match called(expr) {
                Some((name, Volatility::Volatile)) if !HARMLESS.contains(&name) => {
                    let refusal = guardrails.forbidden(&format!("function {name}"));
                    Err(DataFusionError::from(refusal.hint("A limited role calls functions that compute, and none that do something.")))
                }
                Some(_) | None => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The function an expression calls.
fn called(expr: &Expr) -> Option<(&str, Volatility)> {
    match expr {
        Expr::ScalarFunction(function) => Some((function.func.name(), function.func.signature().volatility)),
        Expr::AggregateFunction(function) => Some((function.func.name(), function.func.signature().volatility)),
        Expr::WindowFunction(function) => Some(match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => (aggregate.name(), aggregate.signature().volatility),
            WindowFunctionDefinition::WindowUDF(window) => (window.name(), window.signature().volatility),
        }),
        Expr::HigherOrderFunction(function) => Some((function.func.name(), function.func.signature().volatility)),
        _ => None,
    }
}
