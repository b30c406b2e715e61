//! Cancel requests: they arrive on a connection of their own and name a session by number and secret.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pgwire::messages::startup::SecretKey;
use tokio_util::sync::CancellationToken;

/// The sessions that can be asked to cancel.
#[derive(Debug, Default)]
pub(crate) struct CancelRegistry {
    state: Mutex<RegistryState>,
}

#[derive(Debug, Default)]
struct RegistryState {
    last_pid: i32,
    sessions: HashMap<i32, Arc<Cancellation>>,
}

/// What a cancel request reaches of one session.
#[derive(Debug)]
struct Cancellation {
    secret: Box<[u8]>,
    running: Mutex<Option<CancellationToken>>,
}

/// A session's entry, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct CancelHandle {
    registry: Arc<CancelRegistry>,
    pid: i32,
    entry: Arc<Cancellation>,
}

impl CancelRegistry {
    /// Enters a session under a number no other live session has.
    pub(crate) fn register(self: &Arc<Self>, secret: Box<[u8]>) -> CancelHandle {
        let entry = Arc::new(Cancellation { secret, running: Mutex::new(None) });
        let mut state = lock(&self.state);
        loop {
            state.last_pid = state.last_pid.checked_add(1).unwrap_or(1);
            let pid = state.last_pid;
            if let Entry::Vacant(free) = state.sessions.entry(pid) {
                free.insert(Arc::clone(&entry));
                return CancelHandle { registry: Arc::clone(self), pid, entry };
            }
        }
    }

    /// Cancels what the session runs, if the secret is its own. Nobody is told whether it was.
    pub(crate) fn cancel(&self, pid: i32, secret: &[u8]) {
        let entry = lock(&self.state).sessions.get(&pid).cloned();
        if let Some(entry) = entry
            && same_secret(&entry.secret, secret)
            && let Some(token) = lock(&entry.running).as_ref()
        {
            token.cancel();
        }
    }
}

/// Compares without telling by its duration how much was right.
fn same_secret(expected: &[u8], given: &[u8]) -> bool {
    expected.len() == given.len() && expected.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

impl CancelHandle {
    /// The session's number.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The secret as the client is given it.
    pub(crate) fn secret_key(&self) -> SecretKey {
        match <[u8; 4]>::try_from(&*self.entry.secret) {
            Ok(short) => SecretKey::I32(i32::from_be_bytes(short)),
            Err(_) => SecretKey::Bytes(Bytes::copy_from_slice(&self.entry.secret)),
        }
    }

    /// A fresh token for the statement that begins now.
    pub(crate) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *lock(&self.entry.running) = Some(token.clone());
        token
    }

    /// Nothing runs any more; a cancel that comes now is too late.
    pub(crate) fn end(&self) {
        *lock(&self.entry.running) = None;
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        lock(&self.registry.state).sessions.remove(&self.pid);
    }
}

/// What is guarded stays consistent even when a holder panicked: every change is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A secret nobody can guess: four bytes for protocol 3.0, more from 3.2 on.
pub(crate) fn new_secret(length: usize) -> Option<Box<[u8]>> {
    let mut secret = vec![0; length];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut secret).ok()?;
    Some(secret.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_cancels_and_only_what_runs() {
        let registry = Arc::new(CancelRegistry::default());
        let handle = registry.register(Box::new([1, 2, 3, 4]));
        registry.cancel(handle.pid(), &[1, 2, 3, 4]);
        let token = handle.begin();
        assert!(!token.is_cancelled(), "a cancel before the statement must not reach it");
        registry.cancel(handle.pid(), &[1, 2, 3, 5]);
        registry.cancel(handle.pid(), &[1, 2, 3]);
        registry.cancel(handle.pid() + 1, &[1, 2, 3, 4]);
        assert!(!token.is_cancelled());
        registry.cancel(handle.pid(), &[1, 2, 3, 4]);
        assert!(token.is_cancelled());
        handle.end();
    }

    #[test]
    fn a_dropped_session_is_forgotten() {
        let registry = Arc::new(CancelRegistry::default());
        drop(registry.register(Box::new([0; 4])));
        assert!(lock(&registry.state).sessions.is_empty());
        assert_ne!(registry.register(Box::new([0; 4])).pid(), 1, "numbers are not used again at once");
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(new_secret(32), new_secret(32));
        assert_eq!(new_secret(4).map(|secret| secret.len()), Some(4));
    }
}
