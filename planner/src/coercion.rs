//! Values meet and convert as in PostgreSQL, where DataFusion would do otherwise.
//!
//! - What is compared, and what stands for one another, becomes one type, see `meeting`.
//! - A cast to an integer rounds, halves of a `numeric` away from zero and of a float to even; DataFusion would cut them off.
//! - A sum of `bigint` is `numeric`; DataFusion's would wrap around.
//! - A date and an interval make a timestamp; DataFusion would drop the hours.
//! - Intervals compare by their length, a month being 30 days and a day 24 hours; DataFusion would compare months first.
//! - A number that is rounded to some digits has these; DataFusion would forget it where it plans.
//! - Regular expressions are read as PostgreSQL reads them, see `regular_expressions`.
//! - A window may be ordered by `bytea`.
//! - A text beside a `bytea` or a timestamp is read as one, see `text_literals`.
//! - A text beside a `uuid` is read as one; it is text to DataFusion, which would tell its spellings apart.
//! - `jsonb` is compared as a document and `json` not at all, see `json::comparison`.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::{Cast, InList, WindowFunctionParams};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, Volatility, WindowFrame, WindowFrameBound,
    WindowFrameUnits, cast, create_udf,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use causeway_providers::Presentation;

use crate::json::comparison;
use crate::meeting::{by_equality, is_float, is_of_one_type, meet, meet_in_case, meet_in_comparison, meet_in_rows, meet_in_subquery};
use crate::named::map_named;
use crate::outer_types::refreshed;
use crate::sliding::adds_anew;
use crate::zones::Zone;
use crate::{regular_expressions, text_literals};

/// Rewrites expressions before DataFusion's own coercion sees them.
#[derive(Debug)]
pub(crate) struct Coercion;

impl AnalyzerRule for Coercion {
    fn name(&self) -> &'static str {
        "postgres_coercion"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = Zone::of(config);
        let refreshed = refreshed(coerced(plan, &zone)?)?;
        // What is compared with an outer column of another type is looked at again.
        if refreshed.transformed { coerced(refreshed.data, &zone) } else { Ok(refreshed.data) }
    }
}

fn coerced(plan: LogicalPlan, zone: &Zone) -> Result<LogicalPlan> {
    let mut is_retyped = false;
    plan.transform_up_with_subqueries(|plan| {
        // What is above a node of other types than it was planned with has others too.
        let plan = if is_retyped && !plan.inputs().is_empty() { plan.recompute_schema()? } else { plan };
        let (plan, has_other_types) = meet_in_rows(plan)?;
        let plan = node(plan, zone)?;
        is_retyped |= has_other_types || plan.transformed;
        Ok(plan)
    })
    .data()
}

fn node(plan: LogicalPlan, zone: &Zone) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let plan = map_named(plan, |expr| expr.transform_up(|expr| in_zone(expr, &schema, zone)))?;
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

