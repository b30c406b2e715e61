//! Functions that describe objects.

use std::sync::Arc;

use super::{Outcome, RowFunction};
use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::definitions::{constraint_definition, index_definition, view_definition};
use crate::pg::catalog::identifiers::{quote_identifier, split_name};
use crate::pg::catalog::model::Found;

/// Appends those of these functions that are the same for every catalog.
pub(super) fn add_constant(functions: &mut Vec<RowFunction>) {
    // Expressions are kept as their texts.
    let expression = RowFunction::new("pg_get_expr", 2..=3, "text", |row| Ok(row.text(0).into()));
    functions.push(expression.called_with_nulls());
    add_absent(functions);
    functions.push(RowFunction::new("pg_relation_is_publishable", 1..=1, "bool", |_| Ok(false.into())));
    functions.push(RowFunction::new("pg_relation_is_updatable", 2..=2, "int4", |_| Ok(0_i64.into())));
    functions.push(RowFunction::new("pg_column_is_updatable", 3..=3, "bool", |_| Ok(false.into())));
    functions.push(RowFunction::new("row_security_active", 1..=1, "bool", |_| Ok(false.into())));
}

/// Appends those that describe what is in `catalog`.
pub(super) fn add(catalog: &Arc<PgCatalog>, functions: &mut Vec<RowFunction>) {
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("pg_get_constraintdef", 1..=2, "text", move |row| {
        let found = row.oid(0).and_then(|oid| this.model().constraint(oid));
        Ok(found.map(|(relation, key)| constraint_definition(relation, key)).into())
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("pg_get_indexdef", 1..=3, "text", move |row| {
        let Some(Found::Index(relation, key)) = row.oid(0).and_then(|oid| this.model().by_oid(oid)) else { return Ok(Outcome::Null) };
        match row.int(1).unwrap_or(0) {
            0 => Ok(index_definition(relation, key).into()),
            position => {
                let number = usize::try_from(position - 1).ok().and_then(|index| key.columns.get(index));
                Ok(number.and_then(|n| relation.column_name(*n)).map_or_else(String::new, quote_identifier).into())
            }
        }
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("pg_get_viewdef", 1..=2, "text", move |row| {
        let model = this.model();
        let named = || match split_name(&row.text(0)?)?.as_slice() {
            [schema, name] => model.by_name(schema, name),
            _ => None,
        };
        match row.oid(0).and_then(|oid| model.by_oid(oid)).or_else(named) {
            Some(Found::Relation(relation)) => Ok(view_definition(relation).into()),
            _ => Ok(Outcome::Null),
        }
    }));
    add_comments(catalog, functions);
}

fn add_comments(catalog: &Arc<PgCatalog>, functions: &mut Vec<RowFunction>) {
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("obj_description", 1..=2, "text", move |row| {
        let Some(oid) = row.oid(0) else { return Ok(Outcome::Null) };
        let model = this.model();
        let of = row.text(1);
        let relation = match model.by_oid(oid) {
            Some(Found::Relation(relation)) if of.as_deref().is_none_or(|c| c == "pg_class") => relation.comment(),
            _ => None,
        };
        let schema = || {
            let asked = of.as_deref().is_none_or(|c| c == "pg_namespace");
            model.namespaces.iter().find(|n| asked && n.oid == oid)?.comment.as_deref()
        };
        Ok(relation.or_else(schema).into())
    }));
    let this = Arc::clone(catalog);
    functions.push(RowFunction::new("col_description", 2..=2, "text", move |row| {
        let Some(Found::Relation(relation)) = row.oid(0).and_then(|oid| this.model().by_oid(oid)) else { return Ok(Outcome::Null) };
        let number = row.int(1);
        let comment = relation.columns().into_iter().find(|c| Some(c.number) == number).and_then(|c| c.comment);
        Ok(comment.into())
    }));
}

/// Functions about what no environment has, or what only a source knows.
fn add_absent(functions: &mut Vec<RowFunction>) {
    let texts: [(&'static str, usize); 14] = [
        ("shobj_description", 2),
        ("pg_get_ruledef", 2),
        ("pg_get_triggerdef", 2),
        ("pg_get_functiondef", 1),
        ("pg_get_function_result", 1),
        ("pg_get_function_arguments", 1),
        ("pg_get_function_identity_arguments", 1),
        ("pg_get_function_sqlbody", 1),
        ("pg_get_partkeydef", 1),
        ("pg_get_partition_constraintdef", 1),
        ("pg_get_statisticsobjdef", 1),
        ("pg_get_statisticsobjdef_columns", 1),
        ("pg_get_serial_sequence", 2),
        ("pg_describe_object", 3),
    ];
    functions.extend(texts.map(|(name, arity)| RowFunction::new(name, 1..=arity, "text", |_| Ok(Outcome::Null)).called_with_nulls()));
    let numbers = [
        "pg_relation_size",
        "pg_table_size",
        "pg_total_relation_size",
        "pg_indexes_size",
        "pg_database_size",
        "pg_tablespace_size",
        "pg_sequence_last_value",
    ];
    let counters = [
        "pg_stat_get_numscans",
        "pg_stat_get_tuples_returned",
        "pg_stat_get_tuples_fetched",
        "pg_stat_get_live_tuples",
        "pg_stat_get_dead_tuples",
        "pg_stat_get_mod_since_analyze",
    ];
    functions.extend(counters.map(|name| RowFunction::new(name, 1..=1, "int8", |_| Ok(0_i64.into()))));
    functions.extend(numbers.map(|name| RowFunction::new(name, 1..=2, "int8", |_| Ok(Outcome::Null)).called_with_nulls()));
}
