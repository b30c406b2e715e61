//! Stores that change what is read and listed, and write nothing: what each of them does is [`Reading`].

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result,
};

/// What a store reads and lists.
#[async_trait]
pub(super) trait Reading: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// As [`ObjectStore::get_opts`].
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult>;

    /// As [`ObjectStore::get_ranges`].
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>>;

    /// As [`ObjectStore::list`].
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>>;
}

/// A store that only reads.
#[derive(Debug)]
pub(super) struct ReadOnly<R>(pub(super) R);

impl<R: Reading> ReadOnly<R> {
    fn refused(&self) -> Error {
        Error::NotSupported { source: format!("{self} is read only").into() }
    }
}

impl<R: Reading> fmt::Display for ReadOnly<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: Reading> ObjectStore for ReadOnly<R> {
    async fn put_opts(&self, _location: &Path, _payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        Err(self.refused())
    }

    async fn put_multipart_opts(&self, _location: &Path, _options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(self.refused())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, _locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let refused = self.refused();
        futures::stream::once(async move { Err(refused) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.0.list(prefix).try_filter(move |meta| futures::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = prefix.cloned().unwrap_or(Path::ROOT);
        let (mut objects, mut folders) = (Vec::new(), BTreeSet::new());
        let mut listed = self.0.list(prefix);
        while let Some(meta) = listed.try_next().await? {
            let mut below: Vec<_> = meta.location.prefix_match(&root).into_iter().flatten().collect();
            match below.len() {
                0 | 1 => objects.push(meta),
                _ => {
                    let folder: Path = root.parts().chain([below.swap_remove(0)]).collect();
                    folders.insert(folder);
                }
            }
        }
        Ok(ListResult { common_prefixes: folders.into_iter().collect(), objects })
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(self.refused())
    }

    async fn rename_opts(&self, _from: &Path, _to: &Path, _options: RenameOptions) -> Result<()> {
        Err(self.refused())
    }
}
