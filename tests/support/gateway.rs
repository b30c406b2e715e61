//! A running gateway with a configuration of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::binary::causeway;
use crate::discard::{DiscardingClient, Protocol};
use crate::port::free_port;
use crate::process::Supervised;
use crate::psql::Psql;
use crate::wait::eventually;

/// A datasource as a file in the datasources folder declares it.
#[derive(Debug, Clone)]
pub struct Datasource {
    name: String,
    connector: String,
    schema_mode: String,
    options: Vec<(String, String)>,
    credentials: Vec<(String, String)>,
    external: Vec<(String, String)>,
    sections: Vec<String>,
}

impl Datasource {
    /// A datasource without options.
    pub fn new(name: &str, connector: &str) -> Self {
        Self {
            name: name.to_owned(),
            connector: connector.to_owned(),
            schema_mode: "external".to_owned(),
            options: Vec::new(),
            credentials: Vec::new(),
            external: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// A SQLite database.
    pub fn sqlite(name: &str, path: &Path) -> Self {
        Self::new(name, "sqlite").option("path", &path.to_string_lossy())
    }

    /// A folder of files.
    pub fn files(name: &str, path: &Path) -> Self {
        Self::new(name, "files").option("path", &path.to_string_lossy())
    }

    /// Says who owns its schema, instead of somebody else.
    #[must_use]
    pub fn schema_mode(mut self, mode: &str) -> Self {
        mode.clone_into(&mut self.schema_mode);
        self
    }

    /// Adds a line under `options:`.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line under `credentials:`; the value reaches the gateway through its environment.
    #[must_use]
    pub fn credential(mut self, key: &str, value: &str) -> Self {
        self.credentials.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line under `external:`; the value is YAML.
    #[must_use]
    pub fn external(mut self, key: &str, value: &str) -> Self {
        self.external.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds a top-level section, as YAML.
    #[must_use]
    pub fn section(mut self, yaml: &str) -> Self {
        self.sections.push(yaml.to_owned());
        self
    }

    /// Writes it as a file for `command`, which is given the credentials.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, file: &Path, command: &mut Command) {
        fs::write(file, self.yaml()).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        command.envs(self.credentials.iter().map(|(key, value)| (self.variable(key), value)));
    }

    fn variable(&self, key: &str) -> String {
        format!("CAUSEWAY_TEST_{}_{}", self.name, key).to_uppercase()
    }

    fn yaml(&self) -> String {
        let mut text = format!("name: {}\nconnector: {}\nschema_mode: {}\n", self.name, self.connector, self.schema_mode);
        let mut section = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                let _ = writeln!(text, "{title}:\n  {}", lines.join("\n  "));
            }
        };
        section("options", self.options.iter().map(|(key, value)| format!("{key}: {}", quoted(value))).collect());
        section("credentials", self.credentials.iter().map(|(key, _)| format!("{key}: env:{}", self.variable(key))).collect());
        section("external", self.external.iter().map(|(key, value)| format!("{key}: {value}")).collect());
        for section in &self.sections {
            let _ = writeln!(text, "{section}");
        }
        text
    }
}

/// A JSON string is a YAML scalar, so a port is quoted too; options are texts to the gateway whatever they look like.
fn quoted(value: &str) -> String {
    if value.bytes().all(|b| b.is_ascii_digit()) { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

/// How much memory a gateway holds, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
}

/// A running `causeway serve`. Its log is shown when the test that owns it fails.
#[derive(Debug)]
pub struct Gateway {
    process: Supervised,
    folder: TempDir,
    port: u16,
    http_port: u16,
    /// The credentials, which reach it through its environment.
    variables: Vec<(String, String)>,
}

impl Gateway {
    /// Starts a gateway and waits until no datasource is starting any more.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(datasources: impl IntoIterator<Item = Datasource>) -> Self {
        Self::start_with("", datasources)
    }

    /// As [`start`](Self::start), with more lines for `causeway.yaml`.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start_with(settings: &str, datasources: impl IntoIterator<Item = Datasource>) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-gateway-").tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let http_port = free_port();
        write_config(folder.path(), port, http_port, settings);
        let mut variables = Vec::new();
        for datasource in datasources {
            for (key, value) in &datasource.credentials {
                variables.push((datasource.variable(key), value.clone()));
            }
            let file = folder.path().join("datasources").join(format!("{}.yaml", datasource.name));
            fs::write(file, datasource.yaml()).expect("a file can be written to an own folder");
        }
        let process = serve(folder.path(), &variables);
        let mut this = Self { process, folder, port, http_port, variables };
        this.wait_until_settled();
        this
    }

