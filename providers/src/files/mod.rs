//! The `files` connector: Parquet, CSV and JSON lines, one table per file or sub-folder, read by DataFusion.

mod compression;
mod connect;
mod csv_records;
mod csv_rows;
mod declared_type;
mod file_lists;
mod folder_keys;
mod globs;
mod infer;
mod introspect;
mod json_rows;
mod json_text;
mod json_types;
mod layout;
mod lines;
mod manifest;
mod members;
mod number;
mod opened;
mod parquet_files;
mod read_only;
mod refused_heads;
mod rooted;
mod sample;
mod samples;
mod scan;
mod session;
mod settings;
mod source;
mod table;
mod table_files;
mod table_format;
mod text_files;
mod text_reader;
mod type_change;
mod type_mapping;
mod web;
mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::TryStreamExt;

use self::introspect::Choice;
use self::layout::Layout;
pub(crate) use self::scan::read_files;
use self::settings::Settings;
use self::source::Source;
use self::table::FilesTable;
use crate::capabilities::Capabilities;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::{Error, ErrorKind, Result};
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
pub(crate) struct FilesConnector;

#[async_trait]
impl Connector for FilesConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let opened = async {
            let Settings { choice, list_age, target } = Settings::of(options)?;
            let location = connect::locate(options, target)?;
            let source = Source::new(options.id.clone(), location, options.query_timeout, list_age)?;
            Ok(FilesRemote { source: Arc::new(source), choice, known: RwLock::default() })
        };
        let remote = opened.await.map_err(|e: Error| e.at(options.id.as_str()))?;
        remote.ping(Deadline::after(options.pool.connect_timeout)).await?;
        Ok(Arc::new(remote))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

/// A folder or bucket and the tables last seen in it.
#[derive(Debug)]
struct FilesRemote {
    source: Arc<Source>,
    choice: Choice,
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
        &manifest::MANIFEST.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        let location = &self.source.location;
        let look = async {
            connect::still_there(&location.shown)?;
            let mut listing = location.store.list(None);
            listing.try_next().await.map_err(|e| connect::store_failure(&e, &location.shown))?;
            // Neither a folder nor the protocol of a bucket tells a version.
            Ok(ServerVersion { product: location.place.as_str().to_owned(), version: String::new() })
        };
        self.bound(&format!("listing {}", location.shown), deadline, look).await
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        if !scope.schemas.is_empty() && !scope.schemas.iter().any(|schema| schema == introspect::SCHEMA) {
            return Ok(Introspection::default());
        }
        let look = introspect::introspect(&self.source, &self.choice);
        let (seen, layouts) = self.bound("introspection", deadline, look).await?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = layouts;
        self.source.lists.forget();
        Ok(seen)
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let look = introspect::presence(&self.source, &self.choice, subjects);
        self.bound("looking for tables", deadline, look).await
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned();
        let layout = known.filter(|_| table.schema == introspect::SCHEMA).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{} holds no table \"{}\"", self.source.location.shown, table.name))
                .at(self.source.id.as_str())
                .hint("refresh the datasource's catalog")
        })?;
        let provider = FilesTable::new(Arc::clone(&self.source), layout, table).map_err(|e| e.at(self.source.id.as_str()))?;
        Ok(Arc::new(provider))
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

    async fn close(&self) {
        self.source.closed.cancel();
    }
}
