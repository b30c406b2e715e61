//! Connections: how they are made, asked, and ended when their statement is abandoned.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::array::{Array, BinaryArray};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::answer::Answer;
use super::dialect::string;
use super::failure::{self, Failure};
use super::{settings, tls};
use crate::addresses::first_to_answer;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::pool::Dial;

/// How often, and how long apart, a statement is tried to be ended at the server. One that is not found may not have begun yet.
const KILL_ATTEMPTS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];

/// A row of a small result, each value as text.
pub(super) type TextRow = Vec<Option<String>>;

/// A server as the datasource reaches it.
pub(super) struct Server {
    host: String,
    port: u16,
    pub(super) database: String,
    user: HeaderValue,
    password: HeaderValue,
    place: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    /// What the ids of our statements begin with: other gateways have statements there too.
    id: String,
    statements: AtomicU64,
    /// Kills under way: they outlive the stream that was dropped, and are awaited on close.
    endings: TaskTracker,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("place", &self.place).finish_non_exhaustive()
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

impl Server {
    pub(super) fn new(options: &Options) -> Result<Arc<Self>> {
        let (host, port) = (options.required("host")?, options.port("port")?);
        let (database, user) = (options.required("database")?, options.required("user")?);
        let header = |name: &str, value: &str| {
            HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| Error::new(ErrorKind::Invalid, format!("{name} has a character that no HTTP header takes")))
        };
        let mut password = header("credentials.password", options.secret("password").unwrap_or_default())?;
        password.set_sensitive(true);
        let tls = match tls::from_options(options)? {
            Some(connector) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|cause| {
                    Error::new(ErrorKind::Invalid, "options.host is no name that a certificate could be for").because(cause)
                })?;
                Some((connector, name))
            }
            None => None,
        };
        Ok(Arc::new(Self {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            user: header("options.user", user)?,
            password,
            place: format!("{host}:{port}, database \"{database}\", user \"{user}\""),
            tls,
            connect_timeout: options.pool.connect_timeout,
            id: format!("causeway-{:016x}{:016x}", RandomState::new().hash_one(port), RandomState::new().hash_one(host)),
            statements: AtomicU64::new(0),
            endings: TaskTracker::new(),
        }))
    }

    /// What makes connections to it for a pool.
    pub(super) fn connections(self: &Arc<Self>) -> ServerDial {
        ServerDial(Arc::clone(self))
    }

    /// Host, port, database and user, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The error of a server that does not answer in the time that opening may take.
    pub(super) fn silent(&self) -> Error {
        let limit = humantime::format_duration(self.connect_timeout);
        Error::new(ErrorKind::Unreachable, format!("cannot connect to {}: no answer within {limit}", self.place))
            .hint("check options.host and options.port, and that the server is up and reachable")
    }

    /// Waits until what was abandoned is ended, within reason.
    pub(super) async fn settle(&self) {
        self.endings.close();
        // What is not over by then goes on by itself; there is nothing more to do about it.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.endings.wait()).await;
    }

    /// A connection to the first of the host's addresses that answers. A name may stand for several servers, so it is kept which.
    async fn connect(self: &Arc<Self>, limit: Duration) -> Result<Session> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses = found.map_err(|cause| failure::unreachable(cause, &self.place))?.collect();
        first_to_answer(
            addresses,
            limit,
            || self.silent(),
            |address| async move {
                let (sender, connection) = self.dial(address).await?;
                Ok(Session { sender, connection, address, server: Arc::clone(self), served: false, running: None })
            },
        )
        .await
    }

    async fn dial(&self, address: SocketAddr) -> Result<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>)> {
        let unreachable = |cause| failure::unreachable(cause, &self.place);
        let socket = TcpStream::connect(address).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let socket: Box<dyn Socket> = match &self.tls {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), socket).await.map_err(unreachable)?),
            None => Box::new(socket),
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(|cause| failure::of_connect(Failure::Lost(cause), &self.place))?;
        let connection = tokio::spawn(async move {
            // What goes wrong on it, the request that is under way is told.
            let _ = connection.await;
        });
        Ok((sender, AbortOnDropHandle::new(connection)))
    }

    fn request(&self, path: &str, sql: &str) -> Result<Request<Full<Bytes>>, Failure> {
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, authority(&self.host, self.port))
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .body(Full::new(Bytes::copy_from_slice(sql.as_bytes())))
            .map_err(Failure::Unsendable)
    }

    /// Ends statement `id` at the server, over another connection, as nobody listens on its own any more.
    async fn kill(&self, id: &str, address: SocketAddr) {
        let sql = format!("KILL QUERY WHERE query_id = {} ASYNC", string(id));
        let mut is_told = false;
        for pause in KILL_ATTEMPTS {
            tokio::time::sleep(pause).await;
            let answer = tokio::time::timeout(self.connect_timeout, async {
                let (mut sender, _connection) = self.dial(address).await.ok()?;
                // Without settings of ours, some of which nothing but a query may have.
                let response = sender.send_request(self.request("/", &sql).ok()?).await.ok()?;
                let is_taken = response.status().is_success();
                let found = response.into_body().collect().await.ok()?.to_bytes();
                is_taken.then_some(!found.is_empty())
            });
            match answer.await {
                Ok(Some(true)) => return,
                Ok(Some(false)) => is_told = true,
                Ok(None) | Err(_) => {}
            }
        }
        if !is_told {
            tracing::warn!(query_id = id, server = %self.place, "an abandoned statement could not be ended at the server");
        }
    }
}

