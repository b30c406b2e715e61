//! Whether a join gives more rows than its sides have: not when its equalities name each row of one side by a key, and hardly when there
//! are many values to be equal. What is believed here chooses plans, never answers.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use causeway_providers::sql::SqlTable;

/// A join is believed to be a narrow one as long as it gives no more than so many times the rows of its larger side.
const NARROW: f64 = 2.0;

/// Whether the join of two inputs on pairs of equal expressions, the first of each of `one`, stays about as large as they are.
pub(super) fn is_narrow(one: &LogicalPlan, other: &LogicalPlan, on: &[(&Expr, &Expr)]) -> bool {
    let columns = |expr: &'_ Expr| match expr {
        Expr::Column(column) => Some(column.clone()),
        _ => None,
    };
    let ones: Vec<Column> = on.iter().filter_map(|(expr, _)| columns(expr)).collect();
    let others: Vec<Column> = on.iter().filter_map(|(_, expr)| columns(expr)).collect();
    if names_rows(one, &ones) || names_rows(other, &others) {
        return true;
    }
    let pairs = on.iter().filter_map(|(one, other)| Some((columns(one)?, columns(other)?)));
    pairs.into_iter().any(|(first, second)| believed_narrow(one, &first, other, &second))
}

/// How many rows the join of two inputs, of so many rows each, is believed to have, if that is more than the larger of them has.
pub(super) fn multiplied((one, ones): (&LogicalPlan, u64), (other, others): (&LogicalPlan, u64), on: &[(Expr, Expr)]) -> Option<u64> {
    let columns = on.iter().filter_map(|(one, other)| Some((one.try_as_col()?.clone(), other.try_as_col()?.clone())));
    let (first, second): (Vec<Column>, Vec<Column>) = columns.unzip();
    if names_rows(one, &first) || names_rows(other, &second) {
        return None;
    }
    let values = |(first, second): (&Column, &Column)| Some(belief(one, first)?.values.max(belief(other, second)?.values).max(1.0));
    let values = first.iter().zip(&second).filter_map(values).reduce(f64::max)?;
    let rows = (ones as f64 * others as f64 / values) as u64;
    (rows > ones.max(others)).then_some(rows)
}

/// Whether no two rows of `plan` have the same values in `columns`.
fn names_rows(plan: &LogicalPlan, columns: &[Column]) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let Some(table) = sql_table(scan) else { return false };
            let own: BTreeSet<&str> =
                columns.iter().filter_map(|column| stored(scan, column)).map(|at| table.table().columns[at].name.as_str()).collect();
            let table = table.table();
            let keys = table.unique_keys.iter().chain(std::iter::once(&table.primary_key));
            keys.into_iter().any(|key| !key.is_empty() && key.iter().all(|column| own.contains(column.as_str())))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let places: Vec<usize> = columns.iter().filter_map(|column| aggregate.schema.maybe_index_of_column(column)).collect();
            (0..aggregate.group_expr.len()).all(|key| places.contains(&key))
        }
        other => below(other, columns).is_some_and(|(input, columns)| names_rows(input, &columns)),
    }
}

/// Whether there are so many values to be equal that few rows of one side meet the same of the other.
fn believed_narrow(one: &LogicalPlan, first: &Column, other: &LogicalPlan, second: &Column) -> bool {
    let (Some(one), Some(other)) = (belief(one, first), belief(other, second)) else { return false };
    let values = one.values.max(other.values).max(1.0);
    one.rows * other.rows / values <= NARROW * one.rows.max(other.rows)
}

struct Belief {
    rows: f64,
    values: f64,
}

/// How many rows the table has that `plan` reads, and how many values that column of it.
fn belief(plan: &LogicalPlan, column: &Column) -> Option<Belief> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = sql_table(scan)?;
            let name = &table.table().columns[stored(scan, column)?].name;
            let statistics = table.remote().statistics(table.table())?;
            Some(Belief { rows: statistics.rows as f64, values: statistics.columns.get(name)?.distinct? as f64 })
        }
        LogicalPlan::Aggregate(_) => None,
        other => {
            let (input, columns) = below(other, std::slice::from_ref(column))?;
            belief(input, columns.first()?)
        }
    }
}

/// The input of a node that leaves rows as they are or leaves some out, and what `columns` are there, as far as they are columns.
fn below<'a>(plan: &'a LogicalPlan, columns: &[Column]) -> Option<(&'a LogicalPlan, Vec<Column>)> {
    match plan {
        LogicalPlan::Filter(filter) => Some((&filter.input, columns.to_vec())),
        LogicalPlan::SubqueryAlias(alias) => {
            let there = |column: &Column| {
                let at = alias.schema.maybe_index_of_column(column)?;
                Some(Column::from(alias.input.schema().qualified_field(at)))
            };
            Some((&alias.input, columns.iter().filter_map(there).collect()))
        }
        LogicalPlan::Projection(projection) => {
            let there = |column: &Column| {
                let at = projection.schema.maybe_index_of_column(column)?;
                match projection.expr[at].clone().unalias() {
                    Expr::Column(column) => Some(column),
                    _ => None,
                }
            };
            Some((&projection.input, columns.iter().filter_map(there).collect()))
        }
        _ => None,
    }
}

/// Which of its table's columns one of a scan is.
fn stored(scan: &TableScan, column: &Column) -> Option<usize> {
    let at = scan.projected_schema.maybe_index_of_column(column)?;
    Some(scan.projection.as_ref().map_or(at, |projection| projection[at]))
}

fn sql_table(scan: &TableScan) -> Option<SqlTable> {
    source_as_provider(&scan.source).ok()?.downcast_ref::<SqlTable>().cloned()
}
