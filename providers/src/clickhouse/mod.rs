//! The `clickhouse` connector: ClickHouse over its HTTP interface, in Arrow.

mod answer;
mod connect;
mod convert;
mod declared_type;
mod dialect;
mod failure;
mod introspect;
mod manifest;
mod remote_type;
mod scan;
mod settings;
mod tls;
mod type_change;
mod type_mapping;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use tokio_util::sync::CancellationToken;

use self::connect::{Server, ServerDial};
use self::dialect::ClickHouseDialect;
use self::failure::Failure;
use self::manifest::MANIFEST;
use crate::capabilities::Capabilities;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::pool::{Pool, PoolState, Pooled};
use crate::remote::{CatalogMark, Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::{Dialect, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics};
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// The connector.
#[derive(Debug, Default)]
pub(crate) struct ClickHouseConnector;

#[async_trait]
impl Connector for ClickHouseConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        Ok(Arc::new(ClickHouseRemote::open(options).await?))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

/// The first server that is asked to join: older ones refuse what a join may be on, and none older was tried.
const JOINING_SERVER: (u32, u32) = (26, 9);

/// An opened datasource.
struct ClickHouseRemote {
    id: RemoteId,
    capabilities: Capabilities,
    server: Arc<Server>,
    pool: Arc<Pool<ServerDial>>,
    query_timeout: Option<Duration>,
    first_row_timeout: Option<Duration>,
    closed: CancellationToken,
}

impl ClickHouseRemote {
    async fn open(options: &Options) -> Result<Self> {
        let id = options.id.clone();
        let at = |error: Error| error.at(id.as_str());
        let server = Server::new(options).map_err(at)?;
        let deadline = Deadline::after(options.pool.connect_timeout);
        let pool = Pool::new(id.clone(), options.pool, server.connections());
        let mut session = pool.acquire(None).await?;
        let version = match tokio::time::timeout_at(deadline.instant(), session.version()).await {
            Ok(answer) => answer.map_err(|cause| at(failure::of_connect(cause, server.place())))?,
            Err(_) => return Err(at(server.silent())),
        };
        session.finish();
        session.give_back();
        Ok(Self {
            id,
            capabilities: capabilities(&version),
            server,
            pool,
            query_timeout: options.query_timeout,
            first_row_timeout: options.first_row_timeout,
            closed: CancellationToken::new(),
        })
    }

    /// A connection of the pool. One that idled may have been closed by the server.
    async fn session(&self, deadline: Option<Deadline>) -> Result<Pooled<ServerDial>> {
        self.pool.acquire(deadline).await
    }

    /// A new connection. When one that idled was closed by the server, so were most likely all.
    async fn fresh_session(&self, deadline: Option<Deadline>) -> Result<Pooled<ServerDial>> {
        self.pool.acquire_fresh(deadline).await
    }

    /// A connection that has just answered, for statements of our own, and the server's version.
    async fn proven_session(&self, deadline: Deadline) -> Result<(Pooled<ServerDial>, String)> {
        let mut session = self.session(Some(deadline)).await?;
        let mut answer = session.version().await;
        if session.has_served() && answer.as_ref().is_err_and(Failure::is_lost_connection) {
            session.finish();
            drop(session);
            session = self.fresh_session(Some(deadline)).await?;
            answer = session.version().await;
        }
        let version = answer.map_err(|cause| failure::of_statement(cause, None));
        session.finish();
        Ok((session, version?))
    }

    /// Runs `work` unless or until the datasource is closed.
    async fn until_closed<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {
                Err(Error::new(ErrorKind::Unreachable, "the datasource was closed").at(self.id.as_str()))
            }
            done = work => done,
        }
    }

    async fn look(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        let (mut session, _) = self.proven_session(deadline).await?;
        let seen = introspect::introspect(&mut session, &self.server.database, scope).await;
        settle(session, seen)
    }

    async fn look_for(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let (mut session, _) = self.proven_session(deadline).await?;
        let presence = introspect::presence(&mut session, subjects).await;
        settle(session, presence)
    }
}

/// Gives a connection back after one of our own statements. One that was refused is over at the server as well.
fn settle<T>(mut session: Pooled<ServerDial>, outcome: Result<T, Failure>) -> Result<T> {
    if matches!(outcome, Ok(_) | Err(Failure::Refused(_))) {
        session.finish();
        session.give_back();
    }
    outcome.map_err(|cause| failure::of_statement(cause, None))
}

/// What a server of `version` computes as we do.
fn capabilities(version: &str) -> Capabilities {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let is_joining = matches!((numbers.next(), numbers.next()), (Some(Ok(year)), Some(Ok(month))) if (year, month) >= JOINING_SERVER);
    match is_joining {
        true => MANIFEST.capabilities,
        false => Capabilities { inner_join: false, outer_join: false, full_join: false, ..MANIFEST.capabilities },
    }
}

#[async_trait]
impl Remote for ClickHouseRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.pool.has_room()?;
        let ping = async {
            let (session, version) = self.proven_session(deadline).await?;
            session.give_back();
            Ok(ServerVersion { product: "ClickHouse".to_owned(), version })
        };
        deadline.bound("the ping", self.until_closed(ping)).await.map_err(|error| error.at(self.id.as_str()))
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        let look = self.until_closed(self.look(scope, deadline));
        deadline.bound("introspection", look).await.map_err(|error| error.at(self.id.as_str()))
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        // Grants change without a trace in what it could be made of.
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let look = self.until_closed(self.look_for(subjects, deadline));
        deadline.bound("looking for tables", look).await.map_err(|error| error.at(self.id.as_str()))
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        let query_timeout = self.query_timeout;
        Ok(Arc::new(SqlTable::new(self, table.clone(), query_timeout)))
    }

    fn pool(&self) -> Option<PoolState> {
        Some(self.pool.state())
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        Some(self)
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        // No key of the server's keeps a row from being there twice.
        None
    }

    async fn close(&self) {
        self.closed.cancel();
        self.pool.close();
        self.server.settle().await;
    }
}

impl SqlRemote for ClickHouseRemote {
    fn dialect(&self) -> &dyn Dialect {
        &ClickHouseDialect
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        scan::execute(self, sql, schema, limits)
    }

    fn split(self: Arc<Self>, _table: &RemoteTable, _select: &Select, _streams: usize) -> Option<Arc<dyn SplitScan>> {
        // Two statements see two states of a table.
        None
    }

    fn share_snapshot(self: Arc<Self>, _scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        // As above.
        None
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        self.first_row_timeout
    }

    fn statistics(&self, _table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        None
    }
}

impl fmt::Debug for ClickHouseRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseRemote").field("id", &self.id).field("server", &self.server).finish_non_exhaustive()
    }
}
