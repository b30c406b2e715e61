//! The `postgres` connector: bulk introspection, scans by binary `COPY`, and whole statements in PostgreSQL's own SQL.

mod block_ranges;
mod catalog_mark;
mod connect;
mod copy_binary;
mod copy_reader;
mod copy_writer;
mod declared_type;
mod definition;
mod described;
mod dialect;
mod exported_snapshot;
mod failure;
mod insert;
mod introspect;
mod known_tables;
mod manifest;
mod parallel_scan;
mod returned_rows;
mod scan;
mod seat;
mod shape;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod type_change;
mod type_mapping;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::{BoxFuture, join3};
use tokio_util::sync::CancellationToken;

use self::connect::{Connections, Lease, Target};
use self::dialect::PostgresDialect;
use self::exported_snapshot::ExportedSnapshot;
use self::introspect::Look;
use self::known_tables::KnownTables;
use self::parallel_scan::ParallelScan;
use self::scan::{Scan, Source};
use self::type_mapping::NumericPolicy;
use crate::capabilities::Capabilities;
use crate::changes::TransactionalRemote;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::options::Options;
use crate::pool::{Access, PoolState};
use crate::remote::{CatalogMark, Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::{Dialect, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics};
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// Opens PostgreSQL databases.
#[derive(Debug, Default)]
pub(crate) struct PostgresConnector;

#[async_trait]
impl Connector for PostgresConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        Ok(PostgresRemote::open(options).await?)
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

/// One opened database.
#[derive(Debug)]
struct PostgresRemote {
    id: RemoteId,
    connections: Arc<Connections>,
    /// The one connection that writes, dialled by the first write.
    writing: Arc<Connections>,
    /// One for each open transaction, dialled by the first of them.
    changing: Arc<Connections>,
    dialect: &'static PostgresDialect,
    numeric: NumericPolicy,
    /// What the looks so far told of the tables' sizes.
    known: Arc<KnownTables>,
    /// Whether the server reads ranges of a table.
    reads_ranges: bool,
    query_timeout: Option<Duration>,
    first_row_timeout: Option<Duration>,
    closed: CancellationToken,
}

impl PostgresRemote {
    async fn open(options: &Options) -> Result<Arc<Self>> {
        let at = |error: crate::Error| error.at(options.id.as_str());
        let connections = Connections::new(Target::new(options, Access::Read).map_err(at)?);
        let writing = Connections::new(Target::new(options, Access::Write).map_err(at)?);
        let changing = Connections::new(Target::new(options, Access::Change).map_err(at)?);
        // The first connection proves the options, and is kept for the first statement.
        let lease = connections.lease(None).await.map_err(at)?;
        let dialect: &'static PostgresDialect = match lease.server_encoding() {
            "SQL_ASCII" => &PostgresDialect::BYTES,
            _ => &PostgresDialect::CHARACTERS,
        };
        let reads_ranges = lease.server_major().is_some_and(|major| major >= parallel_scan::OLDEST_SERVER);
        lease.finish();
        Ok(Arc::new(Self {
            id: options.id.clone(),
            connections,
            writing,
            changing,
            dialect,
            numeric: NumericPolicy::from_options(options).map_err(at)?,
            known: Arc::default(),
            reads_ranges,
            query_timeout: options.query_timeout,
            first_row_timeout: options.first_row_timeout,
            closed: CancellationToken::new(),
        }))
    }

    fn source(&self) -> Source {
        Source {
            id: self.id.clone(),
            connections: Arc::clone(&self.connections),
            closed: self.closed.clone(),
            dialect: self.dialect,
            known: Arc::clone(&self.known),
        }
    }

    /// Runs `work` on a connection, within `deadline`; when the deadline passes, the statement is cancelled at the source.
    async fn within<T>(
        &self,
        deadline: Deadline,
        what: &str,
        work: impl for<'a> Fn(&'a Lease) -> BoxFuture<'a, Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        let attempt = async {
            loop {
                let mut lease = self.connections.lease_within(deadline).await?;
                let used = lease.is_used();
                lease.begin();
                match work(&lease).await {
                    Ok(done) => {
                        lease.finish();
                        return Ok(done);
                    }
                    Err(error) => {
                        lease.discard();
                        if !(used && failure::is_lost(&error)) {
                            return Err(failure::running(error, None));
                        }
                    }
                }
            }
        };
        tokio::select! {
            done = deadline.bound(what, attempt) => done,
            () = self.closed.cancelled() => Err(scan::closed()),
        }
        .map_err(|error| error.at(self.id.as_str()))
    }
}

#[async_trait]
impl Remote for PostgresRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &manifest::MANIFEST.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.connections.has_room()?;
        let version = self
            .within(deadline, "asking the server whether it is there", |lease| {
                Box::pin(async {
                    lease.client().simple_query("").await?;
                    Ok(lease.server_version().to_owned())
                })
            })
            .await?;
        Ok(ServerVersion { product: "PostgreSQL".to_owned(), version })
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        let values = self.known.values_are_due();
        let look = Look { scope: scope.clone(), values, numeric: self.numeric };
        let (seen, facts) = self
            .within(deadline, "reading the catalog", move |lease| {
                let look = look.clone();
                Box::pin(async move { introspect::introspect(lease.client(), &look).await })
            })
            .await?;
        self.known.learn(scope, facts, values);
        Ok(seen)
    }

    async fn catalog_mark(&self, deadline: Deadline) -> Result<Option<CatalogMark>> {
        // How values are spread is what no mark tells.
        if self.known.values_are_due() {
            return Ok(None);
        }
        self.within(deadline, "asking whether the catalog has changed", |lease| Box::pin(catalog_mark::read(lease.client()))).await
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let subjects: Arc<[Subject]> = subjects.into();
        self.within(deadline, "reading the catalog", move |lease| {
            let subjects = Arc::clone(&subjects);
            Box::pin(async move { introspect::presence(lease.client(), &subjects).await })
        })
        .await
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        let query_timeout = self.query_timeout;
        Ok(Arc::new(SqlTable::new(self, table.clone(), query_timeout)))
    }

    fn pool(&self) -> Option<PoolState> {
        Some(self.connections.state())
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        Some(self)
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        Some(self)
    }

    async fn close(&self) {
        self.closed.cancel();
        join3(self.connections.close(), self.writing.close(), self.changing.close()).await;
    }
}

impl SqlRemote for PostgresRemote {
    fn dialect(&self) -> &dyn Dialect {
        self.dialect
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        Scan { source: self.source(), sql, limits, snapshot: None }.stream(schema)
    }

    fn split(self: Arc<Self>, table: &RemoteTable, select: &Select, streams: usize) -> Option<Arc<dyn SplitScan>> {
        let blocks = self.known.blocks(table).filter(|_| self.reads_ranges)?;
        ParallelScan::new(self.source(), select, blocks, streams).map(|scan| Arc::new(scan) as Arc<dyn SplitScan>)
    }

    fn share_snapshot(self: Arc<Self>, scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        Some(ExportedSnapshot::new(self.source(), self.query_timeout, scans))
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        self.first_row_timeout
    }

    fn statistics(&self, table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        self.known.statistics(table)
    }

    fn as_transactional(self: Arc<Self>) -> Option<Arc<dyn TransactionalRemote>> {
        Some(self)
    }
}
