//! What a gateway would publish of a datasource, for its connector to be tested on, and what is said when that is nothing.

use causeway_catalog::{Datasource, Expose, SchemaMode};
use causeway_providers::contract::{Coverage, CoveredTable, Report, Unopened};
use causeway_providers::{ErrorKind, Scope};

/// Omissions that are told one by one.
const TOLD: usize = 5;

/// The schemas and tables that a gateway would publish. What was imported into one is known there alone.
pub(super) fn coverage(datasource: &Datasource) -> Coverage {
    let pinned =
        || datasource.tables.iter().map(|table| CoveredTable { schema: table.remote_schema.clone(), name: table.remote_table.clone() });
    let only = match (datasource.schema_mode, datasource.expose) {
        (SchemaMode::ValidateOnly, _) => Some(Vec::new()),
        (SchemaMode::External | SchemaMode::Managed, Expose::Pinned) => Some(pinned().collect()),
        (SchemaMode::External | SchemaMode::Managed, Expose::All) => None,
    };
    Coverage { scope: Scope { schemas: datasource.allowed_schemas.clone() }, only }
}

/// Why the datasource is not there to be tested.
pub(super) fn unopened(why: &Unopened, datasource: &Datasource) -> String {
    let is_away = matches!(why.kind, ErrorKind::Unreachable | ErrorKind::Timeout);
    let what = if is_away { "cannot be reached" } else { "cannot be opened" };
    format!("datasource \"{}\" {what}: {}", datasource.name, why.message)
}

/// What is said of a datasource without a table to check anything on, and what to do.
pub(super) fn nothing(report: &Report, datasource: &Datasource) -> (String, String) {
    let place = match &datasource.allowed_schemas[..] {
        [] => "in any schema that its user sees".to_owned(),
        [only] => format!("in schema {only}, the only one in `external.allowed_schemas`"),
        several => format!("in any of the schemas {} in `external.allowed_schemas`", several.join(", ")),
    };
    let (why, hint) = match (datasource.schema_mode, datasource.expose) {
        (SchemaMode::ValidateOnly, _) => (
            "with `schema_mode: validate_only` its tables are never read".to_owned(),
            "test it by a file that says `schema_mode: external`".to_owned(),
        ),
        (SchemaMode::External | SchemaMode::Managed, Expose::Pinned) => {
            let named: Vec<&str> = datasource.tables.iter().map(|table| table.remote_table.as_str()).collect();
            let named = if named.is_empty() { "names none".to_owned() } else { format!("names {}", named.join(", ")) };
            (
                format!("none of the tables that it pins (`tables` {named}) is {place}"),
                "name tables under `tables`, or test it by a file that says `expose: all`".to_owned(),
            )
        }
        (SchemaMode::External | SchemaMode::Managed, Expose::All) => (
            format!("there is no table {place}"),
            "fill the source with tables, let its user read them, or name the schemas that have some under `external.allowed_schemas`"
                .to_owned(),
        ),
    };
    let mut text = format!("connector {} had nothing to be checked on in {}: {why}", report.kind, datasource.name);
    for omission in report.omitted.iter().take(TOLD) {
        text.push_str(&format!("\n  {} is left out: {}", omission.subject, omission.reason));
    }
    if let Some(more @ 1..) = report.omitted.len().checked_sub(TOLD) {
        text.push_str(&format!("\n  and {more} more are left out"));
    }
    (text, hint)
}
