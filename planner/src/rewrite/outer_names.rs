//! Relations that a subquery refers to from within, where one of its own columns has their name.
//!
//! `f.k` is column `k` of relation `f` to PostgreSQL, wherever `f` stands. The planner below us looks for a column `f` of the subquery
//! first, and takes `k` for a field of it. So such a relation gets another name, as does all that refers to it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableAlias, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::scope::relations;
use super::syntax::{exact, folded, parts};

/// `statement`, in which no relation that a subquery refers to has the name of a column. `columns` are those of the tables it reads.
pub(crate) fn tell_apart(mut statement: Statement, columns: HashSet<String>) -> Statement {
    let mut names = Names { columns, relations: HashSet::new() };
    let ControlFlow::Continue(()) = statement.visit(&mut names);
    let mut renamer = Renamer { taken: names.relations, columns: names.columns };
    let ControlFlow::Continue(()) = VisitMut::visit(&mut statement, &mut renamer);
    statement
}

/// All names there are, wherever they can be seen from.
struct Names {
    /// Columns of tables, and those the statement names.
    columns: HashSet<String>,
    /// Relations, aliases of them, and common table expressions.
    relations: HashSet<String>,
}

impl Names {
    fn alias(&mut self, alias: &TableAlias) {
        self.relations.insert(folded(&alias.name));
        self.columns.extend(alias.columns.iter().map(|column| folded(&column.name)));
    }
}

impl Visitor for Names {
    type Break = Infallible;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Infallible> {
        self.columns.extend(select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        }));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Infallible> {
        query.with.iter().flat_map(|with| &with.cte_tables).for_each(|table| self.alias(&table.alias));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { name, .. } | TableFactor::Function { name, .. } = factor {
            self.relations.extend(parts(name).pop());
        }
        if let TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } = factor
        {
            self.alias(alias);
        }
        ControlFlow::Continue(())
    }
}

/// Renames, inner queries first.
struct Renamer {
    columns: HashSet<String>,
    /// Names of relations anywhere in the statement, new ones included: a new name must neither hide another nor be hidden.
    taken: HashSet<String>,
}

impl VisitorMut for Renamer {
    type Break = Infallible;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        let Query { body, order_by, .. } = query;
        match body.as_mut() {
            SetExpr::Select(select) => {
                for mut renaming in self.renamings(select) {
                    renaming.apply(select);
                    if let Some(order_by) = order_by {
                        let ControlFlow::Continue(()) = VisitMut::visit(order_by, &mut renaming);
                    }
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.branch(left);
                self.branch(right);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Renamer {
    /// A part of a set operation, whose relations nobody outside of it sees.
    fn branch(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.renamings(select).iter_mut().for_each(|renaming| renaming.apply(select)),
            SetExpr::SetOperation { left, right, .. } => {
                self.branch(left);
                self.branch(right);
            }
            _ => {}
        }
    }

    fn renamings(&mut self, select: &Select) -> Vec<Renaming> {
        let names: Vec<String> = relations(select).into_iter().map(|relation| relation.alias).collect();
        let mut renamings = Vec::new();
        for from in names {
            if !self.columns.contains(&from) || !is_asked_for_from_within(select, &from) {
                continue;
            }
            let mut to = format!("{from}_");
            while self.columns.contains(&to) || !self.taken.insert(to.clone()) {
                to.push('_');
            }
            renamings.push(Renaming { from, to: exact(to), hidden: 0 });
        }
        renamings
    }
}

/// Whether a query within `select` refers to the relation `name` of it.
fn is_asked_for_from_within(select: &Select, name: &str) -> bool {
    struct Finder<'a> {
        name: &'a str,
        depth: usize,
        hidden: usize,
    }
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            self.hidden += usize::from(hides(query, self.name));
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            self.hidden -= usize::from(hides(query, self.name));
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let refers = qualifier(expr).is_some_and(|qualifier| folded(qualifier) == self.name);
            if refers && self.depth > 0 && self.hidden == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    select.visit(&mut Finder { name, depth: 0, hidden: 0 }).is_break()
}

/// Whether a query has a relation of its own of that name.
fn hides(query: &Query, name: &str) -> bool {
    fn reads(body: &SetExpr, name: &str) -> bool {
        match body {
            SetExpr::Select(select) => relations(select).iter().any(|relation| relation.alias == name),
            SetExpr::SetOperation { left, right, .. } => reads(left, name) || reads(right, name),
            _ => false,
        }
    }
    reads(&query.body, name)
}

/// What a column reference is qualified with.
fn qualifier(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., qualifier, _] => Some(qualifier),
            _ => None,
        },
        // `f.k[1]`
        Expr::CompoundFieldAccess { root, access_chain } => match (root.as_ref(), access_chain.as_slice()) {
            (Expr::Identifier(qualifier), [AccessExpr::Dot(_), ..]) => Some(qualifier),
            _ => None,
        },
        _ => None,
    }
}

/// One relation's new name, where nothing hides it.
struct Renaming {
    from: String,
    to: Ident,
    hidden: usize,
}

impl Renaming {
    fn apply(&mut self, select: &mut Select) {
        for from in &mut select.from {
            self.factor(&mut from.relation);
            from.joins.iter_mut().for_each(|join| self.factor(&mut join.relation));
        }
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && parts(name).last() == Some(&self.from)
            {
                *name = ObjectName(vec![ObjectNamePart::Identifier(self.to.clone())]);
            }
        }
        let ControlFlow::Continue(()) = VisitMut::visit(select, self);
    }

    fn factor(&self, factor: &mut TableFactor) {
        match factor {
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => match alias {
                Some(alias) if folded(&alias.name) == self.from => alias.name = self.to.clone(),
                None if parts(name).last() == Some(&self.from) => {
                    *alias = Some(TableAlias { explicit: true, name: self.to.clone(), columns: Vec::new(), at: None });
                }
                _ => {}
            },
            TableFactor::Derived { alias: Some(alias), .. } | TableFactor::UNNEST { alias: Some(alias), .. }
                if folded(&alias.name) == self.from =>
            {
                alias.name = self.to.clone();
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.factor(&mut table_with_joins.relation);
                table_with_joins.joins.iter_mut().for_each(|join| self.factor(&mut join.relation));
            }
            _ => {}
        }
    }
}

impl VisitorMut for Renaming {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        self.hidden += usize::from(hides(query, &self.from));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        self.hidden -= usize::from(hides(query, &self.from));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if self.hidden > 0 || qualifier(expr).is_none_or(|qualifier| folded(qualifier) != self.from) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::CompoundIdentifier(parts) => {
                // What comes before, a schema, is not asked for with an alias.
                parts.drain(..parts.len() - 2);
                parts[0] = self.to.clone();
            }
            Expr::CompoundFieldAccess { root, .. } => **root = Expr::Identifier(self.to.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
