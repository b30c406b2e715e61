//! Introspection: the same twice, without doubles, in as few exchanges with the source for many tables as for few.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::relay::Route;
use super::report::Group;
use super::{Opened, PATIENCE, told};
use crate::deadline::Deadline;
use crate::remote::{Introspection, RemotePresence, RemoteTable, Scope};
use crate::subject::Subject;

/// Three statements, each prepared and executed, and what opens and closes a transaction.
const MOST_EXCHANGES: usize = 12;
/// Tables whose presence is asked for.
const ASKED: usize = 5;
/// How long a warm look may take whatever there is.
const LOOK: Duration = Duration::from_secs(20);

pub(super) async fn check(opened: &Opened<'_>) -> Group {
    let mut group = Group::new("introspection");
    let (remote, seen) = (&opened.remote, &opened.seen);
    let version = remote.ping(Deadline::after(PATIENCE)).await;
    group.check("the source tells its version", version.map_err(told).map(|_| ()));
    let manifest = opened.contract.connector.manifest();
    group.holds("the remote declares no more than the manifest", remote.capabilities().is_within(&manifest.capabilities));
    let again = remote.introspect(&opened.contract.coverage.scope, Deadline::after(LOOK)).await;
    let again = again.map_err(told).and_then(|again| {
        // What a source believes of the number of rows may change by itself.
        if names(&again) == names(seen) { Ok(()) } else { Err("it tells something else".into()) }
    });
    group.check("a second look", again);
    group.holds("tables are sorted", seen.tables.is_sorted_by_key(|table| (&table.schema, &table.name)));
    let subjects: BTreeSet<Subject> = seen.tables.iter().map(|table| table.subject()).collect();
    group.holds("no table is told twice", subjects.len() == seen.tables.len());
    for table in &seen.tables {
        let columns: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let keys = table.primary_key.iter().chain(table.unique_keys.iter().flatten());
        let unknown = keys.filter(|column| !columns.contains(column.as_str())).count();
        let held = match (columns.len() == table.columns.len(), unknown) {
            (true, 0) => Ok(()),
            (false, _) => Err("it has a column twice".into()),
            (true, _) => Err("a key names a column that it does not have".into()),
        };
        group.check(format!("columns and keys of {}", table.subject()), held);
    }
    for table in opened.tables() {
        let provider = Arc::clone(remote).table(table);
        let held = provider.map_err(told).and_then(|provider| {
            let (found, promised) = (provider.schema(), table.arrow_schema());
            if found == promised { Ok(()) } else { Err(format!("it is {found:?}, introspection said {promised:?}").into()) }
        });
        group.check(format!("the schema of {}", table.subject()), held);
    }
    mark(opened, &mut group).await;
    scopes(opened, &mut group).await;
    presence(opened, &mut group).await;
    exchanges(opened, &mut group).await;
    group
}

/// Tables and columns as texts: all of a look but what changes by itself.
fn names(seen: &Introspection) -> Vec<String> {
    let columns = |table: &RemoteTable| -> Vec<String> {
        table.columns.iter().map(|column| format!("{} {} {}", column.name, column.remote_type, column.nullable)).collect()
    };
    seen.tables.iter().map(|table| format!("{}: {}", table.subject(), columns(table).join(", "))).collect()
}

/// A source that marks its catalog gives the same mark of what is the same.
async fn mark(opened: &Opened<'_>, group: &mut Group) {
    let ask = || opened.remote.catalog_mark(Deadline::after(PATIENCE));
    let Some(one) = group.value("a mark of the catalog", ask().await.map_err(told)) else { return };
    let Some(other) = group.value("a second mark of the catalog", ask().await.map_err(told)) else { return };
    // A mark may be missing for once, when a look is due.
    group.holds("an unchanged catalog keeps its mark", one.is_none() || other.is_none() || one == other);
}

/// A scope narrows what is told to its schemas.
async fn scopes(opened: &Opened<'_>, group: &mut Group) {
    let schemas: BTreeSet<&str> =
        opened.seen.tables.iter().map(|table| table.schema.as_str()).filter(|schema| !schema.is_empty()).collect();
    for schema in schemas {
        let scope = Scope { schemas: vec![schema.to_owned()] };
        let told_there = opened.remote.introspect(&scope, Deadline::after(LOOK)).await.map_err(told).and_then(|told| {
            let expected: Vec<_> = opened.seen.tables.iter().filter(|table| table.schema == schema).map(|table| table.subject()).collect();
            let found: Vec<_> = told.tables.iter().map(|table| table.subject()).collect();
            if found == expected { Ok(()) } else { Err(format!("{} tables, and {} without a scope", found.len(), expected.len()).into()) }
        });
        group.check(format!("a look at schema {schema} alone"), told_there);
    }
}

async fn presence(opened: &Opened<'_>, group: &mut Group) {
    let mut subjects = Vec::new();
    for table in opened.tables().into_iter().take(ASKED) {
        subjects.push(table.subject());
        subjects.extend(table.columns.first().map(|column| Subject::column(&table.schema, &table.name, &column.name)));
    }
    let there = subjects.len();
    let schema = opened.seen.default_schema.as_str();
    subjects.push(Subject::table(schema, "causeway_has_no_such_table"));
    let answers = opened.remote.presence(&subjects, Deadline::after(PATIENCE)).await;
    let Some(answers) = group.value("presence is told", answers.map_err(told)) else { return };
    group.holds("presence is told of each subject", answers.len() == subjects.len());
    for (at, (subject, answer)) in subjects.iter().zip(&answers).enumerate() {
        let held = match answer {
            RemotePresence::Readable if at < there => Ok(()),
            // A source may not tell what our user may know nothing of.
            RemotePresence::Absent | RemotePresence::Forbidden if at >= there => Ok(()),
            other => Err(format!("it is {other:?}").into()),
        };
        group.check(format!("presence of {subject}"), held);
    }
}

/// A look is a few exchanges with the source, however many tables there are.
async fn exchanges(opened: &Opened<'_>, group: &mut Group) {
    let contract = opened.contract;
    let relay = match Route::to(contract.options).await {
        Route::Relayed(relay) => relay,
        other => {
            group.leave_out(format!("exchanges with the source: not checked, because {}", other.why_not()));
            return;
        }
    };
    let counted = async {
        let remote = contract.connector.open(&relay.options(contract.options)).await.map_err(told)?;
        remote.introspect(&contract.coverage.scope, Deadline::after(LOOK)).await.map_err(told)?;
        let before = relay.exchanges();
        remote.introspect(&contract.coverage.scope, Deadline::after(LOOK)).await.map_err(told)?;
        let exchanges = relay.exchanges() - before;
        remote.close().await;
        if exchanges <= MOST_EXCHANGES { Ok(()) } else { Err(format!("it takes {exchanges} exchanges").into()) }
    };
    group.check(format!("a look at {} tables takes at most {MOST_EXCHANGES} exchanges", opened.seen.tables.len()), counted.await);
}
