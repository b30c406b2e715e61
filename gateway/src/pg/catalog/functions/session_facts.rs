//! Functions about the session and the server.

use std::sync::Arc;

use causeway_planner::ErrorKind;

use super::{Outcome, RowFunction, failure};
use crate::pg::catalog::session::{Session, SettingScope, microseconds};

/// PostgreSQL's encodings we can name, by their numbers.
const ENCODINGS: [(i64, &str); 4] = [(0, "SQL_ASCII"), (6, "UTF8"), (8, "LATIN1"), (24, "WIN1252")];

/// Appends these functions.
pub(super) fn add(session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let constant = |name, returns: &'static str, value: fn(&Session) -> Outcome| {
        let session = Arc::clone(session);
        RowFunction::new(name, 0..=0, returns, move |_| Ok(value(&session)))
    };
    functions
        .extend(["current_user", "session_user", "user", "current_role"].map(|name| constant(name, "name", |s| s.user.as_str().into())));
    functions.extend(["current_database", "current_catalog"].map(|name| constant(name, "name", |s| s.database.as_str().into())));
    functions.push(constant("version", "text", |s| {
        let version = s.state.setting("server_version").unwrap_or_else(|| "16.0".to_owned());
        // The setting `server_version` says which gateway it is.
        format!("PostgreSQL {version}").into()
    }));
    functions.push(constant("pg_backend_pid", "int4", |s| i64::from(s.backend_pid).into()));
    functions.push(constant("pg_postmaster_start_time", "timestamptz", |s| Outcome::Timestamp(microseconds(s.state.started()))));
    functions.push(constant("pg_conf_load_time", "timestamptz", |s| Outcome::Timestamp(microseconds(s.state.started()))));
    functions.push(constant("pg_is_in_recovery", "bool", |_| false.into()));
    functions.push(constant("pg_is_wal_replay_paused", "bool", |_| false.into()));
    functions.push(constant("pg_jit_available", "bool", |_| false.into()));
    functions.push(constant("pg_my_temp_schema", "oid", |_| 0_u32.into()));
    functions.push(constant("pg_client_encoding", "name", |_| "UTF8".into()));
    functions.push(constant("getdatabaseencoding", "name", |_| "UTF8".into()));
    // A client that reaches us over a proxy or a local socket has no address either.
    functions.extend(["inet_server_addr", "inet_client_addr"].map(|name| constant(name, "text", |_| Outcome::Null)));
    functions.extend(["inet_server_port", "inet_client_port"].map(|name| constant(name, "int4", |_| Outcome::Null)));
    functions.push(constant("pg_current_logfile", "text", |_| Outcome::Null));
    functions.push(constant("txid_current_if_assigned", "int8", |_| Outcome::Null));
    // Nothing is written here, so every transaction sees the one that made the database.
    functions.extend(["txid_current", "pg_current_xact_id"].map(|name| constant(name, "int8", |_| 1_i64.into())));
    functions.push(RowFunction::new("pg_is_other_temp_schema", 1..=1, "bool", |_| Ok(false.into())));
    functions.push(RowFunction::new("pg_blocking_pids", 1..=1, "_int2", |_| Ok(Outcome::Ints(Vec::new()))));
    functions.push(RowFunction::new("pg_tablespace_location", 1..=1, "text", |_| Ok("".into())));
    functions.push(RowFunction::new("pg_encoding_to_char", 1..=1, "name", |row| {
        let number = row.int(0);
        Ok(ENCODINGS.iter().find(|(n, _)| Some(*n) == number).map_or("", |(_, name)| name).into())
    }));
    functions.push(RowFunction::new("pg_char_to_encoding", 1..=1, "int4", |row| {
        let name = row.text(0).unwrap_or_default().replace(['-', '_'], "").to_ascii_uppercase();
        Ok(ENCODINGS.iter().find(|(_, n)| n.replace('_', "") == name).map_or(-1, |(number, _)| *number).into())
    }));
    add_settings(session, functions);
    add_signals(session, functions);
}

/// What one session may do to another. As in PostgreSQL it says whether there is one.
fn add_signals(session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let signal = |name, arity, send: fn(&Session, i32) -> bool| {
        let this = Arc::clone(session);
        RowFunction::new(name, arity, "bool", move |row| {
            let pid = row.int(0).and_then(|pid| i32::try_from(pid).ok());
            Ok(pid.is_some_and(|pid| send(&this, pid)).into())
        })
        .volatile()
    };
    functions.push(signal("pg_cancel_backend", 1..=1, |session, pid| session.state.cancel(pid)));
    functions.push(signal("pg_terminate_backend", 1..=2, |session, pid| session.state.terminate(pid)));
}

fn add_settings(session: &Arc<Session>, functions: &mut Vec<RowFunction>) {
    let this = Arc::clone(session);
    functions.push(RowFunction::new("current_setting", 1..=2, "text", move |row| {
        let name = row.text(0).unwrap_or_default();
        match this.state.setting(&name) {
            Some(value) => Ok(value.into()),
            None if row.bool(1) == Some(true) => Ok(Outcome::Null),
            None => Err(failure(ErrorKind::Invalid, format!("unrecognized configuration parameter \"{name}\""))),
        }
    }));
    let this = Arc::clone(session);
    let set_config = RowFunction::new("set_config", 3..=3, "text", move |row| {
        let Some(name) = row.text(0) else { return Err(failure(ErrorKind::Invalid, "SET requires parameter name")) };
        let scope = if row.bool(2) == Some(true) { SettingScope::Transaction } else { SettingScope::Session };
        let value = row.text(1).unwrap_or_default();
        this.state.set(&name, &value, scope).map(Outcome::from).map_err(|text| failure(ErrorKind::Invalid, text))
    });
    functions.push(set_config.called_with_nulls().volatile());
    let this = Arc::clone(session);
    functions.push(RowFunction::new("current_schemas", 1..=1, "_name", move |row| {
        let implicit = row.bool(0) == Some(true) && !this.path().any(|schema| schema == "pg_catalog");
        let first = implicit.then_some("pg_catalog");
        Ok(Outcome::Texts(first.into_iter().chain(this.path()).map(str::to_owned).collect()))
    }));
}
