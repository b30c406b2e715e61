//! Why a table that a statement names is not published, when that is known.

use causeway_catalog::{CatalogSnapshot, DatasourceStatus, Expose, SchemaMode};
use causeway_providers::Subject;

use crate::config::remote_name;

/// Why there is no table `name` in any of `schemas`, and where to look; `None` when nothing is known of one.
pub(super) fn why(all: &[DatasourceStatus], snapshot: &CatalogSnapshot, schemas: &[&str], name: &str) -> Option<String> {
    schemas.iter().find_map(|schema| all.iter().find_map(|status| of_datasource(status, snapshot, schema, name)))
}

fn of_datasource(status: &DatasourceStatus, snapshot: &CatalogSnapshot, schema: &str, name: &str) -> Option<String> {
    let datasource = &status.datasource;
    let is_it = |(remote_schema, remote_table): &(String, String)| {
        published_names(status, remote_schema, remote_table).contains(&name) && published(status, snapshot, remote_schema) == schema
    };
    let mut own = snapshot.schemas.values().filter(|schema| schema.datasource.as_ref() == Some(&datasource.name));
    let reading = if own.any(|schema| !schema.remote_schema.is_empty()) { Reading::Table } else { Reading::TableOrFile };
    if let Some(omission) = status.omitted.iter().find(|omission| tables_of(&omission.subject, reading).iter().any(is_it)) {
        return Some(format!(
            "{} of datasource \"{}\" is left out: {}. SELECT * FROM causeway.omissions lists all that is.",
            omission.subject, datasource.name, omission.reason
        ));
    }
    let is_own =
        schema == datasource.name || snapshot.schemas.get(schema).is_some_and(|own| own.datasource.as_ref() == Some(&datasource.name));
    if !is_own {
        return None;
    }
    // Whoever asks for what is there by another spelling is better told of that.
    if snapshot.schemas.get(schema).is_some_and(|own| own.tables.keys().any(|other| other.eq_ignore_ascii_case(name))) {
        return None;
    }
    if datasource.schema_mode == SchemaMode::ValidateOnly {
        return Some(format!("Datasource \"{}\" publishes no tables, as its schema_mode is validate_only.", datasource.name));
    }
    (datasource.expose == Expose::Pinned)
        .then(|| format!("Datasource \"{}\" publishes only what stands under its `tables:`, as its expose is pinned.", datasource.name))
}

/// How the subject of an omission is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Its source has schemas.
    Table,
    /// Its source has none that is known: it may be one of files.
    TableOrFile,
}

/// The remote schema and table an omission may be about. The path of a file is the table that would be named after it, up to its first
/// dot, which would else look like the one between a schema and a table.
fn tables_of(subject: &str, reading: Reading) -> Vec<(String, String)> {
    let file = subject.rsplit('/').next().unwrap_or(subject);
    let file = (String::new(), file.split('.').next().unwrap_or(file).to_owned());
    match remote_name::split(subject) {
        Ok((Some(schema), table)) if Subject::table(&schema, &table).to_string() == subject && !subject.contains('/') => match reading {
            Reading::Table => vec![(schema, table)],
            Reading::TableOrFile => vec![(schema, table), file],
        },
        Ok((None, table)) => vec![(String::new(), table)],
        _ => vec![file],
    }
}

/// The names a remote table would be published under.
fn published_names<'a>(status: &'a DatasourceStatus, remote_schema: &str, remote_table: &'a str) -> Vec<&'a str> {
    let pins = status
        .datasource
        .tables
        .iter()
        .filter(|pin| pin.remote_table == remote_table && pin.remote_schema.as_deref().is_none_or(|schema| schema == remote_schema));
    pins.map(|pin| pin.name.as_str()).chain([remote_table]).collect()
}

/// The name a remote schema is, or would be, published under.
fn published(status: &DatasourceStatus, snapshot: &CatalogSnapshot, remote_schema: &str) -> String {
    let datasource = &status.datasource;
    let own = snapshot
        .schemas
        .iter()
        .find(|(_, schema)| schema.datasource.as_ref() == Some(&datasource.name) && schema.remote_schema == remote_schema);
    match (own, datasource.schema_names.get(remote_schema)) {
        (Some((name, _)), _) => name.clone(),
        (None, Some(chosen)) => chosen.clone(),
        // A source without schemas has its tables under the datasource's own name.
        (None, None) if remote_schema.is_empty() => datasource.name.clone(),
        (None, None) => format!("{}_{remote_schema}", datasource.name),
    }
}
