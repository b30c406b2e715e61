//! A gateway on a free port with tables that are small, slow, endless, stuck or broken.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use causeway_catalog::Asking;
use causeway_planner::{Engine, EngineLimits};
use causeway_providers as providers;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::streaming::PartitionStream;
use futures::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use crate::pg::{
    Backend, DropForeignTable, EndpointLimits, EnvironmentBackend, ImportForeignSchema, ImportStep, Notifications, Outcome, PgEndpoint,
    SecondLooks, SessionIdentity, VisibleCatalog,
};
use crate::shutdown::Shutdown;

/// Longer than anything here takes, so that a hang fails instead of blocking the suite.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Fails instead of waiting for ever.
pub(super) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen in time"),
    }
}

/// A running endpoint.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) environment: Arc<TestEnvironment>,
    pub(super) served: tokio::task::JoinHandle<()>,
}

impl Gateway {
    pub(super) async fn start() -> Self {
        Self::with_limits(EndpointLimits::default()).await
    }

    pub(super) async fn with_limits(limits: EndpointLimits) -> Self {
        let spill = std::env::temp_dir().join(format!("causeway-wire-tests-{}", std::process::id()));
        std::fs::create_dir_all(&spill).expect("a folder to spill into");
        let engine = Engine::new(EngineLimits { memory: 256 << 20, spill, spill_quota: 1 << 30 }).expect("an engine");
        let environment = Arc::new(TestEnvironment::new());
        let shutdown = Shutdown::new();
        let backend = Arc::new(TestBackend(Arc::clone(&environment)));
        let endpoint = PgEndpoint::bind("127.0.0.1:0", Arc::new(engine), backend, limits, shutdown.clone()).await.expect("a free port");
        let address = endpoint.local_addr().expect("an address");
        let served = tokio::spawn(endpoint.serve());
        Self { address, shutdown, environment, served }
    }

