//! A MariaDB of our own on a free port, and what the tests do with it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use secrecy::SecretString;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::mysql::MySqlRemote;
use crate::mysql::manifest::MANIFEST;
use crate::options::Options;
use crate::remote::{Introspection, Remote, RemoteId, RemoteTable, Scope};
use crate::skip::skip;
use crate::sql::{RemoteSql, ScanLimits, SqlRemote};

const DAEMON: &str = "/usr/sbin/mariadbd";

/// The user the datasources connect as, and its password, which is not easy to quote.
pub(super) const READER: &str = "reader";
pub(super) const PASSWORD: &str = r#"p'ä"s\s:w?"#;

/// A running server. It ends with the process that started it, or when dropped.
#[derive(Debug)]
pub(super) struct TestServer {
    port: u16,
    folder: PathBuf,
    keeper: Child,
}

impl TestServer {
    /// The server most tests share; `None`, said loudly, where MariaDB is not installed.
    pub(super) fn shared() -> Option<&'static TestServer> {
        static SHARED: OnceLock<TestServer> = OnceLock::new();
        installed().then(|| SHARED.get_or_init(|| TestServer::run(&[])))
    }

    /// A server that writes a binary log, and whatever it is asked to `mysql.general_log`; `None`, said loudly, where MariaDB is not
    /// installed.
    pub(super) fn logging() -> Option<&'static TestServer> {
        static LOGGING: OnceLock<TestServer> = OnceLock::new();
        installed().then(|| LOGGING.get_or_init(|| TestServer::run(&["--log-bin=bin", "--general-log", "--log-output=TABLE"])))
    }

    /// A server for one test; `None`, said loudly, where MariaDB is not installed.
    pub(super) fn start(arguments: &[&str]) -> Option<TestServer> {
        installed().then(|| TestServer::run(arguments))
    }

    fn run(arguments: &[&str]) -> TestServer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("causeway-mysql-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let installed = Command::new("mariadb-install-db")
            .env("TMPDIR", &folder)
            .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", folder.join("data").display()))
            .output()
            .unwrap();
        assert!(installed.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&installed.stderr));
        // The shell outlives this process just long enough to end the server and remove its files. A line has it start the server again.
        let keeper = Command::new("sh")
            .args([
                "-c",
                "folder=$1; shift
                 start() { \"$@\" & server=$!; echo $server > \"$folder/pid\"; }
                 start \"$@\"; while read _; do wait $server; start \"$@\"; done
                 kill -9 $server; wait; rm -rf \"$folder\"",
            ])
            .arg("sh")
            .arg(&folder)
            .args([DAEMON, "--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--max-connections=200"])
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--datadir={}", folder.join("data").display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--port={port}"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(std::fs::File::create(folder.join("log")).unwrap()))
            .spawn()
            .unwrap();
        let server = TestServer { port, folder, keeper };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < patience, "MariaDB did not start: {:?}", std::fs::read_to_string(self.folder.join("log")));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the server as a crash would.
    pub(super) fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }

    /// Starts it again after [`kill`](Self::kill).
    pub(super) fn revive(&self) {
        self.keeper.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
        self.wait_until_up();
    }

    /// A connection as root.
    pub(super) async fn admin(&self) -> Conn {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.port).user(Some("root")).prefer_socket(false);
            match Conn::new(options).await {
                Ok(mut connection) => {
                    connection.query_drop("SET NAMES utf8mb4, SESSION sql_mode = '', SESSION time_zone = '+00:00'").await.unwrap();
                    return connection;
                }
                Err(error) => assert!(Instant::now() < patience, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A new database, which the reader may read, and a connection to fill it.
    pub(super) async fn database(&self, name: &str) -> Conn {
        let mut admin = self.admin().await;
        for statement in [
            format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"),
            format!("CREATE USER IF NOT EXISTS '{READER}'@'%' IDENTIFIED BY 'p''ä\"s\\\\s:w?'"),
            format!("GRANT SELECT ON `{name}`.* TO '{READER}'@'%'"),
            format!("USE `{name}`"),
        ] {
            admin.query_drop(statement).await.unwrap();
        }
        admin
    }

    /// The options of a datasource named `shop` on a database.
    pub(super) fn options(&self, database: &str) -> Options {
        self.options_with(database, &[], PASSWORD)
    }

    pub(super) fn options_with(&self, database: &str, more: &[(&str, &str)], password: &str) -> Options {
        let port = self.port.to_string();
        let mut values: BTreeMap<String, String> = [("host", "127.0.0.1"), ("port", &port), ("database", database), ("user", READER)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        values.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let secrets = [("password".to_owned(), SecretString::from(password))].into();
        let mut options = Options::check(&MANIFEST, RemoteId::new("shop"), Path::new("/"), values, secrets).unwrap();
        options.query_timeout = Some(Duration::from_secs(60));
        options
    }

    /// The datasource on a database.
    pub(super) async fn remote(&self, database: &str) -> Arc<MySqlRemote> {
        Arc::new(MySqlRemote::open(&self.options(database)).await.unwrap())
    }

    /// Waits until no statement with `mark` in its text is in the server's process list, and returns how long that took.
    pub(super) async fn gone(&self, mark: &str) -> Duration {
        let begun = Instant::now();
        while self.running(mark).await > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "a statement with {mark} is still running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// Waits until a statement with `mark` in its text is in the server's process list.
    pub(super) async fn seen(&self, mark: &str) {
        let begun = Instant::now();
        while self.running(mark).await == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "no statement with {mark} is running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn running(&self, mark: &str) -> u64 {
        let mut admin = self.admin().await;
        let query = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{READER}' AND INFO LIKE '%{mark}%' AND ID <> CONNECTION_ID()"
        );
        let count = admin.query_first(query).await.unwrap().unwrap();
        admin.disconnect().await.unwrap();
        count
    }
}

/// Whether MariaDB is installed; if not, the running test is skipped.
fn installed() -> bool {
    let installed = Path::new(DAEMON).exists();
    if !installed {
        skip("MariaDB", "apt-get install -y mariadb-server");
    }
    installed
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// What the datasource's own database has; tests that share a server see each other's.
pub(super) async fn look(remote: &MySqlRemote) -> Introspection {
    let mut seen = remote.introspect(&Scope::default(), Deadline::after(Duration::from_secs(30))).await.unwrap();
    seen.tables.retain(|table| table.schema == seen.default_schema);
    let prefix = format!("{}.", seen.default_schema);
    seen.omitted.retain(|omission| omission.subject.starts_with(&prefix));
    seen
}

pub(super) async fn table(remote: &MySqlRemote, name: &str) -> RemoteTable {
    look(remote).await.tables.into_iter().find(|table| table.name == name).unwrap()
}

/// A context in which the tables of the remote stand under their names.
pub(super) async fn context(remote: &Arc<MySqlRemote>) -> SessionContext {
    let context = SessionContext::new();
    for table in look(remote).await.tables {
        let provider = Arc::clone(remote).table(&table).unwrap();
        context.register_table(datafusion::common::TableReference::bare(table.name), provider).unwrap();
    }
    context
}

/// A schema of nullable columns `c0`, `c1` and so on.
pub(super) fn schema(types: &[DataType]) -> SchemaRef {
    Arc::new(Schema::new(types.iter().enumerate().map(|(at, t)| Field::new(format!("c{at}"), t.clone(), true)).collect::<Vec<_>>()))
}

pub(super) const LIMITS: ScanLimits = ScanLimits::new(Some(Duration::from_secs(60)), 8192);

pub(super) fn execute(remote: &Arc<MySqlRemote>, sql: &str, types: &[DataType]) -> SendableRecordBatchStream {
    Arc::clone(remote).execute(RemoteSql::new(sql.to_owned()), schema(types), LIMITS).unwrap()
}

/// All cells of a statement's result, row by row, as text; NULL is `NULL`.
pub(super) async fn cells(remote: &Arc<MySqlRemote>, sql: &str, types: &[DataType]) -> Result<Vec<Vec<String>>, DataFusionError> {
    let batches: Vec<RecordBatch> = execute(remote, sql, types).try_collect().await?;
    Ok(shown(&batches))
}

pub(super) fn shown(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let cell = |batch: &RecordBatch, column: usize, row: usize| {
        let array = batch.column(column);
        if array.is_null(row) { "NULL".to_owned() } else { array_value_to_string(array, row).unwrap() }
    };
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (0..batch.num_columns()).map(|column| cell(batch, column, row)).collect()))
        .collect()
}

/// Our own error in one of DataFusion's.
pub(super) fn ours(error: &DataFusionError) -> &Error {
    Error::find(error).unwrap_or_else(|| panic!("not an error of ours: {error}"))
}
