//! An environment: its datasources, each with one task that opens, watches and reopens it, and the current snapshot.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{ConnectorRegistry, Result};

use crate::datasource::Datasource;
use crate::snapshot::CatalogSnapshot;

/// An isolated set of datasources, seen by clients as a database.
#[derive(Debug)]
pub struct Environment {
    name: String,
}

/// Whether a datasource can be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasourceState {
    /// It has not been opened yet.
    Starting,
    /// It answers.
    Running,
    /// It does not; see the last error. It is tried again by itself.
    Error,
    /// It was closed.
    Stopped,
}

/// One datasource as it is now.
#[derive(Debug, Clone)]
pub struct DatasourceStatus {
    /// How it was declared.
    pub datasource: Arc<Datasource>,
    /// Whether it can be queried.
    pub state: DatasourceState,
    /// The text of the last error, without secrets; kept until it runs again.
    pub last_error: Option<String>,
    /// Since when what we know of its tables may be out of date.
    pub stale_since: Option<SystemTime>,
    /// Tables and columns that are not published, and why.
    pub omitted: Vec<causeway_providers::Omission>,
}

impl Environment {
    /// Starts all datasources at once and returns at once.
    pub fn start(name: &str, _datasources: Vec<Datasource>, _registry: ConnectorRegistry) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned() })
    }

    /// Its name, which is the database's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tables as of now. Two calls give the same `Arc` while nothing changed.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        Arc::default()
    }

    /// All datasources, by name.
    pub fn datasources(&self) -> Vec<DatasourceStatus> {
        Vec::new()
    }

    /// Waits until no datasource is `Starting`, or `limit` has passed.
    pub async fn settled(&self, _limit: Duration) {}

    /// Reads a datasource's tables anew and swaps them in atomically; gives how many tables it has.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource; what opening or introspecting it gives. The old tables stay then.
    pub async fn refresh(&self, _datasource: &str) -> Result<usize> {
        Ok(0)
    }

    /// Closes all datasources and waits for their tasks.
    pub async fn stop(&self) {}
}
