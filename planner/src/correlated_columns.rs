//! Columns of a subquery that are compared with outer ones have names of their own.
//!
//! DataFusion joins by such columns, under the subquery's one name: `a.id = o.x AND b.id = o.y` became two comparisons with one `id`. So
//! where a name is there twice, what is compared gets another below the condition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};

/// A subquery's plan, in whose conditions no two columns have one name.
pub(crate) fn told_apart(plan: LogicalPlan) -> Result<LogicalPlan> {
    let shared = shared_names(&plan)?;
    if shared.is_empty() {
        return Ok(plan);
    }
    let mut count = 0;
    plan.transform_up(|node| match node {
        LogicalPlan::Filter(filter) => {
            let columns = compared(&filter).into_iter().filter(|column| shared.contains(&column.name));
            let renamed: BTreeMap<_, _> = columns
                .map(|column| {
                    count += 1;
                    (column, Column::new_unqualified(format!("causeway_outer_{count}")))
                })
                .collect();
            if renamed.is_empty() {
                Ok(Transformed::no(LogicalPlan::Filter(filter)))
            } else {
                under_names(filter, &renamed).map(Transformed::yes)
            }
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Names of several columns among those that are compared with outer ones and those that the subquery gives.
fn shared_names(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut columns: BTreeMap<String, BTreeSet<(usize, Column)>> = BTreeMap::new();
    let mut at = 0;
    plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            at += 1;
            for column in compared(filter) {
                columns.entry(column.name.clone()).or_default().insert((at, column));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    for column in plan.schema().columns() {
        if let Some(compared) = columns.get_mut(&column.name)
            && !compared.iter().any(|(_, known)| *known == column)
        {
            compared.insert((0, column));
        }
    }
    Ok(columns.into_iter().filter(|(_, columns)| columns.len() > 1).map(|(name, _)| name).collect())
}

/// The columns in those conditions of a filter that name outer ones.
fn compared(filter: &Filter) -> BTreeSet<Column> {
    let correlated = split_conjunction(&filter.predicate).into_iter().filter(|condition| condition.contains_outer());
    correlated.flat_map(Expr::column_refs).cloned().collect()
}

/// The filter over columns of other names, with the columns that it had.
fn under_names(filter: Filter, renamed: &BTreeMap<Column, Column>) -> Result<LogicalPlan> {
    let columns = filter.input.schema().columns();
    let named = renamed.iter().map(|(column, name)| Expr::Column(column.clone()).alias(&name.name));
    let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(filter.input))
        .project(columns.iter().cloned().map(Expr::Column).chain(named))?
        .build()?;
    let predicate = filter.predicate.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => match renamed.get(&column) {
                Some(name) => Transformed::yes(Expr::Column(name.clone())),
                None => Transformed::no(Expr::Column(column)),
            },
            other => Transformed::no(other),
        })
    })?;
    let filtered = LogicalPlan::Filter(Filter::try_new(predicate.data, Arc::new(input))?);
    LogicalPlanBuilder::from(filtered).project(columns.into_iter().map(Expr::Column))?.build()
}
