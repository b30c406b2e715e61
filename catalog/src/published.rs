//! The snapshot that new statements see, and the only ways it changes: each replaces the part of one datasource in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use causeway_providers::{Error, ErrorKind, Result, Subject};
use tokio::sync::Mutex;

use crate::snapshot::{CatalogSnapshot, ForeignTable, Replaced, SnapshotSchema};

/// Holds the current snapshot of an environment.
#[derive(Debug)]
pub(crate) struct Published {
    current: RwLock<Arc<CatalogSnapshot>>,
    /// Held from the moment a replacement is admitted until it is made, so that nothing that is written meanwhile was written in vain.
    /// Whoever changes what may stand in its way holds it as well: all but [`make_unavailable`](Self::make_unavailable).
    pub(crate) publishing: Mutex<()>,
}

/// What a datasource publishes.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    /// Its own schemas by published name.
    pub(crate) schemas: BTreeMap<String, SnapshotSchema>,
    /// Its imported tables, which are in schemas they share with those of others.
    pub(crate) imported: Vec<ForeignTable>,
    /// Imported tables of which no columns are known.
    pub(crate) broken_imports: Vec<BrokenImport>,
}

/// The schema and the name of an imported table, and how it breaks its contract.
pub(crate) type BrokenImport = (String, String, Arc<Error>);

impl Offer {
    /// Leaves out all tables.
    pub(crate) fn keep_schemas_alone(&mut self) {
        for schema in self.schemas.values_mut() {
            schema.tables.clear();
            schema.broken.clear();
        }
        self.imported.clear();
        self.broken_imports.clear();
    }
}

