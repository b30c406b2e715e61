//! Accepts HTTP clients: one task each, all owned here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{Api, router};
use crate::Shutdown;
use crate::administration::Administration;
use crate::metrics::Metrics;

/// Clients at one time. Those that follow the event log hold theirs.
const MOST_CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, the wait for its first byte included.
const HEAD: Duration = Duration::from_secs(30);
/// The most that is kept of what a client sends ahead, the longest head included.
const BUFFER: usize = 64 * 1024;
/// How long to wait when the system has no socket left to accept with.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address that serves HTTP.
pub(crate) struct HttpEndpoint {
    listener: TcpListener,
    address: SocketAddr,
    shutdown: Shutdown,
}

impl HttpEndpoint {
    /// Binds `address`; clients can connect from now on and are served by [`serve`](Self::serve).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind(address: SocketAddr, shutdown: Shutdown) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, shutdown })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown drains and the last request is answered, or it terminates.
    pub(crate) async fn serve(self, administration: Administration, metrics: Metrics) {
        let Self { listener, address, shutdown } = self;
        let router = router(Api { administration, metrics: Arc::new(metrics), port: address.port(), shutdown: shutdown.clone() });
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.drained() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, client)) => {
                    // Nothing is said to a client beyond this bound: even that would take memory.
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        debug!(%client, "too many HTTP clients");
                        continue;
                    };
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    tasks.spawn(async move {
                        connection(socket, router, shutdown).await;
                        drop(place);
                    });
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
async fn connection(socket: TcpStream, router: Router, shutdown: Shutdown) {
    // An event must not wait for the next one to fill a packet.
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "the client left at once");
        return;
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = shutdown.drained() => {
            // What was asked is answered, and then the connection ends.
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                served = &mut serving => served,
                () = shutdown.terminated() => return,
            }
        }
    };
    if let Err(error) = served {
        debug!(%error, "an HTTP connection ended early");
    }
}
