//! Tables, views and their columns, keys and sizes.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use rusqlite::{Connection, Row, Statement};

use super::connect::failure;
use super::policy::Mismatch;
use super::row_estimate::{self, Numbered};
use super::type_mapping::{Behaviour, map};
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Comparison, Introspection, Omission, OmissionCause, RemoteColumn, RemotePresence, RemoteTable, TableKind};
use crate::subject::Subject;

/// The schema of the opened file itself.
pub(super) const SCHEMA: &str = "main";

/// Relations, unique indexes, the encoding and whether there are estimates, which the first column tells apart.
///
/// What SQLite keeps for itself (`sqlite_...`) and the shadow tables behind virtual ones are not published. Of indexes those over
/// columns alone count: an expression in one has no name, a partial one covers some rows only.
macro_rules! facts {
    () => {
        "SELECT 'r' AS part, name AS relation, type AS word, NULL AS other, wr AS flag, 0 AS place, strict AS number \
         FROM pragma_table_list \
         WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         UNION ALL \
         SELECT 'i', l.name, i.name, c.name, i.origin = 'pk', c.seqno, 0 \
         FROM pragma_table_list AS l JOIN pragma_index_list(l.name, 'main') AS i JOIN pragma_index_info(i.name, 'main') AS c \
         WHERE l.schema = 'main' AND l.type = 'table' AND i.\"unique\" AND NOT i.partial \
         UNION ALL \
         SELECT 'e', NULL, encoding, NULL, 0, 0, 0 FROM pragma_encoding \
         UNION ALL \
         SELECT 's', NULL, NULL, NULL, 0, 0, 0 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'"
    };
}

const FACTS: &str = facts!();

const FACTS_AND_COLUMNS: &str = concat!(
    facts!(),
    " UNION ALL \
     SELECT 'c', l.name, x.name, x.type, x.\"notnull\", x.cid, x.pk * 4 + x.hidden \
     FROM pragma_table_list AS l JOIN pragma_table_xinfo(l.name, 'main') AS x \
     WHERE l.schema = 'main' AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
);

const COLUMNS_OF_ONE: &str = "SELECT 'c', ?1, x.name, x.type, x.\"notnull\", x.cid, x.pk * 4 + x.hidden \
    FROM pragma_table_xinfo(?1, 'main') AS x";

/// The relation of a name, when it is one that is published.
const RELATION_OF_NAME: &str = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
    AND name = ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// The bits of a column's number that say how it is hidden; above them is its position in the primary key.
const HIDDEN: i64 = 3;
/// Hidden so is a column of a virtual table that is an argument rather than a value. 2 and 3 are generated columns.
const ARGUMENT: i64 = 1;

struct Relation {
    name: String,
    kind: Kind,
    /// Whether its rows have no number of their own.
    without_rowid: bool,
    /// Whether SQLite keeps values of other types out.
    strict: bool,
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
    position: i64,
    key_position: i64,
    hidden: i64,
}

#[derive(Default)]
struct UniqueIndex {
    is_primary_key: bool,
    /// By place in the index; `None` stands for an expression.
    columns: BTreeMap<i64, Option<String>>,
}

/// What one look found, sorted out.
#[derive(Default)]
struct Found {
    relations: Vec<Relation>,
    columns: BTreeMap<String, Vec<ColumnInfo>>,
    indexes: BTreeMap<String, BTreeMap<String, UniqueIndex>>,
    utf8: bool,
    analysed: bool,
}

