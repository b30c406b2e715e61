//! The JSON of the HTTP endpoint, which the gateway writes and the command line reads. Field names are a promise.

mod external;
mod subscribers;

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use external::{
    Broken, BrokenTable, CatalogDifference, Datasource, DatasourceDetail, Drift, DriftedColumn, ExternalCatalog, ImportOutcome, Refresh,
    RemoteTable, SchemaImport, Snapshot, TableDetail, TableImport, Validation,
};
pub(crate) use subscribers::{Sink, SinkAssignment, Webhook, WebhookDetail, WebhookRequest};

use crate::administration::Readiness;

/// A table or column that is not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Omission {
    pub(crate) subject: String,
    pub(crate) reason: String,
}

/// Whether the gateway is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) store: StoreReady,
    pub(crate) datasources: Vec<DatasourceReady>,
}

/// Whether the control store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreReady {
    pub(crate) writable: bool,
    pub(crate) error: Option<String>,
}

/// How a datasource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatasourceReady {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
}

/// A failure, as RFC 9457 describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// The word programs match on.
    pub(crate) code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datasource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// A moment as RFC 3339 in UTC, to the microsecond.
pub(super) fn moment(moment: SystemTime) -> String {
    DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn omission(omission: &causeway_providers::Omission) -> Omission {
    Omission { subject: omission.subject.clone(), reason: omission.reason.clone() }
}

impl From<Readiness> for Ready {
    fn from(readiness: Readiness) -> Self {
        Self {
            ready: readiness.is_ready(),
            store: StoreReady { writable: readiness.store_error.is_none(), error: readiness.store_error },
            datasources: readiness
                .datasources
                .into_iter()
                .map(|(name, state, error)| DatasourceReady { name, state: state.as_str().to_owned(), error })
                .collect(),
        }
    }
}
