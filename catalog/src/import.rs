//! Import: remote tables published under the contract of what they are now, kept in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Deadline, Error, ErrorKind, Introspection, OmissionCause, RemoteTable, Result, Subject};
use serde_json::json;

use crate::asking::Asking;
use crate::baseline::{Declared, unreadable};
use crate::datasource::{Expose, SchemaMode};
use crate::drift::{Contract, Difference, TableImage, compare_table, table_fingerprint};
use crate::event::{EventType, NewEvent};
use crate::member::{Acceptance, Accepted, Imports, Member};
use crate::publication::Publication;
use crate::snapshot::{CatalogSnapshot, ForeignTable, SnapshotSchema};
use crate::store::StoredForeignTable;

/// Schemas that are ours.
const RESERVED: [&str; 3] = ["pg_catalog", "information_schema", "causeway"];

/// What PostgreSQL allows for a name, in bytes.
const LONGEST_NAME: usize = 63;

/// The code of a refusal to publish a table under a name that another table, or another datasource's schema, has.
pub const NAME_TAKEN: &str = "NAME_TAKEN";
/// The code of a refusal to keep what would be lost with the process.
pub const NO_WRITABLE_STORE: &str = "NO_WRITABLE_STORE";
/// The code of a refusal to publish a table of a datasource that publishes none.
pub const DATASOURCE_NOT_PUBLISHED: &str = "DATASOURCE_NOT_PUBLISHED";
/// The code of a failure to find a table at its source.
pub const REMOTE_TABLE_NOT_FOUND: &str = "REMOTE_TABLE_NOT_FOUND";
/// The code of a failure to find a schema at its source.
pub const REMOTE_SCHEMA_NOT_FOUND: &str = "REMOTE_SCHEMA_NOT_FOUND";

/// Which tables to import, and how to publish them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The remote schema; `None` is the source's default schema.
    pub remote_schema: Option<String>,
    /// Which of its tables.
    pub selection: Selection,
    /// The schema they are published in. Not a datasource's own.
    pub into: String,
    /// Published names by remote name; others keep theirs.
    pub renames: BTreeMap<String, String>,
    /// Whether writes are allowed, given the datasource allows them.
    pub writable: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Who asks.
    pub actor: Option<String>,
}

/// Which tables of a remote schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All.
    All,
    /// These, which must be there.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Whether it was carried out, and not only planned.
    pub is_written: bool,
    /// The tables, by published name.
    pub tables: Vec<ImportedTable>,
}

/// A table of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTable {
    /// The remote schema.
    pub remote_schema: String,
    /// The remote table.
    pub remote_table: String,
    /// The published schema.
    pub schema: String,
    /// The published name.
    pub name: String,
    /// What is, or would be, done about it.
    pub action: ImportAction,
    /// How it differs from the contract it had under this name, all of which the import accepts.
    pub differences: Vec<Difference>,
    /// What else there is to know before it is imported: who reads the same remote table already.
    pub notes: Vec<String>,
    /// How many columns it has.
    pub columns: usize,
    /// Where a value may not arrive as it is, and what is left out.
    pub reviews: Vec<String>,
}

/// What an import does about a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImportAction {
    /// It is published under a name that was free.
    Import,
    /// It was imported under this name before: it keeps its identity and gets another contract.
    Replace,
    /// It was imported so before, and nothing changes.
    Keep,
}

impl ImportAction {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportAction::Import => "import",
            ImportAction::Replace => "replace",
            ImportAction::Keep => "keep",
        }
    }
}

