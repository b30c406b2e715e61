//! What comparisons of documents are: `jsonb` is compared as a document, `json` not at all, as in PostgreSQL.

use std::sync::{Arc, LazyLock};

use causeway_providers::Presentation;
use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarUDF, Volatility, create_udf};

use super::document::{Document, Form};
use super::{refusal, refused};
use crate::error::{ErrorKind, sql_type_names};

/// A comparison of two values, if one of them is a document; gives it back otherwise.
///
/// # Errors
/// When there is no such operator, or none that we run.
pub(crate) fn binary(binary: BinaryExpr, schema: &DFSchema) -> Result<Result<Expr, BinaryExpr>> {
    if !is_comparison(binary.op) || !meet(&[&binary.left, &binary.right], &spelled(binary.op), is_equality(binary.op), schema)? {
        return Ok(Err(binary));
    }
    let BinaryExpr { left, op, right } = binary;
    Ok(Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(compared(*left, schema)), op, right: Box::new(compared(*right, schema)) })))
}

/// The same for a list of values.
///
/// # Errors
/// As [`binary`].
pub(crate) fn in_list(list: InList, schema: &DFSchema) -> Result<Result<Expr, InList>> {
    let all: Vec<&Expr> = std::iter::once(list.expr.as_ref()).chain(&list.list).collect();
    if !meet(&all, "=", true, schema)? {
        return Ok(Err(list));
    }
    let InList { expr, list, negated } = list;
    let list = list.into_iter().map(|item| compared(item, schema)).collect();
    Ok(Ok(Expr::InList(InList { expr: Box::new(compared(*expr, schema)), list, negated })))
}

/// Refuses a range of documents.
///
/// # Errors
/// As [`binary`].
pub(crate) fn between(sides: [&Expr; 3], schema: &DFSchema) -> Result<()> {
    meet(&sides, ">=", false, schema).map(drop)
}

/// Whether documents meet in a comparison that can be run.
fn meet(sides: &[&Expr], operator: &str, is_equality: bool, schema: &DFSchema) -> Result<bool> {
    let names: Vec<Option<String>> = sides.iter().map(|side| type_name(side, schema)).collect();
    let is = |name: &Option<String>, wanted: &str| name.as_deref() == Some(wanted);
    let has_json = names.iter().any(|name| is(name, "json"));
    if !has_json && !names.iter().any(|name| is(name, "jsonb")) {
        return Ok(false);
    }
    let is_comparable = |name: &Option<String>| name.as_deref().is_none_or(|name| matches!(name, "jsonb" | "text"));
    if has_json || !names.iter().all(is_comparable) {
        let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
        // Of a list it is the first that does not fit.
        let other = names.iter().skip(1).find(|name| is(name, "json") || !is_comparable(name)).or(names.get(1));
        let other = other.map(&shown).unwrap_or_default();
        let message = format!("operator does not exist: {} {operator} {other}", shown(&names[0]));
        let hint = "json has no comparisons: cast both sides to jsonb, or to text to compare them letter by letter";
        return Err(crate::Error::new(ErrorKind::UndefinedFunction, message).hint(hint).into());
    }
    if !is_equality {
        return Err(refusal(ErrorKind::Unsupported, "the order of jsonb values is not supported".to_owned()));
    }
    Ok(true)
}

/// The type of a side as PostgreSQL names it; `None` for a text literal or a parameter, which is of the type it meets.
fn type_name(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let is_unknown = match expr {
        Expr::Literal(value, _) => matches!(value.data_type(), DataType::Utf8 | DataType::Null),
        Expr::Placeholder(_) => true,
        _ => false,
    };
    if is_unknown {
        return None;
    }
    let (_, field) = expr.to_field(schema).ok()?;
    Some(match (Presentation::of(&field), field.data_type()) {
        (Presentation::Json, _) => "json".to_owned(),
        (Presentation::Jsonb, _) => "jsonb".to_owned(),
        // What a `COALESCE` or the like gives is not said to be a document any more.
        (_, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => "text".to_owned(),
        (_, DataType::Null) => return None,
        (_, other) => sql_type_names(&other.to_string()),
    })
}

/// A document as the one text of all that are equal to it.
fn compared(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(DataType::Null) => expr,
        Ok(_) | Err(_) => KEY.call(vec![expr]),
    }
}

/// An operator as PostgreSQL names it.
fn spelled(operator: Operator) -> String {
    if operator == Operator::NotEq { "<>".to_owned() } else { operator.to_string() }
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Gt, GtEq, Lt, LtEq};
    is_equality(operator) || matches!(operator, Lt | LtEq | Gt | GtEq)
}

fn is_equality(operator: Operator) -> bool {
    use Operator::{Eq, IsDistinctFrom, IsNotDistinctFrom, NotEq};
    matches!(operator, Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom)
}

static KEY: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let evaluate = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let [documents] = arrays.as_slice() else {
            return datafusion::common::internal_err!("a document is compared by itself");
        };
        let key = |text| Document::read(text).and_then(|document| document.written(Form::Compared)).map_err(refused);
        let keys = documents.as_string::<i32>().iter().map(|text| text.map(key).transpose());
        let keys: ArrayRef = Arc::new(keys.collect::<Result<StringArray>>()?);
        Ok(ColumnarValue::Array(keys))
    };
    create_udf("jsonb_compared", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(evaluate))
});
