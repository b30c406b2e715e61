//! What handlers take from a request, with problems for what cannot be understood.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How the command line calls itself in `User-Agent`; its version follows.
pub(crate) const COMMAND_LINE: &str = "causeway/";
/// Longest body in bytes. The longest sensible one is an import that names many tables.
pub(super) const LONGEST_BODY: usize = 1 << 20;
/// How long a client may take to send a body.
const BODY: Duration = Duration::from_secs(10);

/// The parts of the path in braces, percent-decoded.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Path::<T>::from_request_parts(parts, state).await;
        taken.map(|Path(segments)| Self(segments)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// The parameters behind the question mark.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Query::<T>::from_request_parts(parts, state).await;
        taken.map(|Query(parameters)| Self(parameters)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// Who asks, as events name it. Nobody logs in over HTTP, so it is what the caller says of itself in `User-Agent`: a hint for people
/// who read events, and nothing to allow or refuse anything by.
pub(super) struct Caller(pub(super) &'static str);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self(if agent.is_some_and(|agent| agent.starts_with(COMMAND_LINE)) { "cli" } else { "http" }))
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "the body is not said to be JSON");
            return Err(problem.hint("send it with `content-type: application/json`"));
        }
        let bytes = match tokio::time::timeout(BODY, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = format!("the body is longer than {LONGEST_BODY} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail));
            }
            Ok(Err(rejection)) => return Err(Problem::invalid(rejection.body_text())),
            Err(_) => {
                let detail = format!("the body did not come within {} seconds", BODY.as_secs());
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", detail));
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(format!("the body is not what is expected here: {}", told(&error)))),
        }
    }
}

/// What is wrong with a body, without the value that is: it may be a secret.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        // serde names the value it found; the key and the place are enough.
        serde_json::error::Category::Data if text.starts_with("invalid") => {
            format!("a value is of another type, at line {} column {}", error.line(), error.column())
        }
        _ => text,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(media_type)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::super::shape::WebhookRequest;
    use super::*;

    #[test]
    fn what_is_wrong_with_a_body_is_told_without_its_values() {
        let told_of = |text: &str| told(&serde_json::from_str::<WebhookRequest>(text).unwrap_err());
        assert!(told_of("{\"name\": \"a\"}").starts_with("missing field `url`"));
        assert!(told_of("{\"nam\": \"a\"}").starts_with("unknown field `nam`"));
        let odd = told_of("{\"name\": \"a\", \"url\": \"u\", \"secret\": 5309}");
        assert!(odd.starts_with("a value is of another type") && !odd.contains("5309"), "{odd}");
        assert!(told_of("{").starts_with("EOF"));
    }
}
