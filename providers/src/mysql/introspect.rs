//! What a server has, read from `information_schema` in bulk.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Row, Value};

use super::connect::{Flavor, Session};
use super::type_mapping::{ColumnType, map};
use crate::remote::{Comparison, Introspection, Omission, Presentation, RemoteColumn, RemoteTable, Scope, TableKind};

/// Databases that are the server's own.
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// Reads everything in `scope`, in five statements at most.
pub(super) async fn introspect(session: &mut Session, scope: &Scope) -> mysql_async::Result<Introspection> {
    let place = session.rows("SELECT DATABASE(), @@lower_case_table_names").await?;
    let default_schema = place.first().and_then(|row| text(row, 0)).unwrap_or_default();
    let wanted = Wanted { schemas: &scope.schemas, ignore_case: place.first().and_then(|row| number(row, 1)) != Some(0) };

    // MySQL and MariaDB differ in the case of these names, hence the aliases, and the columns are taken by position.
    let tables = session
        .rows(&format!(
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, TABLE_TYPE AS k, TABLE_ROWS AS r, TABLE_COMMENT AS c \
             FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN {OWN}"
        ))
        .await?;
    let columns = session
        .rows(&format!(
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, COLUMN_NAME AS c, DATA_TYPE AS t, COLUMN_TYPE AS f, \
             NUMERIC_PRECISION AS p, NUMERIC_SCALE AS d, CHARACTER_OCTET_LENGTH AS o, COLLATION_NAME AS l, IS_NULLABLE AS u, \
             COLUMN_COMMENT AS m, ORDINAL_POSITION AS i \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN {OWN} ORDER BY s, n, i"
        ))
        .await?;
    let keys = session
        .rows(&format!(
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, INDEX_NAME AS k, COLUMN_NAME AS c, SEQ_IN_INDEX AS i \
             FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA NOT IN {OWN} ORDER BY s, n, k, i"
        ))
        .await?;
    let checks = match session.flavor() {
        Flavor::MariaDb => session.rows(JSON_CHECKS).await,
        Flavor::MySql => Ok(Vec::new()),
    };
    let checks = match checks {
        // Before 10.3 there is no such view, and so no way to tell.
        Err(mysql_async::Error::Server(_)) => Vec::new(),
        other => other?,
    };
    let mut introspection = assemble(default_schema, &wanted, &tables, &columns, &keys);
    mark_json(&mut introspection.tables, &checks);
    Ok(introspection)
}

/// The columns MariaDB was told to be `json`: it makes them a `longtext` with this check.
const JSON_CHECKS: &str = "SELECT CONSTRAINT_SCHEMA AS s, TABLE_NAME AS n, CONSTRAINT_NAME AS c \
     FROM information_schema.CHECK_CONSTRAINTS \
     WHERE CHECK_CLAUSE = CONCAT('json_valid(`', REPLACE(CONSTRAINT_NAME, '`', '``'), '`)')";

fn mark_json(tables: &mut [RemoteTable], checks: &[Row]) {
    let checked: BTreeSet<_> = checks.iter().map(|row| (text(row, 0), text(row, 1), text(row, 2))).collect();
    for table in tables.iter_mut().filter(|_| !checked.is_empty()) {
        for column in table.columns.iter_mut().filter(|column| column.remote_type == "longtext") {
            if checked.contains(&(Some(table.schema.clone()), Some(table.name.clone()), Some(column.name.clone()))) {
                column.presentation = Presentation::Json;
                column.comparison = Comparison::None;
            }
        }
    }
}

/// Which databases were asked for. The server's own comparison is not relied on: it may ignore case where names do not.
struct Wanted<'a> {
    schemas: &'a [String],
    ignore_case: bool,
}

impl Wanted<'_> {
    fn has(&self, schema: &str) -> bool {
        let same = |wanted: &String| wanted == schema || (self.ignore_case && wanted.to_lowercase() == schema.to_lowercase());
        self.schemas.is_empty() || self.schemas.iter().any(same)
    }
}

/// A table by schema and name, exactly.
type Key = (String, String);

