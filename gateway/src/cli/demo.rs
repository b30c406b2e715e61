//! `causeway demo`: the whole product in one minute, without a configuration and without a server to install.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use causeway_catalog::{Datasource, DatasourceState, Environment, Expose, OnMismatch, Origin, SchemaMode, Validation};
use causeway_providers::{ConnectorRegistry, Options, RemoteId};
use clap::Args;

use super::check::tables;
use super::client::{Answer, Client, ClientError};
use super::sample::{Sample, Written};
use super::signal::Signals;
use super::terminal::Terminal;
use super::{FAILED, HttpListen, OK, Overrides, UNUSABLE, table};
use crate::config::{Settings, trust_is_refused};
use crate::server::{Server, StartError};

/// Where the demo keeps its data unless told otherwise.
const FOLDER: &str = "causeway-demo";
/// How long its datasources may take to open: they are files of its own.
const OPENING: Duration = Duration::from_secs(30);
/// One statement's time on a demo datasource.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The query that shows what this is about.
const QUERY: &str = "\
SELECT r.region, r.manager,
       count(DISTINCT o.id)            AS orders,
       sum(l.quantity * l.unit_price)  AS revenue,
       r.target,
       CAST(100 * sum(l.quantity * l.unit_price) / r.target AS bigint) AS percent
  FROM shop.customers c                            -- SQLite
  JOIN shop.orders o     ON o.customer_id = c.id   -- SQLite
  JOIN lake.lineitems l  ON l.order_id = o.id      -- Parquet
  JOIN lake.regions r    ON r.region = c.region    -- CSV
 WHERE o.status = 'shipped'
 GROUP BY r.region, r.manager, r.target
 ORDER BY revenue DESC";

/// What to try next.
const MORE: [&str; 4] = [
    "\\dt shop.*",
    "SELECT name, connector, state FROM causeway.datasources;",
    "SELECT l.product, sum(l.quantity) AS sold FROM lake.lineitems l GROUP BY l.product ORDER BY sold DESC LIMIT 3;",
    "EXPLAIN SELECT c.name, count(*) FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id\n      GROUP BY c.name ORDER BY 2 DESC LIMIT 5;",
];

/// The arguments of `causeway demo`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Stop after the example query.
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    overrides: Overrides,
}

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    match demonstrate(&arguments, terminal).await {
        Ok(()) => OK,
        Err(Failure { text, hint, code }) => {
            terminal.error(&text, hint.as_deref());
            code
        }
    }
}

/// Why the demo ended early.
struct Failure {
    text: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, code: UNUSABLE }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self { text: error.message().to_owned(), hint: error.hint().map(str::to_owned), code: UNUSABLE }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self { text: format!("the example query failed: {error}"), hint: error.hint().map(str::to_owned), code: FAILED }
    }
}

async fn demonstrate(arguments: &Arguments, terminal: &Terminal) -> Result<(), Failure> {
    let folder = arguments.overrides.data_dir.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    let mut settings = Settings::new(folder.clone());
    if let Some(address) = arguments.overrides.postgres_listen {
        if let Some(refusal) = trust_is_refused(address) {
            return Err(Failure::new(format!("--postgres-listen {refusal}")));
        }
        settings.postgres = address;
    }
    if let Some(HttpListen(address)) = arguments.overrides.http_listen {
        if let Some(refusal) = address.and_then(trust_is_refused) {
            return Err(Failure::new(format!("--http-listen {refusal}")));
        }
        settings.http = address;
    }
    let signals = Signals::new().map_err(|error| Failure::new(format!("signals cannot be received: {error}")))?;

    terminal.line(terminal.bold("causeway demo"));
    let sample = Sample::new(&folder);
    let writing = sample.clone();
    let written = tokio::task::spawn_blocking(move || writing.write()).await.map_err(|error| Failure::new(error.to_string()))?;
    let verb = match written.map_err(Failure::new)? {
        Written::Now => "wrote",
        Written::Before => "found",
    };
    terminal.line(format!("\n  {verb} sample data in {}", terminal.bold(&folder.display().to_string())));

    let registry = ConnectorRegistry::built_in();
    let datasources = datasources(&sample, &registry)?;
    let server = bind(&mut settings, datasources, &registry, arguments, terminal).await?;
    let outcome = tokio::select! {
        outcome = present(server.environment(), terminal) => outcome,
        () = signals.stop() => return stopped(server, &signals, Ok(())).await,
    };
    if outcome.is_err() {
        return stopped(server, &signals, outcome).await;
    }
    let server = server.listen();
    let outcome = tokio::select! {
        outcome = show(server.address(), terminal) => outcome,
        () = signals.stop() => return stopped(server, &signals, Ok(())).await,
    };
    if outcome.is_ok() {
        invite(server.address(), server.http_address(), terminal);
        if !arguments.exit {
            terminal.line(format!("\n  {}", terminal.dim("Ctrl-C stops it.")));
            signals.stop().await;
            terminal.line("");
        }
    }
    stopped(server, &signals, outcome).await
}

