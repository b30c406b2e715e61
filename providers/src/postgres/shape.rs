//! What a table was made of when it was looked at last, and whether it still is when a statement runs.
//!
//! A plan is made for columns of certain types, collations and domains: what is asked of the source, and how its answer is read, depends
//! on them. When one of them has changed since, an answer would often still come, and be wrong. So each statement has the source say, in
//! the flight of its own words, which transactions wrote the columns of its tables. If they are those of the last look, nothing has
//! changed; if not, the columns themselves are compared, for a column that was added or a comment disturbs nobody.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error as DriverError, Statement};

use super::failure;
use super::known_tables::KnownTables;
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED};
use crate::remote::{RemoteColumn, RemoteTable};
use crate::sql::{Dialect, Reliance};

/// A sum over which transactions wrote rows of a system table. A transaction's number counts as its distance from a fixed one, for which
/// there is an operator; the rows of the first transactions of all have none, and are only replaced, never written anew.
macro_rules! written {
    ($xmin:literal) => {
        concat!(
            "pg_catalog.sum(pg_catalog.hashint8(pg_catalog.age(",
            $xmin,
            ")::pg_catalog.int8 - pg_catalog.age('3'::pg_catalog.xid)::pg_catalog.int8)) \
             FILTER (WHERE pg_catalog.age(",
            $xmin,
            ") < 2147483647)"
        )
    };
}
pub(super) use written;

/// All of an attribute `a` that plans depend on. A type or a collation that is made anew under its old name is another one here.
macro_rules! attribute {
    () => {
        "pg_catalog.concat_ws(',', a.atttypid, a.atttypmod, a.attcollation, a.attnotnull)"
    };
}
pub(super) use attribute;

/// The tables, by their names as statements write them, that are others than they were or whose columns others have written since.
const WRITTEN_SINCE: &str = concat!(
    "SELECT w.place FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.oid[]), \
                                    pg_catalog.unnest($3::pg_catalog.int8[])) WITH ORDINALITY AS w(name, relation, written, place) \
     WHERE pg_catalog.to_regclass(w.name)::pg_catalog.oid IS DISTINCT FROM w.relation \
        OR w.written IS DISTINCT FROM (SELECT ",
    written!("a.xmin"),
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped) \
     ORDER BY w.place"
);

/// What a table is now.
const NOW: &str = concat!(
    "SELECT a.attrelid, a.attname::pg_catalog.text, ",
    attribute!(),
    ", ",
    written!("a.xmin"),
    " OVER () FROM pg_catalog.pg_attribute a \
     WHERE a.attrelid = pg_catalog.to_regclass($1)::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped"
);

/// A table at the last look.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shape {
    /// Its object id.
    pub(super) relation: u32,
    /// Who wrote its columns.
    pub(super) written: Option<i64>,
    /// Its columns that our role may read, by name.
    pub(super) columns: HashMap<String, ColumnShape>,
}

/// A column at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnShape {
    /// What was made of it.
    told: u64,
    /// What it was made of.
    attribute: u64,
}

impl ColumnShape {
    /// Of a column as it was told of, and the source's words for it.
    pub(super) fn new(column: &RemoteColumn, attribute: &str) -> Self {
        Self { told: told(column), attribute: hash(attribute) }
    }
}

/// All of a column that plans depend on.
fn told(column: &RemoteColumn) -> u64 {
    let RemoteColumn { name: _, remote_type, data_type, presentation, nullable, comment: _, collation, comparison } = column;
    hash(&(remote_type, data_type, presentation, nullable, collation, comparison))
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Prepares the question that each statement asks; `None` on a server that does not know what it is made of.
pub(super) async fn prepare(client: &Client) -> Result<Option<Statement>, DriverError> {
    match client.prepare_typed(WRITTEN_SINCE, &[Type::TEXT_ARRAY, Type::OID_ARRAY, Type::INT8_ARRAY]).await {
        Ok(statement) => Ok(Some(statement)),
        Err(error) if failure::is_unknown_there(&error) => {
            tracing::debug!(code = error.code().map(SqlState::code), "changes of tables are not seen by statements");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The tables a statement reads, of which something is known.
#[derive(Debug)]
pub(super) struct Shapes<'a> {
    known: &'a KnownTables,
    /// Each as it was planned, and as the last look before the statement saw it: a look since then may have seen another one.
    tables: Vec<(&'a RemoteTable, Arc<Shape>)>,
    names: Vec<String>,
    relations: Vec<u32>,
    written: Vec<Option<i64>>,
}

impl<'a> Shapes<'a> {
    /// Those of `reliance`.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`] when the last look saw another column than the plan was made for.
    pub(super) fn of(reliance: &'a Reliance, known: &'a KnownTables, dialect: &dyn Dialect) -> Result<Self> {
        let mut shapes = Self { known, tables: Vec::new(), names: Vec::new(), relations: Vec::new(), written: Vec::new() };
        for table in reliance.tables() {
            // One that no look has found fails by itself, or was hidden from the last one.
            let Some(shape) = known.shape(table) else { continue };
            let is_other = |column: &&RemoteColumn| shape.columns.get(&column.name).is_some_and(|shape| shape.told != told(column));
            if let Some(column) = table.columns.iter().find(is_other) {
                return Err(changed(table, column));
            }
            shapes.names.push(dialect.table(&table.schema, &table.name));
            shapes.relations.push(shape.relation);
            shapes.written.push(shape.written);
            shapes.tables.push((table, shape));
        }
        Ok(shapes)
    }

    /// Asks which of them were written since, by their place.
    pub(super) async fn written_since(&self, client: &Client, question: Option<&Statement>) -> Result<Vec<usize>, DriverError> {
        let Some(question) = question.filter(|_| !self.tables.is_empty()) else { return Ok(Vec::new()) };
        let rows = client.query(question, &[&self.names, &self.relations, &self.written]).await?;
        rows.iter().map(|row| Ok(usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX))).collect()
    }

    /// Compares what the tables at `places` are now with what they were at the last look; gives the error of the first column that is
    /// another one. A table whose columns are as they were is known as it is from then on.
    pub(super) async fn changed(&self, client: &Client, places: &[usize]) -> Result<Option<Error>, DriverError> {
        for ((table, known), name) in places.iter().filter_map(|place| Some((self.tables.get(*place)?, self.names.get(*place)?))) {
            let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(name, Type::TEXT)];
            let rows = client.query_typed(NOW, &parameters).await?;
            let now = rows.iter().map(|row| Ok((row.try_get(1)?, hash(row.try_get::<_, &str>(2)?))));
            let now: HashMap<&str, u64> = now.collect::<Result<_, DriverError>>()?;
            // A column that is gone fails by itself, if it is asked for.
            let is_other = |column: &&RemoteColumn| {
                let known = known.columns.get(&column.name).map(|known| known.attribute);
                known.zip(now.get(column.name.as_str()).copied()).is_some_and(|(known, now)| known != now)
            };
            if let Some(column) = table.columns.iter().find(is_other) {
                return Ok(Some(changed(table, column)));
            }
            if let Some(row) = rows.first() {
                self.known.is_written(table, known, row.try_get(0)?, row.try_get(3)?);
            }
        }
        Ok(None)
    }
}

fn changed(table: &RemoteTable, column: &RemoteColumn) -> Error {
    let text =
        format!("column \"{}\" of {} is not the {} at the source any more that it was", column.name, table.subject(), column.remote_type);
    Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource")
}
