//! `/api/v1/events/sink`: the datasource that keeps events as rows.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::Body;
use super::problem::Problem;
use super::{Api, shape};

pub(super) async fn show(State(api): State<Api>) -> Result<Json<shape::Sink>, Problem> {
    let sink = api.administration.sink().await?;
    let table = sink.as_ref().and_then(|_| api.administration.sink_report()).map(Into::into);
    Ok(Json(shape::Sink { table, ..sink.into() }))
}

pub(super) async fn assign(State(api): State<Api>, Body(request): Body<shape::SinkAssignment>) -> Result<Json<shape::Sink>, Problem> {
    Ok(Json(Some(api.administration.assign_sink(&request.datasource).await?).into()))
}

pub(super) async fn unassign(State(api): State<Api>) -> Result<StatusCode, Problem> {
    api.administration.unassign_sink().await?;
    Ok(StatusCode::NO_CONTENT)
}
