//! Expressions that compute a value: always exact or not shipped.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::{BinaryExpr, Case, ScalarFunction};
use datafusion::logical_expr::{Expr, Operator, ReturnFieldArgs};
use datafusion::scalar::ScalarValue;

use super::predicate::predicate;
use super::{ColumnScope, Reason, ScopedColumn};
use crate::remote::{Comparison, Presentation, RemoteColumn};
use crate::sql::dialect::{Argument, Dialect};

/// A translated expression that computes a value.
#[derive(Debug, Clone)]
pub struct Value<'a> {
    /// How it is written; safe to embed anywhere.
    pub sql: String,
    /// Its Arrow type here.
    pub data_type: DataType,
    /// Which comparisons on it agree.
    pub comparison: Comparison,
    /// The remote column it is, when it is one untouched.
    pub column: Option<&'a RemoteColumn>,
    /// The literal it is, when it is one.
    pub literal: Option<&'a ScalarValue>,
    /// The name of the collation it is compared under, when it is a text that has one.
    pub collation: Option<&'a str>,
    /// The most digits that it can have, where it was computed of numbers.
    pub(super) digits: Option<Digits>,
}

impl Value<'_> {
    pub(super) fn is_text(&self) -> bool {
        is_text(&self.data_type)
    }

    /// How it is written where only its being NULL matters. What a source calls NULL may differ from what we read: a composite of
    /// NULLs is NULL to PostgreSQL and a text to us. So a column that does not compare is asked for in the form we read.
    ///
    /// # Errors
    /// The reason it stays here.
    pub(super) fn nullness(&self, dialect: &dyn Dialect) -> Result<String, Reason> {
        match self.column {
            Some(column) if !dialect.tells_null(column) => {
                Err(format!("IS NULL on column {} is true of other values at the source too", column.name))
            }
            Some(column) if self.comparison == Comparison::None => Ok(dialect.output(column, &self.sql)),
            _ => Ok(self.sql.clone()),
        }
    }

    pub(super) fn is_bpchar(&self) -> bool {
        self.column.is_some_and(|c| c.presentation == Presentation::Bpchar)
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Translates an expression whose value is wanted: an output column, a grouping key, an aggregate's argument, a join key.
///
/// # Errors
/// The reason it stays here.
pub fn translate_value<'a>(dialect: &dyn Dialect, expr: &'a Expr, scope: &'a dyn ColumnScope) -> Result<Value<'a>, String> {
    match expr {
        Expr::Alias(alias) => translate_value(dialect, &alias.expr, scope),
        Expr::Column(column) => {
            let found = scope.resolve(column).ok_or_else(|| format!("column {column} is not a column of this source"))?;
            Ok(scoped(found))
        }
        Expr::ScalarSubquery(subquery) => {
            let found = scope.subquery(&subquery.subquery).ok_or_else(|| format!("{} is not on the allow-list", describe(expr)))?;
            Ok(scoped(found))
        }
        Expr::Literal(value, _) => literal(dialect, value),
        Expr::Cast(cast) => {
            let inner = translate_value(dialect, &cast.expr, scope)?;
            let target = cast.field.data_type();
            if inner.data_type == *target || (inner.is_text() && is_text(target)) {
                return Ok(Value { data_type: target.clone(), ..inner });
            }
            let sql = dialect
                .widening_cast(&inner.sql, &inner.data_type, target)
                .ok_or_else(|| format!("cast from {} to {target} is not known to be the same at the source", inner.data_type))?;
            // A cast keeps no more of what agrees than its input and its new type both allow.
            let comparison = if inner.comparison == Comparison::Total { Comparison::of_computed(target) } else { Comparison::None };
            Ok(Value { sql, comparison, ..computed(target.clone()) })
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Divide => quotient(dialect, binary, scope),
        Expr::BinaryExpr(binary) if matches!(binary.op, Operator::Plus | Operator::Minus | Operator::Multiply) => {
            arithmetic(dialect, binary, scope)
        }
        Expr::Negative(inner) if dialect.computes() => {
            let inner = translate_value(dialect, inner, scope)?;
            if !is_exact_number(&inner.data_type) || inner.comparison != Comparison::Total {
                return Err(format!("negation of {} is kept local", inner.data_type));
            }
            Ok(Value { sql: format!("(- {})", inner.sql), ..computed(inner.data_type) })
        }
        Expr::Case(case) if dialect.computes() => case_when(dialect, case, scope),
        Expr::ScalarFunction(function) => call(dialect, function, scope),
        Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::InList(_) => {
            let inner = predicate(dialect, expr, scope)?;
            if !inner.exact {
                return Err(format!("{expr} is only narrowed, not decided, by the source"));
            }
            Ok(Value { sql: inner.sql, ..computed(DataType::Boolean) })
        }
        other => Err(format!("{} is not on the allow-list", describe(other))),
    }
}

fn literal<'a>(dialect: &dyn Dialect, value: &'a ScalarValue) -> Result<Value<'a>, Reason> {
    let data_type = value.data_type();
    let sql = dialect.literal(value).ok_or_else(|| format!("a literal of type {data_type} has no exact form at the source"))?;
    Ok(Value { sql, comparison: Comparison::Total, literal: Some(value), ..computed(data_type) })
}

