//! Which tables and columns there are, in a constant number of questions to the source.

use super::connect::Source;
use super::type_mapping::column;
use crate::error::Result;
use crate::remote::{Introspection, RemotePresence, RemoteTable, Scope, TableKind};
use crate::subject::Subject;

/// The schema all tables are in.
const SCHEMA: &str = "main";
/// The one table.
const TABLE: &str = "lines";

pub(super) async fn introspect(source: &Source, scope: &Scope) -> Result<Introspection> {
    let is_wanted = scope.schemas.is_empty() || scope.schemas.iter().any(|schema| schema == SCHEMA);
    let tables = if is_wanted { vec![table(source).await?] } else { Vec::new() };
    Ok(Introspection { default_schema: SCHEMA.to_owned(), tables, omitted: Vec::new() })
}

async fn table(source: &Source) -> Result<RemoteTable> {
    Ok(RemoteTable {
        schema: SCHEMA.to_owned(),
        name: TABLE.to_owned(),
        kind: TableKind::Table,
        columns: vec![column("number", "integer", false), column("line", "text", false)],
        primary_key: vec!["number".to_owned()],
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: Some(source.lines().await?.len() as u64),
    })
}

/// An error is no answer: what could not be asked is not absent.
pub(super) async fn presence(source: &Source, subjects: &[Subject]) -> Result<Vec<RemotePresence>> {
    let table = table(source).await?;
    let presence = |subject: &Subject| {
        let is_table = subject.schema == table.schema && subject.table == table.name;
        let has_column = subject.column.as_ref().is_none_or(|name| table.columns.iter().any(|column| column.name == *name));
        if is_table && has_column { RemotePresence::Readable } else { RemotePresence::Absent }
    };
    Ok(subjects.iter().map(presence).collect())
}
