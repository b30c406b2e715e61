//! What waits for one session, and its bounds.
//!
//! A session takes its notifications whenever it is idle and its client reads. Until then they wait here: at most [`SESSION_LIMIT`]
//! for one session and [`ENVIRONMENT_LIMIT`] for all sessions of an environment together, where a notification that waits for many is
//! counted once. What exceeds that is lost to the session it does not fit for; the place of the gap and the number of the lost are
//! kept, so that the session is told of it between the notifications around it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::warn;

use super::Notification;

/// Bytes that may wait for one session.
pub(super) const SESSION_LIMIT: usize = 1 << 20;
/// Bytes that may wait for all sessions of one environment.
pub(super) const ENVIRONMENT_LIMIT: usize = 64 << 20;
/// What a waiting notification takes beside its texts.
const OVERHEAD: usize = 128;

/// The bytes a notification counts for.
pub(super) fn weight(channel: &str, payload: &str) -> usize {
    OVERHEAD + channel.len() + payload.len()
}

/// A notification on its way to its listeners; it counts until the last of them has taken it.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) notification: Notification,
    weight: usize,
    total: Arc<AtomicUsize>,
}

impl Posted {
    /// `None` when too much waits in the environment already.
    pub(super) fn new(notification: Notification, total: &Arc<AtomicUsize>) -> Option<Self> {
        let weight = weight(&notification.channel, &notification.payload);
        // Publishing is one at a time, so nothing is added between the look and the addition.
        if total.load(Ordering::Relaxed) + weight > ENVIRONMENT_LIMIT {
            return None;
        }
        total.fetch_add(weight, Ordering::Relaxed);
        Some(Self { notification, weight, total: Arc::clone(total) })
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.total.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

/// What comes next for a session.
#[derive(Debug)]
pub(super) enum Arrival {
    Notification(Arc<Posted>),
    /// So many were lost here.
    Lost(u64),
}

/// What waits for one session.
#[derive(Debug)]
pub(super) struct Mailbox {
    pid: i32,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    arrivals: VecDeque<Arrival>,
    weight: usize,
}

impl Mailbox {
    pub(super) fn new(pid: i32) -> Self {
        Self { pid, waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Puts a notification behind those that wait; `None` is one the environment had no room for.
    pub(super) fn post(&self, posted: Option<&Arc<Posted>>) {
        let mut waiting = self.waiting();
        match posted {
            Some(posted) if waiting.weight + posted.weight <= SESSION_LIMIT => {
                waiting.weight += posted.weight;
                waiting.arrivals.push_back(Arrival::Notification(Arc::clone(posted)));
            }
            _ => match waiting.arrivals.back_mut() {
                Some(Arrival::Lost(count)) => *count += 1,
                _ => {
                    waiting.arrivals.push_back(Arrival::Lost(1));
                    warn!(
                        listener = self.pid,
                        waiting = waiting.arrivals.len(),
                        "a listener does not take its notifications: some are lost"
                    );
                }
            },
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    pub(super) fn take(&self) -> Option<Arrival> {
        let mut waiting = self.waiting();
        let arrival = waiting.arrivals.pop_front()?;
        if let Arrival::Notification(posted) = &arrival {
            waiting.weight -= posted.weight;
        }
        if waiting.arrivals.is_empty() {
            // The room of a burst is given back.
            waiting.arrivals = VecDeque::new();
        }
        Some(arrival)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().arrivals.len()
    }

    /// Waits until something was posted since the last wait.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // The queue and its weight change together, and nothing between the two can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
