//! The statement that a session runs, and what ends it from outside: a cancel, its time, the session's end, a client that has gone.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use causeway_catalog::Asking;
use causeway_planner::Progress;
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Input;
use super::portal::{Delivered, Destination, Running};
use super::session::Session;
use super::sessions::Phase;
use super::sqlstate::{Halt, PgError};
use crate::Shutdown;
use crate::roles::Role;

/// What can end a statement from outside.
#[derive(Debug, Clone)]
pub(super) struct ActiveStatement {
    token: CancellationToken,
    /// Ends the session with it.
    terminated: CancellationToken,
    deadline: Option<Instant>,
    /// The limited role it is of, if it is one's.
    role: Option<Arc<Role>>,
}

impl Session {
    /// The statement that runs; begins one if none does.
    fn active(&mut self) -> ActiveStatement {
        let (cancel, settings, presence, role) = (&self.cancel, &self.settings, &self.presence, &self.role);
        self.active
            .get_or_insert_with(|| {
                let token = cancel.begin();
                presence.begins(token.clone());
                let of_role = role.as_ref().map(|role| role.limits.statement_timeout);
                let limit = settings.statement_timeout().into_iter().chain(of_role).min();
                // A limit beyond what a clock can show is none.
                let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
                ActiveStatement { token, terminated: presence.terminated().clone(), deadline, role: role.clone() }
            })
            .clone()
    }

    /// The statement that runs, whose time is no longer than what `running` has left of its role's: what runs in portions, between which
    /// its client does something else, takes no longer than what runs at once.
    fn active_of(&mut self, running: &Running) -> ActiveStatement {
        let mut statement = self.active();
        if let Some(role) = &self.role {
            let left = role.limits.statement_timeout.saturating_sub(running.spent());
            statement.deadline = statement.deadline.into_iter().chain(Instant::now().checked_add(left)).min();
        }
        statement
    }

    /// Nothing runs any more: cancels and timeouts have nothing to end.
    pub(super) fn end_statement(&mut self) {
        if self.active.take().is_some() {
            self.cancel.end();
            self.presence.rests();
        }
    }

    /// Lets the other sessions see what this one is asked.
    pub(super) fn announce(&self, statement: &str) {
        self.presence.asked(statement, &self.settings.application_name());
    }

    /// Runs `work` for the statement at hand, unless it is ended from outside first.
    pub(super) async fn guarded<T>(&mut self, work: impl Future<Output = Result<T, PgError>>) -> Result<T, Halt> {
        let statement = self.active();
        tokio::select! {
            biased;
            halt = interrupted(&mut self.input, &statement, &self.shutdown) => Err(halt),
            done = survive(work) => Ok(done??),
        }
    }

    /// As [`guarded`](Self::guarded), for a change that is asked for with `asking`: told to be cancelled, it does not happen, and once it
    /// is being written, its own answer is what the client is told.
    pub(super) async fn guarded_change<T>(&mut self, work: impl Future<Output = Result<T, PgError>>, asking: &Asking) -> Result<T, Halt> {
        let statement = self.active();
        let mut work = pin!(survive(work));
        let halt = tokio::select! {
            biased;
            halt = interrupted(&mut self.input, &statement, &self.shutdown) => halt,
            done = &mut work => return Ok(done??),
        };
        match halt {
            Halt::Statement(_) if !asking.withdraw() => Ok(work.await??),
            Halt::Statement(_) | Halt::Fatal(_) | Halt::Gone => Err(halt),
        }
    }

    /// Shows how far the statement at hand is that starts.
    pub(super) fn starts(&mut self, progress: &Progress) {
        self.active();
        self.presence.goes_on(Phase::Starting, progress, &Arc::default());
    }

    /// Waits for the first rows of a result, unless the statement is ended from outside first.
    pub(super) async fn begin(&mut self, running: &mut Running) -> Result<(), Halt> {
        let statement = self.active_of(running);
        self.presence.goes_on(Phase::Starting, running.progress(), running.sent());
        let interrupted = pin!(interrupted(&mut self.input, &statement, &self.shutdown));
        running.begin(&mut self.output, interrupted).await
    }

    /// Sends rows of a running result, unless the statement is ended from outside first.
    pub(super) async fn deliver(&mut self, running: &mut Running, limit: Option<u64>, destination: Destination) -> Result<Delivered, Halt> {
        let statement = self.active_of(running);
        self.presence.goes_on(Phase::Sending, running.progress(), running.sent());
        let interrupted = pin!(interrupted(&mut self.input, &statement, &self.shutdown));
        running.deliver(limit, destination, &mut self.output, interrupted).await
    }
}

/// Turns a panic of a statement into its error: a fault of ours in one plan must not take the client's session with it.
///
/// What the work borrowed is dropped with it, so nothing half-changed is seen afterwards.
pub(super) async fn survive<T>(work: impl Future<Output = T>) -> Result<T, PgError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        PgError::internal(format!("a statement panicked: {}", text.unwrap_or("without a text")))
    })
}

/// Waits for anything that ends a statement from outside.
async fn interrupted(input: &mut Input, statement: &ActiveStatement, shutdown: &Shutdown) -> Halt {
    let timeout = async {
        match statement.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = statement.token.cancelled() => PgError::cancelled().into(),
        () = timeout => match &statement.role {
            Some(role) => role.timed_out().into(),
            None => PgError::timed_out().into(),
        },
        () = shutdown.terminated() => Halt::Fatal(Box::new(PgError::terminated())),
        () = statement.terminated.cancelled() => Halt::Fatal(Box::new(PgError::terminated())),
        () = input.gone() => Halt::Gone,
    }
}
