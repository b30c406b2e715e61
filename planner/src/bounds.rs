//! How large a statement may be: what is planned cannot be ended before it is done, and its time and memory grow faster than its text.
//!
//! A query that `WITH` names is planned in each place that names it, so thirty of them, each naming the one before twice, are a billion.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, ObjectNamePart, Query, Select, Statement, Visit, Visitor};

use crate::error::{Error, ErrorKind, Result};

/// PostgreSQL's own limit of a select list.
const MOST_COLUMNS: usize = 1664;

/// Relations that a statement reads, those of named queries as often as these are named.
const MOST_RELATIONS: usize = 1000;

/// How deeply named queries and subqueries may stand in one another.
const DEEPEST: usize = 300;

/// Refuses a statement that would take too long to plan.
///
/// # Errors
/// When it selects too many columns or reads too many relations.
pub(crate) fn admit(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Sizes::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// How much is read, and through how many queries within one another.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    relations: usize,
    depth: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.relations = self.relations.saturating_add(other.relations);
        self.depth = self.depth.max(other.depth);
    }
}

/// A query around the place where the walk is.
#[derive(Debug, Default)]
struct Around {
    size: Size,
    /// What its `WITH` names and is walked already.
    known: BTreeMap<String, Size>,
    /// What its `WITH` names, by the address of the query.
    named: BTreeMap<usize, String>,
}

#[derive(Debug, Default)]
struct Sizes(Vec<Around>);

impl Visitor for Sizes {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = named.map(|cte| (std::ptr::from_ref(cte.query.as_ref()).addr(), cte.alias.name.value.clone())).collect();
        self.0.push(Around { named, ..Around::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let Some(Around { mut size, .. }) = self.0.pop() else { return ControlFlow::Continue(()) };
        size.depth += 1;
        if size.relations > MOST_RELATIONS {
            return refused(format!("a query reads more than {MOST_RELATIONS} relations, those of WITH in each place that names them"));
        }
        if size.depth > DEEPEST {
            return refused(format!("queries stand more than {DEEPEST} deep in one another"));
        }
        if let Some(around) = self.0.last_mut() {
            match around.named.get(&std::ptr::from_ref(query).addr()) {
                Some(name) => {
                    around.known.insert(name.clone(), size);
                }
                None => around.size.add(size),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Error> {
        let size = match relation.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => self.0.iter().rev().find_map(|around| around.known.get(&name.value)).copied(),
            _ => None,
        };
        if let Some(around) = self.0.last_mut() {
            around.size.add(size.unwrap_or(Size { relations: 1, depth: 0 }));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.projection.len() > MOST_COLUMNS {
            return refused(format!("target lists can have at most {MOST_COLUMNS} entries"));
        }
        ControlFlow::Continue(())
    }
}

fn refused(message: String) -> ControlFlow<Error> {
    ControlFlow::Break(Error::new(ErrorKind::LimitExceeded, message).hint("Split the statement into several."))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::{MOST_COLUMNS, admit};
    use crate::error::ErrorKind;

    fn told(sql: &str) -> Option<ErrorKind> {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        admit(&statements[0]).err().map(|error| error.kind())
    }

    /// Named queries of which each reads the one before so many times.
    fn named(queries: usize, times: usize) -> String {
        let each = (1..queries).map(|at| format!(", t{at} AS (SELECT 1 FROM {})", vec![format!("t{}", at - 1); times].join(", ")));
        format!("WITH t0 AS (SELECT 1 FROM x){} SELECT * FROM t{}", each.collect::<String>(), queries - 1)
    }

    #[test]
    fn what_grows_by_naming_is_counted() {
        assert_eq!(told(&named(9, 2)), None);
        assert_eq!(told(&named(30, 2)), Some(ErrorKind::LimitExceeded));
        assert_eq!(told(&named(100, 1)), None);
        assert_eq!(told(&named(400, 1)), Some(ErrorKind::LimitExceeded));
        // A name within a query is another query's.
        assert_eq!(told("WITH a AS (WITH b AS (SELECT 1 FROM x) SELECT 1 FROM b, b) SELECT 1 FROM a, b"), None);
        assert_eq!(told("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 9) SELECT * FROM r, r AS s"), None);
    }

    #[test]
    fn columns_are_counted() {
        let columns = |count: usize| format!("SELECT {}", vec!["1"; count].join(", "));
        assert_eq!(told(&columns(MOST_COLUMNS)), None);
        assert_eq!(told(&columns(MOST_COLUMNS + 1)), Some(ErrorKind::LimitExceeded));
    }
}
