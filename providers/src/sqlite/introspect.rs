//! Tables, views and their columns, keys and sizes.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::connect::failure;
use super::type_mapping::{Behaviour, map};
use crate::error::{ErrorKind, Result};
use crate::remote::{Introspection, Omission, RemoteColumn, RemoteTable, TableKind};

/// The schema of the opened file itself.
pub(super) const SCHEMA: &str = "main";

/// What SQLite keeps for itself (`sqlite_...`) and the shadow tables behind virtual ones are not published.
const RELATIONS: &str = "SELECT name, type, wr OR strict FROM pragma_table_list \
    WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

const COLUMNS: &str = "SELECT l.name, x.name, x.type, x.\"notnull\", x.pk, x.hidden \
    FROM pragma_table_list AS l JOIN pragma_table_xinfo(l.name, 'main') AS x \
    WHERE l.schema = 'main' AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
    ORDER BY l.name, x.cid";

const COLUMNS_OF_ONE: &str =
    "SELECT ?1, x.name, x.type, x.\"notnull\", x.pk, x.hidden FROM pragma_table_xinfo(?1, 'main') AS x ORDER BY x.cid";

/// Every unique index over columns alone; an expression in one has no name, a partial one covers some rows only.
const UNIQUE_INDEXES: &str = "SELECT l.name, i.name, i.origin, c.name \
    FROM pragma_table_list AS l JOIN pragma_index_list(l.name, 'main') AS i JOIN pragma_index_info(i.name, 'main') AS c \
    WHERE l.schema = 'main' AND l.type = 'table' AND i.\"unique\" AND NOT i.partial ORDER BY l.name, i.name, c.seqno";

/// What `ANALYZE` counted, when it ever ran; the first number of `stat` is the rows of an index, of all rows unless it is partial.
const ROW_ESTIMATES: &str = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM main.sqlite_stat1 WHERE tbl IS NOT NULL GROUP BY tbl";

struct Relation {
    name: String,
    kind: Kind,
    /// Whether a primary key holds no NULL even when it is not declared so: the case in `WITHOUT ROWID` and `STRICT` tables.
    sound_keys: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    View,
    Virtual,
}

struct ColumnInfo {
    name: String,
    declared: String,
    not_null: bool,
    key_position: i64,
    hidden: i64,
}

struct UniqueIndex {
    is_primary_key: bool,
    /// `None` stands for an expression.
    columns: Vec<Option<String>>,
}

/// Looks at the whole file in a constant number of queries. Blocks.
pub(super) fn introspect(connection: &Connection) -> Result<Introspection> {
    let utf8 = query(connection, "PRAGMA encoding", |row| row.get::<_, String>(0))?.iter().any(|encoding| encoding == "UTF-8");
    let relations = query(connection, RELATIONS, |row| {
        let kind = match row.get_ref(1)?.as_str()? {
            "view" => Kind::View,
            "virtual" => Kind::Virtual,
            _ => Kind::Table,
        };
        Ok(Relation { name: row.get(0)?, kind, sound_keys: row.get(2)? })
    })?;
    let mut omitted = Vec::new();
    let mut columns = columns(connection, &relations, &mut omitted)?;
    let mut indexes = unique_indexes(connection)?;
    let estimates = row_estimates(connection)?;
    let mut tables = Vec::with_capacity(relations.len());
    for relation in &relations {
        let Some(infos) = columns.remove(&relation.name) else { continue };
        let indexes = indexes.remove(&relation.name).unwrap_or_default();
        tables.push(table(connection, relation, &infos, &indexes, estimates.get(&relation.name).copied(), utf8));
    }
    Ok(Introspection { default_schema: SCHEMA.to_owned(), tables, omitted })
}

fn query<T>(connection: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(failure)?;
    let rows = statement.query_map([], read).map_err(failure)?;
    rows.collect::<rusqlite::Result<Vec<T>>>().map_err(failure)
}

