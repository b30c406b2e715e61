//! `causeway connector test`: runs the contract of a connector against a datasource and shows what held.

use std::path::PathBuf;

use causeway_providers::ConnectorRegistry;
use causeway_providers::contract::{Contract, Extent, Report};
use clap::Args;
use serde_json::{Value, json};

use super::super::table::printable;
use super::super::terminal::Terminal;
use super::super::{FAILED, OK, UNUSABLE, table};
use super::engine::PlannerEngine;
use crate::config::read_datasource;

/// The arguments of `causeway connector test`.
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    /// The file of the datasource, as it stands among those of a gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Tables of up to 5,000 rows that are queried in every way, those with most rows first.
    #[arg(long, value_name = "NUMBER", default_value_t = Extent::default().tables)]
    tables: usize,
    /// Columns of each that are.
    #[arg(long, value_name = "NUMBER", default_value_t = Extent::default().columns)]
    columns: usize,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, registry: &ConnectorRegistry, terminal: &Terminal) -> u8 {
    let datasource = match read_datasource(&arguments.config, registry, &|name| std::env::var(name).ok()) {
        Ok(datasource) => datasource,
        Err(faults) => {
            terminal.error(&format!("the datasource is not valid\n{faults}"), None);
            return UNUSABLE;
        }
    };
    let connector = registry.get(&datasource.connector).expect("a datasource that was read has a connector of the registry");
    let engine = match PlannerEngine::new() {
        Ok(engine) => engine,
        Err(error) => {
            terminal.error(error.message(), error.hint_text());
            return UNUSABLE;
        }
    };
    let contract = Contract {
        connector: connector.as_ref(),
        options: &datasource.options,
        engine: &engine,
        extent: Extent { tables: arguments.tables, columns: arguments.columns },
    };
    let report = contract.run(&mut |part| terminal.progress(format!("checking {part}"))).await;
    terminal.progress_done();
    if arguments.json {
        terminal.line(described(&report));
    } else {
        show(&report, &datasource.name, terminal);
    }
    match report.groups.as_slice() {
        // It does not open.
        [opening] if !opening.failures.is_empty() => UNUSABLE,
        _ if report.failures().next().is_some() => FAILED,
        _ => OK,
    }
}

fn show(report: &Report, datasource: &str, terminal: &Terminal) {
    let mut overview = table::headed(["", "checks held", "broken", "left out"]);
    for group in &report.groups {
        let left_out = if group.left_out.is_empty() { String::new() } else { group.left_out.join("; ") };
        overview.add_row([group.name, &group.passed.to_string(), &group.failures.len().to_string(), &left_out]);
    }
    terminal.line(overview);
    for (group, failure) in report.failures() {
        terminal.line(format!("{} {}", terminal.red(&format!("{group}:")), printable(failure)));
    }
    let broken = report.failures().count();
    let (kind, held) = (report.kind, report.passed());
    terminal.line(match broken {
        0 => format!("\n{}", terminal.green(&format!("connector {kind} keeps its contract on {datasource}: {held} checks held"))),
        _ => format!(
            "\n{}",
            terminal.red(&format!("connector {kind} breaks its contract on {datasource}: {broken} checks of {}", held + broken))
        ),
    });
}

fn described(report: &Report) -> Value {
    let groups: Vec<Value> = report
        .groups
        .iter()
        .map(|group| json!({ "name": group.name, "held": group.passed, "broken": group.failures, "left_out": group.left_out }))
        .collect();
    json!({ "connector": report.kind, "held": report.passed(), "broken": report.failures().count(), "groups": groups })
}
