//! Reads what tables there are, in one snapshot and a constant number of statements.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use futures::future::try_join3;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error as DriverError, Row, RowStream};

use super::type_mapping::{Collation, map};
use crate::remote::{Introspection, Omission, RemoteColumn, RemoteTable, Scope, TableKind};

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

/// An inheritance parent also shows the rows of its children, which its own keys and NOT NULL do not bind.
macro_rules! has_children {
    () => {
        "(c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid))"
    };
}

const TABLES: &str = concat!(
    "SELECT c.oid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text, \
            CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') AND (c.reltuples > 0 OR (c.reltuples = 0 AND \
                 pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000)) \
                 THEN c.reltuples::pg_catalog.float8 END, \
            pg_catalog.obj_description(c.oid, 'pg_class'), \
            COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false), \
            COALESCE(pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), false) \
     FROM ",
    relations!(),
);

/// Two collations never have one name here, even if one of them is the database's: text columns may meet only under one.
const COLUMNS: &str = concat!(
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
     ) \
     SELECT c.oid, a.attname::pg_catalog.text, a.attnotnull AND c.relkind <> 'f' AND NOT ",
    has_children!(),
    ",       pg_catalog.format_type(a.atttypid, a.atttypmod), \
            COALESCE(domain.base, a.atttypid), COALESCE(domain.modifier, a.atttypmod), \
            pg_catalog.col_description(c.oid, a.attnum), \
            COALESCE(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'), false), \
            CASE WHEN co.collprovider = 'd' THEN db.name \
                 WHEN cn.nspname = 'pg_catalog' AND co.collname::pg_catalog.text <> db.name THEN co.collname::pg_catalog.text \
                 ELSE cn.nspname || '.' || co.collname END, \
            CASE WHEN co.collprovider = 'd' THEN db.provider ELSE co.collprovider::pg_catalog.text END, \
            CASE WHEN co.collprovider = 'd' THEN db.locale ELSE COALESCE(co.collcollate::pg_catalog.text, '') END, \
            COALESCE(co.collisdeterministic, true), db.encoding \
     FROM pg_catalog.pg_attribute a \
     LEFT JOIN domain ON domain.domain = a.atttypid \
     LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
     LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace \
     CROSS JOIN db, ",
    relations!(),
    " AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum",
);

const KEYS: &str = concat!(
    "SELECT c.oid, i.indisprimary, pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place) \
     FROM pg_catalog.pg_index i \
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum, ",
    relations!(),
    " AND i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND NOT i.indisexclusion \
       AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts AND NOT ",
    has_children!(),
    " GROUP BY c.oid, i.indexrelid, i.indisprimary ORDER BY c.oid, i.indexrelid",
);

/// What the role of `client` may read within `scope`.
pub(super) async fn introspect(client: &Client, scope: &Scope) -> Result<Introspection, DriverError> {
    // One snapshot: else a table made or dropped meanwhile could appear without columns, which looks like drift.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let (mut tables, columns, mut keys) = try_join3(tables(client, scope), columns(client, scope), keys(client, scope)).await?;
    client.batch_execute("COMMIT").await?;

    let mut seen = Introspection { default_schema: DEFAULT_SCHEMA.to_owned(), ..Introspection::default() };
    for (oid, column) in columns {
        let Some(found) = tables.get_mut(&oid) else { continue };
        match column {
            Ok(column) => found.table.columns.push(column),
            Err(unreadable) => found.unreadable.push(unreadable),
        }
    }
    for (oid, mut found) in tables {
        let subject = format!("{}.{}", found.table.schema, found.table.name);
        if let Some(reason) = found.hidden {
            seen.omitted.push(Omission { subject, reason: reason.to_owned() });
            continue;
        }
        for column in found.unreadable {
            seen.omitted.push(Omission { subject: format!("{subject}.{column}"), reason: "no SELECT privilege on the column".to_owned() });
        }
        keep_keys(&mut found.table, keys.remove(&oid).unwrap_or_default());
        seen.tables.push(found.table);
    }
    seen.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    seen.omitted.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(seen)
}

