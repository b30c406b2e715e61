//! What people and programs ask of an environment besides its rows, in plain values: the same whichever door they come through.
//!
//! Nothing here knows how it was asked or how the answer is shown, and nothing here decides who may ask.

mod events;
mod external;
mod failure;
mod readiness;
mod subscribers;

use std::fmt;
use std::sync::Arc;

use causeway_catalog::{DatasourceStatus, Delivery, Environment};
use causeway_providers::{Error, ErrorKind};

pub(crate) use events::EventFilter;
pub(crate) use external::{Refreshed, Validated};
pub(crate) use failure::{Code, Failure, Result};
pub(crate) use readiness::Readiness;
pub(crate) use subscribers::NewWebhook;

use crate::webhook::SigningSecrets;

/// The administration of one environment. Clones share it.
#[derive(Clone)]
pub(crate) struct Administration {
    environment: Arc<Environment>,
    delivery: Arc<Delivery>,
    secrets: SigningSecrets,
}

impl fmt::Debug for Administration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administration").field("environment", &self.environment.name()).finish()
    }
}

impl Administration {
    /// The administration of `environment`, whose webhooks may sign with `secrets`.
    pub(crate) fn new(environment: Arc<Environment>, delivery: Arc<Delivery>, secrets: SigningSecrets) -> Self {
        Self { environment, delivery, secrets }
    }

    /// The environment's name.
    pub(crate) fn name(&self) -> &str {
        self.environment.name()
    }

    /// All datasources, by name.
    pub(crate) fn datasources(&self) -> Vec<DatasourceStatus> {
        self.environment.datasources()
    }

    /// One datasource.
    ///
    /// # Errors
    /// `DatasourceNotFound`.
    pub(crate) fn datasource(&self, name: &str) -> Result<DatasourceStatus> {
        let all = self.environment.datasources();
        let known = all.iter().map(|status| status.datasource.name.as_str()).collect::<Vec<_>>().join(", ");
        all.iter().find(|status| status.datasource.name == name).cloned().ok_or_else(|| {
            let hint = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
            let error = Error::new(ErrorKind::NotFound, format!("datasource \"{name}\" does not exist")).hint(hint);
            Failure::new(Code::DatasourceNotFound, error)
        })
    }
}
