//! A transaction of the source's own: statements that change rows, and rows that are inserted.
//!
//! The lease is with whatever runs. A future that is dropped takes it along, which ends the statement at the source and then the
//! connection, and with that the server rolls back; so does a transaction that is dropped while it idles, or whose datasource is closed.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use futures::future::{join, join3};
use tokio::task::JoinSet;
use tokio_postgres::{Error as DriverError, SimpleQueryMessage};

use super::connect::{Lease, REMOTE_GRACE, milliseconds};
use super::insert::Inserting;
use super::returned_rows::ReturnedRows;
use super::scan::{self, Source};
use super::shape::Shapes;
use super::type_mapping::NumericPolicy;
use super::{PostgresRemote, failure};
use crate::changes::{Fault, Insertion, RemoteTransaction, Returned, TransactionalRemote, bounded, spent, unknown};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::pool::PoolState;
use crate::sql::{ChangeDialect, RemoteSql};

/// Longer than what a client thinks between two statements, or other sources take to give rows. The session's own limit is for
/// transactions that only read.
const IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = '15min'";

/// Why a change ended before it was done.
pub(super) enum Ended {
    /// The driver, or the source, says why.
    AtSource(DriverError),
    /// Anybody else.
    Here(Fault),
}

impl From<DriverError> for Ended {
    fn from(error: DriverError) -> Self {
        Self::AtSource(error)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Here(error.into())
    }
}

impl From<DataFusionError> for Ended {
    fn from(error: DataFusionError) -> Self {
        Self::Here(error.into())
    }
}

impl From<Ended> for Fault {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::AtSource(error) => failure::changing(error).into(),
            Ended::Here(fault) => fault,
        }
    }
}

impl Ended {
    /// The same, that names the column if the source does.
    fn of_rows_for(self, insertion: &Insertion) -> Self {
        let Self::AtSource(error) = self else { return self };
        let columns = &insertion.table.columns;
        let names: Vec<_> = insertion.columns.iter().map(|&place| columns[place].name.as_str()).collect();
        Self::Here(failure::inserting(error, &names).into())
    }
}

#[async_trait]
impl TransactionalRemote for PostgresRemote {
    async fn begin(&self, deadline: Deadline) -> Result<Box<dyn RemoteTransaction>> {
        let source = self.source();
        let begun = bounded(&self.closed, deadline, "beginning a transaction", async { Ok(self.begun(deadline).await?) });
        let mut lease = begun.await.map_err(|fault| fault.own().at(self.id.as_str()))?;
        lease.pause();
        let idle = Arc::new(Mutex::new(Some(lease)));
        let mut watch = JoinSet::new();
        watch.spawn({
            let (closed, idle) = (self.closed.clone(), Arc::clone(&idle));
            async move {
                closed.cancelled().await;
                take(&idle);
            }
        });
        Ok(Box::new(PostgresTransaction { source, numeric: self.numeric, idle, _watch: watch }))
    }

    fn change_dialect(&self) -> &dyn ChangeDialect {
        self.dialect
    }

    fn transaction_pool(&self) -> PoolState {
        self.changing.state()
    }
}

impl PostgresRemote {
    /// A connection in a transaction. One that turns out to be dead is replaced: nothing was asked of it yet.
    async fn begun(&self, deadline: Deadline) -> Result<Lease> {
        loop {
            let mut lease = self.changing.lease_within(deadline).await?;
            let used = lease.is_used();
            lease.begin();
            // What runs out of time here, the server ends there.
            let limit = milliseconds(Some(deadline.remaining() + REMOTE_GRACE));
            let begin = format!("BEGIN; SET LOCAL statement_timeout = {limit}; {IDLE}; SHOW transaction_read_only");
            match lease.client().simple_query(&begin).await {
                Ok(answer) if answer.iter().any(refuses) => {
                    lease.discard();
                    return Err(failure::read_only("its transactions are read-only"));
                }
                Ok(_) => return Ok(lease),
                Err(error) => {
                    lease.discard();
                    if !(used && failure::is_lost(&error)) {
                        return Err(failure::changing(error));
                    }
                }
            }
        }
    }
}

fn refuses(message: &SimpleQueryMessage) -> bool {
    matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on"))
}

/// An open transaction.
struct PostgresTransaction {
    source: Source,
    numeric: NumericPolicy,
    /// `None` while something runs, and once something has failed.
    idle: Arc<Mutex<Option<Lease>>>,
    /// Ends it when the datasource is closed.
    _watch: JoinSet<()>,
}

impl fmt::Debug for PostgresTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction").field("id", &self.source.id).finish_non_exhaustive()
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        take(&self.idle);
    }
}

