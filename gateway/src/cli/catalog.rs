//! `causeway catalog`: the snapshots a running gateway keeps of what datasources had.

use clap::Subcommand;
use serde_json::Value;

use super::arguments::{Asking, Named};
use super::differences::{Against, count, render};
use super::http_client::{CallError, segment, shaped};
use super::terminal::Terminal;
use super::{OK, table};
use crate::http::shape::{CatalogDifference, Snapshot};

/// What `causeway catalog` can be asked.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The snapshots that are kept of a datasource, oldest first.
    History(Named),
    /// How a datasource's tables changed from one snapshot to another.
    Diff {
        #[command(flatten)]
        datasource: Named,
        /// The number of the older snapshot.
        from: i64,
        /// The number of the newer one.
        to: i64,
    },
}

pub(super) async fn run(arguments: Asking<Command>, terminal: &Terminal) -> u8 {
    match answer(&arguments, terminal).await {
        Ok(()) => OK,
        Err(error) => error.tell(terminal),
    }
}

async fn answer(arguments: &Asking<Command>, terminal: &Terminal) -> Result<(), CallError> {
    let gateway = arguments.connection.gateway()?;
    let path = match &arguments.command {
        Command::History(Named { name }) => format!("/api/v1/datasources/{}/external/catalog?history", segment(name)),
        Command::Diff { datasource: Named { name }, from, to } => {
            format!("/api/v1/datasources/{}/external/catalog/diff?from={from}&to={to}", segment(name))
        }
    };
    let answer = gateway.get(&path).await?;
    match &arguments.command {
        _ if arguments.connection.json => terminal.line(&answer),
        Command::History(_) => show_history(answer, terminal)?,
        Command::Diff { .. } => show_difference(answer, terminal)?,
    }
    Ok(())
}

fn show_history(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let snapshots: Vec<Snapshot> = shaped(answer)?;
    let mut shown = table::headed(["version", "taken at", "last seen at", "tables", "fingerprint"]);
    for snapshot in snapshots {
        // Enough of it to tell two apart.
        let fingerprint: String = snapshot.fingerprint.chars().take(12).collect();
        let (version, tables) = (snapshot.version.to_string(), snapshot.table_count.to_string());
        shown.add_row([version, snapshot.taken_at, snapshot.seen_at, tables, fingerprint]);
    }
    terminal.line(shown);
    Ok(())
}

fn show_difference(answer: Value, terminal: &Terminal) -> Result<(), CallError> {
    let CatalogDifference { datasource, from, to, differences } = shaped(answer)?;
    terminal.line(format!("{} from {from} to {to}: {}", terminal.bold(&datasource), count(&differences)));
    if !differences.is_empty() {
        terminal.line(render(&differences, Against::Past, terminal));
    }
    Ok(())
}
