//! Transactions that change rows, each over a connection of its own and in threads for blocking work.

use std::fmt::{self, Write};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use rusqlite::{Rows, Statement};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SqliteRemote;
use super::bind::{Affinity, Binding};
use super::change_failure::change_failure;
use super::connect::{Database, DatabaseFile, Stop, is_locked};
use super::dialect::SqliteDialect;
use super::introspect::SCHEMA;
use super::pending::Pending;
use super::policy::Mismatch;
use super::scan::{interrupt, located};
use super::verify::{Enforcement, is_declared_as_known};
use super::write::Waiting;
use crate::changes::{Fault, Insertion, RETURNED_ROWS, RemoteTransaction, Returned, TransactionalRemote, bounded, spent, unknown};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::{Access, PoolState, Pooled};
use crate::remote::{RemoteColumn, RemoteId};
use crate::sql::{BATCHES_AHEAD, ChangeDialect, Dialect, RemoteSql, ScanLimits};

#[async_trait]
impl TransactionalRemote for SqliteRemote {
    async fn begin(&self, deadline: Deadline) -> Result<Box<dyn RemoteTransaction>> {
        let path = self.changing.dial().path.clone();
        let acquired = bounded(&self.closed, deadline, "waiting for a connection", async {
            self.acquire(Access::Change, Some(deadline)).await.map_err(Fault::from)
        });
        let mut transaction = SqliteTransaction {
            id: self.id.clone(),
            database: Some(acquired.await.map_err(|fault| fault.own().at(self.id.as_str()))?),
            patience: self.patience,
            mismatch: self.mismatch,
            closed: self.closed.clone(),
        };
        let begun = transaction
            .work("beginning a transaction", deadline, idle(), move |database, waiting| waiting.run(|| database.begin_change(&path)));
        begun.await.map_err(|fault| fault.own().at(self.id.as_str()))?;
        Ok(Box::new(transaction))
    }

    fn change_dialect(&self) -> &dyn ChangeDialect {
        self.own_dialect()
    }

    fn transaction_pool(&self) -> PoolState {
        self.changing.state()
    }
}

/// An open transaction.
struct SqliteTransaction {
    id: RemoteId,
    /// Its connection, unless a statement has it or failed. Closed, it rolls back.
    database: Option<Pooled<DatabaseFile>>,
    patience: Duration,
    mismatch: Mismatch,
    closed: CancellationToken,
}

#[async_trait]
impl RemoteTransaction for SqliteTransaction {
    async fn run(&mut self, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> DataFusionResult<u64> {
        let id = self.id.clone();
        let sql = sql.clone();
        let done = async {
            let (output, taking) = self.returning(returned)?;
            self.work("the change", deadline, taking, move |database, waiting| change(database, waiting, &sql, output.as_ref())).await
        };
        done.await.map_err(|fault| fault.at(id.as_str()))
    }

    async fn insert(
        &mut self,
        insertion: &Insertion,
        mut rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> DataFusionResult<u64> {
        let id = self.id.clone();
        let insertion = insertion.clone();
        let done = async {
            let (output, taking) = self.returning(returned)?;
            let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
            let giving = async move {
                while let Some(batch) = rows.next().await {
                    // Whoever takes no more has ended with an error, which is told.
                    if sender.send(batch?).await.is_err() {
                        break;
                    }
                }
                Ok(())
            };
            let beside = async { futures::future::try_join(giving, taking).await.map(drop) };
            self.work("the insert", deadline, beside, move |database, waiting| {
                insert(database, waiting, &insertion, batches, output.as_ref())
            })
            .await
        };
        done.await.map_err(|fault| fault.at(id.as_str()))
    }

    async fn commit(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        let at = |error: Error| error.at(self.id.as_str());
        if self.database.is_none() {
            return Err(at(spent()));
        }
        let id = self.id.clone();
        let committed = self.work("the commit", deadline, idle(), |database, waiting| {
            // Readers may be in the way, and are soon gone.
            waiting.run(|| database.commit_change()).map_err(|error| if is_locked(&error) { still_locked(error) } else { error })
        });
        committed.await.map_err(|fault| unknown(fault.own()).at(id.as_str()))?;
        if let Some(database) = self.database.take() {
            database.give_back();
        }
        Ok(())
    }
}

impl fmt::Debug for SqliteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTransaction").field("id", &self.id).field("is_open", &self.database.is_some()).finish_non_exhaustive()
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        // What is rolled back may be much.
        if let (Some(database), Ok(runtime)) = (self.database.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(database));
        }
    }
}

