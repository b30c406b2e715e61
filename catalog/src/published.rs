//! The snapshot that new statements see, and the only ways it changes: each replaces the part of one datasource in one step.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use causeway_providers::{Error, ErrorKind, Result};

use crate::snapshot::{CatalogSnapshot, ForeignTable, SnapshotSchema};

/// Holds the current snapshot of an environment.
#[derive(Debug)]
pub(crate) struct Published(RwLock<Arc<CatalogSnapshot>>);

impl Published {
    /// A first snapshot in which every datasource has its schema, empty, with the reason why.
    ///
    /// So a datasource owns the schema of its own name before any of them is reached, whatever the others publish.
    pub(crate) fn new(reserved: impl IntoIterator<Item = (String, Arc<Error>)>) -> Self {
        let schemas = reserved
            .into_iter()
            .map(|(datasource, reason)| {
                let schema =
                    SnapshotSchema { datasource: Some(datasource.clone()), unavailable: Some(reason), ..SnapshotSchema::default() };
                (datasource, Arc::new(schema))
            })
            .collect();
        Self(RwLock::new(Arc::new(CatalogSnapshot { version: 1, schemas, replaced: BTreeMap::new() })))
    }

    /// The tables as of now.
    pub(crate) fn current(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all that `datasource` publishes: its own schemas, and its imported tables in the schemas they share with others.
    ///
    /// # Errors
    /// `Conflict` when another datasource publishes a schema of the same name, or one is imported into; nothing changes then.
    pub(crate) fn replace(&self, datasource: &str, schemas: BTreeMap<String, SnapshotSchema>, imported: Vec<ForeignTable>) -> Result<()> {
        self.change(Some(datasource), |current| {
            current.retain(|_, schema| schema.datasource.as_deref() != Some(datasource));
            remove_imported(current, datasource);
            for (name, schema) in schemas {
                if let Some(other) = current.get(&name) {
                    return Err(clash(&name, datasource, &schema.remote_schema, other));
                }
                current.insert(name, Arc::new(schema));
            }
            for table in imported {
                let schema = current.entry(table.schema.clone()).or_default();
                if schema.datasource.is_some() {
                    return Err(clash(&table.schema, datasource, &table.remote.schema, schema));
                }
                Arc::make_mut(schema).tables.insert(table.name.clone(), Arc::new(table));
            }
            Ok(())
        })
    }

    /// Whether [`replace`](Self::replace) would do it now.
    ///
    /// # Errors
    /// As `replace`.
    pub(crate) fn admits(&self, datasource: &str, schemas: &BTreeMap<String, SnapshotSchema>, imported: &[ForeignTable]) -> Result<()> {
        let current = self.current();
        let other = |name: &String| current.schemas.get(name).filter(|schema| schema.datasource.as_deref() != Some(datasource));
        for (name, schema) in schemas {
            let others = |found: &&Arc<SnapshotSchema>| {
                found.datasource.is_some() || found.tables.values().any(|table| table.datasource != datasource)
            };
            if let Some(found) = other(name).filter(others) {
                return Err(clash(name, datasource, &schema.remote_schema, found));
            }
        }
        match imported.iter().find_map(|table| Some((table, other(&table.schema).filter(|found| found.datasource.is_some())?))) {
            Some((table, found)) => Err(clash(&table.schema, datasource, &table.remote.schema, found)),
            None => Ok(()),
        }
    }

    /// Takes the imported tables out of which `is_dropped` says so of their schema and name, in one step.
    pub(crate) fn drop_imported(&self, is_dropped: &dyn Fn(&str, &str) -> bool) {
        let done = self.change(None, |current| {
            for (schema, shared) in current.iter_mut().filter(|(_, schema)| schema.datasource.is_none()) {
                if shared.tables.keys().any(|name| is_dropped(schema, name)) {
                    Arc::make_mut(shared).tables.retain(|name, _| !is_dropped(schema, name));
                }
            }
            current.retain(|_, schema| schema.datasource.is_some() || !schema.tables.is_empty());
            Ok(())
        });
        debug_assert!(done.is_ok(), "the change above gives no error");
    }

    /// Makes every look-up in what `datasource` publishes fail with `reason`. What is known of its tables stays.
    ///
    /// Nothing changes when it is so already, for every new snapshot makes statements plan anew.
    pub(crate) fn make_unavailable(&self, datasource: &str, reason: &Arc<Error>) {
        let current = self.current();
        let says_so = |known: &Option<Arc<Error>>| known.as_ref().is_some_and(|known| known.message() == reason.message());
        let is_so = |schema: &Arc<SnapshotSchema>| match &schema.datasource {
            Some(owner) => owner != datasource || says_so(&schema.unavailable),
            None => schema.tables.values().all(|table| table.datasource != datasource || says_so(&table.unavailable)),
        };
        if current.schemas.values().all(is_so) {
            return;
        }
        let done = self.change(None, |current| {
            for schema in current.values_mut() {
                match &schema.datasource {
                    Some(owner) if owner == datasource => Arc::make_mut(schema).unavailable = Some(Arc::clone(reason)),
                    None if schema.tables.values().any(|table| table.datasource == datasource) => {
                        for table in Arc::make_mut(schema).tables.values_mut().filter(|table| table.datasource == datasource) {
                            Arc::make_mut(table).unavailable = Some(Arc::clone(reason));
                        }
                    }
                    Some(_) | None => {}
                }
            }
            Ok(())
        });
        debug_assert!(done.is_ok(), "the change above gives no error");
    }

    /// Builds the next snapshot, in which the tables of `replaced` are others, beside the current one, so that an error leaves the
    /// current one as it is.
    fn change(&self, replaced: Option<&str>, edit: impl FnOnce(&mut BTreeMap<String, Arc<SnapshotSchema>>) -> Result<()>) -> Result<()> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = CatalogSnapshot { version: current.version + 1, ..(**current).clone() };
        edit(&mut next.schemas)?;
        next.replaced.extend(replaced.map(|datasource| (datasource.to_owned(), next.version)));
        *current = Arc::new(next);
        Ok(())
    }
}

