//! The views, read with SQL.

use std::path::Path;
use std::time::{Duration, SystemTime};

use causeway_catalog::{ControlStore, Datasource, EventType, Expose, Keeping, NewEvent, OnMismatch, Origin, SchemaMode, Validation};
use causeway_providers::{
    Capabilities, CatalogMark, Comparison, Connector, ConnectorRegistry, Deadline, DeclaredType, Introspection, Manifest, Omission,
    OmissionCause, Options, PoolFailure, PoolState, Presentation, Remote, RemoteColumn, RemoteId, RemotePresence, RemoteTable, Scope,
    ServerVersion, SqlRemote, Subject, TableKind, TypeChange, Writer,
};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;

use super::*;

static MANIFEST: Manifest = Manifest {
    kind: "fake",
    version: "1",
    description: "For tests.",
    capabilities: Capabilities::SCAN_ONLY,
    health_check: "Is told.",
    options: &[],
    faults: |_| Vec::new(),
};

/// Opens for every datasource but `down`.
#[derive(Debug)]
struct FakeConnector;

#[async_trait]
impl Connector for FakeConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, options: &Options) -> causeway_providers::Result<Arc<dyn Remote>> {
        if options.id.as_str() == "down" {
            return Err(causeway_providers::Error::new(causeway_providers::ErrorKind::Unreachable, "connection refused"));
        }
        Ok(Arc::new(FakeRemote(options.id.clone())))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        if expected == actual { TypeChange::Same } else { TypeChange::Different }
    }

    fn declared_type(&self, _text: &str) -> DeclaredType {
        DeclaredType::Custom(&[])
    }
}

#[derive(Debug)]
struct FakeRemote(RemoteId);

#[async_trait]
impl Remote for FakeRemote {
    fn id(&self) -> &RemoteId {
        &self.0
    }

    fn capabilities(&self) -> &Capabilities {
        const SORTS: Capabilities = Capabilities { sort: true, ..Capabilities::SCAN_ONLY };
        &SORTS
    }

    async fn ping(&self, _deadline: Deadline) -> causeway_providers::Result<ServerVersion> {
        Ok(ServerVersion { product: "Fake".to_owned(), version: "1".to_owned() })
    }

    async fn introspect(&self, _scope: &Scope, _deadline: Deadline) -> causeway_providers::Result<Introspection> {
        let column = RemoteColumn {
            name: "id".to_owned(),
            remote_type: "bigint".to_owned(),
            data_type: DataType::Int64,
            presentation: Presentation::Plain,
            nullable: false,
            comment: None,
            collation: None,
            comparison: Comparison::Total,
        };
        let table = RemoteTable {
            schema: "public".to_owned(),
            name: "cust".to_owned(),
            kind: TableKind::MaterializedView,
            columns: vec![column],
            primary_key: vec!["id".to_owned()],
            unique_keys: Vec::new(),
            comment: None,
            row_estimate: Some(7),
        };
        let omission =
            Omission { subject: "public.odd".to_owned(), reason: "it has no columns".to_owned(), cause: OmissionCause::Unmapped };
        Ok(Introspection { default_schema: "public".to_owned(), tables: vec![table], omitted: vec![omission] })
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> causeway_providers::Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], _deadline: Deadline) -> causeway_providers::Result<Vec<RemotePresence>> {
        let is_there = |subject: &Subject| *subject == Subject::table("public", "cust");
        let answer = |subject| if is_there(subject) { RemotePresence::Readable } else { RemotePresence::Absent };
        Ok(subjects.iter().map(answer).collect())
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> causeway_providers::Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(MemTable::try_new(table.arrow_schema(), vec![Vec::new()]).unwrap()))
    }

    fn pool(&self) -> Option<PoolState> {
        let last_error = PoolFailure { message: "no place".to_owned(), at: SystemTime::UNIX_EPOCH + Duration::from_secs(1) };
        Some(PoolState {
            max_size: 5,
            in_use: 2,
            idle: 1,
            waiting: 4,
            waited: Duration::from_micros(1_500_900),
            opened: 9,
            errors: 3,
            last_error: Some(last_error),
        })
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        None
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {}
}

fn datasource(name: &str) -> Datasource {
    let mut options = Options::check(&MANIFEST, RemoteId::new(name), Path::new(""), BTreeMap::new(), BTreeMap::new()).unwrap();
    options.query_timeout = Some(Duration::from_secs(90));
    Datasource {
        name: name.to_owned(),
        connector: "fake".to_owned(),
        origin: Origin::Code,
        schema_mode: SchemaMode::External,
        label: None,
        options,
        allowed_schemas: Vec::new(),
        schema_names: BTreeMap::new(),
        expose: Expose::All,
        allow_writes: false,
        validation: Validation { on_mismatch: OnMismatch::Fail, check_on_boot: true, check_interval: None },
        refresh_interval: None,
        tables: Vec::new(),
    }
}

