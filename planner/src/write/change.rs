//! `UPDATE` and `DELETE`: one statement of the source, whose conditions and values it decides as they would be here.

use causeway_providers::sql::{ChangeDialect, Reliance, RemoteSql, Translation, translate, translate_value};
use causeway_providers::{Comparison, RemoteColumn};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::create_physical_expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr as SqlExpr, FromTable, ObjectName, SelectItem, TableFactor, TableWithJoins, Update, Value,
};

use super::flat::{ChangedTable, Flat};
use super::syntax::{assigned, is_default, only, select, statement, unsupported};
use super::target::Target;
use super::{Planning, Work, of};
use crate::arithmetic::plain_expr;
use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;

/// A planned `UPDATE` or `DELETE`.
pub(super) struct Change {
    /// Computes the assigned values over the rows that are to change.
    query: Query,
    /// What is assigned; `None` deletes.
    assigned: Option<Vec<Assigned>>,
}

/// A column that is assigned to, by its position at the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assigned {
    column: usize,
    value: AssignedValue,
}

#[derive(Debug, Clone, Copy)]
enum AssignedValue {
    /// The query's column at this position.
    Item(usize),
    /// The source's default.
    Default,
}

/// Plans an `UPDATE`.
pub(super) async fn update(planning: &Planning<'_>, update: &Update, declared: &[Option<DataType>]) -> Result<Query> {
    let Update { table, assignments, from, selection, returning, output, or, order_by, limit, .. } = update;
    if planning.with.is_some() {
        return Err(unsupported("WITH before UPDATE", "Query first, and name the rows to change by their key."));
    }
    if from.is_some() || !table.joins.is_empty() {
        return Err(unsupported("UPDATE ... FROM", "Query first, and name the rows to change by their key."));
    }
    if output.is_some() || or.is_some() || !order_by.is_empty() || limit.is_some() {
        return Err(unsupported("this form of UPDATE", "UPDATE table SET column = value WHERE condition RETURNING columns is."));
    }
    let factor = table_of(table)?;
    let target = Target::find(name_of(factor)?, planning.context).await?;
    let (assigned, items) = assignments_of(&target, assignments)?;
    let query = select(items, only(factor.clone()), selection.clone())?;
    let query = planning.wording(statement(query), declared).await?;
    let work = Work::Change(Change { query: query.clone(), assigned: Some(assigned) });
    let types = query.parameter_types().to_vec();
    planning.finish(target, factor, work, &query, types, returning.as_ref()).await
}

