//! Whether somebody still asks for a change. It may be taken back until the change begins to be written, and not any more from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use causeway_providers::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

const ASKED: u8 = 0;
const WRITING: u8 = 1;
const WITHDRAWN: u8 = 2;

/// One change that somebody asks for. Clones are the same change.
///
/// Exactly one of the two happens: it is withdrawn and nothing of it is written, or it is written to its end.
#[derive(Debug, Clone, Default)]
pub struct Asking(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    stage: AtomicU8,
    withdrawn: CancellationToken,
}

impl Asking {
    /// A change that is asked for from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it back. `false` when it is being written, or was: whoever asked has to wait for what comes of it.
    pub fn withdraw(&self) -> bool {
        let is_withdrawn = self.leave(WITHDRAWN) != WRITING;
        if is_withdrawn {
            self.0.withdrawn.cancel();
        }
        is_withdrawn
    }

    /// Called by who writes it, before the first thing that lasts.
    ///
    /// # Errors
    /// `Cancelled` when it was withdrawn.
    pub fn begin_writing(&self) -> Result<()> {
        if self.leave(WRITING) == WITHDRAWN { Err(withdrawn()) } else { Ok(()) }
    }

    /// Runs what makes the change. Withdrawn, it is dropped wherever it waits.
    ///
    /// # Errors
    /// `Cancelled` when it was withdrawn.
    pub(crate) async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.0.withdrawn.run_until_cancelled(work).await.unwrap_or_else(|| Err(withdrawn()))
    }

    /// Goes on to `stage` unless it has gone on before; gives where it is from now on.
    fn leave(&self, stage: u8) -> u8 {
        match self.0.stage.compare_exchange(ASKED, stage, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => stage,
            Err(earlier) => earlier,
        }
    }
}

/// Withdraws a change when it is dropped: whoever waited for it is gone.
pub(crate) struct WithdrawOnDrop(pub(crate) Asking);

impl Drop for WithdrawOnDrop {
    fn drop(&mut self) {
        // What is being written ends without whoever asked for it.
        let _ = self.0.withdraw();
    }
}

fn withdrawn() -> Error {
    Error::new(ErrorKind::Cancelled, "the change was withdrawn before it was begun")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_withdrawn_or_written_and_never_both() {
        let asking = Asking::new();
        assert!(asking.withdraw());
        assert!(asking.withdraw(), "twice is once");
        assert_eq!(asking.begin_writing().unwrap_err().kind(), ErrorKind::Cancelled);
        let waiting = asking.clone().run(std::future::pending::<Result<()>>());
        assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Cancelled);

        let asking = Asking::new();
        asking.begin_writing().unwrap();
        asking.begin_writing().unwrap();
        assert!(!asking.withdraw());
        assert_eq!(asking.run(async { Ok(7) }).await.unwrap(), 7);
    }
}
