//! What a session does about channels: it joins and leaves them, sends, and tells its client what arrived.

use std::sync::Arc;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::NotificationResponse;

use super::mailbox::Arrival;
use super::{Change, Committed, Notification, Subscription};
use crate::pg::notice::Notice;
use crate::pg::session::Session;
use crate::pg::sqlstate::{Halt, NAME_TOO_LONG, PgError, WARNING};

/// The bytes of a name that count, as in PostgreSQL.
const NAME_BYTES: usize = 63;

impl Session {
    /// Listens on a channel once the transaction commits.
    pub(in crate::pg) fn listen(&mut self, channel: &str) -> Result<(), Halt> {
        let channel = self.channel(channel)?;
        self.transaction.pending().change(Change::Listen(channel));
        Ok(())
    }

    /// Leaves a channel, or all of them, once the transaction commits.
    pub(in crate::pg) fn unlisten(&mut self, channel: Option<&str>) -> Result<(), Halt> {
        let change = match channel {
            Some(channel) => Change::Unlisten(self.channel(channel)?),
            None => Change::UnlistenAll,
        };
        self.transaction.pending().change(change);
        Ok(())
    }

    /// Sends a notification once the transaction commits.
    pub(in crate::pg) fn notify(&mut self, channel: &str, payload: &str) -> Result<(), Halt> {
        let channel = self.channel(channel)?;
        self.transaction.pending().outbox().add(&channel, payload).map_err(PgError::from)?;
        Ok(())
    }

    /// The channels it listens on, by name.
    pub(in crate::pg) fn channels(&self) -> Vec<String> {
        self.subscription.iter().flat_map(|subscription| subscription.channels.iter().cloned()).collect()
    }

    /// A channel's name, cut as PostgreSQL cuts all names.
    fn channel<'a>(&mut self, name: &'a str) -> Result<String, Halt> {
        let cut: &'a str = &name[..name.floor_char_boundary(NAME_BYTES)];
        if cut != name {
            let message = format!("identifier \"{name}\" will be truncated to \"{cut}\"");
            self.send_notice(Some(Notice::for_user(message).with_code(NAME_TOO_LONG)))?;
        }
        Ok(cut.to_owned())
    }

    /// Does what a transaction that has committed asked for.
    pub(in crate::pg) fn settle(&mut self, committed: Committed) {
        for change in committed.changes {
            match change {
                Change::Listen(channel) => {
                    let pid = self.pid();
                    let subscription = self
                        .subscription
                        .get_or_insert_with(|| Box::new(Subscription::new(Arc::clone(self.environment.notifications()), pid)));
                    subscription.listen(channel);
                }
                Change::Unlisten(channel) => {
                    if let Some(subscription) = &mut self.subscription {
                        subscription.unlisten(&channel);
                    }
                }
                Change::UnlistenAll => self.subscription = None,
            }
        }
        if self.subscription.as_ref().is_some_and(|subscription| subscription.channels.is_empty()) {
            self.subscription = None;
        }
        if !committed.messages.is_empty() {
            let pid = self.pid();
            let sent = committed.messages.into_iter().map(|(channel, payload)| Notification { channel, payload, pid });
            self.environment.notifications().publish_all(sent);
        }
    }

    /// Tells the client what has arrived, unless a transaction is open: then it is told when that ends.
    pub(in crate::pg) async fn tell_notifications(&mut self) -> Result<(), Halt> {
        if self.transaction.is_open() {
            return Ok(());
        }
        // Only what is there by now: a channel that never rests must not keep the client from its turn.
        let waiting = self.subscription.as_ref().map_or(0, |subscription| subscription.waiting());
        for _ in 0..waiting {
            match self.subscription.as_ref().and_then(|subscription| subscription.take()) {
                Some(Arrival::Notification(posted)) => {
                    let Notification { channel, payload, pid } = posted.notification.clone();
                    self.send(PgWireBackendMessage::NotificationResponse(NotificationResponse::new(pid, channel, payload)))?;
                }
                Some(Arrival::Lost(count)) => {
                    let message = format!("{count} notifications were lost here, because this session did not take them in time");
                    self.send_notice(Some(Notice::warning(WARNING, message)))?;
                }
                None => break,
            }
            if self.output.is_full() {
                self.flush().await?;
            }
        }
        Ok(())
    }
}
