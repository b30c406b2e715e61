//! The names of a select's columns, which must differ here and need not in PostgreSQL.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::syntax::{exact, folded, parts};
use crate::column_names::named;

/// Gives rewritten items the names they had as they were `written`.
pub(super) fn keep_names(select: &mut Select, written: &[SelectItem]) {
    if select.projection.len() != written.len() {
        return;
    }
    for (item, before) in select.projection.iter_mut().zip(written) {
        if item != before
            && let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = named(before)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: exact(name) };
        }
    }
}

/// Makes equal names differ: `SELECT NULL, NULL`. The result's columns get their own names back when the query is described.
pub(super) fn separate_names(select: &mut Select) {
    separate_from_wildcards(select);
    let mut taken: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        let (expr, name) = match &*item {
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), folded(alias)),
            // A column of one relation may share its name with that of another: they are told apart by their qualifiers.
            SelectItem::UnnamedExpr(expr) => (expr.clone(), expr.to_string()),
            _ => continue,
        };
        if taken.insert(name.clone()) {
            continue;
        }
        let base = match &*item {
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            other => named(other).unwrap_or(name),
        };
        if let Some(free) = (1..).map(|n| format!("{base}_{n}")).find(|candidate| !taken.contains(candidate)) {
            taken.insert(free.clone());
            *item = SelectItem::ExprWithAlias { expr, alias: exact(free) };
        }
    }
}

/// `SELECT c.oid, c.*`: the column that is written out gets a name of its own.
fn separate_from_wildcards(select: &mut Select) {
    let mut everything = false;
    let mut relations: Vec<String> = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(_) => everything = true,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => relations.extend(parts(name).pop()),
            _ => {}
        }
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let (qualifier, column) = match &*expr {
            Expr::Identifier(column) => (None, column),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, column] => (Some(folded(qualifier)), column),
                _ => continue,
            },
            _ => continue,
        };
        if everything || qualifier.is_some_and(|q| relations.contains(&q)) {
            let alias = exact(format!("{}_{}", folded(column), at + 1));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Gives the columns of a derived table the names PostgreSQL makes up, so that they can be referred to.
pub(super) fn name_columns(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let names: Vec<Option<String>> = select.projection.iter().map(named).collect();
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let unique = names[at].as_ref().filter(|name| names.iter().filter(|n| n.as_ref() == Some(*name)).count() == 1);
        if let Some(name) = unique {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: exact(name.clone()) };
        }
    }
}

/// `(SELECT expr AS column) AS alias`.
pub(super) fn value_relation(expr: Expr, column: &str, alias: Option<TableAlias>) -> TableFactor {
    let mut query = parse_query("SELECT 1");
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias { expr, alias: exact(column) }];
    }
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
}

/// A query of our own words.
pub(super) fn parse_query(sql: &str) -> Query {
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).expect("our own words tokenize");
    *parser.parse_query().expect("our own words parse")
}
