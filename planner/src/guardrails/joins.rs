//! How many pairs of rows the joins without an equality are believed to look at, wherever they would run.

use causeway_providers::sql::SqlTable;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{FetchType, Join, LogicalPlan, TableScan};

use super::Guardrails;
use crate::error::{Error, ErrorKind, Result};

/// The share of rows that a condition of which nothing is known leaves, as one part in so many.
const UNKNOWN_PART: u64 = 5;

/// How many tables of a side are named.
const NAMED: usize = 3;

/// See [`Guardrails::admit_joins`]. Where nothing is known of a side nothing is refused: what it gives is counted.
pub(super) fn admit(guardrails: &Guardrails, plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node
            && pairs_all(join)
            && let (Some(left), Some(right)) = (believed_rows(&join.left), believed_rows(&join.right))
            && left > 1
            && right > 1
            && left.saturating_mul(right) > guardrails.max_join_rows
        {
            let (one, other) = (side(&join.left), side(&join.right));
            return Err(DataFusionError::from(refusal(
                guardrails,
                &format!("{one} (about {left} rows) with {other} (about {right} rows)"),
            )));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The refusal of a join that pairs `sides`.
pub(super) fn refusal(guardrails: &Guardrails, sides: &str) -> Error {
    let (limit, role) = (guardrails.max_join_rows, &guardrails.role);
    Error::new(
        ErrorKind::LimitExceeded,
        format!("the statement joins {sides} without an equality: more than {limit} pairs (max_join_rows of role \"{role}\")"),
    )
    .hint("Join on equal columns (ON a.id = b.a_id), or narrow both sides with WHERE first.")
}

/// Whether a join looks at each row of one side with each of the other.
fn pairs_all(join: &Join) -> bool {
    if !join.on.is_empty() {
        return false;
    }
    match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => true,
        // Whether there is any row at all is known with the first.
        JoinType::LeftSemi | JoinType::RightSemi | JoinType::LeftAnti | JoinType::RightAnti | JoinType::LeftMark | JoinType::RightMark => {
            join.filter.is_some()
        }
    }
}

/// How many rows a plan is believed to give, or at most gives; `None` when nothing is known.
fn believed_rows(plan: &LogicalPlan) -> Option<u64> {
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan),
        LogicalPlan::EmptyRelation(empty) => Some(u64::from(empty.produce_one_row)),
        LogicalPlan::Values(values) => Some(values.values.len() as u64),
        LogicalPlan::Filter(filter) => believed_rows(&filter.input).map(|rows| rows.div_ceil(UNKNOWN_PART)),
        LogicalPlan::Limit(limit) => {
            let fetch = match limit.get_fetch_type() {
                Ok(FetchType::Literal(Some(fetch))) => Some(fetch as u64),
                Ok(FetchType::Literal(None) | FetchType::UnsupportedExpr) | Err(_) => None,
            };
            least(believed_rows(&limit.input), fetch)
        }
        LogicalPlan::Sort(sort) => least(believed_rows(&sort.input), sort.fetch.map(|fetch| fetch as u64)),
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Some(1),
        LogicalPlan::Union(union) => union.inputs.iter().try_fold(0_u64, |sum, input| Some(sum.saturating_add(believed_rows(input)?))),
        LogicalPlan::Join(join) => {
            let (left, right) = (believed_rows(&join.left)?, believed_rows(&join.right)?);
            Some(match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
                _ if join.on.is_empty() => left.saturating_mul(right),
                _ => left.max(right),
            })
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_) => believed_rows(plan.inputs().first()?),
        _ => None,
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn scanned(scan: &TableScan) -> Option<u64> {
    let provider = source_as_provider(&scan.source).ok()?;
    let rows = match provider.downcast_ref::<SqlTable>() {
        Some(table) => table.believed_rows(&scan.filters),
        None => provider.statistics().and_then(|statistics| statistics.num_rows.get_value().map(|rows| *rows as u64)),
    };
    least(rows, scan.fetch.map(|fetch| fetch as u64))
}

/// The tables of one side of a join, in words.
fn side(plan: &LogicalPlan) -> String {
    let mut tables: Vec<String> = Vec::new();
    let _ = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let name = scan.table_name.to_string();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match tables.len() {
        0 => "a list of values".to_owned(),
        1..=NAMED => tables.join(", "),
        _ => format!("{} and others", tables[..NAMED].join(", ")),
    }
}
