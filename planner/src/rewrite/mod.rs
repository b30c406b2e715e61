//! Rewrites PostgreSQL's syntax into what the planner below us plans, before names are resolved.
//!
//! Every rewrite keeps the meaning. Most are needed by the statements `psql` and drivers ask the system catalogs with: casts to
//! `regclass`, `ARRAY(SELECT ...)`, correlated subqueries, functions that give sets. Those of subqueries over relations are applied
//! only where system relations alone are read, or where the planner would refuse the statement otherwise.
//!
//! The functions whose names begin with `causeway_` come with [`StatementContext::functions`](crate::StatementContext::functions), but
//! for those of `crate::json`.

mod absent;
mod casts;
mod dependent_columns;
mod from;
mod hidden_names;
mod limits;
mod numbers;
mod operators;
mod outer_names;
mod rows;
mod scope;
mod subqueries;
mod syntax;
mod using;
mod windows;

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Statement, TableFactor, VisitMut, VisitorMut};

pub use absent::ALWAYS_EMPTY;
pub(crate) use dependent_columns::{KeyedTable, KnownNames, group_by_dependents};
pub(crate) use outer_names::tell_apart;
pub(crate) use syntax::empty_query;
pub(crate) use using::join_on;

/// The statement as the planner below us plans it. Its select items must have their names already: a rewritten one would get another.
pub(crate) fn rewrite(mut statement: Statement) -> Statement {
    let ControlFlow::Continue(()) = statement.visit(&mut Rewriter);
    if let Statement::Query(query) = &mut statement {
        casts::show_names(&mut query.body);
    }
    statement
}

/// Walks a statement; inner queries and expressions are done when an outer one is.
struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Infallible;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        scope::resolve_system_columns(select);
        subqueries::count_instead_of_exists(select);
        absent::simplify(select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        if let SetExpr::Query(inner) = query.body.as_mut()
            && query.with.is_none()
            && query.fetch.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
        {
            // `((SELECT ...))` says no more than `(SELECT ...)`, and the checks on subqueries look at the select itself.
            let inner = std::mem::replace(inner.as_mut(), syntax::empty_query());
            *query = inner;
        }
        limits::rewrite(query);
        windows::written_out(query);
        subqueries::arrays_in_order(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Infallible> {
        from::rewrite(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        numbers::rewrite(expr);
        operators::rewrite(expr);
        rows::rewrite(expr);
        casts::rewrite(expr);
        subqueries::rewrite(expr);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