/// Ends the gateway in order and gives the outcome on.
async fn stopped(server: Server, signals: &Signals, outcome: Result<(), Failure>) -> Result<(), Failure> {
    server.stop(signals.stop_at_once()).await;
    outcome
}

/// Binds the usual ports, or a free one for each that is taken and that nobody asked for.
async fn bind(
    settings: &mut Settings,
    datasources: Vec<Datasource>,
    registry: &ConnectorRegistry,
    arguments: &Arguments,
    terminal: &Terminal,
) -> Result<Server, Failure> {
    loop {
        let error = match Server::bind(settings, datasources.clone(), registry).await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        let taken = error.refused_address().filter(|_| error.io_kind() == Some(io::ErrorKind::AddrInUse));
        let is_usual = |address: SocketAddr, asked: bool| taken == Some(address) && !asked && address.port() != 0;
        let (postgres, http) = (&mut settings.postgres, &mut settings.http);
        let moved = match http {
            _ if is_usual(*postgres, arguments.overrides.postgres_listen.is_some()) => postgres,
            Some(http) if is_usual(*http, arguments.overrides.http_listen.is_some()) => http,
            _ => return Err(error.into()),
        };
        terminal.line(format!("  port {} is taken, so another one is used", moved.port()));
        moved.set_port(0);
    }
}

/// Waits for the datasources and says what they have.
async fn present(environment: &Environment, terminal: &Terminal) -> Result<(), Failure> {
    environment.settled(OPENING).await;
    for status in environment.datasources() {
        let (name, connector) = (&status.datasource.name, &status.datasource.connector);
        if status.state != DatasourceState::Running {
            let reason = status.last_error.unwrap_or_else(|| "it does not open".to_owned());
            return Err(Failure::new(format!("the datasource \"{name}\" does not run: {reason}")));
        }
        let snapshot = environment.snapshot();
        let names: Vec<&str> =
            snapshot.schemas.get(name).map_or_else(Vec::new, |schema| schema.tables.keys().map(String::as_str).collect());
        let count = tables(environment, name);
        terminal.line(format!("    {name:<6} {} {count} tables: {}", terminal.dim(&format!("{connector:<8}")), names.join(", ")));
    }
    Ok(())
}

/// Runs the example query through the gateway's own port and shows it.
async fn show(address: SocketAddr, terminal: &Terminal) -> Result<(), Failure> {
    terminal.line(format!(
        "\n  listening on {}; one query across all three kinds of source, through that port:\n",
        terminal.bold(&address.to_string())
    ));
    terminal.line(indented(QUERY));
    let mut client = Client::connect(&address.to_string(), "demo", "default").await?;
    let started = Instant::now();
    let answers = client.query(QUERY).await?;
    let took = started.elapsed();
    client.close().await;
    let [answer] = <[Answer; 1]>::try_from(answers).map_err(|_| Failure::new("the example query did not give one answer"))?;
    terminal.line(format!("\n{}", indented(&table::of(&answer).to_string())));
    terminal.line(terminal.dim(&format!("    {} rows in {} ms", answer.rows.len(), took.as_millis())));
    Ok(())
}

/// Says what to do now.
fn invite(address: SocketAddr, http: Option<SocketAddr>, terminal: &Terminal) {
    terminal.line("\n  now yours:\n");
    terminal.line(format!("    {}", terminal.bold(&format!("psql -h {} -p {} -U demo default", address.ip(), address.port()))));
    terminal.line("\n  and in it, for example:\n");
    for example in MORE {
        terminal.line(format!("    {example}"));
    }
    if let Some(http) = http {
        terminal.line("\n  and over HTTP, for example:\n");
        terminal.line(format!("    causeway datasource list --url http://{http}"));
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The demo's datasources, as files would declare them.
fn datasources(sample: &Sample, registry: &ConnectorRegistry) -> Result<Vec<Datasource>, Failure> {
    let one = |name: &str, connector: &str, path: &Path| {
        let known = registry.get(connector).ok_or_else(|| Failure::new(format!("this build has no connector \"{connector}\"")))?;
        let values = BTreeMap::from([("path".to_owned(), path.display().to_string())]);
        let checked = Options::check(known.manifest(), RemoteId::new(name), Path::new(""), values, BTreeMap::new());
        let mut options = checked.map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.key, fault.message)).collect();
            Failure::new(format!("the connector \"{connector}\" does not take its options: {}", faults.join("; ")))
        })?;
        options.query_timeout = Some(QUERY_TIMEOUT);
        Ok::<_, Failure>(Datasource {
            name: name.to_owned(),
            connector: connector.to_owned(),
            origin: Origin::Code,
            schema_mode: SchemaMode::External,
            label: None,
            options,
            allowed_schemas: Vec::new(),
            schema_names: BTreeMap::new(),
            expose: Expose::All,
            allow_writes: false,
            validation: Validation { on_mismatch: OnMismatch::Fail, check_on_boot: true, check_interval: None },
            refresh_interval: None,
            tables: Vec::new(),
        })
    };
    Ok(vec![one("shop", "sqlite", &sample.shop)?, one("lake", "files", &sample.lake)?])
}
