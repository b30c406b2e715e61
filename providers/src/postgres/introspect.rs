//! Reads what tables there are, in one statement.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use futures::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error as DriverError, Row};

use super::known_tables::{ColumnValues, Facts, TableFacts};
use super::shape::{ColumnShape, Shape, attribute, written};
use super::type_mapping::{Collation, NumericPolicy, map};
use crate::remote::{Introspection, Omission, OmissionCause, RemoteColumn, RemotePresence, RemoteTable, Scope, TableKind};
use crate::subject::Subject;

/// The schema that appears under the datasource's own name.
pub(super) const DEFAULT_SCHEMA: &str = "public";

/// The relations a user may have made and see: no partitions, whose parents are listed, and nothing temporary or of the system.
macro_rules! relations {
    () => {
        "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' \
           AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
           AND (pg_catalog.cardinality($1::pg_catalog.text[]) = 0 OR n.nspname = ANY ($1))"
    };
}

/// Tables, their columns, their keys, and with `$2` what is known of their values, which `part` tells apart: one statement is one
/// snapshot by itself. Else a table made or dropped meanwhile could appear without columns, which looks like drift.
///
/// An inheritance parent also shows the rows of its children, which its own keys and NOT NULL do not bind. Two collations never have
/// one name here, even if one of them is the database's: text columns may meet only under one.
///
/// What counts as blocks is the largest part of a partitioned table. A table that was never analysed is as large as the rows that
/// were counted suggest; asking for the size of its files would wait for whoever has locked it. Tables whose rows have no place, or
/// whose places a row level policy hides from the source's planner, have no blocks.
const LOOK: &str = concat!(
    "WITH RECURSIVE step AS ( \
         SELECT t.oid AS domain, t.typbasetype AS base, t.typtypmod AS modifier FROM pg_catalog.pg_type t WHERE t.typtype = 'd' \
         UNION ALL \
         SELECT s.domain, t.typbasetype, t.typtypmod FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base WHERE t.typtype = 'd' \
     ), domain AS ( \
         SELECT s.* FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base WHERE t.typtype <> 'd' \
     ), db AS MATERIALIZED ( \
         SELECT pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text AS encoding, d.datcollate::pg_catalog.text AS locale, \
                COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') AS provider, \
                COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', \
                         d.datcollate::pg_catalog.text) AS name \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database() \
     ), relation AS MATERIALIZED ( \
         SELECT c.oid, n.oid AS schema, n.nspname, c.relname, c.relkind, c.reltuples, \
                c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) AS has_children \
         FROM ",
    relations!(),
    " ), part AS ( \
         SELECT r.oid AS root, r.oid FROM relation r WHERE r.relkind IN ('r', 'p', 'm') \
         UNION ALL SELECT p.root, h.inhrelid FROM part p JOIN pg_catalog.pg_inherits h ON h.inhparent = p.oid \
     ), size AS ( \
         SELECT p.root, \
                pg_catalog.sum(CASE WHEN c.relkind = 'p' THEN 0 WHEN c.reltuples > 0 THEN c.reltuples::pg_catalog.float8 \
                    WHEN c.relpages = 0 THEN pg_catalog.pg_stat_get_live_tuples(c.oid)::pg_catalog.float8 ELSE 0 END) AS live, \
                CASE WHEN pg_catalog.bool_and(c.relkind = 'p' OR (c.relkind = 'r' AND COALESCE(am.amname = 'heap', false))) \
                          AND NOT pg_catalog.bool_or(c.relrowsecurity) \
                     THEN pg_catalog.max(CASE WHEN c.relpages = 0 THEN pg_catalog.pg_stat_get_live_tuples(c.oid) / 100 \
                                              ELSE c.relpages END)::pg_catalog.float8 END AS blocks \
         FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.oid LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam GROUP BY p.root \
     ) \
     SELECT 't'::pg_catalog.text AS part, r.oid AS relation, \
            (SELECT ",
    written!("a.xmin"),
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped) AS place_or_written, r.relname::pg_catalog.text AS name, \
            r.nspname::pg_catalog.text AS schema_or_type, pg_catalog.obj_description(r.oid, 'pg_class') AS comment, \
            COALESCE(pg_catalog.has_any_column_privilege(r.oid, 'SELECT'), false) AS readable, \
            COALESCE(pg_catalog.has_schema_privilege(r.schema, 'USAGE'), false) AS usable_or_nullable_or_primary, \
            r.relkind::pg_catalog.text AS kind_or_attribute, \
            CASE WHEN r.relkind IN ('r', 'p', 'm', 'f') AND (r.reltuples > 0 OR (r.reltuples = 0 AND \
                 pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000)) \
                 THEN r.reltuples::pg_catalog.float8 END AS estimate, \
            NULL::pg_catalog.oid AS base, NULL::pg_catalog.int4 AS modifier, NULL::pg_catalog.text AS collation, \
            NULL::pg_catalog.text AS provider, NULL::pg_catalog.text AS locale, NULL::pg_catalog.bool AS deterministic, \
            NULL::pg_catalog.text AS encoding, NULL::pg_catalog.text[] AS key, s.live AS live_or_distinct, s.blocks \
     FROM relation r LEFT JOIN size s ON s.root = r.oid \
     UNION ALL \
     SELECT 'c', r.oid, a.attnum::pg_catalog.int8, a.attname::pg_catalog.text, \
            pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.col_description(r.oid, a.attnum), \
            COALESCE(pg_catalog.has_column_privilege(r.oid, a.attnum, 'SELECT'), false), \
            NOT a.attnotnull OR r.relkind = 'f' OR r.has_children, \
            ",
    attribute!(),
    ", NULL::pg_catalog.float8, \
            COALESCE(domain.base, a.atttypid), COALESCE(domain.modifier, a.atttypmod), \
            CASE WHEN co.collprovider = 'd' THEN db.name \
                 WHEN cn.nspname = 'pg_catalog' AND co.collname::pg_catalog.text <> db.name THEN co.collname::pg_catalog.text \
                 ELSE cn.nspname || '.' || co.collname END, \
            CASE WHEN co.collprovider = 'd' THEN db.provider ELSE co.collprovider::pg_catalog.text END, \
            CASE WHEN co.collprovider = 'd' THEN db.locale ELSE COALESCE(co.collcollate::pg_catalog.text, '') END, \
            COALESCE(co.collisdeterministic, true), db.encoding, NULL::pg_catalog.text[], NULL::pg_catalog.float8, NULL::pg_catalog.float8 \
     FROM relation r \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN domain ON domain.domain = a.atttypid \
     LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
     LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace \
     CROSS JOIN db \
     UNION ALL \
     SELECT 'k', r.oid, i.indexrelid::pg_catalog.int8, NULL::pg_catalog.text, \
            NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bool, i.indisprimary, \
            NULL::pg_catalog.text, NULL::pg_catalog.float8, NULL::pg_catalog.oid, NULL::pg_catalog.int4, NULL::pg_catalog.text, \
            NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bool, NULL::pg_catalog.text, \
            pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place), NULL::pg_catalog.float8, NULL::pg_catalog.float8 \
     FROM relation r \
     JOIN pg_catalog.pg_index i ON i.indrelid = r.oid \
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
     WHERE i.indisunique AND i.indisvalid AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL \
       AND k.place <= i.indnkeyatts AND NOT r.has_children \
     GROUP BY r.oid, i.indexrelid, i.indisprimary \
     UNION ALL \
     SELECT 'v', r.oid, 0::pg_catalog.int8, s.attname::pg_catalog.text, \
            NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bool, NULL::pg_catalog.bool, \
            NULL::pg_catalog.text, s.null_frac::pg_catalog.float8, a.atttypid, s.avg_width, NULL::pg_catalog.text, \
            NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bool, NULL::pg_catalog.text, \
            CASE WHEN a.atttypid IN (20, 21, 23, 1082, 1114, 1184, 1700) THEN \
                 (SELECT ARRAY[b.bounds[1], b.bounds[pg_catalog.array_upper(b.bounds, 1)]] \
                  FROM (SELECT s.histogram_bounds::pg_catalog.text::pg_catalog.text[] AS bounds) b) END, \
            s.n_distinct::pg_catalog.float8, NULL::pg_catalog.float8 \
     FROM relation r JOIN pg_catalog.pg_stats s ON s.schemaname = r.nspname AND s.tablename = r.relname \
         AND s.inherited = (r.relkind = 'p' OR r.has_children) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attname = s.attname \
     WHERE $2"
);

