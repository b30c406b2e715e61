//! `/healthz`: the process lives. `/readyz`: it is ready to serve. `/metrics`: what it counts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Api, shape};
use crate::metrics::MEDIA_TYPE;

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<shape::Ready>) {
    let mut ready = shape::Ready::from(api.administration.readiness().await);
    // Whoever asks before it sends clients here must not send any more.
    ready.ready &= !api.shutdown.is_draining();
    (if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(ready))
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    match api.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", error.to_string()).into_response(),
    }
}
