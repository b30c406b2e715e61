//! The write side of a remote: one table made ready, and rows that arrive exactly once. What each source does for it lives with its
//! connector.

pub(crate) mod batch;
pub(crate) mod bootstrap;
mod descriptor;
#[cfg(test)]
pub(crate) mod letters;

use std::fmt;

use async_trait::async_trait;

pub use self::descriptor::{CellValue, DescribedColumn, DescribedType, TableDescriptor};
pub(crate) use self::descriptor::{KEY_LENGTH, moment};
use crate::deadline::Deadline;
use crate::error::Result;

/// A remote that takes rows.
///
/// **Who may call.** A writer knows no gates and does what it is told: whoever calls it has made sure that this datasource may be
/// written to, and for [`ensure_table`](Self::ensure_table) with [`EnsureMode::Additive`], that it may be given a table.
///
/// **What may run at once.** Every method, from many tasks and from several processes on one source. A remote writes over one
/// connection, apart from those that read, opened at the first write and closed with the remote; calls wait for each other there,
/// and their deadlines run while they wait.
///
/// **What a dropped future means.** The statement is ended at the source, as when the deadline passes. A batch is there as a whole
/// or not at all, and which of them is not known.
///
/// **What holds after an error.** Nothing of the batch is there. Only after `Unreachable`, `Timeout` and `Cancelled` the whole batch
/// may be, because the answer to its commit may be what was lost. To insert it again is right in every case. Statements of
/// [`ensure_table`](Self::ensure_table) that ran before an error stay, and the next call goes on from there.
#[async_trait]
pub trait Writer: fmt::Debug + Send + Sync {
    /// Compares a table with its descriptor and, when told to, adds what is missing: the table, or columns.
    ///
    /// An added column may be NULL whatever the descriptor says, so that the rows there are survive; wherever the descriptor forbids
    /// NULL, a column that allows it is as good. Nothing else is ever changed: see [`EnsureReport::skipped`].
    ///
    /// # Errors
    /// `NotFound` when the table is missing and may not be made, with the statement that makes it as the hint; `Conflict` when
    /// something else has the table's name; `Unauthorized` when our user may not do it or the source is read-only, with the statement
    /// somebody else has to run; `Invalid` for a descriptor no source can follow; else as `Remote::ping`.
    async fn ensure_table(&self, descriptor: &TableDescriptor, mode: EnsureMode, deadline: Deadline) -> Result<EnsureReport>;

    /// Inserts rows, each with a value for each column of the descriptor in its order, in one transaction.
    ///
    /// A row whose primary key is there already, whatever its other values are, is a duplicate and counts as delivered. The table is
    /// one for which [`ensure_table`](Self::ensure_table) reported no obstacle.
    ///
    /// # Errors
    /// `Invalid` for a value its column does not take, before anything is sent; `Conflict` when a row is refused for another key than
    /// the primary one, or the table's primary key is another; `NotFound` without the table; `Unauthorized` when our user may not
    /// insert or the source is read-only; `LimitExceeded` when the source has no room; else as `Remote::ping`.
    async fn insert(&self, descriptor: &TableDescriptor, rows: &[Vec<CellValue>], deadline: Deadline) -> Result<InsertReport>;
}

/// What [`Writer::ensure_table`] may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnsureMode {
    /// Make the table when it is missing, and add missing columns.
    Additive,
    /// Run nothing, and say what would be run.
    CheckOnly,
}

/// What [`Writer::ensure_table`] did, and what it left to a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnsureReport {
    /// The statements that were run.
    pub executed: Vec<String>,
    /// The statements that were not run, for they may lose data or lock the table for long, or because nothing was to be run. Where
    /// the source has no statement for it, a sentence that says what has to change.
    pub skipped: Vec<String>,
    /// Why rows cannot be inserted as the table is now, in words for the user. Empty means that they can.
    pub obstacles: Vec<String>,
}

/// What became of the rows of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InsertReport {
    /// Rows that were not there before.
    pub inserted: u64,
    /// Rows whose key was there before, or came earlier in the same batch.
    pub duplicates: u64,
}
