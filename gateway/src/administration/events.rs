//! The event log as its readers ask for it: from a number on, of some types.

use causeway_catalog::{Event, EventType};
use causeway_providers::{Error, ErrorKind};
use tokio::sync::watch;

use super::{Administration, Result};

/// Which events a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EventFilter(Vec<String>);

impl EventFilter {
    /// Those of `types`; of all when there is none.
    ///
    /// # Errors
    /// `Invalid` for a type that does not exist.
    pub(crate) fn new(types: Vec<String>) -> Result<Self> {
        if let Some(unknown) = types.iter().find(|word| !EventType::ALL.iter().any(|kind| kind.as_str() == *word)) {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            let error = Error::new(ErrorKind::Invalid, format!("\"{unknown}\" is not a type of events"));
            return Err(error.hint(format!("there are: {known}")).into());
        }
        Ok(Self(types))
    }

    /// Whether an event is wanted.
    pub(crate) fn takes(&self, event: &Event) -> bool {
        self.0.is_empty() || self.0.contains(&event.kind)
    }

    pub(super) fn into_types(self) -> Vec<String> {
        self.0
    }
}

impl Administration {
    /// The number to read on from: `after` itself, or, when it is negative, that many events before the end.
    pub(crate) fn position(&self, after: i64) -> i64 {
        if after < 0 { self.latest_event().saturating_add(after).max(0) } else { after }
    }

    /// The number of the newest event.
    pub(crate) fn latest_event(&self) -> i64 {
        *self.environment.latest_event().borrow()
    }

    /// Follows the number of the newest event.
    pub(crate) fn follow_events(&self) -> watch::Receiver<i64> {
        self.environment.latest_event()
    }

    /// The next page of events after a number, wanted or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn event_page(&self, after: i64) -> Result<Vec<Event>> {
        Ok(self.environment.events_page(after).await?)
    }

    /// The wanted events after a number: at most `limit`, and no more once their data has `bytes`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn events(&self, mut after: i64, limit: usize, bytes: usize, filter: &EventFilter) -> Result<Vec<Event>> {
        let (mut wanted, mut read) = (Vec::new(), 0);
        loop {
            let page = self.event_page(after).await?;
            let Some(last) = page.last() else { return Ok(wanted) };
            after = last.sequence;
            for event in page.into_iter().filter(|event| filter.takes(event)) {
                read += event.data.to_string().len();
                wanted.push(event);
                if wanted.len() >= limit || read >= bytes {
                    return Ok(wanted);
                }
            }
        }
    }
}
