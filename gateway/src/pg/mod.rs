//! The Postgres endpoint: the wire protocol, sessions and their statements.
//!
//! It knows how to speak, not what there is: tables come from a [`Backend`] and plans from the planner. The message layouts of the
//! backend are pgwire's; the listener, the loop and the rows are our own, because results must stream and cancel must reach them.

mod active_statement;
mod cancel;
pub(crate) mod catalog;
mod command;
mod connection;
mod decode;
mod encode;
mod extended_query;
mod frontend;
mod limited;
mod listener;
mod notice;
mod notify;
mod outcome;
mod pg_type;
mod portal;
mod prepared_statements;
mod query_start;
mod second_look;
mod session;
mod session_command;
mod sessions;
mod settings;
mod simple_query;
mod sqlstate;
mod startup;
mod transaction;
mod truncation;
mod write;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use causeway_catalog::Asking;
use causeway_planner::{ChangedRelation, StatementCache};
use causeway_providers::StatementObserver;
use chrono::{DateTime, Utc};
use datafusion::catalog::CatalogProviderList;
use datafusion::logical_expr::ScalarUDF;

use crate::roles::Role;

pub use command::{DropForeignTable, ImportForeignSchema, ImportSelection};
pub use listener::{EndpointLimits, PgEndpoint};
pub use notice::{Notice, Severity};
pub use notify::{Notification, Notifications};
pub use outcome::{ImportStep, Outcome};
pub use prepared_statements::StatementRegistry;
pub(crate) use second_look::SecondLooks;
pub(crate) use sessions::{SessionActivity, Sessions, StatementActivity};
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

    /// The hub of its channels: one for as long as the environment is served.
    fn notifications(&self) -> &Arc<Notifications>;

    /// Where its sessions note the statements that clients prepare under a name.
    fn statements(&self) -> &Arc<StatementRegistry>;

    /// The plans of its statements.
    fn statement_cache(&self) -> &Arc<StatementCache>;

    /// Its sessions.
    fn sessions(&self) -> &Arc<Sessions>;

    /// The looks at its datasources that its sessions ask for.
    fn second_looks(&self) -> &SecondLooks;

    /// The limited role that a user is; `None` for one who is not limited. Called once when a session begins.
    fn role(&self, user: &str) -> Option<Arc<Role>>;

    /// What a statement of `session` sees, called once when the statement is planned. It does no IO.
    fn visible(&self, session: &SessionIdentity) -> VisibleCatalog;

    /// Whether the gates let a statement of `session` change what it would. What they let pass may still not be supported.
    ///
    /// # Errors
    /// `ReadOnly` with the gate's code and what to do.
    fn admit(&self, changes: &[ChangedRelation], session: &SessionIdentity) -> causeway_providers::Result<()>;

    /// Whether the gates let the rows of one table be changed, which is asked of the very table, right before they are.
    ///
    /// # Errors
    /// `ReadOnly` with the gate's code and what to do; also when the table is not published, or is another datasource's.
    fn admit_change(&self, schema: &str, table: &str, datasource: &str) -> causeway_providers::Result<()>;

    /// Why a table that `session` names is not among those it sees, and where to look; `None` when nothing is known of such a table.
    fn left_out(&self, schema: Option<&str>, table: &str, session: &SessionIdentity) -> Option<String>;

    /// The [`version`](VisibleCatalog::version) since which those of `tables`, each a schema and a name, that are of a datasource are what
    /// a look at it saw; zero for one that was never looked at. What others publish does not change it.
    fn replaced(&self, datasource: &str, tables: &[(String, String)]) -> u64;

    /// Looks at those of `tables`, each a schema and a name, that are of a datasource; what [`visible`](Self::visible) gives then has them
    /// as they are, and all others as they were. Called by `SecondLooks` for statements whose source lacks what the snapshot says it
    /// has, in the name of `actor`. Dropping the future gives up.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource, or what the source gives; what is visible stays as it was then.
    async fn look_again(&self, datasource: &str, tables: &[(String, String)], actor: &str) -> causeway_providers::Result<()>;

    /// Runs `CALL procedure(arguments)`. Dropping the future gives up.
    ///
    /// # Errors
    /// `Unsupported` for a procedure that does not exist, `Invalid` for wrong arguments, or what the procedure met.
    async fn call(&self, procedure: &str, arguments: &[String], session: &SessionIdentity) -> causeway_providers::Result<Outcome>;

    /// Publishes tables of a datasource, or tells what it would do when [`is_dry_run`](ImportForeignSchema::is_dry_run).
    ///
    /// All of it is done or nothing, and what is done stays: it is never called within a transaction block, but for a dry run.
    /// Dropping the future gives up, with the same choice. `asking` can be withdrawn until it begins to be written.
    ///
    /// # Errors
    /// `NotFound` for an unknown datasource, schema or table, `Conflict` for a name that is taken, `Unsupported` when nothing can be
    /// kept, `Cancelled` when it was withdrawn, or what the source gives.
    async fn import_foreign_schema(
        &self,
        import: &ImportForeignSchema,
        session: &SessionIdentity,
        asking: &Asking,
    ) -> causeway_providers::Result<Outcome>;

    /// Ends the publication of tables that were imported. All of it is done or nothing; it is never called within a transaction block.
    /// As with an import, `asking` can be withdrawn.
    ///
    /// # Errors
    /// `NotFound` for an unknown table unless [`if_exists`](DropForeignTable::if_exists), `Unsupported` for one that was not imported
    /// or when nothing can be kept, `Cancelled` when it was withdrawn.
    async fn drop_foreign_tables(
        &self,
        drop: &DropForeignTable,
        session: &SessionIdentity,
        asking: &Asking,
    ) -> causeway_providers::Result<Outcome>;
}

/// The tables and functions one statement sees.
#[derive(Clone)]
pub struct VisibleCatalog {
    /// The tables, pinned to one snapshot.
    pub catalog: Arc<dyn CatalogProviderList>,
    /// Functions that know the session.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Is told of what the statement sends to sources.
    pub observer: Option<Arc<dyn StatementObserver>>,
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
    /// The limited role it is, if it is one.
    pub role: Option<Arc<Role>>,
    /// Schemas searched for unqualified names.
    pub search_path: Vec<String>,
    /// All settings as of this statement, for `current_setting` and `pg_settings`.
    pub settings: SettingsView,
}
