//! A private PostgreSQL: its own folder, port and password.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::gateway::Datasource;
use crate::port::free_port;
use crate::process::{Supervised, finish_within};
use crate::psql::Psql;
use crate::skip::skip;
use crate::wait::eventually;

const USER: &str = "reader";
/// It appears in no file but the server's, so that a test can look for it in logs.
const PASSWORD: &str = "pg-5ecret-of-the-tests";

/// A running PostgreSQL. All databases made in it share one server; each has its own name.
#[derive(Debug)]
pub struct PostgresServer {
    process: Mutex<Option<Supervised>>,
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

/// One database of a [`PostgresServer`].
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    port: u16,
    socket_folder: PathBuf,
    name: String,
    psql: Psql,
}

impl PostgresServer {
    /// The server that all tests share, started when first asked for. `None` when PostgreSQL is not installed: the test is skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| programs().map(Self::create)).as_ref();
        if shared.is_none() {
            skip("PostgreSQL");
        }
        shared
    }

    /// A server of its own, for a test that kills it. `None` when PostgreSQL is not installed: the test is skipped.
    pub fn dedicated() -> Option<Self> {
        let server = programs().map(Self::create);
        if server.is_none() {
            skip("PostgreSQL");
        }
        server
    }

    fn create(programs: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-postgres-").tempdir().expect("a temporary folder can be made");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("an own folder's mode can be set");
        let home = folder.path().join("server");
        fs::create_dir(&home).expect("a folder can be made in an own one");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("a file can be written to an own folder");
        if is_root() {
            let owner = finish_within(Duration::from_secs(10), Command::new("chown").arg("postgres").arg(&home).arg(&password));
            assert_eq!(owner.code, Some(0), "the user postgres must exist: {}", owner.stderr);
        }
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--username", USER]);
        initdb.arg("--pwfile").arg(&password).arg("-D").arg(home.join("data"));
        let made = finish_within(Duration::from_secs(120), &mut initdb);
        assert_eq!(made.code, Some(0), "initdb failed: {}{}", made.stdout, made.stderr);
        let server = Self { process: Mutex::new(None), folder, programs, port: free_port() };
        server.start();
        server
    }

    /// Starts it, again if it was killed, and waits until it answers.
    ///
    /// # Panics
    /// When it does not answer within half a minute, with its log.
    pub fn start(&self) {
        let home = self.folder.path().join("server");
        let log = self.folder.path().join("log");
        let mut command = unprivileged(&self.programs.join("postgres"));
        command.arg("-D").arg(home.join("data")).arg("-k").arg(&home);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in ["fsync=off", "shared_buffers=64MB", "max_connections=200", "timezone=Europe/Lisbon", "log_min_messages=fatal"] {
            command.args(["-c", setting]);
        }
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let started = Supervised::spawn(command, "INT", self.folder.path(), &log);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        let psql = self.named("postgres").psql;
        let answered = std::panic::catch_unwind(|| {
            eventually("PostgreSQL answers", Duration::from_secs(30), || (psql.commands(&["SELECT 1"]).code == 0).then_some(()))
        });
        assert!(answered.is_ok(), "PostgreSQL did not start:\n{}", fs::read_to_string(&log).unwrap_or_default());
    }

    /// Kills the server and all its sessions with SIGKILL.
    pub fn kill(&self) {
        if let Some(process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            process.kill_all();
        }
    }

    /// Stops the server in good order, ending all sessions.
    pub fn stop(&self) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The port it listens on, also while it is stopped.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the server writes a log")
    }

    /// Makes an empty database; the name must be new.
    pub fn database(&self, name: &str) -> PostgresDatabase {
        self.named("postgres").psql.script(&format!("CREATE DATABASE {name};"));
        self.named(name)
    }

    /// As [`database`](Self::database), in a locale of its own: the options of `CREATE DATABASE` that say which.
    pub fn database_in(&self, name: &str, locale: &str) -> PostgresDatabase {
        self.named("postgres").psql.script(&format!("CREATE DATABASE {name} TEMPLATE template0 {locale};"));
        self.named(name)
    }

    fn named(&self, name: &str) -> PostgresDatabase {
        let psql = Psql::new(self.programs.join("psql"), self.port, name, USER, Some(PASSWORD));
        let socket_folder = self.folder.path().join("server");
        PostgresDatabase { port: self.port, socket_folder, name: name.to_owned(), psql }
    }
}

