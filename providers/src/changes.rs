//! Changes of rows at a source: transactions of the source's own, and what runs in them.

use std::fmt;

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::remote::RemoteTable;
use crate::sql::{RemoteSql, SqlRemote};

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
    /// # Errors
    /// What the source refuses it for, with the source's own SQLSTATE where it gives one: `Conflict` for a constraint (unique, foreign
    /// key, check, not null); `Unauthorized`, `NotFound`, `LimitExceeded`, `Invalid` for a value; else as
    /// [`Remote::ping`](crate::Remote::ping).
    async fn run(&mut self, sql: &RemoteSql, deadline: Deadline) -> Result<u64>;

    /// Inserts `rows` and returns how many there were. Their columns are those of `table` at the positions `columns`, in that order, and of
    /// the Arrow types these have; what is inserted reads back as it was given. Columns that are left out get the source's own defaults.
    ///
    /// The rows stream: a few batches are in memory at once.
    ///
    /// # Errors
    /// As [`run`](Self::run); what the stream fails with comes back as it is, found by [`Error::find`](crate::Error::find) where it is
    /// one of ours.
    async fn insert(
        &mut self,
        table: &RemoteTable,
        columns: &[usize],
        rows: SendableRecordBatchStream,
        deadline: Deadline,
    ) -> datafusion::error::Result<u64>;

    /// Commits.
    ///
    /// # Errors
    /// `Conflict` for a constraint that is checked now. After `Unreachable` and `Timeout` it is not known whether it was committed,
    /// and the message says so.
    async fn commit(self: Box<Self>, deadline: Deadline) -> Result<()>;
}
