//! Values of different types that stand for one another become one type, as in PostgreSQL: those that are compared, and those of which one
//! is the answer, as of `coalesce`, `CASE`, an array, or a column of `UNION` and `VALUES`.
//!
//! - `double precision` beside `numeric` makes `double precision`. DataFusion would squeeze the float into a decimal of 15 digits behind the
//!   point, which fails for large ones and infinity and is zero for small ones.
//! - `real` beside an `integer` makes `double precision` too; DataFusion would make `real`, which has not all integers.
//! - A text that is written down, or an undeclared parameter, becomes what the other sides of `UNION` are. Other texts are refused there;
//!   DataFusion would make everything a text.
//! - A date beside a timestamp becomes one of the same precision. DataFusion would make both nanoseconds, which hold three centuries.
//!
//! What is said here comes before DataFusion's own coercion, which then finds it decided.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Case, Cast, InSubquery, Placeholder, SetComparison};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, Union, Values, cast};
use datafusion::scalar::ScalarValue;

use crate::error::{Error, ErrorKind, sql_type_names};

/// Functions that give one of their arguments, compare them, or put them beside one another.
const OF_ONE_TYPE: [&str; 8] = ["coalesce", "greatest", "least", "nullif", "nvl", "ifnull", "make_array", "array"];

/// Whether all arguments of the function called `name` become one type.
pub(crate) fn is_of_one_type(name: &str) -> bool {
    OF_ONE_TYPE.contains(&name)
}

/// The type that those of other types become first, where DataFusion would choose another.
fn meeting(types: &[DataType]) -> Option<DataType> {
    let is_mixed = types.iter().any(is_float) && types.iter().any(DataType::is_decimal);
    if is_mixed || (types.contains(&DataType::Float32) && types.iter().any(is_wide)) {
        return Some(DataType::Float64);
    }
    // An instant beside a moment of no zone is what both become.
    let moment =
        types.iter().filter(|data_type| is_moment(data_type)).max_by_key(|data_type| matches!(data_type, DataType::Timestamp(_, Some(_))));
    moment.filter(|_| types.contains(&DataType::Date32)).cloned()
}

/// Whether a value of this type becomes one of the type met.
fn becomes(data_type: &DataType, met: &DataType) -> bool {
    if is_float(met) { data_type.is_decimal() || is_wide(data_type) } else { *data_type == DataType::Date32 }
}

/// Whether a `real` has not all integers of this type.
fn is_wide(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int32 | DataType::Int64)
}

/// Makes `sides` one type. Whether any was another.
pub(crate) fn meet<'a>(sides: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let sides: Vec<_> = sides.into_iter().map(|side| (side.get_type(schema).unwrap_or(DataType::Null), side)).collect();
    let types: Vec<_> = sides.iter().map(|(data_type, _)| data_type.clone()).collect();
    let Some(met) = meeting(&types) else { return false };
    for (data_type, side) in sides {
        if becomes(&data_type, &met) {
            *side = cast(std::mem::take(side), met.clone());
        }
    }
    true
}

/// What a `CASE` compares becomes one type, and what it gives.
pub(crate) fn meet_in_case(case: &mut Case, schema: &DFSchema) -> bool {
    let compares = case.expr.is_some() && {
        let subject = case.expr.as_deref_mut().into_iter();
        meet(subject.chain(case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut())), schema)
    };
    let otherwise = case.else_expr.as_deref_mut().into_iter();
    meet(case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut()).chain(otherwise), schema) | compares
}

/// What has more parts is not written twice: of one within another that would double each time.
const MOST_PARTS: usize = 32;

