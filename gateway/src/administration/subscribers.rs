//! Whoever is sent events: webhooks, and the sink, which is one datasource that keeps them as rows.

use causeway_catalog::{DeadLetter, Subscriber, SubscriberKind, SubscriberState, SubscriptionId, admit_rows};
use causeway_providers::{EnsureReport, Error, ErrorKind};
use hyper::Uri;

use super::{Administration, Code, EventFilter, Failure, Result};
use crate::webhook::ReferenceFault;

/// The name of the sink among the subscribers.
pub(crate) const SINK: &str = "sink";
/// Longest name of a webhook, in bytes.
const LONGEST_NAME: usize = 63;

/// A webhook somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewWebhook {
    /// Its name.
    pub(crate) name: String,
    /// Where events are sent.
    pub(crate) url: String,
    /// Where its signing secret is: `env:CAUSEWAY_WEBHOOK_NAME` or `file:NAME`.
    pub(crate) secret: Option<String>,
    /// Which events it wants.
    pub(crate) filter: EventFilter,
    /// The number it begins after; `None` begins with the next event.
    pub(crate) after: Option<i64>,
}

impl Administration {
    /// All webhooks, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn webhooks(&self) -> Result<Vec<Subscriber>> {
        let mut all = self.environment.store().subscribers(self.name()).await?;
        all.retain(|subscriber| subscriber.kind == SubscriberKind::Webhook);
        Ok(all)
    }

    /// One webhook, and the events it did not take.
    ///
    /// # Errors
    /// `WebhookNotFound`, and when the store cannot be read.
    pub(crate) async fn webhook(&self, name: &str) -> Result<(Subscriber, Vec<DeadLetter>)> {
        let found = self.webhooks().await?.into_iter().find(|webhook| webhook.name == name).ok_or_else(|| no_webhook(name))?;
        let mut letters = self.environment.store().dead_letters(self.name()).await?;
        letters.retain(|letter| letter.subscriber == name);
        Ok((found, letters))
    }

    /// Adds a webhook.
    ///
    /// # Errors
    /// `Invalid` for what cannot be one, `SecretNotAReference` for a secret that is none, `NameTaken`, `NoWritableStore`, and when the
    /// store cannot be written.
    pub(crate) async fn add_webhook(&self, webhook: NewWebhook) -> Result<Subscriber> {
        self.store_lasts("webhooks")?;
        name_is_one(&webhook.name)?;
        url_is_one(&webhook.url)?;
        if let Some(secret) = &webhook.secret {
            self.secrets.check(secret).await.map_err(no_secret)?;
        }
        let latest = self.latest_event();
        if let Some(after) = webhook.after.filter(|after| *after > latest) {
            return Err(invalid(format!("there is no event {after} to begin after"), &format!("the newest is number {latest}")));
        }
        let subscriber = Subscriber {
            name: webhook.name,
            id: SubscriptionId::default(),
            kind: SubscriberKind::Webhook,
            target: webhook.url,
            secret: webhook.secret,
            types: webhook.filter.into_types(),
            state: SubscriberState::Waiting,
            position: webhook.after.map_or(latest, |after| self.position(after)),
            attempts: 0,
            retry_at: None,
            last_error: None,
        };
        self.environment.store().add_subscriber(self.name(), &subscriber).await?;
        self.delivery.subscribers_changed();
        Ok(subscriber)
    }

    /// Sends a webhook that was disabled events again, from where it was, and gives it. Of one that is not disabled nothing changes.
    ///
    /// # Errors
    /// `WebhookNotFound`, and when the store cannot be read or written.
    pub(crate) async fn enable_webhook(&self, name: &str, actor: &str) -> Result<Subscriber> {
        let (webhook, _) = self.webhook(name).await?;
        if self.environment.store().enable_subscriber(self.name(), &webhook, Some(actor)).await? {
            self.delivery.subscribers_changed();
        }
        Ok(self.webhook(name).await?.0)
    }

    /// Removes a webhook and what it did not take.
    ///
    /// # Errors
    /// `WebhookNotFound`, and when the store cannot be written.
    pub(crate) async fn remove_webhook(&self, name: &str) -> Result<()> {
        let was_there = self.environment.store().remove_subscriber(self.name(), SubscriberKind::Webhook, name).await?;
        self.delivery.subscribers_changed();
        if was_there { Ok(()) } else { Err(no_webhook(name)) }
    }

    /// The sink, when a datasource is assigned.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn sink(&self) -> Result<Option<Subscriber>> {
        let all = self.environment.store().subscribers(self.name()).await?;
        Ok(all.into_iter().find(|subscriber| subscriber.kind == SubscriberKind::Sink))
    }

    /// Lets a datasource keep the events, from the oldest that is there on. Assigning the one that does already changes nothing.
    ///
    /// # Errors
    /// `DatasourceNotFound`, `ExternalWriteForbidden`, and when the store cannot be written.
    pub(crate) async fn assign_sink(&self, datasource: &str) -> Result<Subscriber> {
        self.store_lasts("an event sink")?;
        admit_rows(&self.datasource(datasource)?.datasource)?;
        if let Some(assigned) = self.sink().await?.filter(|assigned| assigned.target == datasource) {
            return Ok(assigned);
        }
        let subscriber = Subscriber {
            name: SINK.to_owned(),
            id: SubscriptionId::default(),
            kind: SubscriberKind::Sink,
            target: datasource.to_owned(),
            secret: None,
            types: Vec::new(),
            state: SubscriberState::Waiting,
            position: 0,
            attempts: 0,
            retry_at: None,
            last_error: None,
        };
        self.environment.store().replace_subscriber(self.name(), &subscriber).await?;
        self.delivery.subscribers_changed();
        Ok(subscriber)
    }

    /// What was done to the sink's table, and what was not, when it was last made ready.
    pub(crate) fn sink_report(&self) -> Option<EnsureReport> {
        self.delivery.sink_report(SINK)
    }

    /// Ends the sink. The rows it wrote stay.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn unassign_sink(&self) -> Result<()> {
        self.environment.store().remove_subscriber(self.name(), SubscriberKind::Sink, SINK).await?;
        self.delivery.subscribers_changed();
        Ok(())
    }

    fn store_lasts(&self, what: &str) -> Result<()> {
        if self.environment.store().is_durable() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Unsupported, format!("there is no store that {what} could be kept in"));
        Err(Failure::new(Code::NoWritableStore, error))
    }
}

