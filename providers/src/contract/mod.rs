//! The contract every connector keeps, as checks against a real source that is only read.
//!
//! [`Contract::run`] opens a datasource and looks at what it finds there: what introspection says, what scans give, whether each
//! [`Capabilities`](crate::Capabilities) flag is true *both ways*, and how statements end. A declared capability must show in plans as work of the source, one that is
//! not declared must not, and whoever computes, the rows are those of the [`Engine`] alone on the same data. Whoever tests a
//! connector fills the source with tables first; tables with the columns `value` and `expected` prove how types are read.

mod alone;
mod coverage;
mod declared;
mod engine;
mod introspection;
mod kit;
mod lifetime;
mod part;
mod push_down;
mod refusal;
mod relay;
mod report;
mod sampled;
mod scanning;
mod statement;
mod unopened;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use tokio::time::timeout;

pub use alone::DataFusionAlone;
pub use coverage::{Coverage, CoveredTable};
pub use engine::{Answer, Engine, SCHEMA};
pub use kit::{SKELETON, SKELETON_FILES};
pub use refusal::Refusal;
pub use report::{Checked, Group, Report, TableExtent};
pub use unopened::Unopened;

use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::options::Options;
use crate::remote::{Introspection, Remote, RemoteTable};
use sampled::Sampled;

/// The time one look at the source or one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is looked at. More takes longer and proves more.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Tables that are queried in every way, those of which most rows are known first.
    pub tables: usize,
    /// Columns of each that are.
    pub columns: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { tables: 3, columns: 12 }
    }
}

/// A connector, a datasource of it and an engine to compare its answers with.
#[derive(Debug, Clone, Copy)]
pub struct Contract<'a> {
    /// The code under test.
    pub connector: &'a dyn Connector,
    /// The datasource that is read.
    pub options: &'a Options,
    /// Which of its tables are looked at.
    pub coverage: &'a Coverage,
    /// What plans statements over its tables.
    pub engine: &'a dyn Engine,
    /// How much is looked at.
    pub extent: Extent,
}

/// What the checks share: the open remote and what it said it has.
struct Opened<'a> {
    contract: &'a Contract<'a>,
    remote: Arc<dyn Remote>,
    seen: Introspection,
}

impl Contract<'_> {
    /// Runs all checks; `progress` is told which are next. The source is read, never written.
    pub async fn run(&self, progress: &mut (dyn FnMut(&str) + Send)) -> Report {
        let mut report = Report::new(self.connector.manifest().kind);
        let Some(opened) = self.open(&mut report).await else { return report };
        report.omitted.clone_from(&opened.seen.omitted);
        progress("introspection");
        report.add(introspection::check(&opened).await);
        progress("scans");
        let scanned = scanning::check(&opened).await;
        report.add(scanned.group);
        progress("values");
        report.add(values::check(&scanned.known));
        let mut queried: Vec<&Sampled> = scanned.known.iter().filter(|table| table.not_queried().is_none()).collect();
        queried.sort_by_key(|table| std::cmp::Reverse(table.rows.num_rows()));
        queried.truncate(self.extent.tables);
        report.tables = scanned.known.iter().map(|table| table.extent(&queried)).chain(scanned.others).collect();
        report.tables.sort_by(|a, b| a.table.cmp(&b.table));
        for class in push_down::CLASSES {
            progress(class.name);
            report.add(class.check(&opened, &queried).await);
        }
        progress("cancel, time limits, waiting and lost connections");
        for group in lifetime::check(&opened, &scanned.known).await {
            report.add(group);
        }
        opened.remote.close().await;
        report
    }

    async fn open(&self, report: &mut Report) -> Option<Opened<'_>> {
        let mut group = Group::new("opening");
        let opened = match timeout(PATIENCE, self.connector.open(self.options)).await {
            Ok(opened) => opening(opened, "it opens", &mut group, report),
            Err(_) => group.value("it opens", Err("it does not end".into())),
        };
        let opened = match opened {
            Some(remote) => {
                let seen = remote.introspect(&self.coverage.scope, Deadline::after(PATIENCE)).await;
                opening(seen, "it tells its tables", &mut group, report).map(|seen| Opened { contract: self, remote, seen })
            }
            None => None,
        };
        if report.unopened.is_none() {
            report.add(group);
        }
        opened
    }
}

/// One check of a datasource that is being opened. What its source keeps from holding is no check: the report is told why.
fn opening<T>(made: Result<T, Error>, what: &str, group: &mut Group, report: &mut Report) -> Option<T> {
    report.unopened = made.as_ref().err().and_then(Unopened::by);
    if report.unopened.is_some() { None } else { group.value(what, made.map_err(told)) }
}

impl Opened<'_> {
    /// The tables that are published, those under the datasource's own name first.
    fn tables(&self) -> Vec<&RemoteTable> {
        self.contract.coverage.of(&self.seen)
    }

    /// Answers a statement on a table of a remote, as far as it is looked at.
    async fn ask(&self, remote: &Arc<dyn Remote>, sampled: &Sampled, sql: &str) -> Result<Answer, Refusal> {
        self.answer(BTreeMap::from([(sampled.table.name.clone(), sampled.at(remote)?)]), sql).await
    }

    /// Answers a statement on tables.
    async fn answer(&self, tables: BTreeMap<String, Arc<dyn TableProvider>>, sql: &str) -> Result<Answer, Refusal> {
        let schema = MemorySchemaProvider::new();
        for (name, table) in tables {
            schema.register_table(name, table)?;
        }
        let answered = timeout(PATIENCE, self.contract.engine.answer(Arc::new(schema), sql)).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()).into()))
    }
}

/// An error as a check tells it.
fn told(error: impl Into<Refusal>) -> Refusal {
    error.into()
}
