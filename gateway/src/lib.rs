//! The door: configuration, the command line, the Postgres and the HTTP endpoint, and what wires them to the planner and the catalog.

mod administration;
mod audit;
mod cli;
pub mod config;
mod http;
mod metrics;
mod pg;
pub mod roles;
mod server;
mod shutdown;
mod system;
mod telemetry;
mod webhook;

pub use cli::run;
pub use pg::{
    Backend, DropForeignTable, EndpointLimits, EnvironmentBackend, ImportForeignSchema, ImportSelection, ImportStep, Notice, Notification,
    Notifications, Outcome, PgEndpoint, SessionIdentity, SettingRow, SettingsView, Severity, StatementRegistry, VisibleCatalog,
};
pub use shutdown::Shutdown;
