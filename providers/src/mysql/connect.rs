//! Connections: how they are made, put into a known state, limited in time, and ended when their statement is abandoned.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts};
use rustls::crypto::CryptoProvider;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::failure;
use super::manifest::{DISABLE, PREFER, VERIFY_FULL};
use crate::addresses::first_to_answer;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OptionFault, Options};
use crate::pool::{Access, Dial};
use crate::remote::ServerVersion;
use crate::tls::{Check, Roots, SSLMODE, SSLROOTCERT, client_config};

/// What every session is set to, whatever the server's defaults and the user's `init_connect` are.
///
/// A statement by itself is a transaction, so that none sees what an earlier one saw, and no snapshot is ended because it is read slowly.
/// Times are UTC. Backslashes escape, as the driver assumes. Zero dates are not turned into NULL. A result is never cut short.
/// Sort keys are longer than any text column whose order is trusted. A reader that takes its time is not hung up on.
const NORMALISE: &str = "SET NAMES utf8mb4, \
     SESSION time_zone = '+00:00', \
     SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
     SESSION sql_select_limit = 18446744073709551615, \
     SESSION sql_auto_is_null = 0, \
     SESSION max_sort_length = 4096, \
     SESSION wait_timeout = 604800, \
     SESSION net_write_timeout = 604800, \
     SESSION autocommit = 1 \
     /*M!100300 , SESSION idle_transaction_timeout = 0, SESSION idle_readonly_transaction_timeout = 0 */";

/// What a session is set to besides that clients' transactions have. No value is adjusted or made up on its way into a row, whatever the
/// engine of its table. An update that assigns to
/// several columns reads each as it was. The server ends a transaction itself that nobody goes on with, which it cannot always see.
const CHANGE: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
     NO_AUTO_VALUE_ON_ZERO' \
     /*M!100305 , SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
     NO_AUTO_VALUE_ON_ZERO,SIMULTANEOUS_ASSIGNMENT' */ \
     /*M!100300 , SESSION idle_write_transaction_timeout = 900 */ \
     /*M!100804 , SESSION explicit_defaults_for_timestamp = 1 */";

/// Statements of a session that clients' transactions have, which the server keeps prepared. They may be large.
const CHANGES_PREPARED: usize = 8;

/// The largest packet the driver takes: as much as the protocol's servers allow.
const MAX_PACKET: usize = 1 << 30;

/// How long an abandoned connection may take to say good-bye before its socket is closed.
const GOOD_BYE: Duration = Duration::from_millis(50);

/// How often, and how long apart, a statement is tried to be ended at the server.
const KILL_ATTEMPTS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1000)];

/// The two families of servers, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    MariaDb,
    MySql,
}

impl Flavor {
    /// Judges by what `version()` says, because gateways in front of servers make up the version of the handshake.
    pub(super) fn of(version: &str) -> Self {
        if version.to_ascii_lowercase().contains("mariadb") { Self::MariaDb } else { Self::MySql }
    }

    /// Whether a server of this version has window functions: MySQL since 8.0, MariaDB since 10.2.
    pub(super) fn computes_windows(self, version: &str) -> bool {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        match self {
            Self::MariaDb => version >= (10, 2),
            Self::MySql => version >= (8, 0),
        }
    }

    /// The product's name.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        }
    }

    /// The statement that limits the time of the session's next ones; no limit is zero on both.
    fn limit(self, limit: Option<Duration>) -> String {
        let limit = limit.unwrap_or_default();
        match self {
            Self::MariaDb => format!("SET SESSION max_statement_time = {:.3}", limit.as_secs_f64().min(31_536_000.0)),
            Self::MySql => format!("SET SESSION max_execution_time = {}", limit.as_millis().min(u128::from(u32::MAX))),
        }
    }
}

