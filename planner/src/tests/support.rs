//! A dialect, remotes and a catalog for tests. The remotes compute what they are asked with a DataFusion of their own, so that
//! the answer with push-down can be compared with the answer without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use causeway_providers::sql::{
    Argument, ChangeDialect, ChangeForms, Dialect, LikeSupport, NullOrder, Quoting, RemoteSql, ScanLimits, Select, SharedSnapshot,
    SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics,
};
use causeway_providers::{
    Capabilities, CatalogMark, Comparison, Deadline, Introspection, PoolState, Presentation, Remote, RemoteColumn, RemoteId,
    RemotePresence, RemoteTable, RemoteTransaction, Scope, ServerVersion, Subject, TableKind, TransactionalRemote, Writer,
};

use crate::Statement;
use crate::column_names::name_columns;
use crate::engine::{Engine, EngineLimits, PushDown, StatementContext};
use crate::error::Result;
use crate::progress::Progress;
use crate::query::Query;

/// Writes SQL that DataFusion reads, and allows all that the tests need.
#[derive(Debug)]
pub(crate) struct TestDialect {
    /// What it says of named queries.
    once: bool,
}

impl Dialect for TestDialect {
    fn quote(&self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }

    fn quoting(&self) -> Quoting {
        Quoting::Standard
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", self.quote(schema), self.quote(name))
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        match value {
            ScalarValue::Utf8(Some(text)) => Some(format!("'{}'", text.replace('\'', "''"))),
            ScalarValue::Int32(Some(number)) => Some(number.to_string()),
            ScalarValue::Int64(Some(number)) => Some(number.to_string()),
            ScalarValue::Boolean(Some(truth)) => Some(truth.to_string().to_uppercase()),
            ScalarValue::Decimal128(Some(_), precision, scale) => {
                let text = value.to_array().and_then(|array| Ok(array_value_to_string(&array, 0)?)).ok()?;
                Some(format!("CAST('{text}' AS DECIMAL({precision}, {scale}))"))
            }
            ScalarValue::Date32(Some(_)) => {
                let text = value.to_array().and_then(|array| Ok(array_value_to_string(&array, 0)?)).ok()?;
                Some(format!("DATE '{text}'"))
            }
            _ => None,
        }
    }

    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        (column.presentation == Presentation::Uuid).then(|| self.literal(value)).flatten()
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        match data_type {
            DataType::Boolean => Some("BOOLEAN".to_owned()),
            DataType::Int32 => Some("INTEGER".to_owned()),
            DataType::Int64 => Some("BIGINT".to_owned()),
            DataType::Float64 => Some("DOUBLE".to_owned()),
            DataType::Utf8 => Some("VARCHAR".to_owned()),
            DataType::Date32 => Some("DATE".to_owned()),
            DataType::Decimal128(precision, scale) => Some(format!("DECIMAL({precision}, {scale})")),
            _ => None,
        }
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        matches!((from, to), (DataType::Int32, DataType::Int64) | (DataType::Int64 | DataType::Decimal128(..), DataType::Decimal128(..)))
            .then(|| self.type_name(to).map(|name| format!("CAST({sql} AS {name})")))
            .flatten()
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        match column.presentation {
            Presentation::Uuid => format!("CAST({sql} AS VARCHAR)"),
            _ => sql.to_owned(),
        }
    }

    fn tells_null(&self, column: &RemoteColumn) -> bool {
        column.name != "weight"
    }

    fn order_by(&self, sql: &str, _data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let nulls = if nulls == NullOrder::First { "FIRST" } else { "LAST" };
        format!("{sql} {direction} NULLS {nulls}")
    }

    fn group_by(&self, sql: &str, _data_type: &DataType) -> String {
        sql.to_owned()
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    fn joins_outer_on_anything(&self) -> bool {
        false
    }

    fn like(&self) -> LikeSupport {
        LikeSupport::Exact
    }

    fn computes(&self) -> bool {
        true
    }

    fn quotient(&self, _left: &str, _right: &str, _scale: u8) -> Option<String> {
        None
    }

    fn computes_named_queries_once(&self) -> bool {
        self.once
    }

    fn takes_subqueries_for_values(&self) -> bool {
        true
    }

    fn keeps_collations(&self) -> bool {
        false
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], _result: &DataType) -> Option<String> {
        match (name, arguments) {
            ("abs", [only]) => Some(format!("abs({})", only.sql)),
            ("coalesce", [one, other]) => Some(format!("coalesce({}, {})", one.sql, other.sql)),
            _ => None,
        }
    }

    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String> {
        let type_name = self.type_name(result)?;
        match (name, argument) {
            ("count", None) => Some(format!("count(*){over}")),
            ("count" | "sum" | "min" | "max" | "avg", Some(argument)) => {
                Some(format!("CAST({name}({}){over} AS {type_name})", argument.sql))
            }
            _ => None,
        }
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!("LIMIT {limit}"),
            (None, offset) => format!("OFFSET {offset}"),
            (Some(limit), offset) => format!("LIMIT {limit} OFFSET {offset}"),
        }
    }
}

