//! What the Postgres endpoint asks for: environments by name, what a statement sees, and the procedures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use causeway_catalog::{
    Asking, CatalogSnapshot, DriftSelection, Environment, Import, ImportedTable, Selection, admit_ddl, admit_drop, admit_write,
};
use causeway_planner::{Changed, ChangedRelation, StatementCache};
use causeway_providers::{ConnectorRegistry, Error, ErrorKind, Result, Subject, Visibility};

use super::left_out;
use super::narrowed::narrowed;
use super::session_state;
use super::tables::Catalogs;
use crate::audit::Audit;
use crate::pg::catalog::{Database, OidRegistry, PgCatalog, Server};
use crate::pg::{
    Backend, DropForeignTable, EnvironmentBackend, ImportForeignSchema, ImportSelection, ImportStep, Notice, Notifications, Outcome,
    SecondLooks, SessionIdentity, Sessions, StatementRegistry, VisibleCatalog,
};
use crate::roles::Role;
use crate::system;

/// How many of the tables and columns that are not published a refresh names.
const OMISSIONS_SHOWN: usize = 10;
/// How many open differences a check names.
const DIFFERENCES_SHOWN: usize = 20;

/// The environments of the process, by name.
#[derive(Default)]
pub(super) struct Environments(RwLock<BTreeMap<String, Arc<EnvironmentAtPort>>>);

impl Environments {
    /// Lets clients enter an environment.
    pub(super) fn add(&self, environment: EnvironmentAtPort) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(environment.environment.name().to_owned(), Arc::new(environment));
    }
}

impl Backend for Environments {
    fn environment(&self, database: &str) -> Option<Arc<dyn EnvironmentBackend>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(database).map(|environment| Arc::clone(environment) as _)
    }
}

/// An environment as its sessions see it.
pub(super) struct EnvironmentAtPort {
    environment: Arc<Environment>,
    registry: ConnectorRegistry,
    environments: Vec<String>,
    notifications: Arc<Notifications>,
    statements: Arc<StatementRegistry>,
    statement_cache: Arc<StatementCache>,
    sessions: Arc<Sessions>,
    second_looks: SecondLooks,
    audit: Option<Arc<Audit>>,
    oids: Arc<OidRegistry>,
    started: SystemTime,
    /// The limited roles by name.
    roles: BTreeMap<String, Arc<Role>>,
    /// What the newest snapshot any statement asked for is to each limited role, and to all others.
    seen: Mutex<BTreeMap<Option<String>, Seen>>,
}

/// A snapshot as some sessions see it.
struct Seen {
    /// The snapshot it was made of.
    whole: Arc<CatalogSnapshot>,
    /// What they see of it.
    snapshot: Arc<CatalogSnapshot>,
    /// Its system catalogs.
    catalog: Arc<PgCatalog>,
}

impl EnvironmentAtPort {
    /// The environment, with the names of all there are, the hub its sessions listen to, the object ids it goes on from, and the audit
    /// of its statements.
    pub(super) fn new(
        environment: Arc<Environment>,
        registry: ConnectorRegistry,
        environments: Vec<String>,
        notifications: Arc<Notifications>,
        oids: Arc<OidRegistry>,
        audit: Option<Arc<Audit>>,
        roles: BTreeMap<String, Arc<Role>>,
    ) -> Self {
        let statements = Arc::new(StatementRegistry::default());
        environment.know_prepared_statements(Arc::clone(&statements) as _);
        Self {
            environment,
            registry,
            environments,
            notifications,
            statements,
            statement_cache: Arc::default(),
            sessions: Arc::default(),
            second_looks: SecondLooks::default(),
            audit,
            oids,
            started: SystemTime::now(),
            roles,
            seen: Mutex::default(),
        }
    }

    /// What a role sees of the current snapshot, and its system catalogs: both are made once per snapshot.
    fn current(&self, role: Option<&Role>) -> (Arc<CatalogSnapshot>, Arc<PgCatalog>) {
        let whole = self.environment.snapshot();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = role.map(|role| role.name.clone());
        if let Some(known) = seen.get(&key).filter(|known| Arc::ptr_eq(&known.whole, &whole)) {
            return (Arc::clone(&known.snapshot), Arc::clone(&known.catalog));
        }
        let snapshot = role.map_or_else(|| Arc::clone(&whole), |role| Arc::new(narrowed(&whole, role)));
        let database = match role {
            Some(_) => self.limited_database(&snapshot),
            None => self.database(&snapshot),
        };
        let catalog = PgCatalog::new(database, Arc::clone(&self.oids));
        // What is out of date holds on to tables that are gone.
        seen.retain(|_, known| Arc::ptr_eq(&known.whole, &whole));
        seen.insert(key, Seen { whole, snapshot: Arc::clone(&snapshot), catalog: Arc::clone(&catalog) });
        (snapshot, catalog)
    }

