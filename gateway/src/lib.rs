//! The door: configuration, the command line, the Postgres endpoint, and what wires them to the planner and the catalog.

mod audit;
mod cli;
pub mod config;
mod pg;
mod server;
mod shutdown;
mod system;
mod telemetry;
mod webhook;

pub use cli::run;
pub use pg::{
    Backend, DropForeignTable, EndpointLimits, EnvironmentBackend, ImportForeignSchema, ImportSelection, ImportStep, Notice, Notification,
    Notifications, Outcome, PgEndpoint, SessionIdentity, SettingRow, SettingsView, Severity, VisibleCatalog,
};
pub use shutdown::Shutdown;
