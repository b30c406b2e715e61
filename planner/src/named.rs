//! The expressions of a node, rewritten under the names that they had.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};
use datafusion::optimizer::utils::NamePreserver;

/// `node` with what `rewrite` makes of each of its expressions. Each key of a grouping set has a name of its own.
pub(crate) fn map_named(node: LogicalPlan, mut rewrite: impl FnMut(Expr) -> Result<Transformed<Expr>>) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let mut named = |expr: Expr| {
        let name = names.save(&expr);
        Ok(rewrite(expr)?.update_data(|expr| name.restore(expr)))
    };
    node.map_expressions(|expr| match expr {
        Expr::GroupingSet(sets) => {
            let mut is_changed = false;
            let mut keys = |keys: Vec<Expr>| {
                let rewritten = keys.into_iter().map(|key| {
                    let key = named(key)?;
                    is_changed |= key.transformed;
                    Ok(key.data)
                });
                rewritten.collect::<Result<Vec<_>>>()
            };
            let sets = match sets {
                GroupingSet::Rollup(of) => GroupingSet::Rollup(keys(of)?),
                GroupingSet::Cube(of) => GroupingSet::Cube(keys(of)?),
                GroupingSet::GroupingSets(sets) => GroupingSet::GroupingSets(sets.into_iter().map(keys).collect::<Result<_>>()?),
            };
            Ok(Transformed::new_transformed(Expr::GroupingSet(sets), is_changed))
        }
        other => named(other),
    })
}
