//! A relay between a connector and its source, on this machine: it sees when the source answers, and cuts connections.
//!
//! When the connector closes a connection the relay keeps its other half for a while. So it sees whether the source ended the
//! statement, which without a cancel it would go on computing.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::options::Options;

/// How long the source's half of a connection that the connector closed is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Listens until it is dropped.
pub(super) struct Relay {
    /// What is dialled instead of the source's host; `None` when that one leads here.
    host: Option<&'static str>,
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

/// How a source is reached.
pub(super) enum Route {
    /// Through a relay.
    Relayed(Relay),
    /// By itself: it is a server, and no relay can stand between. This is why.
    Direct(&'static str),
    /// Without a host and a port: it may run in this process.
    Here,
}

impl Route {
    /// The route to the source of these options.
    pub(super) async fn to(options: &Options) -> Self {
        let (Some(host), Some(Ok(port))) = (options.get("host"), options.get("port").map(str::parse::<u16>)) else { return Route::Here };
        if PathBuf::from(host).is_absolute() {
            return Route::Direct("it is reached by a socket in the file system, and not by host and port");
        }
        let (mut near, mut name) = (IpAddr::from([127, 0, 0, 1]), Some("127.0.0.1"));
        if options.get("sslmode") == Some("verify-full") {
            // The name that the certificate is for must be dialled. Only on this machine does it lead to the relay.
            let found = lookup_host((host, port)).await.ok().and_then(|mut found| found.next());
            match found.map(|found| found.ip()).filter(IpAddr::is_loopback) {
                Some(own) => (near, name) = (own, None),
                None => return Route::Direct("its certificate is checked for the name of its host, which a relay here does not have"),
            }
        }
        match Relay::listen((near, 0).into(), name, (host.to_owned(), port)).await {
            Ok(relay) => Route::Relayed(relay),
            Err(_) => Route::Direct("no port of this machine can be listened on"),
        }
    }

    /// The relay, when there is one.
    pub(super) fn relay(&self) -> Option<&Relay> {
        match self {
            Route::Relayed(relay) => Some(relay),
            Route::Direct(_) | Route::Here => None,
        }
    }

    /// Why there is no relay.
    pub(super) fn why_not(&self) -> &'static str {
        match self {
            Route::Relayed(_) => "",
            Route::Direct(why) => why,
            Route::Here => "it is not reached by host and port",
        }
    }
}

impl Relay {
    async fn listen(at: SocketAddr, host: Option<&'static str>, source: (String, u16)) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let port = listener.local_addr()?.port();
        let passing = Arc::new(Passing::default());
        let task = tokio::spawn(accept(listener, source, Arc::clone(&passing)));
        Ok(Self { host, port, passing, listener: task })
    }

    /// The options of the same datasource, reached through it.
    pub(super) fn options(&self, options: &Options) -> Options {
        let options = options.with("port", &self.port.to_string());
        self.host.map_or_else(|| options.clone(), |host| options.with("host", host))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::registry::ConnectorRegistry;
    use crate::remote::RemoteId;

    async fn route(values: &[(&str, &str)]) -> Route {
        let registry = ConnectorRegistry::built_in();
        let given = values.iter().chain(&[("database", "d"), ("user", "u")]).map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let manifest = registry.get("postgres").unwrap().manifest();
        let options = Options::check(manifest, RemoteId::new("s"), Path::new("/"), given.collect(), BTreeMap::new()).unwrap();
        Route::to(&options).await
    }

    #[tokio::test]
    async fn a_relay_stands_where_the_connector_still_finds_what_it_checks() {
        let relayed = route(&[("host", "192.0.2.1"), ("sslmode", "verify-ca"), ("sslrootcert", "ca.pem")]).await;
        assert_eq!(relayed.relay().unwrap().host, Some("127.0.0.1"));
        let checked = [("sslmode", "verify-full"), ("sslrootcert", "ca.pem")];
        let named = route(&[("host", "localhost"), checked[0], checked[1]]).await;
        assert_eq!(named.relay().unwrap().host, None, "the certificate is for localhost");
        let far = route(&[("host", "192.0.2.1"), checked[0], checked[1]]).await;
        assert!(far.relay().is_none() && far.why_not().contains("certificate"), "{}", far.why_not());
        let file = route(&[("host", "/run/postgresql")]).await;
        assert!(file.relay().is_none() && file.why_not().contains("socket"), "{}", file.why_not());
    }
}