#[tokio::test]
async fn every_view_tells_what_is() {
    let registry = ConnectorRegistry::default().with(Arc::new(FakeConnector));
    let store = ControlStore::ephemeral().await.unwrap();
    let environment = Environment::start("default", vec![datasource("crm"), datasource("down")], registry, store, Keeping::default());
    let environment = environment.await.unwrap();
    environment.settled(Duration::from_secs(30)).await;
    let session = SessionContext::new();
    session.catalog("datafusion").unwrap().register_schema(SCHEMA, schema(&environment, &environment.snapshot(), &Arc::default())).unwrap();
    let shown = async |sql: &str| {
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let table = pretty_format_batches(&rows).unwrap().to_string();
        table.lines().skip(3).filter(|line| line.starts_with('|')).map(|line| line.replace(' ', "")).collect::<Vec<_>>()
    };
    assert_eq!(
        shown("SELECT * FROM causeway.datasources ORDER BY name").await,
        ["|crm|fake|code|external|running||false|1m30s|||0|", "|down|fake|code|external|error||false|1m30s|connectionrefused||0|"]
    );
    assert_eq!(shown("SELECT * FROM causeway.remote_tables").await, ["|crm|public|cust|materializedview|1|id|7||"]);
    assert_eq!(shown("SELECT * FROM causeway.foreign_tables").await, ["|crm|cust|crm|public|cust|false|1|false|false||"]);
    assert_eq!(shown("SELECT * FROM causeway.omissions").await, ["|crm|public.odd|ithasnocolumns|"]);
    assert_eq!(
        shown("SELECT datasource, capability FROM causeway.capabilities WHERE supported").await,
        ["|crm|sort|"],
        "a datasource that was never opened has none to tell"
    );

    assert_eq!(shown("SELECT datasource, version, table_count FROM causeway.catalog_history").await, ["|crm|1|1|"]);
    assert_eq!(
        shown("SELECT seq, type FROM causeway.events WHERE seq > 1 ORDER BY seq").await.len() + 1,
        shown("SELECT seq FROM causeway.events").await.len()
    );
    let events = shown("SELECT type, source FROM causeway.events WHERE source LIKE '%down'").await;
    assert_eq!(events, ["|datasource.failed|/environments/default/datasources/down|"]);
    assert_eq!(
        shown("SELECT * FROM causeway.pools").await,
        ["|crm|queries|3|5|2|1|4|1500|9|3|noplace|1970-01-01T00:00:01Z|"],
        "a datasource that is not open has no pool"
    );
    assert!(shown("SELECT * FROM causeway.drift").await.is_empty());
    assert!(shown("SELECT * FROM causeway.subscribers").await.is_empty());
    assert!(shown("SELECT * FROM causeway.dead_letters").await.is_empty());

    // The log is read in pages that end by their size, and is whole all the same.
    let large = |n: u8| NewEvent {
        kind: EventType::QueryExecuted,
        datasource: None,
        subject: Some("large".to_owned()),
        actor: None,
        data: serde_json::Value::from(char::from(b'a' + n).to_string().repeat(3 << 20)),
    };
    environment.append(&[large(0), large(1), large(2)]).await.unwrap();
    let pages = session.sql("SELECT data FROM causeway.events WHERE seq > 3").await.unwrap().collect().await.unwrap();
    let rows: usize = pages.iter().map(RecordBatch::num_rows).sum();
    assert!(pages.iter().all(|page| page.get_array_memory_size() < 10 << 20), "a page is not as large as all");
    assert_eq!(shown("SELECT count(*) FROM causeway.events WHERE subject = 'large'").await, ["|3|"]);
    assert!(rows >= 3 && pages.len() >= 2, "{rows} rows in {} pages", pages.len());

    // A view planned before a change shows what is there when it runs.
    let planned = session.sql("SELECT count(*) FROM causeway.datasources WHERE state = 'stopped'").await.unwrap();
    environment.stop().await;
    let counted = pretty_format_batches(&planned.collect().await.unwrap()).unwrap().to_string();
    assert!(counted.contains("| 2 "), "{counted}");
}

#[test]
fn the_system_catalogs_learn_every_view_and_column() {
    let columns = columns();
    let views = "capabilities catalog_history datasources dead_letters drift events foreign_tables omissions pools remote_tables statements subscribers";
    assert_eq!(columns.keys().collect::<Vec<_>>(), views.split(' ').collect::<Vec<_>>());
    let names: Vec<_> = columns["datasources"].fields().iter().map(|field| field.name().clone()).collect();
    let promised = "name connector origin schema_mode state version allow_writes query_timeout last_error stale_since drift";
    assert_eq!(names, promised.split(' ').collect::<Vec<_>>());
}
