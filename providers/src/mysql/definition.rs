//! How MySQL and MariaDB define a table we write to, and what such a table is like now.

use mysql_async::Row;

use super::connect::{Flavor, Session};
use super::dialect::MySqlDialect;
use super::failure;
use super::introspect::text;
use crate::sql::Dialect;
use crate::writer::bootstrap::{Definition, Filling, FoundColumn, FoundTable};
use crate::writer::{DescribedColumn, DescribedType, KEY_LENGTH, TableDescriptor};

/// The server's way to write it all, in which each text says its character set: that of the database may hold less.
pub(super) struct MySqlDefinition {
    flavor: Flavor,
}

impl MySqlDefinition {
    pub(super) fn new(flavor: Flavor) -> Self {
        Self { flavor }
    }
}

impl Definition for MySqlDefinition {
    fn quote(&self, identifier: &str) -> String {
        MySqlDialect::default().quote(identifier)
    }

    fn table(&self, descriptor: &TableDescriptor) -> String {
        match &descriptor.schema {
            Some(schema) => MySqlDialect::default().table(schema, &descriptor.name),
            // The session is in the configured database.
            None => self.quote(&descriptor.name),
        }
    }

    fn type_name(&self, kind: DescribedType) -> &'static str {
        match (kind, self.flavor) {
            // Compared by bytes and unpadded: keys that differ are not one.
            (DescribedType::Key, Flavor::MariaDb) => "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
            (DescribedType::Key, Flavor::MySql) => "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
            (DescribedType::Text, Flavor::MariaDb) => "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
            (DescribedType::Text, Flavor::MySql) => "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
            (DescribedType::Json, _) => "json",
            // Not `timestamp`, which ends in 2038.
            (DescribedType::Timestamp, _) => "datetime(6)",
            (DescribedType::BigInt, _) => "bigint",
        }
    }

    fn table_options(&self) -> &'static str {
        // An engine without transactions would keep half a batch.
        " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
    }

    fn is_same_column(&self, left: &str, right: &str) -> bool {
        left.to_lowercase() == right.to_lowercase()
    }

    fn add_column(&self, table: &str, column: &str) -> String {
        // MySQL knows no IF NOT EXISTS here.
        format!("ALTER TABLE {table} ADD COLUMN {column}")
    }

    fn change_type(&self, table: &str, column: &str, wanted: &DescribedColumn) -> Option<String> {
        let null = if wanted.nullable { "NULL" } else { "NOT NULL" };
        Some(format!("ALTER TABLE {table} MODIFY COLUMN {column} {} {null}", self.type_name(wanted.kind)))
    }

    fn allow_null(&self, table: &str, column: &str, found: &FoundColumn) -> Option<String> {
        Some(format!("ALTER TABLE {table} MODIFY COLUMN {column} {} NULL", found.remote_type))
    }
}

/// What has the name of a table.
pub(super) enum Named {
    Nothing,
    Table(FoundTable),
    View,
}

/// Looks at one table. The server itself is given the name, so that it finds the table that an `INSERT` would.
pub(super) async fn look(session: &mut Session, table: &str) -> mysql_async::Result<Named> {
    let made = match session.rows(&format!("SHOW CREATE TABLE {table}")).await {
        Err(cause) if failure::code(&cause) == Some(1146) => return Ok(Named::Nothing),
        made => made?,
    };
    if made.first().is_some_and(|row| row.columns_ref().first().is_some_and(|column| column.name_str() == "View")) {
        return Ok(Named::View);
    }
    let columns = session.rows(&format!("SHOW FULL COLUMNS FROM {table}")).await?;
    let columns = columns.iter().map(column).collect();
    Ok(Named::Table(FoundTable { columns, primary_key: primary_key(session, table).await? }))
}

