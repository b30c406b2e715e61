//! Decides for each expression whether a source may compute it, and writes it if so: one walk, so the two never disagree.
//!
//! The walk is an allow-list. An expression it does not know stays here, with a reason that `EXPLAIN` shows. Names of functions
//! and spellings of literals belong to the [`Dialect`]; which comparisons agree belongs to the column ([`Comparison`]).
//!
//! [`Comparison`]: crate::remote::Comparison

mod predicate;
mod scope;
#[cfg(test)]
mod tests;
mod value;

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::dialect::Dialect;

pub use predicate::nullness;
pub use scope::{ColumnScope, ScopedColumn, TableScope};
pub use value::{Value, translate_value};

use predicate::{Predicate, predicate};

/// Whether a predicate may run at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The source gives our answer.
    Exact(String),
    /// The source keeps every row ours keeps, and perhaps more: ship it and check again here.
    Superset(String),
    /// It stays here, for this reason.
    Local(String),
}

/// Translates the predicate `expr` for `dialect`, with the columns of `scope`.
///
/// What computes a value rather than filters rows goes through [`translate_value`], which knows no superset.
pub fn translate(dialect: &dyn Dialect, expr: &Expr, scope: &dyn ColumnScope) -> Translation {
    if may_divide_by_zero(expr) {
        return Translation::Local("a division by zero fails, and which rows are divided is up to the source".to_owned());
    }
    match predicate(dialect, expr, scope) {
        Ok(Predicate { sql, exact: true }) => Translation::Exact(sql),
        Ok(Predicate { sql, exact: false }) => Translation::Superset(sql),
        Err(reason) => Translation::Local(reason),
    }
}

/// Whether `expr` divides by what is not known. A source decides conditions in an order of its own, so that one which keeps zero away
/// may come too late.
fn may_divide_by_zero(expr: &Expr) -> bool {
    let known = |divisor: &Expr| match divisor {
        Expr::Literal(value, _) => ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| *value != zero),
        _ => false,
    };
    let divides = |expr: &Expr| {
        let unknown = matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Divide, right, .. }) if !known(right));
        Ok(unknown)
    };
    // What fails is the closure, and ours does not.
    expr.exists(divides).unwrap_or(true)
}

/// Why an expression stays here.
type Reason = String;
