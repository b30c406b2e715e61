//! Dials the server, brings the session into the state everything else relies on, and lends connections out.

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join, join5};
use tokio::net::lookup_host;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, Connection, CopyOutStream, SimpleQueryMessage, SimpleQueryRow, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::copy_reader::ReadError;
use super::described::{Wanted, text_forms};
use super::manifest::{DATABASE, HOST, PASSWORD, PORT, USER};
use super::{failure, shape, tls};
use crate::addresses::first_to_answer;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, PoolLimits};
use crate::pool::{Access, Dial, Pool, PoolState, Pooled};
use crate::remote::RemoteId;

/// The state of every session, whatever the role's and the database's settings say.
///
/// `public` stays in the search path because functions that views call may name its tables without a schema; what we write
/// ourselves is qualified or in `pg_catalog`, which comes first.
const SESSION: &str = "\
    SET TimeZone = 'UTC'; \
    SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; \
    SET extra_float_digits = 3; \
    SET bytea_output = 'hex'; \
    SET standard_conforming_strings = on; \
    SET transform_null_equals = off; \
    SET client_encoding = 'UTF8'; \
    SET client_min_messages = 'error'; \
    SET search_path = pg_catalog, public; \
    SET default_transaction_isolation = 'read committed'; \
    SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'";
/// What a session that only reads is told as well. One that writes keeps what the server says of the role and the database.
const READ_ONLY: &str = "; SET default_transaction_read_only = on";

/// The oldest server whose catalogs and functions are as we expect.
const OLDEST_SERVER: u32 = 12;
/// How long a cancelled statement may take to end before its connection is cut.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// How long one cancel may take to be noticed before it is sent again. A cancel that comes before its statement is lost.
pub(super) const CANCEL_AGAIN: Duration = Duration::from_millis(250);
/// The source's own limit comes this much after ours, which has the better text.
pub(super) const REMOTE_GRACE: Duration = Duration::from_secs(1);

/// Where to connect and as whom.
pub(super) struct Target {
    id: RemoteId,
    config: Config,
    /// The host and the port; `None` for a socket in the file system.
    network: Option<(String, u16)>,
    tls: MakeRustlsConnect,
    address: String,
    limits: PoolLimits,
    access: Access,
}

impl Target {
    /// Reads the options and the certificates they name.
    pub(super) fn new(options: &Options, access: Access) -> Result<Self> {
        let (host, port) = (options.required(HOST)?, options.port(PORT)?);
        let (database, user) = (options.required(DATABASE)?, options.required(USER)?);
        let (mode, tls) = tls::from_options(options)?;
        let mut config = Config::new();
        config
            .host(host)
            .port(port)
            .dbname(database)
            .user(user)
            .application_name(application_name(&options.id))
            // A Unix socket is private already, and servers offer no TLS on it.
            .ssl_mode(if host.starts_with('/') { SslMode::Disable } else { mode })
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        if let Some(password) = options.secret(PASSWORD) {
            config.password(password);
        }
        let address = format!("{host}:{port}/{database} as user \"{user}\"");
        let network = (!host.starts_with('/')).then(|| (host.to_owned(), port));
        Ok(Self { id: options.id.clone(), config, network, tls, address, limits: access.limits(options.pool), access })
    }

    /// Connects to the first of the host's addresses that answers. A cancel goes to that one as well: a name may stand for several servers.
    async fn dial_any(&self, deadline: Deadline) -> Result<PgConnection> {
        let Some((host, port)) = &self.network else { return self.dial(&self.config).await };
        let found = lookup_host((host.as_str(), *port)).await.map_err(|error| failure::resolving(error, &self.address))?;
        self.dial_first(found.map(|address| address.ip()).collect(), deadline).await
    }

