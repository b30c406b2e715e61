//! Columns that a table's primary key determines. PostgreSQL lets a select that groups by the key name them as they are; to the planner
//! below us, they are grouped by too.
//!
//! That the key determines them is what the source says. If that is no longer so, rows are grouped by the key and by them.

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::syntax::{exact, folded, parts};

/// A table's columns, and those of its primary key.
#[derive(Debug, Clone)]
pub(crate) struct KeyedTable {
    /// All of them.
    pub(crate) columns: Vec<String>,
    /// Never empty.
    pub(crate) key: Vec<String>,
}

/// What is known of the names of a statement.
pub(crate) trait KnownNames {
    /// The columns of the table of that name, if there is one.
    fn columns(&self, name: &[String]) -> Option<Vec<String>>;

    /// The table of that name, if it has a primary key.
    fn keyed_table(&self, name: &[String]) -> Option<KeyedTable>;

    /// Whether any table of the statement has a column of that name.
    fn is_column(&self, name: &str) -> bool;

    /// Whether a function of that name makes one value of many.
    fn is_aggregate(&self, name: &str) -> bool;
}

/// `statement`, in which selects that group by a table's primary key group by the other columns of it that they mention.
pub(crate) fn group_by_dependents(mut statement: Statement, names: &impl KnownNames) -> Statement {
    let ControlFlow::Continue(()) = VisitMut::visit(&mut statement, &mut Grouper { names, around: Vec::new() });
    statement
}

struct Grouper<'a, N> {
    names: &'a N,
    /// The queries around.
    around: Vec<Around>,
}

/// A query that is walked through: the common table expressions come first.
struct Around {
    expressions: Vec<String>,
    is_recursive: bool,
    /// How many of the queries in it are done.
    done: usize,
}

impl Around {
    /// The common table expressions that are seen from where the walk stands.
    fn seen(&self) -> &[String] {
        if self.is_recursive { &self.expressions } else { &self.expressions[..self.done.min(self.expressions.len())] }
    }
}

impl<N: KnownNames> VisitorMut for Grouper<'_, N> {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        let with = query.with.as_ref();
        let expressions = with.map(|with| with.cte_tables.iter().map(|cte| folded(&cte.alias.name)).collect()).unwrap_or_default();
        self.around.push(Around { expressions, is_recursive: with.is_some_and(|with| with.recursive), done: 0 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = body.as_mut() {
            let order: Vec<&Expr> = match order_by.as_ref().map(|order_by| &order_by.kind) {
                Some(OrderByKind::Expressions(keys)) => keys.iter().map(|key| &key.expr).filter(|key| !is_alias(key, select)).collect(),
                Some(OrderByKind::All(_)) | None => Vec::new(),
            };
            let is_hidden = |table: &[String]| match table {
                [name] => self.around.iter().any(|around| around.seen().contains(name)),
                _ => false,
            };
            let added = dependents(select, &order, self.names, &is_hidden);
            if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
                keys.extend(added);
            }
        }
        self.around.pop();
        if let Some(around) = self.around.last_mut() {
            around.done += 1;
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression is the name of an item of the select, and nothing else.
fn is_alias(expr: &Expr, select: &Select) -> bool {
    let Expr::Identifier(name) = expr else { return false };
    select.projection.iter().any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == folded(name)))
}

