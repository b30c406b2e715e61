//! One snapshot for all scans of one statement: taken on one connection, exported, and joined by the others.
//!
//! The connection that took it is kept in its transaction while scans are still to begin, and is for the next of them to use. A scan that
//! comes while it is in use joins the snapshot on whatever connection of the pool it gets, or has the kept one when that is free
//! before. So a pool of one connection suffices, and nobody waits for a connection that is kept and not used, but for those of other
//! statements (see [`crate::sql::SharedSnapshot`] for why they do not wait in a circle).
//!
//! `TRUNCATE` and rewrites of a table are not versioned as rows are: a snapshot taken before sees an empty table after. So the first
//! connection locks all the statement's tables against them before the snapshot is taken, and every other one while that lock is held.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error as DriverError, SimpleQueryRow};

use super::connect::{Lease, milliseconds};
use super::failure;
use super::parallel_scan::ParallelScan;
use super::scan::{Scan, Source, clock, within};
use super::seat::{Seat, end};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::TableKind;
use crate::sql::{RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, StatementScans, Turn};

/// How long the kept connection may be idle at the source before the source ends it, at least.
const KEPT: Duration = Duration::from_secs(600);

/// Any number of scans.
const UNKNOWN: usize = usize::MAX;

/// How the transaction of every connection begins.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The snapshot of one statement.
pub(super) struct ExportedSnapshot {
    source: Source,
    query_timeout: Option<Duration>,
    /// The tables that can be locked, as they stand in `LOCK TABLE`.
    tables: Vec<String>,
    /// Whether there is anything to share.
    is_shared: bool,
    /// Scans that have no connection yet.
    left: AtomicUsize,
    kept: Arc<Mutex<Kept>>,
    exported: OnceLock<Exported>,
}

/// What others need to read in the snapshot.
#[derive(Debug, Clone)]
pub(super) struct Exported {
    /// Its name.
    pub(super) name: String,
    /// Whether the tables were locked before it was taken.
    pub(super) is_locked: bool,
}

/// The connection that is kept. Who uses it holds the lock on it.
pub(super) enum Kept {
    /// It is yet to be taken.
    Unopened,
    /// It waits for the next scan.
    Idle(Lease),
    /// It is not needed any more.
    Over,
    /// Somebody has it, or it was lost while nothing was read.
    Gone,
    /// The scan that had it ended by this error, and with it the transaction.
    Failed(Error),
}

impl ExportedSnapshot {
    pub(super) fn new(source: Source, query_timeout: Option<Duration>, scans: &StatementScans) -> Arc<Self> {
        let is_lockable = |kind: TableKind| match kind {
            TableKind::Table | TableKind::PartitionedTable | TableKind::View => true,
            TableKind::MaterializedView | TableKind::ForeignTable => false,
        };
        let tables = scans.reads.tables().filter(|table| is_lockable(table.kind));
        Arc::new(Self {
            tables: tables.map(|table| source.dialect.table(&table.schema, &table.name)).collect(),
            source,
            query_timeout,
            is_shared: scans.are_several(),
            left: AtomicUsize::new(scans.count.unwrap_or(UNKNOWN)),
            kept: Arc::new(Mutex::new(Kept::Unopened)),
            exported: OnceLock::new(),
        })
    }

    /// What others need to join, if the source lets them.
    pub(super) fn exported(&self) -> Option<&Exported> {
        self.exported.get()
    }

