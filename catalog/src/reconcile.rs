//! From what a comparison found to what is noted of it: differences opened and closed, each told by one event in the same change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use causeway_providers::{Result, Subject};
use serde_json::{Value, json};

use crate::drift::{Difference, DifferenceKind, DriftReport, TableDrift};
use crate::event::{EventType, NewEvent};
use crate::impact::Impact;
use crate::published_name::PublishedName;
use crate::store::{Change, DriftRow};

/// Why differences that are open may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The source is again as expected.
    Reverted,
    /// What the source is now was accepted by a refresh or an import.
    Accepted,
    /// The table of ours it was about is not published any more.
    Dropped,
}

/// What brings a change of the noted differences about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// Why those that are gone are closed.
    pub(crate) closing: Closing,
    /// Whoever asked for it; `None` is the gateway itself.
    pub(crate) actor: Option<&'a str>,
}

impl Closing {
    fn as_str(self) -> &'static str {
        match self {
            Closing::Reverted => "reverted",
            Closing::Accepted => "accepted",
            Closing::Dropped => "dropped",
        }
    }
}

/// What makes two differences the same.
type Key = (String, Option<String>, Option<String>, Option<String>, String);

fn key_of(difference: &Difference) -> Key {
    let Difference { kind, column, expected, actual, severity, published: _ } = difference;
    key(kind.as_str(), column.as_ref(), expected.as_ref(), actual.as_ref(), severity.as_str())
}

fn key_of_row(row: &DriftRow) -> Key {
    key(&row.kind, row.column.as_ref(), row.expected.as_ref(), row.actual.as_ref(), &row.severity)
}

fn key(kind: &str, column: Option<&String>, expected: Option<&String>, actual: Option<&String>, severity: &str) -> Key {
    // A column that is gone is gone, whether or not its type is still known.
    let expected = expected.filter(|_| kind != DifferenceKind::MissingColumn.as_str());
    (kind.to_owned(), column.cloned(), expected.cloned(), actual.cloned(), severity.to_owned())
}

/// The open differences of a datasource by table.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Open(BTreeMap<Subject, Vec<DriftRow>>);

impl Open {
    pub(crate) fn new(rows: Vec<DriftRow>) -> Self {
        let mut open = Self::default();
        for row in rows {
            open.0.entry(Subject::table(&row.remote_schema, &row.remote_table)).or_default().push(row);
        }
        open
    }

    /// The tables of which a report says something else than what is open.
    pub(crate) fn news(&self, report: &DriftReport) -> BTreeSet<Subject> {
        let mut news: BTreeSet<Subject> = report.tables.iter().filter(|drift| !self.tells(drift)).map(TableDrift::subject).collect();
        news.extend(self.0.keys().filter(|subject| report.of(subject).is_none() && !unreadable(report, subject)).cloned());
        news
    }

    /// Whether exactly the differences of `drift` are open, each about the same tables of ours.
    fn tells(&self, drift: &TableDrift) -> bool {
        let rows = self.0.get(&drift.subject());
        let open: BTreeSet<(Key, &[PublishedName])> = rows.into_iter().flatten().map(|row| (key_of_row(row), &*row.published)).collect();
        open == drift.differences.iter().map(|difference| (key_of(difference), &*difference.published)).collect()
    }
}

fn unreadable(report: &DriftReport, subject: &Subject) -> bool {
    let name = subject.to_string();
    report.unreadable.contains(&name)
}