    pub(super) fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host(self.address.ip().to_string()).port(self.address.port()).user("ana").dbname("default");
        config
    }

    pub(super) async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = within("connecting", self.config().connect(NoTls)).await.expect("a session");
        tokio::spawn(connection);
        client
    }

    pub(super) async fn raw(&self) -> RawClient {
        let mut raw = RawClient { socket: TcpStream::connect(self.address).await.expect("a socket") };
        raw.startup(&[("user", "ana"), ("database", "default")]).await;
        let answer = raw.until_ready().await;
        assert_eq!(answer.first(), Some(&('R', vec![0, 0, 0, 0])), "{answer:?}");
        raw
    }

    /// Waits until a source's streams have all been dropped.
    pub(super) async fn until_idle(&self) {
        within("the streams to end", async {
            while self.environment.open_streams.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(super) async fn until_busy(&self) {
        within("a stream to begin", async {
            while self.environment.open_streams.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// A client that speaks bytes.
pub(super) struct RawClient {
    pub(super) socket: TcpStream,
}

impl RawClient {
    pub(super) async fn startup(&mut self, parameters: &[(&str, &str)]) {
        let mut body = vec![0, 3, 0, 0];
        for (name, value) in parameters {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        let mut packet = ((body.len() + 4) as u32).to_be_bytes().to_vec();
        packet.extend(body);
        self.bytes(&packet).await;
    }

    pub(super) async fn bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("the gateway reads");
    }

    pub(super) async fn message(&mut self, kind: u8, body: &[u8]) {
        self.bytes(&frame(kind, body)).await;
    }

    pub(super) async fn query(&mut self, sql: &str) -> Vec<(char, Vec<u8>)> {
        self.message(b'Q', format!("{sql}\0").as_bytes()).await;
        self.until_ready().await
    }

    /// The next message; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<(char, Vec<u8>)> {
        within("an answer", async {
            let kind = self.socket.read_u8().await.ok()?;
            let length = self.socket.read_u32().await.ok()? as usize;
            let mut body = vec![0; length - 4];
            self.socket.read_exact(&mut body).await.ok()?;
            Some((char::from(kind), body))
        })
        .await
    }

    /// All messages up to ReadyForQuery or the end.
    pub(super) async fn until_ready(&mut self) -> Vec<(char, Vec<u8>)> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            let is_ready = message.0 == 'Z';
            messages.push(message);
            if is_ready {
                break;
            }
        }
        messages
    }
}

pub(super) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(((body.len() + 4) as u32).to_be_bytes());
    frame.extend(body);
    frame
}

/// The kinds of messages, as one word.
pub(super) fn kinds(messages: &[(char, Vec<u8>)]) -> String {
    messages.iter().map(|(kind, _)| kind).collect()
}

/// The SQLSTATE of the first error or notice among messages.
pub(super) fn code(messages: &[(char, Vec<u8>)]) -> Option<String> {
    let (_, body) = messages.iter().find(|(kind, _)| matches!(kind, 'E' | 'N'))?;
    body.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C')).map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
}

/// The status byte of ReadyForQuery.
pub(super) fn status(messages: &[(char, Vec<u8>)]) -> Option<char> {
    messages.iter().find(|(kind, _)| *kind == 'Z').map(|(_, body)| char::from(body[0]))
}

/// The tags of completed commands.
pub(super) fn tags(messages: &[(char, Vec<u8>)]) -> Vec<String> {
    messages
        .iter()
        .filter(|(kind, _)| *kind == 'C')
        .map(|(_, body)| String::from_utf8_lossy(&body[..body.len() - 1]).into_owned())
        .collect()
}

/// The SQLSTATE a driver was given.
pub(super) fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

struct TestBackend(Arc<TestEnvironment>);

impl Backend for TestBackend {
    fn environment(&self, database: &str) -> Option<Arc<dyn EnvironmentBackend>> {
        (database == "default").then(|| Arc::clone(&self.0) as _)
    }
}

/// Tables, each a schema and a name, and a user.
type AskedFor = (Vec<(String, String)>, String);

/// An environment whose tables tests may change.
pub(super) struct TestEnvironment {
    catalog: Arc<MemoryCatalogProviderList>,
    schema: Arc<MemorySchemaProvider>,
    version: AtomicU64,
    /// The version of the last change that came from `crm`.
    replaced: AtomicU64,
    second_looks: SecondLooks,
    pub(super) notifications: Arc<Notifications>,
    statements: Arc<crate::pg::StatementRegistry>,
    statement_cache: Arc<causeway_planner::StatementCache>,
    sessions: Arc<crate::pg::Sessions>,
    pub(super) refreshes: AtomicUsize,
    /// The tables that were looked at anew, and for whom.
    pub(super) asked: Mutex<Vec<AskedFor>>,
    found: Mutex<Found>,
    pub(super) open_streams: Arc<AtomicUsize>,
    pub(super) batches_made: Arc<AtomicUsize>,
}

#[async_trait]
impl EnvironmentBackend for TestEnvironment {
    fn name(&self) -> &str {
        "default"
    }

    fn notifications(&self) -> &Arc<Notifications> {
        &self.notifications
    }

    fn statements(&self) -> &Arc<crate::pg::StatementRegistry> {
        &self.statements
    }

    fn statement_cache(&self) -> &Arc<causeway_planner::StatementCache> {
        &self.statement_cache
    }

    fn sessions(&self) -> &Arc<crate::pg::Sessions> {
        &self.sessions
    }

    fn second_looks(&self) -> &SecondLooks {
        &self.second_looks
    }

    fn admit_change(&self, _schema: &str, _table: &str, _datasource: &str) -> causeway_providers::Result<()> {
        Ok(())
    }

    fn left_out(&self, schema: Option<&str>, table: &str, session: &SessionIdentity) -> Option<String> {
        let schema = schema.or(session.search_path.last().map(String::as_str)).unwrap_or_default();
        (table == "unreadable").then(|| format!("{schema}.{table} is left out."))
    }

    fn replaced(&self, datasource: &str, _tables: &[(String, String)]) -> u64 {
        assert_eq!(datasource, "crm");
        self.replaced.load(Ordering::SeqCst)
    }

    fn role(&self, _user: &str) -> Option<Arc<crate::roles::Role>> {
        None
    }

    fn visible(&self, _session: &SessionIdentity) -> VisibleCatalog {
        VisibleCatalog {
            catalog: Arc::clone(&self.catalog) as _,
            functions: Vec::new(),
            observer: None,
            version: self.version.load(Ordering::SeqCst),
        }
    }

    fn admit(&self, _changes: &[causeway_planner::ChangedRelation], _session: &SessionIdentity) -> providers::Result<()> {
        Ok(())
    }

    async fn look_again(&self, datasource: &str, tables: &[(String, String)], actor: &str) -> providers::Result<()> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().expect("no test panics with it").push((tables.to_vec(), actor.to_owned()));
        // As a source's answer does, it takes a while.
        tokio::task::yield_now().await;
        let found = std::mem::take(&mut *self.found.lock().expect("no test panics with it"));
        match found {
            Found::Nothing => Ok(()),
            Found::Table(name, table) => {
                self.publish(&name, table);
                Ok(())
            }
            Found::Silence => std::future::pending().await,
            Found::Refusal => Err(providers::Error::new(providers::ErrorKind::Unreachable, "connection refused").at(datasource)),
        }
    }

    async fn call(&self, procedure: &str, arguments: &[String], _session: &SessionIdentity) -> providers::Result<Outcome> {
        match (procedure, arguments) {
            ("causeway.refresh_catalog", [name]) => Ok(Outcome::told(format!("{name} refreshed"))),
            ("causeway.hang", []) => std::future::pending().await,
            _ => Err(providers::Error::new(providers::ErrorKind::Unsupported, format!("procedure {procedure} does not exist"))),
        }
    }

    async fn import_foreign_schema(
        &self,
        import: &ImportForeignSchema,
        session: &SessionIdentity,
        _asking: &Asking,
    ) -> providers::Result<Outcome> {
        if import.datasource != "crm" {
            let text = format!("datasource \"{}\" does not exist", import.datasource);
            return Err(providers::Error::new(providers::ErrorKind::Conflict, text));
        }
        let told = format!("{} imports {:?} of {}", session.user, import.selection, import.remote_schema);
        let step = |(remote, published): (&str, &str)| ImportStep {
            remote_table: remote.to_owned(),
            published_name: format!("{}.{published}", import.into_schema),
            action: "import".to_owned(),
            detail: String::new(),
        };
        Ok(Outcome { steps: import.renames().into_iter().map(step).collect(), ..Outcome::told(told) })
    }

    /// One named `waiting` waits for ever, and one named `written` takes long to be written.
    async fn drop_foreign_tables(
        &self,
        drop: &DropForeignTable,
        _session: &SessionIdentity,
        asking: &Asking,
    ) -> providers::Result<Outcome> {
        if drop.names.iter().any(|(_, table)| table == "waiting") {
            return std::future::pending().await;
        }
        if drop.names.iter().any(|(_, table)| table == "written") {
            asking.begin_writing()?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let missing = drop.names.iter().find(|(_, table)| table == "missing");
        match missing {
            Some((_, table)) if drop.if_exists => Ok(Outcome::told(format!("foreign table \"{table}\" does not exist, skipping"))),
            Some((_, table)) => {
                Err(providers::Error::new(providers::ErrorKind::NotFound, format!("foreign table \"{table}\" does not exist")))
            }
            None => Ok(Outcome::default()),
        }
    }
}

impl TestEnvironment {
    pub(super) fn new() -> Self {
        let catalog = Arc::new(MemoryCatalogProviderList::new());
        let database = Arc::new(MemoryCatalogProvider::new());
        let schema = Arc::new(MemorySchemaProvider::new());
        database.register_schema("public", Arc::clone(&schema) as _).expect("an empty catalog");
        catalog.register_catalog("default".to_owned(), database);
        let environment = Self {
            catalog,
            schema,
            version: AtomicU64::new(1),
            replaced: AtomicU64::new(0),
            second_looks: SecondLooks::default(),
            notifications: Arc::default(),
            statement_cache: Arc::default(),
            sessions: Arc::default(),
            statements: Arc::default(),
            refreshes: AtomicUsize::new(0),
            asked: Mutex::default(),
            found: Mutex::default(),
            open_streams: Arc::default(),
            batches_made: Arc::default(),
        };
        for (name, behaviour) in [
            ("slow", Behaviour::Slow),
            ("endless", Behaviour::Endless),
            ("stuck", Behaviour::Stuck),
            ("broken", Behaviour::Broken),
            ("unreachable", Behaviour::Unreachable),
            ("panics", Behaviour::Panics),
            ("outdated", Behaviour::Outdated),
            ("outdated_later", Behaviour::OutdatedLater),
        ] {
            environment.publish(name, environment.streaming(behaviour));
        }
        let numbers = Int64Array::from_iter_values(1..=10);
        environment.publish_rows("numbers", RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).expect("numbers"));
        environment
    }

    /// Publishes a table of `crm`, or replaces it, in a new version.
    pub(super) fn publish(&self, name: &str, table: Arc<dyn TableProvider>) {
        let _old = self.schema.deregister_table(name);
        self.schema.register_table(name.to_owned(), table).expect("the name is free");
        self.publish_elsewhere();
        self.replaced.store(self.version.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// A new version, as another datasource makes one.
    pub(super) fn publish_elsewhere(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn publish_rows(&self, name: &str, batch: RecordBatch) {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
        self.publish(name, Arc::new(table));
    }

    /// What the next refresh will find.
    pub(super) fn will_find(&self, found: Found) {
        *self.found.lock().expect("no test panics with it") = found;
    }

    pub(super) fn will_find_rows(&self, name: &str, batch: RecordBatch) {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
        self.will_find(Found::Table(name.to_owned(), Arc::new(table)));
    }

    fn streaming(&self, behaviour: Behaviour) -> Arc<dyn TableProvider> {
        let source = Source {
            behaviour,
            schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("filler", DataType::Utf8, false)])),
            open: Arc::clone(&self.open_streams),
            made: Arc::clone(&self.batches_made),
        };
        let schema = Arc::clone(&source.schema);
        Arc::new(StreamingTable::try_new(schema, vec![Arc::new(source)]).expect("a streaming table"))
    }
}

/// What a refresh of any datasource comes to.
#[derive(Default)]
pub(super) enum Found {
    /// All is as it was.
    #[default]
    Nothing,
    /// A table is another now.
    Table(String, Arc<dyn TableProvider>),
    /// The source does not answer.
    Silence,
    /// The source cannot be reached.
    Refusal,
}

#[derive(Debug, Clone, Copy)]
enum Behaviour {
    /// A row, then another every 20 ms, a thousand in all.
    Slow,
    /// A hundred rows of a kilobyte as often as they are asked for.
    Endless,
    /// One row and nothing more.
    Stuck,
    /// One row, then an error of the source.
    Broken,
    /// An error before the first row.
    Unreachable,
    /// One row, then a fault of ours.
    Panics,
    /// The source has no such table.
    Outdated,
    /// One row, then the source has no such column.
    OutdatedLater,
}

struct Source {
    behaviour: Behaviour,
    schema: SchemaRef,
    open: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.behaviour.fmt(f)
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.open.fetch_add(1, Ordering::SeqCst);
        Box::pin(Rows {
            behaviour: self.behaviour,
            schema: Arc::clone(&self.schema),
            open: Arc::clone(&self.open),
            made: Arc::clone(&self.made),
            sent: 0,
            pause: None,
        })
    }
}