    /// What a limited role is shown: of datasources their names, where it sees tables of them, and of environments its own.
    fn limited_database(&self, snapshot: &Arc<CatalogSnapshot>) -> Database {
        let datasources: BTreeSet<&String> = snapshot.tables().map(|table| &table.datasource).collect();
        let servers = self.servers().into_iter().filter(|server| datasources.contains(&server.name));
        Database {
            name: self.environment.name().to_owned(),
            environments: vec![self.environment.name().to_owned()],
            roles: Vec::new(),
            servers: servers.map(|server| Server { options: Vec::new(), ..server }).collect(),
            snapshot: Arc::clone(snapshot),
            system_schemas: BTreeMap::new(),
        }
    }

    fn database(&self, snapshot: &Arc<CatalogSnapshot>) -> Database {
        Database {
            name: self.environment.name().to_owned(),
            environments: self.environments.clone(),
            roles: Vec::new(),
            servers: self.servers(),
            snapshot: Arc::clone(snapshot),
            system_schemas: BTreeMap::from([(system::SCHEMA.to_owned(), system::columns())]),
        }
    }

    /// The datasources as foreign servers, with the options everybody may read.
    fn servers(&self) -> Vec<Server> {
        let server = |status: causeway_catalog::DatasourceStatus| {
            let datasource = &status.datasource;
            let specs = self.registry.get(&datasource.connector).map_or(&[][..], |connector| connector.manifest().options);
            let options = specs
                .iter()
                .filter(|spec| spec.visibility == Visibility::Public)
                .filter_map(|spec| Some((spec.name.to_owned(), datasource.options.get(spec.name)?.to_owned())))
                .collect();
            Server { name: datasource.name.clone(), wrapper: datasource.connector.clone(), options }
        };
        self.environment.datasources().into_iter().map(server).collect()
    }

    /// The schema in which a statement finds an imported table, that of a datasource which is not declared any more too.
    async fn imported(&self, schema: Option<&String>, name: &str, session: &SessionIdentity) -> Result<Option<String>> {
        let schemas = schema.map_or(&session.search_path[..], std::slice::from_ref);
        Ok(self.environment.imported_in(schemas, name).await?.cloned())
    }

    /// `CALL causeway.check_drift('name')`.
    async fn check_drift(&self, arguments: &[String]) -> Result<String> {
        let datasource = only_argument("check_drift", arguments)?;
        let found = self.environment.check_drift(datasource).await?;
        let count = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let mut notice = format!("datasource \"{datasource}\": {} open", count(found.differences, "difference", "differences"));
        if found.unreadable > 0 {
            notice.push_str(&format!(", {} our user may not read", count(found.unreadable, "table or column", "tables or columns")));
        }
        let open = self.environment.drift(DriftSelection::open_of(datasource)).await?;
        for row in open.iter().take(DIFFERENCES_SHOWN) {
            notice.push_str(&format!("\n{}", row.describe()));
        }
        if found.differences > DIFFERENCES_SHOWN {
            notice.push_str("\nand more: SELECT * FROM causeway.drift WHERE resolved_at IS NULL");
        }
        Ok(notice)
    }

    /// `CALL causeway.refresh_catalog('name')`.
    async fn refresh_catalog(&self, arguments: &[String], actor: &str) -> Result<String> {
        let datasource = only_argument("refresh_catalog", arguments)?;
        let tables = self.environment.refresh(datasource, Some(actor)).await?;
        let mut notice = format!("datasource \"{datasource}\" has {tables} {}", if tables == 1 { "table" } else { "tables" });
        let status = self.environment.datasources().into_iter().find(|status| status.datasource.name == *datasource);
        let (omitted, mismatches) = status.map(|status| (status.omitted, status.mismatches)).unwrap_or_default();
        for mismatch in &mismatches {
            notice.push_str(&format!("\n{mismatch}"));
        }
        for omission in omitted.iter().take(OMISSIONS_SHOWN) {
            notice.push_str(&format!("\nleft out {}: {}", omission.subject, omission.reason));
        }
        if omitted.len() > OMISSIONS_SHOWN {
            notice.push_str(&format!("\nand {} more: SELECT * FROM causeway.omissions", omitted.len() - OMISSIONS_SHOWN));
        }
        Ok(notice)
    }
}