/// Brings what is noted of the tables in `of` to what `report` says; gives how many events that took.
///
/// A table whose differences are the ones open already makes no event, so doing it twice is doing it once.
pub(crate) async fn reconcile(
    change: &mut Change,
    datasource: &str,
    report: &DriftReport,
    of: &BTreeSet<Subject>,
    cause: Cause<'_>,
    impact: &(dyn Fn(&TableDrift) -> Impact + Send + Sync),
) -> Result<usize> {
    let Cause { closing, actor } = cause;
    let open = Open::new(change.open_drift(datasource).await?);
    let mut events = 0;
    for drift in report.tables.iter().filter(|drift| of.contains(&drift.subject()) && !open.tells(drift)) {
        let subject = drift.subject();
        let rows = open.0.get(&subject).map_or(&[][..], Vec::as_slice);
        let (now, known): (BTreeSet<Key>, BTreeSet<Key>) =
            (drift.differences.iter().map(key_of).collect(), rows.iter().map(key_of_row).collect());
        let gone: Vec<&DriftRow> = rows.iter().filter(|row| !now.contains(&key_of_row(row))).collect();
        let new: Vec<&Difference> = drift.differences.iter().filter(|difference| !known.contains(&key_of(difference))).collect();
        for row in rows {
            // The same difference may be about more tables of ours, or fewer, than when it was told of: that is no event.
            let same = drift.differences.iter().find(|difference| key_of(difference) == key_of_row(row));
            if let Some(difference) = same.filter(|difference| difference.published != row.published) {
                change.publish_difference(row, &difference.published).await?;
            }
        }
        if new.is_empty() && gone.is_empty() {
            continue;
        }
        // One event tells of all of it: of what is gone alone as resolved, else of what is there now.
        let (kind, data) = if new.is_empty() {
            (EventType::SchemaDriftResolved, closed(closing, &gone))
        } else {
            let resolved: Vec<Value> = gone.iter().map(|row| resolved(row)).collect();
            let data = json!({
                "before": drift.before,
                "after": drift.after,
                "differences": drift.differences,
                "resolved": resolved,
                "impact": impact(drift),
            });
            (EventType::SchemaDrift, data)
        };
        let event = event(kind, datasource, &subject, actor, data);
        let sequence = change.append(&event).await?;
        events += 1;
        for row in gone {
            change.close_difference(row, sequence, closing.as_str()).await?;
        }
        for difference in new {
            change.open_difference(&row(datasource, &subject, difference, sequence)).await?;
        }
    }
    for (subject, rows) in &open.0 {
        if !of.contains(subject) || report.of(subject).is_some() || unreadable(report, subject) {
            continue;
        }
        close(change, datasource, subject, &rows.iter().collect::<Vec<_>>(), cause).await?;
        events += 1;
    }
    Ok(events)
}

/// Closes the differences that were about nothing but tables of ours which are dropped, and takes these out of all others.
pub(crate) async fn drop_published(change: &mut Change, datasource: &str, dropped: &[PublishedName], actor: Option<&str>) -> Result<()> {
    let cause = Cause { closing: Closing::Dropped, actor };
    for (subject, rows) in &Open::new(change.open_drift(datasource).await?).0 {
        let mut closed = Vec::new();
        for row in rows {
            let remaining: Vec<PublishedName> = row.published.iter().filter(|name| !dropped.contains(name)).cloned().collect();
            match (remaining.len(), row.published.len()) {
                (now, before) if now == before => {}
                (0, _) => closed.push(row),
                _ => change.publish_difference(row, &remaining).await?,
            }
        }
        if !closed.is_empty() {
            close(change, datasource, subject, &closed, cause).await?;
        }
    }
    Ok(())
}

/// Closes differences of one table, and tells of nothing else.
async fn close(change: &mut Change, datasource: &str, subject: &Subject, rows: &[&DriftRow], cause: Cause<'_>) -> Result<()> {
    let event = event(EventType::SchemaDriftResolved, datasource, subject, cause.actor, closed(cause.closing, rows));
    let sequence = change.append(&event).await?;
    for row in rows {
        change.close_difference(row, sequence, cause.closing.as_str()).await?;
    }
    Ok(())
}

fn event(kind: EventType, datasource: &str, subject: &Subject, actor: Option<&str>, data: Value) -> NewEvent {
    let (datasource, subject) = (Some(datasource.to_owned()), Some(subject.to_string()));
    NewEvent { kind, datasource, subject, actor: actor.map(str::to_owned), data }
}

fn row(datasource: &str, subject: &Subject, difference: &Difference, sequence: i64) -> DriftRow {
    DriftRow {
        datasource: datasource.to_owned(),
        remote_schema: subject.schema.clone(),
        remote_table: subject.table.clone(),
        kind: difference.kind.as_str().to_owned(),
        column: difference.column.clone(),
        expected: difference.expected.clone(),
        actual: difference.actual.clone(),
        severity: difference.severity.as_str().to_owned(),
        published: difference.published.clone(),
        first_seen: SystemTime::now(),
        opened_sequence: sequence,
        resolved_at: None,
        resolved_sequence: None,
        resolution: None,
    }
}

/// What the event says that tells of nothing but differences that are gone.
fn closed(closing: Closing, rows: &[&DriftRow]) -> Value {
    json!({ "reason": closing.as_str(), "differences": rows.iter().map(|row| resolved(row)).collect::<Vec<_>>() })
}

/// A difference that is gone, as the event that says so shows it.
fn resolved(row: &DriftRow) -> Value {
    json!({
        "kind": row.kind,
        "column": row.column,
        "expected": row.expected,
        "actual": row.actual,
        "severity": row.severity,
        "published": row.published,
        "event": row.opened_sequence,
    })
}