/// The relations of a look that are asked for by name, each by its place among the questions: whether it may be read, and whether a
/// column of it may be; NULL is no such column.
const PRESENCE: &str = concat!(
    "SELECT w.place, COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                 AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), false), \
            (SELECT COALESCE(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'), false) FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::pg_catalog.text = w.name) \
     FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY \
              AS w (schema, relation, name, place), ",
    relations!(),
    " AND n.nspname::pg_catalog.text = w.schema AND c.relname::pg_catalog.text = w.relation"
);

/// How to look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) scope: Scope,
    /// Whether to ask what is known of the columns' values.
    pub(super) values: bool,
    pub(super) numeric: NumericPolicy,
}

/// What the role of `client` may read, and how large it is.
pub(super) async fn introspect(client: &Client, look: &Look) -> Result<(Introspection, Facts), DriverError> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&look.scope.schemas, Type::TEXT_ARRAY), (&look.values, Type::BOOL)];
    let mut rows = std::pin::pin!(client.query_typed_raw(LOOK, parameters).await?);
    let mut tables: BTreeMap<u32, Found> = BTreeMap::new();
    let mut known = Vec::new();
    let mut columns = Vec::new();
    let mut keys = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let (relation, place): (u32, Option<i64>) = (row.try_get(RELATION)?, row.try_get(PLACE_OR_WRITTEN)?);
        match row.try_get(PART)? {
            "t" => drop(tables.insert(relation, table(&row)?)),
            "c" => columns.push((relation, place, column(&row, look.numeric)?)),
            "v" => known.push((relation, row.try_get(NAME)?, values_of(&row)?)),
            _ => keys.push((relation, place, Key { primary: row.try_get(FLAG)?, columns: row.try_get(KEY)? })),
        }
    }
    columns.sort_by_key(|(relation, place, _)| (*relation, *place));
    keys.sort_by_key(|(relation, place, _)| (*relation, *place));
    for (relation, _, column) in columns {
        let Some(found) = tables.get_mut(&relation) else { continue };
        match column {
            Ok((column, shape)) => {
                found.facts.shape.columns.insert(column.name.clone(), shape);
                found.table.columns.push(column);
            }
            Err(unreadable) => found.unreadable.push(unreadable),
        }
    }
    for (relation, _, key) in keys {
        if let Some(found) = tables.get_mut(&relation) {
            keep_key(&mut found.table, key);
        }
    }
    for (relation, name, column) in known {
        if let Some(found) = tables.get_mut(&relation) {
            found.facts.columns.insert(name, column);
        }
    }
    Ok(arrange(tables))
}

