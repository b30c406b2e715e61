//! `JOIN ... USING` and `NATURAL JOIN`: written with `ON`, and the columns that they share as what these are.
//!
//! To PostgreSQL a shared column is one column: of an inner or a left join the left side's, of a right join the right side's, of a full
//! join whichever is there. `*` shows it once and first, and its name alone means it, wherever it is written. The planner below us
//! takes the side whose relation comes first by its name, and the query around for what it finds ambiguous.

mod from;
mod names;
mod scope;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, Statement,
    TableAliasColumnDef, TableFactor, TableWithJoins, Visit, VisitMut, Visitor,
};

use self::names::Meanings;
use self::scope::{Scope, Sorted};
use super::dependent_columns::KnownNames;
use super::syntax::folded;
use crate::column_names::named;
use crate::error::{Error, ErrorKind};

/// `statement`, in which no join shares columns any more.
///
/// # Errors
/// Shared columns that are not there, or there twice; what is not known well enough to be answered.
pub(crate) fn join_on(statement: Statement, names: &impl KnownNames) -> Result<Statement, Error> {
    if statement.visit(&mut Finder).is_continue() {
        return Ok(statement);
    }
    let mut rewritten = statement.clone();
    let Statement::Query(query) = &mut rewritten else { return Ok(statement) };
    let mut walk = Walk { names, expressions: Vec::new(), scopes: Vec::new(), unnamed: 0 };
    match walk.query(query) {
        Ok(_) => Ok(rewritten),
        // The planner tells of a table that is not there.
        Err(Stop::UnknownTable) => Ok(statement),
        Err(Stop::Refused(error)) => Err(error),
    }
}

/// Why a statement is not rewritten.
enum Stop {
    UnknownTable,
    Refused(Error),
}

impl Stop {
    /// What is said where more would have to be known.
    fn unsupported(what: &str) -> Self {
        let error = Error::new(ErrorKind::Unsupported, format!("USING and NATURAL are not supported {what}"));
        Self::Refused(error.hint("Write ON instead, name the columns, and coalesce(a.x, b.x) for the shared one of a full join."))
    }

    fn ambiguous(name: &str) -> Self {
        Self::Refused(Error::new(ErrorKind::AmbiguousColumn, format!("column reference \"{name}\" is ambiguous")))
    }
}

/// The names of columns, in order; `None` where they are not known.
type Columns = Option<Vec<String>>;

/// Finds a join that shares columns.
struct Finder;

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.from.iter().any(shares) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Whether a join of these shares columns.
fn shares(from: &TableWithJoins) -> bool {
    let within = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => shares(table_with_joins),
        _ => false,
    };
    within(&from.relation) || from.joins.iter().any(|join| shared(&join.join_operator) || within(&join.relation))
}

fn shared(operator: &JoinOperator) -> bool {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match operator {
        Join(constraint)
        | Inner(constraint)
        | Left(constraint)
        | LeftOuter(constraint)
        | Right(constraint)
        | RightOuter(constraint)
        | FullOuter(constraint) => matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural),
        _ => false,
    }
}

/// A walk through a statement, from the outside to the inside.
struct Walk<'a, N> {
    names: &'a N,
    /// The common table expressions that are seen, and their columns.
    expressions: Vec<(String, Columns)>,
    /// What names mean here: the last comes first.
    scopes: Vec<Scope>,
    /// How many relations got a name because they had none.
    unnamed: usize,
}

