//! The connection of one scan, and what becomes of it when the scan ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CopyOutStream, Error as DriverError, SimpleQueryRow};

use super::connect::{CANCEL_AGAIN, Lease, SETTLE};
use super::copy_reader::ReadError;
use super::described::Wanted;
use super::exported_snapshot::{ExportedSnapshot, Kept};
use crate::error::Error;

/// Where the transaction goes back to when a scan on the kept connection is abandoned.
const SAVEPOINT: &str = "SAVEPOINT causeway";
const ROLLBACK: &str = "ROLLBACK TO SAVEPOINT causeway";

/// A connection in use by one scan. Dropped, the scan is cancelled at the source.
pub(super) struct Seat {
    lease: Option<Lease>,
    place: Option<Place>,
}

enum Place {
    /// It is the scan's own.
    Alone,
    /// It is the scan's own, and so is the transaction it is in.
    Transaction,
    /// It holds the snapshot for others as well.
    Kept { snapshot: Arc<ExportedSnapshot>, kept: OwnedMutexGuard<Kept>, is_saved: bool },
}

impl Seat {
    /// On a connection that is in no transaction.
    pub(super) fn alone(lease: Lease) -> Self {
        Self { lease: Some(lease), place: Some(Place::Alone) }
    }

    /// On a connection whose transaction ends with the scan.
    pub(super) fn in_transaction(lease: Lease) -> Self {
        Self { lease: Some(lease), place: Some(Place::Transaction) }
    }

    /// On the connection that `snapshot` keeps, by its lock.
    pub(super) fn kept(lease: Lease, snapshot: Arc<ExportedSnapshot>, kept: OwnedMutexGuard<Kept>) -> Self {
        Self { lease: Some(lease), place: Some(Place::Kept { snapshot, kept, is_saved: false }) }
    }

    fn lease(&mut self) -> &mut Lease {
        self.lease.as_mut().expect("it is only taken when the seat ends")
    }

    /// The lease, unless it is in a transaction.
    pub(super) fn into_own(mut self) -> Result<Lease, Self> {
        match (&self.place, self.lease.take()) {
            (Some(Place::Alone), Some(lease)) => Ok(lease),
            (_, lease) => {
                self.lease = lease;
                Err(self)
            }
        }
    }

    /// Whether the connection was used before and is nobody else's, so that a dead one may be replaced unseen.
    pub(super) fn is_replaceable(&self) -> bool {
        matches!(self.place, Some(Place::Alone)) && self.lease.as_ref().is_some_and(Lease::is_used)
    }

    /// Runs statements in the text protocol and gives their rows, on a connection that is not [the scan's own](Self::into_own).
    pub(super) async fn text_rows(&mut self, sql: &str, limit: Option<Duration>) -> Result<Vec<SimpleQueryRow>, DriverError> {
        let sql = match self.save() {
            "" => sql.to_owned(),
            save => format!("{save}; {sql}"),
        };
        self.lease().text_rows(&sql, limit).await
    }

    /// As [`Lease::copy_out`].
    pub(super) async fn copy_out(
        &mut self,
        sql: &str,
        wanted: Option<Wanted<'_>>,
        limit: Option<Duration>,
    ) -> Result<CopyOutStream, ReadError> {
        let save = self.save();
        self.lease().copy_out(save, sql, wanted, limit).await
    }

    /// What is to be sent before the first statement.
    fn save(&mut self) -> &'static str {
        match &mut self.place {
            Some(Place::Kept { is_saved, .. }) => {
                if std::mem::replace(is_saved, true) {
                    ""
                } else {
                    SAVEPOINT
                }
            }
            Some(Place::Alone | Place::Transaction) | None => "",
        }
    }

    /// The scan was read to its end: the next statement may have the connection, or the next scan of this one.
    pub(super) async fn finish(mut self) {
        let (Some(lease), Some(place)) = (self.lease.take(), self.place.take()) else { return };
        match place {
            Place::Alone => lease.finish(),
            Place::Transaction => end(lease, "COMMIT").await,
            Place::Kept { snapshot, kept, .. } => snapshot.keep(lease, kept),
        }
    }

    /// The scan has ended by an error of the source: the connection is closed, and with it goes what it kept. Gives the error back.
    pub(super) fn fail(mut self, cause: Error) -> Error {
        if let Some(lease) = self.lease.take() {
            lease.discard();
        }
        if let Some(Place::Kept { mut kept, .. }) = self.place.take() {
            *kept = Kept::Failed(cause.restated());
        }
        cause
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        match (self.lease.take(), self.place.take()) {
            (Some(lease), Some(Place::Kept { snapshot, kept, is_saved: true })) => {
                let (tasks, runtime) = lease.endings();
                tasks.spawn_on(recover(lease, snapshot, kept), &runtime);
            }
            // Nothing was sent.
            (Some(lease), Some(Place::Kept { snapshot, kept, is_saved: false })) => snapshot.keep(lease, kept),
            // The drop of the lease does what is to be done.
            (Some(_) | None, _) => {}
        }
    }
}

/// Ends the transaction and gives the connection back. What was to be read was read by then, so a failure costs the connection only.
pub(super) async fn end(lease: Lease, statement: &str) {
    match lease.client().batch_execute(statement).await {
        Ok(()) => lease.finish(),
        Err(_) => lease.discard(),
    }
}

/// Cancels an abandoned scan and keeps its transaction, or lets both go.
async fn recover(lease: Lease, snapshot: Arc<ExportedSnapshot>, kept: OwnedMutexGuard<Kept>) {
    let is_whole = timeout(SETTLE, rolled_back(&lease)).await.unwrap_or(false);
    if is_whole {
        snapshot.keep(lease, kept);
    }
    // The drop of the lease goes on cancelling, and the snapshot is lost.
}

/// Whether the transaction is as it was before the scan.
async fn rolled_back(lease: &Lease) -> bool {
    let (cancel, tls) = lease.cancelling();
    // The driver reads on what still comes of the scan. A cancel that comes too late for it hits this statement, which is sent again.
    let mut back = Box::pin(lease.client().batch_execute(ROLLBACK));
    loop {
        // One that cannot be sent is sent again.
        let _ = cancel.cancel_query(tls.clone()).await;
        match timeout(CANCEL_AGAIN, &mut back).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                return lease.client().batch_execute(ROLLBACK).await.is_ok();
            }
            Ok(Err(_)) => return false,
            Err(_) => {}
        }
    }
}
