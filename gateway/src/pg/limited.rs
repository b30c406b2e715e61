//! What a session of a limited role may ask of itself: which of its statements are admitted, and which settings it may change.
//!
//! Queries are the planner's to admit, see `causeway_planner::Guardrails`.

use std::time::Duration;

use super::command::Command;
use super::settings::{Settings, milliseconds, schemas};
use super::sqlstate::{FORBIDDEN, PgError, READ_ONLY};
use crate::roles::Role;

/// Settings about how a client wants to be answered. None of them changes what is answered, or what that takes.
const OF_CLIENTS: [&str; 28] = [
    "application_name",
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "escape_string_warning",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "quote_all_identifiers",
    "standard_conforming_strings",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "xmlbinary",
    "xmloption",
];

/// Schemas that a search path may name although no table of the role is in them.
const ALWAYS_IN_PATH: [&str; 4] = ["$user", "public", "pg_catalog", "information_schema"];

impl Role {
    /// Whether it may run the statements of one text together: one of its queries, or any number of those about the session.
    pub(super) fn admit_text(&self, commands: &[Command]) -> Result<(), PgError> {
        if commands.len() > 1 && !commands.iter().all(is_about_session) {
            return Err(self.forbidden("more than one statement in a text").hint("Send each query by itself."));
        }
        Ok(())
    }

    /// Whether it may run a statement of the session itself.
    pub(super) fn admit(&self, command: &Command) -> Result<(), PgError> {
        match command {
            Command::Set { name, value: Some(value), .. } | Command::SetConfig { name, value, .. } => self.admit_setting(name, value),
            Command::Set { name, value: None, .. } => self.admit_name(name),
            Command::Call { procedure, .. } => Err(self.forbidden(&format!("CALL {procedure}"))),
            Command::Listen(_) => Err(self.forbidden("LISTEN")),
            Command::Notify { .. } => Err(self.forbidden("NOTIFY")),
            Command::ImportForeignSchema(_) => Err(self.writes("IMPORT FOREIGN SCHEMA")),
            Command::DropForeignTable(_) => Err(self.writes("DROP FOREIGN TABLE")),
            // What they run, or ran when they were prepared, is admitted as a query.
            Command::Query { .. }
            | Command::Prepare { .. }
            | Command::Execute { .. }
            | Command::Declare { .. }
            | Command::Fetch { .. }
            // Defaults are what was admitted when the session began.
            | Command::Reset(_)
            | Command::Show(_)
            | Command::Discard(_)
            | Command::Transaction(_)
            | Command::Deallocate(_)
            | Command::Close(_)
            | Command::Unlisten(_)
            | Command::ListeningChannels
            | Command::Ignored(_) => Ok(()),
        }
    }

    /// Whether it may set `name` to `value`.
    pub(super) fn admit_setting(&self, name: &str, value: &str) -> Result<(), PgError> {
        self.admit_name(name)?;
        match name.to_lowercase().as_str() {
            "statement_timeout" => {
                let limit = self.limits.statement_timeout;
                let is_lower = |time: u64| time > 0 && Duration::from_millis(time) <= limit;
                // What is no duration is told as such by whoever keeps it.
                if milliseconds(value).is_some_and(|time| !is_lower(time)) {
                    let refusal = self.forbidden("a longer statement_timeout");
                    return Err(refusal.hint(format!("It may be from 1ms to {}ms.", limit.as_millis())));
                }
            }
            "search_path" => {
                let path = schemas(value).unwrap_or_default();
                let hidden = path.iter().find(|schema| !ALWAYS_IN_PATH.contains(&schema.as_str()) && !self.sees_schema(schema));
                if let Some(hidden) = hidden {
                    return Err(self.forbidden(&format!("schema \"{hidden}\" in search_path")).hint(self.sees_hint()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn admit_name(&self, name: &str) -> Result<(), PgError> {
        let folded = name.to_lowercase();
        if OF_CLIENTS.contains(&folded.as_str()) || matches!(folded.as_str(), "statement_timeout" | "search_path") {
            return Ok(());
        }
        let refusal = self.forbidden(&format!("setting \"{name}\""));
        Err(refusal.hint("A limited role sets what is about its client, search_path, and a shorter statement_timeout."))
    }

    /// What it is told of a table that is not among those it sees; `None` when it would see one of that name, if there were one.
    ///
    /// Whether there is such a table makes no difference.
    pub(super) fn denial(&self, schema: Option<&str>, table: &str) -> Option<PgError> {
        let schema = schema?;
        if matches!(schema, "pg_catalog" | "information_schema") || self.sees(schema, table).is_some() {
            return None;
        }
        Some(PgError::new(FORBIDDEN, format!("permission denied for table {schema}.{table}")).hint(self.sees_hint()))
    }

    /// What it is told beside a table that is nowhere.
    pub(super) fn sees_hint(&self) -> String {
        format!("Role \"{}\" sees {}.", self.name, self.places())
    }

    /// The end of a statement that took too long.
    pub(super) fn timed_out(&self) -> PgError {
        let limit = humantime::format_duration(self.limits.statement_timeout);
        let hint =
            format!("Ask for less: role \"{}\" has {limit} for a statement at most, and for all portions of a cursor together.", self.name);
        PgError::timed_out().hint(hint)
    }

    /// Its settings when its session begins.
    pub(super) fn preset(&self, settings: &mut Settings) -> Result<(), PgError> {
        settings.at_startup("statement_timeout", &format!("{}ms", self.limits.statement_timeout.as_millis()))
    }

    fn forbidden(&self, what: &str) -> PgError {
        PgError::new(FORBIDDEN, format!("permission denied: {what} is not allowed to role \"{}\"", self.name))
    }

    fn writes(&self, what: &str) -> PgError {
        PgError::new(READ_ONLY, format!("cannot execute {what}: role \"{}\" only reads", self.name))
            .hint("A limited role only reads: use SELECT, WITH or VALUES.")
    }
}

/// Whether a statement changes or shows the session and reads nothing.
fn is_about_session(command: &Command) -> bool {
    match command {
        Command::Set { .. }
        | Command::SetConfig { .. }
        | Command::Show(_)
        | Command::Reset(_)
        | Command::Discard(_)
        | Command::Transaction(_)
        | Command::Deallocate(_)
        | Command::Close(_)
        | Command::Unlisten(_)
        | Command::ListeningChannels
        | Command::Ignored(_) => true,
        Command::Query { .. }
        | Command::Prepare { .. }
        | Command::Execute { .. }
        | Command::Declare { .. }
        | Command::Fetch { .. }
        | Command::Call { .. }
        | Command::Listen(_)
        | Command::Notify { .. }
        | Command::ImportForeignSchema(_)
        | Command::DropForeignTable(_) => false,
    }
}
