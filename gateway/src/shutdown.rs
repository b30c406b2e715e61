//! How the process ends: first nothing new begins, then what still runs is ended.

use tokio_util::sync::CancellationToken;

/// The two phases of an orderly end, shared by everything that serves.
///
/// Draining stops listeners and ends idle sessions while running statements go on; terminating ends those too.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    terminating: CancellationToken,
}

impl Shutdown {
    /// Nothing has been asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the first phase: no new connections or statements.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Begins the second phase: running statements end as well.
    pub fn terminate(&self) {
        self.draining.cancel();
        self.terminating.cancel();
    }

    /// Whether the first phase has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits for the first phase.
    pub async fn drained(&self) {
        self.draining.cancelled().await;
    }

    /// Waits for the second phase.
    pub async fn terminated(&self) {
        self.terminating.cancelled().await;
    }
}