impl PostgresDatabase {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password of its user.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A `psql` into it.
    pub fn psql(&self) -> &Psql {
        &self.psql
    }

    /// Runs a script that must succeed.
    pub fn script(&self, sql: &str) {
        self.psql.script(sql);
    }

    /// A client of it; its connection is a task of the current runtime.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname(&self.name).user(USER).password(PASSWORD);
        let (client, connection) = config.connect(NoTls).await.expect("the test's PostgreSQL accepts its own user");
        tokio::spawn(connection);
        client
    }

    /// It as a datasource called `name`.
    pub fn datasource(&self, name: &str) -> Datasource {
        self.datasource_of(name, USER, PASSWORD)
    }

    /// It as a datasource called `name` that is reached by the server's socket in the file system.
    pub fn datasource_by_socket(&self, name: &str) -> Datasource {
        self.datasource_at(name, &self.socket_folder.to_string_lossy(), USER, PASSWORD)
    }

    /// It as a datasource called `name`, for a role that the test has made.
    pub fn datasource_of(&self, name: &str, user: &str, password: &str) -> Datasource {
        self.datasource_at(name, "127.0.0.1", user, password)
    }

    fn datasource_at(&self, name: &str, host: &str, user: &str, password: &str) -> Datasource {
        Datasource::new(name, "postgres")
            .option("host", host)
            .option("port", &self.port.to_string())
            .option("database", &self.name)
            .option("user", user)
            .credential("password", password)
    }

    /// How many other sessions of this database run a statement whose text holds `fragment`.
    pub fn running(&self, fragment: &str) -> usize {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND state = 'active' AND query LIKE '%{fragment}%'"
        );
        self.psql.rows(&sql)[0].parse().expect("count(*) is a number")
    }
}

/// The folder of the server's programs: as told, else of the newest that is installed.
fn programs() -> Option<PathBuf> {
    if let Some(told) = std::env::var_os("CAUSEWAY_TEST_POSTGRES_BIN") {
        return Some(PathBuf::from(told));
    }
    let complete = |folder: &Path| ["postgres", "initdb", "psql"].iter().all(|name| folder.join(name).is_file());
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut packaged: Vec<_> = packaged.filter(|path| complete(&path.join("bin"))).collect();
    packaged.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    if let Some(newest) = packaged.pop() {
        return Some(newest.join("bin"));
    }
    std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| complete(folder))
}

/// PostgreSQL refuses to run as root, so root runs it as the user its package made.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    finish_within(Duration::from_secs(10), Command::new("id").arg("-u")).stdout.trim() == "0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_server_starts_again_with_its_data() {
        let Some(server) = PostgresServer::dedicated() else { return };
        let database = server.database("kept");
        database.script("CREATE TABLE t (a int); INSERT INTO t VALUES (7), (NULL);");
        assert_eq!(database.psql().rows("SELECT a FROM t"), ["7", "<null>"]);
        server.kill();
        assert_ne!(database.psql().commands(&["SELECT 1"]).code, 0);
        server.start();
        assert_eq!(database.psql().rows("SELECT a FROM t"), ["7", "<null>"]);
    }

    #[test]
    fn running_statements_are_counted() {
        let Some(server) = PostgresServer::shared() else { return };
        let database = server.database("counted");
        assert_eq!(database.running("pg_sleep"), 0);
        let sleeper = {
            let psql = database.psql().clone();
            std::thread::spawn(move || psql.commands(&["SELECT pg_sleep(1)"]))
        };
        eventually("it is seen", Duration::from_secs(10), || (database.running("pg_sleep") == 1).then_some(()));
        assert_eq!(sleeper.join().unwrap().code, 0);
        assert_eq!(database.running("pg_sleep"), 0);
    }
}
