//! Integers that are written down have PostgreSQL's type: `integer`, if they fit.
//!
//! The parser below us makes each a `bigint`, and what is computed with one: a sum of such is `numeric`, and `sum(a % 10) / 4` has a
//! fraction where PostgreSQL's has none.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union, Values};
use datafusion::scalar::ScalarValue;

use crate::named::map_named;

/// `plan` as it was made of a statement, with literals of type `integer`.
///
/// A statement with a recursive query is left as it is: what that reads of itself has the types that its first part had when it was planned.
/// So is what a function in FROM is called with.
pub(crate) fn as_integers(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_recursive = false;
    plan.apply_with_subqueries(|node| {
        is_recursive |= matches!(node, LogicalPlan::RecursiveQuery(_));
        Ok(if is_recursive { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if is_recursive {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Values(values) => of_values(values).map(Transformed::yes),
        // How many rows a limit lets pass is no value of the statement's.
        LogicalPlan::Limit(_) => Ok(Transformed::no(node)),
        LogicalPlan::Union(union) => Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(union.inputs)?))),
        node => map_named(node, |expr| expr.transform_up(integer))?.map_data(LogicalPlan::recompute_schema),
    })
    .data()
}

/// Rows whose columns of nothing but integers and NULL have that type.
fn of_values(Values { schema, values: mut rows }: Values) -> Result<LogicalPlan> {
    for at in 0..schema.fields().len() {
        let is_null = |value: &Expr| match value {
            Expr::Cast(Cast { expr, field }) => {
                *field.data_type() == DataType::Int64 && matches!(expr.as_ref(), Expr::Literal(value, _) if value.is_null())
            }
            Expr::Literal(value, _) => value.is_null(),
            _ => false,
        };
        let is_written = |value: &Expr| matches!(value, Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok());
        if !rows.iter().all(|row| is_null(&row[at]) || is_written(&row[at])) || rows.iter().all(|row| is_null(&row[at])) {
            continue;
        }
        for row in &mut rows {
            row[at] = match std::mem::take(&mut row[at]) {
                value if is_null(&value) => Expr::Literal(ScalarValue::Int32(None), None),
                value => integer(value)?.data,
            };
        }
    }
    LogicalPlanBuilder::values(rows)?.build()
}

fn integer(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) if i32::try_from(value).is_ok() => {
            Transformed::yes(Expr::Literal(ScalarValue::Int32(i32::try_from(value).ok()), metadata))
        }
        other => Transformed::no(other),
    })
}
