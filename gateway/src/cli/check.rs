//! `causeway check`: is the configuration right, do the datasources answer, do pinned tables match? For people and for CI.

use std::path::PathBuf;
use std::time::Duration;

use causeway_catalog::{
    ControlStore, DatasourceState, DatasourceStatus, DriftRow, DriftSelection, Environment, Keeping, OnMismatch, PinnedTable,
};
use causeway_providers::{ConnectorRegistry, Error};
use clap::Args;
use serde::Serialize;

use super::differences::{Against, count, plural, render};
use super::table::printable;
use super::terminal::Terminal;
use super::{FAILED, OK, UNUSABLE, table};
use crate::config::{Config, Faults};
use crate::http::shape::DriftedColumn;

/// Time for opening and listing beyond the longest `connect_timeout`.
const MARGIN: Duration = Duration::from_secs(65);
/// Between two looks at how far the datasources are.
const LOOK: Duration = Duration::from_millis(100);

/// The arguments of `causeway check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    ok: bool,
    faults: Option<&'a Faults>,
    /// What is probably not as it was meant, and fails nothing.
    warnings: Vec<String>,
    datasources: Vec<Checked>,
}

/// One datasource.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    connector: String,
    state: &'static str,
    tables: usize,
    error: Option<String>,
    /// What can be done about the error.
    hint: Option<String>,
    /// What keeps pinned tables from being served, a sentence each.
    mismatches: Vec<String>,
    /// How pinned tables differ from what they are pinned to, warnings included.
    differences: Vec<DriftedColumn>,
    omitted: Vec<Omitted>,
    /// Mismatches that no difference tells of.
    #[serde(skip)]
    untold: Vec<String>,
    #[serde(skip)]
    code: u8,
}

/// A table or column that is not published.
#[derive(Debug, Serialize)]
struct Omitted {
    subject: String,
    reason: String,
}

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    let registry = ConnectorRegistry::built_in();
    let config = match Config::load(&arguments.config, &registry, &|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(faults) => {
            if arguments.json {
                terminal.line(json(&Verdict { ok: false, faults: Some(&faults), warnings: Vec::new(), datasources: Vec::new() }));
            } else {
                terminal.error(&format!("the configuration is not valid\n{faults}"), None);
            }
            return UNUSABLE;
        }
    };
    let (checked, warnings) = match look(config, registry, terminal).await {
        Ok(looked) => looked,
        Err(error) => {
            terminal.error(error.message(), error.hint_text());
            return UNUSABLE;
        }
    };
    let code = checked.iter().map(|one| one.code).max().unwrap_or(OK);
    if arguments.json {
        terminal.line(json(&Verdict { ok: code == OK, faults: None, warnings, datasources: checked }));
    } else {
        show(&checked, terminal);
        for warning in &warnings {
            terminal.line(format!("{} {}", terminal.dim("warning:"), printable(warning)));
        }
    }
    code
}

/// Opens the datasources of a configuration, and says what its roles name that is not there; with a store that ends with the process: a check leaves nothing behind.
async fn look(config: Config, registry: ConnectorRegistry, terminal: &Terminal) -> Result<(Vec<Checked>, Vec<String>), Error> {
    let longest = config.datasources.iter().map(|datasource| datasource.options.pool.connect_timeout).max().unwrap_or_default();
    let store = ControlStore::ephemeral().await?;
    let environment = Environment::start("default", config.datasources, registry, store, Keeping::default()).await?;
    settle(&environment, longest + MARGIN, terminal).await;
    let differences = environment.drift(DriftSelection::default()).await;
    let checked = differences.map(|differences| checked(&environment, &differences));
    let snapshot = environment.snapshot();
    environment.stop().await;
    let warnings = config.settings.roles.values().flat_map(|role| role.unknown(&snapshot)).collect();
    Ok((checked?, warnings))
}

