//! What a transaction does to channels once it has committed: the notifications it sends, the channels it joins and leaves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_planner::{Error, ErrorKind};

use super::mailbox::{SESSION_LIMIT, weight};

/// The bytes of a channel's name, with the NUL that ends it in PostgreSQL.
const NAME_LIMIT: usize = 64;
/// The bytes of a payload, with the NUL that ends it in PostgreSQL.
const PAYLOAD_LIMIT: usize = 8000;

/// A channel and a payload.
pub(super) type Message = (String, String);

/// A change of the channels a session listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Listen(String),
    Unlisten(String),
    UnlistenAll,
}

/// What a transaction has asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
    outbox: Arc<Outbox>,
}

/// A place in what a transaction has asked for, to go back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    changes: usize,
    messages: usize,
}

/// What a transaction that has committed leaves to be done, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) changes: Vec<Change>,
    pub(crate) messages: Vec<Message>,
}

impl Pending {
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Where `pg_notify` puts its notifications too.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { changes: self.changes.len(), messages: self.outbox.pending().messages.len() }
    }

    /// Forgets what was asked for since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.changes.truncate(mark.changes);
        self.outbox.pending().truncate(mark.messages);
    }

    /// Ends the transaction; the next begins empty. Dropping what it gives rolls it back.
    pub(crate) fn end(&mut self) -> Committed {
        Committed { changes: std::mem::take(&mut self.changes), messages: self.outbox.end() }
    }
}

/// The notifications of a session's transaction, which functions add to while a statement runs.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    /// Which of the session's transactions it is.
    transaction: u64,
    messages: Vec<Arc<Message>>,
    /// The same again, to find doubles.
    known: HashSet<Arc<Message>>,
    weight: usize,
}

impl Outbox {
    /// The transaction that is open. A statement that is still being dropped when its transaction is over names it in
    /// [`add_in`](Self::add_in), so that it cannot add to the next.
    pub(super) fn transaction(&self) -> u64 {
        self.pending().transaction
    }

    /// Adds a notification to the transaction that is open. One that is there already is not sent twice.
    ///
    /// # Errors
    /// As PostgreSQL: no channel, a name or a payload that is too long, or too many in one transaction.
    pub(super) fn add(&self, channel: &str, payload: &str) -> Result<(), Error> {
        let transaction = self.transaction();
        self.add_in(transaction, channel, payload)
    }

    /// Adds a notification to a transaction; nothing happens when that is over.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn add_in(&self, transaction: u64, channel: &str, payload: &str) -> Result<(), Error> {
        check(channel, payload)?;
        let mut pending = self.pending();
        let message = Arc::new((channel.to_owned(), payload.to_owned()));
        if pending.transaction != transaction || pending.known.contains(&message) {
            return Ok(());
        }
        let weight = weight(channel, payload);
        // More than one listener can have waiting would be lost to each of them.
        if pending.weight + weight > SESSION_LIMIT {
            return Err(Error::new(ErrorKind::LimitExceeded, "too many notifications in the NOTIFY queue")
                .hint("One transaction can send 1 MiB of them: commit in between."));
        }
        pending.weight += weight;
        pending.known.insert(Arc::clone(&message));
        pending.messages.push(message);
        Ok(())
    }

    fn end(&self) -> Vec<Message> {
        let mut pending = self.pending();
        let transaction = pending.transaction + 1;
        let ended = std::mem::replace(&mut *pending, Messages { transaction, ..Messages::default() });
        drop(ended.known);
        ended.messages.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    fn pending(&self) -> MutexGuard<'_, Messages> {
        // A panic between two changes could at worst send a notification twice.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    fn truncate(&mut self, length: usize) {
        for message in self.messages.drain(length.min(self.messages.len())..) {
            self.weight -= weight(&message.0, &message.1);
            self.known.remove(&message);
        }
    }
}

fn check(channel: &str, payload: &str) -> Result<(), Error> {
    let refusal = if channel.is_empty() {
        "channel name cannot be empty"
    } else if channel.len() >= NAME_LIMIT {
        "channel name too long"
    } else if payload.len() >= PAYLOAD_LIMIT {
        "payload string too long"
    } else if channel.contains('\0') || payload.contains('\0') {
        // It would end the text early in the message and shift what follows.
        "invalid byte sequence for encoding \"UTF8\": 0x00"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidArgument, refusal))
}
