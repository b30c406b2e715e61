//! Whether the columns a statement computes with hold what their types say.
//!
//! SQLite lets any value into any column, and compares, sorts and counts what we refuse to read. So before it does, such columns are
//! read once with the eyes that read a result, within the statement's own transaction. Found sound they stay so until the file changes.
//! So do those that are seen to be declared as they were when the statement was planned.

use std::collections::HashSet;
use std::ffi::CStr;

use datafusion::arrow::datatypes::{DataType, Field};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::connect::failure;
use super::decode::ColumnBuilder;
use super::dialect::SqliteDialect;
use super::introspect::SCHEMA;
use super::policy::Mismatch;
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED, VALUE_REFUSED};
use crate::remote::{RemoteColumn, RemoteTable, TableKind};
use crate::sql::{Dialect, Reliance};

/// Rows between two looks at whether the work is still wanted; the values read so far are forgotten then, too.
const ROWS_AT_ONCE: usize = 4096;

/// The columns a connection has found sound, as of one state of the file.
#[derive(Debug, Default)]
pub(super) struct Verified {
    data_version: Option<i64>,
    columns: HashSet<Known>,
}

/// A column by its table and name, its type and its collation, if it has one.
type Known = (String, String, String, Option<String>);

impl Verified {
    /// Looks at those columns of `reliance` that were not looked at since the file last changed. Blocks. A read transaction must be
    /// open, so that what is found still holds when the statement runs.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`](crate::TYPE_CHANGED) for a column that is declared otherwise than it was;
    /// `Invalid` naming the table, the column and the first row whose value is none of the column's type.
    pub(super) fn ensure(&mut self, connection: &Connection, reliance: &Reliance, stopped: &dyn Fn() -> bool) -> Result<()> {
        // The number tells states of the file apart on one connection only, so each connection remembers for itself.
        let version = connection.query_row("PRAGMA main.data_version", [], |row| row.get(0)).map_err(failure)?;
        if self.data_version != Some(version) {
            // What SQLite tells of a column below is what it has parsed, and a query has it look whether that is still so.
            connection.query_row("SELECT count(*) FROM (SELECT 1 FROM main.sqlite_schema LIMIT 1)", [], |_| Ok(())).map_err(failure)?;
            self.columns.clear();
            self.data_version = Some(version);
        }
        for (table, columns) in reliance.iter() {
            let known =
                |column: &RemoteColumn| (table.name.clone(), column.name.clone(), column.remote_type.clone(), column.collation.clone());
            let unknown: Vec<&RemoteColumn> = columns.filter(|column| !self.columns.contains(&known(column))).collect();
            if unknown.is_empty() {
                continue;
            }
            for column in &unknown {
                is_declared_as_known(connection, table, column)?;
            }
            let enforcement = Enforcement::of(connection, table)?;
            let doubtful: Vec<&RemoteColumn> = unknown.iter().copied().filter(|column| !enforcement.covers(table, column)).collect();
            if !doubtful.is_empty() {
                read(connection, table, &doubtful, stopped)?;
            }
            self.columns.extend(unknown.into_iter().map(known));
        }
        Ok(())
    }
}

/// Whether a column is declared as it was: what it holds, and how that compares, depends on it. One that is not there any more fails the
/// statement itself, and what a view declares is what its tables do.
pub(super) fn is_declared_as_known(connection: &Connection, table: &RemoteTable, column: &RemoteColumn) -> Result<()> {
    let Ok((declared, collation, ..)) = connection.column_metadata(Some(SCHEMA), table.name.as_str(), column.name.as_str()) else {
        return Ok(());
    };
    let (declared, collation) = (text(declared), text(collation));
    let is_collated = column.collation.as_deref().is_none_or(|known| known.eq_ignore_ascii_case(collation));
    if is_collated && declared.eq_ignore_ascii_case(&column.remote_type) {
        return Ok(());
    }
    let text = format!("column \"{}\" of table \"{}\" is declared {declared} COLLATE {collation} now", column.name, table.name);
    Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"))
}

fn text(found: Option<&CStr>) -> &str {
    found.and_then(|found| found.to_str().ok()).unwrap_or_default()
}

/// What SQLite itself keeps out of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Enforcement {
    without_rowid: bool,
    pub(super) strict: bool,
}

impl Enforcement {
    pub(super) fn of(connection: &Connection, table: &RemoteTable) -> Result<Self> {
        let sql = "SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE AND type = 'table'";
        let found = connection.query_row(sql, [&table.name], |row| Ok(Self { without_rowid: row.get(0)?, strict: row.get(1)? }));
        match found {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Self::default()),
            other => other.map_err(failure),
        }
    }

    /// Whether the column can hold nothing but values of its type.
    fn covers(self, table: &RemoteTable, column: &RemoteColumn) -> bool {
        // A key of this very type is the row's number.
        let is_rowid = !self.without_rowid
            && table.kind == TableKind::Table
            && table.primary_key == [column.name.as_str()]
            && column.remote_type.eq_ignore_ascii_case("INTEGER");
        // Text may be invalid UTF-8 even there.
        is_rowid || (self.strict && matches!(column.data_type, DataType::Int64 | DataType::Float64 | DataType::Binary))
    }
}

