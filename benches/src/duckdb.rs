//! A DuckDB that reads the same three sources: a Python process that is told statements and tells rows and seconds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use causeway_tests::{MariaDbDatabase, PostgresDatabase, Row};
use serde_json::Value;

use crate::outcome::Outcome;

/// A Python that has duckdb and its two extensions.
const PYTHON: &str = "CAUSEWAY_BENCH_PYTHON";

/// What such a Python is made of.
const PACKAGES: &str = "duckdb==1.5.5 duckdb-extension-postgres-scanner==1.5.5 duckdb-extension-mysql-scanner==1.5.5";

/// The first line it is told sets it up, any other is a statement.
const PROGRAM: &str = r"
import duckdb, glob, importlib, json, os, sys, time
# What DuckDB prints of its own, a progress bar for one, is no reply.
replies = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)
connection = duckdb.connect()
for name in ('postgres_scanner', 'mysql_scanner'):
    package = importlib.import_module('duckdb_extension_' + name)
    [file] = glob.glob(os.path.join(os.path.dirname(package.__file__), 'extensions', '*', name + '.duckdb_extension'))
    connection.execute(f'LOAD {file!r}')
def text(value):
    return None if value is None else format(value, 'f') if type(value).__name__ == 'Decimal' else str(value)
for line in sys.stdin:
    try:
        start = time.perf_counter()
        rows = connection.execute(json.loads(line)).fetchall()
        seconds = time.perf_counter() - start
        reply = {'seconds': seconds, 'rows': [[text(value) for value in row] for row in rows]}
    except Exception as error:
        reply = {'error': str(error)}
    print(json.dumps(reply), file=replies, flush=True)
";

/// A running DuckDB, begun anew when it had to be stopped.
#[derive(Debug)]
pub(crate) struct DuckDb {
    set_up: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    process: Child,
    statements: ChildStdin,
    replies: Receiver<String>,
}

impl DuckDb {
    /// One over a database of PostgreSQL, one of MariaDB and the Parquet files of a folder, for the names of tables alone.
    pub(crate) fn over(postgres: (&PostgresDatabase, u16), mariadb: &MariaDbDatabase, folder: &Path, files: &[&str]) -> Self {
        let (postgres, port) = postgres;
        let mut set_up = format!(
            "ATTACH 'host=127.0.0.1 port={port} dbname={} user=reader password={}' AS crm (TYPE postgres, READ_ONLY);
             ATTACH 'host=127.0.0.1 port={} database={} user={} password={}' AS shop (TYPE mysql, READ_ONLY);",
            postgres.name(),
            postgres.password(),
            mariadb.port(),
            mariadb.name(),
            mariadb.user(),
            mariadb.password()
        );
        for name in files {
            let _ = write!(
                set_up,
                "CREATE VIEW {name} AS SELECT * FROM read_parquet('{}');",
                folder.join(name).with_extension("parquet").display()
            );
        }
        let _ = write!(set_up, "SET search_path = 'memory.main,crm.public,shop.{}'", mariadb.name());
        Self { set_up, running: None }
    }

    /// Its rows and the time it took, its start left out.
    ///
    /// # Panics
    /// When there is no Python with DuckDB.
    pub(crate) fn ask(&mut self, sql: &str, limit: Duration) -> Outcome {
        if self.running.is_none() {
            let mut begun = Running::start();
            match begun.ask(&self.set_up, Duration::from_secs(60)) {
                Outcome::Answer(..) => self.running = Some(begun),
                Outcome::TooLong => panic!("DuckDB does not reach the sources in a minute"),
                Outcome::Failed(error) => panic!("DuckDB cannot be set up: {error}"),
            }
        }
        let outcome = self.running.as_mut().map_or(Outcome::TooLong, |running| running.ask(sql, limit));
        if matches!(outcome, Outcome::TooLong) {
            self.running = None;
        }
        outcome
    }
}

impl Running {
    fn start() -> Self {
        let python = std::env::var_os(PYTHON).unwrap_or_else(|| panic!("{PYTHON} names a Python with DuckDB: pip install {PACKAGES}"));
        let process = Command::new(python).args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.unwrap_or_else(|e| panic!("{PYTHON} does not start: {e}"));
        let statements = process.stdin.take().expect("its input is ours");
        let output = BufReader::new(process.stdout.take().expect("its output is ours"));
        let (sender, replies) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { process, statements, replies }
    }

    fn ask(&mut self, sql: &str, limit: Duration) -> Outcome {
        if writeln!(self.statements, "{}", Value::from(sql)).is_err() {
            return Outcome::Failed(format!("DuckDB has ended; a Python for it: pip install {PACKAGES}"));
        }
        let reply: Value = match self.replies.recv_timeout(limit) {
            Ok(line) => serde_json::from_str(&line).expect("it replies in JSON"),
            Err(RecvTimeoutError::Timeout) => return Outcome::TooLong,
            Err(RecvTimeoutError::Disconnected) => {
                return Outcome::Failed(format!("DuckDB has ended; a Python for it: pip install {PACKAGES}"));
            }
        };
        if let Some(error) = reply["error"].as_str() {
            return Outcome::Failed(error.to_owned());
        }
        let row = |row: &Value| row.as_array().into_iter().flatten().map(|value| value.as_str().map(str::to_owned)).collect::<Row>();
        let rows = reply["rows"].as_array().into_iter().flatten().map(row).collect();
        Outcome::Answer(Duration::from_secs_f64(reply["seconds"].as_f64().expect("seconds are a number")), rows)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
