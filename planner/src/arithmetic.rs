//! Integer arithmetic that fails where PostgreSQL's does.
//!
//! DataFusion's wraps around, also where it folds constants. So each operation that may overflow becomes a function of ours before
//! anything is optimised. To the plan it has the operation's own name, so that columns keep theirs. Sources are asked for the plain
//! operation, if they check it themselves.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, Cast, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::utils::NamePreserver;
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;

use crate::error::{Error, ErrorKind, sql_type_names};
use crate::federation::never_fails;
use crate::maybe_null;

/// Checks arithmetic, once types are decided.
#[derive(Debug)]
pub(crate) struct Checking;

impl AnalyzerRule for Checking {
    fn name(&self) -> &'static str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        checked(plan)
    }
}

/// The plan with every operation that may overflow checked.
///
/// Subqueries that stand for a value are covered by the way, see `maybe_null`.
pub(crate) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_covered = false;
    plan.transform_up_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        // The name of an aggregate has the text of its filter in it, that of a window function its order, and that of a CASE all of it.
        let is_named = matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) || has_case(&node)?;
        let names = is_named.then(|| NamePreserver::new(&node));
        let node = node.map_expressions(|expr| {
            let name = names.as_ref().map(|names| names.save(&expr));
            let checked = expr.transform_up(|expr| {
                let covered = maybe_null::cover(expr);
                is_covered |= covered.transformed;
                if covered.transformed { Ok(covered) } else { Ok(check(covered.data, &schema)) }
            })?;
            Ok(match name {
                Some(name) => checked.update_data(|expr| name.restore(expr)),
                None => checked,
            })
        })?;
        // What is made of something that may be NULL may be as well.
        if is_covered && !node.data.inputs().is_empty() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })
    .data()
}

fn has_case(node: &LogicalPlan) -> Result<bool> {
    let mut is_found = false;
    node.apply_expressions(|expr| {
        is_found = expr.exists(|expr| Ok(matches!(expr, Expr::Case(_))))?;
        Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(is_found)
}

/// The same for one expression.
pub(crate) fn plain_expr(expr: Expr) -> Result<Expr> {
    expr.transform_up(|expr| Ok(uncheck(expr))).data()
}

/// The plan with plain operations, as it is shown to sources.
pub(crate) fn plain(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| Ok(expr.transform_up(|expr| Ok(uncheck(expr)))?.update_data(nameless)))
    })
    .data()
}

/// An expression without a name that it has anyhow.
fn nameless(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias)
            if matches!(*alias.expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::Case(_))
                && alias.relation.is_none()
                && alias.expr.schema_name().to_string() == alias.name =>
        {
            *alias.expr
        }
        other => other,
    }
}

fn check(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    if let Expr::Case(case) = &expr
        && let Some(guarded) = guarded_case(case, schema)
    {
        return Transformed::yes(guarded);
    }
    let function = match &expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.get_type(schema), right.get_type(schema)) {
            (Ok(one), Ok(other)) if one == other && one.is_signed_integer() => Checked::of(*op),
            (Ok(DataType::Date32), Ok(DataType::Date32)) if *op == Operator::Minus => Some(&*DAYS),
            _ => None,
        },
        Expr::Negative(inner) if inner.get_type(schema).is_ok_and(|data_type| data_type.is_signed_integer()) => Some(&*NEGATE),
        _ => None,
    };
    match (function, expr) {
        (Some(function), Expr::BinaryExpr(BinaryExpr { left, right, .. })) => {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(function), args: vec![*left, *right] }))
        }
        (Some(function), Expr::Negative(inner)) => {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(function), args: vec![*inner] }))
        }
        (_, expr) => Transformed::no(expr),
    }
}

/// What the truth values of a guarded `CASE` are in between; nobody who speaks PostgreSQL's SQL has a value of this type.
const TRUTH: DataType = DataType::Int8;

/// A `CASE` that gives truth values, of which some cannot be told of every row, so that it is none while it is optimised: DataFusion makes
/// `AND` and `OR` of one, which tell all of them of all rows.
fn guarded_case(case: &Case, schema: &DFSchema) -> Option<Expr> {
    let results = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let is_truth =
        results().all(|result| result.get_type(schema).is_ok_and(|data_type| matches!(data_type, DataType::Boolean | DataType::Null)));
    if !is_truth || results().all(|result| never_fails(result, schema)) {
        return None;
    }
    let kept = |result: &Expr| Box::new(cast(result.clone(), TRUTH));
    let when_then = case.when_then_expr.iter().map(|(when, then)| (when.clone(), kept(then))).collect();
    let otherwise = case.else_expr.as_deref().map(kept);
    Some(cast(Expr::Case(Case::new(case.expr.clone(), when_then, otherwise)), DataType::Boolean))
}

/// The `CASE` that was guarded, if `expr` is one.
fn unguarded_case(expr: &Expr) -> Option<Expr> {
    let Expr::Cast(Cast { expr, field }) = expr else { return None };
    let Expr::Case(case) = expr.as_ref() else { return None };
    let kept = |result: &Expr| {
        let truth = match result {
            Expr::Cast(Cast { expr, field }) if *field.data_type() == TRUTH => expr.as_ref().clone(),
            Expr::Literal(ScalarValue::Int8(value), _) => Expr::Literal(ScalarValue::Boolean(value.map(|value| value != 0)), None),
            _ => return None,
        };
        Some(Box::new(truth))
    };
    let when_then = case.when_then_expr.iter().map(|(when, then)| Some((when.clone(), kept(then)?))).collect::<Option<_>>()?;
    let otherwise = match &case.else_expr {
        Some(result) => Some(kept(result)?),
        None => None,
    };
    (*field.data_type() == DataType::Boolean).then(|| Expr::Case(Case::new(case.expr.clone(), when_then, otherwise)))
}

