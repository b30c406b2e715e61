//! Subqueries that name rows from outside, where making a join of them would change their answer.
//!
//! DataFusion takes the conditions that name outer rows out of a subquery and joins by them. That is right only if the rest gives the same
//! rows when it runs once for all outer rows:
//!
//! - A grouping without keys gives one row where nothing is found, and the join finds none. So `EXISTS` of one is true, and `IN` compares
//!   with its value.
//! - A limit, an offset, a window or `DISTINCT ON` sees the rows of one outer row, and the side of an outer join that is filled with NULL
//!   is filtered before it is joined. Below these such conditions are refused.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Distinct, Expr, FetchType, Limit, LogicalPlan, Operator, SkipType, Subquery, binary_expr, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::correlated_columns::told_apart;
use crate::error::{Error, ErrorKind};

/// To be applied while subqueries are as they were written.
#[derive(Debug)]
pub(crate) struct Correlation;

impl AnalyzerRule for Correlation {
    fn name(&self) -> &'static str {
        "correlation"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if let LogicalPlan::Subquery(lateral) = node {
                names_outer_rows(&lateral.subquery, Place::Top)?;
                return Ok(Transformed::yes(LogicalPlan::Subquery(apart(lateral)?)));
            }
            node.map_expressions(|expr| expr.transform_up(expression))
        })
        .data()
    }
}

fn expression(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Exists(Exists { subquery, negated }) if !subquery.outer_ref_columns.is_empty() => {
            if gives_one_row(&subquery.subquery) {
                return Ok(Transformed::yes(lit(!negated)));
            }
            names_outer_rows(first_kept(&subquery.subquery), Place::Top)?;
            Ok(Transformed::yes(Expr::Exists(Exists { subquery: apart(subquery)?, negated })))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) if !subquery.outer_ref_columns.is_empty() => {
            names_outer_rows(&subquery.subquery, Place::Top)?;
            if gives_one_row(&subquery.subquery) {
                let op = if negated { Operator::NotEq } else { Operator::Eq };
                return Ok(Transformed::yes(binary_expr(*expr, op, Expr::ScalarSubquery(apart(subquery)?))));
            }
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery: apart(subquery)?, negated })))
        }
        Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
            names_outer_rows(&subquery.subquery, Place::Top)?;
            Ok(Transformed::yes(Expr::ScalarSubquery(apart(subquery)?)))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn apart(subquery: Subquery) -> Result<Subquery> {
    let plan = told_apart(Arc::unwrap_or_clone(subquery.subquery))?;
    Ok(Subquery { subquery: Arc::new(plan), ..subquery })
}

/// Whether a plan gives one row, whatever it finds: a grouping without keys, with nothing above it that takes rows away.
fn gives_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => gives_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => gives_one_row(&alias.input),
        LogicalPlan::Sort(sort) => gives_one_row(&sort.input),
        LogicalPlan::Limit(limit) => keeps_first(limit) && gives_one_row(&limit.input),
        _ => false,
    }
}

/// `plan` without a limit that changes nothing where it matters only whether there is a row.
fn first_kept(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Limit(limit) if keeps_first(limit) => first_kept(&limit.input),
        other => other,
    }
}

/// Whether a limit keeps the first row at least.
fn keeps_first(limit: &Limit) -> bool {
    matches!(limit.get_skip_type(), Ok(SkipType::Literal(0))) && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(None | Some(1..))))
}

/// Where in a subquery a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// What it gives is what the subquery gives.
    Top,
    /// Below something that sees other rows if the conditions are taken out.
    Inside,
}

/// Whether `plan` names rows from outside; an error where they cannot be taken out of it.
fn names_outer_rows(plan: &LogicalPlan, place: Place) -> Result<bool> {
    let own = plan.contains_outer_reference();
    Ok(match plan {
        // What stands in FROM has been asked itself.
        LogicalPlan::Subquery(_) => false,
        LogicalPlan::Projection(projection) => names_outer_rows(&projection.input, place)? || own,
        LogicalPlan::SubqueryAlias(alias) => names_outer_rows(&alias.input, place)?,
        LogicalPlan::Sort(sort) => names_outer_rows(&sort.input, place)? || own,
        LogicalPlan::Limit(limit) if gives_one_row(plan) => names_outer_rows(&limit.input, place)?,
        LogicalPlan::Limit(limit) => refused_if(names_outer_rows(&limit.input, Place::Inside)?, "a LIMIT or OFFSET")?,
        LogicalPlan::Window(window) => refused_if(names_outer_rows(&window.input, Place::Inside)? || own, "a window function")?,
        LogicalPlan::Distinct(Distinct::On(on)) => refused_if(names_outer_rows(&on.input, Place::Inside)? || own, "DISTINCT ON")?,
        LogicalPlan::Aggregate(aggregate) => {
            let within = names_outer_rows(&aggregate.input, Place::Inside)? || own;
            let is_alone = aggregate.group_expr.is_empty() && place == Place::Inside;
            refused_if(within && is_alone, "a grouping without keys that is not the whole subquery")? || within
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (names_outer_rows(&join.left, Place::Inside)?, names_outer_rows(&join.right, Place::Inside)?);
            let is_filled = match join.join_type {
                JoinType::Inner => false,
                JoinType::Left => right || own,
                JoinType::Right => left || own,
                _ => left || right || own,
            };
            refused_if(is_filled, "an outer join, INTERSECT or EXCEPT")? || left || right || own
        }
        other => other
            .inputs()
            .into_iter()
            .try_fold(own, |found, input| Ok::<_, DataFusionError>(names_outer_rows(input, Place::Inside)? || found))?,
    })
}

fn refused_if(is_wrong: bool, above: &str) -> Result<bool> {
    if !is_wrong {
        return Ok(false);
    }
    let error =
        Error::new(ErrorKind::Unsupported, format!("a subquery that names columns from outside of it below {above} is not supported"));
    Err(DataFusionError::External(Box::new(error.hint("Join with a subquery that is grouped by, or numbered within, what is compared."))))
}
