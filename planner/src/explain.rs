//! `EXPLAIN`: the plan as a tree, what each datasource is asked, and what stays here and why.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::format::{ExplainFormat, ExplainStatementOptions};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::TryStreamExt;

use causeway_providers::scan_subject;
use causeway_providers::sql::RemoteScan;

use crate::error::{Error, ErrorKind, Result};
use crate::guardrails::Metered;
use crate::query::Prepared;

/// What is to be shown of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Explain {
    analyze: bool,
    verbose: bool,
    /// Whether what sources are sent, and where files are, is left out.
    hides_sources: bool,
}

/// The one column of an explanation, a row per line.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, true)]))
}

impl Explain {
    /// Reads the options of the statement.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a format other than text.
    pub(crate) fn new(options: &ExplainStatementOptions) -> Result<Self> {
        match options.format {
            None | Some(ExplainFormat::Indent) => Ok(Self { analyze: options.analyze, verbose: options.verbose, hides_sources: false }),
            Some(_) => Err(Error::new(ErrorKind::Unsupported, "EXPLAIN shows plans as text only").hint("Leave FORMAT out.")),
        }
    }

    /// The same without what is between the gateway and its sources: statements, and the places of files.
    pub(crate) fn without_sources(self) -> Self {
        Self { verbose: false, hides_sources: true, ..self }
    }

    /// Shows `prepared`, having run it if that was asked for.
    pub(crate) async fn run(self, prepared: Prepared) -> Result<SendableRecordBatchStream> {
        let elapsed = if self.analyze { Some(run_through(&prepared).await?) } else { None };
        let mut page = Page { lines: Vec::new(), statements: Vec::new(), analyze: self.analyze, hides_sources: self.hides_sources };
        page.tree(prepared.physical.as_ref(), 0);
        if !self.hides_sources {
            page.remote_statements();
        }
        page.kept(&prepared);
        if self.verbose {
            page.heading("Logical plan");
            for line in prepared.logical.display_indent().to_string().lines() {
                page.lines.push(format!("  {line}"));
            }
        }
        if let Some(elapsed) = elapsed {
            page.heading(&format!("Execution time: {}", milliseconds(elapsed)));
        }
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(StringArray::from(page.lines))])
            .map_err(datafusion::error::DataFusionError::from)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch)]))))
    }
}

/// Runs the plan for its measurements and drops its rows.
async fn run_through(prepared: &Prepared) -> Result<Duration> {
    let start = Instant::now();
    let mut rows = prepared.rows()?;
    while rows.try_next().await?.is_some() {}
    Ok(start.elapsed())
}

/// The explanation while it is written.
struct Page {
    lines: Vec<String>,
    statements: Vec<String>,
    analyze: bool,
    hides_sources: bool,
}

impl Page {
    fn tree(&mut self, plan: &dyn ExecutionPlan, depth: usize) {
        if let Some(metered) = plan.downcast_ref::<Metered>() {
            return self.tree(metered.input().as_ref(), depth);
        }
        let text = match plan.downcast_ref::<RemoteScan>() {
            Some(scan) => {
                self.statements.push(format!("{}: {}", scan.remote().id(), scan.sql().text));
                let streams = match scan.streams() {
                    1 => String::new(),
                    streams => format!(" in {streams} streams"),
                };
                let connections = match scan.connections() {
                    1 => String::new(),
                    connections => format!(" over up to {connections} connections"),
                };
                let narrowing = scan.narrowing().filter(|_| !self.hides_sources);
                let narrowing = narrowing.map(|narrowing| format!(", {narrowing}")).unwrap_or_default();
                format!("RemoteScan on {} [{}]{streams}{connections}{narrowing}", scan.remote().id(), self.statements.len())
            }
            None if self.hides_sources && plan.children().is_empty() => match scan_subject(plan) {
                Some(subject) => format!("{} on {subject}", plan.name()),
                None => plan.name().to_owned(),
            },
            None => displayable(plan).one_line().to_string().trim_end().to_owned(),
        };
        let arrow = match depth {
            0 => String::new(),
            _ => format!("{}->  ", " ".repeat(2 + (depth - 1) * 6)),
        };
        let measured = match plan.metrics() {
            Some(metrics) if self.analyze => measurements(&metrics),
            Some(_) | None => String::new(),
        };
        self.lines.push(format!("{arrow}{text}{measured}"));
        for child in plan.children() {
            self.tree(child.as_ref(), depth + 1);
        }
    }

    fn heading(&mut self, text: &str) {
        self.lines.push(String::new());
        self.lines.push(text.to_owned());
    }

    fn remote_statements(&mut self) {
        if self.statements.is_empty() {
            return;
        }
        self.heading("Remote statements");
        for (at, statement) in std::mem::take(&mut self.statements).into_iter().enumerate() {
            self.lines.push(format!("  [{}] {statement}", at + 1));
        }
    }

    fn kept(&mut self, prepared: &Prepared) {
        if prepared.report.is_off() {
            self.heading("Computed here: everything, push-down is off");
            return;
        }
        if prepared.report.kept().is_empty() {
            return;
        }
        self.heading("Computed here");
        for kept in prepared.report.kept() {
            self.lines.push(format!("  {} on {}: {}", kept.work, kept.datasource, kept.reason));
        }
    }
}

/// `  (rows=42, time=1.234 ms)`: the time between an operator's first and last row where it tells, else its own computing.
fn measurements(metrics: &MetricsSet) -> String {
    let mut parts = Vec::new();
    if let Some(rows) = metrics.output_rows() {
        parts.push(format!("rows={rows}"));
    }
    let nanoseconds = metrics.elapsed_compute().unwrap_or(0) as u64;
    let time = wall(metrics).unwrap_or_default().max(Duration::from_nanos(nanoseconds));
    if !time.is_zero() {
        parts.push(format!("time={}", milliseconds(time)));
    }
    if let Some(spilled) = metrics.spilled_bytes().filter(|bytes| *bytes > 0) {
        parts.push(format!("spilled={spilled} bytes"));
    }
    if parts.is_empty() { String::new() } else { format!("  ({})", parts.join(", ")) }
}

fn wall(metrics: &MetricsSet) -> Option<Duration> {
    let mut start = None;
    let mut end = None;
    for metric in metrics.iter() {
        match metric.value() {
            MetricValue::StartTimestamp(timestamp) => start = start.into_iter().chain(timestamp.value()).min(),
            MetricValue::EndTimestamp(timestamp) => end = end.into_iter().chain(timestamp.value()).max(),
            _ => {}
        }
    }
    (end? - start?).to_std().ok()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}