fn in_zone(expr: Expr, schema: &DFSchema, zone: &Zone) -> Result<Transformed<Expr>> {
    let here = zone.applied(expr, schema)?;
    let read = expression(here.data, schema)?;
    Ok(transformed(read.data, here.transformed || read.transformed))
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let expr = match documents(expr, schema)? {
        Ok(compared) => return Ok(Transformed::yes(compared)),
        Err(other) => other,
    };
    let expr = match uuids(expr, schema)? {
        read if read.transformed => return Ok(read),
        other => other.data,
    };
    match expr {
        Expr::BinaryExpr(mut binary) if !meets(binary.op) => {
            let changed = regular_expressions::of_operator(&mut binary);
            Ok(transformed(Expr::BinaryExpr(binary), changed))
        }
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) => {
            // A type that cannot be told yet is left to DataFusion, which says so better.
            let (Ok(one), Ok(other)) = (left.get_type(schema), right.get_type(schema)) else {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            };
            if let (Operator::Plus | Operator::Minus, DataType::Date32, DataType::Interval(_)) = (op, &one, &other) {
                let left = Box::new(cast(*left, TIMESTAMP));
                return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
            if let (Operator::Plus, DataType::Interval(_), DataType::Date32) = (op, &one, &other) {
                let right = Box::new(cast(*right, TIMESTAMP));
                return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
            if compares(op) && (is_interval(&one) || is_interval(&other)) {
                let (left, right) = (Box::new(span(*left)), Box::new(span(*right)));
                return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
            let mut changed = meet([left.as_mut(), right.as_mut()], schema);
            if compares(op) && !changed {
                let read = (literal_as(*left, &other)?, literal_as(*right, &one)?);
                changed = read.0.transformed || read.1.transformed;
                (left, right) = (Box::new(read.0.data), Box::new(read.1.data));
            }
            Ok(transformed(Expr::BinaryExpr(BinaryExpr { left, op, right }), changed))
        }
        Expr::Between(mut between) => {
            let mut changed = meet([between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema);
            let own = between.expr.get_type(schema).unwrap_or(DataType::Null);
            if is_interval(&own) {
                for side in [&mut between.expr, &mut between.low, &mut between.high] {
                    **side = span(std::mem::take(side.as_mut()));
                }
                return Ok(Transformed::yes(Expr::Between(between)));
            }
            for side in [&mut between.low, &mut between.high] {
                let read = literal_as(std::mem::take(side.as_mut()), &own)?;
                changed |= read.transformed;
                **side = read.data;
            }
            Ok(transformed(Expr::Between(between), changed))
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut changed = meet(std::iter::once(expr.as_mut()).chain(&mut list), schema);
            let own = expr.get_type(schema).unwrap_or(DataType::Null);
            if is_interval(&own) {
                let list = list.into_iter().map(span).collect();
                return Ok(Transformed::yes(Expr::InList(InList { expr: Box::new(span(*expr)), list, negated })));
            }
            for item in &mut list {
                let read = literal_as(std::mem::take(item), &own)?;
                changed |= read.transformed;
                *item = read.data;
            }
            let known: Vec<_> = list.iter().filter(|item| !is_null(item)).cloned().collect();
            if known.len() < list.len() {
                return Ok(Transformed::yes(beside_null(expr, known, negated)));
            }
            Ok(transformed(Expr::InList(InList { expr, list, negated }), changed))
        }
        Expr::Cast(Cast { expr, field }) if matches!(*expr, Expr::Literal(..)) && !field.data_type().is_integer() => {
            let read = literal_as(*expr, field.data_type())?;
            Ok(transformed(Expr::Cast(Cast { expr: Box::new(read.data), field }), read.transformed))
        }
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => {
            let rounded = match expr.get_type(schema) {
                Ok(from) if from.is_decimal() => round().call(vec![*expr]),
                Ok(from) if is_float(&from) => ROUND_TO_EVEN.call(vec![cast(*expr, DataType::Float64)]),
                _ => return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
            };
            Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded), field })))
        }
        Expr::AggregateFunction(mut function) if function.func.name() == "sum" => {
            let changed = widened(&mut function.params.args, schema);
            Ok(transformed(Expr::AggregateFunction(function), changed))
        }
        Expr::WindowFunction(mut function) => {
            let widened = function.fun.name() == "sum" && widened(&mut function.params.args, schema);
            let counted = counted(&mut function.params, schema);
            let anew = adds_anew(&mut function, schema);
            Ok(transformed(Expr::WindowFunction(function), widened || counted || anew))
        }
        Expr::ScalarFunction(mut function) if function.name() == "round" => {
            let changed = function.args.get_mut(1).is_some_and(digits);
            Ok(transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::ScalarFunction(mut function) if is_of_one_type(function.name()) => {
            let changed = meet(&mut function.args, schema);
            Ok(compared_by_equality(transformed(Expr::ScalarFunction(function), changed), schema))
        }
        Expr::Case(mut case) => {
            let changed = meet_in_case(&mut case, schema);
            Ok(compared_by_equality(transformed(Expr::Case(case), changed), schema))
        }
        Expr::InSubquery(mut inside) => {
            let changed = meet_in_subquery(&mut inside, schema)?;
            Ok(transformed(Expr::InSubquery(inside), changed))
        }
        Expr::SetComparison(mut comparison) => {
            let changed = meet_in_comparison(&mut comparison, schema)?;
            Ok(transformed(Expr::SetComparison(comparison), changed))
        }
        Expr::ScalarFunction(mut function) => {
            let changed = regular_expressions::of_function(&mut function);
            Ok(transformed(Expr::ScalarFunction(function), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn compared_by_equality(expr: Transformed<Expr>, schema: &DFSchema) -> Transformed<Expr> {
    match by_equality(&expr.data, schema) {
        Some(compared) => Transformed::yes(compared),
        None => expr,
    }
}

/// A comparison of documents; gives any other expression back.
fn documents(expr: Expr, schema: &DFSchema) -> Result<Result<Expr, Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(binary) => comparison::binary(binary, schema)?.map_err(Expr::BinaryExpr),
        Expr::InList(list) => comparison::in_list(list, schema)?.map_err(Expr::InList),
        Expr::Between(between) => {
            comparison::between([&between.expr, &between.low, &between.high], schema)?;
            Err(Expr::Between(between))
        }
        other => Err(other),
    })
}

/// A comparison of a `uuid` with literals, which become what they are as one.
fn uuids(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_uuid = |expr: &Expr| expr.to_field(schema).is_ok_and(|(_, field)| Presentation::of(&field) == Presentation::Uuid);
    let read = |expr: &mut Expr| -> Result<bool> {
        let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr else { return Ok(false) };
        let canonical = text_literals::uuid(text)?;
        let changed = *text != canonical;
        *text = canonical;
        Ok(changed)
    };
    let mut changed = false;
    let expr = match expr {
        Expr::BinaryExpr(mut binary) if compares(binary.op) => {
            if is_uuid(&binary.left) {
                changed = read(&mut binary.right)?;
            } else if is_uuid(&binary.right) {
                changed = read(&mut binary.left)?;
            }
            Expr::BinaryExpr(binary)
        }
        Expr::InList(mut list) if is_uuid(&list.expr) => {
            for item in &mut list.list {
                changed |= read(item)?;
            }
            Expr::InList(list)
        }
        Expr::Between(mut between) if is_uuid(&between.expr) => {
            changed = read(&mut between.low)? | read(&mut between.high)?;
            Expr::Between(between)
        }
        other => other,
    };
    Ok(transformed(expr, changed))
}

/// Makes a sum of `bigint` one of `numeric`, which does not overflow. Whether there was one.
fn widened(arguments: &mut [Expr], schema: &DFSchema) -> bool {
    let [argument] = arguments else { return false };
    let long = matches!(argument.get_type(schema), Ok(DataType::Int64));
    if long {
        // Every `bigint` has 19 digits at most.
        *argument = cast(std::mem::take(argument), DataType::Decimal128(19, 0));
    }
    long
}

/// Makes a frame of values that are ordered by bytes one of groups of equal ones, which DataFusion counts: it knows no ranges of them.
/// Only offsets tell the two apart. Whether there was one.
fn counted(params: &mut WindowFunctionParams, schema: &DFSchema) -> bool {
    let frame = &params.window_frame;
    let offset = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => !offset.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let bytes = params.order_by.first().is_some_and(|sort| matches!(sort.expr.get_type(schema), Ok(DataType::Binary)));
    let groups = bytes && frame.units == WindowFrameUnits::Range && !offset(&frame.start_bound) && !offset(&frame.end_bound);
    if groups {
        params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, frame.start_bound.clone(), frame.end_bound.clone());
    }
    groups
}

/// Makes how many digits `round` keeps a literal of the type it wants. DataFusion tells the scale of what it rounds by a literal, and
/// by no conversion of one. Whether it was another.
fn digits(kept: &mut Expr) -> bool {
    let (literal, sign) = match &*kept {
        Expr::Negative(inner) => (inner.as_ref(), -1),
        other => (other, 1),
    };
    let number = match literal {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number,
        Expr::Literal(ScalarValue::Int32(Some(number)), _) if sign < 0 => i64::from(*number),
        _ => return false,
    };
    let Some(number) = number.checked_mul(sign).and_then(|number| i32::try_from(number).ok()) else { return false };
    *kept = Expr::Literal(ScalarValue::Int32(Some(number)), None);
    true
}

/// What a date becomes beside an interval.
const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// A text literal as the type it meets, if we read that type's text ourselves.
fn literal_as(expr: Expr, data_type: &DataType) -> Result<Transformed<Expr>> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &expr else { return Ok(Transformed::no(expr)) };
    Ok(match text_literals::read(text, data_type)? {
        Some(value) => Transformed::yes(Expr::Literal(value, None)),
        None => Transformed::no(expr),
    })
}

