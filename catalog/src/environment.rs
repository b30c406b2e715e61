//! An environment: its datasources, each with one task that opens, watches and reopens it, and the current snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Capabilities, ConnectorRegistry, Error, ErrorKind, Omission, PoolState, Remote, Result, Subject};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asking::{Asking, WithdrawOnDrop};
use crate::datasource::Datasource;
use crate::drift::DriftReport;
use crate::drift_watch::DriftWatch;
use crate::dropping::Dropping;
use crate::event::{Event, NewEvent};
use crate::impact::{Impact, PreparedStatements, PreparedStatementsCell};
use crate::import::{Import, ImportReport};
use crate::lifecycle::{Lifecycle, Timing};
use crate::live::DatasourceState;
use crate::member::{DriftCheck, Member};
use crate::published::Published;
use crate::requests::{CheckRequest, RefreshRequest};
use crate::restarts::Restarts;
use crate::snapshot::CatalogSnapshot;
use crate::store::{ControlStore, DriftRow, DriftSelection, History, Retention, StoredSnapshot};
use crate::stored_form;

/// Refreshes, or checks, of one datasource that may wait for one another.
const WAITING_REQUESTS: usize = 16;
/// Between two looks for events and snapshots that are old enough to go.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What of an environment is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeping {
    /// Snapshots of each datasource.
    pub history: History,
    /// Events.
    pub events: Retention,
}

/// An isolated set of datasources, seen by clients as a database.
///
/// Dropped without [`stop`](Self::stop), its tasks end on their own a moment later.
#[derive(Debug)]
pub struct Environment {
    name: String,
    store: ControlStore,
    latest: watch::Receiver<i64>,
    datasources: BTreeMap<String, Entry>,
    published: Arc<Published>,
    prepared_statements: PreparedStatementsCell,
    tasks: TaskTracker,
    stop: CancellationToken,
    timing: Timing,
}

#[derive(Debug)]
struct Entry {
    member: Arc<Member>,
    refreshes: mpsc::Sender<RefreshRequest>,
    checks: mpsc::Sender<CheckRequest>,
}

/// One pool of a datasource.
#[derive(Debug, Clone)]
pub struct DatasourcePool {
    /// The datasource.
    pub datasource: String,
    /// Who gets its connections.
    pub purpose: PoolPurpose,
    /// How it is.
    pub state: PoolState,
}

/// Who gets the connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolPurpose {
    /// Statements that read.
    Queries,
    /// Transactions that change rows.
    Changes,
}

impl PoolPurpose {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Changes => "changes",
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
    /// What the reader can do about it, when the error says so.
    pub last_hint: Option<String>,
    /// Since when what we know of its tables may be out of date.
    pub stale_since: Option<SystemTime>,
    /// Tables and columns that are not published, and why.
    pub omitted: Vec<Omission>,
    /// Where pinned tables and the source disagree, as the last look saw it, a sentence each.
    pub mismatches: Vec<String>,
    /// What it may be asked to compute, once it was opened.
    pub capabilities: Option<Capabilities>,
    /// When its drift was last checked to the end.
    pub checked_at: Option<SystemTime>,
}

impl Environment {
    /// Publishes what the store knows of the datasources, starts all of them at once and returns.
    ///
    /// Names are unique; of two with one name the last counts. The tasks run on the Tokio runtime it is called on.
    ///
    /// # Errors
    /// When the store cannot be read. No datasource is an error here.
    pub async fn start(
        name: &str,
        datasources: Vec<Datasource>,
        registry: ConnectorRegistry,
        store: ControlStore,
        keeping: Keeping,
    ) -> Result<Arc<Self>> {
        Self::start_with(name, datasources, registry, store, keeping, Timing::default()).await
    }

