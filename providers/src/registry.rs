//! Which connectors this build has. A new connector adds its line to [`ConnectorRegistry::built_in`] and nothing else here.

use std::sync::Arc;

use crate::connector::Connector;

/// The connectors by kind.
#[derive(Debug, Clone, Default)]
pub struct ConnectorRegistry {
    connectors: Vec<Arc<dyn Connector>>,
}

impl ConnectorRegistry {
    /// All connectors compiled in.
    pub fn built_in() -> Self {
        Self {
            connectors: vec![
                Arc::new(crate::postgres::PostgresConnector),
                Arc::new(crate::mysql::MySqlConnector),
                Arc::new(crate::sqlite::SqliteConnector),
                Arc::new(crate::clickhouse::ClickHouseConnector),
                Arc::new(crate::files::FilesConnector),
                Arc::new(crate::memory::MemoryConnector::default()),
            ],
        }
    }

    /// Adds a connector; one of the same kind is replaced.
    #[must_use]
    pub fn with(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connectors.retain(|c| c.manifest().kind != connector.manifest().kind);
        self.connectors.push(connector);
        self
    }

    /// The connector of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Connector>> {
        self.connectors.iter().find(|c| c.manifest().kind == kind)
    }

    /// All connectors, in order of registration.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<dyn Connector>> + '_ {
        self.connectors.iter()
    }

    /// All kinds, in order of registration.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.connectors.iter().map(|c| c.manifest().kind)
    }
}
