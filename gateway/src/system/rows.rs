//! The rows of the views of schema `causeway`, column by column in the order of their schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use causeway_catalog::{
    CatalogSnapshot, DatasourcePool, DatasourceStatus, DeadLetter, DriftRow, Event, ForeignTable, PublishedName, StoredSnapshot,
    Subscriber, SubscriberKind,
};
use causeway_planner::ScanProgress;
use causeway_providers::{Omission, RemoteTable};
use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use serde_json::json;

use crate::pg::{SessionActivity, StatementActivity};
use crate::webhook;

/// `drift` has the number of open differences of those that have any, if it is known.
pub(super) fn datasources(all: &[DatasourceStatus], drift: Option<&BTreeMap<String, u64>>) -> Vec<ArrayRef> {
    vec![
        texts(all.iter().map(|status| status.datasource.name.as_str())),
        texts(all.iter().map(|status| status.datasource.connector.as_str())),
        texts(all.iter().map(|status| status.datasource.origin.as_str())),
        texts(all.iter().map(|status| status.datasource.schema_mode.as_str())),
        texts(all.iter().map(|status| status.state.as_str())),
        // Datasources declared in files have no versions of their own: the files' history has.
        Arc::new(all.iter().map(|_| None::<i64>).collect::<Int64Array>()),
        flags(all.iter().map(|status| status.datasource.allow_writes)),
        maybe_texts(all.iter().map(|status| {
            let limit = status.datasource.options.query_timeout;
            limit.map(|limit| humantime::format_duration(limit).to_string())
        })),
        maybe_texts(all.iter().map(|status| status.last_error.as_deref())),
        moments(all.iter().map(|status| status.stale_since)),
        counts(all.iter().map(|status| drift.map(|drift| drift.get(&status.datasource.name).copied().unwrap_or_default()))),
    ]
}

pub(super) fn remote_tables(snapshot: &CatalogSnapshot) -> Vec<ArrayRef> {
    // A table that is published twice is one table over there.
    let tables: BTreeMap<(&str, &str, &str), &RemoteTable> = tables(snapshot)
        .map(|table| ((table.datasource.as_str(), table.remote.schema.as_str(), table.remote.name.as_str()), &table.remote))
        .collect();
    let remotes = || tables.values();
    vec![
        texts(tables.keys().map(|(datasource, _, _)| *datasource)),
        texts(tables.keys().map(|(_, schema, _)| *schema)),
        texts(tables.keys().map(|(_, _, name)| *name)),
        texts(remotes().map(|remote| remote.kind.as_str())),
        counts(remotes().map(|remote| Some(remote.columns.len() as u64))),
        maybe_texts(remotes().map(|remote| (!remote.primary_key.is_empty()).then(|| remote.primary_key.join(", ")))),
        counts(remotes().map(|remote| remote.row_estimate)),
        maybe_texts(remotes().map(|remote| remote.comment.as_deref())),
    ]
}

pub(super) fn foreign_tables(snapshot: &CatalogSnapshot) -> Vec<ArrayRef> {
    let all: Vec<&ForeignTable> = tables(snapshot).collect();
    let is_imported = |table: &ForeignTable| snapshot.schemas.get(&table.schema).is_some_and(|schema| schema.datasource.is_none());
    vec![
        texts(all.iter().map(|table| table.schema.as_str())),
        texts(all.iter().map(|table| table.name.as_str())),
        texts(all.iter().map(|table| table.datasource.as_str())),
        texts(all.iter().map(|table| table.remote.schema.as_str())),
        texts(all.iter().map(|table| table.remote.name.as_str())),
        flags(all.iter().map(|table| table.pinned)),
        counts(all.iter().map(|table| Some(table.columns.fields().len() as u64))),
        flags(all.iter().map(|table| is_imported(table))),
        flags(all.iter().map(|table| table.writable)),
        maybe_texts(all.iter().map(|table| {
            let reason = table.unavailable.as_ref().or(snapshot.schemas.get(&table.schema)?.unavailable.as_ref())?;
            Some(reason.message())
        })),
    ]
}

