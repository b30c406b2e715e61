//! `causeway serve`: the gateway of a configuration, until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use causeway_catalog::{DatasourceState, DatasourceStatus, Environment};
use causeway_providers::ConnectorRegistry;
use clap::Args;

use super::check::code;
use super::signal::Signals;
use super::terminal::Terminal;
use super::{FAILED, HttpListen, OK, Overrides, UNUSABLE};
use crate::config::{Config, Faults, Settings, trust_is_refused};
use crate::server::Server;

/// How long clients are kept waiting for datasources that are slow to open and whose tables nobody knows yet. A source that refuses is
/// not waited for.
const HEAD_START: Duration = Duration::from_secs(3);
/// The same when the tables of all of them are known from before, and can be shown.
const SHORT_HEAD_START: Duration = Duration::from_millis(300);
/// With `--strict`, all of them must be there; the connectors' own limits end the wait earlier.
const STRICT_LIMIT: Duration = Duration::from_secs(600);

/// The arguments of `causeway serve`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Do not serve unless every datasource runs.
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    let registry = ConnectorRegistry::built_in();
    let loaded = Config::load(&arguments.config, &registry, &|name| std::env::var(name).ok()).and_then(|mut config| {
        apply(&arguments.overrides, &mut config.settings)?;
        Ok(config)
    });
    let config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            terminal.error(&format!("the configuration is not valid\n{faults}"), None);
            return UNUSABLE;
        }
    };
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            terminal.error(&format!("signals cannot be received: {error}"), None);
            return UNUSABLE;
        }
    };
    let server = match Server::bind(&config.settings, config.datasources, &registry).await {
        Ok(server) => server,
        Err(error) => {
            terminal.error(error.message(), error.hint());
            return UNUSABLE;
        }
    };
    let limit = if arguments.strict { STRICT_LIMIT } else { head_start(server.environment()) };
    tracing::info!(datasources = server.environment().datasources().len(), "opening");
    tokio::select! {
        () = server.environment().settled(limit) => {}
        () = signals.stop() => {
            server.stop(signals.stop_at_once()).await;
            return OK;
        }
    }
    if arguments.strict
        && let Some(code) = refused(server.environment(), terminal)
    {
        server.stop(signals.stop_at_once()).await;
        return code;
    }
    let mut server = server.listen();
    tracing::info!(address = %server.address(), http = server.http_address().map(tracing::field::display), "listening");
    let code = tokio::select! {
        () = signals.stop() => OK,
        () = server.ended() => {
            terminal.error("an endpoint ended by itself; the log says why", None);
            FAILED
        }
    };
    server.stop(signals.stop_at_once()).await;
    tracing::info!("stopped");
    code
}

fn head_start(environment: &Environment) -> Duration {
    let is_known = |status: &DatasourceStatus| status.state != DatasourceState::Starting || status.stale_since.is_some();
    if environment.datasources().iter().all(is_known) { SHORT_HEAD_START } else { HEAD_START }
}

/// The exit code when a datasource does not run, after telling which.
fn refused(environment: &Environment, terminal: &Terminal) -> Option<u8> {
    let mut worst = None;
    for status in environment.datasources() {
        let code = code(&status);
        if code != OK || status.state != DatasourceState::Running {
            let reason = status.last_error.clone().unwrap_or_else(|| status.mismatches.join("; "));
            terminal.error(
                &format!("datasource \"{}\" is in state {}: {reason}", status.datasource.name, status.state.as_str()),
                status.last_hint.as_deref(),
            );
            worst = worst.max(Some(code));
        }
    }
    worst
}

/// Puts what the command line says over what the file says.
fn apply(overrides: &Overrides, settings: &mut Settings) -> Result<(), Faults> {
    if let Some(address) = overrides.postgres_listen {
        if let Some(refusal) = trust_is_refused(address) {
            return Err(Faults::one("command line", "--postgres-listen", refusal));
        }
        settings.postgres = address;
    }
    if let Some(HttpListen(address)) = overrides.http_listen {
        if let Some(refusal) = address.and_then(trust_is_refused) {
            return Err(Faults::one("command line", "--http-listen", refusal));
        }
        settings.http = address;
    }
    if let Some(folder) = &overrides.data_dir {
        // Folders that were not chosen go with the data folder.
        if settings.limits.spill == settings.data_dir.join("spill") {
            settings.limits.spill = folder.join("spill");
        }
        if settings.webhook_secrets == settings.data_dir.join("webhook-secrets") {
            settings.webhook_secrets = folder.join("webhook-secrets");
        }
        settings.data_dir.clone_from(folder);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_overrides_and_is_checked_too() {
        let overrides = |address: Option<&str>, folder: Option<&str>| Overrides {
            postgres_listen: address.map(|address| address.parse().unwrap()),
            http_listen: None,
            data_dir: folder.map(PathBuf::from),
        };
        let mut settings = Settings::new("data".into());
        apply(&overrides(Some("127.0.0.1:1"), Some("other")), &mut settings).unwrap();
        assert_eq!(settings.postgres.port(), 1);
        assert_eq!(settings.limits.spill, PathBuf::from("other/spill"));
        assert_eq!(settings.webhook_secrets, PathBuf::from("other/webhook-secrets"));
        settings.limits.spill = "chosen".into();
        apply(&overrides(None, Some("third")), &mut settings).unwrap();
        assert_eq!(settings.limits.spill, PathBuf::from("chosen"));
        let refused = apply(&overrides(Some("0.0.0.0:1"), None), &mut settings).unwrap_err();
        assert!(refused.to_string().starts_with("command line: --postgres-listen: is 0.0.0.0:1, which others can reach"), "{refused}");
        let http = |address: Option<&str>| Overrides {
            http_listen: Some(HttpListen(address.map(|address| address.parse().unwrap()))),
            ..overrides(None, None)
        };
        apply(&http(Some("[::1]:2")), &mut settings).unwrap();
        assert_eq!(settings.http.map(|address| address.port()), Some(2));
        apply(&http(None), &mut settings).unwrap();
        assert_eq!(settings.http, None);
        let refused = apply(&http(Some("0.0.0.0:2")), &mut settings).unwrap_err();
        assert!(refused.to_string().starts_with("command line: --http-listen: is 0.0.0.0:2, which others can reach"), "{refused}");
    }
}