fn is_small(expr: &Expr) -> bool {
    let mut parts = 0;
    let walked = expr.apply(|_| {
        parts += 1;
        Ok(if parts > MOST_PARTS { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && parts <= MOST_PARTS
}

/// A comparison within a function or `CASE` as `=`, for which the two zeros of a float are one; `None` for anything else.
pub(crate) fn by_equality(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let is_of_float =
        |expr: &Expr| is_small(expr) && expr.get_type(schema).is_ok_and(|data_type| is_float(&data_type)) && !expr.is_volatile();
    match expr {
        Expr::ScalarFunction(function) if function.name() == "nullif" => {
            let [value, other] = function.args.as_slice() else { return None };
            let when = Box::new(value.clone().eq(other.clone()));
            let null = Expr::Literal(ScalarValue::Float64(None), None);
            let kept = Some(Box::new(value.clone()));
            is_of_float(value).then(|| Expr::Case(Case::new(None, vec![(when, Box::new(null))], kept)))
        }
        Expr::Case(Case { expr: Some(subject), when_then_expr, else_expr }) if is_of_float(subject) => {
            let equal =
                |(when, then): &(Box<Expr>, Box<Expr>)| (Box::new(subject.as_ref().clone().eq(when.as_ref().clone())), then.clone());
            Some(Expr::Case(Case::new(None, when_then_expr.iter().map(equal).collect(), else_expr.clone())))
        }
        _ => None,
    }
}

/// What `IN` seeks and what it seeks it in become one type.
pub(crate) fn meet_in_subquery(inside: &mut InSubquery, schema: &DFSchema) -> Result<bool> {
    sought(&mut inside.expr, &mut inside.subquery, schema)
}

/// What `= ANY` or `= ALL` compares becomes one type.
pub(crate) fn meet_in_comparison(comparison: &mut SetComparison, schema: &DFSchema) -> Result<bool> {
    sought(&mut comparison.expr, &mut comparison.subquery, schema)
}

fn sought(value: &mut Expr, rows: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let Ok(one) = value.get_type(schema) else { return Ok(false) };
    let other = rows.subquery.schema().field(0).data_type().clone();
    let Some(met) = meeting(&[one.clone(), other.clone()]) else { return Ok(false) };
    if becomes(&one, &met) {
        *value = cast(std::mem::take(value), met);
    } else if becomes(&other, &met) {
        rows.subquery = Arc::new(cast_columns(Arc::clone(&rows.subquery), &[Some(met)])?);
    }
    Ok(true)
}

/// The node, whose inputs or rows have one type per column. Whether it has other types now.
pub(crate) fn meet_in_rows(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    match plan {
        LogicalPlan::Union(union) => of_union(union),
        LogicalPlan::Values(values) => of_values(values),
        LogicalPlan::Join(join) => Ok((LogicalPlan::Join(of_join(join)), false)),
        other => Ok((other, false)),
    }
}

fn of_union(mut union: Union) -> Result<(LogicalPlan, bool)> {
    let columns = 0..union.schema.fields().len();
    let mut is_read = false;
    for at in columns.clone() {
        is_read |= read_unknown(&mut union.inputs, at)?;
    }
    let types = |at: usize| union.inputs.iter().map(|input| input.schema().field(at).data_type().clone()).collect::<Vec<_>>();
    let met: Vec<_> = columns.map(|at| meeting(&types(at))).collect();
    if met.iter().all(Option::is_none) && !is_read {
        return Ok((LogicalPlan::Union(union), false));
    }
    let inputs = union.inputs.into_iter().map(|input| cast_columns(input, &met).map(Arc::new)).collect::<Result<_>>()?;
    Ok((LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?), true))
}

/// Makes texts and parameters of no type in the column at `at` what the others are. Whether there were any.
fn read_unknown(inputs: &mut [Arc<LogicalPlan>], at: usize) -> Result<bool> {
    let (unknown, known): (Vec<_>, Vec<_>) = (0..inputs.len()).partition(|input| unknown_at(&inputs[*input], at).is_some());
    let types = known.iter().map(|input| inputs[*input].schema().field(at).data_type().clone());
    let types: Vec<_> = types.filter(|data_type| !data_type.is_null()).collect();
    let (texts, others): (Vec<_>, Vec<_>) = types.iter().partition(|data_type| data_type.is_string());
    let Some(other) = others.first() else { return Ok(false) };
    if let Some(text) = texts.first() {
        let [text, other] = [*text, *other].map(|data_type| sql_type_names(&data_type.to_string()));
        let error = Error::new(ErrorKind::TypeMismatch, format!("UNION types {text} and {other} cannot be matched"));
        return Err(DataFusionError::External(Box::new(error.hint("Cast one of them to the type of the other."))));
    }
    let met = others.iter().skip(1).try_fold((*other).clone(), |met, data_type| type_union_coercion(&met, data_type));
    let Some(met) = met else { return Ok(false) };
    for input in &unknown {
        let LogicalPlan::Projection(projection) = inputs[*input].as_ref() else { continue };
        let columns = projection.expr.iter().enumerate().map(|(place, column)| {
            let (_, field) = projection.schema.qualified_field(place);
            match column.clone().unalias() {
                value if place == at => read_as(value, &met).alias(field.name()),
                _ => column.clone(),
            }
        });
        let projection = Projection::try_new(columns.collect(), Arc::clone(&projection.input))?;
        inputs[*input] = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(!unknown.is_empty())
}

/// What stands in the column at `at`, if it is a text that is written down or a parameter of no type.
fn unknown_at(input: &LogicalPlan, at: usize) -> Option<&Expr> {
    let LogicalPlan::Projection(projection) = input else { return None };
    let mut value = projection.expr.get(at)?;
    while let Expr::Alias(alias) = value {
        value = &alias.expr;
    }
    matches!(value, Expr::Literal(ScalarValue::Utf8(Some(_)), _) | Expr::Placeholder(Placeholder { field: None, .. })).then_some(value)
}

fn read_as(value: Expr, data_type: &DataType) -> Expr {
    match value {
        Expr::Placeholder(Placeholder { id, .. }) => {
            let field = Some(Arc::new(Field::new(&id, data_type.clone(), true)));
            Expr::Placeholder(Placeholder { id, field })
        }
        literal => cast(literal, data_type.clone()),
    }
}

/// `plan`, whose columns have become the types met, under the names they had.
fn cast_columns(plan: Arc<LogicalPlan>, met: &[Option<DataType>]) -> Result<LogicalPlan> {
    let fields = plan.schema().iter().zip(met);
    let columns = fields.map(|((qualifier, field), met)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match met {
            Some(met) if becomes(field.data_type(), met) => cast(column, met.clone()).alias(field.name()),
            _ => column,
        }
    });
    Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), plan)?))
}