impl ChangeDialect for TestDialect {
    fn forms(&self) -> ChangeForms {
        ChangeForms::ALL
    }

    fn assigned(&self, _column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        if value.is_null() { Some("NULL".to_owned()) } else { self.literal(value) }
    }

    fn by_code_point(&self, column: &RemoteColumn, sql: &str) -> Option<String> {
        matches!(column.comparison, Comparison::Equality | Comparison::SupersetEquality).then(|| format!("({sql} COLLATE \"C\")"))
    }
}

/// A remote that answers from memory.
#[derive(Debug)]
pub(crate) struct TestRemote {
    id: RemoteId,
    capabilities: Capabilities,
    /// How many streams it has handed out that are still alive.
    pub(crate) running: Arc<AtomicUsize>,
    tables: Vec<(RemoteTable, RecordBatch)>,
    failure: Option<causeway_providers::ErrorKind>,
}

#[async_trait]
impl Remote for TestRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self, _deadline: Deadline) -> causeway_providers::Result<ServerVersion> {
        Ok(ServerVersion { product: "Test".to_owned(), version: "1".to_owned() })
    }

    async fn introspect(&self, _scope: &Scope, _deadline: Deadline) -> causeway_providers::Result<Introspection> {
        Ok(Introspection::default())
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> causeway_providers::Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], _deadline: Deadline) -> causeway_providers::Result<Vec<RemotePresence>> {
        let is_there = |subject: &Subject| self.tables.iter().any(|(table, _)| table.subject() == *subject);
        let answer = |subject| if is_there(subject) { RemotePresence::Readable } else { RemotePresence::Absent };
        Ok(subjects.iter().map(answer).collect())
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> causeway_providers::Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(SqlTable::new(self, table.clone(), Some(Duration::from_secs(30)))))
    }

    fn pool(&self) -> Option<PoolState> {
        None
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        Some(self)
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {}
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SqlRemote for TestRemote {
    fn dialect(&self) -> &dyn Dialect {
        // Of two sources one computes a named query each time.
        if self.id.as_str() == "shop" { &TestDialect { once: false } } else { &TestDialect { once: true } }
    }

    fn as_transactional(self: Arc<Self>) -> Option<Arc<dyn TransactionalRemote>> {
        if self.capabilities.filter { Some(self) } else { None }
    }

    fn split(self: Arc<Self>, _table: &RemoteTable, _select: &Select, _streams: usize) -> Option<Arc<dyn SplitScan>> {
        None
    }

    fn share_snapshot(self: Arc<Self>, _scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        None
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        None
    }

    fn statistics(&self, _table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        None
    }

    fn execute(
        self: Arc<Self>,
        sql: RemoteSql,
        schema: SchemaRef,
        _limits: ScanLimits,
    ) -> causeway_providers::Result<SendableRecordBatchStream> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        let promised = Arc::clone(&schema);
        let rows = async move {
            if let Some(kind) = self.failure {
                return Err(causeway_providers::Error::new(kind, "the connection was lost").at(self.id.as_str()).into());
            }
            let session = self.session()?;
            // A real source lets columns be named alike; this one must be helped.
            let statement = match crate::parse::parse(&sql.text)?.remove(0) {
                Statement::Statement(statement) => Statement::Statement(Box::new(name_columns(*statement))),
                other => other,
            };
            let plan = session.state().statement_to_plan(statement).await?;
            let rows = session.execute_logical_plan(plan).await?.execute_stream().await?;
            Ok::<_, DataFusionError>(rows)
        };
        let rows = futures::stream::once(rows).try_flatten().and_then(move |batch| {
            let _alive = &running;
            futures::future::ready(relabel(&batch, &promised))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Its changes are worded and not made.
#[async_trait]
impl TransactionalRemote for TestRemote {
    async fn begin(&self, _deadline: Deadline) -> causeway_providers::Result<Box<dyn RemoteTransaction>> {
        Err(causeway_providers::Error::new(causeway_providers::ErrorKind::Unsupported, "a remote of tests has no transactions"))
    }

    fn change_dialect(&self) -> &dyn ChangeDialect {
        &TestDialect { once: true }
    }

    fn transaction_pool(&self) -> PoolState {
        PoolState::default()
    }
}

impl TestRemote {
    fn session(&self) -> DataFusionResult<SessionContext> {
        let session = SessionContext::new();
        for (table, rows) in &self.tables {
            let provider = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
            let name = self.dialect().table(&table.schema, &table.name);
            session.register_table(name.as_str(), Arc::new(provider))?;
        }
        Ok(session)
    }
}

fn relabel(batch: &RecordBatch, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| cast(column, field.data_type()))
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A column for a test table.
pub(crate) fn column(name: &str, data_type: DataType, comparison: Comparison) -> RemoteColumn {
    let collation = (data_type == DataType::Utf8).then(|| match comparison {
        Comparison::Total => "C".to_owned(),
        Comparison::SupersetEquality => "case_insensitive".to_owned(),
        _ => "en_US.utf8".to_owned(),
    });
    RemoteColumn {
        name: name.to_owned(),
        remote_type: data_type.to_string(),
        data_type,
        presentation: Presentation::Plain,
        nullable: true,
        comment: None,
        collation,
        comparison,
    }
}

fn remote_table(name: &str, columns: Vec<RemoteColumn>, row_estimate: u64) -> RemoteTable {
    // Each has its rows by `id`, if it has one.
    let primary_key = columns.iter().filter(|column| column.name == "id").map(|column| column.name.clone()).collect();
    RemoteTable {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind: TableKind::Table,
        columns,
        primary_key,
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: Some(row_estimate),
    }
}

fn batch(table: &RemoteTable, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(table.arrow_schema(), columns).unwrap()
}

fn money(values: Vec<Option<i128>>) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(12, 2).unwrap())
}

/// An engine and a catalog of two datasources that compute, one that only reads, and one that is down.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) context: StatementContext,
    pub(crate) crm: Arc<TestRemote>,
    _spill: SpillFolder,
}

struct SpillFolder(std::path::PathBuf);

impl Drop for SpillFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn crm_tables() -> Vec<(RemoteTable, RecordBatch)> {
    use Comparison::{Equality, SupersetEquality, Total};
    let mut key = column("key", DataType::Utf8, Total);
    key.presentation = Presentation::Uuid;
    let customers = remote_table(
        "customers",
        vec![
            column("id", DataType::Int64, Total),
            column("name", DataType::Utf8, Equality),
            column("city", DataType::Utf8, Total),
            column("balance", DataType::Decimal128(12, 2), Total),
            column("joined", DataType::Date32, Total),
            key,
        ],
        1000,
    );
    let customer_rows = batch(
        &customers,
        vec![
            Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5])),
            Arc::new(StringArray::from(vec![Some("Ada"), Some("bob"), Some("Cleo"), None, Some("Ada")])),
            Arc::new(StringArray::from(vec![Some("Rome"), Some("Oslo"), Some("Rome"), Some("Bern"), None])),
            money(vec![Some(1000), Some(250), None, Some(-75), Some(1000)]),
            Arc::new(Date32Array::from(vec![Some(19000), Some(19001), None, Some(18000), Some(19500)])),
            Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"])),
        ],
    );
    let orders = remote_table(
        "orders",
        vec![
            column("id", DataType::Int64, Total),
            column("customer_id", DataType::Int64, Total),
            column("total", DataType::Decimal128(12, 2), Total),
            column("status", DataType::Utf8, Total),
            column("note", DataType::Utf8, SupersetEquality),
        ],
        50_000,
    );
    let order_rows = batch(
        &orders,
        vec![
            Arc::new(Int64Array::from(vec![10, 11, 12, 13, 14, 15])),
            Arc::new(Int64Array::from(vec![Some(1), Some(1), Some(2), Some(3), None, Some(9)])),
            money(vec![Some(500), Some(700), Some(250), None, Some(125), Some(9900)]),
            Arc::new(StringArray::from(vec![Some("open"), Some("paid"), Some("paid"), Some("open"), Some("void"), None])),
            Arc::new(StringArray::from(vec![Some("x"), Some("X"), None, Some("y"), Some("x"), Some("z")])),
        ],
    );
    let odd = remote_table(
        "Odd Table",
        vec![
            column("Mixed Case", DataType::Int64, Total),
            column("select", DataType::Utf8, Total),
            column("q\"uote", DataType::Int64, Total),
        ],
        10,
    );
    let odd_rows = batch(
        &odd,
        vec![
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(StringArray::from(vec!["it's", "b"])),
            Arc::new(Int64Array::from(vec![7, 8])),
        ],
    );
    vec![(customers, customer_rows), (orders, order_rows), (odd, odd_rows)]
}

