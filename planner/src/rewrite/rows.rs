//! Rows that are compared: `(a, b) = (1, 2)`, `ROW(a, b) < (1, 2)`, `(a, b) IN ((1, 2), (3, 4))`, `(a, b) IS NULL`.
//!
//! Each becomes the comparisons of its values that it stands for; the planner below us makes structs of them, which only some
//! expressions can be part of, and in which NULL would equal NULL.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};

use super::syntax::{arguments_mut, binary, parts};

/// Rows of more values are left to the planner: which of them differ first is a question within a question.
const LONGEST: usize = 100;

/// Rewrites one expression whose parts are done.
pub(super) fn rewrite(expr: &mut Expr) {
    if let Expr::Function(function) = expr
        && parts(&function.name) == ["row"]
    {
        let values: Vec<_> = arguments_mut(function).into_iter().map(|value| value.clone()).collect();
        if !values.is_empty() {
            *expr = Expr::Tuple(values);
        }
        return;
    }
    let compared = match &*expr {
        Expr::IsNull(row) => values(row).and_then(|row| each(row, Expr::IsNull)),
        Expr::IsNotNull(row) => values(row).and_then(|row| each(row, Expr::IsNotNull)),
        Expr::BinaryOp { left, op, right } => match (values(left), values(right)) {
            (Some(left), Some(right)) => compare(left, op, right),
            _ => None,
        },
        Expr::InList { expr: row, list, negated } => values(row).and_then(|row| one_of(row, list, *negated)),
        _ => None,
    };
    if let Some(compared) = compared {
        *expr = Expr::Nested(Box::new(compared));
    }
}

/// Of a row it holds if it holds of all values.
fn each(row: &[Expr], test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    joined(row.iter().map(|value| nested(test(Box::new(nested(value.clone()))))).collect(), &BinaryOperator::And)
}

fn values(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Nested(inner) => values(inner),
        Expr::Tuple(values) if !values.is_empty() => Some(values),
        _ => None,
    }
}

/// Rows of different lengths are left to be refused.
fn compare(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    if left.len() != right.len() || left.len() > LONGEST {
        return None;
    }
    match op {
        BinaryOperator::Eq => pairs(left, op, right, BinaryOperator::And),
        BinaryOperator::NotEq => pairs(left, op, right, BinaryOperator::Or),
        BinaryOperator::Lt | BinaryOperator::LtEq => ordered(left, BinaryOperator::Lt, op, right),
        BinaryOperator::Gt | BinaryOperator::GtEq => ordered(left, BinaryOperator::Gt, op, right),
        _ => None,
    }
}

fn pairs(left: &[Expr], op: &BinaryOperator, right: &[Expr], all: BinaryOperator) -> Option<Expr> {
    let pairs = left.iter().zip(right).map(|(left, right)| nested(binary(left.clone(), op.clone(), right.clone())));
    joined(pairs.collect(), &all)
}

/// All of `parts`, joined by twos: a long list must not become a deep tree, which is walked by recursion.
fn joined(mut parts: Vec<Expr>, by: &BinaryOperator) -> Option<Expr> {
    while parts.len() > 1 {
        let mut rest = parts.into_iter();
        let mut joined = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(one) = rest.next() {
            joined.push(match rest.next() {
                Some(other) => nested(binary(one, by.clone(), other)),
                None => one,
            });
        }
        parts = joined;
    }
    parts.pop()
}

/// The first values that differ decide, and the last ones as `op` says.
fn ordered(left: &[Expr], strict: BinaryOperator, op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    let (first, left) = left.split_first()?;
    let (other, right) = right.split_first()?;
    if left.is_empty() {
        return Some(binary(first.clone(), op.clone(), other.clone()));
    }
    let rest = ordered(left, strict.clone(), op, right)?;
    let equal = binary(first.clone(), BinaryOperator::Eq, other.clone());
    let tied = nested(binary(nested(equal), BinaryOperator::And, nested(rest)));
    Some(binary(nested(binary(first.clone(), strict, other.clone())), BinaryOperator::Or, tied))
}

fn one_of(row: &[Expr], list: &[Expr], negated: bool) -> Option<Expr> {
    let (op, all) = if negated { (BinaryOperator::NotEq, BinaryOperator::And) } else { (BinaryOperator::Eq, BinaryOperator::Or) };
    let items = list.iter().map(|item| Some(nested(compare(row, &op, values(item)?)?))).collect::<Option<Vec<_>>>()?;
    joined(items, &all)
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}
