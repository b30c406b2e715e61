//! How PostgreSQL defines a table we write to, and what such a table is like now.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error as DriverError, Row};

use super::dialect::PostgresDialect;
use super::introspect::DEFAULT_SCHEMA;
use crate::sql::Dialect;
use crate::writer::KEY_LENGTH;
use crate::writer::bootstrap::{Definition, Filling, FoundColumn, FoundTable};
use crate::writer::{DescribedColumn, DescribedType, TableDescriptor};

/// The kind of a relation, and the names of its primary key's columns when it has one.
const RELATION: &str = "SELECT c.relkind::pg_catalog.text, \
        (SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place) \
         FROM pg_catalog.pg_index i \
         CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate AND k.place <= i.indnkeyatts) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2";

const COLUMNS: &str = "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', COALESCE(co.collisdeterministic, true) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
     LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// What has the name of a table.
pub(super) enum Named {
    Nothing,
    Table(FoundTable),
    /// Something else, in words for the user.
    Other(&'static str),
}

/// Looks at one table, whatever our role may do with it.
pub(super) async fn look(client: &Client, descriptor: &TableDescriptor) -> Result<Named, DriverError> {
    let schema = schema(descriptor);
    let rows = client.query_typed(RELATION, &[(&schema, Type::TEXT), (&descriptor.name, Type::TEXT)]).await?;
    let Some(relation) = rows.first() else { return Ok(Named::Nothing) };
    let other = match relation.try_get::<_, &str>(0)? {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        "S" => Some("a sequence"),
        "c" => Some("a type"),
        _ => Some("an index"),
    };
    if let Some(other) = other {
        return Ok(Named::Other(other));
    }
    let primary_key = relation.try_get::<_, Option<Vec<String>>>(1)?.unwrap_or_default();
    let columns = client.query_typed(COLUMNS, &[(&schema, Type::TEXT), (&descriptor.name, Type::TEXT)]).await?;
    let columns = columns.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Named::Table(FoundTable { columns, primary_key }))
}

fn column(row: &Row) -> Result<FoundColumn, DriverError> {
    let remote_type: String = row.try_get(1)?;
    let deterministic = row.try_get(5)?;
    let holds = DescribedType::ALL.into_iter().filter(|kind| holds(&remote_type, deterministic, *kind)).collect();
    let filling = match (row.try_get(3)?, row.try_get(4)?) {
        (_, true) => Filling::Generated,
        (true, false) => Filling::Default,
        (false, false) => Filling::Nothing,
    };
    Ok(FoundColumn { name: row.try_get(0)?, remote_type, holds, nullable: !row.try_get::<_, bool>(2)?, filling })
}

/// Whether every value of a kind has an exact place in a type. A key under a collation that is not deterministic would be taken for
/// another one.
fn holds(remote_type: &str, deterministic: bool, kind: DescribedType) -> bool {
    let is_text = matches!(remote_type, "text" | "character varying");
    match kind {
        DescribedType::Key => deterministic && (is_text || varying(remote_type).is_some_and(|length| length >= KEY_LENGTH)),
        DescribedType::Text => is_text,
        DescribedType::Json => matches!(remote_type, "json" | "jsonb"),
        DescribedType::Timestamp => matches!(remote_type, "timestamp with time zone" | "timestamp(6) with time zone"),
        DescribedType::BigInt => remote_type == "bigint",
    }
}

fn varying(remote_type: &str) -> Option<usize> {
    remote_type.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok()
}

fn schema(descriptor: &TableDescriptor) -> &str {
    descriptor.schema.as_deref().unwrap_or(DEFAULT_SCHEMA)
}

/// PostgreSQL's way to write it all.
pub(super) struct PostgresDefinition;

impl Definition for PostgresDefinition {
    fn quote(&self, identifier: &str) -> String {
        PostgresDialect::CHARACTERS.quote(identifier)
    }

    fn table(&self, descriptor: &TableDescriptor) -> String {
        PostgresDialect::CHARACTERS.table(schema(descriptor), &descriptor.name)
    }

    fn type_name(&self, kind: DescribedType) -> &'static str {
        match kind {
            DescribedType::Key => "character varying(64)",
            DescribedType::Text => "text",
            // Not jsonb, which keeps another text.
            DescribedType::Json => "json",
            DescribedType::Timestamp => "timestamp with time zone",
            DescribedType::BigInt => "bigint",
        }
    }

    fn table_options(&self) -> &'static str {
        ""
    }

    fn is_same_column(&self, left: &str, right: &str) -> bool {
        left == right
    }

    fn add_column(&self, table: &str, column: &str) -> String {
        format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}")
    }

    fn change_type(&self, table: &str, column: &str, wanted: &DescribedColumn) -> Option<String> {
        let wanted = self.type_name(wanted.kind);
        Some(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {wanted} USING {column}::{wanted}"))
    }

    fn allow_null(&self, table: &str, column: &str, _found: &FoundColumn) -> Option<String> {
        Some(format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_every_value_of_a_kind_or_is_refused() {
        use DescribedType::{BigInt, Json, Key, Text, Timestamp};
        let cases: [(&str, &[DescribedType]); 14] = [
            ("text", &[Key, Text]),
            ("character varying", &[Key, Text]),
            ("character varying(64)", &[Key]),
            ("character varying(200)", &[Key]),
            ("character varying(36)", &[]),
            ("character(64)", &[]),
            ("uuid", &[]),
            ("json", &[Json]),
            ("jsonb", &[Json]),
            ("timestamp with time zone", &[Timestamp]),
            ("timestamp(3) with time zone", &[]),
            ("timestamp without time zone", &[]),
            ("bigint", &[BigInt]),
            ("integer", &[]),
        ];
        for (remote_type, expected) in cases {
            let held: Vec<_> = DescribedType::ALL.into_iter().filter(|kind| holds(remote_type, true, *kind)).collect();
            assert_eq!(held, expected, "{remote_type}");
        }
        assert!(!holds("text", false, Key) && holds("text", false, Text));
        for kind in DescribedType::ALL {
            assert!(holds(PostgresDefinition.type_name(kind), true, kind), "{kind:?}");
        }
    }
}
