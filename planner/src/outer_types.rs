//! What a subquery takes a column from outside for.
//!
//! A reference to a column of an outer row has a type of its own, that of the time when it was planned. Where coercion has made another
//! one of the column, as of a sum, the reference still has the old one, and a comparison with it is not made for the values that come.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery, SubqueryAlias};

/// `plan`, whose references to outer rows have the types of these. Whether any had another one.
pub(crate) fn refreshed(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        let outer = merge_schema(&node.inputs());
        if let LogicalPlan::Join(mut join) = node {
            let Some((lateral, alias)) = lateral(&join.right) else { return in_expressions(LogicalPlan::Join(join), &outer) };
            let (lateral, is_changed) = seen_from(lateral.clone(), join.left.schema())?;
            if !is_changed {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            }
            let lateral = Arc::new(LogicalPlan::Subquery(lateral));
            join.right = match alias {
                Some(alias) => Arc::new(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(lateral, alias.alias.clone())?)),
                None => lateral,
            };
            return LogicalPlan::Join(join).recompute_schema().map(Transformed::yes);
        }
        in_expressions(node, &outer)
    })
}

/// The subquery that a side of a join is, and what it is called.
fn lateral(side: &LogicalPlan) -> Option<(&Subquery, Option<&SubqueryAlias>)> {
    match side {
        LogicalPlan::Subquery(lateral) => Some((lateral, None)),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(lateral) => Some((lateral, Some(alias))),
            _ => None,
        },
        _ => None,
    }
}

fn in_expressions(node: LogicalPlan, outer: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    node.map_expressions(|expr| {
        expr.transform_up(|mut expr| {
            let subquery = match &mut expr {
                Expr::Exists(exists) => &mut exists.subquery,
                Expr::InSubquery(inside) => &mut inside.subquery,
                Expr::SetComparison(comparison) => &mut comparison.subquery,
                Expr::ScalarSubquery(subquery) => subquery,
                _ => return Ok(Transformed::no(expr)),
            };
            let (seen, is_changed) = seen_from(subquery.clone(), outer)?;
            *subquery = seen;
            Ok(if is_changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        })
    })
}

/// The subquery as it stands among rows of `outer`. Whether it took a column for something else.
fn seen_from(mut subquery: Subquery, outer: &DFSchema) -> Result<(Subquery, bool)> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok((subquery, false));
    }
    let retyped = |expr: Expr| {
        expr.transform_up(|expr| match expr {
            Expr::OuterReferenceColumn(field, column) => Ok(match outer.field_from_column(&column) {
                Ok(seen) if seen.data_type() != field.data_type() => Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(seen), column)),
                _ => Transformed::no(Expr::OuterReferenceColumn(field, column)),
            }),
            other => Ok(Transformed::no(other)),
        })
    };
    let plan = Arc::unwrap_or_clone(subquery.subquery).transform_up(|node| node.map_expressions(retyped))?;
    subquery.subquery = Arc::new(plan.data);
    subquery.outer_ref_columns = subquery.outer_ref_columns.into_iter().map(|column| retyped(column).data()).collect::<Result<_>>()?;
    Ok((subquery, plan.transformed))
}
