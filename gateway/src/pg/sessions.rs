//! The sessions of an environment: what each of them does, as the others may see it, and how one of them ends another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_planner::{Progress, ScanProgress};
use causeway_providers::sql::{Quoting, normalize};
use chrono::{DateTime, Utc};
use pgwire::messages::response::TransactionStatus;
use tokio_util::sync::CancellationToken;

/// So much of a statement is kept, in bytes, for others to see.
const LONGEST: usize = 8 * 1024;

/// All sessions of an environment.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<BTreeMap<i32, Arc<Entry>>>);

/// A session's place among the others. Dropped, it has none any more.
#[derive(Debug)]
pub(super) struct Presence {
    sessions: Arc<Sessions>,
    entry: Arc<Entry>,
}

/// Who a session is.
#[derive(Debug, Clone)]
pub(super) struct Participant {
    pub(super) pid: i32,
    pub(super) user: String,
    pub(super) client_address: SocketAddr,
    pub(super) started: DateTime<Utc>,
}

#[derive(Debug)]
struct Entry {
    who: Participant,
    terminated: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    application_name: String,
    /// The statement it was asked last, and when.
    asked: Option<(Arc<str>, DateTime<Utc>)>,
    running: Option<RunningStatement>,
    transaction: TransactionStatus,
}

#[derive(Debug)]
struct RunningStatement {
    cancel: CancellationToken,
    phase: Phase,
    progress: Progress,
    sent: Arc<AtomicU64>,
}

/// How far a statement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its names and types are resolved, or it is a command that changes something.
    Planning,
    /// It runs, and its first rows are waited for.
    Starting,
    /// Its rows are sent.
    Sending,
}

impl Phase {
    /// The word for it in `causeway.statements`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Starting => "starting",
            Self::Sending => "sending",
        }
    }
}

/// A session at one moment.
#[derive(Debug, Clone)]
pub(crate) struct SessionActivity {
    pub(crate) pid: i32,
    pub(crate) user: String,
    pub(crate) application_name: String,
    pub(crate) client_address: SocketAddr,
    pub(crate) started: DateTime<Utc>,
    /// When it was asked its last statement.
    pub(crate) asked_at: Option<DateTime<Utc>>,
    /// That statement without its values; may be empty.
    pub(crate) query: String,
    pub(crate) transaction: TransactionStatus,
    /// The statement, as long as it runs.
    pub(crate) running: Option<StatementActivity>,
}

/// A running statement at one moment.
#[derive(Debug, Clone)]
pub(crate) struct StatementActivity {
    pub(crate) phase: Phase,
    /// The rows that the client was sent.
    pub(crate) sent: u64,
    /// What it reads; nothing as long as it is planned.
    pub(crate) scans: Vec<ScanProgress>,
}

impl Sessions {
    /// Takes in a session.
    pub(super) fn enter(self: &Arc<Self>, who: Participant) -> Presence {
        let state = State { application_name: String::new(), asked: None, running: None, transaction: TransactionStatus::Idle };
        let entry = Arc::new(Entry { who, terminated: CancellationToken::new(), state: Mutex::new(state) });
        lock(&self.0).insert(entry.who.pid, Arc::clone(&entry));
        Presence { sessions: Arc::clone(self), entry }
    }

    /// What all of them do, by their numbers.
    pub(crate) fn activity(&self) -> Vec<SessionActivity> {
        let entries: Vec<_> = lock(&self.0).values().cloned().collect();
        entries.iter().map(|entry| entry.activity()).collect()
    }

    /// Cancels what a session runs; whether there is such a session.
    pub(crate) fn cancel(&self, pid: i32) -> bool {
        let entry = lock(&self.0).get(&pid).cloned();
        if let Some(running) = entry.as_ref().and_then(|entry| lock(&entry.state).running.as_ref().map(|running| running.cancel.clone())) {
            running.cancel();
        }
        entry.is_some()
    }

    /// Ends a session; whether there is one.
    pub(crate) fn terminate(&self, pid: i32) -> bool {
        let entry = lock(&self.0).get(&pid).cloned();
        entry.inspect(|entry| entry.terminated.cancel()).is_some()
    }
}

impl Presence {
    /// Ends the session when somebody wants it to end.
    pub(super) fn terminated(&self) -> &CancellationToken {
        &self.entry.terminated
    }

