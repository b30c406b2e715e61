//! Numbers meet and convert as in PostgreSQL, where DataFusion would do otherwise.
//!
//! - `double precision` beside `numeric` makes `double precision`: DataFusion would squeeze the float into a decimal and fail on
//!   large ones and infinity.
//! - A cast to an integer rounds, halves of a `numeric` away from zero and of a float to even; DataFusion would cut them off.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::Float64Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, Volatility, cast, create_udf,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::utils::NamePreserver;

/// Rewrites expressions before DataFusion's own coercion sees them.
#[derive(Debug)]
pub(crate) struct NumericCoercion;

impl AnalyzerRule for NumericCoercion {
    fn name(&self) -> &'static str {
        "numeric_coercion"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(node).data()
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| expression(expr, &schema))?.update_data(|expr| name.restore(expr)))
    })?;
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if meets(op) => {
            // A type that cannot be told yet is left to DataFusion, which says so better.
            let (Ok(one), Ok(other)) = (left.get_type(schema), right.get_type(schema)) else {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            };
            let (left, right) = match (is_float(&one), is_float(&other)) {
                (true, false) if other.is_decimal() => (left, Box::new(cast(*right, DataType::Float64))),
                (false, true) if one.is_decimal() => (Box::new(cast(*left, DataType::Float64)), right),
                _ => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            };
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        Expr::Between(mut between) => {
            let float = [&between.expr, &between.low, &between.high].into_iter().any(|e| e.get_type(schema).is_ok_and(|t| is_float(&t)));
            if float {
                for side in [&mut between.expr, &mut between.low, &mut between.high] {
                    floated(side, schema);
                }
            }
            Ok(transformed(Expr::Between(between), float))
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let float = std::iter::once(expr.as_ref()).chain(&list).any(|e| e.get_type(schema).is_ok_and(|t| is_float(&t)));
            if float {
                floated(&mut expr, schema);
                list.iter_mut().for_each(|item| floated(item, schema));
            }
            Ok(transformed(Expr::InList(InList { expr, list, negated }), float))
        }
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => {
            let rounded = match expr.get_type(schema) {
                Ok(from) if from.is_decimal() => round().call(vec![*expr]),
                Ok(from) if is_float(&from) => ROUND_TO_EVEN.call(vec![cast(*expr, DataType::Float64)]),
                _ => return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
            };
            Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded), field })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Operators whose operands become one type.
fn meets(op: Operator) -> bool {
    use Operator::{Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Plus | Minus | Multiply | Divide | Modulo)
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// Casts `expr` to a float if it is a decimal.
fn floated(expr: &mut Expr, schema: &DFSchema) {
    if expr.get_type(schema).is_ok_and(|data_type| data_type.is_decimal()) {
        *expr = cast(std::mem::take(expr), DataType::Float64);
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