/// What the catalogs say of tables and columns, whoever may read them.
pub(super) async fn presence(client: &Client, subjects: &[Subject]) -> Result<Vec<RemotePresence>, DriverError> {
    let schemas: Vec<&str> = subjects.iter().map(|subject| subject.schema.as_str()).collect();
    let tables: Vec<&str> = subjects.iter().map(|subject| subject.table.as_str()).collect();
    let columns: Vec<Option<&str>> = subjects.iter().map(|subject| subject.column.as_deref()).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&schemas, Type::TEXT_ARRAY), (&tables, Type::TEXT_ARRAY), (&columns, Type::TEXT_ARRAY)];
    let mut answers = vec![RemotePresence::Absent; subjects.len()];
    for row in client.query_typed(PRESENCE, &parameters).await? {
        let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
        let (Some(answer), Some(subject)) = (answers.get_mut(place), subjects.get(place)) else { continue };
        let is_readable = match (row.try_get(1)?, row.try_get::<_, Option<bool>>(2)?, &subject.column) {
            (_, None, Some(_)) => continue,
            (table, column, _) => table && column.unwrap_or(true),
        };
        *answer = if is_readable { RemotePresence::Readable } else { RemotePresence::Forbidden };
    }
    Ok(answers)
}

fn arrange(tables: BTreeMap<u32, Found>) -> (Introspection, Facts) {
    let mut facts = Facts::new();
    let mut seen = Introspection { default_schema: DEFAULT_SCHEMA.to_owned(), ..Introspection::default() };
    let unreadable = |subject: Subject, reason: &str| Omission {
        subject: subject.to_string(),
        reason: reason.to_owned(),
        cause: OmissionCause::Unreadable,
    };
    for Found { table, unreadable: columns, hidden, facts: of_table } in tables.into_values() {
        if let Some(reason) = hidden {
            seen.omitted.push(unreadable(table.subject(), reason));
            continue;
        }
        for column in columns {
            let subject = Subject::column(&table.schema, &table.name, &column);
            seen.omitted.push(unreadable(subject, "no SELECT privilege on the column"));
        }
        facts.insert((table.schema.clone(), table.name.clone()), of_table);
        seen.tables.push(table);
    }
    for table in &mut seen.tables {
        table.unique_keys.sort();
    }
    seen.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    seen.omitted.sort_by(|a, b| a.subject.cmp(&b.subject));
    (seen, facts)
}