/// Host and port as a request names them.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct ServerDial(Arc<Server>);

impl Dial for ServerDial {
    type Connection = Session;

    async fn connect(&self) -> Result<Session> {
        // The pool has the same limit, but knows no host to name: leave it a little time.
        let limit = self.0.connect_timeout.mul_f64(0.95);
        tokio::time::timeout(limit, self.0.connect(limit)).await.unwrap_or_else(|_| Err(self.0.silent()))
    }

    fn is_usable(&self, session: &Session) -> bool {
        session.running.is_none() && !session.sender.is_closed()
    }

    async fn answers(&self, session: &mut Session) -> bool {
        let answers = session.version().await.is_ok();
        session.finish();
        answers
    }
}

/// A connection. The server keeps nothing between two requests on it.
///
/// Dropped while a statement is at work, it ends that statement at the server.
pub(super) struct Session {
    sender: SendRequest<Full<Bytes>>,
    connection: AbortOnDropHandle<()>,
    address: SocketAddr,
    server: Arc<Server>,
    served: bool,
    /// The id of the statement that is at work.
    running: Option<String>,
}

impl Session {
    /// Whether it has served a statement before, and so may have been closed by the server in the meantime.
    pub(super) fn has_served(&self) -> bool {
        self.served
    }

    /// Marks that the result was read to its end, or never came to be.
    pub(super) fn finish(&mut self) {
        self.running = None;
        self.served = true;
    }

    /// Sends a statement; it is under way until [`finish`](Self::finish).
    pub(super) async fn ask(&mut self, sql: &str, limit: Option<Duration>) -> Result<Answer, Failure> {
        let id = format!("{}-{}", self.server.id, self.server.statements.fetch_add(1, Ordering::Relaxed));
        let request = self.server.request(&settings::path(&self.server.database, &id, limit), sql)?;
        self.sender.ready().await.map_err(Failure::Lost)?;
        self.running = Some(id);
        let response = self.sender.send_request(request).await.map_err(Failure::Lost)?;
        Answer::of(response).await
    }

    /// All rows of one of our own statements, whose result is small and all text.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        let mut answer = self.ask(sql, None).await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await? {
            let columns: Option<Vec<&BinaryArray>> = batch.columns().iter().map(|column| column.as_any().downcast_ref()).collect();
            let columns = columns.ok_or(Failure::Garbled)?;
            let text = |column: &BinaryArray, row| (!column.is_null(row)).then(|| String::from_utf8_lossy(column.value(row)).into_owned());
            rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| text(column, row)).collect()));
        }
        Ok(rows)
    }

    /// What the server says its version is.
    pub(super) async fn version(&mut self) -> Result<String, Failure> {
        let rows = self.rows("SELECT version()").await?;
        rows.into_iter().flatten().flatten().next().ok_or(Failure::Garbled)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(id) = self.running.take() else { return };
        // The server looks whether its client is still there now and then; a kill is sooner.
        self.connection.abort();
        let Ok(runtime) = Handle::try_current() else { return };
        let (address, server) = (self.address, Arc::clone(&self.server));
        let endings = self.server.endings.clone();
        endings.spawn_on(async move { server.kill(&id, address).await }, &runtime);
    }
}