fn shop_tables() -> Vec<(RemoteTable, RecordBatch)> {
    use Comparison::{Equality, Float, Total};
    let items = remote_table(
        "items",
        vec![
            column("order_id", DataType::Int64, Total),
            column("sku", DataType::Utf8, Equality),
            column("qty", DataType::Int64, Total),
            column("weight", DataType::Float64, Float),
        ],
        200_000,
    );
    let item_rows = batch(
        &items,
        vec![
            Arc::new(Int64Array::from(vec![10, 10, 11, 12, 15, 99])),
            Arc::new(StringArray::from(vec!["nut", "bolt", "nut", "gear", "nut", "bolt"])),
            Arc::new(Int64Array::from(vec![Some(3), Some(1), None, Some(5), Some(2), Some(8)])),
            Arc::new(datafusion::arrow::array::Float64Array::from(vec![1.5, 0.0, -0.0, f64::NAN, 2.5, 1.5])),
        ],
    );
    vec![(items, item_rows)]
}

fn remote(id: &str, capabilities: Capabilities, tables: Vec<(RemoteTable, RecordBatch)>) -> Arc<TestRemote> {
    Arc::new(TestRemote { id: RemoteId::new(id), capabilities, running: Arc::default(), tables, failure: None })
}

fn schema_of(remote: &Arc<TestRemote>) -> Arc<MemorySchemaProvider> {
    let schema = MemorySchemaProvider::new();
    for (table, _) in &remote.tables {
        let provider = Arc::clone(remote).table(table).unwrap();
        schema.register_table(table.name.clone(), provider).unwrap();
    }
    Arc::new(schema)
}