    /// Connects to the first of these addresses that answers.
    pub(super) async fn dial_first(&self, addresses: Vec<IpAddr>, deadline: Deadline) -> Result<PgConnection> {
        let dial = |address| async move {
            // The host stays what certificates are checked for.
            let mut config = self.config.clone();
            self.dial(config.hostaddr(address)).await
        };
        first_to_answer(addresses, deadline.remaining(), || self.silent(), dial).await
    }

    /// The error for a server that does not answer.
    fn silent(&self) -> Error {
        let limit = humantime::format_duration(self.limits.connect_timeout);
        Error::new(ErrorKind::Unreachable, format!("cannot connect to {}: no answer within {limit}", self.address))
            .hint("check `options.host` and `options.port` and the network, or raise `external.pool.connect_timeout`")
    }

    async fn dial(&self, config: &Config) -> Result<PgConnection> {
        let failed = |error| failure::connecting(error, &self.address);
        let (client, connection) = config.connect(self.tls.clone()).await.map_err(failed)?;
        let version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let encoding = connection.parameter("server_encoding").unwrap_or_default().to_owned();
        let driver = tokio::spawn(drive(self.id.clone(), connection));
        let mut connection = PgConnection {
            client: Some(client),
            driver: Some(driver),
            runtime: Handle::current(),
            server_version: version,
            server_encoding: encoding,
            statement_timeout: None,
            shapes: None,
            used: false,
        };
        if major_version(&connection.server_version).is_some_and(|major| major < OLDEST_SERVER) {
            let text = format!("the server at {} is PostgreSQL {}", self.address, connection.server_version);
            return Err(Error::new(ErrorKind::Unsupported, text).hint(format!("PostgreSQL {OLDEST_SERVER} or later is needed")));
        }
        let read_only = if self.access == Access::Read { READ_ONLY } else { "" };
        let session = format!("{SESSION}{read_only}");
        let (normalised, shapes) = join(connection.client().batch_execute(&session), shape::prepare(connection.client())).await;
        normalised.map_err(failed)?;
        connection.shapes = shapes.map_err(failed)?;
        Ok(connection)
    }
}

impl Dial for Target {
    type Connection = PgConnection;

    /// Opens a connection and normalises its session.
    async fn connect(&self) -> Result<PgConnection> {
        let deadline = Deadline::after(self.limits.connect_timeout);
        tokio::time::timeout_at(deadline.instant(), self.dial_any(deadline)).await.unwrap_or_else(|_| Err(self.silent()))
    }

    fn is_usable(&self, connection: &PgConnection) -> bool {
        !connection.client().is_closed()
    }

