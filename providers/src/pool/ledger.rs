//! What a pool counts, and tells those who look.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::{Shelf, lock};

/// How the connections are that a datasource's statements read over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolState {
    /// At most so many connections may be open.
    pub max_size: usize,
    /// Those that statements have, and those of abandoned ones that have not ended at the source yet.
    pub in_use: usize,
    /// Those that are open and wait for a statement.
    pub idle: usize,
    /// Statements that wait for a connection now.
    pub waiting: usize,
    /// How long statements have waited for one, all together, those that wait now included.
    pub waited: Duration,
    /// Connections made since the datasource was opened.
    pub opened: u64,
    /// Connections that could not be made, and waits that ended without one.
    pub errors: u64,
    /// The last of these.
    pub last_error: Option<PoolFailure>,
}

impl PoolState {
    /// Connections that are open.
    pub fn size(&self) -> usize {
        self.in_use + self.idle
    }
}

/// Why a statement got no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFailure {
    /// The error's text, as the statement was told it.
    pub message: String,
    /// When that was.
    pub at: SystemTime,
}

/// The counts of one pool.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    in_use: usize,
    opened: u64,
    errors: u64,
    last_error: Option<PoolFailure>,
    /// When each of those who wait began to, by number.
    waits: BTreeMap<u64, Instant>,
    next_wait: u64,
    /// The time of waits that are over.
    waited: Duration,
}

impl Ledger {
    /// A connection was made, for somebody who uses it.
    pub(super) fn opened(&mut self) {
        self.opened += 1;
        self.in_use += 1;
    }

    /// An idle connection has a user.
    pub(super) fn taken(&mut self) {
        self.in_use += 1;
    }

    /// A connection has no user any more.
    pub(super) fn ended(&mut self) {
        self.in_use -= 1;
    }

    /// Somebody got no connection.
    pub(super) fn failed(&mut self, message: &str) {
        self.errors += 1;
        self.last_error = Some(PoolFailure { message: message.to_owned(), at: SystemTime::now() });
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waits.is_empty()
    }

    pub(super) fn state(&self, max_size: usize, idle: usize) -> PoolState {
        PoolState {
            max_size,
            in_use: self.in_use,
            idle,
            waiting: self.waits.len(),
            waited: self.waited + self.waits.values().map(Instant::elapsed).sum::<Duration>(),
            opened: self.opened,
            errors: self.errors,
            last_error: self.last_error.clone(),
        }
    }
}

/// Somebody who waits, as long as it lives.
pub(super) struct Waiting<'a, C> {
    shelf: &'a Mutex<Shelf<C>>,
    number: u64,
}

impl<'a, C> Waiting<'a, C> {
    pub(super) fn new(shelf: &'a Mutex<Shelf<C>>) -> Self {
        let ledger = &mut lock(shelf).ledger;
        let number = ledger.next_wait;
        ledger.next_wait += 1;
        ledger.waits.insert(number, Instant::now());
        Self { shelf, number }
    }
}

impl<C> Drop for Waiting<'_, C> {
    fn drop(&mut self) {
        let ledger = &mut lock(self.shelf).ledger;
        if let Some(began) = ledger.waits.remove(&self.number) {
            ledger.waited += began.elapsed();
        }
    }
}
