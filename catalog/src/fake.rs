//! A connector for tests whose source can be down, hang, change and come back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use causeway_providers::{
    Capabilities, CatalogMark, Comparison, Connector, ConnectorRegistry, Deadline, DeclaredType, Error, ErrorKind, Introspection, Manifest,
    OmissionCause, Options, PoolState, Presentation, Remote, RemoteColumn, RemoteId, RemotePresence, RemoteTable, Result, Scope,
    ServerVersion, SqlRemote, Subject, TableKind, TypeChange, Writer,
};
use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};

use crate::datasource::{Datasource, Expose, OnMismatch, Origin, PinnedTable, SchemaMode, Validation};
use crate::environment::Environment;
use crate::event::Event;

static MANIFEST: Manifest = Manifest {
    kind: "fake",
    version: "1",
    description: "For tests.",
    capabilities: Capabilities::SCAN_ONLY,
    health_check: "Is told.",
    options: &[],
    faults: |_| Vec::new(),
};

/// What the source does when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Refuses(ErrorKind),
    Hangs,
    /// Answers after so long.
    Dawdles(Duration),
    Panics,
}

/// The source behind the connector.
#[derive(Debug)]
pub(crate) struct FakeSource {
    pub(crate) open: Mutex<Mood>,
    pub(crate) ping: Mutex<Mood>,
    pub(crate) introspect: Mutex<Mood>,
    pub(crate) presence: Mutex<Mood>,
    /// Tables that are seen and cannot be read.
    pub(crate) refused: Mutex<Vec<String>>,
    /// Tables that are there and that no look shows.
    pub(crate) forbidden: Mutex<Vec<String>>,
    pub(crate) seen: Mutex<Introspection>,
    /// The mark it gives of that; by itself it gives none.
    pub(crate) mark: Mutex<Option<CatalogMark>>,
    pub(crate) opened: AtomicUsize,
    pub(crate) pinged: AtomicUsize,
    /// How often it was looked at, and asked for tables by name.
    pub(crate) looked: AtomicUsize,
    pub(crate) asked: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

impl FakeSource {
    pub(crate) fn with(tables: Vec<RemoteTable>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(Mood::Well),
            ping: Mutex::new(Mood::Well),
            introspect: Mutex::new(Mood::Well),
            presence: Mutex::new(Mood::Well),
            refused: Mutex::default(),
            mark: Mutex::default(),
            forbidden: Mutex::default(),
            seen: Mutex::new(Introspection { default_schema: "public".to_owned(), tables, omitted: Vec::new() }),
            opened: AtomicUsize::new(0),
            pinged: AtomicUsize::new(0),
            looked: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        })
    }

    /// All of it answers, or none of it.
    pub(crate) fn set(&self, mood: &Mood) {
        for part in [&self.open, &self.ping, &self.introspect, &self.presence] {
            *part.lock().unwrap() = mood.clone();
        }
    }

    async fn act(mood: &Mutex<Mood>) -> Result<()> {
        let mood = mood.lock().unwrap().clone();
        match mood {
            Mood::Well => Ok(()),
            Mood::Refuses(kind) => Err(Error::new(kind, "connection refused")),
            Mood::Hangs => std::future::pending().await,
            Mood::Dawdles(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Mood::Panics => panic!("the fake source panics"),
        }
    }
}

/// Opens the source given for the datasource's name.
#[derive(Debug)]
pub(crate) struct FakeConnector(pub(crate) BTreeMap<String, Arc<FakeSource>>);

#[async_trait]
impl Connector for FakeConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let source = Arc::clone(&self.0[options.id.as_str()]);
        FakeSource::act(&source.open).await?;
        source.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(FakeRemote { id: options.id.clone(), source }))
    }

    /// Knows integers of three sizes.
    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        let size = |name: &str| ["smallint", "integer", "bigint"].iter().position(|known| *known == name);
        match (size(expected), size(actual)) {
            _ if expected == actual => TypeChange::Same,
            (Some(expected), Some(actual)) if expected < actual => TypeChange::Widened,
            (Some(_), Some(_)) => TypeChange::Narrowed,
            _ => TypeChange::Different,
        }
    }

    /// Knows the types of [`table`].
    fn declared_type(&self, text: &str) -> DeclaredType {
        match text {
            "smallint" => DeclaredType::Known(DataType::Int16, Presentation::Plain),
            "integer" => DeclaredType::Known(DataType::Int32, Presentation::Plain),
            "bigint" => DeclaredType::Known(DataType::Int64, Presentation::Plain),
            "text" => DeclaredType::Known(DataType::Utf8, Presentation::Plain),
            _ => DeclaredType::Custom(&["smallint", "integer", "bigint", "text"]),
        }
    }
}

/// A remote of the fake source.
#[derive(Debug)]
pub(crate) struct FakeRemote {
    pub(crate) id: RemoteId,
    pub(crate) source: Arc<FakeSource>,
}

