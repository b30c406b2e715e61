//! The task of one datasource: opens it, publishes what it has, keeps watch over it, and opens it again when it failed.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Capabilities, Connector, ConnectorRegistry, Deadline, Error, ErrorKind, Omission, Remote, Result, Scope};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::datasource::{Datasource, OnMismatch};
use crate::environment::DatasourceState;
use crate::publication::Publication;
use crate::published::Published;
use crate::snapshot::restate;

/// How often and how long things are tried. Tests make them short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two pings of a datasource that answers.
    pub(crate) watch: Duration,
    /// Between two pings once one went unanswered.
    pub(crate) doubt: Duration,
    /// How long a ping may take.
    pub(crate) ping: Duration,
    /// How long one look at the whole source may take.
    pub(crate) introspect: Duration,
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

/// What is known of a datasource now.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) state: DatasourceState,
    pub(crate) last_error: Option<Arc<Error>>,
    pub(crate) stale_since: Option<SystemTime>,
    pub(crate) omitted: Vec<Omission>,
    pub(crate) mismatches: Vec<String>,
    /// What it may be asked to do, once it was opened.
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether its tables were published at least once.
    introspected: bool,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            state: DatasourceState::Starting,
            last_error: None,
            stale_since: None,
            omitted: Vec::new(),
            mismatches: Vec::new(),
            capabilities: None,
            introspected: false,
        }
    }
}

/// A request to read the tables anew; the answer is how many there are.
pub(crate) type RefreshRequest = oneshot::Sender<Result<usize>>;

/// The task of one datasource.
pub(crate) struct Lifecycle {
    pub(crate) datasource: Arc<Datasource>,
    pub(crate) registry: ConnectorRegistry,
    pub(crate) published: Arc<Published>,
    pub(crate) live: Arc<watch::Sender<Live>>,
    pub(crate) refreshes: mpsc::Receiver<RefreshRequest>,
    pub(crate) timing: Timing,
    pub(crate) stop: CancellationToken,
}

/// What a start of the datasource, or a look at it while it runs, does with mismatches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The first one since the process began: `on_mismatch` decides.
    Boot,
    /// After an outage: tables that do not match are left out, the rest is served.
    Return,
    /// Somebody asked for it: with `on_mismatch: fail` it is refused and the old tables stay.
    Refresh,
}

