//! The settings this endpoint knows, as PostgreSQL names, types and defaults them.

use super::value::Kind;

/// The PostgreSQL version whose behaviour clients may expect, and ours behind it.
const SERVER_VERSION: &str = concat!("16.0 (Causeway ", env!("CARGO_PKG_VERSION"), ")");

/// One known setting.
#[derive(Debug)]
pub(super) struct Definition {
    /// The name in lower case, except where PostgreSQL spells it otherwise to clients.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    /// Whether the client is told of it unasked.
    pub(super) reported: bool,
    pub(super) description: &'static str,
}

impl Definition {
    /// Whether nobody may change it.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed)
    }
}

/// Finds a setting by its folded name.
pub(super) fn find(folded: &str) -> Option<&'static Definition> {
    KNOWN.iter().find(|definition| definition.name == folded)
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Definition {
    Definition { name, kind, default, reported: false, description }
}

const fn reported(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Definition {
    Definition { name, kind, default, reported: true, description }
}

const ISOLATION: Kind = Kind::Word(&["read committed", "read uncommitted", "repeatable read", "serializable"]);
const MESSAGES: Kind = Kind::Word(&["debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error"]);

/// All known settings.
pub(super) const KNOWN: &[Definition] = &[
    reported("application_name", Kind::Name, "", "What the client calls itself."),
    setting("array_nulls", Kind::Bool, "on", "Whether NULL in array input is a null."),
    setting("backslash_quote", Kind::Word(&["safe_encoding", "on", "off"]), "safe_encoding", "Whether \\' is allowed in literals."),
    setting("bytea_output", Kind::Word(&["hex", "escape"]), "hex", "How bytea is shown."),
    setting("causeway.dynamic_filters", Kind::Bool, "on", "Whether joins narrow what is read of their other side."),
    setting("causeway.push_down", Kind::Bool, "on", "Whether datasources may compute parts of a statement."),
    setting("check_function_bodies", Kind::Bool, "on", "Accepted for compatibility."),
    reported("client_encoding", Kind::Encoding, "UTF8", "The client's character set, which is always UTF8."),
    setting("client_min_messages", MESSAGES, "notice", "Which notices are sent to the client."),
    setting("cursor_tuple_fraction", Kind::Text, "0.1", "Accepted for compatibility."),
    reported("datestyle", Kind::DateStyle, "ISO, MDY", "How dates are shown and read; the output style is always ISO."),
    setting("default_statistics_target", Kind::Integer { min: 1, max: 10_000 }, "100", "Accepted for compatibility."),
    setting("default_table_access_method", Kind::Text, "heap", "Accepted for compatibility."),
    setting("default_tablespace", Kind::Text, "", "Accepted for compatibility."),
    setting("default_text_search_config", Kind::Text, "pg_catalog.english", "Accepted for compatibility."),
    setting("default_toast_compression", Kind::Text, "pglz", "Accepted for compatibility."),
    setting("default_transaction_deferrable", Kind::Bool, "off", "Accepted for compatibility."),
    setting("default_transaction_isolation", ISOLATION, "read committed", "Accepted for compatibility."),
    reported("default_transaction_read_only", Kind::Bool, "off", "Whether new transactions only read."),
    setting("enable_bitmapscan", Kind::Bool, "on", "Accepted for compatibility."),
    setting("enable_hashjoin", Kind::Bool, "on", "Accepted for compatibility."),
    setting("enable_indexscan", Kind::Bool, "on", "Accepted for compatibility."),
    setting("enable_mergejoin", Kind::Bool, "on", "Accepted for compatibility."),
    setting("enable_nestloop", Kind::Bool, "on", "Accepted for compatibility."),
    setting("enable_seqscan", Kind::Bool, "on", "Accepted for compatibility."),
    setting("escape_string_warning", Kind::Bool, "on", "Accepted for compatibility."),
    setting("extra_float_digits", Kind::Integer { min: -15, max: 3 }, "1", "Above zero floats are shown in their shortest exact form."),
    setting("from_collapse_limit", Kind::Integer { min: 1, max: i32::MAX }, "8", "Accepted for compatibility."),
    setting("geqo", Kind::Bool, "on", "Accepted for compatibility."),
    setting("gin_fuzzy_search_limit", Kind::Integer { min: 0, max: i32::MAX }, "0", "Accepted for compatibility."),
    setting("idle_in_transaction_session_timeout", Kind::Milliseconds, "0", "Ends a session that idles in a transaction this long."),
    setting("idle_session_timeout", Kind::Milliseconds, "0", "Ends a session that idles this long."),
    reported("in_hot_standby", Kind::Fixed, "off", "Whether this is a standby."),
    reported("integer_datetimes", Kind::Fixed, "on", "Dates and times are integers."),
    reported("intervalstyle", Kind::Word(&["postgres"]), "postgres", "How intervals are shown."),
    setting("jit", Kind::Bool, "off", "Accepted for compatibility."),
    setting("join_collapse_limit", Kind::Integer { min: 1, max: i32::MAX }, "8", "Accepted for compatibility."),
    reported("is_superuser", Kind::Fixed, "off", "Whether the user may do everything."),
    setting("lc_collate", Kind::Fixed, "C", "The order of text."),
    setting("lc_ctype", Kind::Fixed, "C", "The character classes of text."),
    setting("lc_messages", Kind::Text, "C", "Accepted for compatibility."),
    setting("lc_monetary", Kind::Text, "C", "Accepted for compatibility."),
    setting("lc_numeric", Kind::Text, "C", "Accepted for compatibility."),
    setting("lc_time", Kind::Text, "C", "Accepted for compatibility."),
    setting("lock_timeout", Kind::Milliseconds, "0", "Accepted for compatibility: nothing here waits for locks."),
    setting("log_statement", Kind::Text, "none", "Accepted for compatibility."),
    setting("maintenance_work_mem", Kind::Text, "64MB", "Accepted for compatibility."),
    setting("max_identifier_length", Kind::Fixed, "63", "The longest name clients should use."),
    setting("max_index_keys", Kind::Fixed, "32", "The most columns of an index."),
    setting("max_parallel_workers_per_gather", Kind::Integer { min: 0, max: 1024 }, "2", "Accepted for compatibility."),
    setting("password_encryption", Kind::Text, "scram-sha-256", "Accepted for compatibility."),
    setting("plan_cache_mode", Kind::Text, "auto", "Accepted for compatibility."),
    setting("quote_all_identifiers", Kind::Bool, "off", "Accepted for compatibility."),
    setting("role", Kind::Word(&["none"]), "none", "The current role."),
    setting("row_security", Kind::Bool, "on", "Accepted for compatibility."),
    setting("search_path", Kind::SearchPath, "\"$user\", public", "Schemas searched for unqualified names."),
    reported("server_encoding", Kind::Fixed, "UTF8", "The server's character set."),
    reported("server_version", Kind::Fixed, SERVER_VERSION, "The PostgreSQL version clients may expect."),
    setting("server_version_num", Kind::Fixed, "160000", "The same as a number."),
    reported("session_authorization", Kind::Fixed, "", "The session's user."),
    setting("ssl", Kind::Fixed, "off", "Whether connections may be encrypted."),
    reported("standard_conforming_strings", Kind::Word(&["on"]), "on", "Backslashes in literals are ordinary characters."),
    setting("statement_timeout", Kind::Milliseconds, "0", "Ends a statement that takes this long."),
    setting("synchronize_seqscans", Kind::Bool, "on", "Accepted for compatibility."),
    setting("synchronous_commit", Kind::Text, "on", "Accepted for compatibility."),
    setting("temp_buffers", Kind::Text, "8MB", "Accepted for compatibility."),
    reported("timezone", Kind::TimeZone, "UTC", "The zone timestamps with time zone are shown in."),
    setting("transaction_deferrable", Kind::Bool, "off", "Accepted for compatibility."),
    setting("transaction_isolation", ISOLATION, "read committed", "The isolation of the current transaction."),
    setting("transaction_read_only", Kind::Bool, "off", "Whether the current transaction only reads."),
    setting("vacuum_cost_delay", Kind::Text, "0", "Accepted for compatibility."),
    setting("work_mem", Kind::Text, "4MB", "Accepted for compatibility."),
    setting("xmlbinary", Kind::Text, "base64", "Accepted for compatibility."),
    setting("xmloption", Kind::Text, "content", "Accepted for compatibility."),
];

/// The name as clients are used to see it.
pub(crate) fn display_name(name: &str) -> &str {
    match name {
        "timezone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        other => other,
    }
}
