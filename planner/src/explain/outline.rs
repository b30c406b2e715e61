//! What there is to show of a physical plan: operators under PostgreSQL's names, estimates, measurements, and what sources are asked.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_providers::files_read;
use causeway_providers::sql::RemoteScan;
use datafusion::common::Statistics;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, displayable};

use crate::error::Result;
use crate::guardrails::Metered;
use crate::unordered::Unordered;

/// A plan, and what it asks of each datasource.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) root: Node,
    /// The statements, in the order in which the tree shows their scans.
    pub(super) statements: Vec<SentStatement>,
    /// By datasource.
    pub(super) sources: BTreeMap<String, SourceUse>,
}

/// An operator.
#[derive(Debug)]
pub(super) struct Node {
    /// What it is, such as `Hash Join`.
    pub(super) kind: String,
    /// The join's type, such as `Inner`.
    pub(super) join: Option<String>,
    /// The scan it is, if it is one.
    pub(super) scan: Option<Scan>,
    /// What the engine says of it; may be empty.
    pub(super) details: String,
    pub(super) estimate: Estimate,
    /// What was measured, once it ran.
    pub(super) actual: Option<Actual>,
    pub(super) inputs: Vec<Node>,
}

/// A scan of a datasource.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) datasource: String,
    /// The place of its statement among [`Outline::statements`]; files have none.
    pub(super) statement: Option<usize>,
}

#[derive(Debug)]
pub(super) struct SentStatement {
    pub(super) datasource: String,
    pub(super) sql: String,
}

/// What is believed of an operator's rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    pub(super) rows: Option<usize>,
    pub(super) bytes: Option<usize>,
}

/// What an operator did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Actual {
    pub(super) rows: Option<usize>,
    /// What the values that a scan fetched take in memory; of files what was read.
    pub(super) bytes: Option<usize>,
    /// Between its first and its last row where it tells, else its own computing.
    pub(super) time: Duration,
    /// How long it waited for its source, the stream of it that waited longest.
    pub(super) waiting: Option<Duration>,
    pub(super) spilled: usize,
}

/// What a statement has of one datasource.
#[derive(Debug, Default)]
pub(super) struct SourceUse {
    pub(super) scans: usize,
    pub(super) estimate: Estimate,
    pub(super) actual: Option<Actual>,
    /// The connections of its pool, when it has one.
    pub(super) connections: Option<usize>,
}

impl Outline {
    /// That of `plan`, with measurements if it has been run.
    ///
    /// # Errors
    /// When an operator cannot say what it believes of its rows.
    pub(super) fn of(plan: &dyn ExecutionPlan, is_measured: bool) -> Result<Self> {
        let mut walk = Walk { is_measured, statements: Vec::new(), sources: BTreeMap::new() };
        let root = walk.node(plan)?;
        Ok(Self { root, statements: walk.statements, sources: walk.sources })
    }

    /// Leaves out what sources are asked, and where files are.
    pub(super) fn hide_sources(&mut self) {
        self.statements.clear();
        self.root.hide_source();
    }
}

impl Node {
    fn hide_source(&mut self) {
        if self.inputs.is_empty() && self.kind != MATERIALIZE {
            self.details.clear();
        }
        self.inputs.iter_mut().for_each(Node::hide_source);
    }
}

struct Walk {
    is_measured: bool,
    statements: Vec<SentStatement>,
    sources: BTreeMap<String, SourceUse>,
}

impl Walk {
    fn node(&mut self, plan: &dyn ExecutionPlan) -> Result<Node> {
        // They only pause, or hide something from the optimizer, and whoever reads a plan has nothing of them.
        if let (Some(_), [input]) = (plan.downcast_ref::<CooperativeExec>(), plan.children().as_slice()) {
            return self.node(input.as_ref());
        }
        if let (Some(_), [input]) = (plan.downcast_ref::<Unordered>(), plan.children().as_slice()) {
            return self.node(input.as_ref());
        }
        if let Some(metered) = plan.downcast_ref::<Metered>() {
            return self.node(metered.input().as_ref());
        }
        let believed = StatisticsContext::new().compute(plan, &StatisticsArgs::new())?;
        let estimate = Estimate::of(&believed);
        let actual = if self.is_measured { plan.metrics().map(|metrics| Actual::of(&metrics)) } else { None };
        let described = displayable(plan).one_line().to_string();
        let described = described.trim_end().split_once(": ").map_or("", |(_, details)| details);
        let mut node = Node {
            kind: kind(plan.name()),
            join: join_type(plan),
            scan: None,
            details: described.to_owned(),
            estimate,
            actual,
            inputs: Vec::new(),
        };
        if let Some(scan) = plan.downcast_ref::<RemoteScan>() {
            let datasource = scan.remote().id().to_string();
            self.statements.push(SentStatement { datasource: datasource.clone(), sql: scan.sql().text.clone() });
            let connections = scan.remote().pool().map(|pool| pool.max_size);
            self.used(&datasource, estimate, node.actual, connections);
            node.scan = Some(Scan { datasource, statement: Some(self.statements.len()) });
            node.details = how_it_is_read(scan);
        } else if let Some((datasource, what)) = files_read(plan) {
            let datasource = datasource.to_string();
            self.used(&datasource, estimate, node.actual, None);
            node.kind = "FileScan".to_owned();
            node.details = format!("{what}, {described}");
            node.scan = Some(Scan { datasource, statement: None });
        }
        for input in plan.children() {
            node.inputs.push(self.node(input.as_ref())?);
        }
        Ok(node)
    }

