//! The `mysql` connector: MySQL and MariaDB.

mod bind;
mod change_failure;
mod collations;
mod connect;
mod declared_type;
mod decode;
mod definition;
mod dialect;
mod failure;
mod insert;
mod introspect;
mod key_ranges;
mod known_tables;
mod manifest;
mod moment;
mod parallel_scan;
mod policy;
mod row_reader;
mod scan;
mod transaction;
mod type_change;
mod type_mapping;
mod write;

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

use self::connect::{Flavor, Server, ServerDial};
use self::dialect::MySqlDialect;
use self::introspect::Place;
use self::known_tables::KnownTables;
use self::manifest::MANIFEST;
use self::parallel_scan::{ParallelScan, ParallelScans};
use self::policy::{Policy, ZeroDates};
use crate::capabilities::Capabilities;
use crate::changes::TransactionalRemote;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::pool::{Access, Pool, PoolState, Pooled};
use crate::remote::{CatalogMark, Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::{Dialect, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics};
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// The connector.
#[derive(Debug, Default)]
pub(crate) struct MySqlConnector;

#[async_trait]
impl Connector for MySqlConnector {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        Ok(Arc::new(MySqlRemote::open(options).await?))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

/// An opened datasource.
pub(crate) struct MySqlRemote {
    id: RemoteId,
    server: Arc<Server>,
    pool: Arc<Pool<ServerDial>>,
    /// The one connection that writes, made by the first write.
    writing: Arc<Pool<ServerDial>>,
    /// Those that transactions of clients have, made by the first of them.
    changing: Arc<Pool<ServerDial>>,
    dialect: MySqlDialect,
    capabilities: Capabilities,
    place: Place,
    flavor: Flavor,
    policy: Policy,
    parallel_scans: ParallelScans,
    /// What the last look told of the tables' sizes.
    known: KnownTables,
    query_timeout: Option<Duration>,
    first_row_timeout: Option<Duration>,
    closed: CancellationToken,
}

impl MySqlRemote {
    async fn open(options: &Options) -> Result<Self> {
        let id = options.id.clone();
        let at = |error: Error| error.at(id.as_str());
        let policy = Policy::of(options).map_err(at)?;
        let parallel_scans = ParallelScans::of(options).map_err(at)?;
        let server = Server::new(options).map_err(at)?;
        let deadline = Deadline::after(options.pool.connect_timeout);
        let [pool, writing, changing] = [Access::Read, Access::Write, Access::Change]
            .map(|access| Pool::new(id.clone(), access.limits(options.pool), server.connections(access)));
        let mut session = pool.acquire(None).await?;
        let flavor = session.flavor();
        let window = flavor.computes_windows(&session.server_version().version);
        let capabilities = Capabilities { window, ..manifest::MANIFEST.capabilities };
        let dialect = match flavor {
            Flavor::MariaDb => MySqlDialect::maria_db(),
            Flavor::MySql => MySqlDialect::my_sql(),
        };
        let dialect = if policy.zero_dates == ZeroDates::Null { dialect.with_dates_that_are_null() } else { dialect };
        session.begin();
        let place = match tokio::time::timeout_at(deadline.instant(), introspect::place(&mut session)).await {
            Ok(answer) => answer.map_err(|cause| at(failure::of_statement(cause, None)))?,
            Err(_) => return Err(at(server.silent())),
        };
        session.finish();
        session.give_back();
        let (query_timeout, first_row_timeout, closed) = (options.query_timeout, options.first_row_timeout, CancellationToken::new());
        let known = KnownTables::default();
        Ok(Self {
            id,
            server,
            pool,
            writing,
            changing,
            dialect,
            capabilities,
            place,
            flavor,
            policy,
            parallel_scans,
            known,
            query_timeout,
            first_row_timeout,
            closed,
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

    /// A connection that has just answered and has no time limit, for statements of our own.
    async fn proven_session(&self, deadline: Option<Deadline>) -> Result<Pooled<ServerDial>> {
        let mut session = self.session(deadline).await?;
        if session.has_served() && session.prove().await.is_err() {
            drop(session);
            session = self.fresh_session(deadline).await?;
        }
        Ok(session)
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
        let mut session = self.proven_session(Some(deadline)).await?;
        session.begin();
        let (introspection, clustered) = introspect::introspect(&mut session, &self.place, self.policy, scope)
            .await
            .map_err(|cause| failure::of_statement(cause, None))?;
        self.known.learn(scope, clustered);
        session.finish();
        session.give_back();
        Ok(introspection)
    }

    async fn look_for(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let mut session = self.proven_session(Some(deadline)).await?;
        session.begin();
        let presence = introspect::presence(&mut session, subjects).await.map_err(|cause| failure::of_statement(cause, None))?;
        session.finish();
        session.give_back();
        Ok(presence)
    }
}

#[async_trait]
impl Remote for MySqlRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.pool.has_room()?;
        let ping = async {
            let mut session = self.proven_session(Some(deadline)).await?;
            let version = session.server_version();
            session.finish();
            session.give_back();
            Ok(version)
        };
        deadline.bound("the ping", self.until_closed(ping)).await.map_err(|error| error.at(self.id.as_str()))
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        let look = self.until_closed(self.look(scope, deadline));
        deadline.bound("introspection", look).await.map_err(|error| error.at(self.id.as_str()))
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
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
        Some(self)
    }

    async fn close(&self) {
        self.closed.cancel();
        self.pool.close();
        self.writing.close();
        self.changing.close();
        self.server.settle().await;
    }
}

impl SqlRemote for MySqlRemote {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        scan::execute(self, sql, schema, limits)
    }

    fn split(self: Arc<Self>, table: &RemoteTable, select: &Select, streams: usize) -> Option<Arc<dyn SplitScan>> {
        let may_be_split = match self.parallel_scans {
            ParallelScans::Consistent => self.flavor == Flavor::MariaDb && self.place.has_binary_log,
            ParallelScans::Always => true,
            ParallelScans::Never => false,
        };
        let table = self.known.clustered(table).filter(|_| may_be_split)?;
        ParallelScan::new(self, select, table, streams).map(|scan| Arc::new(scan) as Arc<dyn SplitScan>)
    }

    fn share_snapshot(self: Arc<Self>, _scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        // Two connections have two snapshots, and no way to share one that is there already.
        None
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        self.first_row_timeout
    }

    fn statistics(&self, _table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        None
    }

    fn as_transactional(self: Arc<Self>) -> Option<Arc<dyn TransactionalRemote>> {
        Some(self)
    }
}

impl fmt::Debug for MySqlRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlRemote").field("id", &self.id).field("server", &self.server).finish_non_exhaustive()
    }
}
