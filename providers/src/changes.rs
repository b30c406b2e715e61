//! Changes of rows at a source: transactions of the source's own, and what runs in them.

mod observed;
mod outcome;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::PoolState;
use crate::remote::RemoteTable;
use crate::sql::{ChangeDialect, Dialect, Reliance, RemoteSql, SqlRemote, normalize};

pub use observed::observe_changes;
pub(crate) use outcome::{Fault, RETURNED_ROWS, bounded, spent, takes_no_null, unknown};

/// A remote whose rows statements can change.
///
/// **Who may call.** It knows no gates and does what it is told: whoever calls it has made sure that this datasource, and the table,
/// may be written to.
#[async_trait]
pub trait TransactionalRemote: SqlRemote {
    /// Begins a transaction over a connection that is given to nobody else until it has ended.
    ///
    /// # Errors
    /// As [`Remote::ping`](crate::Remote::ping); `Unauthorized` when our user may not write or the source is read-only.
    async fn begin(&self, deadline: Deadline) -> Result<Box<dyn RemoteTransaction>>;

    /// How it writes changes.
    fn change_dialect(&self) -> &dyn ChangeDialect;

    /// How the pool is whose connections transactions have.
    fn transaction_pool(&self) -> PoolState;
}

/// An open transaction of a source. All that runs in it is there once [`commit`](Self::commit) has returned `Ok`, or nothing of it is.
///
/// Dropped, at whatever moment, it is rolled back: a statement that runs is ended at the source and the connection is closed. After an
/// error of any method the transaction is of no use but to be dropped.
#[async_trait]
pub trait RemoteTransaction: fmt::Debug + Send {
    /// Runs one `UPDATE` or `DELETE` in the source's words and returns how many rows it was about: those it met, also where their values
    /// stayed what they were. What [`SqlRemote::execute`] does for the reliance of a statement is done here too, in the transaction.
    ///
    /// With `returned`, the text ends in a `RETURNING` whose columns correspond to the schema by position, as those of a statement of
    /// [`SqlRemote::execute`] do.
    ///
    /// # Errors
    /// What the source refuses it for, with the source's own SQLSTATE where it gives one: `Conflict` for a constraint (unique, foreign
    /// key, check, not null); `Unauthorized`, `NotFound`, `LimitExceeded`, `Invalid` for a value; else as
    /// [`Remote::ping`](crate::Remote::ping). What `returned` fails with comes back as it is; ours are found in DataFusion's by
    /// [`Error::find`](crate::Error::find).
    async fn run(&mut self, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> DataFusionResult<u64>;

    /// Inserts `rows` and returns how many rows were inserted or, by the insertion's clauses, changed. What is inserted reads back as it
    /// was given. The rows stream: a few batches are in memory at once.
    ///
    /// # Errors
    /// As [`run`](Self::run); what the stream fails with comes back as it is.
    async fn insert(
        &mut self,
        insertion: &Insertion,
        rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> DataFusionResult<u64>;

    /// Commits.
    ///
    /// # Errors
    /// `Conflict` for a constraint that is checked now. After `Unreachable` and `Timeout` it is not known whether it was committed,
    /// and the message says so.
    async fn commit(self: Box<Self>, deadline: Deadline) -> Result<()>;
}

/// Where rows are inserted, and what becomes of them there.
#[derive(Debug, Clone)]
pub struct Insertion {
    /// The table.
    pub table: Arc<RemoteTable>,
    /// The positions in the table of the rows' columns, in their order. The rows have the Arrow types of these columns. Columns that are
    /// left out get the source's own defaults.
    pub columns: Vec<usize>,
    /// What stands behind the values in the source's words: `ON CONFLICT`, `RETURNING`, or nothing.
    pub clauses: String,
    /// Whether the clauses change rows that are there (`DO UPDATE`). A source that refuses to change a row twice in one statement is
    /// given one statement then, or the insertion is refused as too large.
    pub updates: bool,
    /// What the clauses compute with.
    pub reliance: Reliance,
}

impl Insertion {
    /// The insertion of one row as a statement of the source without its values. It may be sent in another form: by `COPY`, or with many
    /// rows at once.
    pub fn normalized(&self, dialect: &dyn Dialect) -> String {
        let table = dialect.table(&self.table.schema, &self.table.name);
        let names: Vec<_> = self.columns.iter().map(|&place| dialect.quote(&self.table.columns[place].name)).collect();
        let statement = match names.len() {
            0 => format!("INSERT INTO {table} DEFAULT VALUES {}", self.clauses),
            count => format!("INSERT INTO {table} ({}) VALUES ({}) {}", names.join(", "), vec!["0"; count].join(", "), self.clauses),
        };
        normalize(statement.trim_end(), dialect.quoting())
    }
}

/// What becomes of the rows that a change returns.
pub struct Returned<'a> {
    /// Their columns.
    pub schema: SchemaRef,
    /// Takes them, batch by batch. What it fails with ends the change.
    pub take: &'a mut (dyn FnMut(RecordBatch) -> DataFusionResult<()> + Send),
}

impl fmt::Debug for Returned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").field("schema", &self.schema).finish_non_exhaustive()
    }
}
