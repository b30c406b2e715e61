//! Running `psql`, as a user would.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::finish_within;

/// A `psql` bound to one server and database.
#[derive(Debug, Clone)]
pub struct Psql {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// What `psql` printed.
#[derive(Debug)]
pub struct PsqlOutput {
    /// Its exit code; a signal counts as -1.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error, where errors and notices go.
    pub stderr: String,
}

impl PsqlOutput {
    /// Standard output, given that `psql` succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn expect_success(self) -> String {
        assert_eq!(self.code, 0, "psql failed: {}{}", self.stdout, self.stderr);
        self.stdout
    }
}

impl Psql {
    /// A `psql` to a server on the loopback interface; `program` is the client to run.
    pub fn new(program: PathBuf, port: u16, database: &str, user: &str, password: Option<&str>) -> Self {
        let mut environment = vec![
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", port.to_string()),
            ("PGDATABASE", database.to_owned()),
            ("PGUSER", user.to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
            ("PSQLRC", "/dev/null".to_owned()),
        ];
        environment.extend(password.map(|password| ("PGPASSWORD", password.to_owned())));
        Self { program, environment }
    }

    /// Runs statements and backslash commands, each as its own `-c`, with the ordinary table output.
    pub fn commands(&self, commands: &[&str]) -> PsqlOutput {
        self.run(&[], commands)
    }

    /// The rows of one statement: unaligned, fields separated by `|`, NULL shown as `<null>`.
    ///
    /// # Panics
    /// When `psql` fails.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let output = self.run(&["-A", "-t", "-F", "|", "-P", "null=<null>"], &[sql]);
        output.expect_success().lines().map(str::to_owned).collect()
    }

    /// Runs a script that must succeed as a whole.
    ///
    /// # Panics
    /// When a statement of it fails.
    pub fn script(&self, sql: &str) {
        let file = tempfile::Builder::new().suffix(".sql").tempfile().expect("a temporary file can be made");
        std::fs::write(file.path(), sql).expect("a temporary file can be written");
        let path = file.path().to_string_lossy().into_owned();
        self.run(&["-q", "-v", "ON_ERROR_STOP=1", "-f", &path], &[]).expect_success();
    }

    /// Runs one statement, discards what it prints, and says how long `psql` took.
    ///
    /// # Panics
    /// When it fails.
    pub fn discard(&self, sql: &str) -> Duration {
        let mut command = Command::new(&self.program);
        command.args(["-X", "-q", "-c", sql]).envs(self.environment.iter().cloned());
        let start = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("psql can be started");
        assert!(status.success(), "psql failed: {status}");
        start.elapsed()
    }

    fn run(&self, options: &[&str], commands: &[&str]) -> PsqlOutput {
        let mut command = Command::new(&self.program);
        command.args(["-X", "-P", "pager=off"]).args(options).envs(self.environment.iter().cloned());
        for text in commands {
            command.args(["-c", text]);
        }
        let finished = finish_within(Duration::from_secs(120), &mut command);
        PsqlOutput { code: finished.code.unwrap_or(-1), stdout: finished.stdout, stderr: finished.stderr }
    }
}
