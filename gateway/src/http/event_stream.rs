//! Server-sent events: the log from a number on, and whatever is appended to it, until either side ends it.
//!
//! A stream holds one page of events at the most. The next page is read when the client has taken this one, so a client that stops
//! reading costs a page and a connection, however much is appended meanwhile.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use causeway_catalog::Event;
use futures::{Stream, stream};
use tokio::sync::watch;

use crate::Shutdown;
use crate::administration::{Administration, EventFilter};

/// Between two comments that keep a quiet connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The stream of events after a number.
pub(super) fn respond(administration: Administration, after: i64, filter: EventFilter, shutdown: Shutdown) -> Response {
    let latest = administration.follow_events();
    let reader = Reader { administration, latest, after, filter, page: VecDeque::new(), shutdown };
    Sse::new(reader.into_stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Reads the log for one client.
struct Reader {
    administration: Administration,
    latest: watch::Receiver<i64>,
    /// The number of the last event in the page, or before it.
    after: i64,
    filter: EventFilter,
    /// What is to be sent before the next page is read.
    page: VecDeque<Sent>,
    shutdown: Shutdown,
}

/// One block of the stream.
enum Sent {
    Event(Event),
    /// Nothing wanted, up to this number: whoever comes back need not have it looked through again.
    Position(i64),
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Frame, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let sent = reader.next().await?;
            Some((Ok(frame(&sent)), reader))
        })
    }

    /// The next block; `None` ends the stream, after which the client comes back with the number of the last one.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if self.shutdown.is_draining() {
                return None;
            }
            if let Some(sent) = self.page.pop_front() {
                return Some(sent);
            }
            // Marked as seen before the log is read: what is appended after this look wakes us again.
            self.latest.borrow_and_update();
            match self.administration.event_page(self.after).await {
                Ok(page) if page.is_empty() => {
                    tokio::select! {
                        () = self.shutdown.drained() => return None,
                        changed = self.latest.changed() => changed.ok()?,
                    }
                }
                Ok(page) => self.take(page),
                Err(failure) => {
                    tracing::warn!(error = %failure.error, "a stream of events ends");
                    return None;
                }
            }
        }
    }

    fn take(&mut self, page: Vec<Event>) {
        let Some(last) = page.last().map(|event| event.sequence) else { return };
        self.after = last;
        self.page.extend(page.into_iter().filter(|event| self.filter.takes(event)).map(Sent::Event));
        if !matches!(self.page.back(), Some(Sent::Event(event)) if event.sequence == last) {
            self.page.push_back(Sent::Position(last));
        }
    }
}

/// A block with an id and no data changes what a client comes back with, and nothing else.
fn frame(sent: &Sent) -> Frame {
    match sent {
        Sent::Event(event) => Frame::default().id(event.sequence.to_string()).event(&event.kind).data(event.to_cloud_event().to_string()),
        Sent::Position(sequence) => Frame::default().id(sequence.to_string()),
    }
}