impl SqliteTransaction {
    /// Runs `work` on the connection, and `beside` here meanwhile. The connection stays only when both have ended well.
    async fn work<T, F>(
        &mut self,
        what: &str,
        deadline: Deadline,
        beside: impl Future<Output = Result<(), Fault>> + Send,
        work: F,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Database, &Waiting<'_>) -> Result<T> + Send + 'static,
    {
        let database = self.database.take().ok_or_else(spent)?;
        let patience = self.patience;
        let done = async {
            let mut running = Running::start(database, move |database, stopped| work(database, &Waiting { patience, deadline, stopped }));
            tokio::pin!(beside);
            let mut is_beside = true;
            let (database, outcome) = loop {
                tokio::select! {
                    finished = running.finished(what) => break finished?,
                    done = &mut beside, if is_beside => {
                        done?;
                        is_beside = false;
                    }
                }
            };
            let value = outcome?;
            if is_beside {
                beside.await?;
            }
            Ok((database, value))
        };
        let (database, value) = bounded(&self.closed, deadline, what, done).await?;
        self.database = Some(database);
        Ok(value)
    }

    /// Where a statement puts the rows it returns, and what takes them from there.
    fn returning<'a>(
        &self,
        returned: Option<Returned<'a>>,
    ) -> Result<(Option<Output>, impl Future<Output = Result<(), Fault>> + Send + use<'a>)> {
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let output = match &returned {
            Some(Returned { schema, .. }) => {
                let rows = Pending::new(Arc::clone(schema), ScanLimits::new(None, RETURNED_ROWS), self.mismatch)?;
                Some(Output { rows, width: schema.fields().len(), sender })
            }
            None => None,
        };
        let taking = async move {
            if let Some(Returned { take, .. }) = returned {
                while let Some(batch) = batches.recv().await {
                    take(batch)?;
                }
            }
            Ok(())
        };
        Ok((output, taking))
    }
}

async fn idle() -> Result<(), Fault> {
    Ok(())
}

/// The error of a commit that a lock of another program kept from happening. It is known that nothing was committed.
fn still_locked(error: Error) -> Error {
    Error::new(ErrorKind::Conflict, "other programs still read the database file, and the transaction was not committed")
        .hint("try it again when they are done, or use journal_mode=WAL, in which readers are in nobody's way")
        .remote_code("55P03")
        .because(error)
}

/// Work in a thread for blocking work, which is interrupted until it ends when this is dropped before.
struct Running<T: Send + 'static> {
    stop: Option<Stop>,
    worker: Option<JoinHandle<(Pooled<DatabaseFile>, Result<T>)>>,
    runtime: Handle,
}

impl<T: Send + 'static> Running<T> {
    fn start(database: Pooled<DatabaseFile>, work: impl FnOnce(&Database, &dyn Fn() -> bool) -> Result<T> + Send + 'static) -> Self {
        let stop = Stop::new(&database);
        let requested = stop.token();
        let worker = tokio::task::spawn_blocking(move || {
            let outcome = work(&database, &|| requested.is_cancelled());
            (database, outcome)
        });
        Self { stop: Some(stop), worker: Some(worker), runtime: Handle::current() }
    }

    /// Waits for its end.
    async fn finished(&mut self, what: &str) -> Result<(Pooled<DatabaseFile>, Result<T>)> {
        let Some(worker) = &mut self.worker else { return Err(spent()) };
        let done = worker.await;
        self.worker = None;
        if let Some(stop) = self.stop.take() {
            stop.disarm();
        }
        done.map_err(|e| Error::new(ErrorKind::Internal, format!("{what} was aborted")).because(e))
    }
}

impl<T: Send + 'static> Drop for Running<T> {
    fn drop(&mut self) {
        if let (Some(stop), Some(worker)) = (self.stop.take(), self.worker.take()) {
            stop.now();
            self.runtime.spawn(async move { interrupt(&stop, worker).await });
        }
    }
}

/// Where returned rows go.
struct Output {
    rows: Pending,
    width: usize,
    sender: Sender<RecordBatch>,
}

impl Output {
    fn check(&self, statement: &Statement<'_>) -> Result<()> {
        if statement.column_count() == self.width.max(1) {
            return Ok(());
        }
        let text = format!("the change returns {} columns where {} are wanted", statement.column_count(), self.width);
        Err(Error::new(ErrorKind::Internal, text))
    }