/// Looks at the whole file in three statements at most, unless it has a view or virtual table that SQLite itself cannot resolve. Blocks.
pub(super) fn introspect(connection: &Connection, mismatch: Mismatch) -> Result<Introspection> {
    let mut omitted = Vec::new();
    let mut found = match look(connection, FACTS_AND_COLUMNS) {
        Err(error) if matches!(error.kind(), ErrorKind::Failed | ErrorKind::NotFound) => {
            // One such relation fails a statement over all of them, and only then each is asked for on its own.
            let mut found = look(connection, FACTS)?;
            columns_one_by_one(connection, &mut found, &mut omitted)?;
            found
        }
        found => found?,
    };
    found.relations.sort_by(|a, b| a.name.cmp(&b.name));
    let estimates = row_estimates(connection, &found)?;
    let mut tables = Vec::with_capacity(found.relations.len());
    for relation in &found.relations {
        let Some(mut infos) = found.columns.remove(&relation.name) else { continue };
        infos.sort_by_key(|info| info.position);
        let indexes: Vec<UniqueIndex> = found.indexes.remove(&relation.name).unwrap_or_default().into_values().collect();
        let found = Described { infos: &infos, indexes: &indexes, row_estimate: estimates.get(&relation.name).copied(), utf8: found.utf8 };
        tables.push(table(connection, relation, &found, mismatch));
    }
    Ok(Introspection { default_schema: SCHEMA.to_owned(), tables, omitted })
}

/// Looks for tables and columns. Blocks.
pub(super) fn presence(connection: &Connection, subjects: &[Subject]) -> Result<Vec<RemotePresence>> {
    let mut relation = connection.prepare(RELATION_OF_NAME).map_err(failure)?;
    let mut columns = connection.prepare(COLUMNS_OF_ONE).map_err(failure)?;
    subjects.iter().map(|subject| presence_of(&mut relation, &mut columns, subject)).collect()
}

fn presence_of(relation: &mut Statement<'_>, columns: &mut Statement<'_>, subject: &Subject) -> Result<RemotePresence> {
    let hides = |error: &Error| matches!(error.kind(), ErrorKind::Failed | ErrorKind::NotFound);
    if subject.schema != SCHEMA || !relation.exists([&subject.table]).map_err(failure)? {
        return Ok(RemotePresence::Absent);
    }
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(2)?, row.get::<_, i64>(6)? & HIDDEN));
    let columns = columns.query_map([&subject.table], read).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    match columns.map_err(failure) {
        Ok(columns) => {
            let is_there = |wanted: &String| columns.iter().any(|(name, hidden)| name == wanted && *hidden != ARGUMENT);
            Ok(if subject.column.as_ref().is_none_or(is_there) { RemotePresence::Readable } else { RemotePresence::Absent })
        }
        // It is no table that can be read, as in a look.
        Err(error) if hides(&error) => Ok(RemotePresence::Absent),
        Err(error) => Err(error),
    }
}

pub(super) fn query<T>(connection: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(failure)?;
    let rows = statement.query_map([], read).map_err(failure)?;
    rows.collect::<rusqlite::Result<Vec<T>>>().map_err(failure)
}

fn look(connection: &Connection, sql: &str) -> Result<Found> {
    let mut found = Found::default();
    query(connection, sql, |row| {
        match row.get_ref(0)?.as_str()? {
            "r" => {
                let kind = match row.get_ref(2)?.as_str()? {
                    "view" => Kind::View,
                    "virtual" => Kind::Virtual,
                    _ => Kind::Table,
                };
                found.relations.push(Relation { name: row.get(1)?, kind, without_rowid: row.get(4)?, strict: row.get(6)? });
            }
            "i" => {
                let indexes = found.indexes.entry(row.get(1)?).or_default();
                let index = indexes.entry(row.get(2)?).or_insert_with(UniqueIndex::default);
                index.is_primary_key = row.get(4)?;
                index.columns.insert(row.get(5)?, row.get(3)?);
            }
            "e" => found.utf8 = row.get_ref(2)?.as_str()? == "UTF-8",
            "s" => found.analysed = true,
            _ => found.columns.entry(row.get(1)?).or_default().push(column_info(row)?),
        }
        Ok(())
    })?;
    Ok(found)
}

fn column_info(row: &Row<'_>) -> rusqlite::Result<ColumnInfo> {
    let number: i64 = row.get(6)?;
    Ok(ColumnInfo {
        name: row.get(2)?,
        declared: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        not_null: row.get(4)?,
        position: row.get(5)?,
        key_position: number / 4,
        hidden: number & HIDDEN,
    })
}

