//! What the commands that ask a running gateway have in common.

use clap::{Args, Subcommand};

use super::http_client::Connection;

/// What is asked, and which gateway.
#[derive(Debug, Args)]
pub(super) struct Asking<C: Subcommand> {
    #[command(subcommand)]
    pub(super) command: C,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// A datasource.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The datasource.
    pub(super) name: String,
}
