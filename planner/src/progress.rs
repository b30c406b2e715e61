//! How far a statement is that runs, for whoever looks at it from outside.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use causeway_providers::sql::RemoteScan;
use causeway_providers::{RemoteId, files_read};
use datafusion::physical_plan::ExecutionPlan;

/// A view of one execution, which is empty until there is a plan. It keeps scans from being forgotten and not from being ended.
#[derive(Clone, Default)]
pub struct Progress(Arc<Shown>);

#[derive(Default)]
struct Shown {
    scans: OnceLock<Vec<Arc<dyn ExecutionPlan>>>,
    change: OnceLock<Change>,
}

/// A change of rows at a source.
struct Change {
    datasource: RemoteId,
    statement: String,
    rows: Arc<AtomicU64>,
}

/// One scan of an execution, or the change that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanProgress {
    /// The datasource it reads.
    pub datasource: RemoteId,
    /// The statement without its values, or for files what is read.
    pub statement: String,
    /// The rows that have arrived so far, or were sent to be inserted.
    pub rows: u64,
    /// The bytes their values take in memory; of files what was read of them. Zero when that is not counted.
    pub bytes: u64,
}

impl Progress {
    /// What is changed, and the scans in the order in which `EXPLAIN` shows them; `None` as long as the statement is being planned.
    pub fn scans(&self) -> Option<Vec<ScanProgress>> {
        let (change, scans) = (self.0.change.get(), self.0.scans.get());
        if change.is_none() && scans.is_none() {
            return None;
        }
        let scans = scans.into_iter().flatten().filter_map(|scan| progress(scan.as_ref()));
        Some(change.map(Change::progress).into_iter().chain(scans).collect())
    }

    /// Shows the scans of `plan` from now on.
    pub(crate) fn show(&self, plan: &Arc<dyn ExecutionPlan>) {
        let mut scans = Vec::new();
        leaves(plan, &mut scans);
        // A view shows one execution: what came first stays.
        drop(self.0.scans.set(scans));
    }

    /// Shows a change of rows from now on, which counts them by what is returned.
    pub(crate) fn show_change(&self, datasource: &RemoteId, statement: String) -> Arc<AtomicU64> {
        let change = Change { datasource: datasource.clone(), statement, rows: Arc::default() };
        Arc::clone(&self.0.change.get_or_init(|| change).rows)
    }
}

impl Change {
    fn progress(&self) -> ScanProgress {
        let Self { datasource, statement, rows } = self;
        let rows = rows.load(Ordering::Relaxed);
        ScanProgress { datasource: datasource.clone(), statement: statement.clone(), rows, bytes: 0 }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.scans()).finish()
    }
}

fn leaves(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<Arc<dyn ExecutionPlan>>) {
    if plan.is::<RemoteScan>() || files_read(plan.as_ref()).is_some() {
        found.push(Arc::clone(plan));
    }
    for input in plan.children() {
        leaves(input, found);
    }
}

fn progress(scan: &dyn ExecutionPlan) -> Option<ScanProgress> {
    let metrics = scan.metrics().unwrap_or_default();
    let named = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
    let rows = metrics.output_rows().unwrap_or_default() as u64;
    if let Some(remote) = scan.downcast_ref::<RemoteScan>() {
        let (datasource, statement) = (remote.remote().id().clone(), remote.normalized());
        return Some(ScanProgress { datasource, statement, rows, bytes: named(RemoteScan::BYTES) });
    }
    let (datasource, what) = files_read(scan)?;
    Some(ScanProgress { datasource: datasource.clone(), statement: format!("READ {what}"), rows, bytes: named("bytes_scanned") })
}