impl Member {
    /// Imports tables, or plans to; the source has `limit` to tell what it has.
    ///
    /// # Errors
    /// As [`Environment::import`](crate::Environment::import).
    pub(crate) async fn import(&self, import: &Import, limit: Duration, asking: &Asking) -> Result<ImportReport> {
        if !import.dry_run && !self.store.is_durable() {
            return Err(self.error(ErrorKind::Unsupported, "there is no store that an import could be kept in").code(NO_WRITABLE_STORE));
        }
        if self.datasource.schema_mode == SchemaMode::ValidateOnly {
            return Err(self
                .error(ErrorKind::Unsupported, "its schema_mode is validate_only, so none of its tables are published")
                .code(DATASOURCE_NOT_PUBLISHED)
                .hint("set `schema_mode: external` to import from it"));
        }
        // Held from the look on, so that nothing newer is accepted meanwhile and then undone.
        let mut accepted = self.accepted.lock().await;
        let remote = self.open_remote().map_err(|closed| self.refused_for_mismatch().unwrap_or(closed))?;
        let deadline = Deadline::after(limit);
        let mut seen = self.look(&remote, deadline).await?;
        self.complete(&mut seen, accepted.tables.as_deref(), &remote, deadline).await?;
        let chosen = self.choose(import, &seen)?;
        self.admit_schema(import, &accepted, &seen)?;

        let mut tables = Vec::new();
        for (name, table) in &chosen {
            self.admit_name(import, name, table, &accepted.imported)?;
            tables.push(self.plan(import, name, table, &seen, &accepted.imported));
        }
        if import.dry_run {
            return Ok(ImportReport { is_written: false, tables });
        }
        let imports = self.imports(import, &chosen, &accepted.imported);
        // What was imported is accepted as it is now; of all else the look says nothing new.
        let subjects = chosen.values().map(|table| table.subject()).collect();
        let acceptance = Acceptance::importing(&imports, &subjects, import.actor.as_deref()).as_asked(asking);
        self.accept(&mut accepted, &remote, seen, acceptance, deadline).await?;
        Ok(ImportReport { is_written: true, tables })
    }

    /// What importing a table under a name does.
    fn plan(
        &self,
        import: &Import,
        name: &str,
        table: &RemoteTable,
        seen: &Introspection,
        imported: &[StoredForeignTable],
    ) -> ImportedTable {
        let earlier = imported.iter().find(|known| known.schema == import.into && known.name == name);
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let hidden = unreadable(seen);
        let is_hidden = |column: &str| hidden.contains(Subject::column(&table.schema, &table.name, column).to_string().as_str());
        let differences = |earlier: &StoredForeignTable| compare_table(&earlier.contract, table, &types, &is_hidden);
        ImportedTable {
            remote_schema: table.schema.clone(),
            remote_table: table.name.clone(),
            schema: import.into.clone(),
            name: name.to_owned(),
            action: match earlier {
                None => ImportAction::Import,
                Some(earlier) if earlier.says_the_same(&self.kept(import, name, table, Some(earlier))) => ImportAction::Keep,
                Some(_) => ImportAction::Replace,
            },
            differences: earlier.map(differences).unwrap_or_default(),
            notes: notes(import, name, table, seen, imported),
            columns: table.columns.len(),
            reviews: crate::draft::reviews(table, seen),
        }
    }

    /// A table as it is stored once it is imported, given what was stored under its name.
    fn kept(&self, import: &Import, name: &str, table: &RemoteTable, earlier: Option<&StoredForeignTable>) -> StoredForeignTable {
        StoredForeignTable {
            schema: import.into.clone(),
            name: name.to_owned(),
            datasource: self.name().to_owned(),
            writable: import.writable,
            contract: Contract::of(table),
            fingerprint: table_fingerprint(table),
            // It is part of the table's identity: the store keeps the first one as well.
            comment: earlier.and_then(|earlier| earlier.comment.clone()).or_else(|| table.comment.clone()),
            imported_at: SystemTime::now(),
            imported_by: import.actor.clone(),
        }
    }

