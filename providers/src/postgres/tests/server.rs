//! A PostgreSQL of our own in a folder of its own, stopped and removed when the last test lets go of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::options;
use crate::options::Options;
use crate::skip::skip;

/// How often a server is started before that is a failure.
const ATTEMPTS: u32 = 5;

pub(super) const PASSWORD: &str = "correct horse";

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    folder: PathBuf,
    programs: PathBuf,
    pub(super) port: u16,
}

/// A database of one test.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) server: Arc<Server>,
    pub(super) name: String,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// The server that tests share while any of them runs. `None`, said loudly, when PostgreSQL is not installed.
    pub(super) fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start("")?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of one's own, with more lines for its configuration.
    pub(super) fn start(settings: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            skip("PostgreSQL", "apt-get install -y postgresql, or set CAUSEWAY_TEST_POSTGRES_BIN");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("causeway-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut server = Self { folder, programs, port: 0 };
        fs::write(server.folder.join("password"), PASSWORD).unwrap();
        server.hand_over();
        let (data, password) = (server.path("data"), server.path("password"));
        server.must(
            "initdb",
            &format!(
                "-D {data} -U postgres -E UTF8 --locale=C.UTF-8 --no-sync --auth-local=trust --auth-host=scram-sha-256 --pwfile {password}"
            ),
        );
        // A port that is free now may be taken by the time the server asks for it.
        for _ in 0..ATTEMPTS {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            server.configure(settings);
            if server.try_up() {
                return Some(server);
            }
        }
        panic!("the server does not start: {}", fs::read_to_string(server.path("log")).unwrap_or_default());
    }

    fn configure(&self, settings: &str) {
        let (port, folder) = (self.port, self.folder.display());
        let configuration = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{folder}'\nfsync = off\nmax_connections = 60\n\
             log_statement = all\nlog_line_prefix = '%a|%d|'\n{settings}\n",
        );
        fs::write(self.path("data/postgresql.auto.conf"), configuration).unwrap();
        self.hand_over();
    }

    fn try_up(&self) -> bool {
        self.run("pg_ctl", &format!("-D {} -w -t 120 -l {} start", self.path("data"), self.path("log"))).0
    }

    /// Starts it again.
    pub(super) fn up(&self) {
        for _ in 0..ATTEMPTS {
            if self.try_up() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        panic!("the server does not start again");
    }

    /// `immediate` is as if the machine had died.
    pub(super) fn down(&self, mode: &str) {
        self.must("pg_ctl", &format!("-D {} -w -m {mode} stop", self.path("data")));
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The statements Causeway sent to `database` so far, one line each.
    pub(super) fn statements(&self, database: &str) -> Vec<String> {
        let log = String::from_utf8_lossy(&fs::read(self.path("log")).unwrap()).into_owned();
        let prefix = format!("causeway/crm|{database}|");
        log.lines().filter(|line| line.starts_with(&prefix)).map(ToOwned::to_owned).collect()
    }

    /// Gives all files to the user the server runs as.
    pub(super) fn hand_over(&self) {
        if is_root() {
            let done = Command::new("chown").args(["-R", "postgres"]).arg(&self.folder).status().unwrap();
            assert!(done.success());
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Runs one of the server's programs; whether it succeeded, and what it said.
    fn run(&self, program: &str, arguments: &str) -> (bool, String) {
        let program = self.programs.join(program);
        // The server refuses to run as root.
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // The server inherits what it is started with, so its output must not be a pipe that we wait for.
        let output = File::create(self.path("output")).unwrap();
        command.args(arguments.split(' ')).current_dir(&self.folder).stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap();
        (status.success(), fs::read_to_string(self.path("output")).unwrap())
    }

    fn must(&self, program: &str, arguments: &str) {
        let (done, said) = self.run(program, arguments);
        assert!(done, "{program} {arguments}: {said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be down already.
        let _ = self.run("pg_ctl", &format!("-D {} -w -m immediate stop", self.path("data")));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    /// A new database on the shared server, set up by `sql`.
    pub(super) async fn new(sql: &str) -> Option<Self> {
        Self::on(Server::shared()?, sql, "").await
    }

    /// A new database on `server`, made with `creation` options.
    pub(super) async fn on(server: Arc<Server>, sql: &str, creation: &str) -> Option<Self> {
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        let admin = connect(&database.server, "postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {} {creation}", database.name)).await.unwrap();
        database.admin().await.batch_execute(sql).await.unwrap();
        Some(database)
    }

    /// A connection that may do everything.
    pub(super) async fn admin(&self) -> Client {
        connect(&self.server, &self.name).await
    }

    pub(super) fn options(&self) -> Options {
        self.options_with(&[])
    }

    pub(super) fn options_with(&self, more: &[(&str, &str)]) -> Options {
        let port = self.server.port.to_string();
        let mut values =
            BTreeMap::from([("host", "127.0.0.1"), ("port", port.as_str()), ("database", self.name.as_str()), ("user", "postgres")]);
        values.extend(more.iter().copied());
        options(&values.into_iter().collect::<Vec<_>>(), Some(PASSWORD))
    }

    /// How many statements with `marker` in their text run at the server now.
    pub(super) async fn running(&self, admin: &Client, marker: &str) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state <> 'idle' AND pid <> pg_backend_pid() \
                   AND query LIKE '%' || $2 || '%'";
        admin.query_one(sql, &[&self.name, &marker]).await.unwrap().get(0)
    }

    /// How many connections of Causeway there are.
    pub(super) async fn connections(&self, admin: &Client) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'causeway/crm'";
        admin.query_one(sql, &[&self.name]).await.unwrap().get(0)
    }
}

async fn connect(server: &Server, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user("postgres").password(PASSWORD).dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The folder with `initdb` and `pg_ctl`: as told, else the newest where distributions put it.
fn programs() -> Option<PathBuf> {
    if let Some(told) = std::env::var_os("CAUSEWAY_TEST_POSTGRES_BIN") {
        return Some(PathBuf::from(told));
    }
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.as_ref().ok()?.file_name().to_str()?.parse().ok()?, entry.ok()?.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}