fn is_null(item: &Expr) -> bool {
    match item {
        Expr::Cast(Cast { expr, .. }) => is_null(expr),
        other => matches!(other, Expr::Literal(value, _) if value.is_null()),
    }
}

/// `IN` over a list with NULL in it, which DataFusion loses where it makes one list of two.
fn beside_null(expr: Box<Expr>, list: Vec<Expr>, negated: bool) -> Expr {
    let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
    if list.is_empty() {
        return unknown;
    }
    let known = Expr::InList(InList { expr, list, negated });
    if negated { known.and(unknown) } else { known.or(unknown) }
}

/// Operators whose operands become one type.
fn meets(op: Operator) -> bool {
    use Operator::{Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Plus | Minus | Multiply | Divide | Modulo)
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// The length of an interval, as a number that compares. One that is a length already is left as it is.
fn span(expr: Expr) -> Expr {
    match &expr {
        Expr::ScalarFunction(function) if function.name() == SPAN.name() => expr,
        _ => SPAN.call(vec![cast(expr, DataType::Interval(IntervalUnit::MonthDayNano))]),
    }
}

fn transformed(expr: Expr, changed: bool) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// IEEE 754's `roundTiesToEven`, as PostgreSQL rounds a float that becomes an integer.
static ROUND_TO_EVEN: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let evaluate = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let [ColumnarValue::Array(_) | ColumnarValue::Scalar(_)] = arguments else {
            return datafusion::common::internal_err!("rounding takes one number");
        };
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let numbers = datafusion::common::cast::as_float64_array(&arrays[0])?;
        let rounded: Float64Array = numbers.unary(f64::round_ties_even);
        Ok(ColumnarValue::Array(Arc::new(rounded)))
    };
    create_udf("round_to_even", vec![DataType::Float64], DataType::Float64, Volatility::Immutable, Arc::new(evaluate))
});

/// An interval's nanoseconds.
static SPAN: LazyLock<ScalarUDF> = LazyLock::new(|| {
    const DAY: i128 = 86_400_000_000_000;
    let evaluate = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let [intervals] = arrays.as_slice() else {
            return datafusion::common::internal_err!("a length is one interval's");
        };
        let lengths: Decimal128Array = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .unary(|interval| (i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY + i128::from(interval.nanoseconds));
        Ok(ColumnarValue::Array(Arc::new(lengths.with_precision_and_scale(38, 0)?)))
    };
    let interval = vec![DataType::Interval(IntervalUnit::MonthDayNano)];
    create_udf("interval_span", interval, DataType::Decimal128(38, 0), Volatility::Immutable, Arc::new(evaluate))
});
