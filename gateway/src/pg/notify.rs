//! LISTEN and NOTIFY: the hub of an environment, through which sessions and background tasks ring those who listen.
//!
//! A notification is a doorbell. It is handed to every session that listens on its channel, in the order of publishing, and kept for
//! nobody else. What waits for a session is bounded, see [`mailbox`]: a session that does not take its notifications loses some and is
//! told how many; whoever publishes never waits.

mod function;
mod mailbox;
mod outbox;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailbox::{Arrival, Mailbox, Posted};

pub(crate) use function::pg_notify;
pub(crate) use outbox::{Change, Committed, Mark, Pending};

/// One notification, as its listeners receive it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The channel it is published on, as clients name it in LISTEN: exact, at most 63 bytes.
    pub channel: String,
    /// What it says; clients expect fewer than 8000 bytes. It holds no NUL.
    pub payload: String,
    /// The session that published it, as in `pg_backend_pid()`; 0 is the gateway itself.
    pub pid: i32,
}

/// The hub of one environment. All methods may be called at once by anybody; none of them waits for a client.
///
/// A session that does not listen has no part in it.
#[derive(Default)]
pub struct Notifications {
    /// Who listens, by channel. The lock also puts all publishing in one order, the same for every listener.
    listeners: Mutex<HashMap<String, Vec<Arc<Mailbox>>>>,
    /// The bytes of the notifications that wait for somebody, each counted once.
    waiting: Arc<AtomicUsize>,
}

impl Notifications {
    /// A hub to which nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands a notification to everybody who listens on its channel now.
    pub fn publish(&self, notification: Notification) {
        self.publish_all([notification]);
    }

    /// Hands over several, in order and with none of somebody else's between them.
    pub fn publish_all(&self, notifications: impl IntoIterator<Item = Notification>) {
        let listeners = self.listeners();
        for notification in notifications {
            let Some(mailboxes) = listeners.get(&notification.channel) else { continue };
            let posted = Posted::new(notification, &self.waiting).map(Arc::new);
            for mailbox in mailboxes {
                mailbox.post(posted.as_ref());
            }
        }
    }

    fn listen(&self, channel: &str, mailbox: &Arc<Mailbox>) {
        self.listeners().entry(channel.to_owned()).or_default().push(Arc::clone(mailbox));
    }

    fn unlisten(&self, channel: &str, mailbox: &Arc<Mailbox>) {
        let mut listeners = self.listeners();
        if let Some(mailboxes) = listeners.get_mut(channel) {
            mailboxes.retain(|other| !Arc::ptr_eq(other, mailbox));
            if mailboxes.is_empty() {
                listeners.remove(channel);
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Mailbox>>>> {
        // Every change below is one insertion or removal: a panic leaves nothing half-done.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// The channels of one session, and what has arrived on them. Dropping it ends all.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Notifications>,
    mailbox: Arc<Mailbox>,
    channels: BTreeSet<String>,
}

impl Subscription {
    fn new(hub: Arc<Notifications>, pid: i32) -> Self {
        Self { hub, mailbox: Arc::new(Mailbox::new(pid)), channels: BTreeSet::new() }
    }

    fn listen(&mut self, channel: String) {
        if !self.channels.contains(&channel) {
            self.hub.listen(&channel, &self.mailbox);
            self.channels.insert(channel);
        }
    }

    fn unlisten(&mut self, channel: &str) {
        if self.channels.remove(channel) {
            self.hub.unlisten(channel, &self.mailbox);
        }
    }

    /// How much waits, to bound one turn of taking.
    fn waiting(&self) -> usize {
        self.mailbox.len()
    }

    /// The next that waits. What arrived on a channel that was left since is nobody's any more.
    fn take(&self) -> Option<Arrival> {
        loop {
            match self.mailbox.take()? {
                Arrival::Notification(posted) if !self.channels.contains(&posted.notification.channel) => {}
                arrival => return Some(arrival),
            }
        }
    }

    /// Waits until something may have arrived.
    pub(crate) async fn arrived(&self) {
        self.mailbox.arrived().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for channel in &self.channels {
            self.hub.unlisten(channel, &self.mailbox);
        }
    }
}
