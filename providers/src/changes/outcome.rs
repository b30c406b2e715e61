//! What a change can come to, whatever the source: the errors that all connectors have in common, and the limits of its time.

use std::future::Future;

use datafusion::error::DataFusionError;
use tokio_util::sync::CancellationToken;

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteColumn;

/// At most so many returned rows in a batch.
pub(crate) const RETURNED_ROWS: usize = 8192;

/// Why a change ended early.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The source, or a verdict of our own.
    Ours(Error),
    /// Whoever gives the rows or takes those that are returned. It goes back as it is.
    Theirs(DataFusionError),
}

impl Fault {
    /// The error for the caller.
    pub(crate) fn at(self, datasource: &str) -> DataFusionError {
        match self {
            Self::Ours(error) => error.at(datasource).into(),
            Self::Theirs(error) => error,
        }
    }

    /// The error of what neither takes rows nor gives any.
    pub(crate) fn own(self) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Theirs(error) => Error::new(ErrorKind::Internal, "a stranger's error ended a statement of our own").because(error),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<DataFusionError> for Fault {
    fn from(error: DataFusionError) -> Self {
        Self::Theirs(error)
    }
}

/// Runs `work` until it ends, the deadline passes or the datasource is closed.
pub(crate) async fn bounded<T>(
    closed: &CancellationToken,
    deadline: Deadline,
    what: &str,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::select! {
        biased;
        () = closed.cancelled() => Err(Error::new(ErrorKind::Unreachable, "the datasource was closed").into()),
        done = deadline.bound(what, async { Ok(work.await) }) => {
            done.map_err(|late| late.hint("external.query_timeout of the datasource sets this limit"))?
        }
    }
}

/// The error of a transaction that ended with an earlier one.
pub(crate) fn spent() -> Error {
    Error::new(ErrorKind::Failed, "the transaction has failed and was rolled back").hint("begin another one").remote_code("25P02")
}

/// The error of a commit, told so that nobody takes a lost answer for a rollback.
pub(crate) fn unknown(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Cancelled => {
            let text = format!("{}; it is not known whether the transaction was committed", error.message());
            let told = Error::new(error.kind(), text).hint("look at the source whether the rows are there before it is tried again");
            match error.remote_sqlstate() {
                Some(code) => told.remote_code(code),
                None => told,
            }
            .because(error)
        }
        _ => error,
    }
}

/// The error of a `NULL` where none may be. Sources differ in what they make of one: an error, a number, the time of day.
pub(crate) fn takes_no_null(column: &RemoteColumn) -> Error {
    Error::new(ErrorKind::Conflict, format!("column \"{}\" takes no NULL", column.name)).remote_code("23502")
}
