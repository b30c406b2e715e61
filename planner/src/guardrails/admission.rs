//! Whether a statement is a query and nothing else, by its parse tree.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Select, SetExpr, Statement as SqlStatement, TableFactor, Visit, Visitor};

use super::Guardrails;
use crate::error::{Error, ErrorKind, Result};

/// What to do instead of writing.
const READS: &str = "A limited role only reads: use SELECT, WITH or VALUES.";

/// Functions that may stand in FROM: those that give rows of the system catalogs, single values, or the elements of what is there.
const IN_FROM: [&str; 15] = [
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "generate_series",
    "parse_ident",
    "pg_available_extensions",
    "pg_backend_pid",
    "pg_get_keywords",
    "pg_is_in_recovery",
    "session_user",
    "string_to_array",
    "unnest",
    "version",
];

/// See [`Guardrails::admit`].
pub(super) fn admit(guardrails: &Guardrails, statement: &Statement) -> Result<()> {
    let query = match statement {
        Statement::Explain(explain) => return admit(guardrails, &explain.statement),
        Statement::Statement(inner) => inner.as_ref(),
        Statement::CreateExternalTable(_) => return Err(writes(guardrails, "CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => return Err(writes(guardrails, "COPY")),
        Statement::Reset(_) => return Err(guardrails.forbidden("RESET in this place")),
    };
    match query {
        SqlStatement::Query(_) => {}
        SqlStatement::Explain { .. } => return Err(guardrails.forbidden("EXPLAIN of EXPLAIN")),
        other => return Err(no_query(guardrails, other)),
    }
    match query.visit(&mut QueriesOnly(guardrails)) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The refusal of a statement that is no query, by what it would do.
fn no_query(guardrails: &Guardrails, statement: &SqlStatement) -> Error {
    let words = statement.to_string();
    let mut words = words.split_whitespace().map(str::to_uppercase);
    let verb = words.next().unwrap_or_else(|| "this".to_owned());
    match verb.as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "REPLACE" => writes(guardrails, &verb),
        "CREATE" | "ALTER" | "DROP" | "COMMENT" | "GRANT" | "REVOKE" | "RENAME" => {
            let object = words.next().unwrap_or_default();
            writes(guardrails, format!("{verb} {object}").trim_end())
        }
        other => guardrails.forbidden(other).hint("A limited role runs queries (SELECT, WITH, VALUES) and EXPLAIN of them."),
    }
}

fn writes(guardrails: &Guardrails, what: &str) -> Error {
    Error::new(ErrorKind::ReadOnly, format!("cannot execute {what}: role \"{}\" only reads", guardrails.role)).hint(READS)
}

/// Walks a query and all within it, and stops at what is more than a query.
struct QueriesOnly<'a>(&'a Guardrails);

impl QueriesOnly<'_> {
    fn query(&self, query: &Query) -> Result<()> {
        if !query.locks.is_empty() {
            return Err(writes(self.0, "SELECT FOR UPDATE or SHARE"));
        }
        let odd = [
            (query.for_clause.is_some(), "FOR XML or JSON"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "a pipe of operators"),
        ];
        if let Some((_, what)) = odd.into_iter().find(|(is_there, _)| *is_there) {
            return Err(self.0.forbidden(what));
        }
        self.body(&query.body)
    }

    fn body(&self, body: &SetExpr) -> Result<()> {
        match body {
            // What they hold is visited by itself.
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
            SetExpr::SetOperation { left, right, .. } => self.body(left).and_then(|()| self.body(right)),
            SetExpr::Insert(_) => Err(writes(self.0, "INSERT")),
            SetExpr::Update(_) => Err(writes(self.0, "UPDATE")),
            SetExpr::Delete(_) => Err(writes(self.0, "DELETE")),
            SetExpr::Merge(_) => Err(writes(self.0, "MERGE")),
        }
    }

    fn relation(&self, factor: &TableFactor) -> Result<()> {
        match factor {
            TableFactor::Table { args: None, with_hints, index_hints, .. } if with_hints.is_empty() && index_hints.is_empty() => Ok(()),
            TableFactor::Table { args: None, .. } => Err(self.0.forbidden("a hint on a table")),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => Ok(()),
            TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => Err(self.0.forbidden("this relation in FROM")),
        }
    }

    fn function(&self, name: &ObjectName) -> Result<()> {
        let parts: Vec<String> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.to_lowercase())).collect();
        let name = match parts.as_slice() {
            [function] => function,
            [schema, function] if schema == "pg_catalog" => function,
            _ => return Err(self.0.forbidden(&format!("function {name} in FROM"))),
        };
        if IN_FROM.contains(&name.as_str()) {
            return Ok(());
        }
        Err(self
            .0
            .forbidden(&format!("function {name} in FROM"))
            .hint(format!("In FROM there may be tables, subqueries and: {}.", IN_FROM.join(", "))))
    }
}

fn broken(admitted: Result<()>) -> ControlFlow<Error> {
    match admitted {
        Ok(()) => ControlFlow::Continue(()),
        Err(refusal) => ControlFlow::Break(refusal),
    }
}

impl Visitor for QueriesOnly<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        broken(self.query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.into.is_some() {
            return ControlFlow::Break(writes(self.0, "SELECT INTO"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        broken(self.relation(factor))
    }

    fn pre_visit_statement(&mut self, statement: &SqlStatement) -> ControlFlow<Error> {
        // The query itself is one, and nothing within it is.
        match statement {
            SqlStatement::Query(_) => ControlFlow::Continue(()),
            other => ControlFlow::Break(no_query(self.0, other)),
        }
    }
}