/// Waits for the datasources to be opened, and says how far they are.
async fn settle(environment: &Environment, limit: Duration, terminal: &Terminal) {
    let telling = async {
        let mut told = String::new();
        loop {
            let all = environment.datasources();
            let waiting: Vec<&str> = all
                .iter()
                .filter(|status| status.state == DatasourceState::Starting)
                .map(|status| status.datasource.name.as_str())
                .collect();
            let now = format!("opening {} of {} datasources: {}", waiting.len(), all.len(), waiting.join(", "));
            if !waiting.is_empty() && now != told {
                terminal.progress(&now);
                told = now;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = environment.settled(limit) => {}
        () = telling => {}
    }
    terminal.progress_done();
}

/// How many tables a datasource publishes.
pub(super) fn tables(environment: &Environment, datasource: &str) -> usize {
    let snapshot = environment.snapshot();
    snapshot.schemas.values().filter(|schema| schema.datasource.as_deref() == Some(datasource)).map(|schema| schema.tables.len()).sum()
}

fn checked(environment: &Environment, drift: &[DriftRow]) -> Vec<Checked> {
    let checked = |status: DatasourceStatus| {
        let name = status.datasource.name.clone();
        let counts = status.datasource.validation.on_mismatch != OnMismatch::Ignore;
        let mismatches = if counts { status.mismatches.clone() } else { Vec::new() };
        let open = drift.iter().filter(|row| counts && row.datasource == name && row.resolved_at.is_none());
        let of_pins: Vec<&DriftRow> = open.filter(|row| status.datasource.tables.iter().any(|pin| speaks_of(row, pin))).collect();
        let is_told = |pin: &&PinnedTable| of_pins.iter().any(|row| row.severity == "error" && speaks_of(row, pin));
        let told: Vec<String> =
            status.datasource.tables.iter().filter(is_told).map(|pin| format!("pinned table \"{}\": ", pin.name)).collect();
        Checked {
            tables: tables(environment, &name),
            name,
            connector: status.datasource.connector.clone(),
            state: status.state.as_str(),
            code: code(&status),
            error: status.last_error,
            hint: status.last_hint,
            untold: mismatches.iter().filter(|mismatch| !told.iter().any(|pin| mismatch.starts_with(pin))).cloned().collect(),
            mismatches,
            differences: of_pins.into_iter().map(DriftedColumn::from).collect(),
            omitted: status.omitted.into_iter().map(|o| Omitted { subject: o.subject, reason: o.reason }).collect(),
        }
    };
    environment.datasources().into_iter().map(checked).collect()
}

/// Whether a difference is one from what a table is pinned to. Of a table that follows its source only the absence is.
fn speaks_of(row: &DriftRow, pin: &PinnedTable) -> bool {
    let is_it = row.remote_table == pin.remote_table && pin.remote_schema.as_ref().is_none_or(|schema| *schema == row.remote_schema);
    is_it && (pin.columns.is_some() || row.kind == "missing_table")
}

/// The exit code a datasource alone would give.
pub(super) fn code(status: &DatasourceStatus) -> u8 {
    let mismatch = !status.mismatches.is_empty() && status.datasource.validation.on_mismatch != OnMismatch::Ignore;
    match status.state {
        // A source whose tables were compared did answer.
        DatasourceState::Running | DatasourceState::Error if mismatch => FAILED,
        DatasourceState::Running => OK,
        DatasourceState::Starting | DatasourceState::Error | DatasourceState::Stopped => UNUSABLE,
    }
}

fn json(verdict: &Verdict<'_>) -> String {
    serde_json::to_string_pretty(verdict).expect("texts and numbers are always JSON")
}

fn show(checked: &[Checked], terminal: &Terminal) {
    if checked.is_empty() {
        terminal.line("The configuration is valid. It has no datasources.");
        return;
    }
    let mut overview = table::headed(["datasource", "connector", "state", "tables", "omitted"]);
    for one in checked {
        overview.add_row([&one.name, &one.connector, one.state, &one.tables.to_string(), &one.omitted.len().to_string()]);
    }
    terminal.line(overview);
    for one in checked {
        show_one(one, terminal);
    }
    let broken: Vec<&DriftedColumn> = checked.iter().flat_map(|one| &one.differences).collect();
    let failed: Vec<&str> = checked.iter().filter(|one| one.code != OK).map(|one| one.name.as_str()).collect();
    let differences = if broken.is_empty() { String::new() } else { format!("; {}", count(broken)) };
    terminal.line(if failed.is_empty() {
        format!("\n{}{differences}", terminal.green(&format!("{} checked, all well", plural(checked.len(), "datasource"))))
    } else {
        format!(
            "\n{}{differences}",
            terminal.red(&format!("{} of {} not well: {}", failed.len(), plural(checked.len(), "datasource"), failed.join(", ")))
        )
    });
}

/// What is to be said of one datasource, when anything is.
fn show_one(one: &Checked, terminal: &Terminal) {
    let mut lines = Vec::new();
    lines.extend(
        one.error.iter().filter(|_| one.mismatches.is_empty()).map(|error| format!("  {} {}", terminal.red("error:"), printable(error))),
    );
    lines.extend(
        one.hint.iter().filter(|_| one.mismatches.is_empty()).map(|hint| format!("  {} {}", terminal.dim("hint:"), printable(hint))),
    );
    if !one.differences.is_empty() {
        lines.push(render(&one.differences, Against::Contract, terminal));
    }
    lines.extend(one.untold.iter().map(|mismatch| format!("  {} {}", terminal.red("mismatch:"), printable(mismatch))));
    let omitted =
        |omitted: &Omitted| format!("  {} {}: {}", terminal.dim("omitted:"), printable(&omitted.subject), printable(&omitted.reason));
    lines.extend(one.omitted.iter().map(omitted));
    if !lines.is_empty() {
        terminal.line(format!("\n{}\n{}", terminal.bold(&one.name), lines.join("\n")));
    }
}
