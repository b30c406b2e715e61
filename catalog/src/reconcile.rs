//! From what a comparison found to what is noted of it: differences opened and closed, each told by one event in the same change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use causeway_providers::{RemoteTable, Result, Subject};
use serde_json::{Value, json};

use crate::drift::{Difference, DifferenceKind, DriftReport, TableDrift, key_word, nullability_word, type_words};
use crate::event::{EventType, NewEvent};
use crate::impact::Impact;
use crate::published_name::PublishedName;
use crate::store::{Change, DriftRow};

/// Why differences that are open may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The source is again as expected.
    Reverted,
    /// The source did not go back: another difference is in its place, or something else is expected now.
    Superseded,
    /// What the source is now was accepted by a refresh or an import.
    Accepted,
    /// The table of ours it was about is not published any more.
    Dropped,
}

/// What brings a change of the noted differences about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// Why those that are gone are closed. Of what would be `Reverted` each is looked at: where the source did not go back it is
    /// `Superseded`.
    pub(crate) closing: Closing,
    /// Whoever asked for it; `None` is the gateway itself.
    pub(crate) actor: Option<&'a str>,
}

impl Closing {
    fn as_str(self) -> &'static str {
        match self {
            Closing::Reverted => "reverted",
            Closing::Superseded => "superseded",
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The tables and columns they are about.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject> {
        let column = |row: &DriftRow| Some(Subject::column(&row.remote_schema, &row.remote_table, row.column.as_ref()?));
        self.0.iter().flat_map(move |(table, rows)| rows.iter().filter_map(column).chain([table.clone()]))
    }

    /// The tables of which a report says something else than what is open.
    pub(crate) fn news(&self, report: &DriftReport) -> BTreeSet<Subject> {
        let mut news: BTreeSet<Subject> =
            report.tables.iter().filter(|drift| !self.tells(drift, report)).map(TableDrift::subject).collect();
        let is_gone = |subject: &&Subject| {
            report.of(subject).is_none() && (!self.of(subject, report).is_empty() || !self.given_up(subject, report).is_empty())
        };
        news.extend(self.0.keys().filter(is_gone).cloned());
        news
    }

    /// Whether exactly the differences of `drift` are open, each about the same tables of ours.
    fn tells(&self, drift: &TableDrift, report: &DriftReport) -> bool {
        let rows = self.of(&drift.subject(), report);
        let open: BTreeSet<(Key, &[PublishedName])> = rows.into_iter().map(|row| (key_of_row(row), &*row.published)).collect();
        self.given_up(&drift.subject(), report).is_empty()
            && open == drift.differences.iter().map(|difference| (key_of(difference), &*difference.published)).collect()
    }

    /// The open differences of a table that a report says something of.
    fn of(&self, table: &Subject, report: &DriftReport) -> Vec<&DriftRow> {
        let rows = self.0.get(table).into_iter().flatten();
        rows.filter(|row| !report.says_nothing_of(table, &row.kind, row.column.as_deref())).collect()
    }

    /// The open differences of a table that a report says nothing of, but that some of the tables of ours they are about expect the
    /// column no more; each with the tables of ours it stays open for.
    fn given_up(&self, table: &Subject, report: &DriftReport) -> Vec<(&DriftRow, Vec<PublishedName>)> {
        let rows = self.0.get(table).into_iter().flatten();
        let unsaid = rows.filter(|row| report.says_nothing_of(table, &row.kind, row.column.as_deref()));
        let remaining = |row: &'_ DriftRow| -> Option<Vec<PublishedName>> {
            let column = row.column.as_deref()?;
            let is_kept = |name: &&PublishedName| !report.is_given_up(table, &row.kind, column, name);
            let kept: Vec<PublishedName> = row.published.iter().filter(is_kept).cloned().collect();
            (kept.len() < row.published.len()).then_some(kept)
        };
        unsaid.filter_map(|row| Some((row, remaining(row)?))).collect()
    }
}

/// A difference that is gone, for some of the tables of ours it was about or for all of them.
struct Resolved<'a> {
    row: &'a DriftRow,
    /// Why it is gone.
    closing: Closing,
    /// The tables of ours it is gone for.
    published: Vec<PublishedName>,
    /// Those it stays open for; none when it is closed.
    open_for: Vec<PublishedName>,
}

impl<'a> Resolved<'a> {
    /// One that is gone altogether.
    fn closed(row: &'a DriftRow, closing: Closing) -> Self {
        Self { row, closing, published: row.published.clone(), open_for: Vec::new() }
    }