struct Rows {
    behaviour: Behaviour,
    schema: SchemaRef,
    open: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    sent: usize,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Rows {
    fn batch(&self, rows: usize, filler: &str) -> RecordBatch {
        let first = (self.sent * rows) as i64;
        let numbers = Int64Array::from_iter_values(first..first + rows as i64);
        let fillers = StringArray::from(vec![filler; rows]);
        RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(numbers), Arc::new(fillers)]).expect("a batch of the schema")
    }

    fn fail(&self, kind: providers::ErrorKind, text: &str) -> DataFusionError {
        providers::Error::new(kind, text).at("crm").remote_code("22012").into()
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let item = match (self.behaviour, self.sent) {
            (Behaviour::Slow, 1_000) => return Poll::Ready(None),
            (Behaviour::Slow, _) => {
                self.pause = Some(Box::pin(tokio::time::sleep(Duration::from_millis(20))));
                Ok(self.batch(1, ""))
            }
            (Behaviour::Endless, _) => Ok(self.batch(100, &"x".repeat(1024))),
            (Behaviour::Stuck | Behaviour::Broken | Behaviour::Panics | Behaviour::OutdatedLater, 0) => Ok(self.batch(1, "")),
            (Behaviour::Stuck, _) => return Poll::Pending,
            (Behaviour::Panics, _) => panic!("a secret invariant does not hold"),
            (Behaviour::Broken, 1) => Err(self.fail(providers::ErrorKind::Failed, "division by zero")),
            (Behaviour::Unreachable, 0) => {
                Err(providers::Error::new(providers::ErrorKind::Unreachable, "connection refused").at("crm").into())
            }
            (Behaviour::Outdated, 0) | (Behaviour::OutdatedLater, 1) => {
                Err(providers::Error::new(providers::ErrorKind::NotFound, "relation \"t\" does not exist")
                    .at("crm")
                    .remote_code("42P01")
                    .into())
            }
            (Behaviour::Broken | Behaviour::Unreachable | Behaviour::Outdated | Behaviour::OutdatedLater, _) => return Poll::Ready(None),
        };
        self.sent += 1;
        self.made.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(item))
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}
