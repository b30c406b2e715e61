//! A bucket as seen from a prefix, for reading only.
//!
//! `object_store` has a prefix store too, but it answers a `head` with the path from the bucket's root, and DataFusion then takes the
//! file for one outside of its table.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, Result};

use super::read_only::{ReadOnly, Reading};

/// The objects of a store below a prefix, with paths from there.
#[derive(Debug)]
pub(super) struct Rooted<S> {
    store: S,
    root: Path,
}

impl<S: ObjectStore> Rooted<S> {
    pub(super) fn at(store: S, root: Path) -> ReadOnly<Self> {
        ReadOnly(Self { store, root })
    }

    fn full(&self, path: &Path) -> Path {
        self.root.parts().chain(path.parts()).collect()
    }
}

/// A path from the root; one that is not below it stays as it is.
fn relative(root: &Path, path: Path) -> Path {
    let below = path.prefix_match(root).map(Iterator::collect);
    below.unwrap_or(path)
}

fn relative_meta(root: &Path, meta: ObjectMeta) -> ObjectMeta {
    ObjectMeta { location: relative(root, meta.location.clone()), ..meta }
}

impl<S: ObjectStore> fmt::Display for Rooted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.root)
    }
}

#[async_trait]
impl<S: ObjectStore> Reading for Rooted<S> {
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.store.get_opts(&self.full(location), options).await?;
        Ok(GetResult { meta: relative_meta(&self.root, found.meta.clone()), ..found })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(&self.full(location), ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let root = self.root.clone();
        let full = self.full(prefix.unwrap_or(&Path::ROOT));
        self.store.list(Some(&full)).map_ok(move |meta| relative_meta(&root, meta)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{Error, ObjectStoreExt};

    use super::*;

    async fn rooted() -> ReadOnly<Rooted<InMemory>> {
        let store = InMemory::new();
        for path in ["a/b/c.csv", "a/b/d/e.csv", "a/bc.csv", "other.csv"] {
            store.put(&Path::from(path), "text".into()).await.unwrap();
        }
        Rooted::at(store, Path::from("a/b"))
    }

    #[tokio::test]
    async fn paths_are_from_the_root_everywhere() {
        let store = rooted().await;
        let mut listed: Vec<String> = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
        listed.sort();
        assert_eq!(listed, ["c.csv", "d/e.csv"]);
        let below: Vec<ObjectMeta> = store.list(Some(&Path::from("d"))).try_collect().await.unwrap();
        assert_eq!(below[0].location.as_ref(), "d/e.csv");
        assert_eq!(store.head(&Path::from("d/e.csv")).await.unwrap().location.as_ref(), "d/e.csv");
        assert_eq!(store.get(&Path::from("c.csv")).await.unwrap().bytes().await.unwrap(), "text");
        let level = store.list_with_delimiter(None).await.unwrap();
        assert_eq!((level.objects[0].location.as_ref(), level.common_prefixes[0].as_ref()), ("c.csv", "d"));
    }

    #[tokio::test]
    async fn nothing_is_written() {
        let store = rooted().await;
        let path = Path::from("c.csv");
        assert!(matches!(store.put(&path, "x".into()).await, Err(Error::NotSupported { .. })));
        assert!(matches!(store.delete(&path).await, Err(Error::NotSupported { .. })));
        assert!(matches!(store.copy(&path, &Path::from("f")).await, Err(Error::NotSupported { .. })));
        assert!(matches!(store.rename(&path, &Path::from("f")).await, Err(Error::NotSupported { .. })));
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "text");
    }
}
