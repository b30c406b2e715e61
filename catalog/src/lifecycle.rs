//! The task of one datasource: opens it, publishes what it has, keeps watch over it, and opens it again when it failed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Connector, ConnectorRegistry, Deadline, Error, ErrorKind, Remote, Result};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::asking::Asking;
use crate::chance::jittered;
use crate::event::EventType;
use crate::live::{DatasourceState, Live};
use crate::member::{Acceptance, Look, Member};
use crate::requests::{RefreshRequest, Refreshes};
use crate::restarts::Restarts;
use crate::snapshot::unavailable;

/// How often and how long things are tried. Tests make them short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two pings of a datasource that answers.
    pub(crate) watch: Duration,
    /// Between two pings once one went unanswered.
    pub(crate) doubt: Duration,
    /// How long a ping may take.
    pub(crate) ping: Duration,
    /// How long a source may take to tell what it has, for a refresh or an import, all it is asked together.
    pub(crate) introspect: Duration,
    /// How long a drift check may take, both looks and all.
    pub(crate) check: Duration,
    /// Between the look that finds a difference and the one that confirms it, at the most.
    pub(crate) confirm: Duration,
    /// The wait after the first failure to open; it doubles with every further one.
    pub(crate) first_retry: Duration,
    /// The longest such wait.
    pub(crate) last_retry: Duration,
    /// The longest such wait when the source answers and what it has is the fault.
    pub(crate) last_retry_conflict: Duration,
    /// How long closing may take.
    pub(crate) close: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(10),
            doubt: Duration::from_secs(2),
            ping: Duration::from_secs(5),
            introspect: Duration::from_secs(60),
            check: Duration::from_secs(60),
            confirm: Duration::from_secs(2),
            first_retry: Duration::from_millis(250),
            last_retry: Duration::from_secs(5),
            last_retry_conflict: Duration::from_secs(30),
            close: Duration::from_secs(5),
        }
    }
}

/// Unanswered pings in a row that make a datasource one that fails.
///
/// A ping waits for a pooled connection like any statement, so one late answer may only mean that the pool is busy.
/// A ping that is refused needs no second one.
const UNANSWERED_PINGS: u32 = 3;

/// Time a connector may take beyond its `connect_timeout` before opening is given up from outside.
const OPEN_MARGIN: Duration = Duration::from_secs(2);

/// The task of one datasource.
pub(crate) struct Lifecycle {
    pub(crate) member: Arc<Member>,
    pub(crate) registry: ConnectorRegistry,
    pub(crate) refreshes: mpsc::Receiver<RefreshRequest>,
    pub(crate) timing: Timing,
    pub(crate) stop: CancellationToken,
}

