//! What a server has, read from `system.tables` and `system.columns` in bulk.

use std::collections::BTreeMap;

use super::connect::{Session, TextRow};
use super::dialect::{ClickHouseDialect, string};
use super::failure::Failure;
use super::remote_type::Stored;
use super::type_mapping::map;
use crate::remote::{Introspection, Omission, OmissionCause, RemoteColumn, RemotePresence, RemoteTable, Scope, TableKind};
use crate::sql::Dialect;
use crate::subject::Subject;

/// Databases that are the server's own.
const OWN: &str = "('system', 'INFORMATION_SCHEMA', 'information_schema')";

/// Engines whose tables are emptied by reading them, as the server prints them in `system.tables`.
const CONSUMED: [&str; 6] = ["Kafka", "RabbitMQ", "NATS", "FileLog", "S3Queue", "AzureQueue"];

// The columns of a look at tables.
const SCHEMA: usize = 0;
const TABLE: usize = 1;
const ENGINE: usize = 2;
const ROWS: usize = 3;
const TABLE_COMMENT: usize = 4;

// The columns of a look at columns; the first two are those above.
const COLUMN: usize = 2;
const TYPE: usize = 3;
const COLUMN_COMMENT: usize = 4;

/// Reads everything in `scope`, in two statements.
///
/// The first asks for columns, so that a table that is made in between has none, and is no table yet.
pub(super) async fn introspect(session: &mut Session, database: &str, scope: &Scope) -> Result<Introspection, Failure> {
    let wanted = match scope.schemas.as_slice() {
        [] => format!("NOT IN {OWN}"),
        schemas => format!("IN ({})", schemas.iter().map(|schema| string(schema)).collect::<Vec<_>>().join(", ")),
    };
    let columns = session
        .rows(&format!(
            "SELECT database, table, name, type, comment FROM system.columns \
             WHERE database {wanted} AND default_kind <> 'EPHEMERAL' ORDER BY database, table, position"
        ))
        .await?;
    let tables = session
        .rows(&format!(
            "SELECT database, name, engine, toString(total_rows), comment FROM system.tables \
             WHERE database {wanted} AND NOT is_temporary ORDER BY database, name"
        ))
        .await?;
    Ok(assemble(database, &tables, &columns))
}

fn assemble(database: &str, tables: &[TextRow], columns: &[TextRow]) -> Introspection {
    let mut introspection = Introspection { default_schema: database.to_owned(), ..Introspection::default() };
    let mut columns_of: BTreeMap<(&str, &str), Vec<&TextRow>> = BTreeMap::new();
    for row in columns {
        columns_of.entry((text(row, SCHEMA), text(row, TABLE))).or_default().push(row);
    }
    for row in tables {
        let (schema, name, engine) = (text(row, SCHEMA), text(row, TABLE), text(row, ENGINE));
        // What a materialized view keeps its rows in.
        if name.starts_with(".inner.") || name.starts_with(".inner_id.") {
            continue;
        }
        let Some(columns) = columns_of.get(&(schema, name)) else { continue };
        let mut omit = |subject: Subject, reason: String| {
            introspection.omitted.push(Omission { subject: subject.to_string(), reason, cause: OmissionCause::Unmapped });
        };
        if CONSUMED.contains(&engine) {
            omit(Subject::table(schema, name), format!("reading a table of engine {engine} would consume its rows"));
            continue;
        }
        let mut table = RemoteTable {
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind: match engine {
                "View" | "LiveView" | "WindowView" => TableKind::View,
                "MaterializedView" => TableKind::MaterializedView,
                _ => TableKind::Table,
            },
            columns: Vec::new(),
            // The key that the server sorts by may have any value many times.
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            comment: comment(row, TABLE_COMMENT),
            row_estimate: text(row, ROWS).parse().ok(),
        };
        for row in columns {
            match column(row) {
                Ok(column) => table.columns.push(column),
                Err(reason) => omit(Subject::column(schema, name, text(row, COLUMN)), reason),
            }
        }
        introspection.tables.push(table);
    }
    introspection.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    introspection
}

fn column(row: &TextRow) -> Result<RemoteColumn, String> {
    let remote_type = text(row, TYPE);
    let stored = Stored::parse(remote_type);
    let mapping = map(&stored).map_err(|reason| format!("type {remote_type} is not supported: {reason}"))?;
    Ok(RemoteColumn {
        name: text(row, COLUMN).to_owned(),
        remote_type: remote_type.to_owned(),
        data_type: mapping.data_type,
        presentation: mapping.presentation,
        nullable: stored.nullable,
        comment: comment(row, COLUMN_COMMENT),
        collation: None,
        comparison: mapping.comparison,
    })
}

/// Asks for tables and columns, one after the other: the server ends a statement at its first error, and lists what we may see, which
/// is not what we may read.
pub(super) async fn presence(session: &mut Session, subjects: &[Subject]) -> Result<Vec<RemotePresence>, Failure> {
    let mut answers = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let wanted = subject.column.as_deref().map_or_else(|| "1".to_owned(), |column| ClickHouseDialect.quote(column));
        let from = ClickHouseDialect.table(&subject.schema, &subject.table);
        // Only the result's shape differs, and nobody looks at it.
        answers.push(match session.rows(&format!("SELECT toString(count()) FROM (SELECT {wanted} FROM {from} LIMIT 0)")).await {
            Ok(_) => RemotePresence::Readable,
            Err(Failure::Refused(refusal)) => match refusal.code() {
                497 | 291 => RemotePresence::Forbidden,
                16 | 47 | 60 | 81 => RemotePresence::Absent,
                _ => return Err(Failure::Refused(refusal)),
            },
            Err(other) => return Err(other),
        });
    }
    Ok(answers)
}

fn text(row: &TextRow, index: usize) -> &str {
    row.get(index).and_then(Option::as_deref).unwrap_or_default()
}

fn comment(row: &TextRow, index: usize) -> Option<String> {
    Some(text(row, index).to_owned()).filter(|comment| !comment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> TextRow {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    #[test]
    fn what_reading_would_consume_is_left_out_with_the_reason() {
        let tables = [
            row(&["shop", ".inner_id.61f0c404", "MergeTree", "", ""]),
            row(&["shop", "events", "Kafka", "", ""]),
            row(&["shop", "orders", "MergeTree", "7", "what was sold"]),
            row(&["shop", "unfinished", "MergeTree", "", ""]),
        ];
        let columns = [
            row(&["shop", ".inner_id.61f0c404", "id", "Int32", ""]),
            row(&["shop", "events", "id", "Int32", ""]),
            row(&["shop", "orders", "id", "UInt8", ""]),
            row(&["shop", "orders", "state", "AggregateFunction(uniq, Int8)", ""]),
        ];
        let seen = assemble("shop", &tables, &columns);
        let [orders] = &seen.tables[..] else { panic!("{:?}", seen.tables) };
        assert_eq!((orders.name.as_str(), orders.columns.len(), orders.row_estimate), ("orders", 1, Some(7)));
        assert!(!orders.columns[0].nullable && orders.primary_key.is_empty());
        let omitted: Vec<&str> = seen.omitted.iter().map(|omission| omission.subject.as_str()).collect();
        assert_eq!(omitted, ["shop.events", "shop.orders.state"]);
    }
}
