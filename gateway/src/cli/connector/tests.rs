//! The contract itself: it holds for the reference and for SQLite, and no capability can be declared otherwise without its telling.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_providers::contract::{Checked, Contract, Coverage, Extent, Report, TableExtent};
use causeway_providers::sql::{
    Dialect, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics,
};
use causeway_providers::{
    Capabilities, CatalogMark, Connector, ConnectorRegistry, Deadline, DeclaredType, Introspection, Manifest, MemoryConnector, MemoryTable,
    Options, PoolState, Remote, RemoteId, RemotePresence, RemoteTable, Result, Scope, ServerVersion, Subject, TypeChange, Writer,
    write_sqlite_sample,
};
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use tempfile::TempDir;

use super::engine::PlannerEngine;

/// Two tables of numbers and words in memory.
fn memory() -> MemoryConnector {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("word", DataType::Utf8, true)]));
    let numbers: Int64Array = (0..40).map(|n| (n % 7 != 0).then_some(n * 37 % 60 - 30)).collect();
    let words: StringArray = (0..40).map(|n| ["a", "A", "ß", "", "b"].get(n % 6).copied()).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers), Arc::new(words)]).unwrap();
    let proof = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true), Field::new("expected", DataType::Utf8, true)]));
    let values = Int64Array::from(vec![Some(i64::MIN), None]);
    let expected = StringArray::from(vec![Some("-9223372036854775808"), None]);
    let proofs = RecordBatch::try_new(Arc::clone(&proof), vec![Arc::new(values), Arc::new(expected)]).unwrap();
    let tables = vec![MemoryTable::new("things", schema, vec![batch]), MemoryTable::new("value_bigint", proof, vec![proofs])];
    MemoryConnector::default().with_tables("source", tables)
}

fn sqlite(folder: &TempDir) -> BTreeMap<String, String> {
    let path = folder.path().join("contract.db");
    let script = "CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER, word TEXT);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60)
        INSERT INTO things SELECT i, nullif(i * 37 % 60, 7), char(64 + i % 40) FROM c;";
    write_sqlite_sample(&path, script).unwrap();
    BTreeMap::from([("path".to_owned(), path.display().to_string())])
}

async fn report(connector: &dyn Connector, options: BTreeMap<String, String>, extent: Extent) -> Report {
    let options = Options::check(connector.manifest(), RemoteId::new("source"), Path::new("/"), options, BTreeMap::new()).unwrap();
    let engine = PlannerEngine::new().unwrap();
    let coverage = Coverage::default();
    let contract = Contract { connector, options: &options, coverage: &coverage, engine: &engine, extent };
    contract.run(&mut |_| {}).await
}

fn failures(report: &Report) -> Vec<String> {
    report.failures().map(|(group, failure)| format!("{group}: {failure}")).collect()
}

#[tokio::test]
async fn the_reference_keeps_it() {
    let report = report(&memory(), BTreeMap::new(), Extent::default()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(report.passed() > 110, "{report:?}");
}

#[tokio::test]
async fn no_flag_can_be_another() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlite(&folder);
    let connector = ConnectorRegistry::built_in().get("sqlite").unwrap().clone();
    // One column shows each capability.
    let extent = Extent { tables: 1, columns: 1 };
    let honest = report(connector.as_ref(), options.clone(), extent).await;
    assert_eq!(failures(&honest), Vec::<String>::new());
    for (name, flip) in flips() {
        for (connector, options) in [(Arc::clone(&connector), options.clone()), (Arc::new(memory()) as Arc<dyn Connector>, BTreeMap::new())]
        {
            let report = report(&Misdeclared::new(connector, flip), options, extent).await;
            assert!(report.failures().next().is_some(), "{name} of {} was declared otherwise", report.kind);
        }
    }
}

#[tokio::test]
async fn a_part_of_a_large_table_shows_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.db");
    let script = "CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 6000)
        INSERT INTO things SELECT i, i * 37 % 60 FROM c;";
    write_sqlite_sample(&path, script).unwrap();
    let options = BTreeMap::from([("path".to_owned(), path.display().to_string())]);
    let connector = ConnectorRegistry::built_in().get("sqlite").unwrap().clone();
    let extent = Extent { tables: 1, columns: 2 };
    let honest = report(connector.as_ref(), options.clone(), extent).await;
    assert_eq!(failures(&honest), Vec::<String>::new());
    assert!(matches!(&honest.tables[..], [TableExtent { checked: Checked::Part(_), .. }]), "{:?}", honest.tables);
    for (name, flip) in flips().into_iter().filter(|(name, _)| ["limit", "sort", "aggregate", "inner_join"].contains(name)) {
        let report = report(&Misdeclared::new(Arc::clone(&connector), flip), options.clone(), extent).await;
        assert!(report.failures().next().is_some(), "{name} was declared otherwise");
    }
}