/// The rows were made one type when they were parsed, by casts that look like any other: what is under such a cast to the column's type
/// counts, if it is a float, or what would become one.
fn of_values(values: Values) -> Result<(LogicalPlan, bool)> {
    let Values { schema, values: mut rows } = values;
    let mut is_changed = false;
    for (at, field) in schema.fields().iter().enumerate() {
        let uncast = |expr: &Expr| match expr {
            Expr::Cast(Cast { expr, field: to }) if to.data_type() == field.data_type() => expr.as_ref().clone(),
            other => other.clone(),
        };
        let mut column: Vec<_> = rows.iter().map(|row| uncast(&row[at])).collect();
        if meet(&mut column, &DFSchema::empty()) {
            is_changed = true;
            rows.iter_mut().zip(column).for_each(|(row, value)| row[at] = value);
        }
    }
    if !is_changed {
        return Ok((LogicalPlan::Values(Values { schema, values: rows }), false));
    }
    Ok((LogicalPlanBuilder::values(rows)?.build()?, true))
}

/// Keys of `USING`, and of what else is joined by equality before conditions are looked at.
fn of_join(mut join: Join) -> Join {
    for (left, right) in &mut join.on {
        let sides = [(left.get_type(join.left.schema()), left), (right.get_type(join.right.schema()), right)];
        let [(Ok(one), left), (Ok(other), right)] = sides else { continue };
        let Some(met) = meeting(&[one.clone(), other.clone()]) else { continue };
        let side = if becomes(&one, &met) { left } else { right };
        *side = cast(std::mem::take(side), met);
    }
    join
}

/// Whether microseconds since 1970 are meant.
pub(crate) fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _))
}

pub(crate) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}
