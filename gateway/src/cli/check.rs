//! `causeway check`: is the configuration right, do the datasources answer, do pinned tables match? For people and for CI.

use std::path::PathBuf;
use std::time::Duration;

use causeway_catalog::{ControlStore, DatasourceState, DatasourceStatus, Environment, Keeping, OnMismatch};
use causeway_providers::ConnectorRegistry;
use clap::Args;
use serde::Serialize;

use super::terminal::Terminal;
use super::{FAILED, OK, UNUSABLE, table};
use crate::config::{Config, Faults};

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
    mismatches: Vec<String>,
    omitted: Vec<Omitted>,
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
                terminal.line(json(&Verdict { ok: false, faults: Some(&faults), datasources: Vec::new() }));
            } else {
                terminal.error(&format!("the configuration is not valid\n{faults}"), None);
            }
            return UNUSABLE;
        }
    };
    let longest = config.datasources.iter().map(|datasource| datasource.options.pool.connect_timeout).max().unwrap_or_default();
    let started = async {
        let store = ControlStore::ephemeral().await?;
        Environment::start("default", config.datasources, registry, store, Keeping::default()).await
    };
    let environment = match started.await {
        Ok(environment) => environment,
        Err(error) => {
            terminal.error(error.message(), error.hint_text());
            return UNUSABLE;
        }
    };
    settle(&environment, longest + MARGIN, terminal).await;
    let checked = checked(&environment);
    environment.stop().await;

    let code = checked.iter().map(|one| one.code).max().unwrap_or(OK);
    if arguments.json {
        terminal.line(json(&Verdict { ok: code == OK, faults: None, datasources: checked }));
    } else {
        show(&checked, terminal);
    }
    code
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

fn checked(environment: &Environment) -> Vec<Checked> {
    let checked = |status: DatasourceStatus| {
        let name = status.datasource.name.clone();
        let counts = status.datasource.validation.on_mismatch != OnMismatch::Ignore;
        let mismatches = if counts { status.mismatches.clone() } else { Vec::new() };
        Checked {
            tables: tables(environment, &name),
            name,
            connector: status.datasource.connector.clone(),
            state: status.state.as_str(),
            code: code(&status),
            error: status.last_error,
            mismatches,
            omitted: status.omitted.into_iter().map(|o| Omitted { subject: o.subject, reason: o.reason }).collect(),
        }
    };
    environment.datasources().into_iter().map(checked).collect()
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
        let mut lines = Vec::new();
        lines.extend(one.error.iter().filter(|_| one.mismatches.is_empty()).map(|error| format!("error: {error}")));
        lines.extend(one.mismatches.iter().map(|mismatch| format!("mismatch: {mismatch}")));
        lines.extend(one.omitted.iter().map(|omitted| format!("omitted: {}: {}", omitted.subject, omitted.reason)));
        if !lines.is_empty() {
            terminal.line(format!("\n{}\n  {}", terminal.bold(&one.name), lines.join("\n  ")));
        }
    }
}
