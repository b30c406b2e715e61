//! Accepts clients: one task each, all owned here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_planner::Engine;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};

use super::Backend;
use super::cancel::CancelRegistry;
use super::connection::{Input, Output};
use super::sqlstate::{ErrorSeverity, Halt, PgError};
use super::startup;
use crate::Shutdown;

/// Sockets that may be open beyond the sessions, for clients that log in, are refused or ask for a cancel.
const EXTRA_SOCKETS: usize = 100;
/// How long a client that is told off may take to read it.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long to wait when the system has no socket left to accept with.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Sessions at one time; default 1000. One more is refused with 53300.
    pub max_connections: usize,
    /// From the connection to the end of the log-in; default one minute.
    pub login_timeout: Duration,
}

impl Default for EndpointLimits {
    fn default() -> Self {
        Self { max_connections: 1_000, login_timeout: Duration::from_secs(60) }
    }
}

/// A bound address that serves the Postgres protocol.
pub struct PgEndpoint {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) cancels: Arc<CancelRegistry>,
    pub(crate) sessions: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    limits: EndpointLimits,
}

impl PgEndpoint {
    /// Binds `address`; clients can connect from now on and are served by [`serve`](Self::serve).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        address: impl ToSocketAddrs,
        engine: Arc<Engine>,
        backend: Arc<dyn Backend>,
        limits: EndpointLimits,
        shutdown: Shutdown,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let sessions = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared { engine, backend, cancels: Arc::default(), sessions, shutdown, limits });
        Ok(Self { listener, shared })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the shutdown drains and the last session has ended.
    pub async fn serve(self) {
        let Self { listener, shared } = self;
        let sockets = Arc::new(Semaphore::new(shared.limits.max_connections.saturating_add(EXTRA_SOCKETS).min(Semaphore::MAX_PERMITS)));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.shutdown.drained() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, client)) => {
                    // Nothing is said to a client beyond this bound: even that would take memory.
                    let Ok(place) = Arc::clone(&sockets).try_acquire_owned() else { continue };
                    let shared = Arc::clone(&shared);
                    let span = info_span!("session", %client, pid = tracing::field::Empty);
                    tasks.spawn(
                        async move {
                            connection(socket, client, shared).await;
                            drop(place);
                        }
                        .instrument(span),
                    );
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
    }
}

/// One client from its first byte to its last.
async fn connection(socket: TcpStream, client: SocketAddr, shared: Arc<Shared>) {
    // Small answers must not wait for more; rows are gathered before they are written anyway.
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "the client left at once");
        return;
    }
    let (reader, writer) = socket.into_split();
    let (mut input, mut output) = (Input::new(Box::new(reader)), Output::new(Box::new(writer)));
    let login = Box::pin(startup::log_in(&mut input, &mut output, client, &shared));
    let admitted = tokio::select! {
        biased;
        () = shared.shutdown.terminated() => Err(Halt::Fatal(Box::new(PgError::terminated()))),
        admitted = tokio::time::timeout(shared.limits.login_timeout, login) => admitted
            .unwrap_or_else(|_| Err(Halt::Fatal(Box::new(PgError::new("57014", "canceling authentication due to timeout"))))),
    };
    match admitted {
        Ok(Some(admitted)) => Box::pin(admitted.into_session(input, output, client, &shared).run()).await,
        Ok(None) | Err(Halt::Gone) => output.close().await,
        Err(Halt::Fatal(error) | Halt::Statement(error)) => {
            debug!(code = error.code, "connection refused");
            farewell(&mut output, *error).await;
        }
    }
}

/// Tells the client why the connection ends, if it listens.
pub(crate) async fn farewell(output: &mut Output, error: PgError) {
    if output.send(error.into_message(ErrorSeverity::Fatal)).is_ok() {
        // Whoever does not read it in time does not learn it.
        let _ = tokio::time::timeout(FAREWELL, async {
            if output.flush().await.is_ok() {
                output.close().await;
            }
        })
        .await;
    }
}