    /// The chosen tables with what they are now for their contracts, beside those that are imported already. What is stored so already
    /// makes no event.
    fn imports(&self, import: &Import, chosen: &BTreeMap<String, &RemoteTable>, known: &[StoredForeignTable]) -> Imports {
        let mut tables = known.to_vec();
        let mut news = Vec::new();
        for (name, table) in chosen {
            let earlier = tables.iter_mut().find(|known| known.schema == import.into && known.name == *name);
            let kept = self.kept(import, name, table, earlier.as_deref());
            match earlier {
                Some(earlier) if earlier.says_the_same(&kept) => continue,
                Some(earlier) => earlier.clone_from(&kept),
                None => tables.push(kept.clone()),
            }
            let event = self.imported(&kept, table);
            news.push((kept, event));
        }
        Imports { tables, news }
    }

    /// The remote tables an import names, by published name.
    fn choose<'s>(&self, import: &Import, seen: &'s Introspection) -> Result<BTreeMap<String, &'s RemoteTable>> {
        let schema = import.remote_schema.as_deref().unwrap_or(&seen.default_schema);
        let allowed = &self.datasource.allowed_schemas;
        if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == schema) {
            return Err(self
                .error(ErrorKind::NotFound, format!("remote schema \"{schema}\" is not one of its allowed schemas"))
                .code(REMOTE_SCHEMA_NOT_FOUND)
                .hint(format!("there are: {}", allowed.join(", "))));
        }
        let there: Vec<&RemoteTable> = seen.tables.iter().filter(|table| table.schema == schema).collect();
        if there.is_empty() && !matches!(import.selection, Selection::Only(_)) {
            let error = self.error(ErrorKind::NotFound, format!("the source has no tables in a schema \"{schema}\""));
            return Err(error.code(REMOTE_SCHEMA_NOT_FOUND));
        }
        let named: &[String] = match &import.selection {
            Selection::All => &[],
            Selection::Only(names) | Selection::Except(names) => names,
        };
        let absent = named.iter().chain(import.renames.keys()).find(|name| !there.iter().any(|table| table.name == **name));
        // PostgreSQL lets EXCEPT name what is not there, and so do we.
        if let Some(absent) = absent.filter(|name| !matches!(&import.selection, Selection::Except(names) if names.contains(name))) {
            return Err(self.absent(seen, schema, absent));
        }
        let mut chosen = BTreeMap::new();
        for table in there {
            let is_chosen = match &import.selection {
                Selection::All => true,
                Selection::Only(names) => names.contains(&table.name),
                Selection::Except(names) => !names.contains(&table.name),
            };
            if !is_chosen {
                continue;
            }
            let name = import.renames.get(&table.name).unwrap_or(&table.name).clone();
            if let Some(other) = chosen.insert(name.clone(), table) {
                let text = format!("remote tables \"{}\" and \"{}\" would both be published as \"{name}\"", other.name, table.name);
                return Err(self.error(ErrorKind::Conflict, text).hint("rename one of them"));
            }
        }
        Ok(chosen)
    }

    /// Why there is no table of this name among those that a look saw: our user may not read it, it cannot be read at all, or it is not
    /// there.
    pub(crate) fn absent(&self, seen: &Introspection, schema: &str, table: &str) -> Error {
        let subject = Subject::table(schema, table).to_string();
        match seen.omitted.iter().find(|omission| omission.subject == subject) {
            Some(omission) if omission.cause == OmissionCause::Unreadable => self
                .error(ErrorKind::Unauthorized, format!("permission denied for {subject}: {}", omission.reason))
                .hint("have the owner of the table let the datasource's user read it"),
            Some(omission) => {
                self.error(ErrorKind::NotFound, format!("{subject} cannot be read: {}", omission.reason)).code(REMOTE_TABLE_NOT_FOUND)
            }
            None => self
                .error(ErrorKind::NotFound, format!("the source has no table {subject}"))
                .code(REMOTE_TABLE_NOT_FOUND)
                .hint(format!("SELECT remote_table FROM causeway.remote_tables WHERE datasource = '{}' lists them", self.name())),
        }
    }

    /// Whether tables may be imported into a schema at all: not into one that is published, or that a refresh would publish.
    fn admit_schema(&self, import: &Import, accepted: &Accepted, seen: &Introspection) -> Result<()> {
        let into = &import.into;
        if into.is_empty() || RESERVED.contains(&into.as_str()) || into.starts_with("pg_") {
            return Err(self
                .error(ErrorKind::Invalid, format!("tables cannot be imported into schema \"{into}\", a name of the gateway's own"))
                .hint("choose another schema; it is made when it is not there"));
        }
        let snapshot = self.published.current();
        match snapshot.schemas.get(into).and_then(|schema| schema.datasource.as_deref()) {
            Some(owner) => Err(self
                .error(ErrorKind::Conflict, format!("schema \"{into}\" is the one of datasource \"{owner}\""))
                .code(NAME_TAKEN)
                .hint("import into a schema of another name; it is made when it is not there")),
            None => self.admit_beside_remote(into, accepted, seen),
        }
    }

    /// Whether no remote schema would be published under a name.
    fn admit_beside_remote(&self, into: &str, accepted: &Accepted, seen: &Introspection) -> Result<()> {
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let forms = |text: &str| self.form(text);
        let mended = BTreeMap::new();
        let declared =
            Declared { datasource: &self.datasource, imported: &accepted.imported, mended: &mended, types: &types, forms: &forms };
        let exposed = declared.allowed(seen).filter(|_| self.datasource.expose == Expose::All).map(|table| table.schema.as_str());
        let mut remote = exposed.chain([seen.default_schema.as_str()]);
        match remote.find(|remote| declared.published_schema(&seen.default_schema, remote) == into) {
            Some(remote) => Err(self
                .error(ErrorKind::Conflict, format!("schema \"{into}\" is the name of remote schema \"{remote}\" of this datasource"))
                .code(NAME_TAKEN)
                .hint(
                    "import into a schema of another name; if tables are imported into this one already, drop them with DROP FOREIGN TABLE",
                )),
            None => Ok(()),
        }
    }

    /// Whether a name can be one, and is free or the same table's already.
    fn admit_name(&self, import: &Import, name: &str, table: &RemoteTable, imported: &[StoredForeignTable]) -> Result<()> {
        for name in [import.into.as_str(), name] {
            if let Some(fault) = name_fault(name) {
                return Err(self.error(ErrorKind::Invalid, format!("tables cannot be imported under the name {name:?}: it {fault}")));
            }
        }
        let same = |known: &StoredForeignTable| known.contract.schema == table.schema && known.contract.table == table.name;
        let mine = imported.iter().find(|known| known.schema == import.into && known.name == name);
        let owner = match mine {
            Some(known) if same(known) => None,
            Some(known) => Some(format!("{} of this datasource", Subject::table(&known.contract.schema, &known.contract.table))),
            None => self.published.current().schemas.get(&import.into).and_then(|schema| owner_in(schema, name)),
        };
        match owner {
            None => Ok(()),
            Some(owner) => Err(self
                .error(ErrorKind::Conflict, format!("the name {}.{name} is taken by {owner}", import.into))
                .code(NAME_TAKEN)
                .hint("rename the table, or drop the other one with DROP FOREIGN TABLE")),
        }
    }

    fn imported(&self, kept: &StoredForeignTable, table: &RemoteTable) -> NewEvent {
        NewEvent {
            kind: EventType::TableImported,
            datasource: Some(self.name().to_owned()),
            subject: Some(Subject::table(&table.schema, &table.name).to_string()),
            actor: kept.imported_by.clone(),
            data: json!({
                "schema": kept.schema,
                "name": kept.name,
                "writable": kept.writable,
                "fingerprint": kept.fingerprint,
                "image": TableImage::of(table),
            }),
        }
    }
}

