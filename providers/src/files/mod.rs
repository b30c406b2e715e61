//! The `files` connector: Parquet, CSV and JSON lines, one table per file or sub-folder, read by DataFusion.

mod connect;
mod infer;
mod introspect;
mod layout;
mod manifest;
mod naming;
mod rooted;
mod sample;
mod scan;
mod session;
mod source;
mod table;
mod type_change;
mod type_mapping;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::TryStreamExt;

use self::layout::{Format, Layout};
use self::source::Source;
use self::table::FilesTable;
use crate::capabilities::Capabilities;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::remote::{Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::SqlRemote;
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// The connector.
#[derive(Debug, Default)]
pub(crate) struct FilesConnector;

#[async_trait]
impl Connector for FilesConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let opened = async {
            let location = connect::locate(options)?;
            let source = Source::new(options.id.clone(), location, options.query_timeout)?;
            let fallback = options.get("format").and_then(Format::named);
            Ok(FilesRemote { source: Arc::new(source), fallback, known: RwLock::default() })
        };
        let remote = opened.await.map_err(|e: Error| e.at(options.id.as_str()))?;
        remote.ping(Deadline::after(options.pool.connect_timeout)).await?;
        Ok(Arc::new(remote))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }
}

/// A folder or bucket and the tables last seen in it.
#[derive(Debug)]
struct FilesRemote {
    source: Arc<Source>,
    fallback: Option<Format>,
    known: RwLock<BTreeMap<String, Arc<Layout>>>,
}

impl FilesRemote {
    /// Every call runs within its deadline, fails once the datasource is closed, and names it.
    async fn bound<T>(&self, what: &str, deadline: Deadline, work: impl Future<Output = Result<T>>) -> Result<T> {
        let open = async {
            tokio::select! {
                biased;
                () = self.source.closed.cancelled() => Err(source::closed()),
                done = work => done,
            }
        };
        deadline.bound(what, open).await.map_err(|e| e.at(self.source.id.as_str()))
    }
}

#[async_trait]
impl Remote for FilesRemote {
    fn id(&self) -> &RemoteId {
        &self.source.id
    }

    fn capabilities(&self) -> &Capabilities {
        // DataFusion reads the files in this process: there is nobody to push work down to.
        &Capabilities::SCAN_ONLY
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        let location = &self.source.location;
        let look = async {
            connect::still_there(&location.shown)?;
            let mut listing = location.store.list(None);
            listing.try_next().await.map_err(|e| connect::store_failure(&e, &location.shown))?;
            // Neither a folder nor the protocol of a bucket tells a version.
            Ok(ServerVersion { product: location.product.to_owned(), version: String::new() })
        };
        self.bound(&format!("listing {}", location.shown), deadline, look).await
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        if !scope.schemas.is_empty() && !scope.schemas.iter().any(|schema| schema == introspect::SCHEMA) {
            return Ok(Introspection::default());
        }
        let look = introspect::introspect(&self.source, self.fallback);
        let (seen, layouts) = self.bound("introspection", deadline, look).await?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = layouts;
        Ok(seen)
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let look = introspect::presence(&self.source, self.fallback, subjects);
        self.bound("looking for tables", deadline, look).await
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned();
        let layout = known.filter(|_| table.schema == introspect::SCHEMA).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{} holds no table \"{}\"", self.source.location.shown, table.name))
                .at(self.source.id.as_str())
                .hint("refresh the datasource's catalog")
        })?;
        let provider = FilesTable::new(Arc::clone(&self.source), &layout, table).map_err(|e| e.at(self.source.id.as_str()))?;
        Ok(Arc::new(provider))
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        None
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {
        self.source.closed.cancel();
    }
}
