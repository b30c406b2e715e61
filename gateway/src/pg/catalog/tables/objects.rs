//! Relations about schemas, tables, columns and keys.

use datafusion::error::Result;

use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::base_types::{self, ColumnShape};
use crate::pg::catalog::columns::{Rows, Value};
use crate::pg::catalog::definitions::{index_definition, view_definition};
use crate::pg::catalog::model::{KeyKind, Model, OWNER, OWNER_NAME, Relation};

/// The access method of heap tables.
const HEAP: u32 = 2;

/// The access method of btree indexes.
const BTREE: u32 = 403;

const NULL: Value<'static> = Value::Null;

/// Appends the rows of one of these relations; does nothing for any other.
pub(super) fn fill(name: &str, catalog: &PgCatalog, rows: &mut Rows) -> Result<()> {
    let model = catalog.model();
    match name {
        "pg_namespace" => model.namespaces.iter().try_for_each(|n| rows.push(&[n.oid.into(), (&n.name).into(), OWNER.into(), NULL])),
        "pg_class" => fill_class(model, rows),
        "pg_attribute" => fill_attribute(model, rows),
        "pg_index" => fill_index(model, rows),
        "pg_constraint" => fill_constraint(model, rows),
        "pg_description" => fill_description(model, rows),
        "pg_tables" => model.relations.iter().filter(|r| r.kind() == "r").try_for_each(|r| {
            let no = Value::Bool(false);
            rows.push(&[(&r.schema).into(), (&r.name).into(), OWNER_NAME.into(), NULL, (!r.keys.is_empty()).into(), no, no, no])
        }),
        "pg_views" => model.relations.iter().filter(|r| r.kind() == "v").try_for_each(|r| {
            let definition = view_definition(r);
            rows.push(&[(&r.schema).into(), (&r.name).into(), OWNER_NAME.into(), definition.as_deref().into()])
        }),
        "pg_matviews" => model.relations.iter().filter(|r| r.kind() == "m").try_for_each(|r| {
            let definition = view_definition(r);
            let has_keys = Value::Bool(!r.keys.is_empty());
            rows.push(&[(&r.schema).into(), (&r.name).into(), OWNER_NAME.into(), NULL, has_keys, true.into(), definition.as_deref().into()])
        }),
        "pg_indexes" => each_key(model, |r, key| {
            let definition = index_definition(r, key);
            rows.push(&[(&r.schema).into(), (&r.name).into(), (&key.name).into(), NULL, (&definition).into()])
        }),
        "pg_stat_user_tables" | "pg_stat_all_tables" => fill_table_statistics(model, rows),
        _ => Ok(()),
    }
}

fn each_key(model: &Model, mut visit: impl FnMut(&Relation, &crate::pg::catalog::model::Key) -> Result<()>) -> Result<()> {
    model.relations.iter().flat_map(|r| r.keys.iter().map(move |k| (r, k))).try_for_each(|(r, k)| visit(r, k))
}

/// `reltuples`: what the source believes, or -1 for unknown.
fn row_estimate(relation: &Relation) -> f64 {
    relation.foreign().and_then(|t| t.remote.row_estimate).map_or(-1.0, |n| n as f64)
}

fn count(number: usize) -> Value<'static> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn fill_class(model: &Model, rows: &mut Rows) -> Result<()> {
    let zero = Value::Int(0);
    let (yes, no) = (Value::Bool(true), Value::Bool(false));
    for r in &model.relations {
        let kind = r.kind();
        let access_method = if kind == "r" && r.foreign().is_none() { HEAP } else { 0 };
        rows.push(&[
            r.oid.into(),
            (&r.name).into(),
            r.namespace.into(),
            zero,
            zero,
            OWNER.into(),
            access_method.into(),
            zero,
            zero,
            zero,
            Value::Float(row_estimate(r)),
            zero,
            zero,
            (!r.keys.is_empty()).into(),
            no,
            "p".into(),
            kind.into(),
            count(r.column_count()),
            zero,
            no,
            no,
            no,
            no,
            no,
            yes,
            (if kind == "r" { "d" } else { "n" }).into(),
            no,
            zero,
            zero,
            zero,
        ])?;
    }
    each_key(model, |r, key| {
        rows.push(&[
            key.index.into(),
            (&key.name).into(),
            r.namespace.into(),
            zero,
            zero,
            OWNER.into(),
            BTREE.into(),
            zero,
            zero,
            zero,
            Value::Float(row_estimate(r)),
            zero,
            zero,
            no,
            no,
            "p".into(),
            "i".into(),
            count(key.columns.len()),
            zero,
            no,
            no,
            no,
            no,
            no,
            yes,
            "n".into(),
            no,
            zero,
            zero,
            zero,
        ])
    })
}