fn take(idle: &Mutex<Option<Lease>>) -> Option<Lease> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl PostgresTransaction {
    /// Runs `work` with the lease. It comes back for the next one when all went well, and is gone otherwise.
    async fn with_lease<T, F>(&mut self, deadline: Deadline, what: &str, work: impl FnOnce(Lease) -> F) -> DataFusionResult<T>
    where
        F: Future<Output = Result<(Lease, T), Ended>>,
    {
        let mut lease = self.lease()?;
        lease.begin();
        let done = bounded(&self.source.closed, deadline, what, async { Ok(work(lease).await?) });
        let (mut lease, done) = done.await.map_err(|fault| fault.at(self.source.id.as_str()))?;
        lease.pause();
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
        if self.source.closed.is_cancelled() {
            // It was closed before the lease was back.
            take(&self.idle);
            return Err(scan::closed().at(self.source.id.as_str()).into());
        }
        Ok(done)
    }

    fn lease(&self) -> Result<Lease> {
        let ended = || if self.source.closed.is_cancelled() { scan::closed() } else { spent() };
        take(&self.idle).ok_or_else(|| ended().at(self.source.id.as_str()))
    }
}

#[async_trait]
impl RemoteTransaction for PostgresTransaction {
    async fn run(&mut self, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> DataFusionResult<u64> {
        let source = self.source.clone();
        let work = |lease: Lease| async move {
            let changed = run(&source, &lease, sql, returned, deadline).await;
            conclude(lease, changed)
        };
        self.with_lease(deadline, "the change", work).await
    }

    async fn insert(
        &mut self,
        insertion: &Insertion,
        rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> DataFusionResult<u64> {
        let (source, numeric) = (self.source.clone(), self.numeric);
        let work = |lease: Lease| async move {
            let returned = returned.map(|returned| ReturnedRows::new(returned, Vec::new())).transpose()?;
            let inserted = Inserting { source: &source, numeric, lease: &lease, insertion, deadline }.run(rows, returned).await;
            conclude(lease, inserted).map_err(|ended| ended.of_rows_for(insertion))
        };
        self.with_lease(deadline, "the insert", work).await
    }

    async fn commit(self: Box<Self>, deadline: Deadline) -> Result<()> {
        let mut lease = self.lease()?;
        lease.begin();
        let work = async {
            // Constraints that were put off are checked now, and may take their time.
            let (limited, committed) = join(limit_statements(&lease, deadline), lease.client().batch_execute("COMMIT")).await;
            match limited.and(committed) {
                Ok(()) => lease.finish(),
                Err(error) => {
                    lease.discard();
                    return Err(failure::changing(error).into());
                }
            }
            Ok(())
        };
        let committed = bounded(&self.source.closed, deadline, "the commit", work).await;
        committed.map_err(|fault| unknown(fault.own()).at(self.source.id.as_str()))
    }
}

/// Keeps the lease when all went well. After the source's last word nothing is left to cancel; after any other error something may be.
fn conclude<T>(lease: Lease, done: Result<T, Ended>) -> Result<(Lease, T), Ended> {
    match done {
        Ok(done) => Ok((lease, done)),
        Err(Ended::AtSource(error)) => {
            lease.discard();
            Err(error.into())
        }
        Err(ended) => Err(ended),
    }
}

async fn run(source: &Source, lease: &Lease, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> Result<u64, Ended> {
    let shapes = Shapes::of(&sql.reliance, &source.known, source.dialect)?;
    let client = lease.client();
    // To prepare it locks its tables until the transaction ends, so what is asked behind it stays true.
    let (limited, statement, written) =
        join3(limit_statements(lease, deadline), client.prepare(&sql.text), shapes.written_since(client, lease.shapes())).await;
    limited?;
    let statement = statement?;
    if let Some(changed) = shapes.changed(client, &written?).await? {
        return Err(changed.into());
    }
    match returned {
        Some(returned) => {
            let mut returned = ReturnedRows::new(returned, sql.origins.clone())?;
            returned.expect(statement.columns())?;
            let parameters: [&str; 0] = [];
            let changed = returned.read(client.query_raw(&statement, parameters).await?).await?;
            returned.finish()?;
            Ok(changed)
        }
        None => Ok(client.execute(&statement, &[]).await?),
    }
}

/// Tells the server how long the next statement of the transaction may take: a little longer than it has here.
pub(super) async fn limit_statements(lease: &Lease, deadline: Deadline) -> Result<(), DriverError> {
    let limit = milliseconds(Some(deadline.remaining() + REMOTE_GRACE));
    lease.client().batch_execute(&format!("SET LOCAL statement_timeout = {limit}")).await
}