#[async_trait]
impl EnvironmentBackend for EnvironmentAtPort {
    fn name(&self) -> &str {
        self.environment.name()
    }

    fn notifications(&self) -> &Arc<Notifications> {
        &self.notifications
    }

    fn statements(&self) -> &Arc<StatementRegistry> {
        &self.statements
    }

    fn statement_cache(&self) -> &Arc<StatementCache> {
        &self.statement_cache
    }

    fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    fn second_looks(&self) -> &SecondLooks {
        &self.second_looks
    }

    fn role(&self, user: &str) -> Option<Arc<Role>> {
        self.roles.get(user).cloned()
    }

    fn visible(&self, session: &SessionIdentity) -> VisibleCatalog {
        let (snapshot, catalog) = self.current(session.role.as_deref());
        let observer = self.audit.as_ref().map(|audit| audit.observer(session));
        let is_limited = session.role.is_some();
        let session = Arc::new(session_state::session(session, &self.sessions, self.started));
        let system = catalog.schemas(&session);
        let mut own = BTreeMap::from([("pg_catalog", system.pg_catalog), ("information_schema", system.information_schema)]);
        // Our own views tell of all datasources, of events and of what others do.
        if !is_limited {
            own.insert(system::SCHEMA, system::schema(&self.environment, &snapshot, &self.sessions));
        }
        VisibleCatalog {
            version: snapshot.version,
            catalog: Catalogs::new(self.environment.name(), snapshot, own),
            functions: catalog.functions(&session),
            observer,
        }
    }

    fn admit(&self, changes: &[ChangedRelation], session: &SessionIdentity) -> Result<()> {
        let snapshot = self.environment.snapshot();
        let datasources = self.environment.datasources();
        for change in changes {
            let schemas = change.schema.as_ref().map_or(&session.search_path[..], std::slice::from_ref);
            let table = schemas.iter().find_map(|schema| snapshot.schemas.get(schema)?.tables.get(&change.name));
            let owner = match table {
                Some(table) => Some(&table.datasource),
                // What is not there yet would be made at the datasource whose schema it names.
                None => schemas.iter().find_map(|schema| snapshot.schemas.get(schema)?.datasource.as_ref()),
            };
            let Some(status) = owner.and_then(|owner| datasources.iter().find(|status| status.datasource.name == *owner)) else { continue };
            match (change.what, table) {
                (Changed::Definition, _) | (Changed::Existence, None) => admit_ddl(&status.datasource).map_err(at_the_source)?,
                (Changed::Existence, Some(table)) => {
                    // An imported table has a statement of its own, which the gate names.
                    let is_imported = snapshot.schemas.get(&table.schema).is_some_and(|schema| schema.datasource.is_none());
                    let refused = |refusal| if is_imported { refusal } else { at_the_source(refusal) };
                    admit_drop(&status.datasource, table, &snapshot).map_err(refused)?;
                }
                (Changed::Rows, Some(table)) => admit_write(&status.datasource, table)?,
                // The planner says that there is no such table.
                (Changed::Rows, None) => {}
            }
        }
        Ok(())
    }

    fn admit_change(&self, schema: &str, table: &str, datasource: &str) -> Result<()> {
        let snapshot = self.environment.snapshot();
        let datasources = self.environment.datasources();
        let found = snapshot.schemas.get(schema).and_then(|schema| schema.tables.get(table));
        let found = found.filter(|found| found.datasource == datasource);
        let owner = datasources.iter().find(|status| status.datasource.name == datasource);
        match (found, owner) {
            (Some(found), Some(owner)) => admit_write(&owner.datasource, found),
            _ => {
                let text = format!("{schema}.{table} is not published as a table of datasource \"{datasource}\" any more");
                Err(Error::new(ErrorKind::ReadOnly, text).hint("try again"))
            }
        }
    }

    fn left_out(&self, schema: Option<&str>, table: &str, session: &SessionIdentity) -> Option<String> {
        let schemas: Vec<&str> = match schema {
            Some(schema) => vec![schema],
            None => session.search_path.iter().map(String::as_str).collect(),
        };
        left_out::why(&self.environment.datasources(), &self.environment.snapshot(), &schemas, table)
    }

    fn replaced(&self, datasource: &str, tables: &[(String, String)]) -> u64 {
        let snapshot = self.environment.snapshot();
        let is_ours = |schema: &str| matches!(schema, "pg_catalog" | "information_schema" | system::SCHEMA);
        let is_there = |(schema, name): &(String, String)| snapshot.schemas.get(schema).is_some_and(|s| s.tables.contains_key(name));
        // A table that is not there any more is another one, whoever took it away.
        if tables.iter().any(|table| !is_ours(&table.0) && !is_there(table)) {
            return snapshot.version;
        }
        let remotes = snapshot.remotes(datasource, tables);
        snapshot.replaced.get(datasource).map(|replaced| replaced.since(&remotes)).unwrap_or_default()
    }