    /// One that is about `remaining` alone; `None` when that is no fewer than before, or none at all.
    fn narrowed(row: &'a DriftRow, closing: Closing, remaining: &[PublishedName]) -> Option<Self> {
        let published: Vec<PublishedName> = row.published.iter().filter(|name| !remaining.contains(name)).cloned().collect();
        let is_one = !published.is_empty() && !remaining.is_empty();
        is_one.then(|| Self { row, closing, published, open_for: remaining.to_vec() })
    }

    /// As events show it.
    fn shown(&self) -> Value {
        let DriftRow { kind, column, expected, actual, severity, opened_sequence, .. } = self.row;
        json!({
            "kind": kind,
            "column": column,
            "expected": expected,
            "actual": actual,
            "severity": severity,
            "published": self.published,
            "open_for": self.open_for,
            "event": opened_sequence,
            "resolution": self.closing.as_str(),
        })
    }

    /// Notes it, as event `sequence` tells.
    async fn note(&self, change: &mut Change, sequence: i64) -> Result<()> {
        if self.open_for.is_empty() { change.close_difference(self.row, sequence, self.closing.as_str()).await } else { Ok(()) }
    }
}

/// Why a difference is closed of which a report with `differences` says nothing any more, given the remote `table` as it is now.
fn closing_of(row: &DriftRow, closing: Closing, table: Option<&RemoteTable>, differences: &[Difference]) -> Closing {
    match closing {
        Closing::Reverted if !went_back(row, table, differences) => Closing::Superseded,
        Closing::Reverted | Closing::Superseded | Closing::Accepted | Closing::Dropped => closing,
    }
}

/// Whether a source no longer has what a difference says is there, and no other one of `differences` is in its place.
fn went_back(row: &DriftRow, table: Option<&RemoteTable>, differences: &[Difference]) -> bool {
    let Some(kind) = DifferenceKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind) else { return false };
    let column = || table?.columns.iter().find(|column| Some(&column.name) == row.column.as_ref());
    let is_other = |shown: &str| row.actual.as_deref() != Some(shown);
    let has_gone = match kind {
        DifferenceKind::MissingTable => table.is_some(),
        DifferenceKind::NewTable => table.is_none(),
        DifferenceKind::MissingColumn => column().is_some(),
        DifferenceKind::UnmappedColumn => table.is_some() && column().is_none(),
        DifferenceKind::TypeMismatch => column().is_some_and(|column| type_words(column).iter().all(|words| is_other(words))),
        DifferenceKind::NullabilityMismatch => column().is_some_and(|column| is_other(nullability_word(column.nullable))),
        DifferenceKind::PkMismatch => table.is_some_and(|table| key_word(&table.primary_key) != row.actual),
    };
    // What another table of ours expects is another matter.
    let is_of_same = |other: &Difference| {
        let is_shared = other.published.iter().any(|name| row.published.contains(name));
        is_shared || row.published.is_empty() || other.published.is_empty()
    };
    let replaces = |other: &Difference| other.column == row.column && other.kind.can_replace(kind) && is_of_same(other);
    has_gone && !differences.iter().any(replaces)
}

/// Brings what is noted of the tables in `of` to what `report` says; gives how many events that took.
///
/// A table whose differences are the ones open already, each about the same tables of ours, makes no event, so doing it twice is doing it
/// once. `seen` gives the remote tables that the report is about, as they are now.
pub(crate) async fn reconcile<'s>(
    change: &mut Change,
    datasource: &str,
    report: &DriftReport,
    of: &BTreeSet<Subject>,
    cause: Cause<'_>,
    seen: &(dyn Fn(&Subject) -> Option<&'s RemoteTable> + Send + Sync),
    impact: &(dyn Fn(&TableDrift) -> Impact + Send + Sync),
) -> Result<usize> {
    let Cause { closing, actor } = cause;
    let open = Open::new(change.open_drift(datasource).await?);
    let mut events = 0;
    for drift in report.tables.iter().filter(|drift| of.contains(&drift.subject()) && !open.tells(drift, report)) {
        let subject = drift.subject();
        let rows = open.of(&subject, report);
        let (table, mut resolved) = (seen(&subject), Vec::new());
        // Differences that are open already, and whether they are about a table of ours that nobody was told of.
        let mut known: BTreeMap<Key, bool> = BTreeMap::new();
        for row in rows {
            let key = key_of_row(row);
            let closing = closing_of(row, closing, table, &drift.differences);
            let Some(difference) = drift.differences.iter().find(|difference| key_of(difference) == key) else {
                resolved.push(Resolved::closed(row, closing));
                continue;
            };
            if difference.published != row.published {
                change.publish_difference(row, &difference.published).await?;
            }
            resolved.extend(Resolved::narrowed(row, closing, &difference.published));
            // Of what an older version noted it is not known whom it was about.
            let is_wider = !row.published.is_empty() && difference.published.iter().any(|name| !row.published.contains(name));
            known.insert(key, is_wider);
        }
        resolved.extend(give_up(change, open.given_up(&subject, report), closing, table).await?);
        let is_new = |difference: &Difference| known.get(&key_of(difference)).copied().unwrap_or(true);
        let has_news = drift.differences.iter().any(is_new);
        if !has_news && resolved.is_empty() {
            continue;
        }
        // One event tells of all of it: of what is gone alone as resolved, else of what is there now.
        let (kind, data) = if has_news {
            let data = json!({
                "before": drift.before,
                "after": drift.after,
                "differences": drift.differences.iter().map(|difference| told(difference, is_new(difference))).collect::<Vec<_>>(),
                "resolved": resolved.iter().map(Resolved::shown).collect::<Vec<_>>(),
                "impact": impact(drift),
            });
            (EventType::SchemaDrift, data)
        } else {
            (EventType::SchemaDriftResolved, gone(&resolved))
        };
        let event = event(kind, datasource, &subject, actor, data);
        let sequence = change.append(&event).await?;
        events += 1;
        for resolved in &resolved {
            resolved.note(change, sequence).await?;
        }
        for difference in drift.differences.iter().filter(|difference| !known.contains_key(&key_of(difference))) {
            change.open_difference(&row(datasource, &subject, difference, sequence)).await?;
        }
    }
    for subject in open.0.keys().filter(|subject| of.contains(subject) && report.of(subject).is_none()) {
        let table = seen(subject);
        let closed = |row| Resolved::closed(row, closing_of(row, closing, table, &[]));
        let mut closed: Vec<Resolved<'_>> = open.of(subject, report).into_iter().map(closed).collect();
        closed.extend(give_up(change, open.given_up(subject, report), closing, table).await?);
        if !closed.is_empty() {
            tell_resolved(change, datasource, subject, &closed, actor).await?;
            events += 1;
        }
    }
    Ok(events)
}