fn scoped(found: ScopedColumn<'_>) -> Value<'_> {
    Value {
        sql: found.sql,
        data_type: found.data_type.clone(),
        comparison: found.comparison,
        column: found.column,
        literal: None,
        collation: found.collation,
        digits: None,
    }
}

/// What is made of other values, to be written yet.
fn computed<'a>(data_type: DataType) -> Value<'a> {
    Value {
        sql: String::new(),
        comparison: Comparison::of_computed(&data_type),
        data_type,
        column: None,
        literal: None,
        collation: None,
        digits: None,
    }
}

/// Numbers whose `+ - *` is exact or an error, never rounded.
fn is_exact_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn arithmetic<'a>(dialect: &dyn Dialect, binary: &'a BinaryExpr, scope: &'a dyn ColumnScope) -> Result<Value<'a>, Reason> {
    let left = translate_value(dialect, &binary.left, scope)?;
    let right = translate_value(dialect, &binary.right, scope)?;
    let plain = |value: &Value<'_>| is_exact_number(&value.data_type) && value.comparison == Comparison::Total;
    if !plain(&left) || !plain(&right) {
        return Err(format!("{} {} {} is kept local", left.data_type, binary.op, right.data_type));
    }
    let data_type = BinaryTypeCoercer::new(&left.data_type, &binary.op, &right.data_type)
        .get_result_type()
        .map_err(|_| format!("{} {} {} has no result type", left.data_type, binary.op, right.data_type))?;
    let digits = Digits::of(dialect, &left).zip(Digits::of(dialect, &right)).and_then(|(left, right)| left.combined(binary.op, right));
    let is_kept = match (&data_type, digits) {
        _ if dialect.computes() => true,
        (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale), Some(digits)) => {
            i16::from(*scale) == digits.fraction && dialect.keeps_digits(digits.whole, digits.fraction)
        }
        (integer, _) => integer.is_signed_integer() && scope.is_assigned(),
    };
    if !is_kept {
        return Err(format!("operator {} may overflow or round otherwise at the source", binary.op));
    }
    Ok(Value { sql: format!("({} {} {})", left.sql, binary.op, right.sql), digits, ..computed(data_type) })
}

/// The most digits that a number can have before and behind its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    whole: i16,
    fraction: i16,
}

impl Digits {
    /// Those of a value: of one that was computed by what it was computed of, of a literal those it has, else by its type.
    fn of(dialect: &dyn Dialect, value: &Value<'_>) -> Option<Self> {
        if value.column.is_some_and(|column| !dialect.keeps_digits_of(column)) {
            return None;
        }
        if value.digits.is_some() {
            return value.digits;
        }
        let literal = match value.literal {
            Some(ScalarValue::Int16(Some(value))) => Some((i128::from(*value), 0)),
            Some(ScalarValue::Int32(Some(value))) => Some((i128::from(*value), 0)),
            Some(ScalarValue::Int64(Some(value))) => Some((i128::from(*value), 0)),
            Some(ScalarValue::Decimal128(Some(value), _, scale)) => Some((*value, i16::from(*scale))),
            _ => None,
        };
        if let Some((unscaled, fraction)) = literal {
            let all = unscaled.unsigned_abs().checked_ilog10().map_or(1, |power| power + 1);
            return Some(Self { whole: (i16::try_from(all).ok()? - fraction).max(0), fraction });
        }
        match value.data_type {
            DataType::Int16 => Some(Self { whole: 5, fraction: 0 }),
            DataType::Int32 => Some(Self { whole: 10, fraction: 0 }),
            DataType::Int64 => Some(Self { whole: 19, fraction: 0 }),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                Some(Self { whole: i16::from(precision) - i16::from(scale), fraction: i16::from(scale) })
            }
            _ => None,
        }
    }

    /// Those of what `op` makes of two numbers.
    fn combined(self, op: Operator, other: Self) -> Option<Self> {
        match op {
            Operator::Plus | Operator::Minus => {
                Some(Self { whole: self.whole.max(other.whole) + 1, fraction: self.fraction.max(other.fraction) })
            }
            Operator::Multiply => Some(Self { whole: self.whole + other.whole, fraction: self.fraction + other.fraction }),
            _ => None,
        }
    }
}

