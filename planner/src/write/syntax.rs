//! Pieces of syntax that the queries of a change are made of.

use causeway_providers::RemoteColumn;
use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    CastKind, Expr, Ident, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, TableWithJoins,
};

use crate::error::{Error, ErrorKind, Result};
use crate::parse::parse;

/// `SELECT items FROM factor WHERE selection`.
pub(super) fn select(items: Vec<SelectItem>, from: Vec<TableWithJoins>, selection: Option<Expr>) -> Result<Query> {
    let mut query = template("SELECT 1")?;
    let Some(select) = select_of(&mut query) else { return Err(unreadable("SELECT 1")) };
    select.projection = items;
    select.from = from;
    select.selection = selection;
    Ok(query)
}

/// `factor` alone.
pub(super) fn only(factor: TableFactor) -> Vec<TableWithJoins> {
    vec![TableWithJoins { relation: factor, joins: Vec::new() }]
}

/// A query as a statement.
pub(super) fn statement(query: Query) -> SqlStatement {
    SqlStatement::Query(Box::new(query))
}

/// The query that `sql` is.
pub(super) fn template(sql: &str) -> Result<Query> {
    match parse(sql)?.pop() {
        Some(Statement::Statement(statement)) => match *statement {
            SqlStatement::Query(query) => Ok(*query),
            _ => Err(unreadable(sql)),
        },
        _ => Err(unreadable(sql)),
    }
}

/// The select of a query that is nothing else.
pub(super) fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// A table under an alias, as it stands in `FROM`. Both are written already.
pub(super) fn factor(name: &str, alias: Option<&str>) -> Result<TableFactor> {
    let sql = match alias {
        Some(alias) => format!("SELECT 1 FROM {name} AS {alias}"),
        None => format!("SELECT 1 FROM {name}"),
    };
    let mut query = template(&sql)?;
    let from = select_of(&mut query).and_then(|select| select.from.pop());
    from.map(|from| from.relation).ok_or_else(|| unreadable(&sql))
}

/// `expr` cast to the type of `column` as clients see it; as it is where the type has no name here.
pub(super) fn assigned(expr: Expr, column: &RemoteColumn) -> Result<Expr> {
    let Some(name) = sql_type(&column.data_type) else { return Ok(expr) };
    let mut query = template(&format!("SELECT CAST(NULL AS {name})"))?;
    let cast = select_of(&mut query).and_then(|select| select.projection.pop());
    match cast {
        Some(SelectItem::UnnamedExpr(Expr::Cast { data_type, array, format, .. })) => {
            Ok(Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array, format })
        }
        _ => Err(unreadable(&name)),
    }
}

/// Whether `expr` is the keyword `DEFAULT`.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(Ident { value, quote_style: None, .. }) if value.eq_ignore_ascii_case("default"))
}

/// How PostgreSQL calls the type of such values.
fn sql_type(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 => "bigint".to_owned(),
        DataType::UInt64 => "numeric(20,0)".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval".to_owned(),
        DataType::List(field) => format!("{}[]", sql_type(field.data_type())?),
        _ => return None,
    })
}

fn unreadable(sql: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("internal error: \"{sql}\" does not read as what it is"))
}

/// The refusal of a form of change.
pub(super) fn unsupported(what: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported")).hint(hint)
}
