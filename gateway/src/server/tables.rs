//! A snapshot as DataFusion's catalogs: what a statement can name.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_catalog::CatalogSnapshot;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;

/// The one catalog of an environment.
#[derive(Debug)]
pub(super) struct Catalogs {
    name: String,
    catalog: Arc<dyn CatalogProvider>,
}

impl Catalogs {
    /// The snapshot's schemas and those of the gateway, which come first.
    pub(super) fn new(name: &str, snapshot: Arc<CatalogSnapshot>, own: BTreeMap<&'static str, Arc<dyn SchemaProvider>>) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), catalog: Arc::new(Schemas { snapshot, own }) })
    }
}

impl CatalogProviderList for Catalogs {
    /// Catalogs are environments, and statements do not make any: nothing is registered and nothing was there before.
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.name).then(|| Arc::clone(&self.catalog))
    }
}

#[derive(Debug)]
struct Schemas {
    snapshot: Arc<CatalogSnapshot>,
    own: BTreeMap<&'static str, Arc<dyn SchemaProvider>>,
}

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        self.own.keys().map(|name| (*name).to_owned()).chain(self.snapshot.schemas.keys().cloned()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if let Some(own) = self.own.get(name) {
            return Some(Arc::clone(own));
        }
        self.snapshot.schemas.contains_key(name).then(|| {
            let published = Published { snapshot: Arc::clone(&self.snapshot), schema: name.to_owned() };
            Arc::new(published) as _
        })
    }
}

/// A published schema.
#[derive(Debug)]
struct Published {
    snapshot: Arc<CatalogSnapshot>,
    schema: String,
}

#[async_trait]
impl SchemaProvider for Published {
    fn table_names(&self) -> Vec<String> {
        self.snapshot.schemas[&self.schema].tables.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = self.snapshot.schemas[&self.schema].table(name)?;
        Ok(found.map(|table| Arc::clone(&table.provider)))
    }

    fn table_exist(&self, name: &str) -> bool {
        let schema = &self.snapshot.schemas[&self.schema];
        schema.tables.contains_key(name) || schema.broken.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use causeway_catalog::SnapshotSchema;
    use causeway_providers::{Error, ErrorKind};

    use super::*;

    fn schema(datasource: &str, unavailable: Option<Arc<Error>>) -> (String, Arc<SnapshotSchema>) {
        let schema = SnapshotSchema { datasource: Some(datasource.to_owned()), unavailable, ..SnapshotSchema::default() };
        (datasource.to_owned(), Arc::new(schema))
    }

    #[tokio::test]
    async fn a_datasource_that_is_down_fails_only_where_it_is_named() {
        let down = Arc::new(Error::new(ErrorKind::Unreachable, "is not available: it is down").at("bad").hint("wait"));
        let schemas = BTreeMap::from([schema("good", None), schema("bad", Some(down))]);
        let catalogs =
            Catalogs::new("default", Arc::new(CatalogSnapshot { version: 1, schemas, ..CatalogSnapshot::default() }), BTreeMap::new());
        assert!(catalogs.catalog("other").is_none());
        let catalog = catalogs.catalog("default").unwrap();
        assert_eq!(catalog.schema_names(), ["bad", "good"]);
        assert!(catalog.schema("absent").is_none());
        assert!(catalog.schema("good").unwrap().table("t").await.unwrap().is_none());
        let error = catalog.schema("bad").unwrap().table("t").await.unwrap_err();
        let found = Error::find(&error).expect("the kind survives DataFusion");
        assert_eq!((found.kind(), found.datasource(), found.hint_text()), (ErrorKind::Unreachable, Some("bad"), Some("wait")));
    }
}