    /// The client asks a statement.
    pub(super) fn asked(&self, text: &str, application_name: &str) {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut state = lock(&self.entry.state);
        if state.application_name != application_name {
            application_name.clone_into(&mut state.application_name);
        }
        state.asked = Some((Arc::from(&text[..end]), Utc::now()));
    }

    /// A statement begins that `cancel` ends.
    pub(super) fn begins(&self, cancel: CancellationToken) {
        let (progress, sent) = (Progress::default(), Arc::default());
        lock(&self.entry.state).running = Some(RunningStatement { cancel, phase: Phase::Planning, progress, sent });
    }

    /// The statement at hand is in `phase`; `progress` and `sent` tell how far.
    pub(super) fn goes_on(&self, phase: Phase, progress: &Progress, sent: &Arc<AtomicU64>) {
        if let Some(running) = &mut lock(&self.entry.state).running {
            *running = RunningStatement { cancel: running.cancel.clone(), phase, progress: progress.clone(), sent: Arc::clone(sent) };
        }
    }

    /// No statement runs any more.
    pub(super) fn rests(&self) {
        lock(&self.entry.state).running = None;
    }

    /// The client may ask the next one, in a transaction that is in `status`.
    pub(super) fn is_ready(&self, status: TransactionStatus) {
        lock(&self.entry.state).transaction = status;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        lock(&self.sessions.0).remove(&self.entry.who.pid);
    }
}

impl Entry {
    fn activity(&self) -> SessionActivity {
        let state = lock(&self.state);
        let asked = state.asked.clone();
        let running = state.running.as_ref().map(|running| (running.phase, running.progress.clone(), running.sent.load(Ordering::Relaxed)));
        let (application_name, transaction) = (state.application_name.clone(), state.transaction);
        // What follows takes long where statements do.
        drop(state);
        let who = self.who.clone();
        SessionActivity {
            pid: who.pid,
            user: who.user,
            application_name,
            client_address: who.client_address,
            started: who.started,
            asked_at: asked.as_ref().map(|(_, at)| *at),
            query: asked.map(|(text, _)| normalize(&text, Quoting::Standard)).unwrap_or_default(),
            transaction,
            running: running.map(|(phase, progress, sent)| StatementActivity { phase, sent, scans: progress.scans().unwrap_or_default() }),
        }
    }
}

/// What is guarded is whole after any panic: it is changed by single assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(pid: i32) -> Participant {
        Participant { pid, user: "ana".to_owned(), client_address: ([127, 0, 0, 1], 5000).into(), started: Utc::now() }
    }

    #[test]
    fn a_session_is_seen_as_long_as_it_is_there_and_without_its_values() {
        let sessions = Arc::new(Sessions::default());
        let presence = sessions.enter(participant(7));
        presence.asked("SELECT * FROM t WHERE secret = 'abc' AND n = 4711", "psql");
        presence.begins(CancellationToken::new());
        let [seen] = sessions.activity().try_into().unwrap();
        assert_eq!((seen.pid, seen.user.as_str(), seen.application_name.as_str()), (7, "ana", "psql"));
        assert_eq!(seen.query, "SELECT * FROM t WHERE secret = ? AND n = ?");
        assert_eq!(seen.running.map(|running| running.phase), Some(Phase::Planning));
        presence.rests();
        assert!(sessions.activity()[0].running.is_none());
        drop(presence);
        assert!(sessions.activity().is_empty());
    }

    #[test]
    fn a_long_statement_is_cut_where_no_value_can_show() {
        let sessions = Arc::new(Sessions::default());
        let presence = sessions.enter(participant(7));
        presence.asked(&format!("SELECT '{}'", "ä".repeat(LONGEST)), "");
        assert_eq!(sessions.activity()[0].query, "SELECT ?");
    }

    #[test]
    fn a_cancel_reaches_what_runs_and_a_termination_the_session() {
        let sessions = Arc::new(Sessions::default());
        let presence = sessions.enter(participant(7));
        assert!(sessions.cancel(7), "an idle session has nothing to cancel, and is there");
        let token = CancellationToken::new();
        presence.begins(token.clone());
        assert!(!sessions.cancel(8) && !token.is_cancelled());
        assert!(sessions.cancel(7) && token.is_cancelled());
        assert!(!presence.terminated().is_cancelled());
        assert!(!sessions.terminate(8) && sessions.terminate(7));
        assert!(presence.terminated().is_cancelled());
    }
}
