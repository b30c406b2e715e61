//! Functions between names and oids, and whether a name is found without its schema.

use std::sync::Arc;

use causeway_planner::ErrorKind;
use datafusion::error::Result;

use super::{Outcome, Row, RowFunction, failure};
use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::base_types::{base_type, format_type, type_by_oid, type_by_sql_name};
use crate::pg::catalog::identifiers::{quote_identifier, split_name};
use crate::pg::catalog::model::{Found, Model, OWNER, OWNER_NAME, role_oid};
use crate::pg::catalog::session::Session;

/// Appends those of these functions that know the session.
pub(super) fn add(catalog: &Arc<PgCatalog>, session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("pg_table_is_visible", 1..=1, "bool", move |row| {
        let model = this.model();
        let Some(found) = row.oid(0).and_then(|oid| model.by_oid(oid)) else { return Ok(Outcome::Null) };
        Ok(is_listed(model, &asking, found).into())
    }));
    add_relations(catalog, session, functions);
    add_schemas_and_roles(catalog, session, functions);
}

/// Appends those that are the same for every session.
pub(super) fn add_constant(functions: &mut Vec<RowFunction>) {
    add_visibility(functions);
    add_types(functions);
    // For kinds of objects of which nobody here has any, an oid is its own name.
    functions.push(RowFunction::new("causeway_reg", 1..=1, "oid", |row| match row.oid(0) {
        Some(oid) => Ok(oid.into()),
        None if row.text(0).as_deref() == Some("-") => Ok(0_u32.into()),
        None => Err(failure(ErrorKind::Invalid, format!("object \"{}\" does not exist", row.text(0).unwrap_or_default()))),
    }));
    functions.push(RowFunction::new("causeway_reg_name", 1..=1, "text", |row| {
        Ok(row.oid(0).map(|oid| if oid == 0 { "-".to_owned() } else { oid.to_string() }).into())
    }));
}

/// Whether lists of visible objects show one of a kind that is only ever in `pg_catalog`.
fn add_visibility(functions: &mut Vec<RowFunction>) {
    let always = [
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_opfamily_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
    ];
    functions.extend(always.map(|name| RowFunction::new(name, 1..=1, "bool", |_| Ok(true.into()))));
}

/// Whether an unqualified name leads to this relation.
fn is_found_unqualified(model: &Model, session: &Session, found: Found<'_>) -> bool {
    model.resolve(session.path(), found.name()).is_some_and(|f| f.oid() == found.oid())
}

/// Whether lists of visible tables, such as `\dt`, show this relation.
///
/// A session that never chose a search path would see nothing at all, because every table is in the schema of its datasource. As long as
/// no schema of the path has a table, all published tables are therefore shown.
fn is_listed(model: &Model, session: &Session, found: Found<'_>) -> bool {
    let chosen = session.path().any(|schema| schema != "pg_catalog" && model.has_tables(schema));
    is_found_unqualified(model, session, found) || (!chosen && found.schema() != "information_schema")
}

/// A relation as `regclass` shows it: with its schema unless the search path leads to it.
fn relation_name(model: &Model, session: &Session, oid: u32) -> String {
    match model.by_oid(oid) {
        Some(found) if is_found_unqualified(model, session, found) => quote_identifier(found.name()),
        Some(found) => format!("{}.{}", quote_identifier(found.schema()), quote_identifier(found.name())),
        None if oid == 0 => "-".to_owned(),
        None => oid.to_string(),
    }
}

/// The oid of a relation written as SQL writes it, or as a number.
fn relation_oid(catalog: &PgCatalog, session: &Session, text: &str) -> Result<Option<u32>> {
    if let Ok(oid) = text.trim().parse() {
        return Ok(Some(oid));
    }
    if text == "-" {
        return Ok(Some(0));
    }
    let model = catalog.model();
    let parts = split_name(text).ok_or_else(|| failure(ErrorKind::Invalid, "invalid name syntax"))?;
    let found = match parts.as_slice() {
        [name] => model.resolve(session.path(), name),
        [schema, name] => model.by_name(schema, name),
        [database, schema, name] if *database == session.database => model.by_name(schema, name),
        _ => None,
    };
    Ok(found.map(Found::oid))
}

fn add_relations(catalog: &Arc<PgCatalog>, session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("causeway_regclass", 1..=1, "oid", move |row| {
        let text = row.text(0).unwrap_or_default();
        match relation_oid(&this, &asking, &text)? {
            Some(oid) => Ok(oid.into()),
            None => Err(failure(ErrorKind::UndefinedTable, format!("relation \"{text}\" does not exist"))),
        }
    }));
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("to_regclass", 1..=1, "oid", move |row| {
        Ok(relation_oid(&this, &asking, &row.text(0).unwrap_or_default())?.into())
    }));
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("causeway_regclass_name", 1..=1, "text", move |row| {
        Ok(row.oid(0).map(|oid| relation_name(this.model(), &asking, oid)).into())
    }));
}

