//! What goes on beside the clients of an environment, as long as it is served: the doorbell of its events, and its object ids kept.

use std::sync::Arc;
use std::time::Duration;

use causeway_catalog::{Environment, Event, EventType};
use serde_json::json;

use crate::pg::catalog::OidRegistry;
use crate::pg::{Notification, Notifications};

/// Where every event rings.
const EVENTS: &str = "causeway_events";
/// Where drift rings as well.
const DRIFT: &str = "external_schema_drift";
/// Events in a page.
const PAGE: u32 = 500;
/// Between two looks for object ids that were given out.
const KEEP_OIDS: Duration = Duration::from_secs(1);
/// The wait after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Rings for every event, as long as the environment is there. The bell says that there is something, the log says what.
pub(super) async fn ring(environment: Arc<Environment>, notifications: Arc<Notifications>) {
    let mut latest = environment.latest_event();
    let mut rung = *latest.borrow_and_update();
    while latest.changed().await.is_ok() {
        let newest = *latest.borrow_and_update();
        while rung < newest {
            match environment.events(rung, PAGE).await {
                Ok(page) => {
                    let Some(last) = page.last() else { break };
                    rung = last.sequence;
                    notifications.publish_all(page.iter().flat_map(bells));
                }
                Err(error) => {
                    tracing::warn!(%error, "listeners are told of events later");
                    tokio::time::sleep(RETRY).await;
                }
            }
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
    loop {
        tokio::time::sleep(KEEP_OIDS).await;
        let new = oids.take_new();
        if new.is_empty() {
            continue;
        }
        if let Err(error) = environment.store().keep_oids(environment.name(), &new).await {
            // They are made from names, so a restart nearly always makes the same ones anyhow.
            tracing::warn!(%error, "object ids are not kept");
        }
    }
}
