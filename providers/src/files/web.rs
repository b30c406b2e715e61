//! Files of a web server. Such a server lists nothing, so its files are those that the options name.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error as StoreError, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, Result as StoreResult, RetryConfig,
};

use super::globs::Glob;
use super::layout::{Format, format_of};
use super::read_only::{ReadOnly, Reading};
use crate::error::{Error, ErrorKind, Result};

/// So many files are asked for at once.
const CONCURRENCY: usize = 8;

/// A store that lists files by asking for each.
#[derive(Debug)]
struct Named {
    store: Arc<dyn ObjectStore>,
    paths: Vec<Path>,
}

/// The files that `path` or `globs` name, below `url`.
///
/// # Errors
/// `Invalid` when they name none, or when the URL holds what is not a part of a path.
pub(super) fn web(
    url: &str,
    globs: &[Glob],
    fallback: Option<Format>,
    client: ClientOptions,
    retry: RetryConfig,
) -> Result<Arc<dyn ObjectStore>> {
    let invalid =
        |message: &str| Error::new(ErrorKind::Invalid, message).hint("write the option `path` as https://host/folder/file.parquet");
    if url.contains(['?', '#', '@']) {
        return Err(invalid("the location is a URL with a user, a query or a fragment, which are not read"));
    }
    let (base, paths) = if globs.is_empty() {
        let (base, file) = url.rsplit_once('/').filter(|(base, _)| !base.ends_with(':') && !base.ends_with('/')).unwrap_or((url, ""));
        let path = Path::from_url_path(file).map_err(|e| invalid("the file in the option `path` is not valid").because(e))?;
        if format_of(path.as_ref(), fallback).is_none() || path.as_ref().is_empty() {
            return Err(invalid("a web server lists no files, and the location names none of a format that is read")
                .hint("let `path` end in a file's name, or name each table's file in `globs`"));
        }
        (base, vec![path])
    } else {
        (url.trim_end_matches('/'), globs.iter().map(only_path).collect::<Result<_>>()?)
    };
    let store = HttpBuilder::new().with_url(base).with_client_options(client).with_retry(retry).build().map_err(|e| {
        // The builder's own text may quote what it was given.
        drop(e);
        invalid("the location is no URL that can be read")
    })?;
    Ok(Arc::new(ReadOnly(Named { store: Arc::new(store), paths })))
}

fn only_path(glob: &Glob) -> Result<Path> {
    let path = glob.only_path().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("a web server lists no files, so that \"{}\" cannot be looked for", glob.text()))
            .hint("name one file for each table in `globs`")
    })?;
    Path::parse(path).map_err(|e| Error::new(ErrorKind::Invalid, format!("\"{path}\" is no path of a file")).because(e))
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl Reading for Named {
    async fn get(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let wanted = |path: &&Path| prefix.is_none_or(|prefix| path.prefix_matches(prefix));
        let paths: Vec<Path> = self.paths.iter().filter(wanted).cloned().collect();
        let store = Arc::clone(&self.store);
        let heads = futures::stream::iter(paths).map(move |path| {
            let store = Arc::clone(&store);
            async move {
                match store.head(&path).await {
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
