//! The workers of one scan, who read the ranges of a table side by side, each over a connection of its own.
//!
//! The first one stays to the end and reads whatever nobody else does. Others come while there are connections to spare, and leave
//! between two ranges when somebody waits for theirs.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};

/// More readers than this for each stream that takes their rows would hold more than is stated of a partition: a batch each, beside
/// those of the stream.
const READERS_PER_STREAM: usize = 4;

/// How many connections of a pool of so many read one scan at most: one stays for somebody else.
pub(crate) fn readers(connections: usize, streams: usize) -> usize {
    connections.saturating_sub(1).clamp(1, READERS_PER_STREAM * streams.max(1))
}

/// What the workers of a scan share, and what each does.
pub(crate) trait Shift: Send + Sync + 'static {
    /// A connection that sees what the first one does.
    type Seat: Send + 'static;

    /// Whether no range is left to take.
    fn is_over(&self) -> bool;

    /// Told when a range was read, since a connection may have come free meanwhile.
    fn progress(&self) -> &Notify;

    /// Finds a connection that is to spare.
    fn join(self: Arc<Self>) -> impl Future<Output = Joining<Self::Seat>> + Send;

    /// Reads one range after another until there is none.
    fn read(self: Arc<Self>, seat: Self::Seat, role: Role) -> impl Future<Output = Result<()>> + Send;
}

/// What became of a worker that was to join.
pub(crate) enum Joining<S> {
    Joined(S),
    /// No connection was to spare.
    Unneeded,
    /// It could not, and the next one could not either.
    Failed,
}

/// Whether a worker may leave before all is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The others read what it sees, so it stays.
    First,
    /// It leaves when somebody waits for its connection.
    Joined,
}

/// Reads everything, with as many of `readers` workers as there are connections to spare. Those that are `entering` are on their way.
///
/// # Errors
/// What the first worker that fails does; the others are stopped.
pub(crate) async fn work<S, E>(shift: Arc<S>, readers: usize, first: S::Seat, entering: impl IntoIterator<Item = E>) -> Result<()>
where
    S: Shift,
    E: Future<Output = Joining<S::Seat>> + Send + 'static,
{
    // Both end with this: whoever is still joining when all is read is not waited for.
    let (mut reading, mut joining) = (JoinSet::new(), JoinSet::new());
    reading.spawn(Arc::clone(&shift).read(first, Role::First));
    for worker in entering {
        joining.spawn(worker);
    }
    let (mut is_joinable, mut ask) = (true, true);
    loop {
        if ask && is_joinable {
            while reading.len() + joining.len() < readers && !shift.is_over() {
                joining.spawn(Arc::clone(&shift).join());
            }
        }
        ask = tokio::select! {
            ended = reading.join_next() => match ended {
                // The first one stays to the end, so all is read.
                None => return Ok(()),
                Some(Ok(result)) => {
                    result?;
                    false
                }
                Some(Err(cause)) => return Err(Error::new(ErrorKind::Internal, "a worker of the scan stopped").because(cause)),
            },
            Some(ended) = joining.join_next() => {
                match ended {
                    Ok(Joining::Joined(seat)) => {
                        reading.spawn(Arc::clone(&shift).read(seat, Role::Joined));
                    }
                    Ok(Joining::Unneeded) => {}
                    Ok(Joining::Failed) | Err(_) => is_joinable = false,
                }
                false
            }
            () = shift.progress().notified() => true,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{BATCH_BYTES, BATCHES_AHEAD};

    #[test]
    fn one_connection_stays_for_somebody_else() {
        assert_eq!([1, 2, 3, 5].map(|connections| readers(connections, 2)), [1, 1, 2, 4]);
        assert_eq!(readers(100, 2), 8);
    }

    #[test]
    fn a_partition_holds_what_is_stated() {
        let batches = READERS_PER_STREAM + BATCHES_AHEAD + 1;
        assert!(batches * 2 * BATCH_BYTES <= 16 << 20, "docs/operations.md says so");
    }
}
