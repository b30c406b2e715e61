//! Webhooks and the event sink.

use causeway_catalog::{DeadLetter, Subscriber, SubscriberState};
use causeway_providers::EnsureReport;
use serde::{Deserialize, Serialize};

use super::moment;
use crate::webhook;

/// A webhook to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookRequest {
    pub(crate) name: String,
    pub(crate) url: String,
    /// `env:CAUSEWAY_WEBHOOK_NAME` or `file:NAME`.
    #[serde(default)]
    pub(crate) secret: Option<String>,
    #[serde(default)]
    pub(crate) types: Vec<String>,
    #[serde(default)]
    pub(crate) after: Option<i64>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) name: String,
    /// Its scheme and host; what follows may be a secret.
    pub(crate) url: String,
    /// Where its secret is, never the secret.
    pub(crate) secret: Option<String>,
    pub(crate) types: Vec<String>,
    pub(crate) status: String,
    pub(crate) delivered_sequence: i64,
    pub(crate) attempts: u32,
    pub(crate) retry_at: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// A webhook by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebhookDetail {
    #[serde(flatten)]
    pub(crate) webhook: Webhook,
    pub(crate) dead_letters: Vec<UndeliveredEvent>,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndeliveredEvent {
    pub(crate) sequence: i64,
    pub(crate) failed_at: String,
    pub(crate) attempts: u32,
    pub(crate) error: String,
}

/// Which datasource is to keep the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkAssignment {
    pub(crate) datasource: String,
}

/// The event sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sink {
    /// `unassigned`, `waiting`, `bootstrapping`, `ready` or `error`.
    pub(crate) status: String,
    pub(crate) datasource: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) delivered_sequence: Option<i64>,
    /// What was done to its table, and what was left to a person, when it was last made ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<SinkTable>,
}

/// How the table of a sink became what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkTable {
    /// Statements that were run.
    pub(crate) executed: Vec<String>,
    /// Statements that were not run: they may lose data, or are not for Causeway to run.
    pub(crate) skipped: Vec<String>,
    /// Why it takes no events; empty when it does.
    pub(crate) obstacles: Vec<String>,
}

impl From<EnsureReport> for SinkTable {
    fn from(report: EnsureReport) -> Self {
        Self { executed: report.executed, skipped: report.skipped, obstacles: report.obstacles }
    }
}

impl From<Subscriber> for Webhook {
    fn from(subscriber: Subscriber) -> Self {
        Self {
            name: subscriber.name,
            url: webhook::shown(&subscriber.target),
            secret: subscriber.secret,
            types: subscriber.types,
            status: subscriber.state.as_str().to_owned(),
            delivered_sequence: subscriber.position,
            attempts: subscriber.attempts,
            retry_at: subscriber.retry_at.map(moment),
            last_error: subscriber.last_error,
        }
    }
}

impl WebhookDetail {
    pub(crate) fn new(webhook: Subscriber, letters: Vec<DeadLetter>) -> Self {
        let letter = |letter: DeadLetter| UndeliveredEvent {
            sequence: letter.sequence,
            failed_at: moment(letter.failed_at),
            attempts: letter.attempts,
            error: letter.error,
        };
        Self { webhook: webhook.into(), dead_letters: letters.into_iter().map(letter).collect() }
    }
}

impl From<Option<Subscriber>> for Sink {
    fn from(sink: Option<Subscriber>) -> Self {
        match sink {
            Some(sink) => Self {
                // A sink is never disabled but by removing it.
                status: if sink.state == SubscriberState::Disabled { "unassigned" } else { sink.state.as_str() }.to_owned(),
                datasource: Some(sink.target),
                last_error: sink.last_error,
                delivered_sequence: Some(sink.position),
                table: None,
            },
            None => Self { status: "unassigned".to_owned(), datasource: None, last_error: None, delivered_sequence: None, table: None },
        }
    }
}
