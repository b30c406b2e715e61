//! `/healthz`: the process lives. `/readyz`: it is ready to serve.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Api, shape};

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<shape::Ready>) {
    let mut ready = shape::Ready::from(api.administration.readiness().await);
    // Whoever asks before it sends clients here must not send any more.
    ready.ready &= !api.shutdown.is_draining();
    (if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(ready))
}
