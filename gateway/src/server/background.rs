//! What goes on beside the clients of an environment, as long as it is served: the doorbell of its events, and its object ids kept.

use std::sync::Arc;
use std::time::Duration;

use causeway_catalog::{Environment, Event, EventType, Restarts};
use serde_json::json;
use tokio::sync::watch;

use crate::pg::catalog::OidRegistry;
use crate::pg::{Notification, Notifications};

/// Where every event rings.
const EVENTS: &str = "causeway_events";
/// Where drift rings as well.
const DRIFT: &str = "external_schema_drift";
/// Between two looks for object ids that were given out.
const KEEP_OIDS: Duration = Duration::from_secs(1);
/// The wait after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Rings for every event, as long as the environment is there. The bell says that there is something, the log says what.
pub(super) async fn ring(environment: Arc<Environment>, notifications: Arc<Notifications>) {
    let mut latest = environment.latest_event();
    let mut rung = *latest.borrow_and_update();
    let mut restarts = Restarts::of("ringing for events", environment.name());
    while restarts.run(ring_on(&environment, &notifications, &mut latest, &mut rung)).await.is_err() {
        restarts.wait().await;
    }
}

/// Rings for the events after `rung`, a page of them in memory at a time.
async fn ring_on(environment: &Environment, notifications: &Notifications, latest: &mut watch::Receiver<i64>, rung: &mut i64) {
    loop {
        let newest = *latest.borrow_and_update();
        while *rung < newest {
            match environment.events_page(*rung).await {
                Ok(page) => {
                    let Some(last) = page.last() else { break };
                    *rung = last.sequence;
                    notifications.publish_all(page.iter().flat_map(bells));
                }
                Err(error) => {
                    tracing::warn!(error = error.with_causes(), "listeners are told of events later");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        if latest.changed().await.is_err() {
            return;
        }
    }
}

fn bells(event: &Event) -> impl Iterator<Item = Notification> {
    let payload = json!({ "sequence": event.sequence, "id": event.id.to_string() }).to_string();
    let is_drift = [EventType::SchemaDrift, EventType::SchemaDriftResolved].iter().any(|kind| kind.as_str() == event.kind);
    let channels = [Some(EVENTS), is_drift.then_some(DRIFT)].into_iter().flatten();
    // Number 0 is the gateway itself.
    channels.map(move |channel| Notification { channel: channel.to_owned(), payload: payload.clone(), pid: 0 })
}

/// Keeps the object ids that are given out, so that they are the same after a restart.
pub(super) async fn keep_oids(environment: Arc<Environment>, oids: Arc<OidRegistry>) {
    let mut restarts = Restarts::of("keeping object ids", environment.name());
    while restarts.run(keep_new_oids(&environment, &oids)).await.is_err() {
        restarts.wait().await;
    }
}

async fn keep_new_oids(environment: &Environment, oids: &OidRegistry) {
    loop {
        tokio::time::sleep(KEEP_OIDS).await;
        let new = oids.take_new();
        if new.is_empty() {
            continue;
        }
        if let Err(error) = environment.store().keep_oids(environment.name(), &new).await {
            // They are made from names, so a restart nearly always makes the same ones anyhow.
            tracing::warn!(error = error.with_causes(), "object ids are not kept");
        }
    }
}