/// A quotient of decimals. Here it has four decimals more than the dividend, and the rest is cut off.
fn quotient<'a>(dialect: &dyn Dialect, binary: &'a BinaryExpr, scope: &'a dyn ColumnScope) -> Result<Value<'a>, Reason> {
    let left = translate_value(dialect, &binary.left, scope)?;
    let right = translate_value(dialect, &binary.right, scope)?;
    let data_type = BinaryTypeCoercer::new(&left.data_type, &binary.op, &right.data_type).get_result_type();
    let plain = |value: &Value<'_>| is_exact_number(&value.data_type) && value.comparison == Comparison::Total;
    let sql = match &data_type {
        Ok(DataType::Decimal128(_, scale @ 0..) | DataType::Decimal256(_, scale @ 0..)) if plain(&left) && plain(&right) => {
            dialect.quotient(&left.sql, &right.sql, scale.unsigned_abs())
        }
        _ => None,
    };
    match (sql, data_type) {
        (Some(sql), Ok(data_type)) => Ok(Value { sql, ..computed(data_type) }),
        _ => Err(format!("{} / {} is kept local", left.data_type, right.data_type)),
    }
}

fn case_when<'a>(dialect: &dyn Dialect, case: &'a Case, scope: &'a dyn ColumnScope) -> Result<Value<'a>, Reason> {
    if case.expr.is_some() {
        return Err("CASE with an operand is kept local".to_owned());
    }
    let mut sql = String::from("CASE");
    let mut data_type: Option<DataType> = None;
    let mut value = |expr: &'a Expr| -> Result<String, Reason> {
        let branch = translate_value(dialect, expr, scope)?;
        if branch.literal.is_none_or(|l| !l.is_null()) {
            match &data_type {
                Some(known) if *known != branch.data_type => {
                    return Err(format!("CASE mixes {known} and {}", branch.data_type));
                }
                _ => data_type = Some(branch.data_type.clone()),
            }
        }
        Ok(match branch.column {
            Some(column) => dialect.output(column, &branch.sql),
            None => branch.sql,
        })
    };
    for (when, then) in &case.when_then_expr {
        let condition = predicate(dialect, when, scope)?;
        if !condition.exact {
            return Err(format!("{when} is only narrowed, not decided, by the source"));
        }
        sql.push_str(&format!(" WHEN {} THEN {}", condition.sql, value(then)?));
    }
    if let Some(otherwise) = &case.else_expr {
        sql.push_str(&format!(" ELSE {}", value(otherwise)?));
    }
    sql.push_str(" END");
    let data_type = data_type.ok_or("CASE of NULLs only is kept local")?;
    Ok(Value { sql: format!("({sql})"), ..computed(data_type) })
}

fn call<'a>(dialect: &dyn Dialect, function: &'a ScalarFunction, scope: &'a dyn ColumnScope) -> Result<Value<'a>, Reason> {
    let name = function.func.name();
    let unknown = || format!("function {name} is not on the source's allow-list");
    let values = function.args.iter().map(|a| translate_value(dialect, a, scope)).collect::<Result<Vec<_>, _>>().map_err(|reason| {
        // Naming the function helps more than its argument when the function itself could not go either.
        if dialect.function(name, &[], &DataType::Null).is_none() { format!("{}: {reason}", unknown()) } else { reason }
    })?;
    if values.iter().any(|v| matches!(v.comparison, Comparison::OwnType | Comparison::None)) {
        return Err(format!("an argument of {name} is not the same value at the source"));
    }
    let fields: Vec<FieldRef> = values.iter().map(|v| Arc::new(Field::new("argument", v.data_type.clone(), true))).collect();
    let literals: Vec<Option<&ScalarValue>> = values.iter().map(|v| v.literal).collect();
    let result = function
        .func
        .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &literals })
        .map_err(|_| format!("function {name} has no result type"))?
        .data_type()
        .clone();
    let arguments: Vec<Argument<'_>> =
        values.iter().map(|v| Argument { sql: v.sql.clone(), data_type: v.data_type.clone(), literal: v.literal }).collect();
    let sql = dialect.function(name, &arguments, &result).ok_or_else(unknown)?;
    let mut made = Value { sql, ..computed(result) };
    if made.is_text() && dialect.keeps_collations() {
        // Of several columns it would have to be told which one's collation holds.
        let mut texts = values.iter().filter(|value| value.is_text() && value.literal.is_none());
        if let (Some(only), None) = (texts.next(), texts.next()) {
            made = Value { comparison: only.comparison, collation: only.collation, ..made };
        }
    }
    Ok(made)
}

/// What kind of expression it is, for a reason. Values in it are not shown.
pub(super) fn describe(expr: &Expr) -> String {
    match expr {
        Expr::BinaryExpr(binary) => format!("operator {}", binary.op),
        Expr::SimilarTo(_) => "SIMILAR TO".to_owned(),
        Expr::TryCast(_) => "a cast that gives NULL on failure".to_owned(),
        Expr::ScalarFunction(function) => format!("function {}", function.func.name()),
        Expr::AggregateFunction(function) => format!("aggregate {}", function.func.name()),
        Expr::WindowFunction(function) => format!("window function {}", function.fun.name()),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => "a subquery".to_owned(),
        Expr::Placeholder(_) => "a parameter".to_owned(),
        other => format!("expression {}", other.variant_name()),
    }
}