    pub(crate) async fn start_with(
        name: &str,
        datasources: Vec<Datasource>,
        registry: ConnectorRegistry,
        store: ControlStore,
        keeping: Keeping,
        timing: Timing,
    ) -> Result<Arc<Self>> {
        let datasources: BTreeMap<String, Arc<Datasource>> =
            datasources.into_iter().map(|datasource| (datasource.name.clone(), Arc::new(datasource))).collect();
        let not_yet = |name: &str| {
            let reason = Error::new(ErrorKind::Unreachable, "the datasource has not been opened yet")
                .at(name)
                .hint("it is being opened; try again in a moment");
            Arc::new(reason)
        };
        let published = Arc::new(Published::new(datasources.keys().map(|name| (name.clone(), not_yet(name)))));
        let prepared_statements = PreparedStatementsCell::default();
        let imported = store.foreign_tables(name).await?;
        let latest = store.latest(name).await?;
        let members: BTreeMap<String, Arc<Member>> = datasources
            .into_iter()
            .map(|(datasource_name, datasource)| {
                let connector = registry.get(&datasource.connector).cloned();
                let imported = imported.iter().filter(|table| table.datasource == datasource_name).cloned().collect();
                let (store, published, statements) = (store.clone(), Arc::clone(&published), Arc::clone(&prepared_statements));
                let member = Member::new(name, datasource, connector, store, keeping.history, published, statements, imported);
                (datasource_name, member)
            })
            .collect();
        restore(name, &store, &members, &not_yet).await?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let entry = |member: Arc<Member>| {
            let (refreshes, refresh_requests) = mpsc::channel(WAITING_REQUESTS);
            let (checks, check_requests) = mpsc::channel(WAITING_REQUESTS);
            let (registry, stop) = (registry.clone(), stop.child_token());
            tasks.spawn(Lifecycle { member: Arc::clone(&member), registry, refreshes: refresh_requests, timing, stop: stop.clone() }.run());
            tasks.spawn(DriftWatch { member: Arc::clone(&member), requests: check_requests, timing, stop }.run());
            Entry { member, refreshes, checks }
        };
        let datasources = members.into_iter().map(|(name, member)| (name, entry(member))).collect();
        tasks.spawn(keep_house(name.to_owned(), store.clone(), keeping.events, stop.child_token()));
        tasks.close();
        Ok(Arc::new(Self { name: name.to_owned(), store, latest, datasources, published, prepared_statements, tasks, stop, timing }))
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
                let live = entry.member.live.borrow();
                DatasourceStatus {
                    datasource: Arc::clone(&entry.member.datasource),
                    state: live.state,
                    last_error: live.last_error.as_ref().map(|error| error.message().to_owned()),
                    last_hint: live.last_error.as_ref().and_then(|error| error.hint_text()).map(str::to_owned),
                    stale_since: live.stale_since,
                    omitted: live.omitted.clone(),
                    mismatches: live.mismatches.iter().map(|mismatch| mismatch.text.clone()).collect(),
                    capabilities: live.capabilities,
                    checked_at: live.checked_at,
                }
            })
            .collect()
    }

    /// How the pools are of those datasources that are open and have one, by name; that of transactions once there was one.
    pub fn pools(&self) -> Vec<DatasourcePool> {
        let mut pools = Vec::new();
        for (name, entry) in &self.datasources {
            let Some(remote) = entry.member.remote.borrow().clone() else { continue };
            let mut add = |purpose, state| pools.push(DatasourcePool { datasource: name.clone(), purpose, state });
            if let Some(state) = remote.pool() {
                add(PoolPurpose::Queries, state);
            }
            let transactions = remote.as_sql().and_then(|remote| remote.as_transactional()).map(|remote| remote.transaction_pool());
            if let Some(state) = transactions.filter(|state| state.opened > 0 || state.errors > 0 || state.waiting > 0) {
                add(PoolPurpose::Changes, state);
            }
        }
        pools
    }

    /// Waits until no datasource is `Starting`, or `limit` has passed.
    pub async fn settled(&self, limit: Duration) {
        let all = async {
            for entry in self.datasources.values() {
                // The sender is held by `entry`, so the channel cannot close while we wait.
                let _ = entry.member.live.subscribe().wait_for(|live| live.state != DatasourceState::Starting).await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Reads a datasource's tables anew and swaps them in atomically; gives how many tables it has.
    ///
    /// A datasource in state `Error` is opened at once. Whoever asks is the `actor` of the events it gives rise to.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource; what opening or introspecting it gives. The old tables stay then.
    pub async fn refresh(&self, datasource: &str, actor: Option<&str>) -> Result<usize> {
        self.ask(datasource, None, actor).await
    }

    /// As [`refresh`](Self::refresh), but of all that a look shows it accepts no more than what concerns published tables, each a schema
    /// and a name: those a statement reads that its source could not run. What else has changed is for a check to tell.
    ///
    /// # Errors
    /// As `refresh`.
    pub async fn refresh_tables(&self, datasource: &str, tables: &[(String, String)], actor: Option<&str>) -> Result<usize> {
        let tables = self.snapshot().remotes(datasource, tables);
        if tables.is_empty() {
            // What it reads is not there any more, which a look cannot change.
            return self.entry(datasource).map(|_| 0);
        }
        self.ask(datasource, Some(tables), actor).await
    }

    /// As [`refresh`](Self::refresh), but accepts no more than one table of the source's default schema: one that we made there.
    pub(crate) async fn refresh_own(&self, datasource: &str, table: &str) -> Result<usize> {
        let schema = self.entry(datasource)?.member.default_schema().await;
        self.ask(datasource, Some(BTreeSet::from([Subject::table(&schema, table)])), None).await
    }

    async fn ask(&self, datasource: &str, tables: Option<BTreeSet<Subject>>, actor: Option<&str>) -> Result<usize> {
        let entry = self.entry(datasource)?;
        let (answer, answered) = oneshot::channel();
        let request = RefreshRequest { tables, actor: actor.map(str::to_owned), answer };
        entry.refreshes.send(request).await.map_err(|_| stopped(datasource))?;
        answered.await.map_err(|_| self.unanswered(datasource))?
    }

    /// Compares a datasource's tables with what is expected of them, and notes what differs. Of what is published nothing changes but
    /// tables that broke their contract and meet it again: they can be read from then on.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource; `Unreachable` for one that is not open, `SchemaMismatch` when what its tables are keeps it from
    /// being so; and what looking at it gives.
    pub async fn check_drift(&self, datasource: &str) -> Result<DriftCheck> {
        let entry = self.entry(datasource)?;
        let (request, answer) = oneshot::channel();
        entry.checks.send(request).await.map_err(|_| stopped(datasource))?;
        answer.await.map_err(|_| self.unanswered(datasource))?
    }

    /// Differences between what is expected and what is there, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn drift(&self, which: DriftSelection<'_>) -> Result<Vec<DriftRow>> {
        self.store.drift(&self.name, which).await
    }

    /// What the open differences of a datasource break.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn impact(&self, datasource: &str) -> Result<Impact> {
        let open = self.store.open_drift(&self.name, datasource).await?;
        Ok(Impact::of_rows(&open, &self.published.current(), &self.prepared_statements))
    }

    /// How many differences are open, of each datasource that has any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_drift_counts(&self) -> Result<BTreeMap<String, u64>> {
        self.store.open_drift_counts(&self.name).await
    }

    /// The stored snapshots of all datasources, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn history(&self) -> Result<Vec<StoredSnapshot>> {
        self.store.snapshots(&self.name).await
    }

    /// How a datasource's tables changed from one stored snapshot to another.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource or a snapshot that is not kept (any more).
    pub async fn difference(&self, datasource: &str, from: i64, to: i64) -> Result<DriftReport> {
        let member = &self.entry(datasource)?.member;
        let snapshot = async |version: i64| {
            self.store.snapshot(&self.name, datasource, version).await?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("there is no snapshot {version}"))
                    .at(datasource)
                    .hint("SELECT * FROM causeway.catalog_history lists those that are kept")
            })
        };
        Ok(member.difference(&snapshot(from).await?, &snapshot(to).await?))
    }

    /// Publishes remote tables under the contract of what they are now, as [`Import`] says. Dropping the future withdraws it, unless it
    /// is being written: then it goes on to its end.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource, schema or table; `Unauthorized` for a table our user may not read; `Conflict` for a name that is taken; `Unsupported` without a store that
    /// lasts; `Unreachable` when the datasource is not open. Nothing is written then.
    pub async fn import(&self, datasource: &str, import: &Import) -> Result<ImportReport> {
        self.import_as_asked(datasource, import, &Asking::new()).await
    }

    /// As [`import`](Self::import), for who may withdraw it and has to know what came of that.
    ///
    /// # Errors
    /// As [`import`](Self::import), and `Cancelled` when it was withdrawn.
    pub async fn import_as_asked(&self, datasource: &str, import: &Import, asking: &Asking) -> Result<ImportReport> {
        let (member, import) = (Arc::clone(&self.entry(datasource)?.member), import.clone());
        let (limit, asked) = (self.timing.introspect, asking.clone());
        self.as_asked(asking, async move { member.import(&import, limit, &asked).await }).await
    }

    /// Ends the publication of imported tables, each a schema and a name, in one change. The remote tables stay as they are, and their
    /// datasource need not be declared any more. Dropping the future withdraws it as it does an import.
    ///
    /// # Errors
    /// `NotFound` when one of them is no imported table, `Cancelled` when it was withdrawn, and when the store cannot be written; all
    /// stay then.
    pub async fn drop_imported(&self, tables: &[(String, String)], actor: Option<&str>, asking: &Asking) -> Result<()> {
        let members = self.datasources.iter().map(|(name, entry)| (name.clone(), Arc::clone(&entry.member))).collect();
        let (store, published) = (self.store.clone(), Arc::clone(&self.published));
        let dropping = Dropping { environment: self.name.clone(), store, published, members };
        let (tables, actor, asked) = (tables.to_vec(), actor.map(str::to_owned), asking.clone());
        self.as_asked(asking, async move { dropping.drop(&tables, actor.as_deref(), &asked).await }).await
    }

    /// The first of `schemas` in which a table of this name is imported.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn imported_in<'s>(&self, schemas: &'s [String], name: &str) -> Result<Option<&'s String>> {
        for schema in schemas {
            if self.store.foreign_table_owner(&self.name, schema, name).await?.is_some() {
                return Ok(Some(schema));
            }
        }
        Ok(None)
    }

    /// Runs what changes the store and what is published: to its end once it is being written, whether or not somebody waits for it
    /// that long, and up to there as long as it is asked for.
    async fn as_asked<T: Send + 'static>(&self, asking: &Asking, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let _asker = WithdrawOnDrop(asking.clone());
        let done = self.tasks.spawn(asking.clone().run(work)).await;
        done.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a change ended without an answer")))
    }

    /// A remote table as the YAML of a pinned table, with a review mark wherever a value may not arrive as it is.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource or table, `Unauthorized` for one that our user may not read; what looking at the source gives.
    pub async fn draft(&self, datasource: &str, remote_schema: Option<&str>, remote_table: &str) -> Result<String> {
        self.entry(datasource)?.member.draft(remote_schema, remote_table, self.timing.introspect).await
    }

    /// The control store.
    pub fn store(&self) -> &ControlStore {
        &self.store
    }

    /// Follows the number of the newest event.
    pub fn latest_event(&self) -> watch::Receiver<i64> {
        self.latest.clone()
    }

    /// The next page of events after number `after`, in order; empty when there are none. However large events are, a page is not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events_page(&self, after: i64) -> Result<Vec<Event>> {
        self.store.events_page(&self.name, after).await
    }

    /// Appends events that belong together.
    ///
    /// # Errors
    /// When the store cannot be written; none of them is there then.
    pub async fn append(&self, events: &[NewEvent]) -> Result<()> {
        let mut change = self.store.begin(&self.name).await?;
        change.append_all(events).await?;
        change.commit().await
    }

    /// Lets drift reports name the statements it breaks. Only the first to know them counts.
    pub fn know_prepared_statements(&self, statements: Arc<dyn PreparedStatements>) {
        let _ = self.prepared_statements.set(statements);
    }

    /// A datasource as it was declared.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource.
    pub fn datasource(&self, name: &str) -> Result<Arc<Datasource>> {
        Ok(Arc::clone(&self.entry(name)?.member.datasource))
    }

    /// The open remote of a datasource, while it answers.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource, `Unreachable` for one that is not open.
    pub fn remote(&self, datasource: &str) -> Result<Arc<dyn Remote>> {
        self.entry(datasource)?.member.open_remote()
    }

    fn entry(&self, datasource: &str) -> Result<&Entry> {
        self.datasources.get(datasource).ok_or_else(|| {
            let known = self.datasources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::new(ErrorKind::NotFound, format!("datasource \"{datasource}\" does not exist")).hint(if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are: {known}")
            })
        })
    }

    /// Why a datasource's task ended before it answered: it was stopped, or it panicked.
    fn unanswered(&self, datasource: &str) -> Error {
        if self.stop.is_cancelled() {
            return stopped(datasource);
        }
        let told = Error::new(ErrorKind::Internal, "what was asked of the datasource failed by a fault of Causeway").at(datasource);
        told.hint("the log has the cause; please report it")
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

fn stopped(datasource: &str) -> Error {
    Error::new(ErrorKind::Unreachable, "the datasource was stopped").at(datasource)
}

/// Publishes what the store knows of each datasource. One that cannot be read, or published, waits for its source instead.
async fn restore(
    environment: &str,
    store: &ControlStore,
    members: &BTreeMap<String, Arc<Member>>,
    not_yet: &(dyn Fn(&str) -> Arc<Error> + Send + Sync),
) -> Result<()> {
    let stored = store.newest_snapshots(environment).await?;
    // Reading ten thousand tables is work for all cores.
    let reading = stored.into_iter().map(async |(snapshot, content)| {
        let read = tokio::task::spawn_blocking(move || stored_form::read(&content)).await;
        let tables = read.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "reading it panicked")));
        (snapshot, tables)
    });
    for (snapshot, tables) in futures::future::join_all(reading).await {
        let Some(member) = members.get(&snapshot.datasource) else { continue };
        let restored = async { member.restore(&snapshot, tables?, &not_yet(&snapshot.datasource)).await };
        if let Err(error) = restored.await {
            tracing::warn!(datasource = snapshot.datasource, error = error.with_causes(), "its stored tables are not used");
        }
    }
    Ok(())
}

/// Drops what is old enough of the events and of the resolved differences, now and then.
async fn keep_house(environment: String, store: ControlStore, retention: Retention, stop: CancellationToken) {
    let sweep = async || {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            match store.retain_events(&environment, retention).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(environment, dropped, "old events were dropped"),
                Err(error) => tracing::warn!(environment, error = error.with_causes(), "old events were not dropped"),
            }
            match store.retain_drift(&environment, retention).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(environment, dropped, "old resolved differences were dropped"),
                Err(error) => tracing::warn!(environment, error = error.with_causes(), "old resolved differences were not dropped"),
            }
        }
    };
    let keeping = async {
        let mut restarts = Restarts::of("housekeeping", &environment);
        while restarts.run(sweep()).await.is_err() {
            restarts.wait().await;
        }
    };
    let _ = stop.run_until_cancelled(keeping).await;
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
