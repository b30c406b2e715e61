//! `causeway connector`: which connectors this build has, what each takes and can do, whether one keeps its contract, a new one.

mod coverage;
mod engine;
mod list;
mod new;
mod test;
#[cfg(test)]
mod tests;

use causeway_providers::ConnectorRegistry;
use clap::Subcommand;

use super::terminal::Terminal;

/// What is asked about connectors.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The connectors of this build.
    List {
        /// Answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// One connector: its options, its credentials, what its sources compute.
    Show {
        /// Its kind, such as postgres.
        kind: String,
        /// Answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks a connector against a datasource, which is only read: what it promises must be true. Exit code 0, 1 (a promise is
    /// broken) or 2 (configuration or connection, or no table to check it on).
    Test(test::Arguments),
    /// Writes the folder of a new connector: one that works, to be made another.
    New(new::Arguments),
}

pub(super) async fn run(command: Command, terminal: &Terminal) -> u8 {
    let registry = ConnectorRegistry::built_in();
    match command {
        Command::List { json } => list::list(&registry, json, terminal),
        Command::Show { kind, json } => list::show(&registry, &kind, json, terminal),
        Command::Test(arguments) => test::run(arguments, &registry, terminal).await,
        Command::New(arguments) => new::run(&arguments, &registry, terminal),
    }
}