/// A server as the datasource reaches it.
pub(super) struct Server {
    host: String,
    port: u16,
    database: String,
    place: String,
    encrypted: Option<OptsBuilder>,
    clear: Option<OptsBuilder>,
    /// A server that did not offer TLS once is not asked again where clear text will do.
    offers_no_tls: AtomicBool,
    connect_timeout: Duration,
    /// Good-byes and kills under way: they outlive the stream that was dropped, and are awaited on close.
    endings: TaskTracker,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(options: &Options) -> Result<Arc<Self>> {
        let (host, port) = (options.required("host")?, options.port("port")?);
        let (database, user) = (options.required("database")?, options.required("user")?);
        let base = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass(options.secret("password"))
            .db_name(Some(database))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(60)))
            // Both are given so that the driver asks the server for neither; sockets are never guessed.
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(604_800))
            .prefer_socket(false);
        let mode = options.required(SSLMODE)?;
        // The driver reads the file itself, when it connects. What is wrong with it is told now, and by name.
        if options.get(SSLROOTCERT).is_some() {
            client_config(options, Check::ChainAndName)?;
        }
        let encrypted = (mode != DISABLE).then(|| {
            ring_by_default();
            base.clone().ssl_opts(tls(mode, options.path(SSLROOTCERT)))
        });
        Ok(Arc::new(Self {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            place: format!("{host}:{port}, database \"{database}\", user \"{user}\""),
            encrypted,
            clear: (mode == DISABLE || mode == PREFER).then_some(base),
            offers_no_tls: AtomicBool::new(false),
            connect_timeout: options.pool.connect_timeout,
            endings: TaskTracker::new(),
        }))
    }

    /// What makes connections to it for a pool.
    pub(super) fn connections(self: &Arc<Self>, access: Access) -> ServerDial {
        ServerDial { server: Arc::clone(self), access }
    }

    /// A new connection in a known state.
    async fn connect(self: &Arc<Self>, access: Access) -> Result<Session> {
        match tokio::time::timeout(self.dialling_time(), self.dial_and_normalise(access)).await {
            Ok(session) => session,
            Err(_) => Err(self.silent()),
        }
    }

    /// The error of a server that does not answer in the time that opening may take.
    pub(super) fn silent(&self) -> Error {
        Error::new(
            ErrorKind::Unreachable,
            format!("cannot connect to {}: no answer within {}", self.place, humantime::format_duration(self.connect_timeout)),
        )
        .hint("check options.host and options.port, and that the server is up and reachable")
    }

    /// Waits until what was abandoned is ended, within reason.
    pub(super) async fn settle(&self) {
        self.endings.close();
        // What is not over by then goes on by itself; there is nothing more to do about it.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.endings.wait()).await;
    }

    async fn dial_and_normalise(self: &Arc<Self>, access: Access) -> Result<Session> {
        let (mut connection, address) = self.dial_any(access).await?;
        let version = async {
            connection.query_drop(NORMALISE).await?;
            // One that writes keeps what the server says of the user.
            match access {
                Access::Read => connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?,
                Access::Write => {}
                Access::Change => connection.query_drop(CHANGE).await?,
            }
            let row: Option<Row> = connection.query_first("SELECT VERSION()").await?;
            Ok(row.and_then(|mut row| row.take_opt::<String, _>(0)).and_then(Result::ok).unwrap_or_default())
        }
        .await
        .map_err(|cause| failure::of_connect(cause, &self.place))?;
        let flavor = Flavor::of(&version);
        Ok(Session {
            connection: Some(connection),
            address,
            server: Arc::clone(self),
            flavor,
            version,
            limit: None,
            served: false,
            at_work: false,
        })
    }

    /// Connects to the first of the host's addresses that answers, and says which, so that a kill goes to the same server: a name may
    /// stand for several.
    async fn dial_any(&self, access: Access) -> Result<(Conn, IpAddr)> {
        let unresolved = |cause: std::io::Error| failure::of_connect(cause.into(), &self.place);
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(unresolved)?;
        let addresses = found.map(|address| address.ip()).collect();
        let dial = |address| async move { Ok((self.dial(address, access).await?, address)) };
        first_to_answer(addresses, self.dialling_time(), || self.silent(), dial).await
    }

    /// The pool has the same limit, but knows no host to name: it is left a little time.
    fn dialling_time(&self) -> Duration {
        self.connect_timeout.mul_f64(0.95)
    }

    async fn dial(&self, address: IpAddr, access: Access) -> Result<Conn> {
        let connect = |options: &OptsBuilder| {
            let options = options.clone().resolved_ips(Some(vec![address]));
            Conn::new(match access {
                Access::Read | Access::Write => options,
                // A row counts when it is met, and not only when it becomes another.
                Access::Change => options.client_found_rows(true).stmt_cache_size(CHANGES_PREPARED),
            })
        };
        if let Some(encrypted) = self.encrypted.as_ref().filter(|_| self.clear.is_none() || !self.offers_no_tls.load(Ordering::Relaxed)) {
            match (connect(encrypted).await, &self.clear) {
                (Ok(connection), _) => return Ok(connection),
                (Err(cause), Some(_)) if failure::no_encryption(&cause) => self.offers_no_tls.store(true, Ordering::Relaxed),
                (Err(cause), _) => return Err(failure::of_connect(cause, &self.place)),
            }
        }
        let clear = self.clear.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no way to connect is configured"))?;
        connect(clear).await.map_err(|cause| failure::of_connect(cause, &self.place))
    }

    /// Ends connection `id` and its statement, over another connection, as nobody listens on its own any more.
    async fn kill(&self, id: u32, address: IpAddr) {
        for pause in KILL_ATTEMPTS {
            tokio::time::sleep(pause).await;
            let ended = tokio::time::timeout(self.connect_timeout, async {
                let mut connection = self.dial(address, Access::Write).await.ok()?;
                let outcome = connection.query_drop(format!("KILL {id}")).await;
                let _ = connection.disconnect().await;
                match outcome {
                    Ok(()) => Some(()),
                    // It has ended by itself already.
                    Err(mysql_async::Error::Server(answer)) if answer.code == 1094 => Some(()),
                    Err(_) => None,
                }
            })
            .await;
            if let Ok(Some(())) = ended {
                return;
            }
        }
        tracing::warn!(connection = id, server = %self.place, "an abandoned statement could not be ended at the server");
    }
}