fn uncheck(expr: Expr) -> Transformed<Expr> {
    if let Some(case) = unguarded_case(&expr) {
        return Transformed::yes(case);
    }
    let expr = match maybe_null::uncover(expr) {
        uncovered if uncovered.transformed => return uncovered,
        other => other.data,
    };
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else { return Transformed::no(expr) };
    let Some(checked) = func.inner().downcast_ref::<Checked>() else { return Transformed::no(expr) };
    checked.plain(args).map_or_else(|| Transformed::no(expr), Transformed::yes)
}

static ADD: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operation::Add));
static SUBTRACT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operation::Subtract));
static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operation::Multiply));
static NEGATE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operation::Negate));
static DAYS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operation::Days));

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
    /// From one date to another. It cannot overflow, but what DataFusion believes of its range is a duration, which is compared with no
    /// number.
    Days,
}

/// One checked operation on two values of one type, or on one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn function(operation: Operation) -> Arc<ScalarUDF> {
        let signature = Signature::any(if operation == Operation::Negate { 1 } else { 2 }, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { operation, signature }))
    }

    /// The checked form of an operator; `None` where DataFusion's own does.
    fn of(operator: Operator) -> Option<&'static Arc<ScalarUDF>> {
        match operator {
            Operator::Plus => Some(&ADD),
            Operator::Minus => Some(&SUBTRACT),
            Operator::Multiply => Some(&MULTIPLY),
            _ => None,
        }
    }

    fn plain(&self, arguments: &[Expr]) -> Option<Expr> {
        let op = match self.operation {
            Operation::Add => Operator::Plus,
            Operation::Subtract | Operation::Days => Operator::Minus,
            Operation::Multiply => Operator::Multiply,
            Operation::Negate => {
                let [only] = arguments else { return None };
                return Some(Expr::Negative(Box::new(only.clone())));
            }
        };
        let [left, right] = arguments else { return None };
        Some(Expr::BinaryExpr(BinaryExpr { left: Box::new(left.clone()), op, right: Box::new(right.clone()) }))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
            Operation::Days => "days_between",
        }
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match self.plain(arguments) {
            Some(plain) => Ok(plain.schema_name().to_string()),
            None => internal_err!("{} has another number of arguments", self.name()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, ..] if self.operation == Operation::Days => Ok(DataType::Int64),
            [first, ..] => Ok(first.clone()),
            [] => internal_err!("{} has no arguments", self.name()),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = arguments.return_field.data_type();
        let kernel = match self.operation {
            Operation::Add => numeric::add,
            Operation::Subtract | Operation::Negate | Operation::Days => numeric::sub,
            Operation::Multiply => numeric::mul,
        };
        let done = match (self.operation, arguments.args.as_slice()) {
            (Operation::Negate, [only]) => apply(&ColumnarValue::Scalar(ScalarValue::new_zero(data_type)?), only, kernel),
            (Operation::Days, [from, to]) => {
                let [from, to] = [from, to].map(|date| date.cast_to(&DataType::Int32, None)?.cast_to(data_type, None));
                apply(&from?, &to?, kernel)
            }
            (_, [left, right]) => apply(left, right, kernel),
            _ => return internal_err!("{} has another number of arguments", self.name()),
        };
        done.map_err(|error| match &error {
            DataFusionError::ArrowError(cause, _) if matches!(cause.as_ref(), ArrowError::ArithmeticOverflow(_)) => {
                let name = sql_type_names(&data_type.to_string());
                DataFusionError::External(Box::new(Error::new(ErrorKind::OutOfRange, format!("{name} out of range"))))
            }
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn schema() -> DFSchema {
        let fields = vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", DataType::Int32, false),
            Field::new("f", DataType::Float64, true),
            Field::new("d", DataType::Date32, true),
        ];
        DFSchema::try_from(datafusion::arrow::datatypes::Schema::new(fields)).unwrap()
    }

    #[test]
    fn a_checked_operation_is_named_typed_and_undone_as_the_plain_one() {
        let schema = schema();
        for expr in [col("a") + col("b"), col("b") - lit(1_i32), col("a") * col("a"), -col("b"), col("d") - col("d")] {
            let checked = check(expr.clone(), &schema);
            assert!(checked.transformed, "{expr}");
            assert_eq!(checked.data.schema_name().to_string(), expr.schema_name().to_string());
            assert_eq!(checked.data.get_type(&schema).unwrap(), expr.get_type(&schema).unwrap());
            assert_eq!(checked.data.nullable(&schema).unwrap(), expr.nullable(&schema).unwrap());
            assert_eq!(uncheck(checked.data).data, expr);
        }
        for expr in [col("f") + col("f"), col("a") / col("b"), col("a").eq(col("b")), -col("f")] {
            assert!(!check(expr.clone(), &schema).transformed, "{expr}");
        }
    }
}
