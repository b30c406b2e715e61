//! The audit: an event for each statement that a source was sent for a user.
//!
//! A scan that ends hands its report over a bounded channel to one task, which appends the events in batches, one transaction each.
//! What connectors ask for themselves (listing tables, pings, checks of drift) and what is written to a sink are no statements of
//! users, and are not audited.
//!
//! Sampled, nobody waits: what cannot be written in time is dropped, and the log says how many. With all of them audited, a statement
//! waits for its end to be told of while too many others wait to be written, so that none is lost as long as the process lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_catalog::{Environment, EventType, NewEvent, Restarts, drawn};
use causeway_providers::{ErrorKind, StatementObserver, StatementOutcome, StatementReport};
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Audit as Policy;
use crate::pg::SessionIdentity;

/// Reports that may wait to be written.
const WAITING: usize = 2_000;
/// Events in one transaction, and in one statement of it.
const BATCH: usize = 200;
/// How long a report may wait for others to be written with it.
const GATHERING: Duration = Duration::from_millis(50);
/// Between two attempts to write.
const RETRY: Duration = Duration::from_secs(1);
/// How long what was reported may take to be written once the process stops.
const STOPPING: Duration = Duration::from_secs(5);

/// Audits the statements of one environment.
pub(crate) struct Audit {
    reports: Reports,
    writing: TaskTracker,
    stop: CancellationToken,
}

/// The way to the writer.
#[derive(Debug, Clone)]
struct Reports {
    events: Sender<NewEvent>,
    policy: Policy,
    dropped: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the audit of an environment; `None` when the policy is to have none.
    pub(crate) fn start(environment: Arc<Environment>, policy: Policy) -> Option<Self> {
        Self::start_with(environment, policy, WAITING)
    }

    fn start_with(environment: Arc<Environment>, policy: Policy, waiting: usize) -> Option<Self> {
        if policy == Policy::Off {
            return None;
        }
        let (events, received) = mpsc::channel(waiting);
        let (dropped, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let writer = Writer { environment, policy, received, dropped: Arc::clone(&dropped), stop: stop.clone() };
        let writing = TaskTracker::new();
        writing.spawn(writer.run());
        writing.close();
        Some(Self { reports: Reports { events, policy, dropped }, writing, stop })
    }

    /// What is told of the statements of a session.
    pub(crate) fn observer(&self, session: &SessionIdentity) -> Arc<dyn StatementObserver> {
        Arc::new(SessionAudit {
            reports: self.reports.clone(),
            user: session.user.clone(),
            application_name: session.application_name.clone(),
            pid: session.pid,
        })
    }

    /// Writes what was reported so far, if that can be done soon, and ends.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        if tokio::time::timeout(STOPPING, self.writing.wait()).await.is_err() {
            tracing::warn!("not all audited statements were written in time");
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The audit of one session's statements.
#[derive(Debug)]
struct SessionAudit {
    reports: Reports,
    user: String,
    application_name: String,
    pid: i32,
}

impl StatementObserver for SessionAudit {
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>> {
        match self.reports.policy {
            Policy::Off => None,
            Policy::Sampled(share) => {
                if is_in(share)
                    && let Err(TrySendError::Full(_)) = self.reports.events.try_send(self.event(report))
                {
                    self.reports.dropped.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            Policy::Full => match self.reports.events.try_send(self.event(report)) {
                Ok(()) => None,
                Err(TrySendError::Full(event)) => {
                    let events = self.reports.events.clone();
                    Some(Box::pin(async move {
                        if events.send(event).await.is_err() {
                            lost();
                        }
                    }))
                }
                Err(TrySendError::Closed(_)) => {
                    lost();
                    None
                }
            },
        }
    }
}

fn lost() {
    tracing::warn!("a statement ended after the audit had, and is not in it");
}

impl SessionAudit {
    fn event(&self, report: StatementReport) -> NewEvent {
        let StatementReport { datasource, statement, rows, bytes, elapsed, outcome } = report;
        let (word, failure) = match outcome {
            StatementOutcome::Completed => ("completed", None),
            StatementOutcome::Failed(kind) => ("failed", Some(failure(kind))),
            StatementOutcome::Cancelled => ("cancelled", None),
        };
        // To the microsecond: a look-up takes less than a millisecond.
        let milliseconds = elapsed.as_micros() as f64 / 1_000.0;
        let mut data = json!({
            "sql": statement,
            "rows": rows,
            "bytes": bytes,
            "ms": milliseconds,
            "outcome": word,
            "application_name": self.application_name,
            "pid": self.pid,
        });
        if let Some(failure) = failure {
            data["failure"] = failure.into();
        }
        NewEvent {
            kind: EventType::QueryExecuted,
            datasource: Some(datasource.as_str().to_owned()),
            subject: None,
            actor: Some(self.user.clone()),
            data,
        }
    }
}

/// The word for a kind of failure.
fn failure(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Timeout => "timeout",
        ErrorKind::LimitExceeded => "limit_exceeded",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Invalid => "invalid",
        ErrorKind::Conflict => "conflict",
        ErrorKind::ReadOnly => "read_only",
        ErrorKind::SchemaMismatch => "schema_mismatch",
        ErrorKind::Failed => "failed",
        ErrorKind::Internal => "internal",
    }
}

/// Whether this one is among the share that is audited.
fn is_in(share: f64) -> bool {
    drawn() < share
}

/// Appends what was reported.
struct Writer {
    environment: Arc<Environment>,
    policy: Policy,
    received: Receiver<NewEvent>,
    dropped: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Writer {
    async fn run(mut self) {
        let mut restarts = Restarts::of("writing the audit", self.environment.name());
        while restarts.run(self.write()).await.is_err() {
            restarts.wait().await;
        }
    }

    async fn write(&mut self) {
        let mut told = 0;
        loop {
            let mut batch = Vec::new();
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                read = self.received.recv_many(&mut batch, BATCH) => if read == 0 { return },
                () = stop.cancelled() => {
                    // Nobody reports any more, and all that was reported is written.
                    self.received.close();
                    if self.received.is_empty() { return }
                    continue;
                }
            }
            self.gather(&mut batch).await;
            self.append(&batch).await;
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > told {
                tracing::warn!(dropped = dropped - told, "audited statements were dropped: they came faster than they could be written");
                told = dropped;
            }
        }
    }

    /// Waits a little for more, so that many share a transaction.
    async fn gather(&mut self, batch: &mut Vec<NewEvent>) {
        let until = tokio::time::Instant::now() + GATHERING;
        while batch.len() < BATCH && !self.stop.is_cancelled() {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(until, self.received.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Appends a batch. With everything to be audited it is tried until it is written, and statements wait meanwhile.
    async fn append(&self, batch: &[NewEvent]) {
        let mut is_told = false;
        while let Err(error) = self.environment.append(batch).await {
            if self.policy != Policy::Full {
                tracing::error!(statements = batch.len(), error = error.with_causes(), "audited statements were not written");
                return;
            }
            if !is_told {
                tracing::error!(error = error.with_causes(), "audited statements are not written; statements wait until they are");
                is_told = true;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests;
