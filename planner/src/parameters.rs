//! The parameters `$1`, `$2`, ...: their types, and their values.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::scalar::ScalarValue;

use crate::error::{Error, ErrorKind, Result, sql_type_names};
use crate::meeting::{is_of_one_type, meet, meet_in_case};

/// More parameters than the protocol can number.
const PARAMETER_LIMIT: usize = 65535;

/// The fields of the declared types, as the SQL planner wants them.
pub(crate) fn declared_fields(types: &[Option<DataType>]) -> Vec<Option<FieldRef>> {
    types.iter().enumerate().map(|(at, data_type)| data_type.clone().map(|data_type| field(at + 1, data_type))).collect()
}

fn field(number: usize, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(format!("${number}"), data_type, true))
}

/// Gives every placeholder in `plan` a type: the declared one, else what it is compared with or cast to, else text.
///
/// The types come back in order. One parameter has one type in all its places: that of the first place that tells.
pub(crate) fn infer(plan: LogicalPlan, declared: &[Option<DataType>]) -> Result<(LogicalPlan, Vec<DataType>)> {
    let plan = plan
        .transform_up_with_subqueries(|node| {
            let schema = visible(&node);
            node.map_expressions(|expr| {
                if !expr.exists(|expr| Ok(matches!(expr, Expr::Placeholder(_))))? {
                    return Ok(Transformed::no(expr));
                }
                let read = expr.transform_up(|expr| of_one_type(expr, &schema))?;
                // What stands beside a parameter may have another type now than when the statement was parsed.
                let expr = if read.transformed { read.data.transform_up(|expr| Ok(untold(expr, declared)))?.data } else { read.data };
                let (expr, any) = expr.infer_placeholder_types(&schema)?;
                if any { expr.transform_up(|expr| from_neighbours(expr, &schema)) } else { Ok(Transformed::no(expr)) }
            })
        })?
        .data;
    let mut found: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    let mut unknown: Option<String> = None;
    plan.apply_with_subqueries(|node| {
        let in_limit = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(placeholder) = expr {
                    match number(&placeholder.id) {
                        Some(number) => {
                            let told = placeholder.field.as_ref().map(|f| f.data_type().clone());
                            let told = told.or_else(|| in_limit.then_some(DataType::Int64));
                            let known = found.entry(number).or_default();
                            if known.is_none() {
                                *known = told;
                            }
                        }
                        None => unknown = Some(placeholder.id.clone()),
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if let Some(id) = unknown {
        return Err(Error::new(ErrorKind::Syntax, format!("there is no parameter {id}")).hint("Parameters are written $1, $2, ..."));
    }
    let count = found.keys().next_back().copied().unwrap_or(0).max(declared.len());
    let types: Vec<DataType> = (1..=count)
        .map(|number| {
            let told = declared.get(number - 1).cloned().flatten().or_else(|| found.get(&number).cloned().flatten());
            match told {
                None | Some(DataType::Null) => DataType::Utf8,
                Some(data_type) => data_type,
            }
        })
        .collect();
    if found.is_empty() {
        return Ok((plan, types));
    }
    let typed = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(placeholder) => {
                    let number = number(&placeholder.id).unwrap_or(1);
                    let field = Some(field(number, types[number - 1].clone()));
                    Ok(Transformed::yes(Expr::Placeholder(Placeholder { field, ..placeholder })))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        node.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok((typed.data, types))
}

/// The columns an expression of `node` can see.
fn visible(node: &LogicalPlan) -> DFSchema {
    let inputs = node.inputs();
    if inputs.is_empty() { node.schema().as_ref().clone() } else { merge_schema(&inputs) }
}

/// A parameter of no declared type, without what was told of it.
fn untold(expr: Expr, declared: &[Option<DataType>]) -> Transformed<Expr> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: Some(_) })
            if number(&id).and_then(|number| declared.get(number - 1)?.as_ref()).is_none() =>
        {
            Transformed::yes(Expr::Placeholder(Placeholder { id, field: None }))
        }
        other => Transformed::no(other),
    }
}

/// What stands for one another as one type, which is what a parameter beside it is compared with.
fn of_one_type(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(mut function) if is_of_one_type(function.name()) => {
            let changed = meet(&mut function.args, schema);
            transformed(Expr::ScalarFunction(function), changed)
        }
        Expr::Case(mut case) => {
            let mut changed = meet_in_case(&mut case, schema);
            let mut results: Vec<_> =
                case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut()).chain(case.else_expr.as_deref_mut()).collect();
            let types: Vec<_> = results.iter().filter_map(|result| result.get_type(schema).ok()).filter(DataType::is_numeric).collect();
            let common = types.iter().cloned().reduce(|one, other| type_union_coercion(&one, &other).unwrap_or(one));
            for result in &mut results {
                if let (Some(common), Ok(own)) = (&common, result.get_type(schema))
                    && own.is_numeric()
                    && own != *common
                {
                    **result = cast(std::mem::take(*result), common.clone());
                    changed = true;
                }
            }
            transformed(Expr::Case(case), changed)
        }
        other => Transformed::no(other),
    })
}