    async fn look_again(&self, datasource: &str, tables: &[(String, String)], actor: &str) -> Result<()> {
        self.environment.refresh_tables(datasource, tables, Some(actor)).await.map(drop)
    }

    async fn call(&self, procedure: &str, arguments: &[String], session: &SessionIdentity) -> Result<Outcome> {
        match procedure {
            "causeway.refresh_catalog" => self.refresh_catalog(arguments, &session.user).await.map(Outcome::told),
            "causeway.check_drift" => self.check_drift(arguments).await.map(Outcome::told),
            other => Err(Error::new(ErrorKind::Unsupported, format!("procedure {other} does not exist"))
                .hint("there are causeway.refresh_catalog and causeway.check_drift")),
        }
    }

    async fn import_foreign_schema(&self, import: &ImportForeignSchema, session: &SessionIdentity, asking: &Asking) -> Result<Outcome> {
        let renames = import.renames().into_iter().map(|(remote, name)| (remote.to_owned(), name.to_owned()));
        let wanted = Import {
            remote_schema: Some(import.remote_schema.clone()),
            selection: match &import.selection {
                ImportSelection::All => Selection::All,
                ImportSelection::LimitTo(names) => Selection::Only(names.clone()),
                ImportSelection::Except(names) => Selection::Except(names.clone()),
            },
            into: import.into_schema.clone(),
            renames: renames.collect(),
            writable: import.is_writable(),
            dry_run: import.is_dry_run(),
            actor: Some(session.user.clone()),
        };
        let report = self.environment.import_as_asked(&import.datasource, &wanted, asking).await?;
        if !report.is_written {
            return Ok(Outcome { notices: Vec::new(), steps: report.tables.iter().map(step).collect() });
        }
        let told = report
            .tables
            .iter()
            .flat_map(|table| details(table).map(move |detail| Notice::for_user(format!("{}.{}: {detail}", table.schema, table.name))));
        Ok(Outcome { notices: told.collect(), steps: Vec::new() })
    }

    async fn drop_foreign_tables(&self, drop: &DropForeignTable, session: &SessionIdentity, asking: &Asking) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut found = Vec::new();
        for (schema, name) in &drop.names {
            match self.imported(schema.as_ref(), name, session).await? {
                Some(schema) => found.push((schema, name.clone())),
                None if drop.if_exists => {
                    outcome.notices.push(Notice::for_user(format!("foreign table \"{name}\" does not exist, skipping")));
                }
                // What is not there is told with its schema, if it was asked for with one.
                None => found.push((schema.clone().unwrap_or_default(), name.clone())),
            }
        }
        self.environment.drop_imported(&found, Some(&session.user), asking).await?;
        Ok(outcome)
    }
}

/// The refusal of a gate to a statement that defines. Opened as its own hint says, the gate would let pass what is not supported then.
fn at_the_source(refusal: Error) -> Error {
    refusal.hint("do it at the source: in this version no statement defines tables there through Causeway, however its gates are set")
}

/// A table of a dry run, as a row.
fn step(table: &ImportedTable) -> ImportStep {
    ImportStep {
        remote_table: Subject::table(&table.remote_schema, &table.remote_table).to_string(),
        published_name: format!("{}.{}", table.schema, table.name),
        action: table.action.as_str().to_owned(),
        detail: details(table).collect::<Vec<_>>().join("; "),
    }
}

/// What is worth a look at a table of an import, a sentence each.
fn details(table: &ImportedTable) -> impl Iterator<Item = String> {
    let subject = Subject::table(&table.remote_schema, &table.remote_table).to_string();
    let accepted = table.differences.iter().map(move |difference| format!("accepts {}", difference.describe(&subject)));
    table.notes.iter().cloned().chain(accepted).chain(table.reviews.iter().cloned())
}

/// The argument of a procedure that takes the name of a datasource.
fn only_argument<'a>(procedure: &str, arguments: &'a [String]) -> Result<&'a String> {
    match arguments {
        [datasource] => Ok(datasource),
        _ => Err(Error::new(ErrorKind::Invalid, format!("causeway.{procedure} takes one argument, not {}", arguments.len()))
            .hint(format!("CALL causeway.{procedure}('datasource')"))),
    }
}
