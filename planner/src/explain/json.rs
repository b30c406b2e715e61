//! An explanation as a document, with the names that tools know from PostgreSQL's `EXPLAIN (FORMAT JSON)`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Explanation;
use super::outline::{Actual, Node, Outline};

/// The document: a list of one plan.
pub(super) fn document(explanation: &Explanation<'_>) -> String {
    let mut whole = Map::new();
    let tree = Tree { outline: &explanation.outline, estimates: explanation.explain.estimates };
    whole.insert("Plan".to_owned(), tree.node(&explanation.outline.root, None));
    let sources = explanation.outline.sources.iter().map(|(datasource, used)| {
        let mut members = Map::new();
        set(&mut members, "Datasource", datasource.as_str());
        set(&mut members, "Scans", used.scans);
        if explanation.explain.estimates {
            maybe(&mut members, "Plan Rows", used.estimate.rows);
        }
        measured_scan(&mut members, used.actual, "Actual Rows");
        maybe(&mut members, "Pool Connections", used.connections);
        Value::Object(members)
    });
    set(&mut whole, "Datasources", sources.collect::<Vec<_>>());
    let report = &explanation.prepared.report;
    let kept = report.kept().iter().map(|kept| json!({"Work": kept.work, "Datasource": kept.datasource.as_str(), "Reason": kept.reason}));
    set(&mut whole, "Computed Here", kept.collect::<Vec<_>>());
    if report.is_off() {
        set(&mut whole, "Push-Down", false);
    }
    if explanation.explain.verbose {
        set(&mut whole, "Logical Plan", explanation.prepared.logical.display_indent().to_string());
    }
    if explanation.explain.summary {
        set(&mut whole, "Planning Time", milliseconds(explanation.planning));
        maybe(&mut whole, "Execution Time", explanation.execution.map(milliseconds));
    }
    format!("{:#}", json!([whole]))
}

struct Tree<'a> {
    outline: &'a Outline,
    estimates: bool,
}

impl Tree<'_> {
    fn node(&self, node: &Node, relationship: Option<&str>) -> Value {
        let mut members = Map::new();
        let kind = if node.scan.is_some() { "Foreign Scan" } else { &node.kind };
        set(&mut members, "Node Type", kind);
        maybe(&mut members, "Parent Relationship", relationship);
        set(&mut members, "Parallel Aware", false);
        set(&mut members, "Async Capable", false);
        maybe(&mut members, "Join Type", node.join.as_deref());
        if let Some(scan) = &node.scan {
            set(&mut members, "Datasource", scan.datasource.as_str());
            let sent = scan.statement.and_then(|number| self.outline.statements.get(number - 1));
            maybe(&mut members, "Remote SQL", sent.map(|sent| sent.sql.as_str()));
        }
        if self.estimates {
            maybe(&mut members, "Plan Rows", node.estimate.rows);
            maybe(&mut members, "Plan Width", node.estimate.width());
        }
        if let Some(actual) = node.actual {
            set(&mut members, "Actual Total Time", milliseconds(actual.time));
            set(&mut members, "Actual Loops", 1);
            measured_scan(&mut members, Some(actual), "Actual Rows");
        }
        let details = node.details.trim_start_matches([' ', ',']);
        maybe(&mut members, "Details", Some(details).filter(|details| !details.is_empty()));
        let inputs = node.inputs.iter().enumerate();
        let inputs: Vec<Value> = inputs.map(|(at, input)| self.node(input, Some(if at == 0 { "Outer" } else { "Inner" }))).collect();
        maybe(&mut members, "Plans", Some(inputs).filter(|inputs| !inputs.is_empty()));
        Value::Object(members)
    }
}

fn measured_scan(members: &mut Map<String, Value>, actual: Option<Actual>, rows: &str) {
    let Some(actual) = actual else { return };
    maybe(members, rows, actual.rows);
    maybe(members, "Fetched Bytes", actual.bytes);
    maybe(members, "Remote Waiting Time", actual.waiting.map(milliseconds));
    maybe(members, "Spilled Bytes", Some(actual.spilled).filter(|bytes| *bytes > 0));
}

fn set(members: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}

fn maybe(members: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        set(members, name, value);
    }
}

/// Milliseconds with three decimals, as PostgreSQL gives them.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
