//! Window functions at the source.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};
use datafusion::scalar::ScalarValue;

use super::Reason;
use super::absorb::{matches_schema, sort_keys};
use super::aggregate::{aggregated, group_keys};
use super::open::{Aliases, OpenColumn, OpenSelect};

/// What ranks rows alike everywhere, given an order that is alike.
const RANKING: [&str; 3] = ["row_number", "rank", "dense_rank"];

/// Window functions above `open`. It becomes a derived table: conditions on it are not on the rows that the functions see.
pub(super) fn window(node: &Window, open: &OpenSelect, aliases: &mut Aliases) -> Result<OpenSelect, Reason> {
    if !open.remote.capabilities().window {
        return Err("the source does not compute window functions as is done here".to_owned());
    }
    let input = node.input.schema();
    let mut open = open.clone().flattened(aliases);
    let mut columns = open.columns.clone();
    for (expr, field) in node.window_expr.iter().zip(node.schema.fields().iter().skip(columns.len())) {
        columns.push(OpenColumn::cast_value(call(&open, expr, input, field.data_type())?, field.data_type().clone()));
    }
    matches_schema(&columns, &node.schema)?;
    for expr in &node.window_expr {
        open.rely(expr, input);
    }
    Ok(OpenSelect { columns, gains: true, ..open }.closed(aliases))
}

fn call(open: &OpenSelect, expr: &Expr, input: &DFSchema, result: &DataType) -> Result<String, Reason> {
    let WindowFunction { fun, params } = match expr {
        Expr::WindowFunction(function) => function.as_ref(),
        Expr::Alias(alias) => return call(open, &alias.expr, input, result),
        other => return Err(format!("expression {} is not a window function", other.variant_name())),
    };
    let name = fun.name();
    if params.filter.is_some() || params.null_treatment.is_some() || params.distinct {
        return Err(format!("{name} over a window with FILTER, DISTINCT or IGNORE NULLS is computed here"));
    }
    let scope = open.scope(input);
    let dialect = open.dialect();
    let keys = group_keys(open, &params.partition_by, input)?;
    let keys: Vec<String> = keys.iter().map(|key| dialect.group_by(key.sql(), key.data_type())).collect();
    let order = sort_keys(open, &params.order_by, &scope)?;
    let mut parts = Vec::new();
    if !keys.is_empty() {
        parts.push(format!("PARTITION BY {}", keys.join(", ")));
    }
    if !order.is_empty() {
        parts.push(format!("ORDER BY {}", order.join(", ")));
    }
    match fun {
        WindowFunctionDefinition::WindowUDF(_) if RANKING.contains(&name) => {
            // MariaDB ranks nothing that has no order.
            if order.is_empty() && name != "row_number" {
                return Err(format!("{name} without an order is computed here"));
            }
            Ok(dialect.rank(&format!("{name}() OVER ({})", parts.join(" "))))
        }
        WindowFunctionDefinition::WindowUDF(_) => Err(format!("{name} over a window is computed here")),
        WindowFunctionDefinition::AggregateUDF(_) => {
            parts.extend(frame(&params.window_frame, !order.is_empty())?);
            aggregated(open, name, &params.args, &format!(" OVER ({})", parts.join(" ")), &scope, result)
        }
    }
}

/// A frame in words that all sources have; `None` for all rows of the partition where there is no order. With one a source would take
/// the rows up to the present one.
fn frame(frame: &WindowFrame, is_ordered: bool) -> Result<Option<String>, Reason> {
    let WindowFrame { units, start_bound, end_bound, .. } = frame;
    let is_whole = matches!(start_bound, WindowFrameBound::Preceding(bound) if bound.is_null())
        && matches!(end_bound, WindowFrameBound::Following(bound) if bound.is_null());
    match units {
        _ if is_whole && is_ordered => return Ok(Some("ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING".to_owned())),
        _ if is_whole => return Ok(None),
        WindowFrameUnits::Rows if is_ordered => {}
        // Its peers are the rows that are equal by the order.
        WindowFrameUnits::Range if is_ordered && !is_counted(start_bound) && !is_counted(end_bound) => {}
        units => return Err(format!("a frame of {units} like this one is computed here")),
    }
    Ok(Some(format!("{units} BETWEEN {} AND {}", bound(start_bound)?, bound(end_bound)?)))
}

fn is_counted(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
        WindowFrameBound::CurrentRow => false,
    }
}

fn bound(bound: &WindowFrameBound) -> Result<String, Reason> {
    let rows = |value: &ScalarValue, word: &str| match value {
        ScalarValue::UInt64(Some(rows)) if *rows <= u64::from(u32::MAX) => Ok(format!("{rows} {word}")),
        value if value.is_null() => Ok(format!("UNBOUNDED {word}")),
        value => Err(format!("a frame that begins or ends {value} rows away is computed here")),
    };
    match bound {
        WindowFrameBound::Preceding(value) => rows(value, "PRECEDING"),
        WindowFrameBound::CurrentRow => Ok("CURRENT ROW".to_owned()),
        WindowFrameBound::Following(value) => rows(value, "FOLLOWING"),
    }
}
