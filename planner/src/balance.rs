//! Long chains of `AND` and `OR` as shallow trees: everything after the parser walks expressions by recursion, remotes too.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, Value, VisitMut, VisitorMut};

use crate::error::Result;
use crate::parse::too_deep;

/// Shorter chains stay as they were written.
const LONG: usize = 16;

/// How many subqueries in expressions may stand in each other: optimising takes twice as long for each.
const SUBQUERY_LIMIT: usize = 12;

/// Balances the long chains of `statement`. Both operators are associative, in three-valued logic too.
///
/// # Errors
/// `Unsupported` when subqueries nest too deeply to be optimised in reasonable time.
pub(crate) fn balance(mut statement: Statement) -> Result<Statement> {
    match VisitMut::visit(&mut statement, &mut Balancer { subqueries: 0 }) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(()) => Err(too_deep()),
    }
}

struct Balancer {
    /// Expressions around the current one that hold it in a subquery.
    subqueries: usize,
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
}

impl VisitorMut for Balancer {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        self.subqueries -= usize::from(is_subquery(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let long = match &*expr {
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } if chain_length(expr, op) > LONG => Some(op.clone()),
            _ => None,
        };
        if let Some(op) = long {
            let operands = operands(std::mem::replace(expr, Expr::Value(Value::Null.into())), &op);
            *expr = tree(operands, &op);
        }
        self.subqueries += usize::from(is_subquery(expr));
        if self.subqueries > SUBQUERY_LIMIT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// How far the left spine of `expr` goes on with the same operator. A balanced tree's is short.
fn chain_length(expr: &Expr, operator: &BinaryOperator) -> usize {
    let mut length = 0;
    let mut spine = expr;
    while let Expr::BinaryOp { left, op, .. } = spine
        && op == operator
    {
        length += 1;
        spine = left;
    }
    length
}

/// What the left spine of `expr` connects, from left to right.
fn operands(expr: Expr, operator: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    let mut spine = expr;
    loop {
        match spine {
            Expr::BinaryOp { left, op, right } if op == *operator => {
                operands.push(*right);
                spine = *left;
            }
            other => {
                operands.push(other);
                operands.reverse();
                return operands;
            }
        }
    }
}

/// The shallowest tree over `level`, pairing neighbours until one is left.
fn tree(mut level: Vec<Expr>, operator: &BinaryOperator) -> Expr {
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(2));
        let mut nodes = level.into_iter();
        while let Some(left) = nodes.next() {
            above.push(match nodes.next() {
                // The parentheses are in the tree, not in the text: nothing prints this statement again.
                Some(right) => Expr::BinaryOp { left: Box::new(left), op: operator.clone(), right: Box::new(right) },
                None => left,
            });
        }
        level = above;
    }
    level.pop().expect("a chain connects at least two operands")
}