/// Takes out of differences the tables of ours they are about no more, and gives what that resolves.
async fn give_up<'a>(
    change: &mut Change,
    given_up: Vec<(&'a DriftRow, Vec<PublishedName>)>,
    closing: Closing,
    table: Option<&RemoteTable>,
) -> Result<Vec<Resolved<'a>>> {
    let mut resolved = Vec::new();
    for (row, remaining) in given_up {
        let closing = closing_of(row, closing, table, &[]);
        match Resolved::narrowed(row, closing, &remaining) {
            Some(narrowed) => {
                change.publish_difference(row, &remaining).await?;
                resolved.push(narrowed);
            }
            None => resolved.push(Resolved::closed(row, closing)),
        }
    }
    Ok(resolved)
}

/// Closes the differences that were about nothing but tables of ours which are dropped, and takes these out of all others.
pub(crate) async fn drop_published(change: &mut Change, datasource: &str, dropped: &[PublishedName], actor: Option<&str>) -> Result<()> {
    let closing = Closing::Dropped;
    for (subject, rows) in &Open::new(change.open_drift(datasource).await?).0 {
        let mut resolved = Vec::new();
        for row in rows.iter().filter(|row| row.published.iter().any(|name| dropped.contains(name))) {
            let remaining: Vec<PublishedName> = row.published.iter().filter(|name| !dropped.contains(name)).cloned().collect();
            match Resolved::narrowed(row, closing, &remaining) {
                Some(narrowed) => {
                    change.publish_difference(row, &remaining).await?;
                    resolved.push(narrowed);
                }
                None => resolved.push(Resolved::closed(row, closing)),
            }
        }
        if !resolved.is_empty() {
            tell_resolved(change, datasource, subject, &resolved, actor).await?;
        }
    }
    Ok(())
}

/// Tells of differences of one table that are gone, and of nothing else.
async fn tell_resolved(
    change: &mut Change,
    datasource: &str,
    subject: &Subject,
    resolved: &[Resolved<'_>],
    actor: Option<&str>,
) -> Result<()> {
    let event = event(EventType::SchemaDriftResolved, datasource, subject, actor, gone(resolved));
    let sequence = change.append(&event).await?;
    for resolved in resolved {
        resolved.note(change, sequence).await?;
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

/// What the event says that tells of nothing but differences that are gone. They may be so for several reasons: then there is none of all.
fn gone(resolved: &[Resolved<'_>]) -> Value {
    let first = resolved.first().map(|resolved| resolved.closing);
    let reason = first.filter(|first| resolved.iter().all(|resolved| resolved.closing == *first)).map(Closing::as_str);
    json!({ "reason": reason, "differences": resolved.iter().map(Resolved::shown).collect::<Vec<_>>() })
}

/// A difference as the event shows it that tells what there is now.
fn told(difference: &Difference, is_new: bool) -> Value {
    let mut shown = json!(difference);
    shown["new"] = Value::from(is_new);
    shown
}
