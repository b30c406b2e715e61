//! How SQLite defines a table we write to, and what such a table is like now.

use datafusion::arrow::datatypes::DataType;
use rusqlite::{Connection, Row};

use super::connect::write_failure;
use super::dialect::SqliteDialect;
use super::introspect::SCHEMA;
use super::type_mapping::{Behaviour, map};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Dialect;
use crate::writer::bootstrap::{Definition, Filling, FoundColumn, FoundTable, not_a_table};
use crate::writer::{DescribedColumn, DescribedType, TableDescriptor};

const KIND: &str = "SELECT type FROM pragma_table_list WHERE schema = 'main' AND lower(name) = lower(?1)";

const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";

/// SQLite's way to write it all.
pub(super) struct SqliteDefinition;

impl Definition for SqliteDefinition {
    fn quote(&self, identifier: &str) -> String {
        SqliteDialect::EXACT.quote(identifier)
    }

    fn table(&self, descriptor: &TableDescriptor) -> String {
        SqliteDialect::EXACT.table(SCHEMA, &descriptor.name)
    }

    fn type_name(&self, kind: DescribedType) -> &'static str {
        match kind {
            DescribedType::Key => "VARCHAR(64)",
            DescribedType::Text => "TEXT",
            // Read as JSON, and kept as the text it is: `JSON` alone would make numbers of what looks like one.
            DescribedType::Json => "JSON TEXT",
            DescribedType::Timestamp => "TIMESTAMP WITH TIME ZONE",
            DescribedType::BigInt => "BIGINT",
        }
    }

    fn table_options(&self) -> &'static str {
        ""
    }

    fn is_same_column(&self, left: &str, right: &str) -> bool {
        left.eq_ignore_ascii_case(right)
    }

    fn add_column(&self, table: &str, column: &str) -> String {
        format!("ALTER TABLE {table} ADD COLUMN {column}")
    }

    fn change_type(&self, _table: &str, _column: &str, _wanted: &DescribedColumn) -> Option<String> {
        None
    }

    fn allow_null(&self, _table: &str, _column: &str, _found: &FoundColumn) -> Option<String> {
        None
    }
}

/// The file itself is the only schema we write to.
pub(super) fn check_schema(descriptor: &TableDescriptor) -> Result<()> {
    match descriptor.schema.as_deref() {
        None | Some(SCHEMA) => Ok(()),
        Some(other) => {
            let text = format!("a SQLite file has no schema \"{other}\"");
            Err(Error::new(ErrorKind::Invalid, text).hint(format!("leave the schema out, or name {SCHEMA}")))
        }
    }
}

/// Looks at one table. Blocks.
pub(super) fn look(connection: &Connection, descriptor: &TableDescriptor) -> Result<Option<FoundTable>> {
    let kinds: Vec<String> = query(connection, KIND, &descriptor.name, |row| row.get(0))?;
    match kinds.first().map(String::as_str) {
        None => return Ok(None),
        Some("table") => {}
        Some("view") => return Err(not_a_table(descriptor, "a view")),
        Some(_) => return Err(not_a_table(descriptor, "a virtual table")),
    }
    let columns =
        query(connection, COLUMNS, &descriptor.name, |row| Ok((row.get::<_, i64>(4)?, column(connection, &descriptor.name, row)?)))?;
    let mut key: Vec<_> = columns.iter().filter(|(place, _)| *place > 0).map(|(place, column)| (*place, column.name.clone())).collect();
    key.sort();
    let primary_key = key.into_iter().map(|(_, name)| name).collect();
    Ok(Some(FoundTable { columns: columns.into_iter().map(|(_, column)| column).collect(), primary_key }))
}

fn query<T>(connection: &Connection, sql: &str, table: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(write_failure)?;
    let rows = statement.query_map([table], read).map_err(write_failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(write_failure)
}

fn column(connection: &Connection, table: &str, row: &Row<'_>) -> rusqlite::Result<FoundColumn> {
    let name: String = row.get(0)?;
    let remote_type = row.get::<_, Option<String>>(1)?.unwrap_or_default();
    let metadata = connection.column_metadata(Some(SCHEMA), table, name.as_str()).ok();
    let collation = metadata.and_then(|(_, collation, ..)| collation).and_then(|collation| collation.to_str().ok());
    let by_bytes = collation.is_some_and(|collation| collation.eq_ignore_ascii_case("BINARY"));
    let holds = DescribedType::ALL.into_iter().filter(|kind| holds(&remote_type, by_bytes, *kind)).collect();
    let filling = match (row.get::<_, i64>(5)?, row.get(3)?) {
        (0, true) => Filling::Default,
        (0, false) => Filling::Nothing,
        // A generated column, virtual or stored.
        _ => Filling::Generated,
    };
    Ok(FoundColumn { name, remote_type, holds, nullable: !row.get::<_, bool>(2)?, filling })
}

/// Whether every value of a kind stays what it is in a column of a declared type, and is read as that kind again. A key under a
/// collation of another kind than by bytes would be taken for another one.
fn holds(declared: &str, by_bytes: bool, kind: DescribedType) -> bool {
    let mapped = map(declared, Behaviour::Viewed).data_type;
    match kind {
        DescribedType::Key => by_bytes && keeps_text(declared),
        DescribedType::Text => keeps_text(declared) && mapped == DataType::Utf8,
        DescribedType::Json => keeps_text(declared),
        DescribedType::Timestamp => matches!(mapped, DataType::Timestamp(_, Some(_))),
        DescribedType::BigInt => mapped == DataType::Int64,
    }
}

/// Whether SQLite keeps text in such a column as it is, by its rules for the affinity of a declared type.
fn keeps_text(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_holds_every_value_of_a_kind_or_is_refused() {
        use DescribedType::{BigInt, Json, Key, Text, Timestamp};
        let cases: [(&str, &[DescribedType]); 12] = [
            ("TEXT", &[Key, Text, Json]),
            ("varchar(10)", &[Key, Text, Json]),
            ("JSON TEXT", &[Key, Text, Json]),
            ("JSON", &[]),
            ("CHARINT", &[]),
            ("", &[]),
            ("BLOB", &[]),
            ("TIMESTAMP WITH TIME ZONE", &[Timestamp]),
            ("timestamptz", &[Timestamp]),
            ("DATETIME", &[]),
            ("INTEGER", &[BigInt]),
            ("BIGINT", &[BigInt]),
        ];
        for (declared, expected) in cases {
            let held: Vec<_> = DescribedType::ALL.into_iter().filter(|kind| holds(declared, true, *kind)).collect();
            assert_eq!(held, expected, "{declared}");
        }
        assert!(!holds("TEXT", false, Key) && holds("TEXT", false, Text));
        for kind in DescribedType::ALL {
            assert!(holds(SqliteDefinition.type_name(kind), true, kind), "{kind:?}");
        }
    }
}