fn assemble(default_schema: String, wanted: &Wanted<'_>, tables: &[Row], columns: &[Row], keys: &[Row]) -> Introspection {
    let mut omitted = Vec::new();
    let mut found: BTreeMap<Key, RemoteTable> = BTreeMap::new();
    for row in tables {
        let (Some(schema), Some(name), Some(kind)) = (text(row, 0), text(row, 1), text(row, 2)) else { continue };
        let kind = match kind.as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => TableKind::Table,
            "VIEW" => TableKind::View,
            // Sequences, temporary tables and the server's own views.
            _ => continue,
        };
        if !wanted.has(&schema) {
            continue;
        }
        let comment = text(row, 4).filter(|comment| !comment.is_empty() && kind == TableKind::Table);
        let table = RemoteTable {
            schema: schema.clone(),
            name: name.clone(),
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            comment,
            row_estimate: number(row, 3),
        };
        found.insert((schema, name), table);
    }
    for row in columns {
        let (Some(schema), Some(name), Some(column)) = (text(row, 0), text(row, 1), text(row, 2)) else { continue };
        if let Some(table) = found.get_mut(&(schema, name)) {
            match self::column(row, column) {
                Ok(column) => table.columns.push(column),
                Err((column, reason)) => {
                    omitted.push(Omission { subject: format!("{}.{}.{column}", table.schema, table.name), reason });
                }
            }
        }
    }
    add_keys(&mut found, keys);
    let tables = found
        .into_values()
        .filter(|table| {
            if table.columns.is_empty() {
                let reason = match table.kind {
                    TableKind::View => "no column can be read: the view refers to what is not there, or its definer may not read it",
                    _ => "no column can be read",
                };
                omitted.push(Omission { subject: format!("{}.{}", table.schema, table.name), reason: reason.to_owned() });
            }
            !table.columns.is_empty()
        })
        .collect();
    Introspection { default_schema, tables, omitted }
}

fn column(row: &Row, name: String) -> Result<RemoteColumn, (String, String)> {
    let (data_type, remote_type) = (text(row, 3).unwrap_or_default(), text(row, 4).unwrap_or_default());
    let collation = text(row, 8);
    let described = ColumnType {
        name: &data_type,
        full: &remote_type,
        precision: number(row, 5),
        scale: number(row, 6),
        octets: number(row, 7),
        collation: collation.as_deref(),
    };
    match map(&described) {
        Ok(mapping) => Ok(RemoteColumn {
            name,
            data_type: mapping.data_type,
            presentation: mapping.presentation,
            comparison: mapping.comparison,
            // What is not plainly stated to be NOT NULL may be NULL.
            nullable: text(row, 9).as_deref() != Some("NO"),
            comment: text(row, 10).filter(|comment| !comment.is_empty()),
            collation,
            remote_type,
        }),
        Err(reason) => Err((name, reason)),
    }
}

fn add_keys(found: &mut BTreeMap<Key, RemoteTable>, rows: &[Row]) {
    // A part of a key is `None` where it is an expression.
    let mut keys: BTreeMap<(Key, String), Vec<Option<String>>> = BTreeMap::new();
    for row in rows {
        if let (Some(schema), Some(table), Some(key)) = (text(row, 0), text(row, 1), text(row, 2)) {
            keys.entry(((schema, table), key)).or_default().push(text(row, 3));
        }
    }
    for ((table, key), parts) in keys {
        let Some(table) = found.get_mut(&table) else { continue };
        let is_published = |part: &String| table.columns.iter().any(|column| column.name == *part);
        match parts.into_iter().collect::<Option<Vec<String>>>() {
            Some(parts) if parts.iter().all(is_published) => {
                if key == "PRIMARY" {
                    table.primary_key = parts;
                } else {
                    table.unique_keys.push(parts);
                }
            }
            _ => {}
        }
    }
}

/// A cell of the text protocol. The session has set utf8mb4, in which the server stores all names.
pub(super) fn text(row: &Row, index: usize) -> Option<String> {
    match row.as_ref(index)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(row: &Row, index: usize) -> Option<u64> {
    text(row, index)?.parse().ok()
}
