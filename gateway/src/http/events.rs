//! `/api/v1/events`: the event log, as a list or as a stream that goes on.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Api;
use super::event_stream;
use super::extract::Parameters;
use super::problem::Problem;
use crate::administration::EventFilter;

/// Events in an answer unless more are asked for.
const LIMIT: usize = 100;
/// Events in an answer at the most.
const MOST: usize = 1000;
/// The size of their data at which an answer ends earlier; one event may be larger.
const MOST_BYTES: usize = 4 << 20;
/// The media type of a list of CloudEvents.
const BATCH: &str = "application/cloudevents-batch+json";
/// The media type of a stream.
const STREAM: &str = "text/event-stream";
/// The header a client that comes back names its last event in.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which events are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParameters {
    /// The number of the last event that is known; a negative one counts from the end.
    after: Option<i64>,
    limit: Option<usize>,
    /// Types, with commas between.
    #[serde(rename = "type")]
    types: Option<String>,
}

pub(super) async fn read(
    State(api): State<Api>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<EventParameters>,
) -> Result<Response, Problem> {
    let types = parameters.types.iter().flat_map(|types| types.split(',')).map(|word| word.trim().to_owned());
    let filter = EventFilter::new(types.filter(|word| !word.is_empty()).collect())?;
    let after = parameters.after.unwrap_or_default();
    if accepts(&headers, STREAM) {
        let after = last_event_id(&headers)?.unwrap_or(after);
        return Ok(event_stream::respond(api.administration.clone(), api.administration.position(after), filter, api.shutdown.clone()));
    }
    let limit = parameters.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is not a number from 1 to {MOST}")));
    }
    let events = api.administration.events(api.administration.position(after), limit, MOST_BYTES, &filter).await?;
    let batch: Vec<_> = events.iter().map(causeway_catalog::Event::to_cloud_event).collect();
    let body = serde_json::to_vec(&batch).expect("values are always JSON");
    let media_type = if accepts(&headers, BATCH) { BATCH } else { "application/json" };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// Where a client that comes back left off.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    match value.to_str().ok().map(str::trim) {
        Some("") => Ok(None),
        id => match id.and_then(|id| id.parse::<i64>().ok()).filter(|id| *id >= 0) {
            None => Err(Problem::invalid("Last-Event-ID is not the number of an event")),
            number => Ok(number),
        },
    }
}

/// Whether a media type is named in `Accept`. A wildcard is no wish for it.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let named = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut essences = named.map(|range| range.split(';').next().unwrap_or_default().trim());
    essences.any(|essence| essence.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn only_what_is_named_is_wished_for() {
        assert!(accepts(&headers("accept", "text/html, Text/Event-Stream;q=0.9"), STREAM));
        for other in ["*/*", "text/*", "application/json", ""] {
            assert!(!accepts(&headers("accept", other), STREAM), "{other}");
        }
    }

    #[test]
    fn where_a_client_left_off() {
        assert_eq!(last_event_id(&HeaderMap::new()), Ok(None));
        assert_eq!(last_event_id(&headers("last-event-id", "")), Ok(None));
        assert_eq!(last_event_id(&headers("last-event-id", "41")), Ok(Some(41)));
        for odd in ["-1", "x", "1.5"] {
            assert!(last_event_id(&headers("last-event-id", odd)).is_err(), "{odd}");
        }
    }
}
