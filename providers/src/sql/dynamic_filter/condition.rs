//! What a join knows of its other side, as a condition for the source of this one.
//!
//! A hash join reads one side first and then knows which keys the rows of the other must have: a list of them, or the smallest and
//! the largest. [`condition`] turns that into a logical expression, which the translator may then ship as any other filter. It keeps
//! at least the rows the join can use, and perhaps more: the join itself decides.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, Literal,
};

/// The rows of `schema` that `filter` keeps, or a superset of them, in lists of `most_keys` at most and else as ranges; `None` when
/// nothing can be said.
pub(super) fn condition(filter: &Arc<dyn PhysicalExpr>, schema: &Schema, most_keys: usize) -> Option<Expr> {
    told(filter, schema, most_keys).or_else(|| told(filter, schema, 0))
}

fn told(filter: &Arc<dyn PhysicalExpr>, schema: &Schema, most_keys: usize) -> Option<Expr> {
    let condition = |filter| told(filter, schema, most_keys);
    if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return condition(&dynamic.current().ok()?);
    }
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And => both(condition(binary.left()), condition(binary.right())),
            Operator::Or => either([condition(binary.left())?, condition(binary.right())?], most_keys),
            _ => comparison(binary, schema),
        };
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        return member(list, schema, most_keys);
    }
    if let Some(is_null) = filter.downcast_ref::<IsNullExpr>() {
        return Key::of(is_null.arg(), schema).map(|key| key.column.is_null());
    }
    if let Some(case) = filter.downcast_ref::<CaseExpr>() {
        // One branch for each partition of the other side: a row is kept by some branch or by none.
        let branches = case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr());
        return either(branches.map(condition).collect::<Option<Vec<_>>>()?, most_keys);
    }
    match filter.downcast_ref::<Literal>()?.value() {
        ScalarValue::Boolean(Some(false) | None) => Some(lit(false)),
        _ => None,
    }
}

/// Both conditions, or the one that can be told. A list of keys says all that their range does.
fn both(one: Option<Expr>, other: Option<Expr>) -> Option<Expr> {
    match (one, other) {
        (Some(Expr::InList(list)), _) | (_, Some(Expr::InList(list))) => Some(Expr::InList(list)),
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

/// One of the conditions. Lists of one key become one list, which may be too long.
fn either(conditions: impl IntoIterator<Item = Expr>, most_keys: usize) -> Option<Expr> {
    let mut all: Vec<Expr> = Vec::new();
    for condition in conditions {
        if condition == lit(false) {
            continue;
        }
        match (all.last_mut(), condition) {
            (Some(Expr::InList(known)), Expr::InList(more)) if known.expr == more.expr => known.list.extend(more.list),
            (_, condition) => all.push(condition),
        }
    }
    if all.iter().any(|condition| matches!(condition, Expr::InList(list) if list.list.len() > most_keys)) {
        return None;
    }
    Some(all.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false)))
}

fn comparison(binary: &BinaryExpr, schema: &Schema) -> Option<Expr> {
    let key = Key::of(binary.left(), schema)?;
    let value = key.value(binary.right().downcast_ref::<Literal>()?.value())?;
    match binary.op() {
        Operator::GtEq => Some(key.column.gt_eq(value)),
        Operator::LtEq => Some(key.column.lt_eq(value)),
        Operator::Eq => Some(key.column.eq(value)),
        _ => None,
    }
}

fn member(list: &InListExpr, schema: &Schema, most_keys: usize) -> Option<Expr> {
    if list.negated() || most_keys == 0 {
        return None;
    }
    let key = Key::of(list.expr(), schema)?;
    let mut known = HashSet::new();
    let mut values = Vec::new();
    for value in list.list() {
        let value = value.downcast_ref::<Literal>()?.value();
        // A key stands there for each row that has it. A null is like nothing; a value that the column cannot hold is like none of its
        // values.
        if !value.is_null() && known.insert(value) {
            values.extend(key.value(value));
        }
        if values.len() > most_keys {
            return None;
        }
    }
    Some(if values.is_empty() { lit(false) } else { key.column.in_list(values, false) })
}

/// One key of a join.
struct Key {
    column: Expr,
    /// Its own type, where the join compares it as a wider integer.
    narrow: Option<DataType>,
}

