//! One event, one request.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use causeway_catalog::{Event, EventTarget, Patience, Refusal, Verdict};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode, Url};

use super::reference::SigningSecrets;
use super::signature::Secret;

/// An answer's body is read so that its connection can be used again; one longer than this is not worth it.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A webhook of one subscriber.
pub(super) struct Webhook {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    /// The reference to the signing secret.
    pub(super) secret: Option<String>,
    pub(super) secrets: SigningSecrets,
}

#[async_trait]
impl EventTarget for Webhook {
    fn batch(&self) -> usize {
        1
    }

    fn patience(&self) -> Patience {
        Patience::Limited
    }

    async fn prepare(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), Refusal> {
        for event in events {
            self.post(event).await?;
        }
        Ok(())
    }
}

impl Webhook {
    async fn post(&self, event: &Event) -> Result<(), Refusal> {
        let unusable = |reason: &str| Refusal::new(Verdict::Unavailable, format!("the URL cannot be used: {reason}"));
        let url = Url::parse(&self.url).map_err(|error| unusable(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("it is neither http:// nor https://"));
        }
        let (id, body) = (event.id.to_string(), event.to_cloud_event().to_string());
        // The time of this attempt: receivers refuse what was signed long ago.
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp);
        if let Some(secret) = self.secret().await? {
            request = request.header("webhook-signature", secret.sign(&id, timestamp, &body));
        }
        let answer = request.body(body).send().await.map_err(|error| {
            let what = if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" };
            Refusal::new(Verdict::Unavailable, format!("{what}: {}", cause(error)))
        })?;
        let status = answer.status();
        finish(answer).await;
        match verdict(status) {
            None => Ok(()),
            Some(verdict) => Err(Refusal::new(verdict, told(status))),
        }
    }

    /// The signing secret as it is now: it may have been changed since the last event.
    async fn secret(&self) -> Result<Option<Secret>, Refusal> {
        let Some(reference) = &self.secret else { return Ok(None) };
        let read = self.secrets.read(reference).await;
        read.map(Some).map_err(|fault| Refusal::new(Verdict::Unavailable, format!("the signing secret {fault}")))
    }
}

/// What an answer means; `None` is that the event was taken.
fn verdict(status: StatusCode) -> Option<Verdict> {
    match status {
        status if status.is_success() => None,
        StatusCode::GONE => Some(Verdict::Gone),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Some(Verdict::Unavailable),
        status if status.is_client_error() => Some(Verdict::Refused),
        _ => Some(Verdict::Unavailable),
    }
}

fn told(status: StatusCode) -> String {
    if status.is_redirection() { format!("it answered {status}; redirects are not followed") } else { format!("it answered {status}") }
}

/// Reads the body to its end, if that is near. How it ends changes nothing: the status was the answer.
async fn finish(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > LONGEST_ANSWER {
            return;
        }
    }
}

/// The innermost reason, without the URL, which may hold credentials.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn Error = &error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_documents_say() {
        for (status, expected) in [
            (200, None),
            (204, None),
            (302, Some(Verdict::Unavailable)),
            (400, Some(Verdict::Refused)),
            (404, Some(Verdict::Refused)),
            (408, Some(Verdict::Unavailable)),
            (410, Some(Verdict::Gone)),
            (425, Some(Verdict::Unavailable)),
            (429, Some(Verdict::Unavailable)),
            (500, Some(Verdict::Unavailable)),
            (503, Some(Verdict::Unavailable)),
        ] {
            assert_eq!(verdict(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