    /// Ends it in order and starts it again over the same folder.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn restart(&mut self) {
        self.process.stop();
        self.process = serve(self.folder.path(), &self.variables);
        self.wait_until_settled();
    }

    /// Kills it at once, as a power cut would, and starts it again over the same folder.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn kill_and_restart(&mut self) {
        self.kill_and_serve();
        self.wait_until_settled();
    }

    /// As [`kill_and_restart`](Self::kill_and_restart), but waits for nothing.
    pub fn kill_and_serve(&mut self) {
        self.process.kill_all();
        self.process = serve(self.folder.path(), &self.variables);
    }

    /// Waits until it listens and no datasource is starting any more.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn wait_until_settled(&mut self) {
        let (mut client, _) = eventually("the gateway listens", Duration::from_secs(30), || {
            if let Some(status) = self.process.ended() {
                panic!("the gateway ended with {status}");
            }
            DiscardingClient::connect(self.port, "default", "tester").ok()
        });
        eventually("the datasources have settled", Duration::from_secs(30), || {
            let starting = client.run("SELECT name FROM causeway.datasources WHERE state = 'starting'", Protocol::Simple);
            let starting = starting.expect("the gateway stays");
            assert_eq!(starting.error, None, "causeway.datasources can be read");
            (starting.rows == 0).then_some(())
        });
    }

    /// The port of its Postgres endpoint.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The base of its HTTP endpoint.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// A client of it; its connection is a task of the current runtime.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname("default").user("tester").application_name("causeway-tests");
        let (client, connection) = config.connect(NoTls).await.expect("the gateway accepts a client");
        tokio::spawn(connection);
        client
    }

    /// A client of it as `user`, with the notices it receives, each a SQLSTATE and a text; `options` are those of the start-up message.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect_as(
        &self,
        user: &str,
        options: &str,
    ) -> Result<(tokio_postgres::Client, mpsc::UnboundedReceiver<(String, String)>), tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname("default").user(user).application_name("causeway-tests").options(options);
        let (client, mut connection) = config.connect(NoTls).await?;
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message
                    && sender.send((notice.code().code().to_owned(), notice.message().to_owned())).is_err()
                {
                    break;
                }
            }
        });
        Ok((client, received))
    }

    /// A `psql` into it as `user`.
    ///
    /// # Panics
    /// When `psql` is not installed.
    pub fn psql_as(&self, user: &str) -> Psql {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path).map(|folder| folder.join("psql")).find(|program| program.is_file());
        Psql::new(program.expect("psql is installed"), self.port, "default", user, None)
    }

    /// As [`connect`](Self::connect), with the notifications it receives.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect_listening(&self) -> (tokio_postgres::Client, mpsc::UnboundedReceiver<tokio_postgres::Notification>) {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname("default").user("tester").application_name("causeway-tests");
        let (client, mut connection) = config.connect(NoTls).await.expect("the gateway accepts a client");
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message
                    && sender.send(notification).is_err()
                {
                    break;
                }
            }
        });
        (client, received)
    }

    /// A client that counts what it receives and keeps nothing.
    ///
    /// # Panics
    /// When it is refused.
    pub fn discarding_client(&self) -> DiscardingClient {
        DiscardingClient::connect(self.port, "default", "tester").expect("the gateway accepts a client")
    }

    /// A `psql` into it.
    ///
    /// # Panics
    /// When `psql` is not installed.
    pub fn psql(&self) -> Psql {
        self.psql_as("tester")
    }

    /// Waits until `causeway.datasources` gives this state for a datasource.
    ///
    /// # Panics
    /// When `limit` passes first.
    pub fn wait_for_state(&self, datasource: &str, state: &str, limit: Duration) {
        let psql = self.psql();
        let sql = format!("SELECT state FROM causeway.datasources WHERE name = '{datasource}'");
        eventually(&format!("{datasource} is {state}"), limit, || (psql.rows(&sql) == [state]).then_some(()));
    }

    /// Asks it to end, as a service manager does, and waits until it has; gives its exit code and how long that took.
    pub fn shut_down(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        let status = self.process.stop();
        (status.code(), start.elapsed())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How much memory it holds.
    ///
    /// # Panics
    /// When it is not running.
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the gateway runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel reports memory");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("memory is a number of kB")
        };
        Memory { resident: field("VmRSS"), peak: field("VmHWM") }
    }

    /// How long its threads have computed, all together.
    ///
    /// # Panics
    /// When it is not running.
    pub fn computing_time(&self) -> Duration {
        let statistics = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the gateway runs");
        // The name of the program comes second, in parentheses; user and system time are fields 14 and 15, in hundredths.
        let fields = statistics.rsplit_once(") ").expect("the kernel reports times").1;
        let hundredths: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a time is a number")).sum();
        Duration::from_millis(hundredths * 10)
    }

    /// Sets the peak of [`memory`](Self::memory) back to what is resident now.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").expect("the peak of an own child can be reset");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n");
            #[allow(clippy::print_stderr, reason = "the test harness shows it with the failure")]
            {
                eprintln!("--- the gateway's last lines\n{last}\n---");
            }
        }
    }
}

fn serve(folder: &Path, variables: &[(String, String)]) -> Supervised {
    let mut command = Command::new(causeway());
    command.arg("serve").arg("--config").arg(folder.join("causeway.yaml")).current_dir(folder);
    command.env("RUST_LOG", "info").env("NO_COLOR", "1").env_remove("CI");
    command.envs(variables.iter().map(|(key, value)| (key, value)));
    Supervised::spawn(command, "TERM", folder, &folder.join("log"))
}

fn write_config(folder: &Path, port: u16, http_port: u16, settings: &str) {
    fs::create_dir(folder.join("datasources")).expect("a folder can be made in an own one");
    let text = format!(
        "listen:\n  postgres: 127.0.0.1:{port}\n  http: 127.0.0.1:{http_port}\ndata_dir: ./data\nauth: trust\ndatasources: ./datasources\n{settings}\n"
    );
    fs::write(folder.join("causeway.yaml"), text).expect("a file can be written to an own folder");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datasource_file_holds_no_secret() {
        let datasource = Datasource::new("crm", "postgres")
            .option("host", "127.0.0.1")
            .option("port", "5432")
            .credential("password", "hidden")
            .external("query_timeout", "1s")
            .section("tables:\n  - { name: t, remote: public.t }");
        assert_eq!(
            datasource.yaml(),
            "name: crm\nconnector: postgres\nschema_mode: external\noptions:\n  host: \"127.0.0.1\"\n  port: 5432\n\
             credentials:\n  password: env:CAUSEWAY_TEST_CRM_PASSWORD\nexternal:\n  query_timeout: 1s\n\
             tables:\n  - { name: t, remote: public.t }\n"
        );
    }
}