/// Whose table has a name in a schema, also when it is one that cannot be read.
fn owner_in(schema: &SnapshotSchema, name: &str) -> Option<String> {
    let of_table = |other: &Arc<ForeignTable>| format!("{} of datasource \"{}\"", other.remote.subject(), other.datasource);
    let of_broken =
        |reason: &Arc<Error>| format!("a table of datasource \"{}\" that cannot be read now", reason.datasource().unwrap_or_default());
    schema.tables.get(name).map(of_table).or_else(|| schema.broken.get(name).map(of_broken))
}

/// What keeps a text from being the name of a table or schema that statements can name.
fn name_fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is empty"),
        long if long.len() > LONGEST_NAME => Some("is longer than 63 bytes"),
        odd if odd.chars().any(char::is_control) => Some("holds a control character"),
        _ => None,
    }
}

/// Which imported tables read the same remote table under other names, or one that is gone and had the same columns, a sentence each.
fn notes(import: &Import, name: &str, table: &RemoteTable, seen: &Introspection, imported: &[StoredForeignTable]) -> Vec<String> {
    let contract = Contract::of(table);
    let is_seen = |subject: &Subject| {
        let is_it = |table: &RemoteTable| table.schema == subject.schema && table.name == subject.table;
        seen.tables.iter().any(is_it) || seen.omitted.iter().any(|omission| omission.subject == subject.to_string())
    };
    let others = imported.iter().filter(|known| known.schema != import.into || known.name != name);
    let note = |known: &StoredForeignTable| {
        let (shown, remote) = (format!("{}.{}", known.schema, known.name), Subject::table(&known.contract.schema, &known.contract.table));
        if remote == table.subject() {
            return Some(format!("{shown} reads {remote} already"));
        }
        let is_alike = known.contract.columns == contract.columns && known.contract.primary_key == contract.primary_key;
        (is_alike && !is_seen(&remote)).then(|| {
            let subject = table.subject();
            format!("{shown} reads {remote}, which is gone and had the same columns: if {subject} is its new name, drop {shown}")
        })
    };
    others.filter_map(note).collect()
}

