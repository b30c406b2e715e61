//! The SQL texts that describe objects: keys, indexes, views.

use super::identifiers::quote_identifier;
use super::model::{Key, KeyKind, Relation};

/// The columns of a key, quoted and separated.
fn key_columns(relation: &Relation, key: &Key) -> String {
    let names: Vec<String> = key.columns.iter().filter_map(|number| relation.column_name(*number)).map(quote_identifier).collect();
    names.join(", ")
}

/// As `pg_get_constraintdef` says it.
pub(super) fn constraint_definition(relation: &Relation, key: &Key) -> String {
    let word = match key.kind {
        KeyKind::Primary => "PRIMARY KEY",
        KeyKind::Unique => "UNIQUE",
    };
    format!("{word} ({})", key_columns(relation, key))
}

/// As `pg_get_indexdef` says it.
pub(super) fn index_definition(relation: &Relation, key: &Key) -> String {
    format!(
        "CREATE UNIQUE INDEX {} ON {}.{} USING btree ({})",
        quote_identifier(&key.name),
        quote_identifier(&relation.schema),
        quote_identifier(&relation.name),
        key_columns(relation, key)
    )
}

/// In place of a view's text, which stays at its source.
pub(super) fn view_definition(relation: &Relation) -> Option<String> {
    if relation.kind() == "r" {
        return None;
    }
    Some(match relation.foreign() {
        Some(table) => {
            format!("-- defined at datasource {} as {}", table.datasource, remote_name(&table.remote.schema, &table.remote.name))
        }
        None => "-- built in".to_owned(),
    })
}

fn remote_name(schema: &str, name: &str) -> String {
    if schema.is_empty() { quote_identifier(name) } else { format!("{}.{}", quote_identifier(schema), quote_identifier(name)) }
}
