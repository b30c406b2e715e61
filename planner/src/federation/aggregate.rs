//! Grouping and aggregates at the source.

use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Distinct, Expr};

use causeway_providers::Comparison;
use causeway_providers::sql::{Argument, nullness, translate_value};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;

use super::Reason;
use super::absorb::matches_schema;
use super::open::{Aliases, Grouping, OpenColumn, OpenSelect, Scope};

/// An aggregation above `open`.
pub(super) fn aggregate(node: &Aggregate, open: &OpenSelect, aliases: &mut Aliases) -> Result<OpenSelect, Reason> {
    if !open.remote.capabilities().aggregate {
        return Err("the source does not aggregate as is done here".to_owned());
    }
    if node.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Err("grouping sets are computed here".to_owned());
    }
    let input = node.input.schema();
    let mut open = open.clone().flattened(aliases);
    for expr in node.group_expr.iter().chain(&node.aggr_expr) {
        open.rely(expr, input);
    }
    let mut keys = group_keys(&open, &node.group_expr, input)?;
    if keys.iter().any(|key| !key.is_reference()) {
        // Sources disagree on what an expression in GROUP BY is; they agree on a column of a derived table.
        let before = open.columns.len();
        open.columns.append(&mut keys);
        open = open.closed(aliases);
        keys = open.columns.split_off(before);
    }
    let mut columns = keys.clone();
    {
        let scope = open.scope(input);
        for (at, expr) in node.aggr_expr.iter().enumerate() {
            let result = node.schema.field(keys.len() + at).data_type();
            columns.push(OpenColumn::cast_value(call(&open, expr, &scope, result)?, result.clone()));
        }
    }
    matches_schema(&columns, &node.schema)?;
    Ok(grouped(open, keys, columns))
}

/// `DISTINCT` above `open`: a grouping by all columns.
pub(super) fn distinct(node: &Distinct, open: &OpenSelect, aliases: &mut Aliases) -> Result<OpenSelect, Reason> {
    let Distinct::All(input) = node else { return Err("DISTINCT ON is computed here".to_owned()) };
    if !open.remote.capabilities().aggregate {
        return Err("the source does not group as is done here".to_owned());
    }
    let mut open = open.clone().flattened(aliases);
    if open.columns.iter().any(|column| !column.is_reference()) {
        open = open.closed(aliases);
    }
    let all: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    for expr in &all {
        open.rely(expr, input.schema());
    }
    let keys = group_keys(&open, &all, input.schema())?;
    Ok(grouped(open, keys.clone(), keys))
}

fn grouped(open: OpenSelect, keys: Vec<OpenColumn>, columns: Vec<OpenColumn>) -> OpenSelect {
    let (rows, believed) = if keys.is_empty() { (Some(1), Some(1)) } else { (open.rows, groups(&open, &keys)) };
    let keys = keys.iter().map(|key| open.dialect().group_by(key.sql(), key.data_type())).collect();
    OpenSelect { columns, grouping: Some(Grouping { keys, having: Vec::new() }), rows, believed, inputs: believed, gains: true, ..open }
}

/// Of how many rows a group is believed to be made where nothing is known of its keys.
const GROUPED: u64 = 10;

/// How many groups there are believed to be: no more than rows, nor than the keys have values together.
fn groups(open: &OpenSelect, keys: &[OpenColumn]) -> Option<u64> {
    let values = keys.iter().try_fold(1, |values: u64, key| {
        let origin = key.origin()?;
        let distinct = open.remote.statistics(origin.table())?.columns.get(&origin.column().name)?.distinct?;
        // NULL is a value more.
        Some(values.saturating_mul(distinct.saturating_add(1)))
    });
    open.believed.map(|rows| values.map_or(rows.div_ceil(GROUPED), |values| values.min(rows)))
}

/// The keys of groups, or of the partitions of a window.
pub(super) fn group_keys(open: &OpenSelect, exprs: &[Expr], input: &DFSchema) -> Result<Vec<OpenColumn>, Reason> {
    let scope = open.scope(input);
    exprs
        .iter()
        .map(|expr| {
            let key = open.compute(expr, &scope)?;
            match key.comparison() {
                Comparison::Total | Comparison::Equality | Comparison::OwnType => Ok(key),
                Comparison::Float => Err("zero and NaN are grouped otherwise at the source".to_owned()),
                Comparison::SupersetEquality => Err(match key.column().and_then(|column| column.collation.as_deref()) {
                    Some(collation) => format!("collation {collation} holds different texts equal: grouped here"),
                    None => "the source holds different values equal: grouped here".to_owned(),
                }),
                Comparison::None => Err(format!("{} is grouped otherwise at the source", key.data_type())),
            }
        })
        .collect()
}

fn call(open: &OpenSelect, expr: &Expr, scope: &Scope<'_>, result: &DataType) -> Result<String, Reason> {
    let AggregateFunction { func, params } = match expr {
        Expr::AggregateFunction(function) => function,
        Expr::Alias(alias) => return call(open, &alias.expr, scope, result),
        other => return Err(format!("expression {} is not an aggregate", other.variant_name())),
    };
    let name = func.name();
    if params.distinct && !matches!(name, "min" | "max") {
        return Err(format!("{name}(DISTINCT ...) is computed here"));
    }
    if params.filter.is_some() || !params.order_by.is_empty() || params.null_treatment.is_some() {
        return Err(format!("{name} with FILTER or ORDER BY is computed here"));
    }
    aggregated(open, name, &params.args, "", scope, result)
}

/// The aggregate `name` of a group, or with `over` of a window.
pub(super) fn aggregated(
    open: &OpenSelect,
    name: &str,
    arguments: &[Expr],
    over: &str,
    scope: &Scope<'_>,
    result: &DataType,
) -> Result<String, Reason> {
    let unknown = |of: &str| format!("aggregate {name} of {of} is not on the source's allow-list");
    let argument = match arguments {
        [] => None,
        [Expr::Literal(value, _)] if name == "count" && !value.is_null() => None,
        [only] => Some(only),
        _ => return Err(unknown("several arguments")),
    };
    let Some(argument) = argument else {
        return open.dialect().aggregate(name, None, over, result).ok_or_else(|| unknown("all rows"));
    };
    let value = translate_value(open.dialect(), argument, scope)?;
    let comparable = match name {
        // Only whether it is NULL counts.
        "count" => true,
        "min" | "max" => value.comparison == Comparison::Total,
        _ => matches!(value.comparison, Comparison::Total | Comparison::Float),
    };
    if !comparable {
        return Err(match value.column.and_then(|column| column.collation.as_deref()) {
            Some(collation) => format!("{name} under collation {collation} differs from ours"),
            None => format!("{name} of {} differs from ours", value.data_type),
        });
    }
    let data_type = value.data_type.to_string();
    let sql = if name == "count" { nullness(open.dialect(), argument, scope)? } else { value.sql };
    let argument = Argument { sql, data_type: value.data_type, literal: value.literal };
    open.dialect().aggregate(name, Some(&argument), over, result).ok_or_else(|| unknown(&data_type))
}
