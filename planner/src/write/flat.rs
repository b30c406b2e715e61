//! A query over bare tables, flattened: what it computes and under which conditions, each as one expression over stored columns.

use std::sync::Arc;

use causeway_providers::sql::{ChangeDialect, ColumnScope, ScopedColumn, SqlTable, TableScope};
use causeway_providers::{Comparison, RemoteTable};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;

use crate::arithmetic::plain_expr;
use crate::error::{Error, ErrorKind, Result};

/// What the row that was to be inserted is called in `ON CONFLICT`.
pub(super) const EXCLUDED: &str = "excluded";

/// A flattened query. Its columns are named as their source names them; those of [`EXCLUDED`] are qualified by that.
#[derive(Debug)]
pub(super) struct Flat {
    /// What it computes, in order, with checked arithmetic.
    pub(super) items: Vec<Expr>,
    /// What its rows must fulfil, all of it.
    pub(super) conditions: Vec<Expr>,
}

impl Flat {
    /// Flattens `plan`.
    ///
    /// # Errors
    /// `Unsupported` when it is more than conditions and expressions over stored columns.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut conditions = Vec::new();
        let items = flatten(plan, &mut conditions)?.into_iter().map(|(_, expr)| expr).collect();
        let mut conditions = conditions.into_iter().map(plain_expr).collect::<DataFusionResult<Vec<_>>>()?;
        // What always holds says nothing.
        conditions.retain(|condition| !matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _)));
        Ok(Self { items, conditions })
    }

    /// Whether no row fulfils the conditions, whatever it is.
    pub(super) fn is_empty(&self) -> bool {
        self.conditions
            .iter()
            .any(|condition| matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(false) | None) | ScalarValue::Null, _)))
    }
}

/// The columns of a node, and what each is over stored columns.
type Columns = Vec<(Column, Expr)>;

fn flatten(plan: &LogicalPlan, conditions: &mut Vec<Expr>) -> Result<Columns> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = flatten(&projection.input, conditions)?;
            let items = projection.expr.iter().map(|expr| substitute(expr.clone(), &input)).collect::<Result<Vec<_>>>()?;
            Ok(projection.schema.columns().into_iter().zip(items).collect())
        }
        LogicalPlan::Filter(filter) => {
            let input = flatten(&filter.input, conditions)?;
            for condition in split_conjunction_owned(filter.predicate.clone()) {
                conditions.push(substitute(condition, &input)?);
            }
            Ok(input)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = flatten(&alias.input, conditions)?;
            let is_excluded = alias.alias == TableReference::bare(EXCLUDED);
            let items = input.into_iter().map(|(_, expr)| if is_excluded { excluded(expr) } else { expr });
            Ok(alias.schema.columns().into_iter().zip(items).collect())
        }
        LogicalPlan::Join(join) if join.on.is_empty() && join.filter.is_none() => {
            let mut columns = flatten(&join.left, conditions)?;
            columns.extend(flatten(&join.right, conditions)?);
            Ok(columns)
        }
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
            let is_stored = source_as_provider(&scan.source).is_ok_and(|provider| provider.downcast_ref::<SqlTable>().is_some());
            if !is_stored {
                return Err(too_much());
            }
            let columns = scan.projected_schema.columns().into_iter();
            Ok(columns.map(|column| (column.clone(), Expr::Column(Column::new_unqualified(column.name)))).collect())
        }
        _ => Err(too_much()),
    }
}

fn excluded(expr: Expr) -> Expr {
    match expr {
        Expr::Column(column) => Expr::Column(Column::new(Some(TableReference::bare(EXCLUDED)), column.name)),
        other => other,
    }
}

fn substitute(expr: Expr, columns: &Columns) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| match &expr {
        Expr::Column(column) => match columns.iter().find(|(known, _)| known == column) {
            Some((_, stored)) => Ok(Transformed::yes(stored.clone())),
            None => Ok(Transformed::no(expr)),
        },
        Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => Err(too_much().into()),
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(replaced.data.unalias_nested().data)
}

fn too_much() -> Error {
    Error::new(ErrorKind::Unsupported, "a change whose rows or values depend on other tables is not supported")
        .hint("Query the other tables first, and name the rows to change by their key.")
}

/// The stored columns as a statement that changes `table` writes them.
#[derive(Debug)]
pub(super) struct ChangedTable<'a> {
    own: TableScope<'a>,
    excluded: TableScope<'a>,
    dialect: &'a dyn ChangeDialect,
    texts: Texts,
    is_assigned: bool,
}

/// How texts compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    AsStored,
    ByCodePoint,
}

impl<'a> ChangedTable<'a> {
    /// Behind `qualifier`, which is quoted, or alone.
    pub(super) fn new(table: &'a RemoteTable, dialect: &'a dyn ChangeDialect, qualifier: Option<&'a str>) -> Self {
        let excluded = TableScope::new(table, dialect, Some(EXCLUDED));
        Self { own: TableScope::new(table, dialect, qualifier), excluded, dialect, texts: Texts::AsStored, is_assigned: false }
    }

    /// The same, for values that are assigned.
    pub(super) fn assigned(self) -> Self {
        Self { is_assigned: true, ..self }
    }

    /// The same, with texts that compare code point by code point.
    pub(super) fn by_code_point(self) -> Self {
        Self { texts: Texts::ByCodePoint, ..self }
    }
}

impl ColumnScope for ChangedTable<'_> {
    fn resolve(&self, column: &Column) -> Option<ScopedColumn<'_>> {
        let found = if column.relation.is_some() { self.excluded.resolve(column) } else { self.own.resolve(column) }?;
        let forced = match self.texts {
            Texts::AsStored => None,
            Texts::ByCodePoint => found.column.and_then(|stored| self.dialect.by_code_point(stored, &found.sql)),
        };
        Some(match forced {
            Some(sql) => ScopedColumn { sql, comparison: Comparison::Total, collation: None, ..found },
            None => found,
        })
    }

    fn is_assigned(&self) -> bool {
        self.is_assigned
    }

    fn subquery(&self, _plan: &Arc<LogicalPlan>) -> Option<ScopedColumn<'_>> {
        None
    }
}