pub(super) fn omissions(all: &[DatasourceStatus]) -> Vec<ArrayRef> {
    let omissions: Vec<(&str, &Omission)> =
        all.iter().flat_map(|status| status.omitted.iter().map(|omission| (status.datasource.name.as_str(), omission))).collect();
    vec![
        texts(omissions.iter().map(|(datasource, _)| *datasource)),
        texts(omissions.iter().map(|(_, omission)| omission.subject.as_str())),
        texts(omissions.iter().map(|(_, omission)| omission.reason.as_str())),
    ]
}

pub(super) fn drift(all: &[DriftRow]) -> Vec<ArrayRef> {
    vec![
        texts(all.iter().map(|row| row.datasource.as_str())),
        texts(all.iter().map(|row| row.remote_schema.as_str())),
        texts(all.iter().map(|row| row.remote_table.as_str())),
        texts(all.iter().map(|row| row.kind.as_str())),
        maybe_texts(all.iter().map(|row| row.column.as_deref())),
        maybe_texts(all.iter().map(|row| row.expected.as_deref())),
        maybe_texts(all.iter().map(|row| row.actual.as_deref())),
        texts(all.iter().map(|row| row.severity.as_str())),
        moments(all.iter().map(|row| Some(row.first_seen))),
        numbers(all.iter().map(|row| Some(row.opened_sequence))),
        moments(all.iter().map(|row| row.resolved_at)),
        numbers(all.iter().map(|row| row.resolved_sequence)),
        maybe_texts(all.iter().map(|row| row.resolution.as_deref())),
        maybe_texts(all.iter().map(|row| Some(row.published.iter().map(PublishedName::to_string).collect::<Vec<_>>().join(", ")))),
    ]
}

/// The statements that run, each with the session it runs in.
pub(super) fn statements(sessions: &[SessionActivity]) -> Vec<ArrayRef> {
    let all: Vec<(&SessionActivity, &StatementActivity)> =
        sessions.iter().filter_map(|session| Some((session, session.running.as_ref()?))).collect();
    let elapsed = |session: &SessionActivity| {
        let asked = session.asked_at?;
        u64::try_from((Utc::now() - asked).num_milliseconds()).ok()
    };
    vec![
        numbers(all.iter().map(|(session, _)| Some(i64::from(session.pid)))),
        texts(all.iter().map(|(session, _)| session.user.as_str())),
        texts(all.iter().map(|(session, _)| session.application_name.as_str())),
        maybe_texts(all.iter().map(|(session, _)| Some(session.client_address.to_string()))),
        moments(all.iter().map(|(session, _)| session.asked_at.map(SystemTime::from))),
        counts(all.iter().map(|(session, _)| Some(elapsed(session).unwrap_or_default()))),
        texts(all.iter().map(|(_, statement)| statement.phase.as_str())),
        texts(all.iter().map(|(session, _)| session.query.as_str())),
        counts(all.iter().map(|(_, statement)| Some(statement.sent))),
        maybe_texts(all.iter().map(|(_, statement)| {
            let datasources: BTreeSet<&str> = statement.scans.iter().map(|scan| scan.datasource.as_str()).collect();
            Some(datasources.into_iter().collect::<Vec<_>>().join(", "))
        })),
        maybe_texts(all.iter().map(|(_, statement)| {
            let scan = |scan: &ScanProgress| {
                json!({"datasource": scan.datasource.as_str(), "statement": scan.statement, "rows": scan.rows, "bytes": scan.bytes})
            };
            Some(serde_json::Value::from_iter(statement.scans.iter().map(scan)).to_string())
        })),
    ]
}

pub(super) fn catalog_history(all: &[StoredSnapshot]) -> Vec<ArrayRef> {
    vec![
        texts(all.iter().map(|snapshot| snapshot.datasource.as_str())),
        numbers(all.iter().map(|snapshot| Some(snapshot.version))),
        moments(all.iter().map(|snapshot| Some(snapshot.taken_at))),
        moments(all.iter().map(|snapshot| Some(snapshot.seen_at))),
        counts(all.iter().map(|snapshot| Some(snapshot.table_count))),
        texts(all.iter().map(|snapshot| snapshot.fingerprint.as_str())),
    ]
}

