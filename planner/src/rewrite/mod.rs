//! Rewrites PostgreSQL's syntax into what the planner below us plans, before names are resolved.
//!
//! Every rewrite keeps the meaning. Most are needed by the statements `psql` and drivers ask the system catalogs with: casts to
//! `regclass`, `ARRAY(SELECT ...)`, correlated subqueries, functions that give sets. Those of subqueries over relations are applied
//! only where system relations alone are read, or where the planner would refuse the statement otherwise.
//!
//! The functions whose names begin with `causeway_` come with [`StatementContext::functions`](crate::StatementContext::functions).

mod absent;
mod casts;
mod from;
mod operators;
mod scope;
mod selects;
mod subqueries;
mod syntax;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, VisitMut, VisitorMut,
};

pub use absent::ALWAYS_EMPTY;

/// Rewrites a statement in place.
pub(crate) fn rewrite(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => rewrite_sql(inner),
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {}
    }
}

fn rewrite_sql(statement: &mut SqlStatement) {
    let mut rewriter = Rewriter::default();
    let _never_broken: ControlFlow<()> = statement.visit(&mut rewriter);
    if let SqlStatement::Query(query) = statement {
        casts::show_names(&mut query.body);
    }
}

/// Walks a statement; inner queries and expressions are done when an outer one is.
#[derive(Default)]
struct Rewriter {
    /// The items of the selects around the current node, as they were written.
    written: Vec<Vec<SelectItem>>,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.written.push(select.projection.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        scope::resolve_system_columns(select);
        subqueries::count_instead_of_exists(select);
        absent::simplify(select);
        if let Some(written) = self.written.pop() {
            selects::keep_names(select, &written);
        }
        selects::separate_names(select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Query(inner) = query.body.as_mut()
            && query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
        {
            // `((SELECT ...))` says no more than `(SELECT ...)`, and the checks on subqueries look at the select itself.
            let inner = std::mem::replace(inner.as_mut(), syntax::empty_query());
            *query = inner;
        }
        subqueries::arrays_in_order(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        from::rewrite(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            selects::name_columns(subquery);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        operators::rewrite(expr);
        casts::rewrite(expr);
        subqueries::rewrite(expr);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