/// Leaves in a publication all that a look at the tables `of` says nothing of as it is published now: how a table is read may depend
/// on what the source showed of it, and the look showed more than was asked for.
pub(crate) fn keep_others(publication: &mut Publication, published: &CatalogSnapshot, datasource: &str, of: &BTreeSet<Subject>) {
    let is_named = |table: &ForeignTable| of.contains(&table.remote.subject());
    let is_other = |table: &&Arc<ForeignTable>| table.datasource == datasource && !is_named(table);
    for schema in publication.offer.schemas.values_mut() {
        schema.tables.retain(|_, table| is_named(table));
    }
    publication.offer.imported.retain(is_named);
    let mut kept = BTreeSet::new();
    for (name, schema) in &published.schemas {
        for table in schema.tables.values().filter(is_other) {
            kept.insert(table.remote.subject().to_string());
            if schema.datasource.is_none() {
                publication.offer.imported.push((**table).clone());
                continue;
            }
            let own = publication.offer.schemas.entry(name.clone()).or_insert_with(|| SnapshotSchema {
                datasource: schema.datasource.clone(),
                remote_schema: schema.remote_schema.clone(),
                ..SnapshotSchema::default()
            });
            own.tables.entry(table.name.clone()).or_insert_with(|| Arc::clone(table));
        }
    }
    publication.omitted.retain(|omission| !kept.contains(&omission.subject));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_by_a_table_that_cannot_be_read_too() {
        let reason = Arc::new(Error::new(ErrorKind::SchemaMismatch, "it is gone").at("crm"));
        let schema = SnapshotSchema { broken: BTreeMap::from([("lost".to_owned(), reason)]), ..SnapshotSchema::default() };
        assert_eq!(owner_in(&schema, "lost").as_deref(), Some("a table of datasource \"crm\" that cannot be read now"));
        assert_eq!(owner_in(&schema, "free"), None);
    }

    #[test]
    fn a_name_must_be_one_that_statements_can_name() {
        assert_eq!(name_fault("We\"ird.Tab le"), None);
        assert_eq!(name_fault(""), Some("is empty"));
        assert_eq!(name_fault("a\0b"), Some("holds a control character"));
        assert_eq!(name_fault(&"x".repeat(64)), Some("is longer than 63 bytes"));
    }
}