/// Plans a `DELETE`.
pub(super) async fn delete(planning: &Planning<'_>, delete: &Delete, declared: &[Option<DataType>]) -> Result<Query> {
    let Delete { tables, from, using, selection, returning, output, order_by, limit, .. } = delete;
    if planning.with.is_some() {
        return Err(unsupported("WITH before DELETE", "Query first, and name the rows to delete by their key."));
    }
    if using.is_some() {
        return Err(unsupported("DELETE ... USING", "Query first, and name the rows to delete by their key."));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
    let [table] = from.as_slice() else { return Err(unsupported("DELETE from several tables", "Delete from one after the other.")) };
    if !tables.is_empty() || !table.joins.is_empty() || output.is_some() || !order_by.is_empty() || limit.is_some() {
        return Err(unsupported("this form of DELETE", "DELETE FROM table WHERE condition RETURNING columns is."));
    }
    let factor = table_of(table)?;
    let target = Target::find(name_of(factor)?, planning.context).await?;
    let one = SelectItem::UnnamedExpr(SqlExpr::value(Value::Number("1".to_owned(), false)));
    let query = select(vec![one], only(factor.clone()), selection.clone())?;
    let query = planning.wording(statement(query), declared).await?;
    let work = Work::Change(Change { query: query.clone(), assigned: None });
    let types = query.parameter_types().to_vec();
    planning.finish(target, factor, work, &query, types, returning.as_ref()).await
}

fn table_of(table: &TableWithJoins) -> Result<&TableFactor> {
    match &table.relation {
        factor @ TableFactor::Table { args: None, sample: None, .. } => Ok(factor),
        _ => Err(unsupported("changing anything but a table", "Name the table itself.")),
    }
}

fn name_of(factor: &TableFactor) -> Result<&ObjectName> {
    match factor {
        TableFactor::Table { name, .. } => Ok(name),
        _ => Err(unsupported("changing anything but a table", "Name the table itself.")),
    }
}

/// What is assigned to which column, and the items of a select that compute it.
pub(super) fn assignments_of(target: &Target, assignments: &[Assignment]) -> Result<(Vec<Assigned>, Vec<SelectItem>)> {
    let (mut found, mut items): (Vec<Assigned>, Vec<SelectItem>) = (Vec::new(), Vec::new());
    let mut add = |column: usize, value: &SqlExpr| -> Result<()> {
        if found.iter().any(|assigned| assigned.column == column) {
            let name = &target.column(column).name;
            return Err(Error::new(ErrorKind::Syntax, format!("multiple assignments to same column \"{name}\"")));
        }
        let value = if is_default(value) {
            AssignedValue::Default
        } else {
            items.push(SelectItem::UnnamedExpr(assigned(value.clone(), target.column(column))?));
            AssignedValue::Item(items.len() - 1)
        };
        found.push(Assigned { column, value });
        Ok(())
    };
    for Assignment { target: assignee, value } in assignments {
        match (assignee, value) {
            (AssignmentTarget::ColumnName(name), value) => add(target.position_of(name)?, value)?,
            (AssignmentTarget::Tuple(names), SqlExpr::Tuple(values)) if names.len() == values.len() => {
                for (name, value) in names.iter().zip(values) {
                    add(target.position_of(name)?, value)?;
                }
            }
            (AssignmentTarget::Tuple(_), _) => {
                return Err(unsupported("assigning to several columns at once in this form", "Assign to one column after the other."));
            }
        }
    }
    if items.is_empty() {
        items.push(SelectItem::UnnamedExpr(SqlExpr::value(Value::Null)));
    }
    Ok((found, items))
}

impl Change {
    pub(super) fn verb(&self) -> &'static str {
        if self.assigned.is_some() { "UPDATE" } else { "DELETE" }
    }

    /// The statement for the source, which ends in `returning`; `None` when no row can fulfil its conditions.
    pub(super) fn statement(&self, target: &Target, parameters: &[ScalarValue], returning: &str) -> Result<Option<RemoteSql>> {
        let flat = Flat::of(&self.query.simplified(of(&self.query, parameters))?)?;
        if flat.is_empty() {
            return Ok(None);
        }
        let scope = ChangedTable::new(target.table(), target.changes(), None).assigned();
        let mut text = match &self.assigned {
            Some(assigned) => format!("UPDATE {} SET {}", target.name(), assigned_list(target, assigned, &flat, &scope)?),
            None => format!("DELETE FROM {}", target.name()),
        };
        if let Some(conditions) = conditions(target, &flat, None)? {
            text.push_str(" WHERE ");
            text.push_str(&conditions);
        }
        if !returning.is_empty() {
            text.push(' ');
            text.push_str(returning);
        }
        let reliance = reliance(target, &flat, self.assigned.as_deref().unwrap_or_default());
        Ok(Some(RemoteSql { reliance, ..RemoteSql::new(text) }))
    }
}

/// The stored values that a change computes with, and the columns it assigns to.
pub(super) fn reliance(target: &Target, flat: &Flat, assigned: &[Assigned]) -> Reliance {
    let is_column = |expr: &&Expr| matches!(expr, Expr::Column(_));
    let computed = flat.conditions.iter().chain(flat.items.iter().filter(|item| !is_column(item))).cloned();
    let stored = assigned.iter().map(|assigned| Expr::Column(Column::new_unqualified(&target.column(assigned.column).name)));
    target.source().reliance(&computed.chain(stored).collect::<Vec<_>>())
}

/// `a = 1, b = DEFAULT`, as the source writes it.
pub(super) fn assigned_list(target: &Target, all: &[Assigned], flat: &Flat, scope: &ChangedTable<'_>) -> Result<String> {
    let dialect = target.changes();
    let one = |(position, assigned): (usize, &Assigned)| {
        let column = target.column(assigned.column);
        let value = match assigned.value {
            AssignedValue::Default if dialect.forms().assigns_defaults => "DEFAULT".to_owned(),
            AssignedValue::Default => {
                return Err(unsupported("SET column = DEFAULT on this datasource", "Assign the value itself."));
            }
            AssignedValue::Item(at) => {
                let item =
                    flat.items.get(at).ok_or_else(|| Error::new(ErrorKind::Internal, "internal error: a value that is not computed"))?;
                let is_read = |earlier: &Assigned| item.column_refs().iter().any(|read| read.name == target.column(earlier.column).name);
                if !dialect.forms().assigns_at_once && all[..position].iter().any(is_read) {
                    return Err(uncomputed(column, "it depends on a column that the same statement assigns to before"));
                }
                value(dialect, column, item, scope)?
            }
        };
        Ok(format!("{} = {value}", dialect.quote(&column.name)))
    };
    Ok(all.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?.join(", "))
}

