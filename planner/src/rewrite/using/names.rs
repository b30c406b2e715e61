//! Names in expressions, and what they mean.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident, Query, VisitorMut};

use super::super::dependent_columns::KnownNames;
use super::super::syntax::folded;
use super::{Stop, Walk};

/// Puts what it means in the place of each name of a shared column. The queries within are walked through on their own.
pub(super) struct Meanings<'w, 'n, N> {
    walk: &'w mut Walk<'n, N>,
    /// The queries around that are done.
    depth: usize,
    /// Where names stand that are none of columns: fields, and relations before them.
    others: Vec<*const Expr>,
}

impl<'w, 'n, N> Meanings<'w, 'n, N> {
    pub(super) fn new(walk: &'w mut Walk<'n, N>) -> Self {
        Self { walk, depth: 0, others: Vec::new() }
    }
}

impl<N: KnownNames> VisitorMut for Meanings<'_, '_, N> {
    type Break = Stop;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Stop> {
        if self.depth == 0
            && let Err(stop) = self.walk.query(query)
        {
            return ControlFlow::Break(stop);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Stop> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Stop> {
        if self.depth == 0
            && let Expr::CompoundFieldAccess { root, access_chain } = expr
        {
            if matches!(access_chain.first(), Some(AccessExpr::Dot(_))) {
                self.others.push(std::ptr::from_ref(root.as_ref()));
            }
            self.others.extend(access_chain.iter().filter_map(|access| match access {
                AccessExpr::Dot(field) => Some(std::ptr::from_ref(field)),
                AccessExpr::Subscript(_) => None,
            }));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Stop> {
        let place = std::ptr::from_ref(expr);
        if self.depth == 0
            && let Expr::Identifier(name) = &*expr
            && !self.others.contains(&place)
        {
            match self.walk.meaning(name) {
                Ok(Some(value)) => *expr = value,
                Ok(None) => {}
                Err(stop) => return ControlFlow::Break(stop),
            }
        }
        ControlFlow::Continue(())
    }
}

impl<N: KnownNames> Walk<'_, N> {
    /// What a name means that stands alone; `None` if that is what the planner below us takes it for.
    fn meaning(&self, name: &Ident) -> Result<Option<Expr>, Stop> {
        let name = folded(name);
        let mut is_open = false;
        for scope in self.scopes.iter().rev() {
            match scope.value(&name)? {
                Some(_) if is_open => return Err(Stop::unsupported("where a subquery may have a column of the shared one's name")),
                Some(value) => return Ok(Some(value.clone())),
                None if scope.has(&name) => return Ok(None),
                None => is_open |= scope.is_open(),
            }
        }
        Ok(None)
    }
}
