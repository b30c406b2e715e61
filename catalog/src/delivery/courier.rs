//! The courier of one subscriber: reads how far it has come, sends what follows, and notes what was taken.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::Result;
use tokio::sync::watch;
use tokio::time::Instant;

use super::pace::Pace;
use super::sink::{SinkReports, SinkTarget};
use super::target::{EventTarget, Refusal, Targets, Verdict};
use crate::chance::jittered;
use crate::environment::Environment;
use crate::event::Event;
use crate::store::{ControlStore, PAGE_EVENTS, Subscriber, SubscriberKind, SubscriberState, SubscriptionId};

/// Sends the events of one subscriber.
pub(super) struct Courier {
    pub(super) environment: Arc<Environment>,
    pub(super) name: String,
    /// Which subscriber of that name: one that takes its place has a courier of its own.
    pub(super) id: SubscriptionId,
    pub(super) targets: Arc<dyn Targets>,
    pub(super) reports: SinkReports,
    /// Rings when subscribers changed.
    pub(super) bell: watch::Receiver<()>,
    pub(super) pace: Pace,
}

/// What is known beyond the store's row. All of it may be lost at any time.
struct Known {
    subscriber: Subscriber,
    target: Arc<dyn EventTarget>,
    is_prepared: bool,
    /// How often in a row it answered that it does not want the next event.
    refusals: u32,
    /// Up to here nothing is to be sent any more: taken, or not wanted. Never behind the row's position.
    passed: i64,
    /// Since when the row does not say so.
    unwritten_since: Option<Instant>,
}

/// What comes after a round.
enum Next {
    Again,
    /// Nothing, for a while.
    Rest(Duration),
    /// Nothing, until there is an event after this one, or for a while.
    Await(i64, Option<Duration>),
    /// The subscriber is gone, disabled, or another one.
    End,
}

