//! What a gateway answers about datasources, for people.

use serde_json::Value;

use super::super::differences::{Against, count, plural, render};
use super::super::http_client::{CallError, shaped};
use super::super::table::{self, printable};
use super::super::terminal::Terminal;
use crate::http::shape::{
    Broken, BrokenTable, Datasource, DatasourceDetail, Drift, DriftedColumn, ImportOutcome, Omission, Refresh, RemoteTable, Validation,
};

pub(super) fn list(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let all: Vec<Datasource> = shaped(answer)?;
    let mut shown = table::headed(["name", "connector", "state", "tables", "schema mode", "checked at", "last error", "drift"]);
    for one in all {
        let Datasource { name, connector, state, tables, schema_mode, checked_at, last_error, drift, .. } = one;
        let last_error = printable(&last_error.unwrap_or_default());
        let drift = drift.map(|count| count.to_string()).unwrap_or_default();
        shown.add_row([name, connector, state, tables.to_string(), schema_mode, checked_at.unwrap_or_default(), last_error, drift]);
    }
    terminal.line(shown);
    Ok(())
}

pub(super) fn one(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let DatasourceDetail { datasource: one, mismatches, omitted } = shaped(answer)?;
    let state = match one.state.as_str() {
        "running" => terminal.green("running"),
        other => terminal.red(other),
    };
    terminal.line(format!("{}  {state}", terminal.bold(&one.name)));
    let facts = [
        ("label", one.label),
        ("connector", Some(one.connector)),
        ("schema mode", Some(one.schema_mode)),
        ("origin", Some(one.origin)),
        ("tables", Some(one.tables.to_string())),
        ("writes", Some(if one.allow_writes { "allowed" } else { "not allowed" }.to_owned())),
        ("query timeout", one.query_timeout),
        ("drift checked", one.check_interval.map(|interval| format!("every {interval}"))),
        ("tables read", one.refresh_interval.map(|interval| format!("every {interval}"))),
        ("last check", one.checked_at),
        ("drift", one.drift.map(|open| format!("{open} open"))),
        ("stale since", one.stale_since),
        ("last error", one.last_error),
    ];
    for (fact, value) in facts {
        if let Some(value) = value {
            terminal.line(format!("  {} {}", terminal.dim(&format!("{fact:<14}")), printable(&value)));
        }
    }
    for mismatch in mismatches {
        terminal.line(format!("  {} {}", terminal.red(&format!("{:<14}", "mismatch")), printable(&mismatch)));
    }
    left_out(&omitted, terminal);
    Ok(())
}

pub(super) fn tables(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let all: Vec<RemoteTable> = shaped(answer)?;
    let mut shown = table::headed(["remote table", "kind", "columns", "primary key", "rows, about", "published as"]);
    for one in all {
        let remote = if one.schema.is_empty() { one.name } else { format!("{}.{}", one.schema, one.name) };
        let published: Vec<String> = one
            .published
            .iter()
            .map(|publication| {
                let marks =
                    [("pinned", publication.pinned), ("writable", publication.writable), ("broken", publication.unavailable.is_some())];
                let marks: Vec<&str> = marks.into_iter().filter(|(_, holds)| *holds).map(|(mark, _)| mark).collect();
                let name = format!("{}.{}", publication.schema, publication.name);
                if marks.is_empty() { name } else { format!("{name} ({})", marks.join(", ")) }
            })
            .collect();
        let rows = one.row_estimate.map(|rows| rows.to_string()).unwrap_or_default();
        let key = one.primary_key.join(", ");
        shown.add_row([remote, one.kind, one.column_count.to_string(), key, rows, published.join("\n")].map(|text| printable(&text)));
    }
    terminal.line(shown);
    Ok(())
}

pub(super) fn refreshed(name: &str, answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let Refresh { tables, omitted } = shaped(answer)?;
    terminal.line(format!("{} publishes {}", terminal.bold(name), plural(tables, "table")));
    left_out(&omitted, terminal);
    Ok(())
}

pub(super) fn drift(name: &str, found: &Validation, terminal: &Terminal) {
    let Validation { differences, impact, events, unreadable } = found;
    let differences: Vec<&DriftedColumn> = differences.iter().map(|drift| &drift.difference).collect();
    let counted = count(differences.iter().copied());
    let counted = if differences.is_empty() { terminal.green(&counted) } else { counted };
    terminal.line(format!("{}: {counted}", terminal.bold(name)));
    if !differences.is_empty() {
        terminal.line(render(differences, Against::Past, terminal));
    }
    broken(impact, terminal);
    if *unreadable > 0 {
        terminal.line(format!("  {unreadable} of its tables and columns cannot be read any more by the datasource's user"));
    }
    if *events > 0 {
        terminal.line(terminal.dim(&format!("  {} told of it", plural(*events, "new event"))));
    }
}

/// What is known of the drift of a datasource that does not run.
pub(super) fn known_drift(name: &str, known: &[Drift], terminal: &Terminal) {
    let differences: Vec<&DriftedColumn> = known.iter().map(|drift| &drift.difference).collect();
    terminal.line(format!("{}: {} when it was last looked at", terminal.bold(name), count(differences.iter().copied())));
    if !differences.is_empty() {
        terminal.line(render(differences, Against::Past, terminal));
    }
}

/// The tables that are broken, and how many statements of clients with them.
fn broken(impact: &Broken, terminal: &Terminal) {
    for BrokenTable { schema, name, columns, .. } in &impact.foreign_tables {
        let table = format!("{schema}.{name}");
        let of_it = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        terminal.line(format!("  {} {}", terminal.red("breaks"), printable(&format!("{table}{of_it}"))));
    }
    if !impact.prepared_statements.is_empty() {
        let statements = plural(impact.prepared_statements.len(), "prepared statement");
        terminal.line(format!("  {} {statements} of clients", terminal.red("breaks")));
    }
}

pub(super) fn imported(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let ImportOutcome { written, tables } = shaped(answer)?;
    let mut shown = table::headed(["remote table", "published as", "columns", "action"]);
    for one in &tables {
        let remote =
            if one.remote_schema.is_empty() { one.remote_table.clone() } else { format!("{}.{}", one.remote_schema, one.remote_table) };
        let published = format!("{}.{}", one.schema, one.name);
        shown.add_row([remote, published, one.columns.to_string(), one.action.clone()].map(|text| printable(&text)));
    }
    terminal.line(shown);
    let accepted: Vec<&DriftedColumn> = tables.iter().flat_map(|one| &one.differences).collect();
    if !accepted.is_empty() {
        terminal.line(format!("{}: {}", if written { "accepted" } else { "would be accepted" }, count(accepted.iter().copied())));
        terminal.line(render(accepted, Against::Past, terminal));
    }
    for one in &tables {
        for note in &one.notes {
            terminal.line(format!("  {} {}.{}: {}", terminal.yellow("note"), one.schema, one.name, printable(note)));
        }
        for review in &one.reviews {
            terminal.line(format!("  {} {}: {}", terminal.yellow("review"), one.remote_table, printable(review)));
        }
    }
    let done = if written { "imported" } else { "would be imported; nothing was written" };
    terminal.line(format!("{} {done}", plural(tables.len(), "table")));
    Ok(())
}

fn left_out(omitted: &[Omission], terminal: &Terminal) {
    for omission in omitted {
        let text = format!("{}: {}", omission.subject, omission.reason);
        terminal.line(format!("  {} {}", terminal.dim(&format!("{:<14}", "left out")), printable(&text)));
    }
}
