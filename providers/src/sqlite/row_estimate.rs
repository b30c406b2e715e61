//! About how many rows tables have, for the planner: SQLite keeps no count.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::dialect::SqliteDialect;
use super::introspect::query;
use crate::error::{ErrorKind, Result};
use crate::sql::Dialect;

/// What `ANALYZE` counted, when it ever ran; the first number of `stat` is the rows of an index, of all rows unless it is partial.
const ANALYSED: &str = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM main.sqlite_stat1 WHERE tbl IS NOT NULL GROUP BY tbl";

/// The names of a row's number. A column of such a name hides it.
const ROWID: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// The bytes of the smallest row, but for one for each column: its place in the page, its length, its number, its header.
const LEAST_BYTES: u64 = 5;

/// A table whose rows are numbered, and the columns it has.
pub(super) struct Numbered<'a> {
    pub(super) table: &'a str,
    pub(super) columns: Vec<&'a str>,
}

impl Numbered<'_> {
    /// How its row numbers are written, if they can be.
    fn rowid(&self) -> Option<&'static str> {
        ROWID.into_iter().find(|name| !self.columns.iter().any(|column| column.eq_ignore_ascii_case(name)))
    }
}

/// What `ANALYZE` counted, by table.
pub(super) fn analysed(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let rows = query(connection, ANALYSED, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(rows.into_iter().filter_map(|(table, rows)| Some((table, u64::try_from(rows).ok()?))).collect())
}

/// At most how many rows the tables have, by table: as many as there are numbers from the first row's to the last one's, and as fit
/// into the file. One statement, which reads two rows of each table.
pub(super) fn numbered(connection: &Connection, tables: &[Numbered<'_>]) -> Result<BTreeMap<String, u64>> {
    let asked: Vec<(&Numbered<'_>, &str)> = tables.iter().filter_map(|table| Some((table, table.rowid()?))).collect();
    if asked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let span = |(table, rowid): &(&Numbered<'_>, &str)| {
        let from = SqliteDialect::EXACT.table("main", table.table);
        format!("((SELECT max({rowid}) FROM {from}) - (SELECT min({rowid}) FROM {from}) + 1.0)")
    };
    let bytes = "(SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)";
    let spans: Vec<String> = asked.iter().map(span).collect();
    // Rows of VALUES are not limited in number, as columns and the parts of a union are.
    let sql = format!("VALUES ({bytes}), {}", spans.iter().map(|span| format!("({span})")).collect::<Vec<_>>().join(", "));
    let number = |value: ValueRef<'_>| match value {
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        // There is no row.
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => 0.0,
    };
    let numbers = match query(connection, &sql, |row| Ok(number(row.get_ref(0)?))) {
        Ok(numbers) => numbers,
        // Nothing can be read now, or nobody waits any more.
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Cancelled) => return Err(error),
        // Otherwise an estimate is no reason not to list the tables.
        Err(error) => {
            tracing::debug!(%error, "sizes of tables are not known");
            return Ok(BTreeMap::new());
        }
    };
    let Some((bytes, spans)) = numbers.split_first() else { return Ok(BTreeMap::new()) };
    let fitting = |table: &Numbered<'_>| *bytes as u64 / (LEAST_BYTES + table.columns.len() as u64);
    let rows = asked.iter().zip(spans).map(|((table, _), span)| (table.table.to_owned(), (*span as u64).min(fitting(table))));
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimates(script: &str, tables: &[Numbered<'_>]) -> BTreeMap<String, u64> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(script).unwrap();
        numbered(&connection, tables).unwrap()
    }

    #[test]
    fn numbers_span_the_rows() {
        let script = "CREATE TABLE t (a); CREATE TABLE key (id INTEGER PRIMARY KEY, a); CREATE TABLE empty (a); \
            CREATE TABLE \"odd \"\"one\" (rowid TEXT, oid TEXT); CREATE TABLE hidden (rowid, oid, _rowid_); \
            WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i FROM n; \
            INSERT INTO key SELECT a + 5000, a FROM t WHERE a <= 100; INSERT INTO \"odd \"\"one\" SELECT a, a FROM t; \
            INSERT INTO hidden SELECT a, a, a FROM t; DELETE FROM t WHERE a = 500";
        let tables = [
            Numbered { table: "t", columns: vec!["a"] },
            Numbered { table: "key", columns: vec!["id", "a"] },
            Numbered { table: "empty", columns: vec!["a"] },
            Numbered { table: "odd \"one", columns: vec!["rowid", "oid"] },
            Numbered { table: "hidden", columns: vec!["ROWID", "oid", "_rowid_"] },
        ];
        let expected = [("empty", 0), ("key", 100), ("odd \"one", 1000), ("t", 1000)];
        assert_eq!(estimates(script, &tables), expected.map(|(table, rows)| (table.to_owned(), rows)).into());
    }

    #[test]
    fn numbers_that_are_far_apart_are_bounded_by_the_file() {
        let script = "CREATE TABLE t (id INTEGER PRIMARY KEY); \
            INSERT INTO t VALUES (-9223372036854775808), (9223372036854775807)";
        let found = estimates(script, &[Numbered { table: "t", columns: vec!["id"] }]);
        assert!((2..100_000).contains(&found["t"]), "{found:?}");
    }

    #[test]
    fn any_number_of_tables_is_one_statement() {
        let names: Vec<String> = (0..3000).map(|number| format!("t{number}")).collect();
        let script: String = names.iter().map(|name| format!("CREATE TABLE {name} (a); INSERT INTO {name} VALUES (1);")).collect();
        let tables: Vec<_> = names.iter().map(|name| Numbered { table: name, columns: vec!["a"] }).collect();
        assert_eq!(estimates(&script, &tables).len(), 3000);
    }
}