fn fill_attribute(model: &Model, rows: &mut Rows) -> Result<()> {
    for r in &model.relations {
        let columns = r.columns();
        for column in &columns {
            push_attribute(rows, r.oid, column.name, column.number, column.shape, column.not_null)?;
        }
        for key in &r.keys {
            let members = key.columns.iter().filter_map(|n| columns.iter().find(|c| c.number == *n));
            for (number, column) in (1..).zip(members) {
                push_attribute(rows, key.index, column.name, number, column.shape, false)?;
            }
        }
    }
    Ok(())
}

fn push_attribute(rows: &mut Rows, relation: u32, name: &str, number: i64, shape: ColumnShape, not_null: bool) -> Result<()> {
    let base = base_types::type_by_oid(shape.type_oid);
    let (yes, no, zero) = (Value::Bool(true), Value::Bool(false), Value::Int(0));
    rows.push(&[
        relation.into(),
        name.into(),
        shape.type_oid.into(),
        base.map_or(-1, |t| t.length).into(),
        number.into(),
        Value::Int(-1),
        shape.modifier.into(),
        i64::from(super::super::model::is_array(shape.type_oid)).into(),
        base.is_some_and(|t| t.by_value).into(),
        base.map_or("i", |t| t.align).into(),
        base.map_or("x", |t| t.storage).into(),
        "".into(),
        not_null.into(),
        no,
        no,
        "".into(),
        "".into(),
        no,
        yes,
        zero,
        Value::Int(-1),
        base.map_or(0, |t| t.collation).into(),
    ])
}

fn fill_index(model: &Model, rows: &mut Rows) -> Result<()> {
    let (yes, no) = (Value::Bool(true), Value::Bool(false));
    each_key(model, |r, key| {
        let zeros = vec![0; key.columns.len()];
        let columns = r.columns();
        let collation = |number: &i64| {
            let column = columns.iter().find(|c| c.number == *number)?;
            base_types::type_by_oid(column.shape.type_oid).map(|t| i64::from(t.collation))
        };
        let collations: Vec<i64> = key.columns.iter().map(|number| collation(number).unwrap_or(0)).collect();
        rows.push(&[
            key.index.into(),
            r.oid.into(),
            count(key.columns.len()),
            count(key.columns.len()),
            yes,
            no,
            (key.kind == KeyKind::Primary).into(),
            no,
            yes,
            no,
            yes,
            no,
            yes,
            yes,
            no,
            Value::Ints(&key.columns),
            Value::Ints(&collations),
            Value::Ints(&zeros),
            Value::Ints(&zeros),
        ])
    })
}

fn fill_constraint(model: &Model, rows: &mut Rows) -> Result<()> {
    let (yes, no, zero) = (Value::Bool(true), Value::Bool(false), Value::Int(0));
    each_key(model, |r, key| {
        let kind = match key.kind {
            KeyKind::Primary => "p",
            KeyKind::Unique => "u",
        };
        rows.push(&[
            key.constraint.into(),
            (&key.name).into(),
            r.namespace.into(),
            kind.into(),
            no,
            no,
            yes,
            r.oid.into(),
            zero,
            key.index.into(),
            zero,
            zero,
            " ".into(),
            " ".into(),
            " ".into(),
            yes,
            zero,
            yes,
            Value::Ints(&key.columns),
        ])
    })
}

fn fill_description(model: &Model, rows: &mut Rows) -> Result<()> {
    const PG_CLASS: u32 = 1259;
    const PG_NAMESPACE: u32 = 2615;
    for namespace in &model.namespaces {
        if let Some(comment) = &namespace.comment {
            rows.push(&[namespace.oid.into(), PG_NAMESPACE.into(), Value::Int(0), comment.into()])?;
        }
    }
    for (relation, _) in model.foreign_tables() {
        if let Some(comment) = relation.comment() {
            rows.push(&[relation.oid.into(), PG_CLASS.into(), Value::Int(0), comment.into()])?;
        }
        for column in relation.columns() {
            if let Some(comment) = column.comment {
                rows.push(&[relation.oid.into(), PG_CLASS.into(), column.number.into(), comment.into()])?;
            }
        }
    }
    Ok(())
}

fn fill_table_statistics(model: &Model, rows: &mut Rows) -> Result<()> {
    for (relation, table) in model.foreign_tables().filter(|(r, _)| r.kind() == "r") {
        let mut row = vec![relation.oid.into(), (&relation.schema).into(), (&relation.name).into()];
        let zero = Value::Int(0);
        let live = table.remote.row_estimate.map_or(0, |n| i64::try_from(n).unwrap_or(i64::MAX));
        row.extend([zero, NULL, zero, zero, NULL, zero, zero, zero, zero, zero, zero, live.into(), zero, zero, zero]);
        row.extend([NULL, NULL, NULL, NULL, zero, zero, zero, zero]);
        rows.push(&row)?;
    }
    Ok(())
}