#[async_trait]
impl Remote for FakeRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &Capabilities::SCAN_ONLY
    }

    async fn ping(&self, _deadline: Deadline) -> Result<ServerVersion> {
        self.source.pinged.fetch_add(1, Ordering::Relaxed);
        FakeSource::act(&self.source.ping).await?;
        Ok(ServerVersion { product: "Fake".to_owned(), version: "1".to_owned() })
    }

    async fn introspect(&self, _scope: &Scope, _deadline: Deadline) -> Result<Introspection> {
        self.source.looked.fetch_add(1, Ordering::Relaxed);
        FakeSource::act(&self.source.introspect).await?;
        Ok(self.source.seen.lock().unwrap().clone())
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        Ok(self.source.mark.lock().unwrap().clone())
    }

    async fn presence(&self, subjects: &[Subject], _deadline: Deadline) -> Result<Vec<RemotePresence>> {
        self.source.asked.fetch_add(1, Ordering::Relaxed);
        FakeSource::act(&self.source.presence).await?;
        let seen = self.source.seen.lock().unwrap();
        let forbidden = self.source.forbidden.lock().unwrap();
        let answer = |subject: &Subject| {
            if forbidden.contains(&subject.to_string()) { RemotePresence::Forbidden } else { presence(&seen, subject) }
        };
        Ok(subjects.iter().map(answer).collect())
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        if table.name == "unreadable" || self.source.refused.lock().unwrap().contains(&table.name) {
            return Err(Error::new(ErrorKind::Unsupported, "it cannot be read"));
        }
        let schema = table.arrow_schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Int64 => Arc::new(Int64Array::from(vec![1, 2])) as _,
                _ => Arc::new(StringArray::from(vec!["ann", "bob"])) as _,
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap()))
    }

    fn pool(&self) -> Option<PoolState> {
        None
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        None
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {
        self.source.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn presence(seen: &Introspection, subject: &Subject) -> RemotePresence {
    let hidden = |subject: &Subject| {
        let subject = subject.to_string();
        seen.omitted.iter().any(|omission| omission.subject == subject && omission.cause == OmissionCause::Unreadable)
    };
    if hidden(subject) || hidden(&Subject::table(&subject.schema, &subject.table)) {
        return RemotePresence::Forbidden;
    }
    let table = seen.tables.iter().find(|table| table.schema == subject.schema && table.name == subject.table);
    let found =
        table.is_some_and(|table| subject.column.as_ref().is_none_or(|wanted| table.columns.iter().any(|column| column.name == *wanted)));
    if found { RemotePresence::Readable } else { RemotePresence::Absent }
}

/// What the tests read of the log at once.
impl Environment {
    pub(crate) async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        self.store().bounded_page(self.name(), after, limit, usize::MAX).await
    }
}

/// A registry with the fake connector over these sources.
pub(crate) fn registry(sources: &[(&str, &Arc<FakeSource>)]) -> ConnectorRegistry {
    let sources = sources.iter().map(|(name, source)| ((*name).to_owned(), Arc::clone(source))).collect();
    ConnectorRegistry::default().with(Arc::new(FakeConnector(sources)))
}

/// A table with columns `id` (bigint) and others of text.
pub(crate) fn table(schema: &str, name: &str, columns: &[&str]) -> RemoteTable {
    let column = |name: &&str| RemoteColumn {
        name: (*name).to_owned(),
        remote_type: if *name == "id" { "bigint" } else { "text" }.to_owned(),
        data_type: if *name == "id" { DataType::Int64 } else { DataType::Utf8 },
        presentation: if *name == "code" { Presentation::Uuid } else { Presentation::Plain },
        nullable: true,
        comment: None,
        collation: None,
        comparison: Comparison::None,
    };
    RemoteTable {
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::Table,
        columns: columns.iter().map(column).collect(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: None,
    }
}

/// A datasource of the fake connector that exposes everything.
pub(crate) fn datasource(name: &str) -> Datasource {
    let id = RemoteId::new(name);
    Datasource {
        name: name.to_owned(),
        connector: "fake".to_owned(),
        origin: Origin::Code,
        schema_mode: SchemaMode::External,
        label: None,
        options: Options::check(&MANIFEST, id, Path::new("."), BTreeMap::new(), BTreeMap::new()).unwrap(),
        allowed_schemas: Vec::new(),
        schema_names: BTreeMap::new(),
        expose: Expose::All,
        allow_writes: false,
        validation: Validation { on_mismatch: OnMismatch::Fail, check_on_boot: true, check_interval: None },
        refresh_interval: None,
        tables: Vec::new(),
    }
}

/// A pinned table of the default schema.
pub(crate) fn pinned(name: &str, remote: &str, column_map: &[(&str, &str)], ignore: &[&str]) -> PinnedTable {
    PinnedTable {
        name: name.to_owned(),
        remote_schema: None,
        remote_table: remote.to_owned(),
        writable: false,
        column_map: column_map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ignore_columns: ignore.iter().map(|c| (*c).to_owned()).collect(),
        columns: None,
        primary_key: None,
    }
}
