//! Integers that are written down have PostgreSQL's type: `integer`, if they fit.
//!
//! The parser below us makes each a `bigint`, and what is computed with one: a sum of such is `numeric`, and `sum(a % 10) / 4` has a
//! fraction where PostgreSQL's has none.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Values};
use datafusion::optimizer::utils::NamePreserver;
use datafusion::scalar::ScalarValue;

/// `plan` as it was made of a statement, with literals of type `integer`.
///
/// A recursive query is left as it is: what it reads of itself has the types that its first part had when it was planned.
pub(crate) fn as_integers(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_recursive = false;
    plan.apply_with_subqueries(|node| {
        is_recursive |= matches!(node, LogicalPlan::RecursiveQuery(_));
        Ok(if is_recursive { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if is_recursive {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Values(Values { values, .. }) = node {
            let rows = values.into_iter().map(|row| row.into_iter().map(of_row).collect::<Result<_>>()).collect::<Result<_>>()?;
            return LogicalPlanBuilder::values(rows)?.build().map(Transformed::yes);
        }
        // How many rows a limit lets pass is no value of the statement's.
        if matches!(node, LogicalPlan::Limit(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(integer)?.update_data(|expr| name.restore(expr)))
        })?;
        node.map_data(LogicalPlan::recompute_schema)
    })
    .data()
}

/// A value of a row, which was cast to what the others are if it was something else.
fn of_row(expr: Expr) -> Result<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::Int64 && matches!(*expr, Expr::Literal(..)) => of_row(*expr),
        other => other.transform_up(integer).data(),
    }
}

fn integer(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) if i32::try_from(value).is_ok() => {
            Transformed::yes(Expr::Literal(ScalarValue::Int32(i32::try_from(value).ok()), metadata))
        }
        other => Transformed::no(other),
    })
}