impl Key {
    /// The column `expr` is, or widens.
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let (column, widened) = match expr.downcast_ref::<CastExpr>() {
            Some(cast) => (cast.expr().downcast_ref::<Column>()?, Some(cast.cast_type())),
            None => (expr.downcast_ref::<Column>()?, None),
        };
        let field = schema.fields().get(column.index())?;
        let narrow = match widened {
            None => None,
            Some(wide) if wide.is_integer() && field.data_type().is_integer() => Some(field.data_type().clone()),
            Some(_) => return None,
        };
        Some(Self { column: Expr::Column(datafusion::common::Column::from_name(field.name())), narrow })
    }

    /// The value as the column has it; `None` when it cannot have it.
    fn value(&self, value: &ScalarValue) -> Option<Expr> {
        let value = match &self.narrow {
            Some(narrow) => {
                let narrowed = value.cast_to(narrow).ok()?;
                // A cast that does not fit gives null.
                (!narrowed.is_null()).then_some(narrowed)?
            }
            None => value.clone(),
        };
        Some(Expr::Literal(value, None))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::col;
    use datafusion::physical_expr::expressions::{self, in_list};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![Field::new("k", DataType::Int32, true), Field::new("t", DataType::Utf8, true)])
    }

    fn physical(name: &str) -> Arc<dyn PhysicalExpr> {
        expressions::col(name, &schema()).unwrap()
    }

    fn wide() -> Arc<dyn PhysicalExpr> {
        Arc::new(CastExpr::new(physical("k"), DataType::Int64, None))
    }

    fn binary(left: Arc<dyn PhysicalExpr>, operator: Operator, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, operator, right))
    }

    fn listed(values: &[i64]) -> Arc<dyn PhysicalExpr> {
        in_list(wide(), values.iter().map(|value| expressions::lit(*value)).collect(), &false, &schema()).unwrap()
    }

    fn of(filter: &Arc<dyn PhysicalExpr>) -> Option<Expr> {
        condition(filter, &schema(), 5)
    }

    #[test]
    fn keys_are_told_as_the_column_has_them() {
        let range = binary(
            binary(wide(), Operator::GtEq, expressions::lit(1_i64)),
            Operator::And,
            binary(wide(), Operator::LtEq, expressions::lit(9_i64)),
        );
        assert_eq!(of(&range), Some(col("k").gt_eq(lit(1_i32)).and(col("k").lt_eq(lit(9_i32)))));
        let both = binary(range, Operator::And, listed(&[1, 9]));
        let keys = |values: &[i32]| Some(col("k").in_list(values.iter().map(|value| lit(*value)).collect(), false));
        assert_eq!(of(&both), keys(&[1, 9]), "a list says all that a range does");
        assert_eq!(of(&listed(&[1, 1 << 40])), keys(&[1]), "the column cannot hold the other");
        assert_eq!(of(&listed(&[1 << 40])), Some(lit(false)));
        assert_eq!(of(&listed(&[3, 1, 3, 3, 2, 1, 2])), keys(&[3, 1, 2]), "each key once, however many rows have it");
    }

    #[test]
    fn what_cannot_be_told_keeps_every_row() {
        let beyond = binary(wide(), Operator::LtEq, expressions::lit(1_i64 << 40));
        assert_eq!(of(&beyond), None);
        assert_eq!(of(&expressions::lit(true)), None);
        assert_eq!(of(&binary(listed(&[1]), Operator::Or, expressions::lit(true))), None, "one side may keep anything");
        assert_eq!(of(&listed(&[1, 2, 3, 4, 5, 6])), None, "too many");
        let negated = in_list(physical("k"), vec![expressions::lit(1_i32)], &true, &schema()).unwrap();
        assert_eq!(of(&negated), None);
        let float = binary(Arc::new(CastExpr::new(physical("k"), DataType::Float64, None)), Operator::Eq, expressions::lit(1.0));
        assert_eq!(of(&float), None, "a float holds no more than some integers");
    }

    #[test]
    fn the_keys_of_all_partitions_are_one_list() {
        let case = CaseExpr::try_new(
            Some(expressions::lit(1_u64)),
            vec![(expressions::lit(0_u64), listed(&[1, 2])), (expressions::lit(1_u64), listed(&[3]))],
            Some(expressions::lit(false)),
        );
        let case: Arc<dyn PhysicalExpr> = Arc::new(case.unwrap());
        assert_eq!(of(&case), Some(col("k").in_list(vec![lit(1_i32), lit(2_i32), lit(3_i32)], false)));
        let part = |values: &[i64]| {
            let (low, high) = (expressions::lit(values[0]), expressions::lit(values[values.len() - 1]));
            let range = binary(binary(wide(), Operator::GtEq, low), Operator::And, binary(wide(), Operator::LtEq, high));
            binary(range, Operator::And, listed(values))
        };
        let range = |low: i32, high: i32| col("k").gt_eq(lit(low)).and(col("k").lt_eq(lit(high)));
        let ranges = Some(range(1, 4).or(range(7, 9)));
        assert_eq!(of(&binary(part(&[1, 2, 4]), Operator::Or, part(&[7, 8, 9]))), ranges, "one list of all would be too long");
        let nulls: Arc<dyn PhysicalExpr> = Arc::new(IsNullExpr::new(physical("t")));
        assert_eq!(of(&binary(expressions::lit(false), Operator::Or, nulls)), Some(col("t").is_null()));
    }
}