impl Courier {
    /// Runs until the subscriber is removed or disabled.
    pub(super) async fn run(&mut self) {
        let mut known = None;
        let mut latest = self.environment.latest_event();
        loop {
            self.bell.borrow_and_update();
            let newest = *latest.borrow_and_update();
            let next = match self.round(&mut known, newest).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(subscriber = self.name, error = error.with_causes(), "its events wait for the control store");
                    Next::Rest(self.pace.look)
                }
            };
            match next {
                Next::Again => {}
                Next::End => return,
                Next::Rest(time) => {
                    // Whoever changed the subscriber need not wait for a time that was meant for what it was before.
                    let _ = tokio::time::timeout(time, self.bell.changed()).await;
                }
                Next::Await(sequence, limit) => {
                    let awaited = async {
                        tokio::select! {
                            _ = latest.wait_for(|latest| *latest > sequence) => {}
                            _ = self.bell.changed() => {}
                        }
                    };
                    match limit {
                        Some(limit) => drop(tokio::time::timeout(limit, awaited).await),
                        None => awaited.await,
                    }
                }
            }
        }
    }

    async fn round(&self, known: &mut Option<Known>, latest: i64) -> Result<Next> {
        let row = self.store().subscriber(self.environment.name(), &self.name).await?;
        let is_served = |row: &Subscriber| row.id == self.id && row.state != SubscriberState::Disabled;
        let Some(subscriber) = row.filter(is_served) else { return Ok(Next::End) };
        let known = match known {
            Some(known) => {
                known.passed = known.passed.max(subscriber.position);
                known.subscriber = subscriber;
                known
            }
            unknown => unknown.insert(Known {
                target: self.target(&subscriber),
                is_prepared: false,
                refusals: 0,
                passed: subscriber.position,
                unwritten_since: None,
                subscriber,
            }),
        };
        if let Some(wait) = known.subscriber.retry_at.and_then(|at| at.duration_since(SystemTime::now()).ok()) {
            return Ok(Next::Rest(wait));
        }
        if !known.is_prepared {
            if let Err(refusal) = self.bounded(known.target.prepare()).await {
                return self.refused(known, refusal, None).await;
            }
            known.is_prepared = true;
            // A webhook that failed is not ready before it took something; a sink that was made ready is.
            if known.subscriber.kind == SubscriberKind::Sink || known.subscriber.state == SubscriberState::Waiting {
                self.store().note_subscriber(self.environment.name(), &known.subscriber, SubscriberState::Ready, None).await?;
            }
        }
        if latest > known.passed {
            return self.deliver(known, latest).await;
        }
        match known.unwritten_since.map(|since| self.pace.passed_over.saturating_sub(since.elapsed())) {
            Some(Duration::ZERO) => {
                self.advance(known, known.passed).await?;
                Ok(Next::Await(known.passed, None))
            }
            wait => Ok(Next::Await(known.passed, wait)),
        }
    }

    /// Sends one page of events.
    async fn deliver(&self, known: &mut Known, latest: i64) -> Result<Next> {
        let mut page = self.store().events_page(self.environment.name(), known.passed).await?;
        // All that came before were dropped while the subscriber was disabled.
        let last = page.last().map_or(latest, |event| event.sequence);
        let types = &known.subscriber.types;
        page.retain(|event| types.is_empty() || types.contains(&event.kind));
        if page.is_empty() {
            known.passed = last;
            let since = *known.unwritten_since.get_or_insert_with(Instant::now);
            // Writing this down for each event would cost more than to pass it over once more.
            if since.elapsed() >= self.pace.passed_over || last - known.subscriber.position >= i64::from(PAGE_EVENTS) {
                self.advance(known, last).await?;
            }
            return Ok(Next::Again);
        }
        let mut rest = &page[..];
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(rest.len().min(known.target.batch().max(1)));
            if let Err(refusal) = self.bounded(known.target.deliver(batch)).await {
                return self.refused(known, refusal, batch.first()).await;
            }
            rest = others;
            let taken = if rest.is_empty() { last } else { batch.last().map_or(last, |event| event.sequence) };
            self.advance(known, taken).await?;
        }
        Ok(Next::Again)
    }

    /// Notes that all up to `position` was taken or is not wanted.
    async fn advance(&self, known: &mut Known, position: i64) -> Result<()> {
        self.store().advance_subscriber(self.environment.name(), &known.subscriber, position).await?;
        known.passed = position;
        known.unwritten_since = None;
        known.subscriber.attempts = 0;
        known.refusals = 0;
        Ok(())
    }

    /// Notes that the target did not take `event`, or cannot be given any.
    async fn refused(&self, known: &mut Known, refusal: Refusal, event: Option<&Event>) -> Result<Next> {
        known.is_prepared = false;
        let Refusal { message, verdict } = refusal;
        let (store, environment) = (self.store(), self.environment.name());
        let subscriber = &known.subscriber;
        match verdict {
            Verdict::NotYet => {
                if subscriber.state != SubscriberState::Waiting || subscriber.last_error.as_deref() != Some(&message) {
                    tracing::info!(subscriber = self.name, reason = message, "waits for its target");
                    store.note_subscriber(environment, subscriber, SubscriberState::Waiting, Some(&message)).await?;
                }
                return Ok(Next::Rest(self.pace.look));
            }
            Verdict::BegunAgain => {
                tracing::warn!(subscriber = self.name, reason = message, "is sent its events again");
                // From where the row says, which is read at each round.
                known.passed = 0;
                known.unwritten_since = None;
                return Ok(Next::Again);
            }
            Verdict::Gone => {
                tracing::warn!(subscriber = self.name, reason = message, "is disabled");
                store.disable_subscriber(environment, subscriber, &message).await?;
                return Ok(Next::End);
            }
            Verdict::Unavailable | Verdict::Refused => {}
        }
        let patience = known.target.patience();
        let attempts = subscriber.attempts.saturating_add(1);
        // What it said while it could not be reached counts for nothing here, so that an outage is not the end of an event.
        known.refusals = if verdict == Verdict::Refused { known.refusals.saturating_add(1) } else { 0 };
        if let Some(event) = event
            && self.pace.is_enough(patience, attempts, known.refusals)
        {
            tracing::warn!(subscriber = self.name, sequence = event.sequence, attempts, reason = message, "an event is given up");
            store.give_up_event(environment, subscriber, event.sequence, &message).await?;
            known.refusals = 0;
            return Ok(Next::Again);
        }
        if attempts == 1 {
            tracing::warn!(subscriber = self.name, reason = message, "does not take events; it will be tried again");
        } else {
            tracing::debug!(subscriber = self.name, reason = message, attempts, "does not take events");
        }
        let wait = jittered(self.pace.wait(patience, attempts));
        store.postpone_subscriber(environment, subscriber, &message, wait).await?;
        Ok(Next::Rest(wait))
    }

    async fn bounded(&self, work: impl Future<Output = Result<(), Refusal>>) -> Result<(), Refusal> {
        match tokio::time::timeout(self.pace.delivery, work).await {
            Ok(done) => done,
            Err(_) => {
                let text = format!("it did not answer within {} seconds", self.pace.delivery.as_secs_f32());
                Err(Refusal::new(Verdict::Unavailable, text))
            }
        }
    }

    fn target(&self, subscriber: &Subscriber) -> Arc<dyn EventTarget> {
        match subscriber.kind {
            SubscriberKind::Webhook => self.targets.webhook(subscriber),
            SubscriberKind::Sink => Arc::new(SinkTarget::new(Arc::clone(&self.environment), subscriber, self.reports.clone())),
        }
    }

    fn store(&self) -> &ControlStore {
        self.environment.store()
    }
}
