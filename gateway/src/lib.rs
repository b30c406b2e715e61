//! The door: the Postgres endpoint, and what wires it to the planner and the catalog.

mod pg;
mod shutdown;

pub use pg::{Backend, EndpointLimits, EnvironmentBackend, PgEndpoint, SessionIdentity, SettingRow, SettingsView, VisibleCatalog};
pub use shutdown::Shutdown;
