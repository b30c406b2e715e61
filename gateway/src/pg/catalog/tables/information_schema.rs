//! The views of the SQL standard.

use datafusion::error::Result;

use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::base_types::{self, NUMERIC, format_type};
use crate::pg::catalog::columns::{Rows, Value};
use crate::pg::catalog::model::{Column, KeyKind, Model, OWNER_NAME, Relation, is_array};
use crate::pg::catalog::session::Session;

const NULL: Value<'static> = Value::Null;

/// What a text column without a declared length may hold in bytes.
const LARGEST_TEXT: i64 = 1 << 30;

/// Appends the rows of one of these views; does nothing for any other.
pub(super) fn fill(name: &str, catalog: &PgCatalog, rows: &mut Rows) -> Result<()> {
    let model = catalog.model();
    let database = Value::from(&catalog.database().name);
    let owner = Value::Text(OWNER_NAME);
    match name {
        "information_schema_catalog_name" => rows.push(&[database]),
        "schemata" => model.namespaces.iter().try_for_each(|n| rows.push(&[database, (&n.name).into(), owner])),
        "tables" => model.relations.iter().filter(|r| r.kind() != "m").try_for_each(|r| {
            let kind = if r.kind() == "v" { "VIEW" } else { "BASE TABLE" };
            let (name, no) = ((&r.name).into(), Value::Text("NO"));
            rows.push(&[database, (&r.schema).into(), name, kind.into(), NULL, NULL, NULL, NULL, NULL, no, no])
        }),
        "views" => model.relations.iter().filter(|r| r.kind() == "v").try_for_each(|r| {
            // The definition is NULL for whoever does not own the view, and these belong to the source.
            let no = Value::Text("NO");
            rows.push(&[database, (&r.schema).into(), (&r.name).into(), NULL, "NONE".into(), no, no, no, no, no])
        }),
        "columns" => fill_columns(model, database, rows),
        "table_constraints" => each_key(model, |r, constraint, kind, _| {
            let word = match kind {
                KeyKind::Primary => "PRIMARY KEY",
                KeyKind::Unique => "UNIQUE",
            };
            let (schema, distinct) = (Value::from(&r.schema), if kind == KeyKind::Unique { Value::Text("YES") } else { NULL });
            let (no, yes) = (Value::Text("NO"), Value::Text("YES"));
            rows.push(&[database, schema, constraint, database, schema, (&r.name).into(), word.into(), no, no, yes, distinct])
        }),
        "key_column_usage" => each_key(model, |r, constraint, _, columns| {
            (1_i64..).zip(columns).try_for_each(|(position, number)| {
                let schema = Value::from(&r.schema);
                let column = r.column_name(*number).into();
                rows.push(&[database, schema, constraint, database, schema, (&r.name).into(), column, position.into()])
            })
        }),
        "constraint_column_usage" => each_key(model, |r, constraint, _, columns| {
            columns.iter().try_for_each(|number| {
                let schema = Value::from(&r.schema);
                rows.push(&[database, schema, (&r.name).into(), r.column_name(*number).into(), database, schema, constraint])
            })
        }),
        "constraint_table_usage" => each_key(model, |r, constraint, _, _| {
            let schema = Value::from(&r.schema);
            rows.push(&[database, schema, (&r.name).into(), database, schema, constraint])
        }),
        "character_sets" => {
            let pg_catalog = Value::Text("pg_catalog");
            rows.push(&[NULL, NULL, "UTF8".into(), "UCS".into(), "UTF8".into(), database, pg_catalog, "C".into()])
        }
        "table_privileges" | "role_table_grants" => model.relations.iter().try_for_each(|r| {
            let public = Value::Text("PUBLIC");
            let (schema, name) = (Value::from(&r.schema), Value::from(&r.name));
            rows.push(&[owner, public, database, schema, name, "SELECT".into(), "NO".into(), "YES".into()])
        }),
        "foreign_data_wrappers" => super::server::wrappers(&model.servers)
            .into_keys()
            .try_for_each(|name| rows.push(&[database, name.into(), owner, NULL, "c".into()])),
        "foreign_servers" => model
            .servers
            .iter()
            .try_for_each(|s| rows.push(&[database, (&s.server.name).into(), database, (&s.server.wrapper).into(), NULL, NULL, owner])),
        "foreign_server_options" => model.servers.iter().try_for_each(|s| {
            let shown = s.server.options.iter().filter(|(key, _)| key != "user");
            shown.into_iter().try_for_each(|(key, value)| rows.push(&[database, (&s.server.name).into(), key.into(), value.into()]))
        }),
        "foreign_tables" => model
            .foreign_tables()
            .try_for_each(|(r, t)| rows.push(&[database, (&r.schema).into(), (&r.name).into(), database, (&t.datasource).into()])),
        "foreign_table_options" => model.foreign_tables().try_for_each(|(r, t)| {
            [("schema_name", &t.remote.schema), ("table_name", &t.remote.name)]
                .into_iter()
                .try_for_each(|(key, value)| rows.push(&[database, (&r.schema).into(), (&r.name).into(), key.into(), value.into()]))
        }),
        _ => Ok(()),
    }
}

