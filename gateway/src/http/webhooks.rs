//! `/api/v1/webhooks`: who is sent events over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{Body, Caller, Segments};
use super::problem::Problem;
use super::{Api, shape};
use crate::administration::{EventFilter, NewWebhook};

pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<shape::Webhook>>, Problem> {
    Ok(Json(api.administration.webhooks().await?.into_iter().map(shape::Webhook::from).collect()))
}

pub(super) async fn show(State(api): State<Api>, Segments(name): Segments<String>) -> Result<Json<shape::WebhookDetail>, Problem> {
    let (webhook, letters) = api.administration.webhook(&name).await?;
    Ok(Json(shape::WebhookDetail::new(webhook, letters)))
}

pub(super) async fn add(
    State(api): State<Api>,
    Body(request): Body<shape::WebhookRequest>,
) -> Result<(StatusCode, Json<shape::Webhook>), Problem> {
    let webhook = NewWebhook {
        name: request.name,
        url: request.url,
        secret: request.secret,
        filter: EventFilter::new(request.types)?,
        after: request.after,
    };
    let added = api.administration.add_webhook(webhook).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

pub(super) async fn enable(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Caller(actor): Caller,
) -> Result<Json<shape::Webhook>, Problem> {
    Ok(Json(api.administration.enable_webhook(&name, actor).await?.into()))
}

pub(super) async fn remove(State(api): State<Api>, Segments(name): Segments<String>) -> Result<StatusCode, Problem> {
    api.administration.remove_webhook(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
