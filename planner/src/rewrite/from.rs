//! Functions in FROM.

use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor};

use super::syntax::{call, exact, system_name};

/// Functions that give the rows of a system relation.
const RELATIONS: [(&str, &str); 9] = [
    ("pg_get_keywords", "pg_get_keywords"),
    ("pg_show_all_settings", "pg_settings"),
    ("pg_stat_get_activity", "pg_stat_activity"),
    ("pg_lock_status", "pg_locks"),
    ("pg_prepared_statement", "pg_prepared_statements"),
    ("pg_cursor", "pg_cursors"),
    ("pg_timezone_names", "pg_timezone_names"),
    ("pg_timezone_abbrevs", "pg_timezone_abbrevs"),
    ("pg_available_extensions", "pg_available_extensions"),
];

/// Functions of one value that some clients call in FROM.
const VALUES: [&str; 10] = [
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "session_user",
    "set_config",
    "version",
];

/// Rewrites one relation.
pub(super) fn rewrite(factor: &mut TableFactor) {
    let (name, arguments, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => (name, &args.args, alias),
        TableFactor::Function { name, args, alias, with_ordinality: false, .. } => (name, &*args, alias),
        _ => return,
    };
    let Some(function) = system_name(name) else { return };
    if let Some((_, relation)) = RELATIONS.iter().find(|(known, _)| *known == function) {
        let alias = alias.take().or_else(|| Some(alias_of(&function)));
        let name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(*relation)]);
        *factor = relation_of(name, alias);
        return;
    }
    let expressions: Option<Vec<_>> = arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    let Some(expressions) = expressions else { return };
    if function == "unnest" {
        let alias = alias.take();
        *factor =
            TableFactor::UNNEST { alias, array_exprs: expressions, with_offset: false, with_offset_alias: None, with_ordinality: false };
    } else if VALUES.contains(&function.as_str()) {
        let alias = alias.take().or_else(|| Some(alias_of(&function)));
        *factor = super::selects::value_relation(call(&function, expressions), &function, alias);
    } else if name.0.len() > 1 {
        *name = ObjectName::from(vec![exact(function)]);
    }
}

fn alias_of(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: exact(name), columns: Vec::new(), at: None }
}

fn relation_of(name: ObjectName, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}
