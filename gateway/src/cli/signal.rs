//! The signals that end the process: the first asks it to stop, the second to do so at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Interrupt (Ctrl-C) and terminate, received instead of killing the process.
#[derive(Debug)]
pub(super) struct Signals {
    first: CancellationToken,
    second: CancellationToken,
    _listening: AbortOnDropHandle<()>,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn new() -> io::Result<Self> {
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let tokens = [first.clone(), second.clone()];
        let listening = tokio::spawn(async move {
            for token in tokens {
                let signal = tokio::select! {
                    _ = interrupt.recv() => "interrupt",
                    _ = terminate.recv() => "terminate",
                };
                tracing::info!(signal, "stopping");
                token.cancel();
            }
        });
        Ok(Self { first, second, _listening: AbortOnDropHandle::new(listening) })
    }

    /// Waits until the process is asked to stop.
    pub(super) async fn stop(&self) {
        self.first.cancelled().await;
    }

    /// Waits until it is asked again, by somebody who does not want to wait.
    pub(super) async fn stop_at_once(&self) {
        self.second.cancelled().await;
    }
}
