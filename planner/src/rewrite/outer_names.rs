//! Relations that a subquery refers to from within, where one of its own columns has their name.
//!
//! `f.k` is column `k` of relation `f` to PostgreSQL, wherever `f` stands. The planner below us looks for a column `f` of the subquery
//! first, and takes `k` for a field of it. So such a relation gets another name, as does all that refers to it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, ObjectNamePart, OrderBy, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::hidden_names::Way;
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
                for renaming in self.renamings(select, order_by.as_ref()) {
                    renaming.apply(select);
                    if let Some(order_by) = order_by {
                        renaming.references(order_by);
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
            SetExpr::Select(select) => self.renamings(select, None).iter().for_each(|renaming| renaming.apply(select)),
            SetExpr::SetOperation { left, right, .. } => {
                self.branch(left);
                self.branch(right);
            }
            _ => {}
        }
    }

    /// The relations of a select that get another name, being asked for from within it or its `ORDER BY`.
    fn renamings(&mut self, select: &Select, order_by: Option<&OrderBy>) -> Vec<Renaming> {
        let names: Vec<String> = relations(select).into_iter().map(|relation| relation.alias).collect();
        let mut renamings = Vec::new();
        for from in names {
            let is_asked_for = || is_asked_for_from_within(select, &from) || order_by.is_some_and(|by| is_asked_for_from_within(by, &from));
            if !self.columns.contains(&from) || !is_asked_for() {
                continue;
            }
            let mut to = format!("{from}_");
            while self.columns.contains(&to) || !self.taken.insert(to.clone()) {
                to.push('_');
            }
            renamings.push(Renaming { from, to: exact(to) });
        }
        renamings
    }
}

/// Whether a query within `node`, a select or what sees the same relations, refers to the relation `name`.
fn is_asked_for_from_within(node: &impl Visit, name: &str) -> bool {
    struct Finder<'a> {
        name: &'a str,
        way: Way<'a>,
    }
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.way.enter_query(query);
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.way.leave_query();
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            self.way.enter_select(select);
            ControlFlow::Continue(())
        }

        fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
            self.way.leave_select();
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.way.enter_factor(factor);
            ControlFlow::Continue(())
        }

        fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.way.leave_factor(factor);
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let refers = qualifier(expr).is_some_and(|qualifier| folded(qualifier) == self.name);
            if refers && self.way.is_within() && !self.way.is_hidden() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    node.visit(&mut Finder { name, way: Way::new(name) }).is_break()
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

/// One relation's new name.
struct Renaming {
    from: String,
    to: Ident,
}

impl Renaming {
    fn apply(&self, select: &mut Select) {
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
        self.references(select);
    }

    /// What refers to it from `node`, a select or what sees the same relations.
    fn references(&self, node: &mut impl VisitMut) {
        let ControlFlow::Continue(()) = node.visit(&mut References { renaming: self, way: Way::new(&self.from) });
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

/// Renames what refers to a relation, where nothing hides it.
struct References<'a> {
    renaming: &'a Renaming,
    way: Way<'a>,
}

impl VisitorMut for References<'_> {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        self.way.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Infallible> {
        self.way.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        self.way.enter_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Infallible> {
        self.way.leave_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Infallible> {
        self.way.enter_factor(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Infallible> {
        self.way.leave_factor(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        let Renaming { from, to } = self.renaming;
        if self.way.is_hidden() || qualifier(expr).is_none_or(|qualifier| folded(qualifier) != *from) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::CompoundIdentifier(parts) => {
                // What comes before, a schema, is not asked for with an alias.
                parts.drain(..parts.len() - 2);
                parts[0] = to.clone();
            }
            Expr::CompoundFieldAccess { root, .. } => **root = Expr::Identifier(to.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
