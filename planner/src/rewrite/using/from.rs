//! The joins of a `FROM`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr, TableAlias, TableFactor, TableWithJoins, Value,
};

use super::super::dependent_columns::KnownNames;
use super::super::scope::aliases;
use super::super::syntax::{all, binary, call, exact, folded, parse_query, parts};
use super::scope::{Relation, Scope, Shown};
use super::{Columns, Stop, Walk, listed, shares};
use crate::error::{Error, ErrorKind};

/// The relations that were read so far.
struct Read {
    relations: Vec<Relation>,
    /// What the parts show of which nothing is joined yet: the last is that of the part that is read.
    parts: Vec<Vec<Shown>>,
    /// Names that more than one relation has.
    doubled: Vec<String>,
    /// Whether a join shares columns.
    shares: bool,
}

impl Read {
    fn scope(&self, shown: Vec<Shown>) -> Scope {
        Scope { relations: self.relations.clone(), shown }
    }

    /// What a lateral part sees.
    fn so_far(&self) -> Scope {
        self.scope(self.parts.iter().flatten().cloned().collect())
    }

    fn add(&mut self, qualifier: Vec<Ident>, columns: Columns) {
        self.parts.push(vec![Shown::Rest(self.relations.len())]);
        self.relations.push(Relation { qualifier, columns, hidden: Vec::new() });
    }
}

/// The side of a join whose shared columns are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

impl Side {
    fn name(self) -> &'static str {
        if self == Self::Right { "right" } else { "left" }
    }
}

impl<N: KnownNames> Walk<'_, N> {
    /// Rewrites the joins of a select, and gives what its names mean.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins]) -> Result<Scope, Stop> {
        let mut names = aliases(from);
        names.sort();
        let doubled = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
        let mut read = Read { relations: Vec::new(), parts: Vec::new(), doubled, shares: from.iter().any(shares) };
        for tables in from {
            self.joined(&mut read, tables)?;
        }
        Ok(read.so_far())
    }

    fn joined(&mut self, read: &mut Read, tables: &mut TableWithJoins) -> Result<(), Stop> {
        self.factor(read, &mut tables.relation)?;
        for join in &mut tables.joins {
            self.factor(read, &mut join.relation)?;
            let right = read.parts.pop().unwrap_or_default();
            let left = read.parts.pop().unwrap_or_default();
            let shown = self.join(read, left, right, &mut join.join_operator)?;
            read.parts.push(shown);
        }
        Ok(())
    }

    fn factor(&mut self, read: &mut Read, factor: &mut TableFactor) -> Result<(), Stop> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let columns = match alias.as_ref().and_then(|alias| listed(&alias.columns)) {
                    Some(listed) => Some(listed),
                    None => self.columns_of(name)?,
                };
                read.add(qualifier(name, alias.as_ref(), &read.doubled), columns);
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                if alias.is_none() && read.shares {
                    self.unnamed += 1;
                    let name = exact(format!("causeway_unnamed_{}", self.unnamed));
                    *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
                }
                let columns = if *lateral { self.lateral(read, |walk| walk.query(subquery))? } else { self.query(subquery)? };
                let listed = alias.as_ref().and_then(|alias| listed(&alias.columns));
                read.add(alias.iter().map(|alias| alias.name.clone()).collect(), listed.or(columns));
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(read, table_with_joins)?,
            TableFactor::NestedJoin { table_with_joins, alias } => {
                // Its relations are not seen from outside, only what they show.
                let subquery = Box::new(all_of((**table_with_joins).clone()));
                *factor = TableFactor::Derived { lateral: false, subquery, alias: alias.take(), sample: None };
                self.factor(read, factor)?;
            }
            other => {
                let (name, alias) = match &*other {
                    TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => (Some(name), alias.as_ref()),
                    TableFactor::TableFunction { alias, .. } | TableFactor::UNNEST { alias, .. } => (None, alias.as_ref()),
                    _ => (None, None),
                };
                let columns = alias.and_then(|alias| listed(&alias.columns));
                let unnamed = ObjectName(Vec::new());
                let qualifier = qualifier(name.unwrap_or(&unnamed), alias, &[]);
                self.lateral(read, |walk| walk.meanings(other))?;
                read.add(qualifier, columns);
            }
        }
        Ok(())
    }

    /// Does what sees the parts before it.
    fn lateral<T>(&mut self, read: &Read, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.within(read.so_far(), work)
    }

    fn within<T>(&mut self, scope: Scope, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.scopes.push(scope);
        let done = work(self);
        self.scopes.pop();
        done
    }

    /// The columns of a table or a common table expression.
    fn columns_of(&self, name: &ObjectName) -> Result<Columns, Stop> {
        let name = parts(name);
        if let [name] = name.as_slice()
            && let Some((_, columns)) = self.expressions.iter().rev().find(|(known, _)| known == name)
        {
            return Ok(columns.clone());
        }
        self.names.columns(&name).map(Some).ok_or(Stop::UnknownTable)
    }

    fn join(
        &mut self,
        read: &mut Read,
        mut left: Vec<Shown>,
        mut right: Vec<Shown>,
        operator: &mut JoinOperator,
    ) -> Result<Vec<Shown>, Stop> {
        use JoinOperator::{
            Anti, CrossJoin, FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightAnti, RightOuter, RightSemi, Semi,
        };
        let (constraint, side) = match operator {
            Join(constraint) | Inner(constraint) | Left(constraint) | LeftOuter(constraint) => (constraint, Side::Left),
            CrossJoin(constraint) => (constraint, Side::Left),
            Right(constraint) | RightOuter(constraint) => (constraint, Side::Right),
            FullOuter(constraint) => (constraint, Side::Both),
            Semi(_) | LeftSemi(_) | Anti(_) | LeftAnti(_) => return Ok(left),
            RightSemi(_) | RightAnti(_) => return Ok(right),
            _ => {
                left.append(&mut right);
                return Ok(left);
            }
        };
        let names = match constraint {
            JoinConstraint::On(condition) => {
                left.append(&mut right);
                self.within(read.scope(left.clone()), |walk| walk.meanings(condition))?;
                return Ok(left);
            }
            JoinConstraint::None => {
                left.append(&mut right);
                return Ok(left);
            }
            JoinConstraint::Using(columns) => listed_once(columns)?,
            JoinConstraint::Natural => common(read, &left, &right)?,
        };
        let (mut shown, mut equal) = (Vec::new(), Vec::new());
        for name in names {
            let here = take(read, &mut left, &name, Side::Left)?;
            let there = take(read, &mut right, &name, Side::Right)?;
            equal.push(binary(here.clone(), BinaryOperator::Eq, there.clone()));
            let value = match side {
                Side::Left => here,
                Side::Right => there,
                Side::Both => call("coalesce", vec![here, there]),
            };
            shown.push(Shown::Shared { name: folded(&name), value: Box::new(value) });
        }
        *constraint = JoinConstraint::On(all(equal).unwrap_or_else(|| Expr::value(Value::Boolean(true))));
        shown.append(&mut left);
        shown.append(&mut right);
        Ok(shown)
    }
}

