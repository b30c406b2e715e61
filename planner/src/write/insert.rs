//! `INSERT`: a query whose columns are cast to those of the table, and whose rows the source takes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Insert as SqlInsert, Parens, Query as SqlQuery, SelectItem, SetExpr, TableFactor, TableObject, Value, ValueWithSpan,
    Values,
};
use futures::StreamExt;

use super::conflict::{Conflict, ConflictClause};
use super::syntax::{assigned, factor, is_default, select_of, statement, template, unsupported};
use super::target::Target;
use super::{Planning, Run, Work, of};
use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;

/// A planned `INSERT`.
pub(super) struct Insert {
    /// Gives the rows.
    source: Query,
    /// The positions in the table of the columns that the rows have values for.
    columns: Vec<usize>,
    conflict: Option<Conflict>,
}

/// Plans an `INSERT`.
pub(super) async fn plan(planning: &Planning<'_>, insert: &SqlInsert, declared: &[Option<DataType>]) -> Result<Query> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(unsupported("INSERT into anything but a table", "Name the table itself."));
    };
    let is_foreign = insert.or.is_some()
        || insert.ignore
        || insert.overwrite
        || !insert.assignments.is_empty()
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || insert.output.is_some()
        || insert.replace_into
        || insert.insert_alias.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some();
    if is_foreign {
        return Err(unsupported("this form of INSERT", "INSERT INTO table (columns) VALUES (...) ON CONFLICT ... RETURNING ... is."));
    }
    let target = Target::find(name, planning.context).await?;
    let alias = insert.table_alias.as_ref().map(|alias| alias.alias.to_string());
    let factor = factor(&name.to_string(), alias.as_deref())?;
    let listed = insert.columns.iter().map(|name| target.position_of(name)).collect::<Result<Vec<_>>>()?;
    if let Some(twice) = listed.iter().enumerate().find_map(|(at, column)| listed[..at].contains(column).then_some(*column)) {
        return Err(Error::new(ErrorKind::DuplicateColumn, format!("column \"{}\" specified more than once", target.column(twice).name)));
    }
    let columns = if insert.columns.is_empty() { Columns::All(target.published()) } else { Columns::Listed(listed) };
    let (query, columns) = match &insert.source {
        Some(source) => source_of(planning, &target, source, columns, declared).await?,
        None => (template("SELECT 1")?, Vec::new()),
    };
    let source = planning.query(statement(query), declared).await?;
    let mut types = source.parameter_types().to_vec();
    let conflict = match &insert.on {
        Some(on) => Some(Conflict::plan(planning, &target, &factor, on, &mut types).await?),
        None => None,
    };
    let work = Work::Insert(Insert { source: source.clone(), columns, conflict });
    planning.finish(target, &factor, work, &source, types, insert.returning.as_ref()).await
}

/// The columns a statement inserts into.
enum Columns {
    /// It lists none: those of the table, as far as there are values.
    All(Vec<usize>),
    Listed(Vec<usize>),
}

impl Columns {
    /// Those that `count` values are for.
    fn of(self, count: usize) -> Result<Vec<usize>> {
        let mut columns = match self {
            Self::Listed(columns) if count < columns.len() => {
                return Err(Error::new(ErrorKind::Syntax, "INSERT has more target columns than expressions"));
            }
            Self::All(columns) | Self::Listed(columns) => columns,
        };
        if count > columns.len() {
            return Err(Error::new(ErrorKind::Syntax, "INSERT has more expressions than target columns"));
        }
        columns.truncate(count);
        Ok(columns)
    }
}

