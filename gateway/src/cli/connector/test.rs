//! `causeway connector test`: runs the contract of a connector against a datasource and shows what held.

use std::collections::BTreeMap;
use std::path::PathBuf;

use causeway_catalog::Datasource;
use causeway_providers::ConnectorRegistry;
use causeway_providers::contract::{Checked, Contract, Extent, Report, TableExtent};
use clap::Args;
use serde_json::{Value, json};

use super::super::table::printable;
use super::super::terminal::Terminal;
use super::super::{FAILED, OK, UNUSABLE, table};
use super::coverage::{coverage, nothing, unopened};
use super::engine::PlannerEngine;
use crate::config::read_datasource;

/// Of tables that were not read for one reason so many are listed.
const LISTED: usize = 5;

/// The arguments of `causeway connector test`.
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    /// The file of the datasource, as it stands among those of a gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Tables that are queried in every way, those of which most rows are known first. Of a table of more than 5,000 rows a part is.
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
        coverage: &coverage(&datasource),
        engine: &engine,
        extent: Extent { tables: arguments.tables, columns: arguments.columns },
    };
    let report = contract.run(&mut |part| terminal.progress(format!("checking {part}"))).await;
    terminal.progress_done();
    if arguments.json {
        terminal.line(described(&report));
    } else if report.unopened.is_none() {
        show(&report, &datasource, terminal);
    }
    ended(&report, &datasource, terminal)
}

/// The exit code, and what is wrong when nothing could be checked.
fn ended(report: &Report, datasource: &Datasource, terminal: &Terminal) -> u8 {
    if let Some(why) = &report.unopened {
        terminal.error(&printable(&unopened(why, datasource)), why.hint.as_deref());
        return UNUSABLE;
    }
    match report.groups.as_slice() {
        // It does not open.
        [opening] if !opening.failures.is_empty() => UNUSABLE,
        _ if report.failures().next().is_some() => FAILED,
        _ if report.tables.is_empty() => {
            let (text, hint) = nothing(report, datasource);
            terminal.error(&printable(&text), Some(&hint));
            UNUSABLE
        }
        _ => OK,
    }
}

fn show(report: &Report, datasource: &Datasource, terminal: &Terminal) {
    let mut overview = table::headed(["", "checks held", "broken", "left out"]);
    for group in &report.groups {
        let left_out = if group.left_out.is_empty() { String::new() } else { group.left_out.join("; ") };
        overview.add_row([group.name, &group.passed.to_string(), &group.failures.len().to_string(), &left_out]);
    }
    terminal.line(overview);
    show_tables(report, terminal);
    let refused = report.refused();
    if !refused.is_empty() {
        terminal.line("\nValues of the source that are none of their column's. The connector refused them, as it should:");
    }
    for refusal in &refused {
        terminal.line(printable(&refusal.message));
        if let Some(hint) = &refusal.hint {
            terminal.line(format!("  {} {}", terminal.dim("hint:"), printable(hint)));
        }
    }
    for (group, failure) in report.failures() {
        terminal.line(format!("{} {}", terminal.red(&format!("{group}:")), printable(failure)));
    }
    if !report.tables.is_empty() || report.failures().next().is_some() {
        terminal.line(format!("\n{}", verdict(report, &datasource.name, terminal)));
    }
}

/// How far each table was looked at. Tables that were not read for one reason are counted when there are many.
fn show_tables(report: &Report, terminal: &Terminal) {
    let mut unread: BTreeMap<&str, usize> = BTreeMap::new();
    for TableExtent { checked, .. } in &report.tables {
        if let Checked::Unread(why) = checked {
            *unread.entry(why).or_default() += 1;
        }
    }
    let is_counted = |why: &str| unread.get(why).is_some_and(|&tables| tables > LISTED);
    let line = |table: &str, told: &str| terminal.line(format!("{} {}", terminal.dim(&format!("{}:", printable(table))), printable(told)));
    for TableExtent { table, checked } in &report.tables {
        match checked {
            Checked::Whole => line(table, "queried in every way"),
            Checked::Part(part) => line(table, &format!("queried in every way in a part: {part}")),
            Checked::Read(why) => line(table, &format!("read and not queried: {why}")),
            Checked::Unread(why) if is_counted(why) => {}
            Checked::Unread(why) => line(table, &format!("not checked: {why}")),
        }
    }
    for (why, tables) in unread.iter().filter(|(why, _)| is_counted(why)) {
        line(&format!("{tables} tables"), &format!("not checked: {why}"));
    }
}

/// The last sentence: what held, and of how much that can be said.
fn verdict(report: &Report, datasource: &str, terminal: &Terminal) -> String {
    let broken = report.failures().count();
    let (kind, held) = (report.kind, report.passed());
    if broken > 0 {
        return terminal.red(&format!("connector {kind} breaks its contract on {datasource}: {broken} checks of {}", held + broken));
    }
    let kept = terminal.green(&format!("connector {kind} keeps its contract on {datasource}: {held} checks held"));
    let parts = report.tables.iter().filter(|table| matches!(table.checked, Checked::Part(_))).count();
    let parts = if parts == 0 { String::new() } else { format!(" ({parts} in a part)") };
    let left_out = if report.groups.iter().all(|group| group.left_out.is_empty()) { "" } else { "; what was left out is told above" };
    format!("{kept}; {} of {} tables were queried in every way{parts}{left_out}", report.queried(), report.tables.len())
}

fn described(report: &Report) -> Value {
    let groups: Vec<Value> = report
        .groups
        .iter()
        .map(|group| json!({ "name": group.name, "held": group.passed, "broken": group.failures, "left_out": group.left_out }))
        .collect();
    let table = |TableExtent { table, checked }: &TableExtent| {
        let (word, told) = match checked {
            Checked::Whole => ("whole", None),
            Checked::Part(part) => ("part", Some(part)),
            Checked::Read(why) => ("read", Some(why)),
            Checked::Unread(why) => ("unread", Some(why)),
        };
        json!({ "table": table, "checked": word, "reason": told })
    };
    let refused: Vec<Value> =
        report.refused().into_iter().map(|refusal| json!({ "message": refusal.message, "hint": refusal.hint })).collect();
    let unopened = report.unopened.as_ref().map(|why| json!({ "message": why.message, "hint": why.hint }));
    let omitted: Vec<Value> =
        report.omitted.iter().map(|omission| json!({ "subject": omission.subject, "reason": omission.reason })).collect();
    json!({
        "connector": report.kind,
        "unopened": unopened,
        "held": report.passed(),
        "broken": report.failures().count(),
        "groups": groups,
        "tables": report.tables.iter().map(table).collect::<Vec<_>>(),
        "omitted": omitted,
        "refused_values": refused,
    })
}