/// Appends the rows of a view that depends on the session.
pub(super) fn fill_live(name: &str, session: &Session, rows: &mut Rows) -> Result<()> {
    match name {
        "enabled_roles" => rows.push(&[(&session.user).into()]),
        _ => Ok(()),
    }
}

fn each_key(model: &Model, mut visit: impl FnMut(&Relation, Value<'_>, KeyKind, &[i64]) -> Result<()>) -> Result<()> {
    model
        .relations
        .iter()
        .flat_map(|r| r.keys.iter().map(move |k| (r, k)))
        .try_for_each(|(r, k)| visit(r, (&k.name).into(), k.kind, &k.columns))
}

fn fill_columns(model: &Model, database: Value<'_>, rows: &mut Rows) -> Result<()> {
    for relation in model.relations.iter().filter(|r| r.kind() != "m") {
        for column in relation.columns() {
            push_column(database, relation, &column, rows)?;
        }
    }
    Ok(())
}

fn push_column(database: Value<'_>, relation: &Relation, column: &Column<'_>, rows: &mut Rows) -> Result<()> {
    let shape = column.shape;
    let base = base_types::type_by_oid(shape.type_oid);
    let array = is_array(shape.type_oid);
    let data_type = if array { "ARRAY".to_owned() } else { format_type(shape.type_oid, None) };
    let category = base.map_or("", |t| t.category);
    let length = (category == "S" && shape.modifier >= 4).then(|| shape.modifier - 4);
    let bytes = (category == "S").then(|| length.map_or(LARGEST_TEXT, |n| n * 4));
    let (precision, radix, scale): (Option<i64>, Option<i64>, Option<i64>) = match base.map_or("", |t| t.name) {
        "int2" => (Some(16), Some(2), Some(0)),
        "int4" => (Some(32), Some(2), Some(0)),
        "int8" => (Some(64), Some(2), Some(0)),
        "float4" => (Some(24), Some(2), None),
        "float8" => (Some(53), Some(2), None),
        "numeric" if shape.type_oid == NUMERIC && shape.modifier >= 4 => {
            let packed = shape.modifier - 4;
            (Some((packed >> 16) & 0xffff), Some(10), Some(((packed & 0x7ff) ^ 1024) - 1024))
        }
        "numeric" => (None, Some(10), None),
        _ => (None, None, None),
    };
    let seconds: Option<i64> = match base.map_or("", |t| t.name) {
        "date" => Some(0),
        "time" | "timetz" | "timestamp" | "timestamptz" | "interval" => Some(6),
        _ => None,
    };
    let number = column.number.to_string();
    let mut row = vec![
        database,
        (&relation.schema).into(),
        (&relation.name).into(),
        column.name.into(),
        column.number.into(),
        NULL,
        (if column.not_null { "NO" } else { "YES" }).into(),
        (&data_type).into(),
        length.into(),
        bytes.into(),
        precision.into(),
        radix.into(),
        scale.into(),
        seconds.into(),
    ];
    // Interval, character set, collation and domain: 11 columns that say nothing of a column with a base type and the default collation.
    row.extend([NULL; 11]);
    row.extend([database, "pg_catalog".into(), base.map(|t| t.name).into(), NULL, NULL, NULL, NULL, (&number).into()]);
    let no = Value::Text("NO");
    row.extend([no, no, NULL, NULL, NULL, NULL, NULL, no, "NEVER".into(), NULL, no]);
    rows.push(&row)
}
