//! The table that a statement changes: what it is at its source, and by which names the statement knows its columns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use causeway_providers::sql::{ChangeDialect, Dialect, SqlTable};
use causeway_providers::{RemoteColumn, RemoteTable, TransactionalRemote};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use crate::engine::StatementContext;
use crate::error::{Error, ErrorKind, Result};
use crate::names;

/// A table that can be written to.
pub(super) struct Target {
    remote: Arc<dyn TransactionalRemote>,
    source: SqlTable,
    /// Published names and the positions at the source they stand for, in the published order.
    columns: Vec<(String, usize)>,
    /// Its schema and name here.
    place: (String, String),
}

impl Target {
    /// Finds the table `name`.
    pub(super) async fn find(name: &ObjectName, context: &StatementContext) -> Result<Self> {
        let reference = object_name_to_table_reference(name.clone(), true)?;
        let Some((schema, provider)) = names::find(context, &reference).await? else {
            return Err(Error::new(ErrorKind::UndefinedTable, format!("relation \"{}\" does not exist", spelled(&reference)))
                .of_table(reference.schema(), reference.table()));
        };
        let refused = |hint: &str| {
            Error::new(ErrorKind::Unsupported, format!("\"{}\" cannot be written to", spelled(&reference))).hint(hint.to_owned())
        };
        let (source, columns) = stored(&provider).ok_or_else(|| refused("Tables of databases can be changed, and no views of ours."))?;
        let remote =
            Arc::clone(source.remote()).as_transactional().ok_or_else(|| refused("The connector of its datasource only reads."))?;
        Ok(Self { remote, source, columns, place: (schema, reference.table().to_owned()) })
    }

    pub(super) fn remote(&self) -> &Arc<dyn TransactionalRemote> {
        &self.remote
    }

    pub(super) fn table(&self) -> &Arc<RemoteTable> {
        self.source.table()
    }

    /// The table as it is read.
    pub(super) fn source(&self) -> &SqlTable {
        &self.source
    }

    pub(super) fn dialect(&self) -> &dyn Dialect {
        self.remote.dialect()
    }

    /// How its source writes changes.
    pub(super) fn changes(&self) -> &dyn ChangeDialect {
        self.remote.change_dialect()
    }

    pub(super) fn query_timeout(&self) -> Option<Duration> {
        self.source.limits().query_timeout
    }

    /// Its schema and name here.
    pub(super) fn place(&self) -> &(String, String) {
        &self.place
    }

    /// The positions at the source of the published columns.
    pub(super) fn published(&self) -> Vec<usize> {
        self.columns.iter().map(|(_, index)| *index).collect()
    }

    /// What the column at the source's position `index` is.
    pub(super) fn column(&self, index: usize) -> &RemoteColumn {
        &self.table().columns[index]
    }

    /// The position at the source of the column that the statement calls `name`.
    pub(super) fn position(&self, name: &Ident) -> Result<usize> {
        let wanted = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_ascii_lowercase() };
        let found = self.columns.iter().find(|(published, _)| *published == wanted);
        found.map(|(_, index)| *index).ok_or_else(|| {
            Error::new(ErrorKind::UndefinedColumn, format!("column \"{wanted}\" of relation \"{}\" does not exist", self.place.1))
        })
    }

    /// The position of the column that the statement names `name`, which is one name without a table.
    pub(super) fn position_of(&self, name: &ObjectName) -> Result<usize> {
        match name.0.as_slice() {
            [part] if part.as_ident().is_some() => part.as_ident().map_or_else(|| Err(self.not_a_column(name)), |name| self.position(name)),
            _ => Err(self.not_a_column(name)),
        }
    }

    fn not_a_column(&self, name: &ObjectName) -> Error {
        Error::new(ErrorKind::UndefinedColumn, format!("{name} is no column of relation \"{}\"", self.place.1))
            .hint("Name the column alone, without its table.")
    }

    /// The table as a statement of the source names it.
    pub(super) fn name(&self) -> String {
        self.dialect().table(&self.table().schema, &self.table().name)
    }

    /// A `RETURNING` of all columns in the form their values arrive in.
    pub(super) fn returning(&self) -> String {
        let dialect = self.dialect();
        let items = self.table().columns.iter().map(|column| dialect.output(column, &dialect.quote(&column.name)));
        format!("RETURNING {}", items.collect::<Vec<_>>().join(", "))
    }
}

/// The source's table behind `provider` and the published columns, if it is one that is published as it is, or under other names.
fn stored(provider: &Arc<dyn TableProvider>) -> Option<(SqlTable, Vec<(String, usize)>)> {
    if let Some(table) = provider.downcast_ref::<SqlTable>() {
        let columns = table.table().columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        return Some((table.clone(), columns));
    }
    let plan = provider.get_logical_plan()?;
    let LogicalPlan::Projection(projection) = plan.as_ref() else { return None };
    let LogicalPlan::TableScan(scan) = projection.input.as_ref() else { return None };
    let inner = source_as_provider(&scan.source).ok()?;
    let table = inner.downcast_ref::<SqlTable>()?.clone();
    let columns = projection.expr.iter().map(|expr| {
        let (column, published) = match expr {
            Expr::Alias(alias) => match alias.expr.as_ref() {
                Expr::Column(column) => (column, alias.name.clone()),
                _ => return None,
            },
            Expr::Column(column) => (column, column.name.clone()),
            _ => return None,
        };
        Some((published, table.table().columns.iter().position(|stored| stored.name == column.name)?))
    });
    let columns = columns.collect::<Option<Vec<_>>>()?;
    Some((table, columns))
}

fn spelled(reference: &TableReference) -> String {
    match reference.schema() {
        Some(schema) => format!("{schema}.{}", reference.table()),
        None => reference.table().to_owned(),
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("remote", self.remote.id()).field("table", &self.table().subject()).finish_non_exhaustive()
    }
}
