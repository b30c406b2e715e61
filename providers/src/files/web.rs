//! Files of a web server. Such a server lists nothing, so its files are those that the options name.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    Attributes, ClientOptions, Error as StoreError, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore,
    ObjectStoreExt, Result as StoreResult, RetryConfig,
};

use super::read_only::{ReadOnly, Reading};
use super::refused_heads::RefusedHeads;
use crate::error::{Error, ErrorKind, Result};

/// So many files are asked for at once.
const CONCURRENCY: usize = 8;

/// A store that lists files by asking for each.
#[derive(Debug)]
struct Named {
    server: Arc<Server>,
    paths: Vec<Path>,
}

/// A web server, which need not answer a `HEAD`.
#[derive(Debug)]
struct Server {
    store: Arc<dyn ObjectStore>,
    /// Whether it gave a file after it had refused to tell of it.
    refuses_head: AtomicBool,
}

impl Server {
    /// What is known of a file without reading it.
    async fn head(&self, path: &Path) -> StoreResult<ObjectMeta> {
        if !self.refuses_head.load(Ordering::Relaxed) {
            match self.store.head(path).await {
                Err(error) if may_refuse_head(&error) => {}
                told => return told,
            }
        }
        let found = self.first_byte(path).await?;
        self.refuses_head.store(true, Ordering::Relaxed);
        Ok(found)
    }

    /// The same from an answer that begins to give the file, of which nothing more is read.
    async fn first_byte(&self, path: &Path) -> StoreResult<ObjectMeta> {
        let part = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        match self.store.get_opts(path, part).await {
            Ok(found) => Ok(found.meta),
            // A server need not give parts of a file, and of an empty one there is none.
            Err(StoreError::NotSupported { .. } | StoreError::Generic { .. }) => {
                Ok(self.store.get_opts(path, GetOptions::default()).await?.meta)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a server that answers a `HEAD` so may give the file all the same: that the method is not allowed or not known is told as a
/// file that is not there (see [`RefusedHeads`]), and what may be fetched need not be asked about.
fn may_refuse_head(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotFound { .. }
            | StoreError::NotSupported { .. }
            | StoreError::Unauthenticated { .. }
            | StoreError::PermissionDenied { .. }
    )
}

/// These files of a server, below the URL `base`.
///
/// # Errors
/// `Invalid` when that is no URL.
pub(super) fn web(base: &str, files: Vec<Path>, client: ClientOptions, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>> {
    let store =
        HttpBuilder::new().with_url(base).with_client_options(client).with_retry(retry).with_http_connector(RefusedHeads::default());
    let store = store.build().map_err(|e| {
        // The builder's own text may quote what it was given.
        drop(e);
        Error::new(ErrorKind::Invalid, "the location is no URL that can be read")
            .hint("write the option `path` as https://host/folder/file.parquet")
    })?;
    let server = Server { store: Arc::new(store), refuses_head: AtomicBool::new(false) };
    Ok(Arc::new(ReadOnly(Named { server: Arc::new(server), paths: files })))
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.store.fmt(f)
    }
}

#[async_trait]
impl Reading for Named {
    async fn get(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if !options.head {
            return self.server.store.get_opts(location, options).await;
        }
        let meta = self.server.head(location).await?;
        let nothing = GetResultPayload::Stream(futures::stream::empty().boxed());
        Ok(GetResult { payload: nothing, range: 0..0, attributes: Attributes::default(), meta })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.server.store.get_ranges(location, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let wanted = |path: &&Path| prefix.is_none_or(|prefix| path.prefix_matches(prefix));
        let paths: Vec<Path> = self.paths.iter().filter(wanted).cloned().collect();
        let server = Arc::clone(&self.server);
        let heads = futures::stream::iter(paths).map(move |path| {
            let server = Arc::clone(&server);
            async move {
                match server.head(&path).await {
                    Err(StoreError::NotFound { .. }) => None,
                    // A file all the same: reading it will say why it may not be read.
                    Err(StoreError::Unauthenticated { .. } | StoreError::PermissionDenied { .. }) => Some(Ok(unknown(path))),
                    other => Some(other),
                }
            }
        });
        heads.buffered(CONCURRENCY).filter_map(futures::future::ready).boxed()
    }
}

fn unknown(location: Path) -> ObjectMeta {
    ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size: 1, e_tag: None, version: None }
}
