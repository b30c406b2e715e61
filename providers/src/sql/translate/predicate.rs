//! Expressions that filter rows: exact, or a superset that is checked again here.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList, Like};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::value::{Value, describe, translate_value};
use super::{ColumnScope, Reason};
use crate::remote::Comparison;
use crate::sql::dialect::{Dialect, LikeSupport};

/// A predicate in the source's words.
pub(super) struct Predicate {
    /// How it is written; safe to embed anywhere.
    pub(super) sql: String,
    /// Whether the source decides it as we do, or only lets too many rows through.
    pub(super) exact: bool,
}

impl Predicate {
    fn exact(sql: String) -> Self {
        Self { sql, exact: true }
    }
}

pub(super) fn predicate(dialect: &dyn Dialect, expr: &Expr, scope: &dyn ColumnScope) -> Result<Predicate, Reason> {
    let decided = |inner: &Expr| -> Result<String, Reason> {
        let inner = predicate(dialect, inner, scope)?;
        if inner.exact { Ok(inner.sql) } else { Err(format!("{expr} needs an exact answer from the source")) }
    };
    match expr {
        Expr::Alias(alias) => predicate(dialect, &alias.expr, scope),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (predicate(dialect, left, scope), predicate(dialect, right, scope)) {
                (Ok(left), Ok(right)) => {
                    Ok(Predicate { sql: format!("({} AND {})", left.sql, right.sql), exact: left.exact && right.exact })
                }
                // Half of a conjunction lets through all that the whole does.
                (Ok(half), Err(_)) | (Err(_), Ok(half)) => Ok(Predicate { exact: false, ..half }),
                (Err(reason), Err(_)) => Err(reason),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let left = predicate(dialect, left, scope)?;
            let right = predicate(dialect, right, scope)?;
            Ok(Predicate { sql: format!("({} OR {})", left.sql, right.sql), exact: left.exact && right.exact })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if comparison_of(*op).is_some() => {
            let left = translate_value(dialect, left, scope)?;
            let right = translate_value(dialect, right, scope)?;
            compare(dialect, &left, *op, &right)
        }
        Expr::Not(inner) => Ok(Predicate::exact(format!("(NOT {})", decided(inner)?))),
        Expr::IsNull(inner) => Ok(Predicate::exact(format!("({} IS NULL)", nullness(dialect, inner, scope)?))),
        Expr::IsNotNull(inner) => Ok(Predicate::exact(format!("({} IS NOT NULL)", nullness(dialect, inner, scope)?))),
        Expr::IsTrue(inner) => Ok(Predicate::exact(format!("({} IS TRUE)", decided(inner)?))),
        Expr::IsFalse(inner) => Ok(Predicate::exact(format!("({} IS FALSE)", decided(inner)?))),
        Expr::IsUnknown(inner) => Ok(Predicate::exact(format!("({} IS NULL)", decided(inner)?))),
        Expr::IsNotTrue(inner) => Ok(Predicate::exact(format!("({} IS NOT TRUE)", decided(inner)?))),
        Expr::IsNotFalse(inner) => Ok(Predicate::exact(format!("({} IS NOT FALSE)", decided(inner)?))),
        Expr::IsNotUnknown(inner) => Ok(Predicate::exact(format!("({} IS NOT NULL)", decided(inner)?))),
        Expr::Between(between) => range(dialect, between, scope),
        Expr::InList(list) => in_list(dialect, list, scope),
        Expr::Like(like) => like_pattern(dialect, like, scope),
        Expr::Column(_) | Expr::Literal(..) | Expr::Case(_) | Expr::ScalarFunction(_) | Expr::Cast(_) => {
            let value = translate_value(dialect, expr, scope)?;
            match (&value.data_type, value.comparison) {
                (DataType::Boolean, Comparison::Total) => Ok(Predicate::exact(value.sql)),
                (DataType::Boolean, _) => Err(format!("{expr} is not a plain boolean at the source")),
                (other, _) => Err(format!("{other} is not a condition")),
            }
        }
        other => Err(format!("{} is not on the allow-list", describe(other))),
    }
}

/// What is NULL at the source exactly where `expr` is NULL here: what `IS NULL` asks, and what `count` counts. A cast that is shipped at
/// all loses nothing, so its operand is asked.
///
/// # Errors
/// The reason it stays here.
pub fn nullness(dialect: &dyn Dialect, expr: &Expr, scope: &dyn ColumnScope) -> Result<String, Reason> {
    let value = translate_value(dialect, expr, scope)?;
    match expr {
        Expr::Cast(cast) => nullness(dialect, &cast.expr, scope),
        Expr::Alias(alias) => nullness(dialect, &alias.expr, scope),
        _ => value.nullness(dialect),
    }
}

/// How a comparison operator uses the source's idea of equality and order; `None` for other operators.
fn comparison_of(op: Operator) -> Option<Use> {
    match op {
        Operator::Eq => Some(Use::Equal),
        Operator::NotEq => Some(Use::NotEqual),
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => Some(Use::Order),
        Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => Some(Use::NullSafe),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Equal,
    NotEqual,
    Order,
    NullSafe,
}

fn compare(dialect: &dyn Dialect, left: &Value<'_>, op: Operator, right: &Value<'_>) -> Result<Predicate, Reason> {
    let usage = comparison_of(op).ok_or_else(|| format!("operator {op} is not on the allow-list"))?;
    if let (Use::Equal | Use::NotEqual, Some((sql, literal))) = (usage, own_literal(dialect, left, right)) {
        let sign = if usage == Use::Equal { "=" } else { "<>" };
        return Ok(Predicate::exact(format!("({sql} {sign} {literal})")));
    }
    let exact = agree(left, usage, right)?;
    let sql = match op {
        Operator::IsNotDistinctFrom => format!("({})", dialect.null_safe_equal(&left.sql, &right.sql)),
        Operator::IsDistinctFrom => format!("(NOT ({}))", dialect.null_safe_equal(&left.sql, &right.sql)),
        Operator::NotEq => format!("({} <> {})", left.sql, right.sql),
        other => format!("({} {other} {})", left.sql, right.sql),
    };
    Ok(Predicate { sql, exact })
}

/// A column that does not compare as its Arrow type beside a literal the source can read as one of the column's own type.
fn own_literal<'a>(dialect: &dyn Dialect, left: &'a Value<'_>, right: &'a Value<'_>) -> Option<(&'a str, String)> {
    let (value, column, literal) = match (left, right) {
        (Value { column: Some(column), .. }, Value { literal: Some(literal), .. }) => (left, column, literal),
        (Value { literal: Some(literal), .. }, Value { column: Some(column), .. }) => (right, column, literal),
        _ => return None,
    };
    Some((&value.sql, dialect.literal_of(column, literal)?))
}

/// Whether the source compares the two as we do (`true`), holds equal too much (`false`), or must not be asked.
fn agree(left: &Value<'_>, usage: Use, right: &Value<'_>) -> Result<bool, Reason> {
    let same_type = left.data_type == right.data_type || (left.is_text() && right.is_text());
    let null = left.literal.is_some_and(ScalarValue::is_null) || right.literal.is_some_and(ScalarValue::is_null);
    if !same_type || null {
        return Err(format!("comparing {} with {} is kept local", left.data_type, right.data_type));
    }
    // Trailing blanks of `character(n)` are no part of a value, but of any other text they are: whose rule holds differs.
    if left.literal.is_none() && right.literal.is_none() && left.is_bpchar() != right.is_bpchar() && left.is_text() && right.is_text() {
        return Err("character(n) beside other text is compared here".to_owned());
    }
    // Two columns meet only under one collation: sources refuse, or choose, when it differs.
    if left.is_text() && left.literal.is_none() && right.literal.is_none() && left.collation != right.collation {
        return Err(format!("collations {} and {} differ", name(left), name(right)));
    }
    if left.comparison == Comparison::OwnType || right.comparison == Comparison::OwnType {
        return match (left.column, right.column) {
            (Some(one), Some(other)) if left.comparison == right.comparison && one.remote_type == other.remote_type => Ok(true),
            (one, other) => Err(match one.or(other) {
                Some(column) => format!("column {} of type {} is compared with its own type only", column.name, column.remote_type),
                None => format!("{} compares otherwise at the source", left.data_type),
            }),
        };
    }
    let weaker = |a: Comparison, b: Comparison| if rank(a) >= rank(b) { a } else { b };
    match (weaker(left.comparison, right.comparison), usage) {
        (Comparison::Total, _) | (Comparison::Equality, Use::Equal | Use::NotEqual | Use::NullSafe) => Ok(true),
        (Comparison::Equality, Use::Order) => Err(format!("collation {} is not C: range kept local", collation(left, right))),
        (Comparison::Float, Use::Equal | Use::NotEqual | Use::Order) if ordinary_float(left) || ordinary_float(right) => Ok(true),
        (Comparison::Float, _) => Err("zero and NaN compare otherwise at the source".to_owned()),
        (Comparison::SupersetEquality, Use::Equal) => Ok(false),
        (Comparison::SupersetEquality, Use::NotEqual | Use::Order | Use::NullSafe) => {
            Err(format!("collation {} holds different texts equal: only = narrows", collation(left, right)))
        }
        (Comparison::OwnType | Comparison::None, _) => Err(match left.column.or(right.column) {
            Some(column) => format!("type {} of column {} compares otherwise at the source", column.remote_type, column.name),
            None => format!("{} compares otherwise at the source", left.data_type),
        }),
    }
}

/// From most to least agreement.
fn rank(comparison: Comparison) -> u8 {
    match comparison {
        Comparison::Total => 0,
        Comparison::Float => 1,
        Comparison::Equality => 2,
        Comparison::SupersetEquality => 3,
        Comparison::OwnType => 4,
        Comparison::None => 5,
    }
}

fn name<'a>(value: &'a Value<'_>) -> &'a str {
    value.collation.unwrap_or("default")
}

fn collation<'a>(left: &'a Value<'_>, right: &'a Value<'_>) -> &'a str {
    left.collation.or(right.collation).unwrap_or("default")
}

/// A literal every engine compares alike: neither zero, whose sign some see, nor NaN or infinite.
fn ordinary_float(value: &Value<'_>) -> bool {
    match value.literal {
        Some(ScalarValue::Float64(Some(number))) => number.is_finite() && *number != 0.0,
        Some(ScalarValue::Float32(Some(number))) => number.is_finite() && *number != 0.0,
        _ => false,
    }
}

fn range(dialect: &dyn Dialect, between: &Between, scope: &dyn ColumnScope) -> Result<Predicate, Reason> {
    let value = translate_value(dialect, &between.expr, scope)?;
    let low = translate_value(dialect, &between.low, scope)?;
    let high = translate_value(dialect, &between.high, scope)?;
    agree(&value, Use::Order, &low)?;
    agree(&value, Use::Order, &high)?;
    let not = if between.negated { "NOT " } else { "" };
    Ok(Predicate::exact(format!("({} {not}BETWEEN {} AND {})", value.sql, low.sql, high.sql)))
}

fn in_list(dialect: &dyn Dialect, list: &InList, scope: &dyn ColumnScope) -> Result<Predicate, Reason> {
    let longest = dialect.longest_list();
    if list.list.len() > longest {
        return Err(format!("an IN list of {} values is longer than {longest}", list.list.len()));
    }
    let value = translate_value(dialect, &list.expr, scope)?;
    let usage = if list.negated { Use::NotEqual } else { Use::Equal };
    let mut exact = true;
    let mut items = Vec::with_capacity(list.list.len());
    for item in &list.list {
        let item = translate_value(dialect, item, scope)?;
        if item.literal.is_none() {
            return Err("an IN list with more than literals is kept local".to_owned());
        }
        match own_literal(dialect, &value, &item) {
            Some((_, sql)) => items.push(sql),
            None => {
                exact &= agree(&value, usage, &item)?;
                items.push(item.sql);
            }
        }
    }
    let not = if list.negated { "NOT " } else { "" };
    Ok(Predicate { sql: format!("({} {not}IN ({}))", value.sql, items.join(", ")), exact })
}

fn like_pattern(dialect: &dyn Dialect, like: &Like, scope: &dyn ColumnScope) -> Result<Predicate, Reason> {
    if like.case_insensitive {
        return Err("ILIKE folds case by the source's locale".to_owned());
    }
    if dialect.like() == LikeSupport::Local {
        return Err("LIKE is not the same at the source".to_owned());
    }
    let value = translate_value(dialect, &like.expr, scope)?;
    let pattern = translate_value(dialect, &like.pattern, scope)?;
    let text = match pattern.literal {
        Some(ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => text,
        _ => return Err("LIKE with a pattern that is not a literal is kept local".to_owned()),
    };
    if text.contains('\\') || like.escape_char.is_some_and(|escape| text.contains(escape)) {
        return Err("LIKE with an escape is kept local".to_owned());
    }
    let comparable = matches!(value.comparison, Comparison::Total | Comparison::Equality);
    if !value.is_text() || value.is_bpchar() || value.column.is_none() || !comparable {
        return Err(format!("LIKE on {} is kept local", value.data_type));
    }
    let not = if like.negated { "NOT " } else { "" };
    Ok(Predicate::exact(format!("({} {not}LIKE {} ESCAPE '\\')", value.sql, pattern.sql)))
}