fn no_webhook(name: &str) -> Failure {
    Failure::new(Code::WebhookNotFound, Error::new(ErrorKind::NotFound, format!("webhook \"{name}\" does not exist")))
}

fn invalid(message: impl Into<String>, hint: &str) -> Failure {
    Error::new(ErrorKind::Invalid, message).hint(hint).into()
}

fn name_is_one(name: &str) -> Result<()> {
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if !is_name {
        return Err(invalid("the name is not one of a webhook", "a name has up to 63 lower case letters, digits, _ and -"));
    }
    if name == SINK {
        return Err(invalid("the name \"sink\" is the event sink's", "choose another name"));
    }
    Ok(())
}

/// The URL is shown to whoever looks at the webhook, so it may hold no password.
fn url_is_one(url: &str) -> Result<()> {
    const HINT: &str = "such as https://hooks.example.com/causeway";
    let parsed: Uri = url.parse().map_err(|_| invalid("the URL is not one", HINT))?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
        return Err(invalid("the URL is not one of http or https", HINT));
    }
    if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(invalid("the URL holds a user or password, which everybody who lists webhooks would see", HINT));
    }
    Ok(())
}

/// A secret itself is refused without being repeated: there is nowhere to keep it but in clear.
fn no_secret(fault: ReferenceFault) -> Failure {
    let code = match fault {
        ReferenceFault::NotAReference => Code::SecretNotAReference,
        ReferenceFault::ForeignVariable | ReferenceFault::ForeignFile | ReferenceFault::Unusable(_) => Code::Invalid,
    };
    Failure::new(code, Error::new(ErrorKind::Invalid, format!("the secret {fault}")).hint(fault.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: Result<()>) -> Option<(Code, String)> {
        outcome.err().map(|failure| (failure.code, failure.error.message().to_owned()))
    }

    #[test]
    fn names_of_webhooks() {
        assert!(name_is_one("pager-duty_2").is_ok());
        for name in ["", "Pager", "a/b", "sink", &"a".repeat(64)] {
            assert_eq!(told(name_is_one(name)).map(|(code, _)| code), Some(Code::Invalid), "{name}");
        }
    }

    #[test]
    fn urls_of_webhooks_hold_no_password() {
        for url in ["http://127.0.0.1:9/x?y=1", "https://hooks.example.com"] {
            assert!(url_is_one(url).is_ok(), "{url}");
        }
        for url in ["", "hooks.example.com", "/x", "ftp://a/b", "http://", "https://u:s3cr3t@h/", "http://a b/"] {
            let (code, message) = told(url_is_one(url)).unwrap_or_else(|| panic!("{url}"));
            assert!(code == Code::Invalid && !message.contains("s3cr3t"), "{url}: {message}");
        }
    }
}