    /// Whether every scan of the statement has its connection.
    fn is_over(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// A connection for a scan, in the snapshot.
    ///
    /// # Errors
    /// What the scan failed with that the snapshot was lost by: it is the statement's error, whichever scan tells of it first.
    /// `Unreachable` when it was lost otherwise; what failed while connecting.
    pub(super) async fn seat(self: &Arc<Self>, turn: Turn, deadline: Option<Deadline>) -> Result<Seat> {
        let seat = match Arc::clone(&self.kept).try_lock_owned() {
            Ok(kept) => self.sit(kept, deadline).await?,
            Err(_) => tokio::select! {
                biased;
                kept = Arc::clone(&self.kept).lock_owned() => self.sit(kept, deadline).await?,
                lease = self.join(deadline) => Seat::in_transaction(lease),
            },
        };
        if turn == Turn::First && self.left.load(Ordering::SeqCst) != UNKNOWN {
            self.left.fetch_sub(1, Ordering::SeqCst);
            self.end_if_over();
        }
        Ok(seat)
    }

    /// The kept connection, whose lock is `kept`.
    async fn sit(self: &Arc<Self>, mut kept: OwnedMutexGuard<Kept>, deadline: Option<Deadline>) -> Result<Seat> {
        match std::mem::replace(&mut *kept, Kept::Gone) {
            Kept::Idle(lease) if self.is_shared => Ok(Seat::kept(lease, Arc::clone(self), kept)),
            Kept::Idle(lease) => {
                *kept = Kept::Over;
                Ok(Seat::alone(lease))
            }
            // A scan that runs once more, after all have begun.
            Kept::Over => {
                *kept = Kept::Over;
                drop(kept);
                Ok(Seat::alone(self.source.connections.lease(deadline).await?))
            }
            Kept::Failed(cause) => {
                let told = cause.restated();
                *kept = Kept::Failed(cause);
                Err(told)
            }
            Kept::Unopened | Kept::Gone => {
                Err(Error::new(ErrorKind::Unreachable, "lost the connection that held the statement's snapshot").hint("run it again"))
            }
        }
    }

    /// Joins the snapshot on another connection. Waits for ever when that cannot be: the kept connection will do.
    async fn join(&self, deadline: Option<Deadline>) -> Lease {
        if let Some(exported) = self.exported() {
            loop {
                let lease = match self.source.connections.lease(deadline).await {
                    Ok(lease) => lease,
                    Err(reason) => {
                        tracing::debug!(datasource = %self.source.id, %reason, "a scan has no connection of its own");
                        break;
                    }
                };
                let used = lease.is_used();
                match self.join_on(lease, exported).await {
                    Ok(lease) => return lease,
                    Err(error) if used && failure::is_lost(&error) => {}
                    Err(reason) => {
                        tracing::debug!(datasource = %self.source.id, %reason, "a scan could not join its statement's snapshot");
                        break;
                    }
                }
            }
        }
        std::future::pending().await
    }

    async fn join_on(&self, mut lease: Lease, exported: &Exported) -> Result<Lease, DriverError> {
        // Whoever waits to rewrite a table waits for the kept connection, and one that joins would wait for him.
        let lock = if exported.is_locked { self.lock(" NOWAIT") } else { String::new() };
        let sql = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{}'; {}{lock}", exported.name, self.patience());
        match lease.text_rows(&sql, self.query_timeout).await {
            Ok(_) => Ok(lease),
            Err(error) => {
                if failure::is_lost(&error) {
                    lease.discard()
                } else {
                    end(lease, "ROLLBACK").await
                }
                Err(error)
            }
        }
    }

    /// Takes the connection and the snapshot.
    async fn take(&self, deadline: Option<Deadline>) -> Result<Lease> {
        loop {
            let mut lease = self.source.connections.lease(deadline).await?;
            if !self.is_shared {
                return Ok(lease);
            }
            let used = lease.is_used();
            match self.export(&mut lease).await {
                Ok(()) => return Ok(lease),
                Err(error) => {
                    lease.discard();
                    if !(used && failure::is_lost(&error)) {
                        return Err(failure::running(error, clock(deadline)));
                    }
                }
            }
        }
    }

    /// Begins the transaction: with locks and exported as far as the source allows it.
    async fn export(&self, lease: &mut Lease) -> Result<(), DriverError> {
        let attempts = [
            (true, format!("{}{}", self.lock(""), "SELECT pg_catalog.pg_export_snapshot()")),
            (self.tables.is_empty(), "SELECT pg_catalog.pg_export_snapshot()".to_owned()),
            (false, String::new()),
        ];
        for (is_locked, sql) in attempts {
            match lease.text_rows(&format!("{BEGIN}; {}{sql}", self.patience()), self.query_timeout).await {
                Ok(rows) => {
                    if let Some(name) = rows.last().and_then(|row: &SimpleQueryRow| row.get(0)) {
                        // It is set once, as the connection is kept once.
                        let _ = self.exported.set(Exported { name: name.to_owned(), is_locked });
                    }
                    return Ok(());
                }
                Err(error) if failure::is_refused(&error) && !sql.is_empty() => {
                    tracing::debug!(datasource = %self.source.id, code = error.code().map(SqlState::code), "a snapshot is not as wanted");
                    lease.client().batch_execute("ROLLBACK").await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn patience(&self) -> String {
        let patience = milliseconds(Some(self.query_timeout.unwrap_or_default().max(KEPT)));
        format!("SET LOCAL idle_in_transaction_session_timeout = {patience}; ")
    }

    fn lock(&self, how: &str) -> String {
        if self.tables.is_empty() { String::new() } else { format!("LOCK TABLE {} IN ACCESS SHARE MODE{how}; ", self.tables.join(", ")) }
    }

    /// Keeps the connection of a scan that has ended, for the next one.
    pub(super) fn keep(&self, mut lease: Lease, mut kept: OwnedMutexGuard<Kept>) {
        lease.pause();
        *kept = Kept::Idle(lease);
        drop(kept);
        self.end_if_over();
    }

    /// Gives the kept connection back when no scan will need it. Both who keeps it and who takes the last turn ask, after that, so one of
    /// them finds it so.
    fn end_if_over(&self) {
        if self.is_over()
            && let Ok(mut kept) = Arc::clone(&self.kept).try_lock_owned()
            && matches!(*kept, Kept::Idle(_))
            && let Kept::Idle(mut lease) = std::mem::replace(&mut *kept, Kept::Over)
        {
            lease.begin();
            let (tasks, runtime) = lease.endings();
            tasks.spawn_on(async move { end(lease, "COMMIT").await }, &runtime);
        }
    }
}

impl fmt::Debug for ExportedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportedSnapshot").field("id", &self.source.id).field("exported", &self.exported).finish_non_exhaustive()
    }
}

#[async_trait]
impl SharedSnapshot for ExportedSnapshot {
    async fn open(&self, deadline: Option<Deadline>) -> Result<()> {
        let open = async {
            let mut kept = self.kept.lock().await;
            if matches!(*kept, Kept::Unopened) {
                let mut lease = self.take(deadline).await?;
                lease.pause();
                *kept = Kept::Idle(lease);
            }
            Ok(())
        };
        within(deadline, &self.source.closed, open).await.map_err(|error| error.at(self.source.id.as_str()))
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits, turn: Turn) -> Result<SendableRecordBatchStream> {
        Scan { source: self.source.clone(), sql, limits, snapshot: Some((self, turn)) }.stream(schema)
    }

    fn split(self: Arc<Self>, select: &Select, streams: usize, turn: Turn) -> Arc<dyn SplitScan> {
        Arc::new(ParallelScan::in_snapshot(self.source.clone(), select, streams, Some((self, turn))))
    }
}
