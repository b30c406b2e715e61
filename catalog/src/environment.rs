//! An environment: its datasources, each with one task that opens, watches and reopens it, and the current snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Capabilities, ConnectorRegistry, Error, ErrorKind, Omission, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::datasource::Datasource;
use crate::lifecycle::{Lifecycle, Live, RefreshRequest, Timing};
use crate::published::Published;
use crate::snapshot::CatalogSnapshot;

/// Refreshes of one datasource that may wait for one another.
const WAITING_REFRESHES: usize = 16;

/// An isolated set of datasources, seen by clients as a database.
///
/// Dropped without [`stop`](Self::stop), its tasks end on their own a moment later.
#[derive(Debug)]
pub struct Environment {
    name: String,
    datasources: BTreeMap<String, Entry>,
    published: Arc<Published>,
    tasks: TaskTracker,
    stop: CancellationToken,
    timing: Timing,
}

#[derive(Debug)]
struct Entry {
    datasource: Arc<Datasource>,
    live: Arc<watch::Sender<Live>>,
    refreshes: mpsc::Sender<RefreshRequest>,
}

/// Whether a datasource can be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasourceState {
    /// It has not been opened yet.
    Starting,
    /// It answers.
    Running,
    /// It does not; see the last error. It is tried again by itself.
    Error,
    /// It was closed.
    Stopped,
}

impl DatasourceState {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasourceState::Starting => "starting",
            DatasourceState::Running => "running",
            DatasourceState::Error => "error",
            DatasourceState::Stopped => "stopped",
        }
    }
}

/// One datasource as it is now.
#[derive(Debug, Clone)]
pub struct DatasourceStatus {
    /// How it was declared.
    pub datasource: Arc<Datasource>,
    /// Whether it can be queried.
    pub state: DatasourceState,
    /// The text of the last error, without secrets; kept until it runs again.
    pub last_error: Option<String>,
    /// Since when what we know of its tables may be out of date.
    pub stale_since: Option<SystemTime>,
    /// Tables and columns that are not published, and why.
    pub omitted: Vec<Omission>,
    /// Where pinned tables and the source disagree, as the last look saw it, a sentence each.
    pub mismatches: Vec<String>,
    /// What it may be asked to compute, once it was opened.
    pub capabilities: Option<Capabilities>,
}

impl Environment {
    /// Starts all datasources at once and returns at once. Names are unique; of two with one name the last counts.
    ///
    /// Must be called within a Tokio runtime, on which the tasks then run.
    pub fn start(name: &str, datasources: Vec<Datasource>, registry: ConnectorRegistry) -> Arc<Self> {
        Self::start_with(name, datasources, registry, Timing::default())
    }

    pub(crate) fn start_with(name: &str, datasources: Vec<Datasource>, registry: ConnectorRegistry, timing: Timing) -> Arc<Self> {
        let datasources: BTreeMap<String, Arc<Datasource>> =
            datasources.into_iter().map(|datasource| (datasource.name.clone(), Arc::new(datasource))).collect();
        let published = Arc::new(Published::new(datasources.keys().map(|name| {
            let reason = Error::new(ErrorKind::Unreachable, "the datasource has not been opened yet")
                .at(name)
                .hint("it is being opened; try again in a moment");
            (name.clone(), Arc::new(reason))
        })));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let entry = |datasource: Arc<Datasource>| {
            let live = Arc::new(watch::Sender::new(Live::default()));
            let (refreshes, requests) = mpsc::channel(WAITING_REFRESHES);
            let lifecycle = Lifecycle {
                datasource: Arc::clone(&datasource),
                registry: registry.clone(),
                published: Arc::clone(&published),
                live: Arc::clone(&live),
                refreshes: requests,
                timing,
                stop: stop.child_token(),
            };
            tasks.spawn(lifecycle.run());
            Entry { datasource, live, refreshes }
        };
        let datasources = datasources.into_iter().map(|(name, datasource)| (name, entry(datasource))).collect();
        tasks.close();
        Arc::new(Self { name: name.to_owned(), datasources, published, tasks, stop, timing })
    }

    /// Its name, which is the database's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tables as of now. Two calls give the same `Arc` while nothing changed.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.published.current()
    }

    /// All datasources, by name.
    pub fn datasources(&self) -> Vec<DatasourceStatus> {
        self.datasources
            .values()
            .map(|entry| {
                let live = entry.live.borrow();
                DatasourceStatus {
                    datasource: Arc::clone(&entry.datasource),
                    state: live.state,
                    last_error: live.last_error.as_ref().map(|error| error.message().to_owned()),
                    stale_since: live.stale_since,
                    omitted: live.omitted.clone(),
                    mismatches: live.mismatches.clone(),
                    capabilities: live.capabilities,
                }
            })
            .collect()
    }

    /// Waits until no datasource is `Starting`, or `limit` has passed.
    pub async fn settled(&self, limit: Duration) {
        let all = async {
            for entry in self.datasources.values() {
                // The sender is held by `entry`, so the channel cannot close while we wait.
                let _ = entry.live.subscribe().wait_for(|live| live.state != DatasourceState::Starting).await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Reads a datasource's tables anew and swaps them in atomically; gives how many tables it has.
    ///
    /// A datasource in state `Error` is opened at once.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource; what opening or introspecting it gives. The old tables stay then.
    pub async fn refresh(&self, datasource: &str) -> Result<usize> {
        let Some(entry) = self.datasources.get(datasource) else {
            let known = self.datasources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::new(ErrorKind::NotFound, format!("datasource \"{datasource}\" does not exist")).hint(if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are: {known}")
            }));
        };
        let stopped = || Error::new(ErrorKind::Unreachable, "the datasource was stopped").at(datasource);
        let (request, answer) = oneshot::channel();
        entry.refreshes.send(request).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Closes all datasources and waits for their tasks, a few seconds at most.
    pub async fn stop(&self) {
        self.stop.cancel();
        // Each task bounds its own closing; the limit here is for a connector that blocks its thread.
        if tokio::time::timeout(self.timing.close * 2, self.tasks.wait()).await.is_err() {
            tracing::warn!(environment = self.name, "some datasources did not close in time");
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