/// What a look says something new of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// Everything.
    All,
    /// These remote tables.
    Only(&'a BTreeSet<Subject>),
}

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
        let first = CatalogSnapshot { version: 1, schemas, replaced: BTreeMap::new() };
        Self { current: RwLock::new(Arc::new(first)), publishing: Mutex::new(()) }
    }

    /// The tables as of now.
    pub(crate) fn current(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all that `datasource` publishes, as a look at `seen` gave it.
    ///
    /// # Errors
    /// `Conflict` when another datasource publishes a schema of the same name, or one is imported into; nothing changes then.
    pub(crate) fn replace(&self, datasource: &str, offer: Offer, seen: Seen<'_>) -> Result<()> {
        self.change(Some((datasource, seen)), |current| {
            admit(current, datasource, &offer)?;
            current.retain(|_, schema| schema.datasource.as_deref() != Some(datasource));
            remove_imported(current, datasource);
            current.extend(offer.schemas.into_iter().map(|(name, schema)| (name, Arc::new(schema))));
            publish_imported(current, offer.imported, offer.broken_imports);
            Ok(())
        })
    }

    /// Replaces tables under a contract, of which `of` are the remote ones, and leaves all else as it is. Where another has the schema
    /// meanwhile nothing changes. With `reason` the datasource is unavailable in the same step, all but what breaks its contract.
    pub(crate) fn replace_pins(&self, datasource: &str, offer: Offer, of: &BTreeSet<Subject>, reason: Option<&Arc<Error>>) {
        let done = self.change(Some((datasource, Seen::Only(of))), |current| {
            for (name, schema) in offer.schemas {
                let own = current.entry(name).or_insert_with(|| {
                    let remote_schema = schema.remote_schema.clone();
                    Arc::new(SnapshotSchema { datasource: Some(datasource.to_owned()), remote_schema, ..SnapshotSchema::default() })
                });
                if own.datasource.as_deref() == Some(datasource) {
                    let own = Arc::make_mut(own);
                    own.broken.retain(|name, _| !schema.tables.contains_key(name));
                    own.tables.retain(|name, _| !schema.broken.contains_key(name));
                    own.tables.extend(schema.tables);
                    own.broken.extend(schema.broken);
                }
            }
            publish_imported(current, offer.imported, offer.broken_imports);
            if let Some(reason) = reason {
                mark_unavailable(current, datasource, reason);
            }
            Ok(())
        });
        debug_assert!(done.is_ok(), "the change above gives no error");
    }

    /// Whether [`replace`](Self::replace) would do it now.
    ///
    /// # Errors
    /// As `replace`.
    pub(crate) fn admits(&self, datasource: &str, offer: &Offer) -> Result<()> {
        admit(&self.current().schemas, datasource, offer)
    }

    /// Takes the imported tables out of which `is_dropped` says so of their schema and name, in one step.
    pub(crate) fn drop_imported(&self, is_dropped: &dyn Fn(&str, &str) -> bool) {
        let done = self.change(None, |current| {
            for (schema, shared) in current.iter_mut().filter(|(_, schema)| schema.datasource.is_none()) {
                if shared.tables.keys().chain(shared.broken.keys()).any(|name| is_dropped(schema, name)) {
                    let shared = Arc::make_mut(shared);
                    shared.tables.retain(|name, _| !is_dropped(schema, name));
                    shared.broken.retain(|name, _| !is_dropped(schema, name));
                }
            }
            current.retain(|_, schema| schema.datasource.is_some() || !(schema.tables.is_empty() && schema.broken.is_empty()));
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
            None => schema.tables.values().all(|table| table.datasource != datasource || table.is_broken() || says_so(&table.unavailable)),
        };
        if current.schemas.values().all(is_so) {
            return;
        }
        let done = self.change(None, |current| {
            mark_unavailable(current, datasource, reason);
            Ok(())
        });
        debug_assert!(done.is_ok(), "the change above gives no error");
    }

    /// Builds the next snapshot beside the current one, so that an error leaves the current one as it is.
    fn change(
        &self,
        seen: Option<(&str, Seen<'_>)>,
        edit: impl FnOnce(&mut BTreeMap<String, Arc<SnapshotSchema>>) -> Result<()>,
    ) -> Result<()> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = CatalogSnapshot { version: current.version + 1, ..(**current).clone() };
        edit(&mut next.schemas)?;
        if let Some((datasource, seen)) = seen {
            let replaced = next.replaced.entry(datasource.to_owned()).or_default();
            match seen {
                Seen::All => *replaced = Replaced { all: next.version, tables: BTreeMap::new() },
                Seen::Only(tables) => replaced.tables.extend(tables.iter().map(|table| (table.clone(), next.version))),
            }
        }
        *current = Arc::new(next);
        Ok(())
    }
}

/// Whether what `datasource` offers can take the place of what it publishes: a schema is one datasource's own or is imported into,
/// never both, whoever imported.
///
/// # Errors
/// `Conflict` when a schema would be published twice.
fn admit(current: &BTreeMap<String, Arc<SnapshotSchema>>, datasource: &str, offer: &Offer) -> Result<()> {
    let imported = offer.imported.iter().map(|table| &table.schema).chain(offer.broken_imports.iter().map(|(schema, ..)| schema));
    let imported: BTreeSet<&String> = imported.collect();
    for (name, schema) in &offer.schemas {
        let other = current.get(name).filter(|other| match &other.datasource {
            Some(owner) => owner != datasource,
            None => {
                other.tables.values().any(|table| table.datasource != datasource)
                    || other.broken.values().any(|reason| reason.datasource() != Some(datasource))
            }
        });
        let shared = SnapshotSchema::default();
        let other = other.map(Arc::as_ref).or_else(|| imported.contains(name).then_some(&shared));
        if let Some(other) = other {
            return Err(clash(name, datasource, &describe(datasource, &schema.remote_schema), other));
        }
    }
    for name in imported {
        let owned = current.get(name).filter(|other| other.datasource.as_deref().is_some_and(|owner| owner != datasource));
        if let Some(owned) = owned {
            return Err(clash(name, datasource, &format!("tables imported from datasource \"{datasource}\""), owned));
        }
    }
    Ok(())
}

/// Publishes imported tables in the schemas they share with others, all but those that a datasource owns.
fn publish_imported(current: &mut BTreeMap<String, Arc<SnapshotSchema>>, tables: Vec<ForeignTable>, broken: Vec<BrokenImport>) {
    for table in tables {
        let shared = current.entry(table.schema.clone()).or_default();
        if shared.datasource.is_some() {
            continue;
        }
        let shared = Arc::make_mut(shared);
        shared.broken.remove(&table.name);
        shared.tables.insert(table.name.clone(), Arc::new(table));
    }
    for (schema, name, reason) in broken {
        let shared = current.entry(schema.clone()).or_default();
        if shared.datasource.is_some() {
            continue;
        }
        let shared = Arc::make_mut(shared);
        shared.tables.remove(&name);
        shared.broken.insert(name, reason);
    }
}

/// Marks what a datasource publishes as unavailable, but for imported tables that break their contract, whatever else is wrong.
fn mark_unavailable(current: &mut BTreeMap<String, Arc<SnapshotSchema>>, datasource: &str, reason: &Arc<Error>) {
    for schema in current.values_mut() {
        match &schema.datasource {
            Some(owner) if owner == datasource => Arc::make_mut(schema).unavailable = Some(Arc::clone(reason)),
            None if schema.tables.values().any(|table| table.datasource == datasource) => {
                let of_it = |table: &&mut Arc<ForeignTable>| table.datasource == datasource && !table.is_broken();
                for table in Arc::make_mut(schema).tables.values_mut().filter(of_it) {
                    Arc::make_mut(table).unavailable = Some(Arc::clone(reason));
                }
            }
            Some(_) | None => {}
        }
    }
}

/// Takes the imported tables of a datasource out, and with them the schemas that held no other.
fn remove_imported(current: &mut BTreeMap<String, Arc<SnapshotSchema>>, datasource: &str) {
    current.retain(|_, schema| {
        if schema.datasource.is_some() {
            return true;
        }
        let is_broken_of_it = |reason: &Arc<Error>| reason.datasource() == Some(datasource);
        if schema.tables.values().any(|table| table.datasource == datasource) || schema.broken.values().any(is_broken_of_it) {
            let shared = Arc::make_mut(schema);
            shared.tables.retain(|_, table| table.datasource != datasource);
            shared.broken.retain(|_, reason| !is_broken_of_it(reason));
        }
        !(schema.tables.is_empty() && schema.broken.is_empty())
    });
}

fn describe(datasource: &str, remote_schema: &str) -> String {
    match remote_schema {
        "" => format!("datasource \"{datasource}\""),
        remote => format!("remote schema \"{remote}\" of datasource \"{datasource}\""),
    }
}

/// The error of a schema that `publisher`, which is of `datasource`, and `other` would both publish.
fn clash(name: &str, datasource: &str, publisher: &str, other: &SnapshotSchema) -> Error {
    let (other, hint) = match &other.datasource {
        Some(owner) => {
            (describe(owner, &other.remote_schema), "give one of them another name under `schema_names`, or import into another schema")
        }
        None => (
            "imported tables".to_owned(),
            "drop the imported tables with DROP FOREIGN TABLE, or give the remote schema another name under `schema_names`",
        ),
    };
    Error::new(ErrorKind::Conflict, format!("schema \"{name}\" would be published twice: by {publisher} and by {other}"))
        .at(datasource)
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(datasource: &str, remote_schema: &str) -> SnapshotSchema {
        SnapshotSchema { datasource: Some(datasource.to_owned()), remote_schema: remote_schema.to_owned(), ..SnapshotSchema::default() }
    }

    fn offer(schemas: BTreeMap<String, SnapshotSchema>) -> Offer {
        Offer { schemas, ..Offer::default() }
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
        let error = published.replace("crm", offer(schemas), Seen::All).unwrap_err();
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
        published.replace("crm", offer(BTreeMap::from([("sales".to_owned(), schema("crm", "public"))])), Seen::All).unwrap();
        let after = published.current();
        assert_eq!(after.schemas.keys().collect::<Vec<_>>(), ["crm_mart", "sales"]);
        assert_eq!(before.schemas.keys().collect::<Vec<_>>(), ["crm", "crm_mart"]);
        assert_eq!(after.version, before.version + 1);
    }

    #[test]
    fn only_a_look_at_a_datasource_counts_as_one() {
        let published = published();
        assert_eq!(published.current().replaced.get("crm"), None);
        published.replace("crm", offer(BTreeMap::from([("crm".to_owned(), schema("crm", "public"))])), Seen::All).unwrap();
        let looked = published.current().version;
        published.replace("crm_mart", offer(BTreeMap::from([("crm_mart".to_owned(), schema("crm_mart", "public"))])), Seen::All).unwrap();
        published.make_unavailable("crm", &Arc::new(Error::new(ErrorKind::Unreachable, "gone")));
        let now = published.current();
        assert_eq!((now.replaced["crm"].all, now.replaced["crm_mart"].all, now.version), (looked, looked + 1, looked + 2));
    }

    #[test]
    fn a_look_at_some_tables_is_none_at_the_others() {
        let published = published();
        published.replace("crm", Offer::default(), Seen::All).unwrap();
        let [cust, orders] = ["cust", "orders"].map(|name| Subject::table("public", name));
        published.replace("crm", Offer::default(), Seen::Only(&BTreeSet::from([cust.clone()]))).unwrap();
        let replaced = &published.current().replaced["crm"];
        let since = |tables: &[&Subject]| replaced.since(tables.iter().copied());
        assert_eq!((since(&[&cust]), since(&[&orders]), since(&[&cust, &orders]), since(&[])), (3, 2, 2, 2));
        published.replace("crm", Offer::default(), Seen::All).unwrap();
        assert_eq!(published.current().replaced["crm"].since([&cust]), 4);
    }

    #[test]
    fn unavailable_touches_one_datasource_only() {
        let published = published();
        published.replace("crm", offer(BTreeMap::from([("crm".to_owned(), schema("crm", "public"))])), Seen::All).unwrap();
        published.replace("crm_mart", offer(BTreeMap::from([("crm_mart".to_owned(), schema("crm_mart", "public"))])), Seen::All).unwrap();
        published.make_unavailable("crm", &Arc::new(Error::new(ErrorKind::Unreachable, "gone")));
        let now = published.current();
        assert_eq!(now.schemas["crm"].unavailable.as_ref().unwrap().message(), "gone");
        assert!(now.schemas["crm_mart"].unavailable.is_none());
    }
}
