//! The `skeleton` connector: the lines of a text file as a table. Replace what it reads; keep what it promises.

mod connect;
mod introspect;
mod manifest;
mod scan;
mod type_change;
mod type_mapping;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use self::connect::Source;
use crate::capabilities::Capabilities;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::options::Options;
use crate::pool::PoolState;
use crate::remote::{CatalogMark, Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::SqlRemote;
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// The connector.
#[derive(Debug, Default)]
pub(crate) struct SkeletonConnector;

#[async_trait]
impl Connector for SkeletonConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let remote = SkeletonRemote { id: options.id.clone(), source: Source::of(options)? };
        // Opening says what is wrong with the options; nobody asks a remote that was never there.
        remote.ping(Deadline::after(options.pool.connect_timeout)).await?;
        Ok(Arc::new(remote))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        type_mapping::declared_type(text)
    }
}

/// An opened datasource.
#[derive(Debug)]
struct SkeletonRemote {
    id: RemoteId,
    source: Source,
}

#[async_trait]
impl Remote for SkeletonRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &manifest::MANIFEST.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        let version = deadline.bound("asking for the version", self.source.version()).await;
        version.map_err(|error| error.at(self.id.as_str()))
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        let seen = deadline.bound("introspection", introspect::introspect(&self.source, scope)).await;
        seen.map_err(|error| error.at(self.id.as_str()))
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let presence = deadline.bound("looking for tables", introspect::presence(&self.source, subjects)).await;
        presence.map_err(|error| error.at(self.id.as_str()))
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        scan::table(self.id.clone(), self.source.clone(), table)
    }

    fn pool(&self) -> Option<PoolState> {
        None
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        None
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {}
}
