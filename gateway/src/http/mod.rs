//! The HTTP endpoint: administration and the event log as JSON, and whether the gateway lives and is ready.
//!
//! Handlers take a request apart, ask `administration`, and give the answer its shape. Who is let in is decided once, in `guard`.

mod datasources;
mod event_stream;
mod events;
mod external;
mod extract;
mod guard;
mod health;
mod listener;
mod problem;
pub(crate) mod shape;
mod sink;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};

use crate::Shutdown;
use crate::administration::Administration;
use crate::metrics::Metrics;
pub(crate) use listener::HttpEndpoint;
use problem::Problem;

pub(crate) use extract::COMMAND_LINE;

/// What all handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    administration: Administration,
    metrics: Arc<Metrics>,
    /// The port that requests must be for.
    port: u16,
    shutdown: Shutdown,
}

/// All there is to be asked for.
fn router(api: Api) -> Router {
    let datasource = Router::new()
        .route("/", get(datasources::show))
        .route("/external/tables", get(external::tables))
        .route("/external/catalog", get(external::catalog))
        .route("/external/catalog/diff", get(external::difference))
        .route("/external/refresh-catalog", post(external::refresh))
        .route("/external/validate", post(external::validate))
        .route("/external/import", post(external::import_schema))
        .route("/external/tables/{remote}/draft", post(external::draft))
        .route("/external/tables/{remote}/import", post(external::import_table));
    let version_1 = Router::new()
        .route("/datasources", get(datasources::list))
        .nest("/datasources/{name}", datasource)
        .route("/drift", get(external::drift))
        .route("/events", get(events::read))
        .route("/events/sink", get(sink::show).put(sink::assign).delete(sink::unassign))
        .route("/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/webhooks/{name}", get(webhooks::show).delete(webhooks::remove))
        .route("/webhooks/{name}/enable", post(webhooks::enable));
    Router::new()
        .nest("/api/v1", version_1)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "NO_SUCH_RESOURCE", "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this cannot be done here")
        })
        .layer(DefaultBodyLimit::max(extract::LONGEST_BODY))
        .layer(middleware::from_fn_with_state(api.clone(), guard::admit))
        .with_state(api)
}

#[cfg(test)]
mod tests;
