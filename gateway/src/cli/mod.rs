//! The command line: what can be asked, and the exit codes.

mod arguments;
mod catalog;
mod check;
pub(crate) mod client;
mod connector;
mod datasource;
mod demo;
mod differences;
mod events;
pub(crate) mod http_client;
mod migrate;
mod query;
mod sample;
mod serve;
mod signal;
mod table;
mod terminal;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{address, http_address};
use crate::telemetry::{self, LogFormat};
use arguments::Asking;
use terminal::Terminal;

/// Everything went well.
const OK: u8 = 0;
/// The command failed; for `check`, pinned tables do not match; for `datasource drift`, something is broken.
const FAILED: u8 = 1;
/// The configuration is wrong or a datasource cannot be reached.
const UNUSABLE: u8 = 2;

/// Threads of the runtime plan statements, and a deep plan is walked recursively.
const STACK: usize = 16 << 20;

/// One Postgres endpoint over all your data.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What is logged to standard error, such as `info` or `causeway_catalog=debug,warn`.
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sample SQLite, Parquet and CSV sources, a query across them through the gateway's own port, then serves them.
    Demo(demo::Arguments),
    /// Serves the datasources of a configuration until it is told to stop.
    Serve(serve::Arguments),
    /// Checks a configuration, connects, compares pinned tables. Exit code 0, 1 (mismatch) or 2 (configuration or connection).
    Check(check::Arguments),
    /// Runs one statement on a running gateway.
    Query(query::Arguments),
    /// The datasources of a running gateway: what they have, how they drift, what is imported from them.
    Datasource(Asking<datasource::Command>),
    /// The connectors of this build: what they take and can do, and whether one keeps its contract with a datasource.
    #[command(subcommand)]
    Connector(connector::Command),
    /// The snapshots a running gateway keeps of what datasources had.
    Catalog(Asking<catalog::Command>),
    /// What happened at a running gateway.
    Events(Asking<events::Command>),
    /// The form of a stopped gateway's control store.
    Migrate(migrate::Arguments),
}

/// What `demo` and `serve` share.
#[derive(Debug, Clone, Args)]
struct Overrides {
    /// Where the Postgres endpoint listens, such as 127.0.0.1:7432.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    postgres_listen: Option<SocketAddr>,
    /// Where the HTTP endpoint listens, such as 127.0.0.1:7433, or `off`.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_http_address)]
    http_listen: Option<HttpListen>,
    /// Where the gateway keeps files of its own.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    address(text).map_err(|expected| format!("is {expected}"))
}

/// Where to serve HTTP; `None` is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HttpListen(Option<SocketAddr>);

fn parse_http_address(text: &str) -> Result<HttpListen, String> {
    http_address(text).map(HttpListen).map_err(|expected| format!("is {expected}"))
}

/// More threads than cores: a join that computes for long keeps its thread, and the others must go on answering.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) + 6
}

/// Runs the command of this process' arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new();
    // People see the demo and the answers of a command; a server is seen by its log.
    let filter = cli.log.as_deref().unwrap_or(match cli.command {
        Command::Serve(_) => "info",
        Command::Demo(_)
        | Command::Check(_)
        | Command::Query(_)
        | Command::Connector(_)
        | Command::Datasource(_)
        | Command::Catalog(_)
        | Command::Events(_)
        | Command::Migrate(_) => "error",
    });
    if let Err(fault) = telemetry::init(filter, cli.log_format) {
        terminal.error(&fault, None);
        return ExitCode::from(UNUSABLE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .thread_name("causeway")
        .thread_stack_size(STACK)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&format!("the process cannot start its threads: {error}"), None);
            return ExitCode::from(UNUSABLE);
        }
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Demo(arguments) => demo::run(arguments, &terminal).await,
            Command::Serve(arguments) => serve::run(arguments, &terminal).await,
            Command::Check(arguments) => check::run(arguments, &terminal).await,
            Command::Query(arguments) => query::run(arguments, &terminal).await,
            Command::Connector(command) => connector::run(command, &terminal).await,
            Command::Datasource(arguments) => datasource::run(arguments, &terminal).await,
            Command::Catalog(arguments) => catalog::run(arguments, &terminal).await,
            Command::Events(arguments) => events::run(arguments, &terminal).await,
            Command::Migrate(arguments) => migrate::run(arguments, &terminal).await,
        }
    });
    // A thread that still blocks in a driver has no part in what the command answered.
    runtime.shutdown_background();
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_must_be_one() {
        assert_eq!(parse_address("localhost:1").unwrap().to_string(), "127.0.0.1:1");
        assert_eq!(parse_address("nowhere").unwrap_err(), "is not an address such as 127.0.0.1:7432");
        assert_eq!(parse_http_address("off"), Ok(HttpListen(None)));
        assert_eq!(parse_http_address("no").unwrap_err(), "is neither off nor an address such as 127.0.0.1:7433");
    }
}