impl Lifecycle {
    /// Runs until stopped.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut remote = None;
        // Dropping the work here abandons whatever it waits for, a source that hangs included.
        let _ = stop.run_until_cancelled(self.keep(&mut remote)).await;
        if let Some(remote) = remote {
            close(&remote, self.timing.close).await;
        }
        self.published.make_unavailable(&self.datasource.name, &Arc::new(self.error(ErrorKind::Unreachable, "the datasource was stopped")));
        self.live.send_modify(|live| live.state = DatasourceState::Stopped);
    }

    /// Opens, watches, and opens again, for ever.
    async fn keep(&mut self, remote: &mut Option<Arc<dyn Remote>>) {
        let mut failures = 0;
        let mut asked: Option<RefreshRequest> = None;
        loop {
            let look = if self.live.borrow().introspected { Look::Return } else { Look::Boot };
            match self.open(look).await {
                Ok((opened, tables)) => {
                    failures = 0;
                    // The older remote is not closed: statements that began before the outage may still read from it, and
                    // its idle connections go with the last of them.
                    let opened: &Arc<dyn Remote> = remote.insert(opened);
                    self.recovered(tables);
                    if let Some(asked) = asked.take() {
                        // Nobody waits any more when this fails, which is their choice.
                        let _ = asked.send(Ok(tables));
                    }
                    let opened = Arc::clone(opened);
                    let error = self.watch(&opened).await;
                    self.failed(error);
                }
                Err(error) => {
                    failures += 1;
                    let wait = self.retry_in(failures, error.kind());
                    if let Some(asked) = asked.take() {
                        let _ = asked.send(Err(restate(&error)));
                    }
                    self.failed(error);
                    // A refresh is a reason to try at once.
                    asked = tokio::time::timeout(wait, self.refreshes.recv()).await.unwrap_or_default();
                }
            }
        }
    }

    /// Opens the datasource and publishes its tables.
    async fn open(&self, look: Look) -> Result<(Arc<dyn Remote>, usize)> {
        let connector = self.connector()?;
        let options = &self.datasource.options;
        let limit = options.pool.connect_timeout + OPEN_MARGIN;
        let opening = async {
            match tokio::time::timeout(limit, connector.open(options)).await {
                Ok(opened) => opened,
                Err(_) => Err(self.error(ErrorKind::Unreachable, format!("connecting took longer than {} seconds", limit.as_secs_f32()))),
            }
        };
        let remote = opening.await.map_err(|error| error.at(&self.datasource.name))?;
        match self.publish(&remote, look).await {
            Ok(tables) => Ok((remote, tables)),
            Err(error) => {
                close(&remote, self.timing.close).await;
                Err(error)
            }
        }
    }

    fn connector(&self) -> Result<&Arc<dyn Connector>> {
        let kind = &self.datasource.connector;
        self.registry.get(kind).ok_or_else(|| {
            let kinds = self.registry.kinds().collect::<Vec<_>>().join(", ");
            self.error(ErrorKind::Unsupported, format!("no connector \"{kind}\" in this build: it has {kinds}"))
        })
    }

    /// Looks at the source and swaps what it has into the snapshot.
    async fn publish(&self, remote: &Arc<dyn Remote>, look: Look) -> Result<usize> {
        let publication = self.look(remote).await?;
        let validation = self.datasource.validation;
        let binding = match look {
            Look::Boot => validation.check_on_boot,
            Look::Refresh => true,
            Look::Return => false,
        };
        if !publication.mismatches.is_empty() && validation.on_mismatch == OnMismatch::Fail && binding {
            self.live.send_modify(|live| live.mismatches.clone_from(&publication.mismatches));
            return Err(publication.mismatch_error(&self.datasource.name));
        }
        self.report(&publication.mismatches);
        for omission in &publication.omitted {
            tracing::debug!(datasource = self.datasource.name, subject = omission.subject, reason = omission.reason, "left out");
        }
        let tables = publication.tables();
        let Publication { schemas, omitted, mismatches } = publication;
        self.published.replace(&self.datasource.name, schemas)?;
        self.live.send_modify(|live| {
            live.omitted = omitted;
            live.mismatches = mismatches;
            live.capabilities = Some(*remote.capabilities());
            live.introspected = true;
        });
        Ok(tables)
    }

    /// One look at the source, as it would be published.
    async fn look(&self, remote: &Arc<dyn Remote>) -> Result<Publication> {
        let scope = Scope { schemas: self.datasource.allowed_schemas.clone() };
        let deadline = Deadline::after(self.timing.introspect);
        let seen = deadline
            .bound("listing its tables", remote.introspect(&scope, deadline))
            .await
            .map_err(|error| error.at(&self.datasource.name))?;
        Publication::new(&self.datasource, remote, &seen)
    }

    /// Logs mismatches that were not there at the last look.
    fn report(&self, mismatches: &[String]) {
        let known = self.live.borrow();
        for mismatch in mismatches.iter().filter(|mismatch| !known.mismatches.contains(mismatch)) {
            match self.datasource.validation.on_mismatch {
                OnMismatch::Fail | OnMismatch::Warn => {
                    tracing::warn!(datasource = self.datasource.name, mismatch, "a pinned table does not match the source");
                }
                OnMismatch::Ignore => {
                    tracing::debug!(datasource = self.datasource.name, mismatch, "a pinned table does not match the source");
                }
            }
        }
    }

    /// Watches an open datasource until it fails, and gives the reason.
    ///
    /// Only pings decide: a statement that fails says more about the statement than about the source.
    async fn watch(&mut self, remote: &Arc<dyn Remote>) -> Error {
        let mut unanswered = 0;
        let mut next_ping = Instant::now() + jittered(self.timing.watch);
        let interval = self.datasource.validation.check_interval;
        let mut next_check = interval.map(|interval| Instant::now() + interval);
        loop {
            // A check that is not wanted is one that never comes due.
            let check_due = async {
                match next_check {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = self.refreshes.recv() => {
                    // The sender lives as long as the environment, whose end also stops this task.
                    let Some(request) = request else { return self.error(ErrorKind::Cancelled, "the datasource was stopped") };
                    let refreshed = self.publish(remote, Look::Refresh).await;
                    if let Ok(tables) = refreshed {
                        tracing::info!(datasource = self.datasource.name, tables, "refreshed");
                    }
                    let _ = request.send(refreshed);
                }
                () = check_due => {
                    // What a check finds after boot is told and changes nothing; a failure to look is the ping's to judge.
                    if let Ok(publication) = self.look(remote).await {
                        self.report(&publication.mismatches);
                        self.live.send_modify(|live| live.mismatches = publication.mismatches);
                    }
                    next_check = interval.map(|interval| Instant::now() + interval);
                }
                () = tokio::time::sleep_until(next_ping) => {
                    let deadline = Deadline::after(self.timing.ping);
                    match deadline.bound("a ping", remote.ping(deadline)).await {
                        Ok(_) => {
                            unanswered = 0;
                            next_ping = Instant::now() + jittered(self.timing.watch);
                        }
                        // All connections are at work, each under a deadline of its own: the source is there.
                        Err(error) if error.kind() == ErrorKind::LimitExceeded => next_ping = Instant::now() + jittered(self.timing.doubt),
                        Err(error) => {
                            unanswered += 1;
                            tracing::debug!(datasource = self.datasource.name, %error, unanswered, "ping failed");
                            if error.kind() != ErrorKind::Timeout || unanswered >= UNANSWERED_PINGS {
                                return error.at(&self.datasource.name);
                            }
                            next_ping = Instant::now() + jittered(self.timing.doubt);
                        }
                    }
                }
            }
        }
    }

    fn recovered(&self, tables: usize) {
        tracing::info!(datasource = self.datasource.name, connector = self.datasource.connector, tables, "running");
        self.live.send_modify(|live| {
            live.state = DatasourceState::Running;
            live.last_error = None;
            live.stale_since = None;
        });
    }

    fn failed(&self, error: Error) {
        let error = Arc::new(error);
        self.published.make_unavailable(&self.datasource.name, &Arc::new(unavailable(&error)));
        let same = |known: &Live| known.last_error.as_ref().is_some_and(|last| last.message() == error.message());
        if same(&self.live.borrow()) {
            tracing::debug!(datasource = self.datasource.name, %error, "still failing");
        } else {
            tracing::warn!(datasource = self.datasource.name, error = error.message(), "failed; it will be tried again");
        }
        self.live.send_modify(|live| {
            live.state = DatasourceState::Error;
            live.last_error = Some(error);
            if live.introspected {
                live.stale_since.get_or_insert_with(SystemTime::now);
            }
        });
    }

    fn retry_in(&self, failures: u32, kind: ErrorKind) -> Duration {
        let longest = if kind == ErrorKind::Conflict { self.timing.last_retry_conflict } else { self.timing.last_retry };
        let doubled = self.timing.first_retry.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        jittered(doubled.min(longest))
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(&self.datasource.name)
    }
}

/// The error a statement gets that names a table of a datasource which failed with `error`.
///
/// Whatever the reason is, such as a file that is not there or a password that is not taken, to the statement it is that the
/// datasource cannot be reached: kinds such as `NotFound` would speak of the table.
fn unavailable(error: &Error) -> Error {
    let told = Error::new(ErrorKind::Unreachable, format!("the datasource is not available: {}", error.message()))
        .hint(error.hint_text().unwrap_or("it is tried again by itself; see causeway.datasources"));
    match error.datasource() {
        Some(datasource) => told.at(datasource),
        None => told,
    }
}

async fn close(remote: &Arc<dyn Remote>, limit: Duration) {
    if tokio::time::timeout(limit, remote.close()).await.is_err() {
        tracing::debug!(datasource = remote.id().as_str(), "closing took too long and was given up");
    }
}

/// A fifth more or less, so that many datasources do not knock at one server in step.
fn jittered(duration: Duration) -> Duration {
    let fraction = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    duration.mul_f64(0.8 + 0.4 * fraction)
}
