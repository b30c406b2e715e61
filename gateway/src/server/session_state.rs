//! A session of the endpoint in the words of the system catalogs.

use std::sync::Arc;
use std::time::SystemTime;

use pgwire::messages::response::TransactionStatus;

use crate::pg::catalog::{Activity, PreparedStatement, Session, SessionState, Setting, SettingScope};
use crate::pg::{SessionActivity, SessionIdentity, Sessions, SettingRow};

/// The session as its statement's functions and system relations see it.
pub(super) fn session(identity: &SessionIdentity, sessions: &Arc<Sessions>, started: SystemTime) -> Session {
    Session {
        user: identity.user.clone(),
        database: identity.database.clone(),
        backend_pid: identity.pid,
        search_path: identity.search_path.clone(),
        state: Arc::new(State { identity: identity.clone(), sessions: Arc::clone(sessions), started }),
    }
}

/// What a session was when its statement began.
#[derive(Debug)]
struct State {
    identity: SessionIdentity,
    sessions: Arc<Sessions>,
    started: SystemTime,
}

impl SessionState for State {
    fn setting(&self, name: &str) -> Option<String> {
        self.identity.settings.get(name).map(|value| value.to_string())
    }

    /// A query cannot change the session it runs in: it may run ahead of, or beside, others of that session.
    fn set(&self, name: &str, value: &str, _scope: SettingScope) -> Result<String, String> {
        match self.setting(name) {
            Some(current) if current == value => Ok(current),
            Some(_) => Err(format!("set_config cannot change \"{name}\"; use SET {name}")),
            None => Err(format!("unrecognized configuration parameter \"{name}\"")),
        }
    }

    fn settings(&self) -> Vec<Setting> {
        self.identity.settings.all().into_iter().map(setting).collect()
    }

    fn activity(&self) -> Vec<Activity> {
        let is_own = |session: &SessionActivity| session.pid == self.identity.pid;
        // A limited role sees nothing of what others do.
        let shown = self.sessions.activity().into_iter().filter(|session| self.identity.role.is_none() || is_own(session));
        shown.map(|session| activity(&self.identity.database, session)).collect()
    }

    fn cancel(&self, pid: i32) -> bool {
        self.sessions.cancel(pid)
    }

    fn terminate(&self, pid: i32) -> bool {
        self.sessions.terminate(pid)
    }

    fn prepared_statements(&self) -> Vec<PreparedStatement> {
        Vec::new()
    }

    fn started(&self) -> SystemTime {
        self.started
    }
}

fn activity(database: &str, session: SessionActivity) -> Activity {
    let state = match (&session.running, session.transaction) {
        (Some(_), _) => "active",
        (None, TransactionStatus::Idle) => "idle",
        (None, TransactionStatus::Transaction) => "idle in transaction",
        (None, TransactionStatus::Error) => "idle in transaction (aborted)",
    };
    Activity {
        pid: session.pid,
        database: database.to_owned(),
        user: session.user,
        application_name: session.application_name,
        client_address: Some(session.client_address.ip().to_string()),
        client_port: Some(session.client_address.port()),
        backend_start: session.started.into(),
        query_start: session.asked_at.map(SystemTime::from),
        state,
        query: session.query,
    }
}

fn setting(row: SettingRow) -> Setting {
    Setting {
        name: row.name.to_string(),
        value: row.value.to_string(),
        boot_value: row.default.map(|value| value.to_string()).unwrap_or_default(),
        description: row.description.to_owned(),
        kind: row.kind,
        unit: None,
        context: "user",
    }
}