/// The conditions as the source writes them; `None` without any. `qualifier` stands before the table's columns.
pub(super) fn conditions(target: &Target, flat: &Flat, qualifier: Option<&str>) -> Result<Option<String>> {
    let scope = ChangedTable::new(target.table(), target.changes(), qualifier);
    let exact = ChangedTable::new(target.table(), target.changes(), qualifier).by_code_point();
    let one = |condition: &Expr| match translate(target.dialect(), condition, &scope) {
        Translation::Exact(sql) => Ok(format!("({sql})")),
        inexact => match (translate(target.dialect(), condition, &exact), inexact) {
            // The first finds the rows, by an index if there is one, and the second decides.
            (Translation::Exact(exact), Translation::Superset(sql)) => Ok(format!("({sql}) AND ({exact})")),
            (Translation::Exact(exact), _) => Ok(format!("({exact})")),
            (_, Translation::Local(reason)) => Err(undecided(condition, &reason)),
            (..) => Err(undecided(condition, "its comparison lets more rows through")),
        },
    };
    let all = flat.conditions.iter().map(one).collect::<Result<Vec<_>>>()?;
    Ok((!all.is_empty()).then(|| all.join(" AND ")))
}

fn undecided(condition: &Expr, reason: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the source does not decide as is meant here which rows to change: {condition}"))
        .hint(format!("{reason}. Query the rows first, and name them by their key."))
}

/// `expr` as it is assigned to `column`.
fn value(dialect: &dyn ChangeDialect, column: &RemoteColumn, expr: &Expr, scope: &ChangedTable<'_>) -> Result<String> {
    if let Some(constant) = constant(expr)? {
        let written = dialect.assigned(column, &constant);
        return written.ok_or_else(|| uncomputed(column, "the value has no exact form in a statement of the source"));
    }
    let expr = &plain_expr(expr.clone())?;
    let (computed, is_cast) = match expr {
        // The source converts what it assigns, and refuses what does not fit.
        Expr::Cast(Cast { expr: inner, field }) => match translate_value(dialect, expr, scope) {
            Ok(value) => (value, false),
            Err(reason) => match translate_value(dialect, inner, scope) {
                Ok(value) if converts(&value.data_type, field.data_type()) => (value, true),
                _ => return Err(uncomputed(column, &reason)),
            },
        },
        other => (translate_value(dialect, other, scope).map_err(|reason| uncomputed(column, &reason))?, false),
    };
    let is_same = computed.column.is_some_and(|stored| stored.remote_type == column.remote_type);
    if !is_same && !is_cast && column.comparison == Comparison::None {
        return Err(uncomputed(column, &format!("a computed text is not a {} there", column.remote_type)));
    }
    if !dialect.computes() && computed.data_type == DataType::Boolean && computes(expr)? {
        return Err(uncomputed(column, "numbers in it may overflow without a word"));
    }
    if let Some(stored) = computed.column.filter(|_| !is_same) {
        return Ok(dialect.output(stored, &computed.sql));
    }
    if computed.column.is_none() && !dialect.takes_computed(column) {
        return Err(uncomputed(column, &format!("a {} takes computed values for others", column.remote_type)));
    }
    let is_computed_integer = computed.data_type.is_integer() && computed.column.is_none() && !dialect.computes();
    Ok(if is_computed_integer { dialect.assigned_integer(&computed.sql) } else { computed.sql })
}

/// Whether there is arithmetic in `expr`.
fn computes(expr: &Expr) -> Result<bool> {
    Ok(expr.exists(|part| {
        Ok(matches!(part, Expr::Negative(_)) || matches!(part, Expr::BinaryExpr(binary) if binary.op.is_numerical_operators()))
    })?)
}

/// Whether a source that assigns a number of one type to a column of the other keeps it or fails.
fn converts(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (from, to) if from.is_integer() && to.is_integer() => true,
        (from, DataType::Decimal128(..) | DataType::Decimal256(..)) if from.is_integer() => true,
        (DataType::Decimal128(_, from) | DataType::Decimal256(_, from), DataType::Decimal128(_, to) | DataType::Decimal256(_, to)) => {
            from <= to
        }
        _ => false,
    }
}

/// The value of an expression over no column.
fn constant(expr: &Expr) -> Result<Option<ScalarValue>> {
    if let Expr::Literal(value, _) = expr {
        return Ok(Some(value.clone()));
    }
    if expr.any_column_refs() || expr.is_volatile() {
        return Ok(None);
    }
    // It would be a literal if it could be computed: this is for its error.
    let schema = DFSchema::empty();
    let row = RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &RecordBatchOptions::new().with_row_count(Some(1)))
        .map_err(datafusion::error::DataFusionError::from)?;
    match create_physical_expr(expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())?.evaluate(&row)? {
        ColumnarValue::Scalar(value) => Ok(Some(value)),
        ColumnarValue::Array(values) => Ok(Some(ScalarValue::try_from_array(&values, 0)?)),
    }
}

fn uncomputed(column: &RemoteColumn, reason: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the source does not compute the value of column \"{}\" as is meant here", column.name))
        .hint(format!("{reason}. Query the values first, and assign them as they are."))
}
