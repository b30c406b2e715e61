//! An explanation as a page for people.

use std::time::Duration;

use super::Explanation;
use super::outline::{Actual, Estimate, Node, SourceUse};

/// The lines of the page.
pub(super) fn lines(explanation: &Explanation<'_>) -> Vec<String> {
    let mut page = Page { lines: Vec::new(), estimates: explanation.explain.estimates };
    page.tree(&explanation.outline.root, 0);
    page.remote_statements(explanation);
    page.kept(explanation);
    page.sources(explanation);
    if explanation.explain.verbose {
        page.heading("Logical plan");
        for line in explanation.prepared.logical.display_indent().to_string().lines() {
            page.lines.push(format!("  {line}"));
        }
    }
    if explanation.explain.summary {
        page.heading(&format!("Planning time: {}", milliseconds(explanation.planning)));
        if let Some(execution) = explanation.execution {
            page.lines.push(format!("Execution time: {}", milliseconds(execution)));
        }
    }
    page.lines
}

struct Page {
    lines: Vec<String>,
    estimates: bool,
}

impl Page {
    fn tree(&mut self, node: &Node, depth: usize) {
        let arrow = match depth {
            0 => String::new(),
            _ => format!("{}->  ", " ".repeat(2 + (depth - 1) * 6)),
        };
        let what = match &node.scan {
            Some(scan) => match scan.statement {
                Some(number) => format!("{} on {} [{number}]{}", node.kind, scan.datasource, node.details),
                None if node.details.is_empty() => format!("{} on {}", node.kind, scan.datasource),
                None => format!("{} on {}: {}", node.kind, scan.datasource, node.details),
            },
            None if node.details.is_empty() => node.kind.clone(),
            None => format!("{}: {}", node.kind, node.details),
        };
        let believed = if self.estimates { believed(node.estimate) } else { String::new() };
        let measured = node.actual.map(measured).unwrap_or_default();
        self.lines.push(format!("{arrow}{what}{believed}{measured}"));
        for input in &node.inputs {
            self.tree(input, depth + 1);
        }
    }

    fn heading(&mut self, text: &str) {
        self.lines.push(String::new());
        self.lines.push(text.to_owned());
    }

    fn remote_statements(&mut self, explanation: &Explanation<'_>) {
        if explanation.outline.statements.is_empty() {
            return;
        }
        self.heading("Remote statements");
        for (at, sent) in explanation.outline.statements.iter().enumerate() {
            self.lines.push(format!("  [{}] {}: {}", at + 1, sent.datasource, sent.sql));
        }
    }

    fn kept(&mut self, explanation: &Explanation<'_>) {
        let report = &explanation.prepared.report;
        if report.is_off() {
            self.heading("Computed here: everything, push-down is off");
            return;
        }
        if report.kept().is_empty() {
            return;
        }
        self.heading("Computed here");
        for kept in report.kept() {
            self.lines.push(format!("  {} on {}: {}", kept.work, kept.datasource, kept.reason));
        }
    }

    fn sources(&mut self, explanation: &Explanation<'_>) {
        if explanation.outline.sources.is_empty() || !(self.estimates || explanation.explain.analyze) {
            return;
        }
        self.heading("Datasources");
        for (datasource, used) in &explanation.outline.sources {
            self.lines.push(format!("  {datasource}: {}", in_words(used, self.estimates)));
        }
    }
}

/// `2 scans, 10000 rows expected, 423 rows and 12.1 kB fetched, 8.200 ms waiting, a pool of 5 connections`.
fn in_words(used: &SourceUse, estimates: bool) -> String {
    let mut parts = vec![counted(used.scans, "scan", "scans")];
    if let Some(rows) = used.estimate.rows.filter(|_| estimates) {
        parts.push(format!("{} expected", counted(rows, "row", "rows")));
    }
    if let Some(actual) = used.actual {
        let rows = actual.rows.map(|rows| counted(rows, "row", "rows"));
        let fetched: Vec<String> = rows.into_iter().chain(actual.bytes.map(size)).collect();
        if !fetched.is_empty() {
            parts.push(format!("{} fetched", fetched.join(" and ")));
        }
        if let Some(waiting) = actual.waiting {
            parts.push(format!("{} waiting", milliseconds(waiting)));
        }
    }
    if let Some(connections) = used.connections {
        parts.push(format!("a pool of {}", counted(connections, "connection", "connections")));
    }
    parts.join(", ")
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `  (rows=1000 width=8)`: what is expected.
fn believed(estimate: Estimate) -> String {
    match (estimate.rows, estimate.width()) {
        (Some(rows), Some(width)) => format!("  (rows={rows} width={width})"),
        (Some(rows), None) => format!("  (rows={rows})"),
        (None, _) => String::new(),
    }
}

/// `  (actual rows=42 time=1.234 ms)`.
fn measured(actual: Actual) -> String {
    let mut parts = Vec::new();
    if let Some(rows) = actual.rows {
        parts.push(format!("rows={rows}"));
    }
    if let Some(bytes) = actual.bytes {
        parts.push(format!("fetched={}", size(bytes)));
    }
    if !actual.time.is_zero() {
        parts.push(format!("time={}", milliseconds(actual.time)));
    }
    if let Some(waiting) = actual.waiting {
        parts.push(format!("waiting={}", milliseconds(waiting)));
    }
    if actual.spilled > 0 {
        parts.push(format!("spilled={}", size(actual.spilled)));
    }
    if parts.is_empty() { String::new() } else { format!("  (actual {})", parts.join(" ")) }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}

/// Bytes in the unit that suits them, as PostgreSQL's `pg_size_pretty` has them: of 1024 each.
fn size(bytes: usize) -> String {
    let mut amount = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if amount < 10_240.0 {
            return format!("{amount:.0} {unit}");
        }
        amount /= 1024.0;
    }
    format!("{amount:.0} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [(0, "0 bytes"), (10_239, "10239 bytes"), (20_480, "20 kB"), (50 << 20, "50 MB"), (20 << 40, "20 TB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
