//! A private MariaDB: its own folder, port and password.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::gateway::Datasource;
use crate::port::free_port;
use crate::process::{Supervised, finish_reading, finish_within};
use crate::skip::skip;
use crate::wait::eventually;

const USER: &str = "reader";
const PASSWORD: &str = "my-5ecret-of-the-tests";

/// A running MariaDB, shared by all tests.
#[derive(Debug)]
pub struct MariaDbServer {
    _process: Supervised,
    folder: TempDir,
    port: u16,
}

/// One database of a [`MariaDbServer`].
#[derive(Debug, Clone)]
pub struct MariaDbDatabase {
    port: u16,
    socket: PathBuf,
    name: String,
}

impl MariaDbServer {
    /// The server that all tests share, started when first asked for. `None` when MariaDB is not installed: the test is skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<MariaDbServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Some(Self::create(&program("mariadbd")?, &program("mariadb-install-db")?))).as_ref();
        if shared.is_none() {
            skip("MariaDB");
        }
        shared
    }

    fn create(server: &Path, install: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-mariadb-").tempdir().expect("a temporary folder can be made");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("an own folder's mode can be set");
        let user = user();
        let data = folder.path().join("data");
        let mut installing = Command::new(install);
        installing.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        installing.arg(format!("--user={user}")).arg(format!("--datadir={}", data.display()));
        let made = finish_within(Duration::from_secs(120), &mut installing);
        assert_eq!(made.code, Some(0), "mariadb-install-db failed: {}{}", made.stdout, made.stderr);

        let port = free_port();
        let log = folder.path().join("log");
        let mut command = Command::new(server);
        command.arg("--no-defaults").arg(format!("--user={user}")).arg(format!("--datadir={}", data.display()));
        command.arg(format!("--socket={}", socket(folder.path()).display())).arg(format!("--port={port}"));
        command.arg(format!("--pid-file={}", folder.path().join("pid").display()));
        command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
        command.args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--default-time-zone=+05:30"]);
        let process = Supervised::spawn(command, "TERM", folder.path(), &log);
        let this = Self { _process: process, folder, port };
        let root = this.named("mysql");
        let answered =
            std::panic::catch_unwind(|| eventually("MariaDB answers", Duration::from_secs(60), || root.run(&["-e", "SELECT 1"]).ok()));
        assert!(answered.is_ok(), "MariaDB did not start:\n{}", fs::read_to_string(&log).unwrap_or_default());
        root.script(&format!("CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'127.0.0.1';"));
        this
    }

    /// Makes an empty database; the name must be new.
    pub fn database(&self, name: &str) -> MariaDbDatabase {
        self.named("mysql").script(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        self.named(name)
    }

    fn named(&self, name: &str) -> MariaDbDatabase {
        MariaDbDatabase { port: self.port, socket: socket(self.folder.path()), name: name.to_owned() }
    }
}

impl MariaDbDatabase {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port its server listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password of its user.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Runs a script that must succeed.
    ///
    /// # Panics
    /// When a statement of it fails.
    pub fn script(&self, sql: &str) {
        let file = tempfile::Builder::new().suffix(".sql").tempfile().expect("a temporary file can be made");
        fs::write(file.path(), sql).expect("a temporary file can be written");
        let input = fs::File::open(file.path()).expect("a temporary file can be read");
        // Unlike the client's `source` command, reading from standard input stops at the first error.
        self.run_reading(&[], input.into()).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The rows of one statement: fields separated by tabs.
    ///
    /// # Panics
    /// When it fails.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let output = self.run(&["-N", "-B", "-e", sql]).unwrap_or_else(|e| panic!("{e}"));
        output.lines().map(str::to_owned).collect()
    }

    /// It as a URL with its password.
    pub fn url(&self) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// It as a datasource called `name`.
    pub fn datasource(&self, name: &str) -> Datasource {
        self.datasource_of(name, USER, PASSWORD)
    }

    /// It as a datasource called `name`, for a user that the test has made.
    pub fn datasource_of(&self, name: &str, user: &str, password: &str) -> Datasource {
        Datasource::new(name, "mysql")
            .option("host", "127.0.0.1")
            .option("port", &self.port.to_string())
            .option("database", &self.name)
            .option("user", user)
            .credential("password", password)
    }

    /// How many other sessions of this database run a statement whose text holds `fragment`.
    pub fn running(&self, fragment: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE db = '{}' AND id <> CONNECTION_ID() AND info LIKE '%{fragment}%'",
            self.name
        );
        self.rows(&sql)[0].parse().expect("COUNT(*) is a number")
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.run_reading(arguments, Stdio::null())
    }

    fn run_reading(&self, arguments: &[&str], input: Stdio) -> Result<String, String> {
        let mut command = Command::new(program("mariadb").ok_or("the client `mariadb` is not installed")?);
        command.args(["--no-defaults", "--user=root", "--default-character-set=utf8mb4"]);
        command.arg(format!("--socket={}", self.socket.display())).arg(format!("--database={}", self.name)).args(arguments);
        let finished = finish_reading(Duration::from_secs(120), &mut command, input);
        if finished.code == Some(0) { Ok(finished.stdout) } else { Err(format!("mariadb failed: {}", finished.stderr)) }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Root runs it as the user its package made; anybody else as themselves.
fn user() -> String {
    let name = finish_within(Duration::from_secs(10), Command::new("id").arg("-un")).stdout.trim().to_owned();
    if name == "root" { "mysql".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_apart_and_running_statements_are_counted() {
        let Some(server) = MariaDbServer::shared() else { return };
        let (one, two) = (server.database("one"), server.database("two"));
        one.script("CREATE TABLE t (a int); INSERT INTO t VALUES (7), (NULL);");
        assert_eq!(one.rows("SELECT a FROM t"), ["7", "NULL"]);
        assert!(two.rows("SHOW TABLES").is_empty());
        assert!(std::panic::catch_unwind(|| two.script("SELECT nothing; CREATE TABLE t (a int);")).is_err(), "a script stops at an error");
        assert!(two.rows("SHOW TABLES").is_empty());

        assert_eq!(one.running("SLEEP(1)"), 0);
        let sleeper = {
            let one = one.clone();
            std::thread::spawn(move || one.rows("SELECT SLEEP(1)"))
        };
        eventually("it is seen", Duration::from_secs(10), || (one.running("SLEEP(1)") == 1).then_some(()));
        assert_eq!(two.running("SLEEP(1)"), 0);
        sleeper.join().unwrap();
    }
}
