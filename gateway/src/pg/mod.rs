//! The Postgres endpoint: the wire protocol, sessions and their statements.
//!
//! It knows how to speak, not what there is: tables come from a [`Backend`] and plans from the planner. The message layouts of the
//! backend are pgwire's; the listener, the loop and the rows are our own, because results must stream and cancel must reach them.

mod cancel;
pub(crate) mod catalog;
mod command;
mod connection;
mod decode;
mod encode;
mod extended_query;
mod frontend;
mod listener;
mod notice;
mod pg_type;
mod portal;
mod session;
mod settings;
mod simple_query;
mod sqlstate;
mod startup;
mod transaction;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_providers::ScanObserver;
use chrono::{DateTime, Utc};
use datafusion::catalog::CatalogProviderList;
use datafusion::logical_expr::ScalarUDF;

pub use listener::{EndpointLimits, PgEndpoint};
pub use settings::{SettingRow, SettingsView};

/// What the endpoint needs of the rest of the process.
pub trait Backend: Send + Sync {
    /// The environment a client names as its database; `None` refuses the connection with 3D000.
    fn environment(&self, database: &str) -> Option<Arc<dyn EnvironmentBackend>>;
}

/// One environment, as its sessions need it. All methods may be called at once by many sessions.
#[async_trait]
pub trait EnvironmentBackend: Send + Sync {
    /// Its name, which is the name of the one catalog in [`VisibleCatalog::catalog`].
    fn name(&self) -> &str;

    /// What a statement of `session` sees, called once when the statement is planned. It does no IO.
    fn visible(&self, session: &SessionIdentity) -> VisibleCatalog;

    /// Runs `CALL procedure(arguments)` and returns a text for the user. Dropping the future gives up.
    ///
    /// # Errors
    /// `Unsupported` for a procedure that does not exist, `Invalid` for wrong arguments, or what the procedure met.
    async fn call(&self, procedure: &str, arguments: &[String]) -> causeway_providers::Result<String>;
}

/// The tables and functions one statement sees.
#[derive(Clone)]
pub struct VisibleCatalog {
    /// The tables, pinned to one snapshot.
    pub catalog: Arc<dyn CatalogProviderList>,
    /// Functions that know the session.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Is told of what the statement sends to sources.
    pub observer: Option<Arc<dyn ScanObserver>>,
    /// Equal for two calls by one session exactly when the tables are the same: a prepared plan is then used again.
    pub version: u64,
}

/// Who asks, and with which settings.
#[derive(Debug, Clone)]
pub struct SessionIdentity {
    /// The user's name as the client gave it.
    pub user: String,
    /// The environment's name.
    pub database: String,
    /// What the client calls itself; may be empty.
    pub application_name: String,
    /// The session's number, as in `pg_backend_pid()`.
    pub pid: i32,
    /// Where the client is.
    pub client_address: SocketAddr,
    /// When the session began.
    pub started: DateTime<Utc>,
    /// Schemas searched for unqualified names.
    pub search_path: Vec<String>,
    /// All settings as of this statement, for `current_setting` and `pg_settings`.
    pub settings: SettingsView,
}
