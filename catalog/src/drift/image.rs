//! A remote table as events and stored snapshots show it, and its fingerprint.

use causeway_providers::{Introspection, RemoteColumn, RemoteTable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A remote table at one moment. Its JSON is seen by consumers of events: fields may be added and never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableImage {
    /// The remote schema.
    pub schema: String,
    /// The remote table.
    pub name: String,
    /// `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
    pub kind: String,
    /// The columns in the remote's order.
    pub columns: Vec<ColumnImage>,
    /// The primary key's columns in key order; empty without one.
    pub primary_key: Vec<String>,
    /// Other keys that the source enforces to be unique.
    pub unique_keys: Vec<Vec<String>>,
    /// The remote's comment.
    pub comment: Option<String>,
}

/// A remote column at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnImage {
    /// The remote name.
    pub name: String,
    /// The type as the source prints it.
    #[serde(rename = "type")]
    pub remote_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The collation's name, for text.
    pub collation: Option<String>,
    /// The remote's comment.
    pub comment: Option<String>,
}

impl TableImage {
    /// The image of a table.
    pub fn of(table: &RemoteTable) -> Self {
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: table.kind.as_str().to_owned(),
            columns: table.columns.iter().map(ColumnImage::of).collect(),
            primary_key: table.primary_key.clone(),
            unique_keys: table.unique_keys.clone(),
            comment: table.comment.clone(),
        }
    }
}

impl ColumnImage {
    fn of(column: &RemoteColumn) -> Self {
        Self {
            name: column.name.clone(),
            remote_type: column.remote_type.clone(),
            nullable: column.nullable,
            collation: column.collation.clone(),
            comment: column.comment.clone(),
        }
    }
}

/// The fingerprint of a table: SHA-256 in hexadecimal of what its image shows, whatever the order of its columns and unique keys.
///
/// The estimate of its rows is not part of it, and neither is how we map its types.
pub fn fingerprint(table: &RemoteTable) -> String {
    let mut digest = Sha256::new();
    add_table(&mut digest, table);
    hexadecimal(&digest.finalize())
}

/// The fingerprint of all tables of a source, in any order. What is left out of the catalog is not part of it.
pub fn catalog_fingerprint(seen: &Introspection) -> String {
    let mut tables: Vec<&RemoteTable> = seen.tables.iter().collect();
    tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    let mut digest = Sha256::new();
    add(&mut digest, &seen.default_schema);
    add_count(&mut digest, tables.len());
    tables.into_iter().for_each(|table| add_table(&mut digest, table));
    hexadecimal(&digest.finalize())
}

fn add_table(digest: &mut Sha256, table: &RemoteTable) {
    add(digest, &table.schema);
    add(digest, &table.name);
    add(digest, table.kind.as_str());
    let mut columns: Vec<&RemoteColumn> = table.columns.iter().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    add_count(digest, columns.len());
    for column in columns {
        add(digest, &column.name);
        add(digest, &column.remote_type);
        add(digest, if column.nullable { "nullable" } else { "not null" });
        add_option(digest, column.collation.as_deref());
        add_option(digest, column.comment.as_deref());
    }
    add_key(digest, &table.primary_key);
    let mut unique_keys: Vec<&Vec<String>> = table.unique_keys.iter().collect();
    unique_keys.sort();
    add_count(digest, unique_keys.len());
    unique_keys.into_iter().for_each(|key| add_key(digest, key));
    add_option(digest, table.comment.as_deref());
}

fn add_key(digest: &mut Sha256, key: &[String]) {
    add_count(digest, key.len());
    key.iter().for_each(|column| add(digest, column));
}

/// A text with its length before it, so that two never run together.
fn add(digest: &mut Sha256, text: &str) {
    add_count(digest, text.len());
    digest.update(text.as_bytes());
}

fn add_option(digest: &mut Sha256, text: Option<&str>) {
    add_count(digest, usize::from(text.is_some()));
    add(digest, text.unwrap_or_default());
}

fn add_count(digest: &mut Sha256, count: usize) {
    digest.update((count as u64).to_le_bytes());
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
