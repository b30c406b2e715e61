//! What rows are sorted by are columns.
//!
//! DataFusion asks of a key that is computed what order it has and in what range it is, and where it cannot tell, as of a comparison of
//! what a function gives, it takes sorted rows for unsorted ones and refuses its own plan. So keys are computed below the sort or the
//! window, and left out above it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{Alias, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr, Window};

/// `plan` as it is computed here, whose sorts and windows have columns for keys.
pub(crate) fn sorted_by_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(sort) if sort.expr.iter().any(|key| !is_column(&key.expr)) => by_columns(sort).map(Transformed::yes),
        LogicalPlan::Window(window) if window.window_expr.iter().any(|expr| keys_of(expr).any(|key| !is_column(key))) => {
            over_columns(window).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// `plan` as it was written, whose sorts have columns for what they ask of subqueries.
pub(crate) fn subqueries_by_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    let asks = |key: &SortExpr| key.expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))));
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(sort) if sort.expr.iter().try_fold(false, |found, key| asks(key).map(|asks| found | asks))? => {
            by_columns(sort).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Whether nothing has to be computed; of a constant it is known that it sorts nothing.
fn is_column(key: &Expr) -> bool {
    matches!(key, Expr::Column(_) | Expr::Literal(..))
}

/// Keys that are computed once, whoever wants them.
#[derive(Default)]
struct Keys(Vec<(Expr, String)>);

impl Keys {
    /// The column that `key` becomes.
    fn column(&mut self, key: Expr) -> Expr {
        if is_column(&key) {
            return key;
        }
        let known = self.0.iter().find(|(known, _)| *known == key && !key.is_volatile()).map(|(_, name)| name.clone());
        let name = known.unwrap_or_else(|| {
            let name = format!("causeway_key_{}", self.0.len());
            self.0.push((key, name.clone()));
            name
        });
        Expr::Column(Column::new_unqualified(name))
    }

    /// `input` with the keys.
    fn below(self, input: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let keys = self.0.into_iter().map(|(key, name)| key.alias(name));
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns.chain(keys).collect(), Arc::clone(input))?)))
    }
}

fn by_columns(sort: Sort) -> Result<LogicalPlan> {
    let Sort { mut expr, input, fetch } = sort;
    let mut keys = Keys::default();
    for key in &mut expr {
        key.expr = keys.column(std::mem::take(&mut key.expr));
    }
    let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
    let sorted = LogicalPlan::Sort(Sort { expr, input: keys.below(&input)?, fetch });
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(sorted))?))
}

/// What a window function, called another name or not, is partitioned and ordered by.
fn keys_of(expr: &Expr) -> impl Iterator<Item = &Expr> {
    let mut inner = expr;
    while let Expr::Alias(Alias { expr, .. }) = inner {
        inner = expr;
    }
    let params = if let Expr::WindowFunction(function) = inner { Some(&function.params) } else { None };
    params.into_iter().flat_map(|params| params.partition_by.iter().chain(params.order_by.iter().map(|key| &key.expr)))
}

fn over_columns(window: Window) -> Result<LogicalPlan> {
    let mut keys = Keys::default();
    let mut named: Vec<_> = window.input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut functions = Vec::with_capacity(window.window_expr.len());
    let names = window.schema.fields().iter().skip(named.len()).map(|field| field.name().clone()).collect::<Vec<_>>();
    for (expr, name) in window.window_expr.into_iter().zip(names) {
        let function = match expr.unalias() {
            Expr::WindowFunction(function) => {
                let mut function: WindowFunction = *function;
                for key in &mut function.params.partition_by {
                    *key = keys.column(std::mem::take(key));
                }
                for key in &mut function.params.order_by {
                    key.expr = keys.column(std::mem::take(&mut key.expr));
                }
                Expr::WindowFunction(Box::new(function))
            }
            other => other,
        };
        named.push(Expr::Column(Column::new_unqualified(function.schema_name().to_string())).alias(name));
        functions.push(function);
    }
    let windowed = Window::try_new(functions, keys.below(&window.input)?)?;
    LogicalPlanBuilder::from(LogicalPlan::Window(windowed)).project(named)?.build()
}