impl<N: KnownNames> Walk<'_, N> {
    /// Rewrites a query, and gives the names of its columns.
    fn query(&mut self, query: &mut Query) -> Result<Columns, Stop> {
        let outer = self.expressions.len();
        if let Some(with) = &mut query.with {
            for table in &mut with.cte_tables {
                let (name, listed) = (folded(&table.alias.name), listed(&table.alias.columns));
                if with.recursive {
                    self.expressions.push((name.clone(), listed.clone().or_else(|| plain_names(&table.query))));
                }
                let columns = self.query(&mut table.query)?;
                self.expressions.push((name, listed.or(columns)));
            }
        }
        let Query { body, order_by, limit_clause, fetch, .. } = query;
        let columns = self.body(body, order_by.as_mut())?;
        self.meanings(limit_clause)?;
        self.meanings(fetch)?;
        self.expressions.truncate(outer);
        Ok(columns)
    }

    fn body(&mut self, body: &mut SetExpr, order: Option<&mut OrderBy>) -> Result<Columns, Stop> {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.body(left, None)?;
                self.body(right, None)?;
                Ok(columns)
            }
            SetExpr::Values(values) => {
                self.meanings(values)?;
                Ok(values.rows.first().map(|row| (1..=row.len()).map(|at| format!("column{at}")).collect()))
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => Ok(None),
        }
    }

    fn select(&mut self, select: &mut Select, order: Option<&mut OrderBy>) -> Result<Columns, Stop> {
        let mut from = std::mem::take(&mut select.from);
        let scope = self.from(&mut from)?;
        select.from = from;
        let columns = scope.columns_of(&select.projection);
        if scope.merges() {
            select.projection = scope.items(std::mem::take(&mut select.projection))?;
        }
        self.scopes.push(scope);
        let Select { projection, distinct, selection, group_by, having, named_window, qualify, .. } = select;
        // Names of items are still to be compared with keys.
        let items = projection.clone();
        self.meanings(projection)?;
        self.meanings(selection)?;
        self.meanings(having)?;
        self.meanings(named_window)?;
        self.meanings(qualify)?;
        if let GroupByExpr::Expressions(keys, _) = group_by {
            for key in keys {
                // A column goes before an item.
                let is_item = |name: &str| items.iter().any(|item| named(item).as_deref() == Some(name)) && !self.is_own(name);
                if !matches!(&*key, Expr::Identifier(name) if is_item(&folded(name))) {
                    self.meanings(key)?;
                }
            }
        }
        if let Some(Distinct::On(keys)) = distinct {
            keys.iter_mut().try_for_each(|key| self.sort_key(key, &items))?;
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order {
            keys.iter_mut().try_for_each(|key| self.sort_key(&mut key.expr, &items))?;
        }
        self.scopes.pop();
        Ok(columns)
    }

    /// A key of `ORDER BY` or `DISTINCT ON`, for which an item goes before a column.
    fn sort_key(&mut self, key: &mut Expr, items: &[SelectItem]) -> Result<(), Stop> {
        let Expr::Identifier(name) = &*key else { return self.meanings(key) };
        let name = folded(name);
        let Some(scope) = self.scopes.last() else { return self.meanings(key) };
        // The planner below us takes a name for ambiguous that an item and a relation have.
        match items.iter().find_map(|item| scope.sorted_by(item, &name)) {
            Some(Sorted::Column(column)) if scope.merges() => *key = *column,
            Some(_) => return Ok(()),
            None => {}
        }
        self.meanings(key)
    }

    /// Whether the select has a column of that name itself.
    fn is_own(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|scope| scope.has(name))
    }

    /// Puts what they mean in the place of the names in `node`, and rewrites the queries in it.
    fn meanings(&mut self, node: &mut impl VisitMut) -> Result<(), Stop> {
        match node.visit(&mut Meanings::new(self)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(stop) => Err(stop),
        }
    }
}

/// The names that an alias lists.
fn listed(columns: &[TableAliasColumnDef]) -> Columns {
    (!columns.is_empty()).then(|| columns.iter().map(|column| folded(&column.name)).collect())
}

/// The names of a query's columns as far as its text tells them.
fn plain_names(query: &Query) -> Columns {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return select.projection.iter().map(named).collect(),
            SetExpr::Query(inner) => body = inner.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Values(values) => return values.rows.first().map(|row| (1..=row.len()).map(|at| format!("column{at}")).collect()),
            _ => return None,
        }
    }
}
