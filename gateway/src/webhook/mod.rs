//! Webhooks: an event as a signed HTTP request to whoever subscribed.
//!
//! The client is reqwest because object stores are reached with it already: the same version with the same features, so it brings no
//! crate, no second crypto provider and no second set of root certificates. It trusts what the system trusts.

mod address;
mod post;
mod reference;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use causeway_catalog::{EventTarget, Subscriber, Targets};
use reqwest::redirect::Policy;

pub(crate) use address::shown;
use post::Webhook;
pub(crate) use reference::{ReferenceFault, SigningSecrets};

/// How long one request may take, from the connection to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection is kept for the next event.
const IDLE: Duration = Duration::from_secs(60);

/// Makes webhooks, which share connections.
pub(crate) struct Webhooks {
    client: reqwest::Client,
    secrets: SigningSecrets,
}

impl Webhooks {
    /// Webhooks whose signing secrets are among `secrets`.
    ///
    /// # Errors
    /// What keeps the client from being made: the system's root certificates cannot be read.
    pub(crate) fn new(secrets: SigningSecrets) -> Result<Self, String> {
        Self::with_timeout(secrets, TIMEOUT)
    }

    fn with_timeout(secrets: SigningSecrets, timeout: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("causeway/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            // Who is subscribed is who was named: the signature is for that address and no other.
            .redirect(Policy::none())
            .build()
            .map_err(|error| format!("the HTTP client for webhooks cannot be made: {}", post::cause(error)))?;
        Ok(Self { client, secrets })
    }
}

impl Targets for Webhooks {
    fn webhook(&self, subscriber: &Subscriber) -> Arc<dyn EventTarget> {
        Arc::new(Webhook {
            client: self.client.clone(),
            url: subscriber.target.clone(),
            secret: subscriber.secret.clone(),
            secrets: self.secrets.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
