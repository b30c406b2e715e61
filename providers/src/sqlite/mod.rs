//! The `sqlite` connector: one database file, read in this process.

mod bind;
mod change_failure;
mod connect;
mod decimal;
mod declared_type;
mod decode;
mod definition;
mod dialect;
mod instant;
mod introspect;
mod manifest;
mod pending;
mod policy;
mod row_estimate;
mod scan;
mod transaction;
mod type_change;
mod type_mapping;
mod verify;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use tokio_util::sync::CancellationToken;

use self::connect::{Database, DatabaseFile, Stop};
use self::dialect::SqliteDialect;
use self::policy::Mismatch;
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
pub(crate) struct SqliteConnector;

#[async_trait]
impl Connector for SqliteConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let path = PathBuf::from(options.required("path")?);
        let pool = |access: Access| {
            let file = DatabaseFile { path: path.clone(), access };
            Pool::new(options.id.clone(), access.limits(options.pool), file)
        };
        let remote = SqliteRemote {
            id: options.id.clone(),
            pool: pool(Access::Read),
            writing: pool(Access::Write),
            changing: pool(Access::Change),
            patience: options.pool.connect_timeout,
            query_timeout: options.query_timeout,
            first_row_timeout: options.first_row_timeout,
            mismatch: Mismatch::of(options).map_err(|e| e.at(options.id.as_str()))?,
            may_recover: options.allow_writes,
            closed: CancellationToken::new(),
        };
        remote.ping(Deadline::after(options.pool.connect_timeout)).await?;
        Ok(Arc::new(remote))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

/// One database file and the connections to it.
#[derive(Debug)]
struct SqliteRemote {
    id: RemoteId,
    pool: Arc<Pool<DatabaseFile>>,
    /// The one connection that writes, opened by the first write.
    writing: Arc<Pool<DatabaseFile>>,
    /// Those that transactions of clients have, opened by the first of them.
    changing: Arc<Pool<DatabaseFile>>,
    /// How long a statement waits for another program to release its lock.
    patience: Duration,
    query_timeout: Option<Duration>,
    first_row_timeout: Option<Duration>,
    mismatch: Mismatch,
    /// Whether what a program left half written may be undone.
    may_recover: bool,
    closed: CancellationToken,
}

impl SqliteRemote {
    fn own_dialect(&self) -> &'static SqliteDialect {
        match self.mismatch {
            Mismatch::Refused => &SqliteDialect::EXACT,
            Mismatch::Null | Mismatch::Text => &SqliteDialect::LENIENT,
        }
    }

    /// Ends a little before the deadline, so that a lock is called a lock and not a lack of time.
    fn patience_within(&self, deadline: Deadline) -> Duration {
        self.patience.min(deadline.remaining() * 3 / 4)
    }

    async fn acquire(&self, access: Access, deadline: Option<Deadline>) -> Result<Pooled<DatabaseFile>> {
        match access {
            Access::Read => self.pool.acquire(deadline).await,
            Access::Write => self.writing.acquire(deadline).await,
            Access::Change => self.changing.acquire(deadline).await,
        }
    }

    /// Runs `work` on a connection, off the asynchronous threads. Ending the future interrupts it.
    async fn with_database<T, F>(&self, access: Access, what: &str, deadline: Deadline, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Database, &dyn Fn() -> bool) -> Result<T> + Send + 'static,
    {
        let done = async {
            let database = self.acquire(access, Some(deadline)).await?;
            let stop = Stop::new(&database);
            let requested = stop.token();
            let worker = tokio::task::spawn_blocking(move || {
                let outcome = work(&database, &|| requested.is_cancelled());
                (database, outcome)
            });
            let (database, outcome) =
                worker.await.map_err(|e| Error::new(ErrorKind::Internal, format!("{what} was aborted")).because(e))?;
            stop.disarm();
            let value = outcome?;
            database.give_back();
            Ok(value)
        };
        deadline.bound(what, done).await.map_err(|e| e.at(self.id.as_str()))
    }
}

#[async_trait]
impl Remote for SqliteRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &manifest::MANIFEST.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.pool.has_room()?;
        let patience = self.patience_within(deadline);
        let opening = |access| {
            let version = move |database: &Database, stopped: &dyn Fn() -> bool| database.version(patience, stopped);
            self.with_database(access, "opening the database", deadline, version)
        };
        match opening(Access::Read).await {
            // Whoever may write and reads undoes it.
            Err(error) if self.may_recover && connect::needs_recovery(&error) => opening(Access::Write).await,
            version => version,
        }
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        if !scope.schemas.is_empty() && !scope.schemas.iter().any(|schema| schema == introspect::SCHEMA) {
            return Ok(Introspection { default_schema: introspect::SCHEMA.to_owned(), ..Introspection::default() });
        }
        let (patience, mismatch) = (self.patience_within(deadline), self.mismatch);
        self.with_database(Access::Read, "introspection", deadline, move |database, stopped| {
            connect::patiently(patience, stopped, || introspect::introspect(database.connection(), mismatch))
        })
        .await
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let (patience, subjects) = (self.patience_within(deadline), subjects.to_vec());
        self.with_database(Access::Read, "looking for tables", deadline, move |database, stopped| {
            connect::patiently(patience, stopped, || introspect::presence(database.connection(), &subjects))
        })
        .await
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
    }
}

impl SqlRemote for SqliteRemote {
    fn dialect(&self) -> &dyn Dialect {
        self.own_dialect()
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        scan::execute(self, sql, schema, limits)
    }

    fn split(self: Arc<Self>, _table: &RemoteTable, _select: &Select, _streams: usize) -> Option<Arc<dyn SplitScan>> {
        None
    }

    fn share_snapshot(self: Arc<Self>, _scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
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
