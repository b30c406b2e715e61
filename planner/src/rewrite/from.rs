//! Functions in FROM.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::syntax::{call, cast, exact, system_name};

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
const VALUES: [&str; 12] = [
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "parse_ident",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "session_user",
    "set_config",
    "string_to_array",
    "version",
];

/// Functions whose 32 bit numbers are bounds of series, which must be 64 bit here.
const BOUNDS: [&str; 4] = ["array_length", "array_lower", "array_upper", "cardinality"];

/// Rewrites one relation.
pub(super) fn rewrite(factor: &mut TableFactor) {
    if let TableFactor::UNNEST { .. } = factor {
        name_element(factor);
        return;
    }
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
        name_element(factor);
    } else if VALUES.contains(&function.as_str()) {
        let alias = alias.take().unwrap_or_else(|| alias_of(&function));
        let column = alias.columns.first().map_or(&alias.name, |c| &c.name).value.clone();
        *factor = super::syntax::value_relation(call(&function, expressions), &column, Some(alias));
    } else {
        if name.0.len() > 1 {
            *name = ObjectName::from(vec![Ident::new(function.clone())]);
        }
        if function == "generate_series" {
            widen_bounds(factor);
            name_element(factor);
        }
    }
}

fn widen_bounds(factor: &mut TableFactor) {
    let arguments = match factor {
        TableFactor::Table { args: Some(args), .. } => &mut args.args,
        TableFactor::Function { args, .. } => args,
        _ => return,
    };
    for argument in arguments {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
            && let Expr::Function(bound) = &*expr
            && system_name(&bound.name).is_some_and(|name| BOUNDS.contains(&name.as_str()))
        {
            *expr = cast(expr.clone(), DataType::BigInt(None));
        }
    }
}

/// The column of a function that gives single values is named as the relation is: `FROM generate_series(1, 3) AS i`.
fn name_element(factor: &mut TableFactor) {
    let alias = match factor {
        TableFactor::UNNEST { alias: Some(alias), array_exprs, with_ordinality: false, .. } if array_exprs.len() == 1 => alias,
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Function { alias: Some(alias), .. } => alias,
        _ => return,
    };
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
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