/// A table on the way to being listed.
struct Found {
    table: RemoteTable,
    unreadable: Vec<String>,
    hidden: Option<&'static str>,
}

struct Key {
    primary: bool,
    columns: Vec<String>,
}

/// Keeps the keys all of whose columns our role may read.
fn keep_keys(table: &mut RemoteTable, keys: Vec<Key>) {
    for key in keys {
        if !key.columns.iter().all(|name| table.columns.iter().any(|column| column.name == *name)) {
            continue;
        }
        if key.primary {
            table.primary_key = key.columns;
        } else if !table.unique_keys.contains(&key.columns) {
            table.unique_keys.push(key.columns);
        }
    }
    table.unique_keys.sort();
}

async fn select(client: &Client, sql: &str, scope: &Scope) -> Result<RowStream, DriverError> {
    let schemas: &(dyn ToSql + Sync) = &scope.schemas;
    client.query_typed_raw(sql, [(schemas, Type::TEXT_ARRAY)]).await
}

async fn tables(client: &Client, scope: &Scope) -> Result<BTreeMap<u32, Found>, DriverError> {
    let rows = select(client, TABLES, scope).await?;
    rows.and_then(|row| async move { table(&row) }).try_collect().await
}

fn table(row: &Row) -> Result<(u32, Found), DriverError> {
    let kind = match row.try_get::<_, &str>(3)? {
        "p" => TableKind::PartitionedTable,
        "v" => TableKind::View,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::ForeignTable,
        _ => TableKind::Table,
    };
    let hidden = match (row.try_get(6)?, row.try_get(7)?) {
        (false, _) => Some("no USAGE privilege on the schema"),
        (true, false) => Some("no SELECT privilege"),
        (true, true) => None,
    };
    let table = RemoteTable {
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind,
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        comment: row.try_get(5)?,
        row_estimate: row.try_get::<_, Option<f64>>(4)?.map(|rows| rows as u64),
    };
    Ok((row.try_get(0)?, Found { table, unreadable: Vec::new(), hidden }))
}

/// The columns in order of table and position; a name alone is one that our role may not read.
type Columns = Vec<(u32, Result<RemoteColumn, String>)>;

async fn columns(client: &Client, scope: &Scope) -> Result<Columns, DriverError> {
    let rows = select(client, COLUMNS, scope).await?;
    rows.and_then(|row| async move { Ok((row.try_get(0)?, column(&row)?)) }).try_collect().await
}

fn column(row: &Row) -> Result<Result<RemoteColumn, String>, DriverError> {
    let name: String = row.try_get(1)?;
    if !row.try_get(7)? {
        return Ok(Err(name));
    }
    let collation: Option<String> = row.try_get(8)?;
    let details = match &collation {
        Some(_) => Some(Collation {
            provider: row.try_get(9)?,
            locale: row.try_get(10)?,
            deterministic: row.try_get(11)?,
            encoding: row.try_get(12)?,
        }),
        None => None,
    };
    let mapping = map(row.try_get(4)?, row.try_get(5)?, details);
    Ok(Ok(RemoteColumn {
        name,
        remote_type: row.try_get(3)?,
        data_type: mapping.data_type,
        presentation: mapping.presentation,
        nullable: !row.try_get::<_, bool>(2)?,
        comment: row.try_get(6)?,
        collation,
        comparison: mapping.comparison,
    }))
}

async fn keys(client: &Client, scope: &Scope) -> Result<HashMap<u32, Vec<Key>>, DriverError> {
    let rows = select(client, KEYS, scope).await?;
    rows.try_fold(HashMap::new(), |mut keys: HashMap<u32, Vec<Key>>, row| async move {
        keys.entry(row.try_get(0)?).or_default().push(Key { primary: row.try_get(1)?, columns: row.try_get(2)? });
        Ok(keys)
    })
    .await
}
