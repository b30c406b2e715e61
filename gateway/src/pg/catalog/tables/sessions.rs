//! Relations about roles, settings and running sessions: what differs by who asks, and when.

use datafusion::error::Result;

use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::columns::{Rows, Value};
use crate::pg::catalog::model::{OWNER, OWNER_NAME, role_oid};
use crate::pg::catalog::session::{Session, microseconds};

const NULL: Value<'static> = Value::Null;

/// Whether a relation of `pg_catalog` is one of these.
pub(super) fn is_live(name: &str) -> bool {
    matches!(name, "pg_authid" | "pg_roles" | "pg_user" | "pg_shadow" | "pg_settings" | "pg_stat_activity" | "pg_prepared_statements")
}

/// Appends the rows of one of these relations.
pub(super) fn fill(name: &str, catalog: &PgCatalog, session: &Session, rows: &mut Rows) -> Result<()> {
    match name {
        "pg_authid" | "pg_roles" | "pg_user" | "pg_shadow" => {
            roles(catalog, session).into_iter().try_for_each(|role| push_role(name, &role, rows))
        }
        "pg_settings" => fill_settings(session, rows),
        "pg_stat_activity" => fill_activity(catalog, session, rows),
        "pg_prepared_statements" => session.state.prepared_statements().iter().try_for_each(|s| {
            let types: Vec<i64> = s.parameter_types.iter().map(|oid| i64::from(*oid)).collect();
            let prepared = Value::Timestamp(microseconds(s.prepared));
            let zero = Value::Int(0);
            rows.push(&[(&s.name).into(), (&s.statement).into(), prepared, Value::Ints(&types), NULL, false.into(), zero, zero])
        }),
        _ => Ok(()),
    }
}

struct NumberedRole {
    oid: u32,
    name: String,
    superuser: bool,
    may_log_in: bool,
}

/// The owner, the declared roles, and the session's own, each once.
fn roles(catalog: &PgCatalog, session: &Session) -> Vec<NumberedRole> {
    let mut roles = vec![NumberedRole { oid: OWNER, name: OWNER_NAME.to_owned(), superuser: true, may_log_in: false }];
    for role in &catalog.database().roles {
        if role.name != OWNER_NAME {
            let oid = role_oid(&role.name, catalog.oids());
            roles.push(NumberedRole { oid, name: role.name.clone(), superuser: role.superuser, may_log_in: true });
        }
    }
    if !roles.iter().any(|r| r.name == session.user) {
        let oid = role_oid(&session.user, catalog.oids());
        roles.push(NumberedRole { oid, name: session.user.clone(), superuser: false, may_log_in: true });
    }
    roles
}

fn push_role(relation: &str, role: &NumberedRole, rows: &mut Rows) -> Result<()> {
    let no = Value::Bool(false);
    let (name, oid, superuser, login) = ((&role.name).into(), role.oid.into(), role.superuser.into(), role.may_log_in.into());
    let unlimited = Value::Int(-1);
    match relation {
        "pg_authid" => rows.push(&[oid, name, superuser, true.into(), superuser, superuser, login, no, superuser, unlimited]),
        "pg_roles" => {
            let hidden = Value::Text("********");
            rows.push(&[name, superuser, true.into(), superuser, superuser, login, no, unlimited, hidden, NULL, superuser, NULL, oid])
        }
        _ if !role.may_log_in => Ok(()),
        _ => rows.push(&[name, oid, superuser, superuser, no, superuser, "********".into()]),
    }
}

fn fill_settings(session: &Session, rows: &mut Rows) -> Result<()> {
    for setting in session.state.settings() {
        let source = if setting.value == setting.boot_value { "default" } else { "session" };
        rows.push(&[
            (&setting.name).into(),
            (&setting.value).into(),
            setting.unit.into(),
            "Causeway".into(),
            (&setting.description).into(),
            NULL,
            setting.context.into(),
            setting.kind.into(),
            source.into(),
            NULL,
            NULL,
            NULL,
            (&setting.boot_value).into(),
            (&setting.boot_value).into(),
            NULL,
            NULL,
            false.into(),
        ])?;
    }
    Ok(())
}

fn fill_activity(catalog: &PgCatalog, session: &Session, rows: &mut Rows) -> Result<()> {
    let model = catalog.model();
    for activity in session.state.activity() {
        let database = model.databases.iter().find(|(_, name)| *name == activity.database).map(|(oid, _)| *oid);
        let began = activity.query_start.map_or(NULL, |t| Value::Timestamp(microseconds(t)));
        let running = if activity.state == "active" { began } else { NULL };
        rows.push(&[
            database.into(),
            (&activity.database).into(),
            activity.pid.into(),
            NULL,
            role_oid(&activity.user, catalog.oids()).into(),
            (&activity.user).into(),
            (&activity.application_name).into(),
            activity.client_address.as_deref().into(),
            NULL,
            activity.client_port.map(i32::from).into(),
            Value::Timestamp(microseconds(activity.backend_start)),
            running,
            began,
            began,
            NULL,
            NULL,
            activity.state.into(),
            NULL,
            NULL,
            NULL,
            (&activity.query).into(),
            "client backend".into(),
        ])?;
    }
    Ok(())
}