/// The columns that `USING` lists.
fn listed_once(columns: &[ObjectName]) -> Result<Vec<Ident>, Stop> {
    let names: Vec<Ident> = columns.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].iter().any(|before| folded(before) == folded(name)) {
            let message = format!("column name \"{}\" appears more than once in USING clause", folded(name));
            return Err(Stop::Refused(Error::new(ErrorKind::DuplicateColumn, message)));
        }
    }
    Ok(names)
}

/// The columns that both sides of a natural join have.
fn common(read: &Read, left: &[Shown], right: &[Shown]) -> Result<Vec<Ident>, Stop> {
    let scope = read.scope(Vec::new());
    let (Some(left), Some(right)) = (scope.columns(left), scope.columns(right)) else {
        return Err(Stop::unsupported("where the columns of a joined relation are not known"));
    };
    let mut names: Vec<String> = Vec::new();
    for name in left {
        if right.contains(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().map(exact).collect())
}

/// What the column of that name is on one side of a join, which does not show it alone any more.
fn take(read: &mut Read, shown: &mut Vec<Shown>, name: &Ident, side: Side) -> Result<Expr, Stop> {
    let column = folded(name);
    let places = read.scope(Vec::new()).places(shown, &column);
    let at = match places.as_slice() {
        [at] => *at,
        [] => {
            let is_open = |shown: &Shown| matches!(shown, Shown::Rest(at) if read.relations[*at].columns.is_none());
            let open: Vec<usize> = shown.iter().enumerate().filter(|(_, shown)| is_open(shown)).map(|(at, _)| at).collect();
            match open.as_slice() {
                [at] => *at,
                [] => {
                    let message = format!("column \"{column}\" specified in USING clause does not exist in {} table", side.name());
                    return Err(Stop::Refused(Error::new(ErrorKind::UndefinedColumn, message)));
                }
                _ => return Err(Stop::unsupported("where the columns of joined relations are not known")),
            }
        }
        _ => {
            let message = format!("common column name \"{column}\" appears more than once in {} table", side.name());
            return Err(Stop::Refused(Error::new(ErrorKind::AmbiguousColumn, message)));
        }
    };
    let relation = match &shown[at] {
        Shown::Rest(at) => &mut read.relations[*at],
        Shown::Shared { value, .. } => {
            let value = value.clone();
            shown.remove(at);
            return Ok(*value);
        }
    };
    if relation.qualifier.is_empty() {
        return Err(Stop::unsupported("where a joined relation has no name"));
    }
    relation.hidden.push(column);
    Ok(Expr::CompoundIdentifier(relation.qualifier.iter().chain([name]).cloned().collect()))
}

/// What columns of a relation are qualified with: its alias or name, and its schema where another one has the name too.
fn qualifier(name: &ObjectName, alias: Option<&TableAlias>, doubled: &[String]) -> Vec<Ident> {
    if let Some(alias) = alias {
        return vec![alias.name.clone()];
    }
    let mut names: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
    if names.last().is_some_and(|last| !doubled.contains(&folded(last))) {
        names.drain(..names.len() - 1);
    }
    names
}

/// `SELECT * FROM tables`.
fn all_of(tables: TableWithJoins) -> Query {
    let mut query = parse_query("SELECT * FROM t");
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![tables];
    }
    query
}