impl Lifecycle {
    /// Runs until stopped.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut remote = None;
        let mut restarts = Restarts::of("watching the datasource", self.member.name());
        let keeping = async {
            while let Err(error) = restarts.run(self.keep(&mut remote)).await {
                self.member.remote.send_replace(None);
                self.member.append(EventType::DatasourceFailed, json!({ "error": error.message() })).await;
                self.failed(error.at(self.member.name()));
                restarts.wait().await;
            }
        };
        // Dropping the work here abandons whatever it waits for, a source that hangs included.
        let _ = stop.run_until_cancelled(keeping).await;
        self.member.remote.send_replace(None);
        if let Some(remote) = remote {
            close(&remote, self.timing.close).await;
            self.member.append(EventType::DatasourceStopped, json!({})).await;
        }
        self.member
            .published
            .make_unavailable(&self.member.datasource.name, &Arc::new(self.error(ErrorKind::Unreachable, "the datasource was stopped")));
        self.member.live.send_modify(|live| live.state = DatasourceState::Stopped);
    }

    /// Opens, watches, and opens again, for ever.
    async fn keep(&mut self, remote: &mut Option<Arc<dyn Remote>>) {
        let mut failures = 0;
        let mut asked: Option<Refreshes> = None;
        // It has been open before when the task was begun again.
        let mut look = if remote.is_some() { Look::Reopened } else { Look::Boot };
        loop {
            let actor = asked.as_ref().and_then(Refreshes::actor);
            // What somebody asks for during an outage is accepted as it is.
            let accepting = if look == Look::Reopened && asked.is_some() { Look::Later } else { look };
            match self.open(accepting, actor).await {
                Ok((opened, tables)) => {
                    let (kind, data) = match (look, failures) {
                        (Look::Boot, 0) => (EventType::DatasourceStarted, json!({ "tables": tables })),
                        (_, attempts) => (EventType::DatasourceRecovered, json!({ "tables": tables, "attempts": attempts })),
                    };
                    self.member.append(kind, data).await;
                    failures = 0;
                    look = Look::Reopened;
                    // The older remote is not closed: statements that began before the outage may still read from it, and
                    // its idle connections go with the last of them.
                    let opened: &Arc<dyn Remote> = remote.insert(opened);
                    self.member.remote.send_replace(Some(Arc::clone(opened)));
                    self.recovered(tables);
                    if let Some(asked) = asked.take() {
                        asked.answer(Ok(tables));
                    }
                    let opened = Arc::clone(opened);
                    let error = self.watch(&opened).await;
                    self.member.remote.send_replace(None);
                    self.member.append(EventType::DatasourceFailed, json!({ "error": error.message() })).await;
                    self.failed(error);
                }
                Err(error) => {
                    if failures == 0 && look == Look::Boot {
                        self.member.append(EventType::DatasourceFailed, json!({ "error": error.message() })).await;
                    }
                    failures += 1;
                    let wait = self.retry_in(failures, error.kind());
                    if let Some(asked) = asked.take() {
                        let told = if is_of_tables(error.kind()) { error.restated() } else { unavailable(&error) };
                        asked.answer(Err(told));
                    }
                    self.failed(error);
                    // A refresh is a reason to try at once.
                    asked = self.asked_within(wait).await;
                }
            }
        }
    }

    /// Waits for somebody to ask for a refresh.
    async fn asked_within(&mut self, wait: Duration) -> Option<Refreshes> {
        let until = Instant::now() + wait;
        loop {
            let first = tokio::time::timeout_at(until, self.refreshes.recv()).await.ok()??;
            let asked = Refreshes::gather(first, &mut self.refreshes);
            if asked.is_some() {
                return asked;
            }
        }
    }

    /// Opens the datasource and publishes its tables.
    async fn open(&self, look: Look<'_>, actor: Option<&str>) -> Result<(Arc<dyn Remote>, usize)> {
        let connector = self.connector()?;
        let options = &self.member.datasource.options;
        let limit = options.pool.connect_timeout + OPEN_MARGIN;
        let opening = async {
            match tokio::time::timeout(limit, connector.open(options)).await {
                Ok(opened) => opened,
                Err(_) => Err(self.error(ErrorKind::Unreachable, format!("connecting took longer than {} seconds", limit.as_secs_f32()))),
            }
        };
        let remote = opening.await.map_err(|error| error.at(&self.member.datasource.name))?;
        match self.publish(&remote, look, actor).await {
            Ok(tables) => Ok((remote, tables)),
            Err(error) => {
                close(&remote, self.timing.close).await;
                Err(error)
            }
        }
    }

    fn connector(&self) -> Result<&Arc<dyn Connector>> {
        let kind = &self.member.datasource.connector;
        self.registry.get(kind).ok_or_else(|| {
            let kinds = self.registry.kinds().collect::<Vec<_>>().join(", ");
            self.error(ErrorKind::Unsupported, format!("no connector \"{kind}\" in this build: it has {kinds}"))
        })
    }

    /// Looks at the source and swaps what it has into the snapshot.
    async fn publish(&self, remote: &Arc<dyn Remote>, look: Look<'_>, actor: Option<&str>) -> Result<usize> {
        self.member.refresh(remote, self.timing.introspect, Acceptance::of(look, actor)).await
    }

    /// Watches an open datasource until it fails, and gives the reason.
    ///
    /// Only pings decide: a statement that fails says more about the statement than about the source. A source that did not answer when
    /// it was asked for its tables is pinged at once.
    async fn watch(&mut self, remote: &Arc<dyn Remote>) -> Error {
        let mut unanswered = 0;
        let mut next_ping = Instant::now() + jittered(self.timing.watch);
        let interval = self.member.datasource.refresh_interval;
        let mut next_refresh = interval.map(|interval| Instant::now() + jittered(interval));
        loop {
            // A refresh that is not wanted is one that never comes due.
            let refresh_due = async {
                match next_refresh {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = self.refreshes.recv() => {
                    // The sender lives as long as the environment, whose end also stops this task.
                    let Some(request) = request else { return self.error(ErrorKind::Cancelled, "the datasource was stopped") };
                    let Some(mut asked) = Refreshes::gather(request, &mut self.refreshes) else { continue };
                    let (tables, actor, asking) = (asked.tables(), asked.actor().map(str::to_owned), Asking::new());
                    let look = tables.as_ref().map_or(Look::Later, Look::Statement);
                    let acceptance = Acceptance::of(look, actor.as_deref()).as_asked(&asking);
                    let refreshed = asked.run(&asking, self.member.refresh(remote, self.timing.introspect, acceptance)).await;
                    if let Ok(tables) = refreshed {
                        tracing::info!(datasource = self.member.datasource.name, tables, "refreshed");
                    }
                    asked.answer(refreshed);
                }
                () = self.member.doubted.notified() => next_ping = Instant::now(),
                () = refresh_due => {
                    // A failure to look is the ping's to judge, and a mismatch keeps the old tables.
                    if let Err(error) = self.publish(remote, Look::Later, None).await {
                        tracing::warn!(datasource = self.member.name(), error = error.with_causes(), "a scheduled refresh failed");
                    }
                    next_refresh = interval.map(|interval| Instant::now() + jittered(interval));
                }
                () = tokio::time::sleep_until(next_ping) => {
                    let deadline = Deadline::after(self.timing.ping);
                    match deadline.bound("a ping", remote.ping(deadline)).await {
                        Ok(_) => {
                            if unanswered > 0 {
                                self.member.live.send_modify(|live| live.last_error = None);
                            }
                            unanswered = 0;
                            next_ping = Instant::now() + jittered(self.timing.watch);
                        }
                        // All connections are at work, each under a deadline of its own: the source is there.
                        Err(error) if error.kind() == ErrorKind::LimitExceeded => next_ping = Instant::now() + jittered(self.timing.doubt),
                        Err(error) => {
                            unanswered += 1;
                            tracing::debug!(datasource = self.member.datasource.name, %error, unanswered, "ping failed");
                            if error.kind() != ErrorKind::Timeout || unanswered >= UNANSWERED_PINGS {
                                return error.at(&self.member.datasource.name);
                            }
                            // It is not told as one that fails yet, but whoever looks may know.
                            self.member.live.send_modify(|live| live.last_error = Some(Arc::new(error)));
                            next_ping = Instant::now() + jittered(self.timing.doubt);
                        }
                    }
                }
            }
        }
    }

    fn recovered(&self, tables: usize) {
        tracing::info!(datasource = self.member.datasource.name, connector = self.member.datasource.connector, tables, "running");
        self.member.live.send_modify(|live| {
            live.state = DatasourceState::Running;
            live.last_error = None;
            live.stale_since = None;
        });
    }

    fn failed(&self, error: Error) {
        let error = Arc::new(error);
        self.member.published.make_unavailable(&self.member.datasource.name, &Arc::new(unavailable(&error)));
        let same = |known: &Live| {
            known.state == DatasourceState::Error && known.last_error.as_ref().is_some_and(|last| last.message() == error.message())
        };
        if same(&self.member.live.borrow()) {
            tracing::debug!(datasource = self.member.datasource.name, %error, "still failing");
        } else {
            tracing::warn!(datasource = self.member.datasource.name, error = error.message(), "failed; it will be tried again");
        }
        self.member.live.send_modify(|live| {
            live.state = DatasourceState::Error;
            live.last_error = Some(error);
            if live.is_known {
                live.stale_since.get_or_insert_with(SystemTime::now);
            }
        });
    }

    fn retry_in(&self, failures: u32, kind: ErrorKind) -> Duration {
        let longest = if is_of_tables(kind) { self.timing.last_retry_conflict } else { self.timing.last_retry };
        let doubled = self.timing.first_retry.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        jittered(doubled.min(longest))
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.member.error(kind, message)
    }
}

/// Whether a datasource was not opened for what its source has, which answers.
fn is_of_tables(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Conflict | ErrorKind::SchemaMismatch)
}

async fn close(remote: &Arc<dyn Remote>, limit: Duration) {
    if tokio::time::timeout(limit, remote.close()).await.is_err() {
        tracing::debug!(datasource = remote.id().as_str(), "closing took too long and was given up");
    }
}
