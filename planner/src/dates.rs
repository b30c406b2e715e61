//! A date beside a moment that is known is compared as a date.
//!
//! `date '1994-01-01' + interval '1 year'` is a timestamp, and a column of dates beside it becomes one of timestamps. Sources and files
//! find a range of dates by what they know of the column, and a range of something made of it by reading all of it. And a timestamp
//! cannot be made of every date.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Cast};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::utils::NamePreserver;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

/// Wants constants to be folded, and filters to be where they were written.
#[derive(Debug)]
pub(crate) struct DatesBesideMoments;

impl OptimizerRule for DatesBesideMoments {
    fn name(&self) -> &str {
        "dates_beside_moments"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| {
                Ok(match as_dates(&expr, &schema) {
                    Some(compared) => Transformed::yes(compared),
                    None => Transformed::no(expr),
                })
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    }
}

/// The same comparison between dates, if it is one of a date with a moment.
fn as_dates(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let (side, op, moment) = match (left.as_ref(), right.as_ref()) {
        (side, Expr::Literal(moment, _)) => (side, *op, moment),
        (Expr::Literal(moment, _), side) => (side, op.swap()?, moment),
        _ => return None,
    };
    let date = date_below(side, schema)?;
    let (day, is_midnight) = day_of(moment)?;
    let op = match op {
        // No day begins at any other time.
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom if is_midnight => op,
        Operator::LtEq | Operator::Gt => op,
        Operator::Lt if is_midnight => Operator::Lt,
        Operator::Lt => Operator::LtEq,
        Operator::GtEq if is_midnight => Operator::GtEq,
        Operator::GtEq => Operator::Gt,
        _ => return None,
    };
    Some(binary_expr(date.clone(), op, lit(ScalarValue::Date32(Some(day)))))
}

/// The date that was made a timestamp.
fn date_below<'a>(expr: &'a Expr, schema: &DFSchema) -> Option<&'a Expr> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return None };
    if !matches!(field.data_type(), DataType::Timestamp(_, None)) {
        return None;
    }
    match inner.get_type(schema) {
        Ok(DataType::Date32) => Some(inner),
        _ => date_below(inner, schema),
    }
}

/// The day a moment is in, and whether the day begins with it. Infinity is in none.
fn day_of(moment: &ScalarValue) -> Option<(i32, bool)> {
    const SECONDS: i64 = 86_400;
    let (value, per_day) = match moment {
        ScalarValue::TimestampSecond(Some(value), None) => (*value, SECONDS),
        ScalarValue::TimestampMillisecond(Some(value), None) => (*value, SECONDS * 1_000),
        ScalarValue::TimestampMicrosecond(Some(value), None) => (*value, SECONDS * 1_000_000),
        ScalarValue::TimestampNanosecond(Some(value), None) => (*value, SECONDS * 1_000_000_000),
        _ => return None,
    };
    if matches!(value, i64::MIN | i64::MAX) {
        return None;
    }
    // The largest and the smallest date are infinite too.
    let day = i32::try_from(value.div_euclid(per_day)).ok().filter(|day| !matches!(*day, i32::MIN | i32::MAX))?;
    Some((day, value.rem_euclid(per_day) == 0))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::logical_expr::{cast, col};

    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn a_comparison_with_a_moment_is_one_with_its_day() {
        let schema = Schema::new(vec![Field::new("d", DataType::Date32, true), Field::new("t", DataType::Int64, true)]);
        let schema = DFSchema::try_from(schema).unwrap();
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let date = || cast(col("d"), micros.clone());
        let at = |value| lit(ScalarValue::TimestampMicrosecond(Some(value), None));
        let shown = |expr: Expr| as_dates(&expr, &schema).map(|expr| expr.to_string());
        let day = |op: &str, day: &str| Some(format!("d {op} Date32(\"{day}\")"));
        assert_eq!(shown(date().lt(at(DAY))), day("<", "1970-01-02"));
        assert_eq!(shown(date().lt(at(DAY + 1))), day("<=", "1970-01-02"));
        assert_eq!(shown(date().lt_eq(at(DAY + 1))), day("<=", "1970-01-02"));
        assert_eq!(shown(date().gt(at(-1))), day(">", "1969-12-31"));
        assert_eq!(shown(date().gt_eq(at(-DAY))), day(">=", "1969-12-31"));
        assert_eq!(shown(date().gt_eq(at(-1))), day(">", "1969-12-31"));
        assert_eq!(shown(at(DAY).gt(date())), day("<", "1970-01-02"));
        assert_eq!(shown(date().eq(at(DAY))), day("=", "1970-01-02"));
        assert_eq!(shown(date().eq(at(DAY + 1))), None);
        assert_eq!(shown(date().not_eq(at(0))), day("!=", "1970-01-01"));
        assert_eq!(shown(date().lt(at(i64::MAX))), None);
        let fine = lit(ScalarValue::TimestampNanosecond(Some(DAY * 1_000 + 1), None));
        assert_eq!(shown(cast(date(), nanos).lt(fine)), day("<=", "1970-01-02"));
        assert_eq!(shown(cast(col("t"), micros.clone()).lt(at(0))), None);
        assert_eq!(shown(col("d").lt(col("t"))), None);
    }
}