// The columns of a look by position, because looking for their names takes longer than reading them. What has two names is the one
// in rows of tables and the other in rows of columns. Rows of values have the share of NULLs as estimate and the width as modifier.
const PART: usize = 0;
const RELATION: usize = 1;
/// Who wrote the columns, of a table.
const PLACE_OR_WRITTEN: usize = 2;
const NAME: usize = 3;
const SCHEMA_OR_TYPE: usize = 4;
const COMMENT: usize = 5;
const READABLE: usize = 6;
/// Whether the schema is usable, the column nullable, the key primary.
const FLAG: usize = 7;
const KIND_OR_ATTRIBUTE: usize = 8;
const ESTIMATE: usize = 9;
const BASE: usize = 10;
const MODIFIER: usize = 11;
const COLLATION: usize = 12;
const PROVIDER: usize = 13;
const LOCALE: usize = 14;
const DETERMINISTIC: usize = 15;
const ENCODING: usize = 16;
const KEY: usize = 17;
/// How many rows the table has, how many values the column.
const LIVE_OR_DISTINCT: usize = 18;
const BLOCKS: usize = 19;

/// A table on the way to being listed.
struct Found {
    table: RemoteTable,
    unreadable: Vec<String>,
    hidden: Option<&'static str>,
    facts: TableFacts,
}

struct Key {
    primary: bool,
    columns: Vec<String>,
}

/// Keeps a key all of whose columns our role may read. All columns are there already.
fn keep_key(table: &mut RemoteTable, key: Key) {
    if !key.columns.iter().all(|name| table.columns.iter().any(|column| column.name == *name)) {
        return;
    }
    if key.primary {
        table.primary_key = key.columns;
    } else if !table.unique_keys.contains(&key.columns) {
        table.unique_keys.push(key.columns);
    }
}