fn columns_one_by_one(connection: &Connection, found: &mut Found, omitted: &mut Vec<Omission>) -> Result<()> {
    found.relations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut statement = connection.prepare(COLUMNS_OF_ONE).map_err(failure)?;
    for relation in &found.relations {
        let rows: rusqlite::Result<Vec<_>> = statement.query_map([&relation.name], column_info).and_then(Iterator::collect);
        match rows {
            Ok(rows) => drop(found.columns.insert(relation.name.clone(), rows)),
            Err(error) => omitted.push(Omission {
                subject: Subject::table(SCHEMA, &relation.name).to_string(),
                reason: format!("SQLite cannot tell its columns: {}", failure(error).message()),
                cause: OmissionCause::Unmapped,
            }),
        }
    }
    Ok(())
}

/// About how many rows tables have: what was counted, and at most so many where nothing was.
fn row_estimates(connection: &Connection, found: &Found) -> Result<BTreeMap<String, u64>> {
    let mut estimates = if found.analysed { row_estimate::analysed(connection)? } else { BTreeMap::new() };
    let is_numbered =
        |relation: &&Relation| relation.kind == Kind::Table && !relation.without_rowid && !estimates.contains_key(&relation.name);
    let numbered = found.relations.iter().filter(is_numbered).filter_map(|relation| {
        let columns = found.columns.get(&relation.name)?.iter().map(|info| info.name.as_str()).collect();
        Some(Numbered { table: &relation.name, columns })
    });
    let numbered: Vec<Numbered<'_>> = numbered.collect();
    estimates.extend(row_estimate::numbered(connection, &numbered)?);
    Ok(estimates)
}

/// What was found of one relation.
struct Described<'a> {
    infos: &'a [ColumnInfo],
    indexes: &'a [UniqueIndex],
    row_estimate: Option<u64>,
    utf8: bool,
}

fn table(connection: &Connection, relation: &Relation, found: &Described<'_>, mismatch: Mismatch) -> RemoteTable {
    let &Described { infos, indexes, row_estimate, utf8 } = found;
    let shown: Vec<&ColumnInfo> = infos.iter().filter(|info| info.hidden != ARGUMENT).collect();
    let mut key: Vec<&ColumnInfo> = shown.iter().copied().filter(|info| info.key_position > 0).collect();
    key.sort_by_key(|info| info.key_position);
    // The alias of the rowid is the one primary key without an index of its own.
    let is_rowid = relation.kind == Kind::Table
        && matches!(key.as_slice(), [only] if only.declared.eq_ignore_ascii_case("INTEGER"))
        && !indexes.iter().any(|index| index.is_primary_key);
    // Elsewhere but in `WITHOUT ROWID` and `STRICT` tables SQLite lets a primary key be NULL, and any number of times.
    let sound_keys = is_rowid || relation.without_rowid || relation.strict;
    let may_be_null = |info: &ColumnInfo| relation.kind != Kind::Table || !(info.not_null || info.key_position > 0 && sound_keys);
    // Whether the column can hold nothing but values of its type.
    let is_sound = |info: &ColumnInfo, column: &RemoteColumn| {
        relation.kind == Kind::Table
            && (is_rowid && info.key_position > 0
                || relation.strict && matches!(column.data_type, DataType::Int64 | DataType::Float64 | DataType::Binary))
    };
    let columns: Vec<RemoteColumn> = shown
        .iter()
        .map(|info| {
            let column = column(connection, relation, info, may_be_null(info), utf8);
            if is_sound(info, &column) { column } else { mismatch.applied_to(column) }
        })
        .collect();
    // Values that are read in place of others make no key.
    let identifies = |name: &String| {
        mismatch == Mismatch::Refused || columns.iter().any(|column| column.name == *name && column.comparison != Comparison::None)
    };
    let key_names: Vec<String> = key.iter().map(|info| info.name.clone()).collect();
    let key_is_sound =
        relation.kind == Kind::Table && !key.is_empty() && !key.iter().any(|info| may_be_null(info)) && key_names.iter().all(identifies);
    let primary_key = if key_is_sound { key_names.clone() } else { Vec::new() };
    let unique_keys = indexes
        .iter()
        .filter_map(|index| index.columns.values().cloned().collect::<Option<Vec<String>>>())
        .filter(|columns| *columns != primary_key && columns.iter().all(identifies))
        .collect();
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
    let is_text = mapping.data_type == DataType::Utf8;
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