/// The names of the primary key's columns; empty without one.
pub(super) async fn primary_key(session: &mut Session, table: &str) -> mysql_async::Result<Vec<String>> {
    let parts = session.rows(&format!("SHOW INDEX FROM {table} WHERE Key_name = 'PRIMARY'")).await?;
    // A key over a part of a column is none over the column.
    let whole = parts.iter().all(|row| text(row, 7).is_none());
    Ok(if whole { parts.iter().filter_map(|row| text(row, 4)).collect() } else { Vec::new() })
}

/// A row of `SHOW FULL COLUMNS`: name, type, collation, whether NULL may be, key, default, and what else there is to it.
fn column(row: &Row) -> FoundColumn {
    let cell = |at| text(row, at).unwrap_or_default();
    let (remote_type, collation, extra) = (cell(1), text(row, 2), cell(6));
    let holds = DescribedType::ALL.into_iter().filter(|kind| holds(&remote_type, collation.as_deref(), *kind)).collect();
    let filling = if extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED") {
        Filling::Generated
    } else if text(row, 5).is_some() || extra.contains("auto_increment") || extra.contains("DEFAULT_GENERATED") {
        Filling::Default
    } else {
        Filling::Nothing
    };
    let remote_type = match collation {
        Some(collation) => format!("{remote_type} COLLATE {collation}"),
        None => remote_type,
    };
    FoundColumn { name: cell(0), remote_type, holds, nullable: cell(3) != "NO", filling }
}

/// Whether every value of a kind has an exact place in a type. A key whose letters may differ in case would be taken for another one.
fn holds(remote_type: &str, collation: Option<&str>, kind: DescribedType) -> bool {
    let whole_unicode = collation.is_some_and(|collation| collation.starts_with("utf8mb4_"));
    let by_bytes = collation.is_some_and(|collation| collation.ends_with("_bin"));
    match kind {
        DescribedType::Key => whole_unicode && by_bytes && varying(remote_type).is_some_and(|length| length >= KEY_LENGTH),
        DescribedType::Text => whole_unicode && remote_type == "longtext",
        DescribedType::Json => remote_type == "json" || (whole_unicode && remote_type == "longtext"),
        DescribedType::Timestamp => remote_type == "datetime(6)",
        DescribedType::BigInt => matches!(remote_type, "bigint" | "bigint(20)"),
    }
}

fn varying(remote_type: &str) -> Option<usize> {
    remote_type.strip_prefix("varchar(")?.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_every_value_of_a_kind_or_is_refused() {
        use DescribedType::{BigInt, Json, Key, Text, Timestamp};
        let cases: [(&str, Option<&str>, &[DescribedType]); 14] = [
            ("varchar(64)", Some("utf8mb4_nopad_bin"), &[Key]),
            ("varchar(64)", Some("utf8mb4_bin"), &[Key]),
            ("varchar(255)", Some("utf8mb4_0900_bin"), &[Key]),
            ("varchar(64)", Some("utf8mb4_general_ci"), &[]),
            ("varchar(64)", Some("latin1_bin"), &[]),
            ("varchar(36)", Some("utf8mb4_bin"), &[]),
            ("char(64)", Some("utf8mb4_bin"), &[]),
            ("longtext", Some("utf8mb4_general_ci"), &[Text, Json]),
            ("longtext", Some("latin1_swedish_ci"), &[]),
            ("text", Some("utf8mb4_bin"), &[]),
            ("json", None, &[Json]),
            ("datetime(6)", None, &[Timestamp]),
            ("datetime", None, &[]),
            ("timestamp(6)", None, &[]),
        ];
        let held = |remote_type, collation| -> Vec<_> {
            DescribedType::ALL.into_iter().filter(|kind| holds(remote_type, collation, *kind)).collect()
        };
        for (remote_type, collation, expected) in cases {
            assert_eq!(held(remote_type, collation), expected, "{remote_type} {collation:?}");
        }
        assert_eq!(held("bigint(20)", None), [BigInt]);
        assert_eq!(held("bigint(20) unsigned", None), []);
    }
}
