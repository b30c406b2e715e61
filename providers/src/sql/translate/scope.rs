//! What columns an expression can see, and how each is written and compared at the source.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::LogicalPlan;

use crate::remote::{Comparison, RemoteColumn, RemoteTable};
use crate::sql::dialect::Dialect;

/// A column as an expression can mention it.
#[derive(Debug, Clone)]
pub struct ScopedColumn<'a> {
    /// How to write it.
    pub sql: String,
    /// Its Arrow type.
    pub data_type: &'a DataType,
    /// Which comparisons agree.
    pub comparison: Comparison,
    /// The remote column behind it, when it is one and not a computed value.
    pub column: Option<&'a RemoteColumn>,
    /// The name of the collation it is compared under, when it is a text that has one.
    pub collation: Option<&'a str>,
}

/// What columns an expression can see.
pub trait ColumnScope {
    /// The column of that name, `None` when it is not the remote's.
    fn resolve(&self, column: &Column) -> Option<ScopedColumn<'_>>;

    /// Whether what is computed is assigned to a column, where a number that does not fit is refused.
    fn is_assigned(&self) -> bool {
        false
    }

    /// The value of a subquery that the same statement may compute, `None` when it is not the remote's.
    fn subquery(&self, plan: &Arc<LogicalPlan>) -> Option<ScopedColumn<'_>>;
}

/// The columns of one table, unqualified or behind an alias.
#[derive(Debug)]
pub struct TableScope<'a> {
    table: &'a RemoteTable,
    dialect: &'a dyn Dialect,
    alias: Option<&'a str>,
}

impl<'a> TableScope<'a> {
    /// The columns of `table`; `alias` is already quoted.
    pub fn new(table: &'a RemoteTable, dialect: &'a dyn Dialect, alias: Option<&'a str>) -> Self {
        Self { table, dialect, alias }
    }
}

impl ColumnScope for TableScope<'_> {
    fn resolve(&self, column: &Column) -> Option<ScopedColumn<'_>> {
        let found = self.table.columns.iter().find(|c| c.name == column.name)?;
        let quoted = self.dialect.quote(&found.name);
        let sql = match self.alias {
            Some(alias) => format!("{alias}.{quoted}"),
            None => quoted,
        };
        let collation = found.collation.as_deref();
        Some(ScopedColumn { sql, data_type: &found.data_type, comparison: found.comparison, column: Some(found), collation })
    }

    fn subquery(&self, _plan: &Arc<LogicalPlan>) -> Option<ScopedColumn<'_>> {
        None
    }
}