/// `$1::date` makes the parameter a date, and so does `coalesce(a_date, $1)`.
fn from_neighbours(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr: inner, field }) => {
            let inner = told(*inner, field.data_type());
            Ok(inner.update_data(|inner| Expr::Cast(Cast { expr: Box::new(inner), field })))
        }
        Expr::ScalarFunction(mut function) if is_of_one_type(function.name()) => {
            let changed = alike(function.args.iter_mut(), schema);
            Ok(transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::Case(mut case) => {
            let mut changed = false;
            if let Some(subject) = &mut case.expr {
                let compared = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
                changed |= alike(std::iter::once(subject.as_mut()).chain(compared), schema);
            }
            let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            changed |= alike(results.chain(case.else_expr.as_deref_mut()), schema);
            Ok(transformed(Expr::Case(case), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Gives the parameters among expressions of one type the type that the others become.
fn alike<'a>(exprs: impl Iterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut exprs: Vec<_> = exprs.collect();
    let known = exprs.iter().filter(|expr| !matches!(expr, Expr::Placeholder(Placeholder { field: None, .. })));
    let types = known.filter_map(|expr| expr.get_type(schema).ok()).filter(|data_type| *data_type != DataType::Null);
    let Some(data_type) = types.reduce(|one, other| type_union_coercion(&one, &other).unwrap_or(one)) else { return false };
    let mut changed = false;
    for expr in &mut exprs {
        let known = told(std::mem::take(*expr), &data_type);
        changed |= known.transformed;
        **expr = known.data;
    }
    changed
}

/// The expression, of this type if it is a parameter without one.
fn told(expr: Expr, data_type: &DataType) -> Transformed<Expr> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let told = Some(Arc::new(Field::new(&id, data_type.clone(), true)));
            Transformed::yes(Expr::Placeholder(Placeholder { id, field: told }))
        }
        other => Transformed::no(other),
    }
}

fn transformed(expr: Expr, changed: bool) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// The number of `$7`.
fn number(id: &str) -> Option<usize> {
    id.strip_prefix('$')?.parse().ok().filter(|number| (1..=PARAMETER_LIMIT).contains(number))
}

/// Puts `values` in the places of the placeholders.
pub(crate) fn bind(plan: LogicalPlan, types: &[DataType], values: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if values.len() != types.len() {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{} parameters were given, but the statement takes {}", values.len(), types.len()),
        ));
    }
    if types.is_empty() {
        return Ok(plan);
    }
    let values = values
        .into_iter()
        .zip(types)
        .enumerate()
        .map(|(at, (value, data_type))| convert(value, data_type, at + 1))
        .collect::<Result<Vec<_>>>()?;
    Ok(plan.replace_params_with_values(&ParamValues::from(values))?)
}

fn convert(value: ScalarValue, data_type: &DataType, number: usize) -> Result<ScalarValue> {
    let given = value.data_type();
    // A decimal keeps its own scale: rounded to its column's it would equal what it does not.
    if given == *data_type || (given.is_decimal() && data_type.is_decimal() && !value.is_null()) {
        return Ok(value);
    }
    value.cast_to(data_type).map_err(|_| {
        let name = sql_type_names(&data_type.to_string());
        Error::new(ErrorKind::InvalidText, format!("the value of parameter ${number} is not a valid {name}"))
    })
}
