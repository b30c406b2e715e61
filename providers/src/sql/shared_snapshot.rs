//! What the scans of one statement share at a remote, so that all of them read as of one moment.
//!
//! Connections are what this costs. A statement that reads a remote by several scans keeps one connection of its pool until the last
//! of them has begun. So that statements never wait for each other in a circle, a statement takes these connections first and in the
//! order of the remotes' ids, one of each remote that can share a snapshot, and waits for none while it holds one: another scan runs
//! on a further connection if one is free at once, and else on the one that is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::prelude::SessionConfig;
use tokio::sync::OnceCell;

use super::{Reliance, RemoteScan, RemoteSql, ScanLimits, Select, SplitScan, SqlRemote};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::remote::RemoteId;

/// One snapshot of a remote, for all scans of one statement.
#[async_trait]
pub trait SharedSnapshot: fmt::Debug + Send + Sync {
    /// Takes the connection that the statement keeps, and the snapshot. Called before any of the statement's scans reads; again, if
    /// that failed or was abandoned, and does nothing once it has succeeded.
    ///
    /// # Errors
    /// As [`SqlRemote::execute`].
    async fn open(&self, deadline: Option<Deadline>) -> Result<()>;

    /// As [`SqlRemote::execute`], in the snapshot.
    ///
    /// # Errors
    /// As [`SqlRemote::execute`], and `Unreachable` when the snapshot was lost with its connection.
    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits, turn: Turn) -> Result<SendableRecordBatchStream>;

    /// As [`SqlRemote::split`], in the snapshot, for a scan that the remote splits.
    fn split(self: Arc<Self>, select: &Select, streams: usize, turn: Turn) -> Arc<dyn SplitScan>;
}

/// Whether a scan is one of those that were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It runs for the first time in its statement.
    First,
    /// It has run before: it was counted then.
    Again,
}

/// What one statement reads of one remote.
#[derive(Debug, Clone, Default)]
pub struct StatementScans {
    /// How many scans there are; `None` when a scan may run any number of times.
    pub count: Option<usize>,
    /// The tables they read.
    pub reads: Reliance,
}

impl StatementScans {
    /// Whether they could differ in what they see.
    pub fn are_several(&self) -> bool {
        self.count != Some(1)
    }
}

/// The snapshots of one statement, as its session carries them.
struct SharedSnapshots {
    by_remote: BTreeMap<RemoteId, Arc<dyn SharedSnapshot>>,
    opened: OnceCell<()>,
}

/// Has the scans of `plan` share a snapshot of each remote that can give one and is read more than once. `config` is that of the one
/// execution of the plan that is to come, and of nothing else.
///
/// # Errors
/// None of its own.
pub fn share_snapshots(config: &mut SessionConfig, plan: &Arc<dyn ExecutionPlan>) -> DataFusionResult<()> {
    let mut repeats = false;
    let mut read: BTreeMap<RemoteId, (Arc<dyn SqlRemote>, usize, Reliance)> = BTreeMap::new();
    plan.apply(|node| {
        repeats |= node.is::<RecursiveQueryExec>();
        if let Some(scan) = node.downcast_ref::<RemoteScan>() {
            let remote = scan.remote();
            let (_, count, reads) = read.entry(remote.id().clone()).or_insert_with(|| (Arc::clone(remote), 0, Reliance::default()));
            *count += 1;
            reads.merge(&scan.sql().reliance);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let scans = |count: usize, reads: Reliance| StatementScans { count: (!repeats).then_some(count), reads };
    let read: Vec<_> = read.into_values().map(|(remote, count, reads)| (remote, scans(count, reads))).collect();
    // The common case: nothing is kept, and nothing asked for.
    if !read.iter().any(|(_, scans)| scans.are_several()) {
        return Ok(());
    }
    let shares = |(remote, scans): (Arc<dyn SqlRemote>, StatementScans)| Some((remote.id().clone(), remote.share_snapshot(&scans)?));
    let by_remote: BTreeMap<_, _> = read.into_iter().filter_map(shares).collect();
    config.set_extension(Arc::new(SharedSnapshots { by_remote, opened: OnceCell::new() }));
    Ok(())
}

/// The snapshot that the scans of `remote` share in the statement that `context` belongs to.
pub(super) fn shared_snapshot(context: &TaskContext, remote: &RemoteId) -> Option<Shared> {
    let all = context.session_config().get_extension::<SharedSnapshots>()?;
    let own = Arc::clone(all.by_remote.get(remote)?);
    Some(Shared { all, own })
}

/// The snapshot of one remote, among those of its statement.
pub(super) struct Shared {
    all: Arc<SharedSnapshots>,
    own: Arc<dyn SharedSnapshot>,
}

impl Shared {
    /// The snapshot, once all of the statement's are there.
    ///
    /// # Errors
    /// As [`SharedSnapshot::open`].
    pub(super) async fn opened(self, deadline: Option<Deadline>) -> Result<Arc<dyn SharedSnapshot>> {
        let open = async {
            for snapshot in self.all.by_remote.values() {
                snapshot.open(deadline).await?;
            }
            Ok(())
        };
        self.all.opened.get_or_try_init(|| open).await?;
        Ok(self.own)
    }
}