/// What `select` is to be grouped by as well.
fn dependents(select: &Select, order: &[&Expr], names: &impl KnownNames, is_hidden: &dyn Fn(&[String]) -> bool) -> Vec<Expr> {
    let GroupByExpr::Expressions(keys, modifiers) = &select.group_by else { return Vec::new() };
    if keys.is_empty() || !modifiers.is_empty() || keys.iter().any(is_set) {
        return Vec::new();
    }
    let keys: Vec<&Expr> = keys.iter().map(|key| meant(key, select, names)).collect();
    let mut added = Vec::new();
    let mut mentions: Option<Mentions> = None;
    for (alias, table) in
        select.from.iter().flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))).flat_map(tables)
    {
        if is_hidden(&table) {
            continue;
        }
        let Some(table) = names.keyed_table(&table) else { continue };
        let is_key = |column: &str| keys.iter().any(|key| refers(key, &alias, column));
        if !table.key.iter().all(|column| is_key(column)) {
            continue;
        }
        let mentions = mentions.get_or_insert_with(|| Mentions::of(select, order, names));
        let is_wanted = |column: &&String| !is_key(column) && mentions.includes(&alias, column);
        added.extend(table.columns.iter().filter(is_wanted).map(|column| Expr::CompoundIdentifier(vec![exact(&alias), exact(column)])));
    }
    added
}

fn is_set(key: &Expr) -> bool {
    matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_))
}

/// The expression that a key of a grouping stands for: an item of the select by its number, or by its name where that is no column's.
fn meant<'a>(key: &'a Expr, select: &'a Select, names: &impl KnownNames) -> &'a Expr {
    let reads_tables_alone = || {
        select.from.iter().all(|from| {
            std::iter::once(&from.relation)
                .chain(from.joins.iter().map(|join| &join.relation))
                .all(|factor| matches!(factor, TableFactor::Table { args: None, .. }))
        })
    };
    let item = match key {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<usize>().ok().and_then(|place| select.projection.get(place.checked_sub(1)?)),
            _ => None,
        },
        Expr::Identifier(name) if !names.is_column(&folded(name)) && reads_tables_alone() => {
            select.projection.iter().find(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == folded(name)))
        }
        _ => None,
    };
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr,
        _ => key,
    }
}

/// Tables by the names that their columns are qualified with, and their own.
fn tables(factor: &TableFactor) -> Vec<(String, Vec<String>)> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let own = parts(name);
            match alias {
                Some(alias) if !alias.columns.is_empty() => Vec::new(),
                Some(alias) => vec![(folded(&alias.name), own)],
                None => own.last().cloned().map(|last| (last, own)).into_iter().collect(),
            }
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            let joined = table_with_joins.joins.iter().map(|join| &join.relation);
            std::iter::once(&table_with_joins.relation).chain(joined).flat_map(tables).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether an expression is a column of that name, of the relation `alias` or of none that is named.
fn refers(expr: &Expr, alias: &str, column: &str) -> bool {
    match expr {
        Expr::Identifier(name) => folded(name) == column,
        Expr::CompoundIdentifier(names) => match names.as_slice() {
            [.., relation, name] => folded(relation) == alias && folded(name) == column,
            _ => false,
        },
        Expr::Nested(inner) => refers(inner, alias, column),
        _ => false,
    }
}

/// The columns that a select mentions other than within aggregates, which see them before they are grouped.
#[derive(Default)]
struct Mentions {
    columns: Vec<Expr>,
    /// Whether all of them are meant, or all of some relations.
    all: bool,
}

impl Mentions {
    fn of(select: &Select, order: &[&Expr], names: &impl KnownNames) -> Self {
        let mut reader = Reader { names, mentions: Self::default(), aggregates: 0 };
        for item in &select.projection {
            reader.mentions.all |= matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
            let ControlFlow::Continue(()) = item.visit(&mut reader);
        }
        let ControlFlow::Continue(()) = select.distinct.visit(&mut reader);
        for expr in select.having.iter().chain(&select.qualify).chain(order.iter().copied()) {
            let ControlFlow::Continue(()) = expr.visit(&mut reader);
        }
        let ControlFlow::Continue(()) = select.named_window.visit(&mut reader);
        reader.mentions
    }

    fn includes(&self, alias: &str, column: &str) -> bool {
        self.all || self.columns.iter().any(|mention| refers(mention, alias, column))
    }
}

struct Reader<'a, N> {
    names: &'a N,
    mentions: Mentions,
    /// How many aggregates are around.
    aggregates: usize,
}

