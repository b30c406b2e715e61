//! What system relations and functions know of the session that asks.

use std::fmt;
use std::time::SystemTime;

/// A client's session, as of the start of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The role it logged in as.
    pub user: String,
    /// The database it entered, which is its environment.
    pub database: String,
    /// The process id it was told, which cancel requests name.
    pub backend_pid: i32,
    /// Schemas searched for unqualified names, in order, as the setting has them; `"$user"` stands for [`Self::user`].
    pub search_path: Vec<String>,
    /// What changes while the session lives.
    pub state: std::sync::Arc<dyn SessionState>,
}

impl Session {
    /// The schemas of the search path with `"$user"` replaced.
    pub(super) fn path(&self) -> impl Iterator<Item = &str> + Clone {
        self.search_path.iter().map(|schema| if schema == "$user" { self.user.as_str() } else { schema.as_str() })
    }
}

/// The live state of a session and of the server. Called during planning and execution, possibly at once from several threads.
pub(crate) trait SessionState: fmt::Debug + Send + Sync {
    /// The value `SHOW name` gives; `None` for a setting that does not exist.
    fn setting(&self, name: &str) -> Option<String>;

    /// Does what `SET name = value` does and gives the value it then has.
    ///
    /// # Errors
    /// A text for the client when there is no such setting or the value is not one of its values.
    fn set(&self, name: &str, value: &str, scope: SettingScope) -> Result<String, String>;

    /// All settings, for `pg_settings`.
    fn settings(&self) -> Vec<Setting>;

    /// All sessions of the database, for `pg_stat_activity`.
    fn activity(&self) -> Vec<Activity>;

    /// Cancels what a session of the database runs; whether there is such a session.
    fn cancel(&self, pid: i32) -> bool;

    /// Ends a session of the database; whether there is such a session.
    fn terminate(&self, pid: i32) -> bool;

    /// The session's prepared statements.
    fn prepared_statements(&self) -> Vec<PreparedStatement>;

    /// When the server started.
    fn started(&self) -> SystemTime;
}

/// How long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettingScope {
    /// Until the session ends or sets it again.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// A row of `pg_settings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name.
    pub name: String,
    /// Its value now.
    pub value: String,
    /// The value the server began with.
    pub boot_value: String,
    /// What it does, in one line.
    pub description: String,
    /// What values it takes: `bool`, `enum`, `integer`, `real` or `string`.
    pub kind: &'static str,
    /// The unit of numbers.
    pub unit: Option<&'static str>,
    /// Who may change it: `internal`, `postmaster` or `user`.
    pub context: &'static str,
}

/// A row of `pg_stat_activity`: a session and its statement, normalised and without literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activity {
    /// The session's process id.
    pub pid: i32,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// What the client calls itself.
    pub application_name: String,
    /// The client's address, without its port.
    pub client_address: Option<String>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// When the session began.
    pub backend_start: SystemTime,
    /// When the last statement began.
    pub query_start: Option<SystemTime>,
    /// `active`, `idle`, `idle in transaction` ...
    pub state: &'static str,
    /// The last statement.
    pub query: String,
}

/// A row of `pg_prepared_statements`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreparedStatement {
    /// Its name.
    pub name: String,
    /// Its text.
    pub statement: String,
    /// When it was prepared.
    pub prepared: SystemTime,
    /// Oids of its parameters' types.
    pub parameter_types: Vec<u32>,
}

/// Microseconds since 1970, as timestamps of system relations have them.
pub(super) fn microseconds(time: SystemTime) -> i64 {
    let signed = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}
