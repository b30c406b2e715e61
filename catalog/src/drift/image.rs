//! A remote table as events show it, and its fingerprint.

use causeway_providers::{Introspection, RemoteColumn, RemoteTable, TableKind, TypeChange};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::compare::TypeRule;
use super::contract::{Contract, ContractColumn};

/// A remote table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableImage {
    /// `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
    pub kind: &'static str,
    /// Its columns in the remote's order.
    pub columns: Vec<ColumnImage>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// Its other unique keys.
    pub unique_keys: Vec<Vec<String>>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A remote column at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnImage {
    /// Its name.
    pub name: String,
    /// Its type as the source prints it.
    #[serde(rename = "type")]
    pub remote_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Its collation, for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Its comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl TableImage {
    /// The image of a table.
    pub fn of(table: &RemoteTable) -> Self {
        Self {
            kind: table.kind.as_str(),
            columns: table.columns.iter().map(ColumnImage::of).collect(),
            primary_key: table.primary_key.clone(),
            unique_keys: table.unique_keys.clone(),
            comment: table.comment.clone(),
        }
    }

    /// The image of a table as its contract has it. What the contract does not say is as the first of `known` that can say it has it;
    /// `None` when nothing says anything.
    pub(super) fn agreed(contract: &Contract, known: &[&RemoteTable], types: TypeRule<'_>) -> Option<Self> {
        let newest = known.first();
        if newest.is_none() && contract.columns.is_empty() {
            return None;
        }
        let mut columns: Vec<ColumnImage> = contract.columns.iter().map(|column| ColumnImage::agreed(column, known, types)).collect();
        let is_ignored = |column: &&RemoteColumn| contract.ignore_columns.contains(&column.name);
        columns.extend(newest.into_iter().flat_map(|table| table.columns.iter().filter(is_ignored)).map(ColumnImage::of));
        let primary_key = contract.primary_key.clone().or_else(|| Some(newest?.primary_key.clone()));
        Some(Self {
            kind: newest.map_or(TableKind::Table, |table| table.kind).as_str(),
            columns,
            primary_key: primary_key.unwrap_or_default(),
            unique_keys: newest.map(|table| table.unique_keys.clone()).unwrap_or_default(),
            comment: newest.and_then(|table| table.comment.clone()),
        })
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

    fn agreed(wanted: &ContractColumn, known: &[&RemoteTable], types: TypeRule<'_>) -> Self {
        let of_name = |table: &&RemoteTable| table.columns.iter().find(|column| column.name == wanted.name).cloned();
        let is_as_agreed =
            |column: &RemoteColumn| wanted.remote_type.is_empty() || types(&wanted.remote_type, &column.remote_type) == TypeChange::Same;
        let column = match known.iter().filter_map(of_name).find(is_as_agreed) {
            Some(column) => Self::of(&column),
            None => Self {
                name: wanted.name.clone(),
                remote_type: wanted.remote_type.clone(),
                nullable: true,
                collation: None,
                comment: known.iter().find_map(of_name).and_then(|column| column.comment),
            },
        };
        Self { nullable: wanted.nullable.unwrap_or(column.nullable), ..column }
    }
}

/// The fingerprint of one table: SHA-256 in hexadecimal of its image, the order of its columns and row estimates aside.
pub(crate) fn table_fingerprint(table: &RemoteTable) -> String {
    let mut digest = Sha256::new();
    add(&mut digest, table);
    hexadecimal(&digest.finalize())
}

/// The fingerprint of all a source has, and of what it does not show.
pub(crate) fn fingerprint(seen: &Introspection) -> String {
    let mut digest = Sha256::new();
    let mut tables: Vec<&RemoteTable> = seen.tables.iter().collect();
    tables.sort_by_key(|table| (&table.schema, &table.name));
    add_text(&mut digest, &seen.default_schema);
    for table in tables {
        add(&mut digest, table);
    }
    for omission in &seen.omitted {
        add_text(&mut digest, &omission.subject);
        add_text(&mut digest, &omission.reason);
    }
    hexadecimal(&digest.finalize())
}

fn add(digest: &mut Sha256, table: &RemoteTable) {
    let mut image = TableImage::of(table);
    image.columns.sort_by(|a, b| a.name.cmp(&b.name));
    image.unique_keys.sort();
    add_text(digest, &table.schema);
    add_text(digest, &table.name);
    let image = serde_json::to_vec(&image).expect("texts and lists of texts are always JSON");
    digest.update((image.len() as u64).to_le_bytes());
    digest.update(image);
}

/// A text and its length, so that two texts never run together.
fn add_text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_le_bytes());
    digest.update(text);
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