    fn read(&self, database: &Database, mut rows: Rows<'_>) -> Result<()> {
        while let Some(row) = rows.next().map_err(change_failure)? {
            if let Some(batch) = self.rows.push(row).map_err(|refusal| located(database, row, &self.rows, refusal))? {
                self.hand_on(batch)?;
            }
        }
        Ok(())
    }

    fn hand_on(&self, batch: RecordBatch) -> Result<()> {
        let sent = self.sender.blocking_send(batch);
        self.rows.handed_on();
        sent.map_err(|_| Error::new(ErrorKind::Cancelled, "the change was cancelled"))
    }

    fn finish(&self) -> Result<()> {
        self.rows.rest()?.map_or(Ok(()), |batch| self.hand_on(batch))
    }
}

/// Runs a statement that changes rows. Blocks.
fn change(database: &Database, waiting: &Waiting<'_>, sql: &RemoteSql, output: Option<&Output>) -> Result<u64> {
    database.make_sure(&sql.reliance, waiting.stopped)?;
    let mut statement = database.connection().prepare(&sql.text).map_err(change_failure)?;
    waiting.check()?;
    let changed = match output {
        None => statement.execute([]).map_err(change_failure)? as u64,
        Some(output) => {
            output.check(&statement)?;
            output.read(database, statement.query([]).map_err(change_failure)?)?;
            output.finish()?;
            database.connection().changes()
        }
    };
    conclude(database, waiting)?;
    Ok(changed)
}

/// Inserts rows as they come. Blocks.
fn insert(
    database: &Database,
    waiting: &Waiting<'_>,
    insertion: &Insertion,
    mut batches: Receiver<RecordBatch>,
    output: Option<&Output>,
) -> Result<u64> {
    let (connection, table) = (database.connection(), &insertion.table);
    let columns: Vec<&RemoteColumn> = insertion.columns.iter().filter_map(|&at| table.columns.get(at)).collect();
    for column in &columns {
        is_declared_as_known(connection, table, column)?;
    }
    database.make_sure(&insertion.reliance, waiting.stopped)?;
    let strict = Enforcement::of(connection, table)?.strict;
    let mut statement = connection.prepare(&statement(insertion, &columns)?).map_err(change_failure)?;
    if let Some(output) = output {
        output.check(&statement)?;
    }
    let mut inserted = 0;
    while let Some(batch) = batches.blocking_recv() {
        if batch.num_columns() != columns.len() || columns.len() != insertion.columns.len() {
            return Err(Error::new(ErrorKind::Internal, "the rows to be inserted have other columns than the insertion"));
        }
        let bindings = columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| Binding::new(column, Affinity::of(&column.remote_type, strict), array));
        let bindings = bindings.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            waiting.check()?;
            for (at, binding) in bindings.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, binding.value(row)?).map_err(change_failure)?;
            }
            inserted += match output {
                None => statement.raw_execute().map_err(change_failure)? as u64,
                Some(output) => {
                    output.read(database, statement.raw_query())?;
                    connection.changes()
                }
            };
        }
    }
    if let Some(output) = output {
        output.finish()?;
    }
    conclude(database, waiting)?;
    Ok(inserted)
}

/// Makes sure that the transaction is still open: a trigger can end it.
fn conclude(database: &Database, waiting: &Waiting<'_>) -> Result<()> {
    database.forget();
    if database.connection().is_autocommit() {
        return Err(Error::new(ErrorKind::Failed, "SQLite rolled the transaction back"));
    }
    waiting.check()
}

fn statement(insertion: &Insertion, columns: &[&RemoteColumn]) -> Result<String> {
    let dialect = SqliteDialect::EXACT;
    let mut text = format!("INSERT INTO {}", dialect.table(SCHEMA, &insertion.table.name));
    if columns.is_empty() {
        if insertion.clauses.trim_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case("ON CONFLICT")) {
            return Err(Error::new(ErrorKind::Unsupported, "SQLite takes no ON CONFLICT with a row of nothing but defaults")
                .hint("name a column and give it a value"));
        }
        text.push_str(" DEFAULT VALUES");
    } else {
        let names: Vec<String> = columns.iter().map(|column| dialect.quote(&column.name)).collect();
        let places = vec!["?"; columns.len()].join(", ");
        // Writing to a text does not fail.
        let _ = write!(text, " ({}) VALUES ({places})", names.join(", "));
    }
    if !insertion.clauses.is_empty() {
        let _ = write!(text, " {}", insertion.clauses);
    }
    Ok(text)
}
