//! A relay between a connector and its source, on this machine: it sees when the source answers, and cuts connections.
//!
//! When the connector closes a connection the relay keeps its other half for a while. So it sees whether the source ended the
//! statement, which without a cancel it would go on computing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::options::Options;

/// How long the source's half of a connection that the connector closed is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Listens until it is dropped.
pub(super) struct Relay {
    port: u16,
    passing: Arc<Passing>,
    listener: JoinHandle<()>,
}

/// What all connections share.
#[derive(Default)]
struct Passing {
    refuses: AtomicBool,
    exchanges: AtomicUsize,
    cut: Mutex<CancellationToken>,
    connections: Mutex<BTreeMap<usize, Passed>>,
}

/// What has passed on one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    /// When the source was last asked something.
    asked: Option<Instant>,
    /// When it last said something, or closed.
    heard: Option<Instant>,
}

/// The options of the same datasource, reached through a relay.
pub(super) fn relayed(options: &Options, relay: &Relay) -> Options {
    options.with("host", "127.0.0.1").with("port", &relay.port.to_string())
}

impl Relay {
    /// A relay to the source of these options; `None` when it is not reached by a host and a port, or when the host's name is checked.
    pub(super) async fn start(options: &Options) -> Option<Self> {
        let (host, port) = (options.get("host")?.to_owned(), options.get("port")?.parse::<u16>().ok()?);
        if PathBuf::from(&host).is_absolute() || options.get("sslmode") == Some("verify-full") {
            return None;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.ok()?;
        let own = listener.local_addr().ok()?.port();
        let passing = Arc::new(Passing::default());
        let task = tokio::spawn(accept(listener, (host, port), Arc::clone(&passing)));
        Some(Self { port: own, passing, listener: task })
    }

    /// How often the source was asked something, on all connections.
    pub(super) fn exchanges(&self) -> usize {
        self.passing.exchanges.load(Ordering::SeqCst)
    }

    /// Takes no new connections from now on.
    pub(super) fn refuse(&self) {
        self.passing.refuses.store(true, Ordering::SeqCst);
    }

    /// Ends all connections there are; new ones are taken.
    pub(super) fn cut(&self) {
        let mut cut = self.passing.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
    }

    /// The connection on which the source was asked something last.
    pub(super) fn asked_last(&self) -> usize {
        let connections = self.passing.connections();
        connections.iter().max_by_key(|(_, passed)| passed.asked).map(|(number, _)| *number).unwrap_or_default()
    }

    /// Waits until the source has said something on a connection after `since`, or closed it; whether it did within `limit`.
    pub(super) async fn hears(&self, connection: usize, since: Instant, limit: Duration) -> bool {
        let heard = async {
            while self.passing.connections().get(&connection).is_none_or(|passed| passed.heard <= Some(since)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(limit, heard).await.is_ok()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

impl Passing {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<usize, Passed>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> CancellationToken {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, source: (String, u16), passing: Arc<Passing>) {
    let mut number = 0;
    while let Ok((near, _)) = listener.accept().await {
        if passing.refuses.load(Ordering::SeqCst) {
            continue;
        }
        let (source, passing, cut) = (source.clone(), Arc::clone(&passing), passing.token());
        tokio::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                // Both sides see an end; why it came is theirs to tell.
                _ = pass(near, (&source.0, source.1), number, &passing) => {}
            }
        });
        number += 1;
    }
}

async fn pass(near: TcpStream, source: (&str, u16), number: usize, passing: &Passing) -> io::Result<()> {
    let far = TcpStream::connect(source).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let asks = AtomicBool::new(false);
    let near_to_far = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from_near.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    if !asks.swap(true, Ordering::SeqCst) {
                        passing.exchanges.fetch_add(1, Ordering::SeqCst);
                    }
                    passing.connections().entry(number).or_default().asked = Some(Instant::now());
                    if to_far.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(KEPT).await;
    };
    let far_to_near = async {
        let mut buffer = vec![0; 64 << 10];
        let mut is_read = true;
        loop {
            let read = from_far.read(&mut buffer).await.unwrap_or_default();
            asks.store(false, Ordering::SeqCst);
            passing.connections().entry(number).or_default().heard = Some(Instant::now());
            if read == 0 {
                break;
            }
            is_read = is_read && to_near.write_all(&buffer[..read]).await.is_ok();
        }
    };
    tokio::select! {
        () = near_to_far => {}
        () = far_to_near => {}
    }
    Ok(())
}
