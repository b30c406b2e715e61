//! The files of one table, out of its datasource's: what DataFusion lists is what the table's layout holds and what the filters on the
//! keys of its folders leave, and nothing else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetResult, ObjectMeta, ObjectStore, Result};

use super::file_lists::FileLists;
use super::folder_keys::KeyFilter;
use super::layout::Layout;
use super::read_only::{ReadOnly, Reading};

/// A store that lists only the files of a table.
#[derive(Debug)]
pub(super) struct TableFiles {
    store: Arc<dyn ObjectStore>,
    layout: Arc<Layout>,
    lists: Arc<FileLists>,
    filter: Option<Arc<KeyFilter>>,
}

impl TableFiles {
    pub(super) fn of(
        store: Arc<dyn ObjectStore>,
        layout: Arc<Layout>,
        lists: Arc<FileLists>,
        filter: Option<KeyFilter>,
    ) -> Arc<dyn ObjectStore> {
        Arc::new(ReadOnly(Self { store, layout, lists, filter: filter.map(Arc::new) }))
    }

    /// All files of the table, from the list that is kept if there is one.
    fn all(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, layout, lists) = (Arc::clone(&self.store), Arc::clone(&self.layout), Arc::clone(&self.lists));
        let prefix = prefix.cloned();
        let listed = async move {
            let files = match lists.get(&layout.name) {
                Some(files) => files,
                None => {
                    let since = Instant::now();
                    let listed =
                        store.list(prefix.as_ref()).try_filter(|meta| futures::future::ready(layout.holds(meta.location.as_ref())));
                    let files: Arc<[ObjectMeta]> = listed.try_collect::<Vec<_>>().await?.into();
                    lists.keep(&layout.name, since, &files);
                    files
                }
            };
            let count = files.len();
            Ok::<_, Error>(futures::stream::iter((0..count).map(move |place| Ok(files[place].clone()))))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }
}

impl fmt::Display for TableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.layout.place.path(), self.store)
    }
}

#[async_trait]
impl Reading for TableFiles {
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (layout, filter) = (Arc::clone(&self.layout), self.filter.clone());
        let files = match &filter {
            _ if self.lists.are_kept() => self.all(prefix),
            // A key may be written in more ways than one, so no folder is the only one that a filter means.
            Some(_) | None => self.store.list(prefix),
        };
        let admitted = move |meta: ObjectMeta| {
            let Some(filter) = &filter else { return Ok(layout.holds(meta.location.as_ref()).then_some(meta)) };
            let Some(values) = layout.key_values(meta.location.as_ref()) else { return Ok(None) };
            let admitted = filter.admits(&values).map_err(|e| Error::Generic { store: "folder keys", source: Box::new(e) })?;
            Ok(admitted.then_some(meta))
        };
        files.try_filter_map(move |meta| futures::future::ready(admitted(meta))).boxed()
    }
}