    async fn answers(&self, connection: &mut PgConnection) -> bool {
        connection.client().simple_query("").await.is_ok()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Moves bytes for one connection until it ends. Whoever waits for an answer gets the error, so here it is only told of.
async fn drive<T>(id: RemoteId, mut connection: Connection<Socket, T>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        // Notices and notifications concern nobody, and may hold data.
        if let Err(error) = message {
            let code = error.code().map(|code| code.code().to_owned());
            tracing::debug!(datasource = %id, %error, code, "connection ended");
            return;
        }
    }
}

/// What the server's administrator sees, cut to what the server would keep of it, and never within a character.
fn application_name(id: &RemoteId) -> String {
    const LONGEST: usize = 63;
    let mut name = format!("causeway/{id}");
    name.truncate(name.floor_char_boundary(LONGEST));
    name
}

fn major_version(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A connection whose session is normalised.
pub(super) struct PgConnection {
    client: Option<Client>,
    driver: Option<JoinHandle<()>>,
    runtime: Handle,
    server_version: String,
    server_encoding: String,
    /// What the session's `statement_timeout` was set to.
    statement_timeout: Option<Duration>,
    /// Asks whether tables are what they were, where the server can tell.
    shapes: Option<Statement>,
    /// Whether a statement ran on it before, so that it may have died unnoticed since.
    used: bool,
}

impl PgConnection {
    fn client(&self) -> &Client {
        self.client.as_ref().expect("the client is only taken when the connection is discarded")
    }
}

/// The connections of one datasource.
#[derive(Debug)]
pub(super) struct Connections {
    pool: Arc<Pool<Target>>,
    /// Cancels under way: they outlive the statement that was dropped, and closing waits for them.
    endings: TaskTracker,
}

impl Connections {
    pub(super) fn new(target: Target) -> Arc<Self> {
        let pool = Pool::new(target.id.clone(), target.limits, target);
        Arc::new(Self { pool, endings: TaskTracker::new() })
    }

    /// A connection, new or used, within `deadline` when there is one.
    ///
    /// # Errors
    /// `Timeout` when the deadline passed, whatever was waited for; otherwise what failed.
    pub(super) async fn lease(self: &Arc<Self>, deadline: Option<Deadline>) -> Result<Lease> {
        let connection = self.pool.acquire(deadline).await;
        Ok(self.lend(connection.map_err(|error| match deadline {
            Some(deadline) if deadline.remaining().is_zero() => self.out_of_time(error, deadline.limit()),
            Some(_) | None => error,
        })?))
    }

    /// What keeps a statement from a connection whose time of `limit` is over. What the source said is told all the same.
    fn out_of_time(&self, error: Error, limit: Duration) -> Error {
        match error.kind() {
            ErrorKind::Timeout => {
                let all = self.most();
                failure::timeout(limit, &format!(" while waiting: all {all} connections are in use"))
                    .hint("raise `external.pool.max_connections` or `external.query_timeout` of the datasource")
            }
            ErrorKind::Unreachable => failure::timeout(limit, " while connecting"),
            ErrorKind::Unauthorized
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::LimitExceeded
            | ErrorKind::Cancelled
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::ReadOnly
            | ErrorKind::SchemaMismatch
            | ErrorKind::Failed
            | ErrorKind::Internal => error,
        }
    }

    /// A connection for what is no statement of a client, within `deadline`.
    ///
    /// # Errors
    /// `Timeout` when the deadline passed, otherwise what failed. Its text is not of `query_timeout`, which has no part in it.
    pub(super) async fn lease_within(self: &Arc<Self>, deadline: Deadline) -> Result<Lease> {
        let connection = self.pool.acquire(Some(deadline)).await;
        let connection = connection.map_err(|error| match error.hint_text().map(str::to_owned) {
            _ if !deadline.remaining().is_zero() => error,
            Some(hint) => Error::new(ErrorKind::Timeout, error.message()).hint(hint).because(error),
            None => Error::new(ErrorKind::Timeout, error.message()).because(error),
        })?;
        Ok(self.lend(connection))
    }

    /// A connection that nobody else needs now; `None` when there is none to spare.
    ///
    /// # Errors
    /// What failed while connecting.
    pub(super) async fn lease_spare(self: &Arc<Self>, deadline: Option<Deadline>) -> Result<Option<Lease>> {
        let spare = self.pool.acquire_spare(deadline).await;
        Ok(spare.transpose()?.map(|connection| self.lend(connection)))
    }

    /// Whether a statement waits for a connection.
    pub(super) fn are_waited_for(&self) -> bool {
        self.pool.is_waited_for()
    }

    /// At most so many there are.
    pub(super) fn most(&self) -> usize {
        self.pool.dial().limits.max_connections
    }

    /// How the pool is doing.
    pub(super) fn state(&self) -> PoolState {
        self.pool.state()
    }

    /// Whether a connection is free, or may be made.
    ///
    /// # Errors
    /// As [`Pool::has_room`].
    pub(super) fn has_room(&self) -> Result<()> {
        self.pool.has_room()
    }

    fn lend(self: &Arc<Self>, connection: Pooled<Target>) -> Lease {
        Lease { connections: Arc::clone(self), connection: Some(connection), running: false, _open: self.endings.token() }
    }

    /// Refuses new statements and waits, within reason, until those that were abandoned have ended at the source.
    pub(super) async fn close(&self) {
        self.pool.close();
        self.endings.close();
        // A server that does not answer ends them itself by its statement timeout.
        let _ = timeout(SETTLE, self.endings.wait()).await;
    }
}

/// A connection in use by one statement. Dropped while the statement runs, it cancels the statement at the source.
pub(super) struct Lease {
    connections: Arc<Connections>,
    connection: Option<Pooled<Target>>,
    running: bool,
    /// Closing waits for it, so that a statement about to be dropped is waited for as well.
    _open: TaskTrackerToken,
}

impl Lease {
    fn connection(&self) -> &PgConnection {
        self.connection.as_ref().expect("the connection is only taken when the lease ends")
    }

    pub(super) fn client(&self) -> &Client {
        self.connection().client()
    }

    /// Asks whether tables are what they were, where the server can tell.
    pub(super) fn shapes(&self) -> Option<&Statement> {
        self.connection().shapes.as_ref()
    }

    pub(super) fn server_version(&self) -> &str {
        &self.connection().server_version
    }

    /// The first number of the server's version.
    pub(super) fn server_major(&self) -> Option<u32> {
        major_version(self.server_version())
    }

    pub(super) fn server_encoding(&self) -> &str {
        &self.connection().server_encoding
    }

    /// Whether the connection was used before, so that a failure may be its age and not the server.
    pub(super) fn is_used(&self) -> bool {
        self.connection().used
    }

    /// From here on, a drop means that the statement is to be cancelled.
    pub(super) fn begin(&mut self) {
        self.running = true;
    }

    /// Nothing runs any more: a drop only closes the connection.
    pub(super) fn pause(&mut self) {
        self.running = false;
    }

    /// Where what ends a statement runs, whoever has dropped it.
    pub(super) fn endings(&self) -> (TaskTracker, Handle) {
        (self.connections.endings.clone(), self.connection().runtime.clone())
    }

    /// What cancels a statement of this connection, and how it is to be sent.
    pub(super) fn cancelling(&self) -> (CancelToken, MakeRustlsConnect) {
        (self.client().cancel_token(), self.connections.pool.dial().tls.clone())
    }

    /// Starts a `COPY` of `sql`'s rows, `before` which another statement runs if it is not empty. `limit` is our own; the source's
    /// comes a little later. With `wanted` the source must be as it says.
    pub(super) async fn copy_out(
        &mut self,
        before: &str,
        sql: &str,
        wanted: Option<Wanted<'_>>,
        limit: Option<Duration>,
    ) -> Result<CopyOutStream, ReadError> {
        self.begin();
        let copy = format!("COPY ({sql}) TO STDOUT (FORMAT binary)");
        let limit = limit.map(|limit| limit + REMOTE_GRACE);
        let before = async { if before.is_empty() { Ok(()) } else { self.client().batch_execute(before).await } };
        let written = async {
            match &wanted {
                Some(wanted) => wanted.shapes.written_since(self.client(), self.connection().shapes.as_ref()).await,
                None => Ok(Vec::new()),
            }
        };
        let described = async {
            match &wanted {
                Some(_) => Ok(Some(self.client().prepare(sql).await?)),
                None => Ok(None),
            }
        };
        // All leave in one flight and in this order, so that neither a new limit nor a look at what is wanted costs a round trip. What
        // the statement itself fails with may come of a table that has changed, so that is asked first.
        let (limited, prepared, written, described, statement) =
            join5(self.limit_statements(limit), before, written, described, self.client().prepare(&copy)).await;
        limited?;
        self.is_limited_to(limit);
        prepared?;
        let described: Result<_, tokio_postgres::Error> = described;
        if let Some(wanted) = wanted {
            let written = written?;
            if !written.is_empty() {
                match wanted.shapes.changed(self.client(), &written).await {
                    Ok(None) => {}
                    Ok(Some(changed)) => return Err(ReadError::Value(changed)),
                    // In a transaction nothing is answered after the statement was refused.
                    Err(error) => return Err(described.err().unwrap_or(error).into()),
                }
            }
            if let Some(described) = described? {
                let forms = text_forms(wanted.decoder.schema(), described.columns()).map_err(ReadError::Value)?;
                wanted.decoder.expect(forms);
            }
        }
        Ok(self.client().copy_out(&statement?).await?)
    }

    /// Runs statements in the text protocol and gives their rows. `limit` is as for [`copy_out`](Self::copy_out).
    pub(super) async fn text_rows(&mut self, sql: &str, limit: Option<Duration>) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
        self.begin();
        let limit = limit.map(|limit| limit + REMOTE_GRACE);
        let (limited, messages) = join(self.limit_statements(limit), self.client().simple_query(sql)).await;
        limited?;
        self.is_limited_to(limit);
        let rows = messages?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    fn is_limited_to(&mut self, limit: Option<Duration>) {
        if let Some(connection) = &mut self.connection {
            connection.statement_timeout = limit;
        }
    }

    /// Tells the server how long the next statements may take.
    pub(super) async fn limit_statements(&self, limit: Option<Duration>) -> Result<(), tokio_postgres::Error> {
        if self.connection().statement_timeout == limit {
            return Ok(());
        }
        let milliseconds = milliseconds(limit);
        self.client().batch_execute(&format!("SET statement_timeout = {milliseconds}")).await
    }

    /// The statement's result was read to its end: the next one may have the connection.
    pub(super) fn finish(mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.used = true;
            connection.give_back();
        }
    }

    /// The statement has ended by an error of the source: nothing is left to cancel, and the connection is closed.
    pub(super) fn discard(mut self) {
        self.connection = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take().filter(|_| self.running) else {
            return;
        };
        let runtime = connection.runtime.clone();
        let tls = self.connections.pool.dial().tls.clone();
        // The place in the pool is kept until the statement has ended, so that the source never has more than its share.
        self.connections.endings.spawn_on(settle(connection, tls), &runtime);
    }
}

/// Cancels what runs on a connection until it has ended there, or cuts the connection.
async fn settle(mut connection: Pooled<Target>, tls: MakeRustlsConnect) {
    let (Some(client), Some(mut driver)) = (connection.client.take(), connection.driver.take()) else {
        return;
    };
    let cancel = client.cancel_token();
    // Without its client the connection reads what still comes, says goodbye and ends.
    drop(client);
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        let sent = timeout(SETTLE, cancel.cancel_query(tls.clone())).await;
        if timeout(CANCEL_AGAIN, &mut driver).await.is_ok() {
            return;
        }
        if !matches!(sent, Ok(Ok(()))) {
            sleep(CANCEL_AGAIN).await;
        }
    }
    driver.abort();
}

/// A limit as the server's settings of time have it: zero is without limit over there, and one too long to be written is none in
/// practice.
pub(super) fn milliseconds(limit: Option<Duration>) -> u128 {
    limit.map_or(0, |limit| limit.as_millis().clamp(1, i32::MAX as u128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_session_is_one_that_the_server_keeps() {
        assert_eq!(application_name(&RemoteId::new("crm")), "causeway/crm");
        let long = application_name(&RemoteId::new(&"\u{fc}".repeat(60)));
        assert_eq!(long.len(), 63);
        assert_eq!(application_name(&RemoteId::new(&format!("x{}", "\u{fc}".repeat(60)))).len(), 62);
    }

    #[test]
    fn versions_begin_with_their_major_number() {
        let cases =
            [("15.18 (Debian 15.18-0+deb12u1)", Some(15)), ("17beta2", Some(17)), ("12.4.7", Some(12)), ("", None), ("devel", None)];
        for (version, major) in cases {
            assert_eq!(major_version(version), major, "{version}");
        }
    }
}