/// One flag changed, by name.
type Flip = (&'static str, fn(&mut Capabilities));

fn flips() -> [Flip; 11] {
    let flips: [Flip; 11] = [
        ("filter", |c| c.filter = !c.filter),
        ("limit", |c| c.limit = !c.limit),
        ("sort", |c| c.sort = !c.sort),
        ("aggregate", |c| c.aggregate = !c.aggregate),
        ("window", |c| c.window = !c.window),
        ("inner_join", |c| c.inner_join = !c.inner_join),
        ("outer_join", |c| c.outer_join = !c.outer_join),
        ("full_join", |c| c.full_join = !c.full_join),
        ("semi_join", |c| c.semi_join = !c.semi_join),
        ("cancel", |c| c.cancel = !c.cancel),
        ("statement_timeout", |c| c.statement_timeout = !c.statement_timeout),
    ];
    assert_eq!(flips.map(|(name, _)| name), Capabilities::SCAN_ONLY.flags().map(|(name, _)| name));
    flips
}

/// A connector that declares one thing that is not so, in its manifest and in its remotes.
#[derive(Debug)]
struct Misdeclared {
    inner: Arc<dyn Connector>,
    manifest: &'static Manifest,
}

impl Misdeclared {
    fn new(inner: Arc<dyn Connector>, flip: fn(&mut Capabilities)) -> Self {
        let Manifest { kind, version, description, mut capabilities, health_check, options, faults } = *inner.manifest();
        flip(&mut capabilities);
        // A manifest lives as long as the process, in tests as well.
        let manifest = Box::leak(Box::new(Manifest { kind, version, description, capabilities, health_check, options, faults }));
        Self { inner, manifest }
    }
}

#[async_trait]
impl Connector for Misdeclared {
    fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let remote = self.inner.open(options).await?;
        let sql = Arc::clone(&remote).as_sql();
        Ok(Arc::new(MisdeclaredRemote { remote, sql, capabilities: self.manifest.capabilities }))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        self.inner.type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        self.inner.declared_type(text)
    }
}

#[derive(Debug)]
struct MisdeclaredRemote {
    remote: Arc<dyn Remote>,
    sql: Option<Arc<dyn SqlRemote>>,
    capabilities: Capabilities,
}

impl MisdeclaredRemote {
    fn statements(&self) -> &Arc<dyn SqlRemote> {
        self.sql.as_ref().expect("only a remote that takes statements is asked for them")
    }
}

#[async_trait]
impl Remote for MisdeclaredRemote {
    fn id(&self) -> &RemoteId {
        self.remote.id()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.remote.ping(deadline).await
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        self.remote.introspect(scope, deadline).await
    }

    async fn catalog_mark(&self, deadline: Deadline) -> Result<Option<CatalogMark>> {
        self.remote.catalog_mark(deadline).await
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        self.remote.presence(subjects, deadline).await
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        match &self.sql {
            Some(_) => Ok(Arc::new(SqlTable::new(self, table.clone(), None))),
            None => Arc::clone(&self.remote).table(table),
        }
    }

    fn pool(&self) -> Option<PoolState> {
        self.remote.pool()
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        if self.sql.is_some() { Some(self) } else { None }
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        Arc::clone(&self.remote).as_writer()
    }

    async fn close(&self) {
        self.remote.close().await;
    }
}

impl SqlRemote for MisdeclaredRemote {
    fn dialect(&self) -> &dyn Dialect {
        self.statements().dialect()
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        Arc::clone(self.statements()).execute(sql, schema, limits)
    }

    fn split(self: Arc<Self>, table: &RemoteTable, select: &Select, streams: usize) -> Option<Arc<dyn SplitScan>> {
        Arc::clone(self.statements()).split(table, select, streams)
    }

    fn share_snapshot(self: Arc<Self>, scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        Arc::clone(self.statements()).share_snapshot(scans)
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        self.statements().first_row_timeout()
    }

    fn statistics(&self, table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        self.statements().statistics(table)
    }
}