impl<N: KnownNames> Reader<'_, N> {
    fn is_aggregate(&self, expr: &Expr) -> bool {
        let is_named = |function: &Function| parts(&function.name).last().is_some_and(|name| self.names.is_aggregate(name));
        matches!(expr, Expr::Function(function) if function.over.is_none() && is_named(function))
    }
}

impl<N: KnownNames> Visitor for Reader<'_, N> {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        self.aggregates += usize::from(self.is_aggregate(expr));
        if self.aggregates == 0 && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            self.mentions.columns.push(expr.clone());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        self.aggregates -= usize::from(self.is_aggregate(expr));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    struct People;

    impl KnownNames for People {
        fn columns(&self, name: &[String]) -> Option<Vec<String>> {
            self.keyed_table(name).map(|table| table.columns)
        }

        fn keyed_table(&self, name: &[String]) -> Option<KeyedTable> {
            let columns = ["id", "name", "city"].map(str::to_owned).to_vec();
            (name.last()? == "people").then(|| KeyedTable { columns, key: vec!["id".to_owned()] })
        }

        fn is_column(&self, name: &str) -> bool {
            ["id", "name", "city", "p", "n", "x"].contains(&name)
        }

        fn is_aggregate(&self, name: &str) -> bool {
            name == "count" || name == "max"
        }
    }

    #[test]
    fn a_key_brings_the_columns_that_are_mentioned() {
        for (sql, wanted) in [
            ("SELECT id, name FROM people GROUP BY id", "id, \"people\".\"name\""),
            ("SELECT p.name, count(*) FROM s.people AS p JOIN o ON o.p = p.id GROUP BY p.id", "p.id, \"p\".\"name\""),
            ("SELECT id AS k, max(name) FROM people GROUP BY k", "k"),
            ("SELECT id, count(*) FROM people GROUP BY 1 HAVING name > 'x' ORDER BY city", "1, \"people\".\"name\", \"people\".\"city\""),
            ("SELECT * FROM people GROUP BY id", "id, \"people\".\"name\", \"people\".\"city\""),
            ("SELECT max(name || city) FROM people GROUP BY id", "id"),
            ("SELECT id, max(name) OVER () FROM people GROUP BY id", "id, \"people\".\"name\""),
            ("SELECT (SELECT max(x) FROM t WHERE t.n = p.name) FROM people p GROUP BY p.id", "p.id, \"p\".\"name\""),
            ("SELECT DISTINCT ON (name) id FROM people GROUP BY id", "id, \"people\".\"name\""),
            ("SELECT id, max(name) AS name FROM people GROUP BY id ORDER BY name", "id"),
            ("SELECT city AS id, count(*) FROM people GROUP BY id", "id, \"people\".\"city\""),
            ("WITH people AS (SELECT 1 AS id, 2 AS name) SELECT name FROM people GROUP BY id", "id"),
            ("WITH a AS (SELECT 1) SELECT * FROM (SELECT name FROM people GROUP BY id) AS q", "id, \"people\".\"name\") AS q"),
            ("WITH people AS (SELECT name FROM people GROUP BY id) SELECT 1", "id, \"people\".\"name\") SELECT 1"),
            ("SELECT name FROM people GROUP BY city", "city"),
            ("SELECT name FROM people AS p(a, b, c) GROUP BY id", "id"),
            ("SELECT name FROM others GROUP BY id", "id"),
            ("SELECT name FROM people GROUP BY ROLLUP (id)", "ROLLUP ((id))"),
        ] {
            let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            let grouped = group_by_dependents(statement, &People).to_string();
            let keys = grouped.split_once("GROUP BY ").unwrap().1;
            let keys = keys.split(" HAVING").next().unwrap().split(" ORDER").next().unwrap();
            assert_eq!(keys.replace("ROLLUP (id)", "ROLLUP ((id))"), wanted, "{sql}");
        }
    }
}