fn add_types(functions: &mut Vec<RowFunction>) {
    fn type_oid(row: &Row<'_>) -> Option<u32> {
        row.oid(0).or_else(|| type_by_sql_name(&row.text(0)?).map(|t| t.oid))
    }
    functions.push(RowFunction::new("causeway_regtype", 1..=1, "oid", |row| match type_oid(row) {
        Some(oid) => Ok(oid.into()),
        None => Err(failure(ErrorKind::Invalid, format!("type \"{}\" does not exist", row.text(0).unwrap_or_default()))),
    }));
    functions.push(RowFunction::new("to_regtype", 1..=1, "oid", |row| Ok(type_oid(row).into())));
    functions.push(RowFunction::new("causeway_regtype_name", 1..=1, "text", |row| {
        let name = |oid| if oid != 0 && type_by_oid(oid).is_none() { oid.to_string() } else { format_type(oid, None) };
        Ok(row.oid(0).map(name).into())
    }));
    let format = RowFunction::new("format_type", 2..=2, "text", |row| Ok(row.oid(0).map(|oid| format_type(oid, row.int(1))).into()));
    functions.push(format.called_with_nulls());
    functions.push(RowFunction::new("causeway_regproc", 1..=1, "oid", |row| {
        let text = row.text(0).unwrap_or_default();
        match row.oid(0).or_else(|| procedure_oid(&text)) {
            Some(oid) => Ok(oid.into()),
            None => Err(failure(ErrorKind::UndefinedFunction, format!("function \"{text}\" does not exist"))),
        }
    }));
    functions.push(RowFunction::new("to_regproc", 1..=1, "oid", |row| Ok(procedure_oid(&row.text(0).unwrap_or_default()).into())));
    functions.push(RowFunction::new("causeway_regproc_name", 1..=1, "text", |row| {
        let oid = row.oid(0).unwrap_or(0);
        Ok(if oid == 0 { "-".to_owned() } else { procedure_name(oid).map_or_else(|| oid.to_string(), str::to_owned) }.into())
    }));
}

/// The functions `pg_proc` has: oid and name.
fn procedures() -> impl Iterator<Item = (u32, &'static str)> {
    include_str!("../relations/pg_proc.tsv").lines().filter_map(|line| {
        let mut cells = line.split('\t');
        Some((cells.next()?.parse().ok()?, cells.next()?))
    })
}

fn procedure_oid(text: &str) -> Option<u32> {
    if text == "-" {
        return Some(0);
    }
    let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
    procedures().find(|(_, n)| *n == name).map(|(oid, _)| oid)
}

fn procedure_name(oid: u32) -> Option<&'static str> {
    procedures().find(|(o, _)| *o == oid).map(|(_, name)| name)
}

fn add_schemas_and_roles(catalog: &Arc<PgCatalog>, session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("current_schema", 0..=0, "name", move |_| {
        let model = this.model();
        let first = asking.path().find(|schema| model.namespace(schema).is_some());
        Ok(first.into())
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("causeway_regnamespace", 1..=1, "oid", move |row| {
        let text = row.text(0).unwrap_or_default();
        let named = || this.model().namespace(&split_name(&text)?.concat());
        match row.oid(0).or_else(named) {
            Some(oid) => Ok(oid.into()),
            None => Err(failure(ErrorKind::UndefinedSchema, format!("schema \"{text}\" does not exist"))),
        }
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("to_regnamespace", 1..=1, "oid", move |row| {
        let text = row.text(0).unwrap_or_default();
        Ok(split_name(&text).and_then(|parts| this.model().namespace(&parts.concat())).into())
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("causeway_regnamespace_name", 1..=1, "text", move |row| {
        let name = |oid| this.model().namespace_name(oid).map_or_else(|| oid.to_string(), quote_identifier);
        Ok(row.oid(0).map(name).into())
    }));
    let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
    functions.push(RowFunction::new("causeway_regrole", 1..=1, "oid", move |row| {
        let text = row.text(0).unwrap_or_default();
        let known = || role_names(&this, &asking).any(|name| name == text).then(|| role_oid(&text, this.oids()));
        match row.oid(0).or_else(known) {
            Some(oid) => Ok(oid.into()),
            None => Err(failure(ErrorKind::Invalid, format!("role \"{text}\" does not exist"))),
        }
    }));
    for (name, returns) in [("pg_get_userbyid", "name"), ("causeway_regrole_name", "text")] {
        let (this, asking) = (Arc::clone(catalog), Arc::clone(session));
        functions.push(RowFunction::new(name, 1..=1, returns, move |row| {
            let oid = row.oid(0).unwrap_or(0);
            if oid == OWNER {
                return Ok(OWNER_NAME.into());
            }
            let named = role_names(&this, &asking).find(|name| role_oid(name, this.oids()) == oid).map(str::to_owned);
            Ok(named.unwrap_or_else(|| format!("unknown (OID={oid})")).into())
        }));
    }
}

fn role_names<'a>(catalog: &'a PgCatalog, session: &'a Session) -> impl Iterator<Item = &'a str> {
    [OWNER_NAME, session.user.as_str()].into_iter().chain(catalog.database().roles.iter().map(|r| r.name.as_str()))
}

/// The display name of an Arrow type as `regtype` would show it.
pub(super) fn type_name(internal: &str) -> String {
    base_type(internal).map_or_else(|| internal.to_owned(), |t| format_type(t.oid, None))
}