/// The columns of all relations by name. One view or virtual table that SQLite itself cannot resolve fails a query over all of them,
/// and only then each relation is asked for on its own.
fn columns(connection: &Connection, relations: &[Relation], omitted: &mut Vec<Omission>) -> Result<BTreeMap<String, Vec<ColumnInfo>>> {
    let read = |row: &Row<'_>| {
        let info = ColumnInfo {
            name: row.get(1)?,
            declared: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            not_null: row.get(3)?,
            key_position: row.get(4)?,
            hidden: row.get(5)?,
        };
        Ok((row.get::<_, String>(0)?, info))
    };
    let mut found: BTreeMap<String, Vec<ColumnInfo>> = BTreeMap::new();
    match query(connection, COLUMNS, read) {
        Ok(rows) => {
            for (relation, info) in rows {
                found.entry(relation).or_default().push(info);
            }
        }
        Err(error) if matches!(error.kind(), ErrorKind::Failed | ErrorKind::NotFound) => {
            let mut statement = connection.prepare(COLUMNS_OF_ONE).map_err(failure)?;
            for relation in relations {
                let rows: rusqlite::Result<Vec<_>> = statement.query_map([&relation.name], read).and_then(Iterator::collect);
                match rows {
                    Ok(rows) => {
                        found.insert(relation.name.clone(), rows.into_iter().map(|(_, info)| info).collect());
                    }
                    Err(error) => omitted.push(Omission {
                        subject: format!("{SCHEMA}.{}", relation.name),
                        reason: format!("SQLite cannot tell its columns: {}", failure(error).message()),
                    }),
                }
            }
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn unique_indexes(connection: &Connection) -> Result<BTreeMap<String, Vec<UniqueIndex>>> {
    let rows = query(connection, UNIQUE_INDEXES, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, Option<String>>(3)?))
    })?;
    let mut by_name: BTreeMap<(String, String), UniqueIndex> = BTreeMap::new();
    for (table, index, origin, column) in rows {
        let entry = by_name.entry((table, index)).or_insert_with(|| UniqueIndex { is_primary_key: origin == "pk", columns: Vec::new() });
        entry.columns.push(column);
    }
    let mut by_table: BTreeMap<String, Vec<UniqueIndex>> = BTreeMap::new();
    for ((table, _), index) in by_name {
        by_table.entry(table).or_default().push(index);
    }
    Ok(by_table)
}

fn row_estimates(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let analysed = query(connection, "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'", |_| Ok(()))?;
    if analysed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = query(connection, ROW_ESTIMATES, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(rows.into_iter().filter_map(|(table, rows)| Some((table, u64::try_from(rows).ok()?))).collect())
}

fn table(
    connection: &Connection,
    relation: &Relation,
    infos: &[ColumnInfo],
    indexes: &[UniqueIndex],
    row_estimate: Option<u64>,
    utf8: bool,
) -> RemoteTable {
    // 1 is a hidden column of a virtual table, an argument rather than a value. 2 and 3 are generated columns.
    let shown: Vec<&ColumnInfo> = infos.iter().filter(|info| info.hidden != 1).collect();
    let mut key: Vec<&ColumnInfo> = shown.iter().copied().filter(|info| info.key_position > 0).collect();
    key.sort_by_key(|info| info.key_position);
    // The alias of the rowid is the one primary key without an index of its own.
    let is_rowid = relation.kind == Kind::Table
        && matches!(key.as_slice(), [only] if only.declared.eq_ignore_ascii_case("INTEGER"))
        && !indexes.iter().any(|index| index.is_primary_key);
    // Elsewhere SQLite lets a primary key be NULL, and any number of times.
    let may_be_null =
        |info: &ColumnInfo| relation.kind != Kind::Table || !(info.not_null || info.key_position > 0 && (is_rowid || relation.sound_keys));
    let key_names: Vec<String> = key.iter().map(|info| info.name.clone()).collect();
    let key_is_sound = relation.kind == Kind::Table && !key.is_empty() && !key.iter().any(|info| may_be_null(info));
    let primary_key = if key_is_sound { key_names.clone() } else { Vec::new() };
    let unique_keys = indexes
        .iter()
        .filter_map(|index| index.columns.iter().cloned().collect::<Option<Vec<String>>>())
        .filter(|columns| *columns != primary_key)
        .collect();
    let columns = shown.iter().map(|info| column(connection, relation, info, may_be_null(info), utf8)).collect();
    RemoteTable {
        schema: SCHEMA.to_owned(),
        name: relation.name.clone(),
        kind: if relation.kind == Kind::View { TableKind::View } else { TableKind::Table },
        columns,
        primary_key,
        unique_keys,
        comment: None,
        row_estimate,
    }
}

fn column(connection: &Connection, relation: &Relation, info: &ColumnInfo, nullable: bool, utf8: bool) -> RemoteColumn {
    // SQLite answers from its parsed schema here; this is no query.
    let metadata = connection.column_metadata(Some(SCHEMA), relation.name.as_str(), info.name.as_str()).ok();
    let collation = metadata.and_then(|(_, collation, ..)| collation).and_then(|name| name.to_str().ok());
    let behaviour = match relation.kind {
        Kind::Table => Behaviour::Stored { collation, utf8 },
        Kind::View => Behaviour::Viewed,
        Kind::Virtual => Behaviour::Virtual,
    };
    let mapping = map(&info.declared, behaviour);
    let is_text = mapping.data_type == datafusion::arrow::datatypes::DataType::Utf8;
    RemoteColumn {
        name: info.name.clone(),
        remote_type: info.declared.clone(),
        data_type: mapping.data_type,
        presentation: mapping.presentation,
        nullable,
        comment: None,
        collation: collation.filter(|_| is_text && relation.kind == Kind::Table).map(str::to_owned),
        comparison: mapping.comparison,
    }
}