pub(super) fn events(all: &[Event]) -> Vec<ArrayRef> {
    vec![
        numbers(all.iter().map(|event| Some(event.sequence))),
        maybe_texts(all.iter().map(|event| Some(event.id.to_string()))),
        texts(all.iter().map(|event| event.kind.as_str())),
        maybe_texts(all.iter().map(|event| event.subject.as_deref())),
        maybe_texts(all.iter().map(|event| Some(event.source()))),
        moments(all.iter().map(|event| Some(event.time))),
        maybe_texts(all.iter().map(|event| event.actor.as_deref())),
        maybe_texts(all.iter().map(|event| Some(event.data.to_string()))),
    ]
}

/// Subscribers, and how far each is behind event `latest`.
pub(super) fn subscribers(all: &[Subscriber], latest: i64) -> Vec<ArrayRef> {
    vec![
        texts(all.iter().map(|subscriber| subscriber.name.as_str())),
        texts(all.iter().map(|subscriber| subscriber.kind.as_str())),
        maybe_texts(all.iter().map(|subscriber| {
            Some(match subscriber.kind {
                SubscriberKind::Webhook => webhook::shown(&subscriber.target),
                SubscriberKind::Sink => subscriber.target.clone(),
            })
        })),
        maybe_texts(all.iter().map(|subscriber| (!subscriber.types.is_empty()).then(|| subscriber.types.join(", ")))),
        texts(all.iter().map(|subscriber| subscriber.state.as_str())),
        numbers(all.iter().map(|subscriber| Some(subscriber.position))),
        numbers(all.iter().map(|subscriber| Some((latest - subscriber.position).max(0)))),
        counts(all.iter().map(|subscriber| Some(u64::from(subscriber.attempts)))),
        moments(all.iter().map(|subscriber| subscriber.retry_at)),
        maybe_texts(all.iter().map(|subscriber| subscriber.last_error.as_deref())),
    ]
}

pub(super) fn dead_letters(all: &[DeadLetter]) -> Vec<ArrayRef> {
    vec![
        texts(all.iter().map(|letter| letter.subscriber.as_str())),
        numbers(all.iter().map(|letter| Some(letter.sequence))),
        moments(all.iter().map(|letter| Some(letter.failed_at))),
        counts(all.iter().map(|letter| Some(u64::from(letter.attempts)))),
        texts(all.iter().map(|letter| letter.error.as_str())),
    ]
}

pub(super) fn capabilities(all: &[DatasourceStatus]) -> Vec<ArrayRef> {
    let rows: Vec<(&str, &str, bool)> = all
        .iter()
        .filter_map(|status| Some((status.datasource.name.as_str(), status.capabilities?)))
        .flat_map(|(datasource, capabilities)| capabilities.flags().map(|(word, supported)| (datasource, word, supported)))
        .collect();
    vec![
        texts(rows.iter().map(|(datasource, _, _)| *datasource)),
        texts(rows.iter().map(|(_, word, _)| *word)),
        flags(rows.iter().map(|(_, _, supported)| *supported)),
    ]
}

/// Pools, by the names of their datasources.
pub(super) fn pools(all: &[DatasourcePool]) -> Vec<ArrayRef> {
    let states = || all.iter().map(|pool| &pool.state);
    let failures = || states().map(|state| state.last_error.as_ref());
    vec![
        texts(all.iter().map(|pool| pool.datasource.as_str())),
        texts(all.iter().map(|pool| pool.purpose.as_str())),
        counts(states().map(|state| Some(state.size() as u64))),
        counts(states().map(|state| Some(state.max_size as u64))),
        counts(states().map(|state| Some(state.in_use as u64))),
        counts(states().map(|state| Some(state.idle as u64))),
        counts(states().map(|state| Some(state.waiting as u64))),
        counts(states().map(|state| Some(u64::try_from(state.waited.as_millis()).unwrap_or(u64::MAX)))),
        counts(states().map(|state| Some(state.opened))),
        counts(states().map(|state| Some(state.errors))),
        maybe_texts(failures().map(|failure| failure.map(|failure| failure.message.as_str()))),
        moments(failures().map(|failure| failure.map(|failure| failure.at))),
    ]
}

fn tables(snapshot: &CatalogSnapshot) -> impl Iterator<Item = &ForeignTable> {
    snapshot.tables().map(AsRef::as_ref)
}

fn microseconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn maybe_texts(values: impl Iterator<Item = Option<impl AsRef<str>>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn flags(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn numbers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn moments(values: impl Iterator<Item = Option<SystemTime>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(microseconds)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))).collect::<Int64Array>())
}
