//! ClickHouse's engine behind an HTTP interface of our own (`server.py`), run by the Python that `.ci/run servers` set up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
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
use secrecy::SecretString;
use tempfile::TempDir;

use crate::clickhouse::ClickHouseRemote;
use crate::clickhouse::manifest::MANIFEST;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::options::Options;
use crate::remote::{Introspection, Remote, RemoteId, RemoteTable, Scope};
use crate::skip::skip;
use crate::sql::{RemoteSql, ScanLimits, SqlRemote};

const SCRIPT: &str = include_str!("server.py");

/// The user the datasources connect as, and its password, which is not easy to send.
pub(super) const READER: &str = "reader";
pub(super) const PASSWORD: &str = r#"p'ä"s\s:w?"#;

/// A running server. It ends with the process that started it, or when dropped.
#[derive(Debug)]
pub(super) struct TestServer {
    port: u16,
    process: Child,
    /// Where it keeps its data, which it does not remove when it is killed.
    _folder: TempDir,
}

impl TestServer {
    /// The server most tests share; `None`, said loudly, where the engine is not installed.
    pub(super) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<TestServer> = OnceLock::new();
        let python = python()?;
        Some(SHARED.get_or_init(|| Self::run(python)))
    }

    /// A server for one test; `None`, said loudly, where the engine is not installed.
    pub(super) fn start() -> Option<Self> {
        python().map(Self::run)
    }

    fn run(python: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).env("TMPDIR", folder.path());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port ").unwrap_or_else(|| panic!("the server did not start: run server.py by hand"));
        Self { port: port.parse().unwrap(), process, _folder: folder }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement that must succeed, and gives its rows, fields separated by tabs.
    pub(super) fn admin(&self, sql: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: admin\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            sql.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(sql.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{sql}: {body}");
        body.to_owned()
    }

    /// Makes a database and fills it: statements separated by semicolons at the ends of lines.
    pub(super) fn database(&self, name: &str, script: &str) {
        self.admin(&format!("CREATE DATABASE {name}"));
        for statement in script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            self.admin(&statement.trim_end_matches(';').replace("IN_HERE", name));
        }
    }

    /// The options of a datasource named `events` on a database.
    pub(super) fn options(&self, database: &str) -> Options {
        options(self.port, &[("database", database), ("user", READER)], PASSWORD)
    }

    /// The datasource on a database.
    pub(super) async fn remote(&self, database: &str) -> Arc<ClickHouseRemote> {
        Arc::new(ClickHouseRemote::open(&self.options(database)).await.unwrap())
    }

    /// How many statements with `mark` in their text the engine runs.
    pub(super) fn running(&self, mark: &str) -> u64 {
        let sql =
            format!("SELECT count() FROM system.processes WHERE position(query, '{mark}') > 0 AND position(query, 'system.processes') = 0");
        self.admin(&sql).trim().parse().unwrap()
    }

    /// Waits until no statement with `mark` in its text runs, and returns how long that took.
    pub(super) async fn gone(&self, mark: &str) -> Duration {
        let begun = Instant::now();
        while self.running(mark) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "a statement with {mark} is still running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// Waits until a statement with `mark` in its text runs.
    pub(super) async fn seen(&self, mark: &str) {
        let begun = Instant::now();
        while self.running(mark) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "no statement with {mark} is running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the server as a crash would.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The options of a datasource named `events` at a port of this machine.
pub(super) fn options(port: u16, more: &[(&str, &str)], password: &str) -> Options {
    let port = port.to_string();
    let mut values: BTreeMap<String, String> =
        [("host", "127.0.0.1"), ("port", &port)].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    values.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let secrets = [("password".to_owned(), SecretString::from(password))].into();
    let mut options = Options::check(&MANIFEST, RemoteId::new("events"), Path::new("/"), values, secrets).unwrap();
    options.query_timeout = Some(Duration::from_secs(60));
    options
}

/// The Python that has the engine; if there is none, the running test is skipped.
fn python() -> Option<PathBuf> {
    let told = std::env::var_os("CAUSEWAY_TEST_CLICKHOUSE_PYTHON").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    // `installed.txt` is written when all packages are there.
    let folder = cache.map(|cache| cache.join("causeway/clickhouse"));
    let installed = folder.filter(|folder| folder.join("installed.txt").exists()).map(|folder| folder.join("bin/python"));
    let python = told.or(installed);
    if python.is_none() {
        skip("the ClickHouse engine", ".ci/run servers");
    }
    python
}

/// What the datasource's own database has; tests that share a server see each other's.
pub(super) async fn look(remote: &ClickHouseRemote) -> Introspection {
    let mut seen = remote.introspect(&Scope::default(), Deadline::after(Duration::from_secs(30))).await.unwrap();
    seen.tables.retain(|table| table.schema == seen.default_schema);
    let prefix = format!("{}.", seen.default_schema);
    seen.omitted.retain(|omission| omission.subject.starts_with(&prefix));
    seen
}

pub(super) async fn table(remote: &ClickHouseRemote, name: &str) -> RemoteTable {
    look(remote).await.tables.into_iter().find(|table| table.name == name).unwrap()
}

/// A context in which the tables of the remote stand under their names.
pub(super) async fn context(remote: &Arc<ClickHouseRemote>) -> SessionContext {
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

pub(super) fn execute(remote: &Arc<ClickHouseRemote>, sql: &str, types: &[DataType]) -> SendableRecordBatchStream {
    Arc::clone(remote).execute(RemoteSql::new(sql.to_owned()), schema(types), LIMITS).unwrap()
}

/// All cells of a statement's result, row by row, as text; NULL is `NULL`.
pub(super) async fn cells(remote: &Arc<ClickHouseRemote>, sql: &str, types: &[DataType]) -> Result<Vec<Vec<String>>, DataFusionError> {
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
