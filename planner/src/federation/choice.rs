//! Which of the sub-plans that a plan has several times are fetched once: tried one after the other, and kept if that is believed to be
//! cheaper. To be fetched, a sub-plan is taken out of the statements that have it, which then give what they had joined it with.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;

use causeway_providers::sql::SqlTable;

use super::node::RemoteQuery;
use super::visit::Federation;
use crate::common_subplan::{CommonSubplans, Materialized};
use crate::report::PlanReport;

/// Of more common sub-plans the others are computed wherever they stand.
const MOST_TRIED: usize = 16;

/// How many rows there are believed to be where nothing is known.
const UNKNOWN: u64 = 10_000;

/// What of a plan's cost counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thrift {
    /// Rows that sources read, and rows that they give.
    Work,
    /// Rows that they give: those of limited roles are counted.
    Fetched,
}

/// Sends to the remotes what they may compute of `plan`, and tells what stays.
pub(crate) fn federate(plan: LogicalPlan, thrift: Thrift) -> DataFusionResult<(LogicalPlan, PlanReport)> {
    let common = CommonSubplans::of(&plan)?;
    let mut fetched = BTreeSet::new();
    if common.is_empty() {
        return Federation::new(&common, &fetched).run(plan);
    }
    let mut best = Federation::new(&common, &fetched).run(plan.clone())?;
    let mut least = cost(&best.0, thrift)?;
    for subplan in 0..common.len().min(MOST_TRIED) {
        fetched.insert(subplan);
        let tried = Federation::new(&common, &fetched).run(plan.clone())?;
        let cost = cost(&tried.0, thrift)?;
        if cost < least {
            (best, least) = (tried, cost);
        } else {
            fetched.remove(&subplan);
        }
    }
    Ok(best)
}

/// How many rows the sources of a federated plan are believed to read and to give. What is materialized is computed once.
fn cost(plan: &LogicalPlan, thrift: Thrift) -> DataFusionResult<u64> {
    let mut sum: u64 = 0;
    let mut materialized = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Extension(extension) => {
                if let Some(query) = extension.node.as_any().downcast_ref::<RemoteQuery>() {
                    sum = sum.saturating_add(query.rows().unwrap_or(UNKNOWN));
                    if thrift == Thrift::Work {
                        sum = sum.saturating_add(query.read().unwrap_or(UNKNOWN));
                    }
                }
                let place = extension.node.as_any().downcast_ref::<Materialized>();
                if place.is_some_and(|place| !materialized.insert(place.subplan())) {
                    return Ok(TreeNodeRecursion::Jump);
                }
            }
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source).ok();
                let table = provider.as_ref().and_then(|provider| provider.downcast_ref::<SqlTable>());
                let rows = table.and_then(|table| table.believed_rows(&scan.filters)).unwrap_or(UNKNOWN);
                sum = sum.saturating_add(rows.saturating_mul(if thrift == Thrift::Work { 2 } else { 1 }));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(sum)
}