/// Reads the columns from end to end.
fn read(connection: &Connection, table: &RemoteTable, columns: &[&RemoteColumn], stopped: &dyn Fn() -> bool) -> Result<()> {
    let mut readers = columns.iter().map(|column| Reader::new(&column.field())).collect::<Result<Vec<_>>>()?;
    let mut statement = connection.prepare(&select(&table.name, columns.iter().map(|column| &column.name))).map_err(failure)?;
    let mut rows = statement.query([]).map_err(failure)?;
    let mut count = 0_usize;
    while let Some(row) = rows.next().map_err(failure)? {
        count += 1;
        if count.is_multiple_of(ROWS_AT_ONCE) {
            if stopped() {
                return Err(Error::new(ErrorKind::Cancelled, "the statement was cancelled"));
            }
            readers.iter_mut().for_each(Reader::forget);
        }
        for (at, reader) in readers.iter_mut().enumerate() {
            if let Err(error) = reader.read(row.get_ref(at).map_err(failure)?) {
                return Err(located(connection, &table.name, &columns[at].field(), &error));
            }
        }
    }
    Ok(())
}

/// One column's values, which are decoded and thrown away.
struct Reader {
    field: Field,
    builder: ColumnBuilder,
}

impl Reader {
    fn new(field: &Field) -> Result<Self> {
        Ok(Self { builder: ColumnBuilder::new(field)?, field: field.clone() })
    }

    fn read(&mut self, value: ValueRef<'_>) -> Result<()> {
        self.builder.append(&self.field, value, Mismatch::Refused).map(drop)
    }

    fn forget(&mut self) {
        self.builder.finish();
    }
}

/// The error of a value that belies a column of a table, with the first such row.
pub(super) fn located(connection: &Connection, table: &str, column: &Field, error: &Error) -> Error {
    let hint = error.hint_text().unwrap_or_default();
    let hint = match first(connection, table, column) {
        Ok(Some(row)) => format!("the first is in the row with {row}; {hint}"),
        // The row went by, or has no key: the error itself stands.
        Ok(None) | Err(_) => hint.to_owned(),
    };
    Error::new(error.kind(), format!("table \"{table}\": {}", error.message())).code(VALUE_REFUSED).hint(hint)
}

/// What tells the first row apart whose value is none of the column's type.
fn first(connection: &Connection, table: &str, column: &Field) -> Result<Option<String>> {
    let names = names(connection, table)?;
    let mut statement = connection.prepare(&select(table, names.iter().chain([column.name()]))).map_err(failure)?;
    let mut rows = statement.query([]).map_err(failure)?;
    let mut reader = Reader::new(column)?;
    while let Some(row) = rows.next().map_err(failure)? {
        if reader.read(row.get_ref(names.len()).map_err(failure)?).is_err() {
            let shown = names.iter().enumerate().map(|(at, name)| Ok(format!("{name} = {}", written(row.get_ref(at).map_err(failure)?))));
            let shown = shown.collect::<Result<Vec<_>>>()?.join(", ");
            return Ok((!shown.is_empty()).then_some(shown));
        }
        reader.forget();
    }
    Ok(None)
}

/// The columns of the primary key, and the row's number unless it is that key or there is none.
fn names(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = "SELECT x.name, x.pk, upper(x.type) = 'INTEGER', l.type = 'table' AND NOT l.wr \
        FROM pragma_table_list AS l JOIN pragma_table_xinfo(l.name, 'main') AS x \
        WHERE l.schema = 'main' AND l.name = ?1 COLLATE NOCASE ORDER BY x.pk";
    let mut statement = connection.prepare(sql).map_err(failure)?;
    let columns = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    let columns: Vec<(String, i64, bool, bool)> = columns.and_then(Iterator::collect).map_err(failure)?;
    let mut names: Vec<String> = columns.iter().filter(|(_, key, ..)| *key > 0).map(|(name, ..)| name.clone()).collect();
    let key_is_number = matches!(columns.iter().filter(|(_, key, ..)| *key > 0).collect::<Vec<_>>().as_slice(), [(_, _, true, _)]);
    if columns.first().is_some_and(|(.., is_numbered)| *is_numbered) && !key_is_number {
        let is_free = |number: &&&str| !columns.iter().any(|(name, ..)| name.eq_ignore_ascii_case(number));
        names.extend(["rowid", "_rowid_", "oid"].iter().find(is_free).map(|number| (*number).to_owned()));
    }
    Ok(names)
}

fn select<'a>(table: &str, columns: impl Iterator<Item = &'a String>) -> String {
    let columns: Vec<String> = columns.map(|name| SqliteDialect::EXACT.quote(name)).collect();
    format!("SELECT {} FROM {}", columns.join(", "), SqliteDialect::EXACT.table(SCHEMA, table))
}

fn written(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes).replace('\'', "''")),
        ValueRef::Blob(_) => "a blob".to_owned(),
    }
}