/// Takes the imported tables of a datasource out, and with them the schemas that held no other.
fn remove_imported(current: &mut BTreeMap<String, Arc<SnapshotSchema>>, datasource: &str) {
    current.retain(|_, schema| {
        if schema.datasource.is_some() {
            return true;
        }
        if schema.tables.values().any(|table| table.datasource == datasource) {
            Arc::make_mut(schema).tables.retain(|_, table| table.datasource != datasource);
        }
        !schema.tables.is_empty()
    });
}

fn clash(name: &str, datasource: &str, remote_schema: &str, other: &SnapshotSchema) -> Error {
    let describe = |datasource: &str, remote_schema: &str| match remote_schema {
        "" => format!("datasource \"{datasource}\""),
        remote => format!("remote schema \"{remote}\" of datasource \"{datasource}\""),
    };
    let other = match &other.datasource {
        Some(owner) => describe(owner, &other.remote_schema),
        None => "imported tables".to_owned(),
    };
    Error::new(
        ErrorKind::Conflict,
        format!("schema \"{name}\" would be published twice: by {} and by {other}", describe(datasource, remote_schema)),
    )
    .at(datasource)
    .hint("give one of them another name under `schema_names`, or import into another schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(datasource: &str, remote_schema: &str) -> SnapshotSchema {
        SnapshotSchema { datasource: Some(datasource.to_owned()), remote_schema: remote_schema.to_owned(), ..SnapshotSchema::default() }
    }

    fn published() -> Published {
        let reason = Arc::new(Error::new(ErrorKind::Unreachable, "not opened yet"));
        Published::new([("crm".to_owned(), Arc::clone(&reason)), ("crm_mart".to_owned(), reason)])
    }

    #[test]
    fn a_clash_names_both_sides_and_changes_nothing() {
        let published = published();
        let before = published.current();
        let schemas = BTreeMap::from([("crm".to_owned(), schema("crm", "public")), ("crm_mart".to_owned(), schema("crm", "mart"))]);
        let error = published.replace("crm", schemas, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.message(),
            "schema \"crm_mart\" would be published twice: by remote schema \"mart\" of datasource \"crm\" and by datasource \"crm_mart\""
        );
        assert!(Arc::ptr_eq(&before, &published.current()));
    }

    #[test]
    fn replacing_leaves_other_datasources_and_older_snapshots_alone() {
        let published = published();
        let before = published.current();
        published.replace("crm", BTreeMap::from([("sales".to_owned(), schema("crm", "public"))]), Vec::new()).unwrap();
        let after = published.current();
        assert_eq!(after.schemas.keys().collect::<Vec<_>>(), ["crm_mart", "sales"]);
        assert_eq!(before.schemas.keys().collect::<Vec<_>>(), ["crm", "crm_mart"]);
        assert_eq!(after.version, before.version + 1);
    }

    #[test]
    fn only_a_look_at_a_datasource_counts_as_one() {
        let published = published();
        assert_eq!(published.current().replaced.get("crm"), None);
        published.replace("crm", BTreeMap::from([("crm".to_owned(), schema("crm", "public"))]), Vec::new()).unwrap();
        let looked = published.current().version;
        published.replace("crm_mart", BTreeMap::from([("crm_mart".to_owned(), schema("crm_mart", "public"))]), Vec::new()).unwrap();
        published.make_unavailable("crm", &Arc::new(Error::new(ErrorKind::Unreachable, "gone")));
        let now = published.current();
        assert_eq!((now.replaced["crm"], now.replaced["crm_mart"], now.version), (looked, looked + 1, looked + 2));
    }

    #[test]
    fn unavailable_touches_one_datasource_only() {
        let published = published();
        published.replace("crm", BTreeMap::from([("crm".to_owned(), schema("crm", "public"))]), Vec::new()).unwrap();
        published.replace("crm_mart", BTreeMap::from([("crm_mart".to_owned(), schema("crm_mart", "public"))]), Vec::new()).unwrap();
        published.make_unavailable("crm", &Arc::new(Error::new(ErrorKind::Unreachable, "gone")));
        let now = published.current();
        assert_eq!(now.schemas["crm"].unavailable.as_ref().unwrap().message(), "gone");
        assert!(now.schemas["crm_mart"].unavailable.is_none());
    }
}