/// The query that gives the rows, with its columns of the table's types, and the columns they are for.
async fn source_of(
    planning: &Planning<'_>,
    target: &Target,
    source: &SqlQuery,
    columns: Columns,
    declared: &[Option<DataType>],
) -> Result<(SqlQuery, Vec<usize>)> {
    let mut source = source.clone();
    if let Some(with) = planning.with {
        match &mut source.with {
            Some(own) => own.cte_tables.splice(0..0, with.cte_tables.iter().cloned()).for_each(drop),
            None => source.with = Some(with.clone()),
        }
    }
    let is_plain = source.order_by.is_none() && source.limit_clause.is_none() && source.fetch.is_none();
    if is_plain && let SetExpr::Values(values) = source.body.as_mut() {
        let columns = cast_values(target, values, columns)?;
        return Ok((source, columns));
    }
    let count = match items_of(&mut source) {
        Some(items) => items.len(),
        // What a wildcard stands for is known when it is planned.
        None => planning.query(statement(source.clone()), declared).await?.schema().fields().len(),
    };
    let columns = columns.of(count)?;
    if let Some(items) = items_of(&mut source) {
        for (item, &column) in items.into_iter().zip(&columns) {
            if is_parameter(item) {
                *item = assigned(std::mem::replace(item, null()), target.column(column))?;
            }
        }
    }
    let names: Vec<String> = (0..count).map(|at| format!("c{at}")).collect();
    let items = names.join(", ");
    let mut query = template(&format!("SELECT {items} FROM (SELECT 1) AS causeway_source({items})"))?;
    let Some(select) = select_of(&mut query) else { return Err(unsupported("this form of INSERT", "Insert the result of a SELECT.")) };
    for (item, &column) in select.projection.iter_mut().zip(&columns) {
        if let SelectItem::UnnamedExpr(expr) = item {
            *expr = assigned(std::mem::replace(expr, null()), target.column(column))?;
        }
    }
    if let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        **subquery = source;
    }
    Ok((query, columns))
}

/// The items of a select that is no more than that, unless there is a wildcard among them.
fn items_of(query: &mut SqlQuery) -> Option<Vec<&mut SqlExpr>> {
    let select = select_of(query)?;
    if select.distinct.is_some() {
        return None;
    }
    let items = select.projection.iter_mut().map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    items.collect()
}

fn is_parameter(expr: &SqlExpr) -> bool {
    matches!(expr, SqlExpr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }))
}

fn null() -> SqlExpr {
    SqlExpr::value(Value::Null)
}

/// Casts each value to its column's type, so that parameters are of that. Columns that every row leaves to their default go.
fn cast_values(target: &Target, values: &mut Values, columns: Columns) -> Result<Vec<usize>> {
    let count = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.iter().any(|row| row.content.len() != count) {
        return Err(Error::new(ErrorKind::Syntax, "VALUES lists must all be the same length"));
    }
    let columns = columns.of(count)?;
    let mut kept = Vec::with_capacity(columns.len());
    for (at, &column) in columns.iter().enumerate() {
        let defaults = values.rows.iter().filter(|row| is_default(&row.content[at])).count();
        if defaults == 0 {
            kept.push(at);
        } else if defaults < values.rows.len() {
            let name = &target.column(column).name;
            let what = format!("DEFAULT for column \"{name}\" in some rows only");
            return Err(unsupported(&what, "Insert these rows by a statement of their own."));
        }
    }
    for Parens { content: row, .. } in &mut values.rows {
        let mut cells: Vec<Option<SqlExpr>> = std::mem::take(row).into_iter().map(Some).collect();
        *row = kept.iter().map(|&at| assigned(cells[at].take().unwrap_or_else(null), target.column(columns[at]))).collect::<Result<_>>()?;
        if row.is_empty() {
            row.push(null());
        }
    }
    Ok(kept.into_iter().map(|at| columns[at]).collect())
}

impl Insert {
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// What becomes of rows whose key is there already.
    pub(super) fn conflict_clause(&self, target: &Target, parameters: &[ScalarValue]) -> Result<ConflictClause> {
        self.conflict.as_ref().map_or_else(|| Ok(ConflictClause::default()), |conflict| conflict.clause(target, parameters))
    }

    /// Starts the query that gives the rows, which are counted in `sent`.
    pub(super) async fn rows(&self, target: &Target, run: &Run<'_>, sent: Arc<AtomicU64>) -> Result<SendableRecordBatchStream> {
        let parameters = of(&self.source, run.parameters);
        let rows = self.source.execute_within(parameters, run.progress, Arc::clone(&run.memory)).await?.rows;
        let fields = self.columns.iter().map(|&column| target.column(column).field().with_nullable(true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let shown = Arc::clone(&schema);
        let rows = rows.map(move |batch| {
            let batch = exactly(&batch?, &schema)?;
            sent.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(shown, rows)))
    }
}

/// `batch` with the types of `schema`; what does not fit is an error. Columns beyond those of `schema` are left out.
fn exactly(batch: &RecordBatch, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let column = |(column, field): (&ArrayRef, &FieldRef)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast_with_options(column, field.data_type(), &strict).map_err(|cause| {
            let text = format!("a value for column \"{}\" is out of its range", field.name());
            DataFusionError::from(Error::new(ErrorKind::OutOfRange, text).hint(cause.to_string()))
        })
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<DataFusionResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
