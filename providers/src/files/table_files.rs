//! The files of one table, out of its datasource's: what DataFusion lists is what the table's layout holds, and nothing else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, Result};

use super::layout::Layout;
use super::read_only::{ReadOnly, Reading};

/// A store that lists only the files of a table.
#[derive(Debug)]
pub(super) struct TableFiles {
    store: Arc<dyn ObjectStore>,
    layout: Arc<Layout>,
}

impl TableFiles {
    pub(super) fn of(store: Arc<dyn ObjectStore>, layout: Arc<Layout>) -> Arc<dyn ObjectStore> {
        Arc::new(ReadOnly(Self { store, layout }))
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
        let layout = Arc::clone(&self.layout);
        self.store.list(prefix).try_filter(move |meta| futures::future::ready(layout.holds(meta.location.as_ref()))).boxed()
    }
}
