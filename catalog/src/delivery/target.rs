//! The seam behind which events leave: over HTTP, or into a datasource.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::Event;
use crate::store::Subscriber;

/// Where one subscriber's events go.
///
/// **Who calls.** One courier, one call at a time: [`prepare`](Self::prepare) before the first delivery and again after every
/// refusal, then [`deliver`](Self::deliver) with events in order, each one again until it is taken or given up.
///
/// **What a dropped future means.** The courier waits for a minute at most, and stops with the process. The events may have arrived;
/// they are sent again.
///
/// **What a refusal says.** It is stored and shown to whoever may see subscribers, so it holds no secret: no credentials of a URL, no
/// signing secret, and nothing of what the target answered but its status.
#[async_trait]
pub trait EventTarget: Send + Sync {
    /// How many events one delivery may hold.
    fn batch(&self) -> usize;

    /// How long it is tried to deliver an event.
    fn patience(&self) -> Patience;

    /// Sees to it that the target can take events, as far as that can be known before it is given one.
    ///
    /// # Errors
    /// Why it cannot; no event counts as tried.
    async fn prepare(&self) -> Result<(), Refusal>;

    /// Hands over events. `Ok` says that all were taken and need never be sent again.
    ///
    /// # Errors
    /// Why not all of them were. Some may have been.
    async fn deliver(&self, events: &[Event]) -> Result<(), Refusal>;
}

/// How long it is tried to deliver an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// For a limited number of attempts; then it is a dead letter, and the next one follows.
    Limited,
    /// Until it is taken.
    Endless,
}

/// Why a target did not take events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words for the user, without secrets.
    pub message: String,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target is known not to be there, and will say when it is: it is looked at every second, and no attempt counts.
    NotYet,
    /// It did not answer, or said that it cannot now.
    Unavailable,
    /// It answered that it does not want this. It may change its mind, but is not asked as often.
    Refused,
    /// It wants nothing any more: the subscriber is disabled.
    Gone,
    /// It has lost what it took, and its position was set back: what follows that is sent at once.
    BegunAgain,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { message: message.into(), verdict }
    }
}

/// Gives subscribers their targets, where those are not the catalog's own.
pub trait Targets: Send + Sync {
    /// The target of a webhook. Does no IO.
    fn webhook(&self, subscriber: &Subscriber) -> Arc<dyn EventTarget>;
}