/// Makes connections of one kind.
#[derive(Debug)]
pub(super) struct ServerDial {
    server: Arc<Server>,
    access: Access,
}

impl Dial for ServerDial {
    type Connection = Session;

    async fn connect(&self) -> Result<Session> {
        self.server.connect(self.access).await
    }

    fn is_usable(&self, session: &Session) -> bool {
        session.is_usable()
    }

    async fn answers(&self, session: &mut Session) -> bool {
        session.connection().ping().await.is_ok()
    }
}

/// Makes ring the provider of cryptography unless the process has chosen one: the driver takes the default and has no say.
fn ring_by_default() {
    if CryptoProvider::get_default().is_none() {
        // Losing a race means that somebody else has chosen in between, which is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// What is wrong with the options of TLS together.
pub(super) fn faults(options: &Options) -> Vec<OptionFault> {
    crate::tls::faults(options, &[VERIFY_FULL], Roots::Public)
}

fn tls(mode: &str, root: Option<PathBuf>) -> SslOpts {
    if mode != VERIFY_FULL {
        return SslOpts::default().with_danger_accept_invalid_certs(true);
    }
    match root {
        Some(path) => SslOpts::default().with_root_certs(vec![path.into()]).with_disable_built_in_roots(true),
        None => SslOpts::default(),
    }
}

/// A connection in a known state.
///
/// Dropped while a statement is at work, it ends that statement at the server.
pub(super) struct Session {
    connection: Option<Conn>,
    address: IpAddr,
    server: Arc<Server>,
    flavor: Flavor,
    version: String,
    limit: Option<Duration>,
    served: bool,
    at_work: bool,
}

impl Session {
    /// The driver's connection.
    pub(super) fn connection(&mut self) -> &mut Conn {
        self.connection.as_mut().expect("it is only taken on drop")
    }

    /// Whether it can take a statement, as far as this side knows.
    fn is_usable(&self) -> bool {
        !self.at_work && self.connection.as_ref().is_some_and(|connection| !connection.is_disconnected())
    }

    /// Whether it has served a statement before, and so may have been closed by the server in the meantime.
    pub(super) fn has_served(&self) -> bool {
        self.served
    }

    pub(super) fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// What the server says it is.
    pub(super) fn server_version(&self) -> ServerVersion {
        ServerVersion { product: self.flavor.product().to_owned(), version: self.version.clone() }
    }

    /// Marks that a statement is under way until [`finish`](Self::finish).
    pub(super) fn begin(&mut self) {
        self.at_work = true;
    }

    /// Marks that the result was read to its end, or never came to be.
    pub(super) fn finish(&mut self) {
        self.at_work = false;
        self.served = true;
    }

    /// Tells the server how long the next statements may take.
    pub(super) async fn limit_time(&mut self, limit: Option<Duration>) -> mysql_async::Result<()> {
        if self.limit != limit {
            let statement = self.flavor.limit(limit);
            self.connection().query_drop(statement).await?;
            self.limit = limit;
        }
        Ok(())
    }

    /// Asks the server whether the connection still stands, and lifts the time limit.
    ///
    /// It does so by entering the database again: only then the server looks up anew what our user may do in it.
    pub(super) async fn prove(&mut self) -> mysql_async::Result<()> {
        self.limit_time(None).await?;
        let statement = format!("USE `{}`", self.server.database.replace('`', "``"));
        self.connection().query_drop(statement).await
    }

    /// All rows of several of our own statements, which are sent at once.
    pub(super) async fn all_rows(&mut self, sql: &str) -> mysql_async::Result<Vec<Row>> {
        let mut result = self.connection().query_iter(sql).await?;
        let mut rows = Vec::new();
        while !result.is_empty() {
            rows.extend(result.collect::<Row>().await?);
        }
        Ok(rows)
    }

    /// All rows of one of our own statements, whose result is small.
    pub(super) async fn rows(&mut self, sql: &str) -> mysql_async::Result<Vec<Row>> {
        self.connection().query(sql).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (id, address, at_work, server) = (connection.id(), self.address, self.at_work, Arc::clone(&self.server));
        let endings = self.server.endings.clone();
        endings.spawn_on(
            async move {
                // The driver reads a pending result to its end before it says good-bye; out of time, the socket is just closed.
                let good_bye = async {
                    let _ = tokio::time::timeout(GOOD_BYE, connection.disconnect()).await;
                };
                if at_work {
                    tokio::join!(good_bye, server.kill(id, address));
                } else {
                    good_bye.await;
                }
            },
            &runtime,
        );
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own output holds the options, and they the password.
        f.debug_struct("Session").field("place", &self.server.place).field("at_work", &self.at_work).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavor_is_read_from_the_version() {
        assert_eq!(Flavor::of("10.11.19-MariaDB-0+deb12u1"), Flavor::MariaDb);
        assert_eq!(Flavor::of("8.0.36"), Flavor::MySql);
    }

    #[test]
    fn old_servers_have_no_windows() {
        for (version, has_some) in
            [("10.11.19-MariaDB-0+deb12u1", true), ("10.1.48-MariaDB", false), ("8.0.36", true), ("5.7.44-log", false)]
        {
            assert_eq!(Flavor::of(version).computes_windows(version), has_some, "{version}");
        }
    }

    #[test]
    fn time_limits_are_written_in_each_servers_unit() {
        let limit = Some(Duration::from_millis(1500));
        assert_eq!(Flavor::MariaDb.limit(limit), "SET SESSION max_statement_time = 1.500");
        assert_eq!(Flavor::MySql.limit(limit), "SET SESSION max_execution_time = 1500");
        assert_eq!(Flavor::MariaDb.limit(None), "SET SESSION max_statement_time = 0.000");
        assert_eq!(Flavor::MySql.limit(None), "SET SESSION max_execution_time = 0");
    }
}