    fn used(&mut self, datasource: &str, estimate: Estimate, actual: Option<Actual>, connections: Option<usize>) {
        let used = self.sources.entry(datasource.to_owned()).or_default();
        let is_first = used.scans == 0;
        used.scans += 1;
        used.connections = connections;
        used.estimate = if is_first { estimate } else { used.estimate.and(estimate) };
        used.actual = match (used.actual, actual) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
    }
}

/// How a remote scan goes about it, in words.
fn how_it_is_read(scan: &RemoteScan) -> String {
    let mut words = String::new();
    if scan.streams() > 1 {
        words.push_str(&format!(" in {} streams", scan.streams()));
    }
    if scan.connections() > 1 {
        words.push_str(&format!(" over up to {} connections", scan.connections()));
    }
    if let Some(narrowing) = scan.narrowing() {
        words.push_str(&format!(", {narrowing}"));
    }
    words
}

/// An operator that reads what another one computes, if it has no input.
const MATERIALIZE: &str = "Materialize";

/// What PostgreSQL calls an operator, where it has one that is alike.
fn kind(name: &str) -> String {
    let kind = match name {
        "AggregateExec" => "Aggregate",
        "BoundedWindowAggExec" | "WindowAggExec" => "WindowAgg",
        "CoalescePartitionsExec" => "Gather",
        "CrossJoinExec" | "NestedLoopJoinExec" => "Nested Loop",
        "DataSourceExec" => "Values Scan",
        "EmptyExec" | "PlaceholderRowExec" => "Result",
        "GlobalLimitExec" | "LocalLimitExec" => "Limit",
        "HashJoinExec" => "Hash Join",
        "InterleaveExec" | "UnionExec" => "Append",
        "RecursiveQueryExec" => "Recursive Union",
        "SortMergeJoinExec" => "Merge Join",
        "SortPreservingMergeExec" => "Gather Merge",
        other => other.strip_suffix("Exec").unwrap_or(other),
    };
    kind.to_owned()
}

fn join_type(plan: &dyn ExecutionPlan) -> Option<String> {
    let kind = plan
        .downcast_ref::<HashJoinExec>()
        .map(HashJoinExec::join_type)
        .or_else(|| plan.downcast_ref::<NestedLoopJoinExec>().map(NestedLoopJoinExec::join_type));
    kind.copied().or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type)).map(|kind| kind.to_string())
}

impl Estimate {
    fn of(statistics: &Statistics) -> Self {
        let value = |precision: &datafusion::common::stats::Precision<usize>| precision.get_value().copied();
        Self { rows: value(&statistics.num_rows), bytes: value(&statistics.total_byte_size) }
    }

    /// That of both together; nothing when of one nothing is known.
    fn and(self, other: Self) -> Self {
        let sum = |one: Option<usize>, other: Option<usize>| Some(one?.saturating_add(other?));
        Self { rows: sum(self.rows, other.rows), bytes: sum(self.bytes, other.bytes) }
    }

    /// The bytes of a row.
    pub(super) fn width(self) -> Option<usize> {
        Some(self.bytes? / self.rows?.max(1))
    }
}

impl Actual {
    fn of(metrics: &MetricsSet) -> Self {
        let nanoseconds = metrics.elapsed_compute().unwrap_or(0) as u64;
        let named = |wanted: &str| metrics.sum_by_name(wanted).map(|value| value.as_usize());
        Self {
            rows: metrics.output_rows(),
            bytes: named(RemoteScan::BYTES).or_else(|| named("bytes_scanned")),
            time: wall(metrics).unwrap_or_default().max(Duration::from_nanos(nanoseconds)),
            waiting: longest(metrics, RemoteScan::WAITING),
            spilled: metrics.spilled_bytes().unwrap_or_default(),
        }
    }

    /// What two scans of one source fetched. They may have waited at the same time.
    fn and(self, other: Self) -> Self {
        let sum = |one: Option<usize>, other: Option<usize>| one.into_iter().chain(other).reduce(usize::saturating_add);
        Self {
            rows: sum(self.rows, other.rows),
            bytes: sum(self.bytes, other.bytes),
            time: self.time.max(other.time),
            waiting: self.waiting.max(other.waiting),
            spilled: 0,
        }
    }
}

/// The longest of a time that each partition measures.
fn longest(metrics: &MetricsSet, name: &str) -> Option<Duration> {
    let times = metrics.iter().filter_map(|metric| match metric.value() {
        MetricValue::Time { name: own, time } if own == name => Some(Duration::from_nanos(time.value() as u64)),
        _ => None,
    });
    times.max()
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
