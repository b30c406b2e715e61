//! `RETURNING`: a select over the rows as the source gives them back.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, TableFactor, Visit, Visitor};

use super::syntax::{only, select, statement, unsupported};
use super::target::Target;
use super::{Planning, Work};
use crate::error::Result;
use crate::query::Query;

/// Plans the list of a `RETURNING` over the table `factor`. It reads the table, until it is run over the rows that came back.
pub(super) async fn plan(
    planning: &Planning<'_>,
    target: &Target,
    factor: &TableFactor,
    work: &Work,
    items: &[SelectItem],
    declared: &[Option<DataType>],
) -> Result<Query> {
    let changes = target.changes().forms();
    let (verb, returns) = match work {
        Work::Insert(_) => ("INSERT", changes.insert_returning),
        Work::Change(change) if change.verb() == "UPDATE" => ("UPDATE", changes.update_returning),
        Work::Change(_) => ("DELETE", changes.delete_returning),
    };
    if !returns {
        return Err(unsupported(&format!("RETURNING of {verb} on this datasource"), "Query the rows by their key."));
    }
    if items.iter().any(|item| item.visit(&mut Subqueries).is_break()) {
        return Err(unsupported("a subquery in RETURNING", "Query the other tables by a statement of their own."));
    }
    let query = select(items.to_vec(), only(factor.clone()), None)?;
    planning.wording(statement(query), declared).await
}

struct Subqueries;

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
