//! ClickHouse's engine behind the HTTP interface that the connector's own tests bring.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::gateway::Datasource;
use crate::skip::skip_for;

const SCRIPT: &str = include_str!("../../providers/src/clickhouse/tests/server.py");
const USER: &str = "reader";
const PASSWORD: &str = r#"p'ä"s\s:w?"#;

/// A running server, shared by all tests. It ends with the process that started it.
#[derive(Debug)]
pub struct ClickHouseServer {
    port: u16,
    _process: Child,
}

/// One database of a [`ClickHouseServer`].
#[derive(Debug, Clone)]
pub struct ClickHouseDatabase {
    port: u16,
    name: String,
}

impl ClickHouseServer {
    /// The server that all tests share, started when first asked for. `None` when the engine is not installed: the test is skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<ClickHouseServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| python().map(Self::run)).as_ref();
        if shared.is_none() {
            skip_for("the ClickHouse engine", ".ci/run servers");
        }
        shared
    }

    fn run(python: PathBuf) -> Self {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the Python that has the engine can be run");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("its output can be read");
        let port = line.trim().strip_prefix("port ").expect("the server starts");
        Self { port: port.parse().expect("a port is a number"), _process: process }
    }

    /// Makes an empty database; the name must be new.
    pub fn database(&self, name: &str) -> ClickHouseDatabase {
        let database = ClickHouseDatabase { port: self.port, name: name.to_owned() };
        database.run(&format!("CREATE DATABASE {name}"));
        database
    }
}

impl ClickHouseDatabase {
    /// Runs a script that must succeed: statements that end in a semicolon at the end of a line, with `IN_HERE` for the database's name.
    ///
    /// # Panics
    /// When a statement of it fails.
    pub fn script(&self, sql: &str) {
        for statement in sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            self.run(&statement.trim_end_matches(';').replace("IN_HERE", &self.name));
        }
    }

    /// It as a datasource called `name`.
    pub fn datasource(&self, name: &str) -> Datasource {
        Datasource::new(name, "clickhouse")
            .option("host", "127.0.0.1")
            .option("port", &self.port.to_string())
            .option("database", &self.name)
            .option("user", USER)
            .credential("password", PASSWORD)
    }

    /// Runs a statement that must succeed, and gives its rows, fields separated by tabs.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, sql: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is up");
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: admin\r\nConnection: close\r\n";
        let asked = format!("{head}Content-Length: {}\r\n\r\n{sql}", sql.len());
        socket.write_all(asked.as_bytes()).expect("the server listens");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the server answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{sql}: {body}");
        body.to_owned()
    }
}

/// The Python that has the engine: `installed.txt` is written when all packages are there.
fn python() -> Option<PathBuf> {
    if let Some(told) = std::env::var_os("CAUSEWAY_TEST_CLICKHOUSE_PYTHON") {
        return Some(PathBuf::from(told));
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let folder = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("causeway/clickhouse");
    folder.join("installed.txt").exists().then(|| folder.join("bin/python"))
}
