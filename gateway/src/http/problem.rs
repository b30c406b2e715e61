//! Failures as HTTP clients see them: `application/problem+json` with a stable code.
//!
//! As on the Postgres port, a fault of ours reaches the client as a number, and the log as a text.

use std::error::Error as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::shape;
use crate::administration::{Code, Failure};

/// The media type of problems.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A failure on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    datasource: Option<String>,
    hint: Option<String>,
}

impl Problem {
    /// A problem of the request itself.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), datasource: None, hint: None }
    }

    /// A request that cannot be understood.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Invalid.as_str(), detail)
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn into_shape(self) -> shape::Problem {
        shape::Problem {
            kind: format!("urn:causeway:problem:{}", self.code.to_ascii_lowercase().replace('_', "-")),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
            datasource: self.datasource,
            hint: self.hint,
        }
    }
}

/// The code as a phrase: `NAME_TAKEN` is "Name taken".
fn title(code: &str) -> String {
    let mut title = code.to_ascii_lowercase().replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::DatasourceNotFound | Code::SnapshotNotFound | Code::WebhookNotFound | Code::NotFound => StatusCode::NOT_FOUND,
        Code::RemoteTableNotFound | Code::RemoteSchemaNotFound | Code::Invalid | Code::SecretNotAReference => StatusCode::BAD_REQUEST,
        Code::NameTaken | Code::Conflict | Code::DatasourceNotPublished | Code::ExternalSchemaMismatch => StatusCode::CONFLICT,
        Code::ExternalWriteForbidden | Code::ExternalSchemaModeViolation => StatusCode::FORBIDDEN,
        Code::NoWritableStore | Code::StoreUnusable | Code::DatasourceUnreachable | Code::LimitExceeded | Code::Cancelled => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::DatasourceUnauthorized | Code::DatasourceFailed => StatusCode::BAD_GATEWAY,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Failure> for Problem {
    fn from(Failure { code, error }: Failure) -> Self {
        let problem = Self {
            status: status(code),
            code: code.as_str(),
            detail: error.message().to_owned(),
            datasource: error.datasource().map(str::to_owned),
            hint: error.hint_text().map(str::to_owned),
        };
        if code != Code::Internal {
            return problem;
        }
        let number = Uuid::now_v7();
        let cause = error.source().map(ToString::to_string);
        tracing::error!(fault = %number, %error, cause, "internal error");
        let hint = "this is a fault of Causeway; its log has the cause under this number".to_owned();
        Self { detail: format!("internal error {number}"), hint: Some(hint), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let body = serde_json::to_vec(&self.into_shape()).expect("texts and a number are always JSON");
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use causeway_providers::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let error = Error::new(ErrorKind::Unreachable, "connection refused").at("crm").hint("start it");
        let shown = serde_json::to_value(Problem::from(Failure::from(error)).into_shape()).unwrap();
        let expected = serde_json::json!({
            "type": "urn:causeway:problem:datasource-unreachable",
            "title": "Datasource unreachable",
            "status": 503,
            "detail": "connection refused",
            "code": "DATASOURCE_UNREACHABLE",
            "datasource": "crm",
            "hint": "start it",
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn faults_of_ours_keep_their_text_to_the_log() {
        let problem = Problem::from(Failure::from(Error::new(ErrorKind::Internal, "secret state")));
        assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!format!("{problem:?}").contains("secret state"), "{problem:?}");
        let number = problem.detail.strip_prefix("internal error ").unwrap();
        assert!(Uuid::parse_str(number).is_ok(), "{number} is the one of no other fault");
    }
}
