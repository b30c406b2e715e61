//! Which relations a select reads, and which columns are its own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinOperator, ObjectName, Select, TableFactor, TableWithJoins, Visit, Visitor, visit_expressions_mut,
};

use super::syntax::{call, folded, number, parts, text};

/// A relation of a select under the name its columns are qualified with.
pub(super) struct Named {
    pub(super) alias: String,
    /// The relation's name in `pg_catalog` or `information_schema`, if it is one of theirs.
    pub(super) system: Option<String>,
}

/// The relations of a select, joined ones included.
pub(super) fn relations(select: &Select) -> Vec<Named> {
    relations_of(&select.from)
}

/// The names that columns of these relations are qualified with.
pub(super) fn aliases(from: &[TableWithJoins]) -> Vec<String> {
    relations_of(from).into_iter().map(|relation| relation.alias).collect()
}

fn relations_of(from: &[TableWithJoins]) -> Vec<Named> {
    from.iter().flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))).flat_map(named).collect()
}

fn named(factor: &TableFactor) -> Vec<Named> {
    let (alias, system) = match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let own = parts(name).pop().unwrap_or_default();
            (alias.as_ref().map_or(own, |a| folded(&a.name)), system_relation(name))
        }
        TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
            (alias.as_ref().map_or_else(|| parts(name).pop().unwrap_or_default(), |a| folded(&a.name)), None)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => {
            let factors = std::iter::once(&table_with_joins.relation).chain(table_with_joins.joins.iter().map(|j| &j.relation));
            return factors.flat_map(named).collect();
        }
        TableFactor::Derived { alias: Some(alias), .. } | TableFactor::UNNEST { alias: Some(alias), .. } => (folded(&alias.name), None),
        _ => return Vec::new(),
    };
    vec![Named { alias, system }]
}

/// The name of a system relation: qualified, or with the prefix that PostgreSQL reserves.
pub(super) fn system_relation(name: &ObjectName) -> Option<String> {
    match parts(name).as_slice() {
        [name] if name.starts_with("pg_") => Some(name.clone()),
        [.., schema, name] if schema == "pg_catalog" || schema == "information_schema" => Some(name.clone()),
        _ => None,
    }
}

/// Whether every relation that is read, at any depth, is a system relation or a function.
pub(super) fn reads_system_only(node: &impl Visit) -> bool {
    struct Reader {
        system_only: bool,
    }
    impl Visitor for Reader {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor {
                self.system_only &= system_relation(name).is_some();
            }
            ControlFlow::Continue(())
        }
    }
    let mut reader = Reader { system_only: true };
    let _never_broken = node.visit(&mut reader);
    reader.system_only
}

/// Relations without whose rows a select has none: all but the optional sides of outer joins.
pub(super) fn required<'a>(select: &'a Select) -> impl Iterator<Item = &'a TableFactor> {
    select.from.iter().flat_map(|from| {
        let first_is_optional = from
            .joins
            .iter()
            .any(|j| matches!(j.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)));
        let joined = move |join: &&'a Join| {
            matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)) && !first_is_optional
        };
        let first = (!first_is_optional).then_some(&from.relation);
        first.into_iter().chain(from.joins.iter().filter(joined).map(|j| &j.relation))
    })
}

/// `c.tableoid` and `c.xmin`, which every relation of PostgreSQL has without listing them.
pub(super) fn resolve_system_columns(select: &mut Select) {
    let relations = relations(select);
    if relations.iter().all(|r| r.system.is_none()) {
        return;
    }
    let of = |qualifier: Option<&Ident>| match qualifier {
        Some(name) => relations.iter().find(|r| r.alias == folded(name)).and_then(|r| r.system.clone()),
        None => match relations.as_slice() {
            [only] => only.system.clone(),
            _ => None,
        },
    };
    let _never_broken: ControlFlow<()> = visit_expressions_mut(select, |expr| {
        let (qualifier, column) = match &*expr {
            Expr::Identifier(column) => (None, folded(column)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, column] => (Some(qualifier), folded(column)),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        let replacement = match column.as_str() {
            "tableoid" => of(qualifier).map(|name| call("causeway_regclass", vec![text(format!("pg_catalog.{name}"))])),
            "xmin" => of(qualifier).map(|_| number(1)),
            _ => None,
        };
        if let Some(replacement) = replacement {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    });
}