/// The world the tests live in.
pub(crate) fn world() -> World {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = format!("causeway-planner-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let spill = std::env::temp_dir().join(folder);
    let engine = Engine::new(EngineLimits { memory: 256 << 20, spill: spill.clone(), spill_quota: 1 << 30 }).unwrap();
    let crm = remote("crm", Capabilities::ALL, crm_tables());
    let shop = remote("shop", Capabilities::ALL, shop_tables());
    let plain = remote("plain", Capabilities::SCAN_ONLY, crm_tables());
    let down = Arc::new(TestRemote {
        id: RemoteId::new("down"),
        capabilities: Capabilities::ALL,
        running: Arc::default(),
        tables: crm_tables(),
        failure: Some(causeway_providers::ErrorKind::Unreachable),
    });
    let catalog = MemoryCatalogProvider::new();
    for (name, remote) in [("crm", &crm), ("shop", &shop), ("plain", &plain), ("down", &down)] {
        catalog.register_schema(name, schema_of(remote)).unwrap();
    }
    let system = MemorySchemaProvider::new();
    let version = batch(
        &remote_table("pg_class", vec![column("relname", DataType::Utf8, Comparison::Total)], 1),
        vec![Arc::new(StringArray::from(vec!["pg_class"]))],
    );
    let version = MemTable::try_new(version.schema(), vec![vec![version]]).unwrap();
    system.register_table("pg_class".to_owned(), Arc::new(version)).unwrap();
    catalog.register_schema("pg_catalog", Arc::new(system)).unwrap();
    let list = MemoryCatalogProviderList::new();
    list.register_catalog("default".to_owned(), Arc::new(catalog));
    let context = StatementContext {
        catalog: Arc::new(list),
        environment: "default".to_owned(),
        search_path: vec!["crm".to_owned()],
        time_zone: "+00:00".to_owned(),
        functions: Vec::new(),
        push_down: PushDown::On,
        observer: None,
        guardrails: None,
    };
    World { engine, context, crm, _spill: SpillFolder(spill) }
}

impl World {
    /// The same world with push-down off.
    pub(crate) fn without_push_down(mut self) -> Self {
        self.context.push_down = PushDown::Off;
        self
    }

    pub(crate) async fn plan(&self, sql: &str) -> Result<Query> {
        let statements = self.engine.parse(sql)?;
        assert_eq!(statements.len(), 1, "{sql}");
        self.engine.plan(&statements[0], &[], &self.context).await
    }

    /// The rows of a query, values as text.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        self.plan(sql).await?.rows(Vec::new()).await
    }

    /// The lines of `EXPLAIN`.
    pub(crate) async fn explain(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(&format!("EXPLAIN {sql}")).await.unwrap();
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// What the remotes are asked, such as `crm: SELECT ...`.
    pub(crate) async fn remote_sql(&self, sql: &str) -> Vec<String> {
        let lines = self.explain(sql).await;
        lines.iter().filter_map(|line| line.strip_prefix("  [")?.split_once("] ").map(|(_, sql)| sql.to_owned())).collect()
    }

    /// What stays here, such as `Sort on crm: reason`.
    pub(crate) async fn kept(&self, sql: &str) -> Vec<String> {
        let lines = self.explain(sql).await;
        let kept = lines.iter().skip_while(|line| *line != "Computed here").skip(1).take_while(|line| !line.is_empty());
        kept.map(|line| line.trim().to_owned()).collect()
    }
}

impl Query {
    pub(crate) async fn rows(&self, parameters: Vec<ScalarValue>) -> Result<Vec<Vec<String>>> {
        let stream = self.execute(parameters, &Progress::default()).await?.rows;
        assert_eq!(&stream.schema(), self.schema());
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let mut rows = Vec::new();
        for batch in batches {
            assert_eq!(&batch.schema(), self.schema());
            for row in 0..batch.num_rows() {
                let values = batch
                    .columns()
                    .iter()
                    .map(|column| if column.is_null(row) { "NULL".to_owned() } else { array_value_to_string(column, row).unwrap() });
                rows.push(values.collect());
            }
        }
        Ok(rows)
    }
}
