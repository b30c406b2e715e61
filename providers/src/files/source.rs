//! What all tables of one datasource share: its store, its caches, its limits.
//!
//! DataFusion finds a store by the host of a URL and caches by path alone, for the whole process. Two datasources on one bucket, with
//! different credentials, would then read with each other's. So each datasource has a registry and caches of its own, put in the
//! place of the session's wherever its files are listed or read; memory and spill space stay the session's.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::cache::cache_manager::{CacheManager, CacheManagerConfig, FileStatisticsCache};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry, ObjectStoreUrl};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::{ObjectMeta, ObjectStore};
use tokio_util::sync::CancellationToken;

use super::connect::{Location, StoreKind};
use super::file_lists::FileLists;
use super::samples::Samples;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteId;

/// The URL of the store in the datasource's own registry.
pub(super) const STORE: &str = "files://store/";

/// The shared part of a datasource.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: RemoteId,
    pub(super) location: Location,
    pub(super) query_timeout: Option<Duration>,
    pub(super) closed: CancellationToken,
    registry: Arc<dyn ObjectStoreRegistry>,
    caches: Arc<CacheManager>,
    pub(super) samples: Samples,
    /// Which files tables had.
    pub(super) lists: Arc<FileLists>,
}

/// One content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileVersion {
    path: String,
    size: u64,
    modified: i64,
    tag: Option<String>,
}

impl FileVersion {
    pub(super) fn of(file: &ObjectMeta) -> Self {
        Self {
            path: file.location.as_ref().to_owned(),
            size: file.size,
            modified: file.last_modified.timestamp_micros(),
            tag: file.e_tag.clone(),
        }
    }
}

impl Source {
    /// `list_age` is how old a list of files may be when it is used again.
    pub(super) fn new(id: RemoteId, location: Location, query_timeout: Option<Duration>, list_age: Duration) -> Result<Self> {
        let internal = |e| Error::new(ErrorKind::Internal, "the datasource's caches cannot be made").because(e);
        let registry = registry_of(Arc::clone(&location.store))?;
        // What is listed depends on the filters of a statement, so lists are kept further down.
        let mut caches = CacheManagerConfig::default().with_list_files_cache_limit(0);
        if location.place == StoreKind::Web {
            // A server need not tell when a file changed, by which what is kept of it would be told apart from what it is now.
            caches = caches.with_file_statistics_cache_limit(0).with_metadata_cache_limit(0);
        }
        let caches = CacheManager::try_new(&caches).map_err(internal)?;
        let (closed, samples) = (CancellationToken::new(), Samples::default());
        let lists = Arc::new(FileLists::of_age(list_age));
        Ok(Self { id, location, query_timeout, closed, registry, caches, samples, lists })
    }

    /// The session's environment with this datasource's store and caches.
    pub(super) fn runtime(&self, session: &RuntimeEnv) -> Arc<RuntimeEnv> {
        let mut runtime = session.clone();
        runtime.object_store_registry = Arc::clone(&self.registry);
        runtime.cache_manager = Arc::clone(&self.caches);
        Arc::new(runtime)
    }

    /// The same for planning a scan of one table: `files` lists what is the table's own.
    pub(super) fn runtime_of_table(&self, session: &RuntimeEnv, files: &Arc<dyn ObjectStoreRegistry>) -> Arc<RuntimeEnv> {
        let mut runtime = session.clone();
        runtime.object_store_registry = Arc::clone(files);
        runtime.cache_manager = Arc::clone(&self.caches);
        Arc::new(runtime)
    }

    /// Statistics of files, by path and content.
    pub(super) fn statistics(&self) -> Option<Arc<FileStatisticsCache>> {
        self.caches.get_file_statistic_cache()
    }

    /// A context for looking at files outside of any statement.
    pub(super) fn context(&self) -> SessionContext {
        SessionContext::new_with_config_rt(SessionConfig::new(), self.runtime(&RuntimeEnv::default()))
    }

    /// Runs the planning of a statement within its time.
    pub(super) async fn within_query_timeout<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let timed = async {
            match self.query_timeout {
                Some(limit) => {
                    let deadline = Deadline::after(limit);
                    tokio::time::timeout_at(deadline.instant(), work).await.map_err(|_| timed_out(limit))
                }
                None => Ok(work.await),
            }
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(closed()),
            done = timed => done,
        }
        .map_err(|e| e.at(self.id.as_str()))
    }
}

/// A registry with this store alone.
pub(super) fn registry_of(store: Arc<dyn ObjectStore>) -> Result<Arc<dyn ObjectStoreRegistry>> {
    let internal = |e| Error::new(ErrorKind::Internal, "the datasource's store cannot be registered").because(e);
    let registry = DefaultObjectStoreRegistry::new();
    registry.register_store(ObjectStoreUrl::parse(STORE).map_err(internal)?.as_ref(), store);
    Ok(Arc::new(registry))
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unreachable, "the datasource was closed")
}

pub(super) fn timed_out(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("query_timeout of {} exceeded", humantime::format_duration(limit)))
        .hint("read less, or raise `external.query_timeout` of the datasource")
}