fn table(row: &Row) -> Result<Found, DriverError> {
    let kind = match row.try_get::<_, &str>(KIND_OR_ATTRIBUTE)? {
        "p" => TableKind::PartitionedTable,
        "v" => TableKind::View,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::ForeignTable,
        _ => TableKind::Table,
    };
    let hidden = match (row.try_get(FLAG)?, row.try_get(READABLE)?) {
        (false, _) => Some("no USAGE privilege on the schema"),
        (true, false) => Some("no SELECT privilege"),
        (true, true) => None,
    };
    let table = RemoteTable {
        schema: row.try_get(SCHEMA_OR_TYPE)?,
        name: row.try_get(NAME)?,
        kind,
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        comment: row.try_get(COMMENT)?,
        row_estimate: row.try_get::<_, Option<f64>>(ESTIMATE)?.map(|rows| rows as u64),
    };
    let facts = TableFacts {
        rows: row.try_get::<_, Option<f64>>(LIVE_OR_DISTINCT)?.map(|rows| rows as u64),
        blocks: row.try_get::<_, Option<f64>>(BLOCKS)?.map(|blocks| blocks as u64),
        shape: Shape { relation: row.try_get(RELATION)?, written: row.try_get(PLACE_OR_WRITTEN)?, columns: HashMap::new() },
        columns: HashMap::new(),
    };
    Ok(Found { table, unreadable: Vec::new(), hidden, facts })
}

fn values_of(row: &Row) -> Result<ColumnValues, DriverError> {
    let bounds: Option<Vec<Option<String>>> = row.try_get(KEY)?;
    let data_type = Type::from_oid(row.try_get(BASE)?).unwrap_or(Type::UNKNOWN);
    let bound = |bound: &Option<String>| place(&data_type, bound.as_deref()?);
    Ok(ColumnValues {
        range: match bounds.as_deref() {
            Some([least, greatest]) => bound(least).zip(bound(greatest)),
            Some(_) | None => None,
        },
        null_fraction: row.try_get(ESTIMATE)?,
        distinct: row.try_get(LIVE_OR_DISTINCT)?,
        width: u64::try_from(row.try_get::<_, i32>(MODIFIER)?).unwrap_or_default(),
    })
}

/// Where a value, as PostgreSQL writes it, is among those of its type: see [`ColumnEstimate::range`](crate::sql::ColumnEstimate).
fn place(data_type: &Type, text: &str) -> Option<f64> {
    let place = match *data_type {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC => text.parse().ok()?,
        Type::DATE => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.signed_duration_since(NaiveDate::default()).num_days() as f64,
        Type::TIMESTAMP => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc().timestamp_micros() as f64,
        Type::TIMESTAMPTZ => DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok()?.timestamp_micros() as f64,
        _ => return None,
    };
    Some(place).filter(|place: &f64| place.is_finite())
}

/// A column; a name alone is one that our role may not read.
fn column(row: &Row, numeric: NumericPolicy) -> Result<Result<(RemoteColumn, ColumnShape), String>, DriverError> {
    let name: String = row.try_get(NAME)?;
    if !row.try_get(READABLE)? {
        return Ok(Err(name));
    }
    let collation: Option<String> = row.try_get(COLLATION)?;
    let details = match &collation {
        Some(_) => Some(Collation {
            provider: row.try_get(PROVIDER)?,
            locale: row.try_get(LOCALE)?,
            deterministic: row.try_get(DETERMINISTIC)?,
            encoding: row.try_get(ENCODING)?,
        }),
        None => None,
    };
    let mapping = map(row.try_get(BASE)?, row.try_get(MODIFIER)?, details, numeric);
    let column = RemoteColumn {
        name,
        remote_type: row.try_get(SCHEMA_OR_TYPE)?,
        data_type: mapping.data_type,
        presentation: mapping.presentation,
        nullable: row.try_get(FLAG)?,
        comment: row.try_get(COMMENT)?,
        collation,
        comparison: mapping.comparison,
    };
    let shape = ColumnShape::new(&column, row.try_get(KIND_OR_ATTRIBUTE)?);
    Ok(Ok((column, shape)))
}
