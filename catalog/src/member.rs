//! A datasource as a member of its environment: what it declared, what was imported from it, what was accepted of its source.
//!
//! All that changes what it publishes, or what is noted of its drift, goes through here, one change at a time.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{
    Connector, Deadline, Error, ErrorKind, Introspection, Omission, OmissionCause, Remote, RemotePresence, RemoteTable, Result, Scope,
    Subject, TypeChange,
};
use datafusion::catalog::TableProvider;
use serde_json::json;
use tokio::sync::{Mutex, watch};

use crate::baseline::Declared;
use crate::datasource::{Datasource, OnMismatch};
use crate::drift::{Baseline, DriftReport, Observation, Severity, compare, fingerprint};
use crate::event::{EventType, NewEvent};
use crate::impact::{Impact, PreparedStatementsCell};
use crate::live::Live;
use crate::publication::Publication;
use crate::published::Published;
use crate::reconcile::{Closing, Open, reconcile};
use crate::store::{ControlStore, History, StoredForeignTable, StoredSnapshot};
use crate::stored_form;
use crate::unopened::Unopened;

/// What a start of the datasource, or a look at it while it runs, does with mismatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The first one since the process began: `on_mismatch` decides.
    Boot,
    /// Any later one, after an outage or because somebody asked: queries on tables that do not match fail, the rest is served.
    Later,
    /// Of an import, which accepts what it imports.
    Import,
}

/// How long a source may take to say whether one table is there.
const ASK: Duration = Duration::from_secs(10);

/// What one check of a datasource's drift found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriftCheck {
    /// Differences that are open now.
    pub differences: usize,
    /// Events that this check gave rise to.
    pub events: usize,
    /// Tables our user may not read any more, which says nothing about their columns.
    pub unreadable: usize,
}

pub(crate) struct Member {
    pub(crate) environment: String,
    pub(crate) datasource: Arc<Datasource>,
    pub(crate) connector: Option<Arc<dyn Connector>>,
    pub(crate) store: ControlStore,
    pub(crate) history: History,
    pub(crate) published: Arc<Published>,
    pub(crate) live: watch::Sender<Live>,
    /// The open remote, while it answers.
    pub(crate) remote: watch::Sender<Option<Arc<dyn Remote>>>,
    pub(crate) prepared_statements: PreparedStatementsCell,
    pub(crate) accepted: Mutex<Accepted>,
}

/// What was accepted of the source last, and is published.
#[derive(Default)]
pub(crate) struct Accepted {
    pub(crate) tables: Option<Arc<Introspection>>,
    /// The last of them that the store has, with what it says of their drift.
    noted: Option<Arc<Introspection>>,
    fingerprint: String,
    pub(crate) imported: Vec<StoredForeignTable>,
    /// What the next check compares with; made anew when the above changes.
    baseline: Option<Arc<Baseline>>,
}

impl Accepted {
    /// Lets the next check make its baseline anew.
    pub(crate) fn forget_baseline(&mut self) {
        self.baseline = None;
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("environment", &self.environment).field("datasource", &self.datasource.name).finish_non_exhaustive()
    }
}

impl Member {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the environment that the member works with")]
    pub(crate) fn new(
        environment: &str,
        datasource: Arc<Datasource>,
        connector: Option<Arc<dyn Connector>>,
        store: ControlStore,
        history: History,
        published: Arc<Published>,
        prepared_statements: PreparedStatementsCell,
        imported: Vec<StoredForeignTable>,
    ) -> Arc<Self> {
        Arc::new(Self {
            environment: environment.to_owned(),
            datasource,
            connector,
            store,
            history,
            published,
            live: watch::Sender::new(Live::default()),
            remote: watch::Sender::new(None),
            prepared_statements,
            accepted: Mutex::new(Accepted { imported, ..Accepted::default() }),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.datasource.name
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(self.name())
    }

    /// Publishes what the store knows, before the source is asked. Reading its tables fails with `reason` until it is opened.
    pub(crate) async fn restore(&self, stored: &StoredSnapshot, tables: Introspection, reason: &Arc<Error>) -> Result<()> {
        let tables = Arc::new(tables);
        let mut accepted = self.accepted.lock().await;
        let provide = |table: &RemoteTable| -> Result<Arc<dyn TableProvider>> {
            Ok(Arc::new(Unopened::new(table.arrow_schema(), Arc::clone(reason))))
        };
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let declared = Declared { datasource: &self.datasource, imported: &accepted.imported, types: &types };
        let publication = Publication::new(&declared, &provide, &tables, None)?;
        self.published.replace(self.name(), publication.schemas, publication.imported)?;
        self.published.make_unavailable(self.name(), reason);
        self.live.send_modify(|live| {
            live.stale_since = Some(stored.seen_at);
            live.omitted = publication.omitted;
            live.is_known = true;
        });
        accepted.fingerprint.clone_from(&stored.fingerprint);
        accepted.noted = Some(Arc::clone(&tables));
        accepted.tables = Some(tables);
        Ok(())
    }

    /// The open remote.
    pub(crate) fn open_remote(&self) -> Result<Arc<dyn Remote>> {
        let remote = self.remote.borrow().clone();
        remote.ok_or_else(|| {
            let error = self.error(ErrorKind::Unreachable, "the datasource is not open");
            error.hint("it is tried again by itself; see causeway.datasources for the reason")
        })
    }

    /// One look at the source.
    pub(crate) async fn look(&self, remote: &Arc<dyn Remote>, limit: Duration) -> Result<Introspection> {
        let scope = Scope { schemas: self.datasource.allowed_schemas.clone() };
        let deadline = Deadline::after(limit);
        deadline.bound("listing its tables", remote.introspect(&scope, deadline)).await.map_err(|error| error.at(self.name()))
    }

    /// Looks at the source and accepts what is there; gives how many tables it has.
    ///
    /// # Errors
    /// What looking gives; `SchemaMismatch` when pinned tables do not match and that is binding for `look`; `Conflict` when a schema is
    /// published already.
    pub(crate) async fn refresh(&self, remote: &Arc<dyn Remote>, limit: Duration, look: Look) -> Result<usize> {
        // Held from the look on, so that nothing newer is accepted meanwhile and then undone.
        let mut accepted = self.accepted.lock().await;
        let seen = self.look(remote, limit).await?;
        self.accept(&mut accepted, remote, seen, look).await
    }

    /// Accepts what a look saw: notes how it differs from before, stores it, and publishes it in one step; gives how many tables it has.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), without the look.
    pub(crate) async fn accept(&self, accepted: &mut Accepted, remote: &Arc<dyn Remote>, seen: Introspection, look: Look) -> Result<usize> {
        let provide = |table: &RemoteTable| Arc::clone(remote).table(table);
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let declared = Declared { datasource: &self.datasource, imported: &accepted.imported, types: &types };
        let publication = Publication::new(&declared, &provide, &seen, accepted.tables.as_deref())?;

        let observation = Observation::of(&seen);
        // What was never noted is compared with what was, whatever has been published since.
        let mut before = compare(&declared.baseline(accepted.noted.as_deref(), &seen.default_schema), &observation, &types);
        self.tell_forbidden_from_gone(remote, &mut before, ASK).await?;
        let validation = self.datasource.validation;
        let is_binding = look == Look::Boot && validation.check_on_boot && validation.on_mismatch == OnMismatch::Fail;
        if publication.is_binding && is_binding {
            self.note(&before, Closing::Reverted).await;
            self.live.send_modify(|live| live.mismatches.clone_from(&publication.mismatches));
            return Err(publication.mismatch_error(self.name()));
        }
        self.tell(&publication.mismatches);
        for Omission { subject, reason, .. } in &publication.omitted {
            tracing::debug!(datasource = self.name(), subject, reason, "left out");
        }
        let tables = publication.tables();
        let fingerprint = fingerprint(&seen);
        let seen = with_unreadable(seen, accepted.tables.as_deref());
        let baseline = Arc::new(declared.baseline(Some(&seen), &seen.default_schema));
        let observation = Observation::of(&seen);
        let mut after = compare(&baseline, &observation, &types);
        self.tell_forbidden_from_gone(remote, &mut after, ASK).await?;
        self.published.admits(self.name(), &publication.schemas, &publication.imported)?;
        let closing = if look == Look::Import { Closing::Accepted } else { Closing::Reverted };
        let stored = self.store_accepted(&fingerprint, &accepted.fingerprint, &seen, (&before, closing), &after).await;
        self.published.replace(self.name(), publication.schemas, publication.imported)?;
        self.live.send_modify(|live| {
            live.omitted = publication.omitted;
            live.mismatches = publication.mismatches;
            live.capabilities = Some(*remote.capabilities());
            live.is_known = true;
        });
        let seen = Arc::new(seen);
        accepted.tables = Some(Arc::clone(&seen));
        accepted.baseline = Some(baseline);
        match stored {
            Ok(()) => {
                accepted.fingerprint = fingerprint;
                accepted.noted = Some(seen);
            }
            // What is served must not wait for a disk: the next look that is accepted stores it.
            Err(error) => tracing::error!(datasource = self.name(), %error, "its tables are published but not stored"),
        }
        Ok(tables)
    }

    async fn store_accepted(
        &self,
        fingerprint: &str,
        known: &str,
        seen: &Introspection,
        (before, closing): (&DriftReport, Closing),
        after: &DriftReport,
    ) -> Result<()> {
        let news = self.news(before).await?;
        if fingerprint == known && news.is_empty() {
            return self.store.seen_again(&self.environment, self.name()).await;
        }
        // Nobody else writes while a change is open, so what takes long is done before.
        let content = if fingerprint == known { None } else { Some(stored_form::write(seen)?) };
        let mut change = self.store.begin(&self.environment).await?;
        let impact = |drift: &_| Impact::of(self.name(), drift, &self.published.current(), &self.prepared_statements);
        reconcile(&mut change, self.name(), before, &news, closing, &impact).await?;
        // What is accepted differs from itself no more; what remains is what contracts say otherwise.
        let open = Open::new(change.open_drift(self.name()).await?);
        reconcile(&mut change, self.name(), after, &open.news(after), Closing::Accepted, &impact).await?;
        if let Some(content) = content {
            let version = change.keep_snapshot(self.name(), fingerprint, seen, content, self.history).await?;
            let refreshed = NewEvent {
                kind: EventType::CatalogRefreshed,
                datasource: Some(self.name().to_owned()),
                subject: None,
                actor: None,
                data: json!({ "version": version, "fingerprint": fingerprint, "tables": seen.tables.len() }),
            };
            change.append(&refreshed).await?;
        }
        change.commit().await
    }

    /// Compares the source with what is expected of it, looks twice before it says anything, and notes what it found. Nothing that is
    /// published changes.
    ///
    /// # Errors
    /// `Unreachable` when the datasource is not open; what looking at it gives; what writing the store gives.
    pub(crate) async fn check_drift(&self, limit: Duration, confirm_after: Duration) -> Result<DriftCheck> {
        let remote = self.open_remote()?;
        let (baseline, mut report, mut omitted) = self.observe(&remote, limit).await?;
        let mut events = 0;
        let first = self.news(&report).await?;
        if !first.is_empty() {
            tokio::time::sleep(confirm_after).await;
            let suspected = report;
            let again;
            (again, report, omitted) = self.observe(&remote, limit).await?;
            self.tell_forbidden_from_gone(&remote, &mut report, limit).await?;
            let accepted = self.accepted.lock().await;
            let is_current = |of: &Arc<Baseline>| accepted.baseline.as_ref().is_some_and(|now| Arc::ptr_eq(now, of));
            if !is_current(&baseline) || !is_current(&again) {
                // Something was accepted meanwhile: what differed from what was expected before says nothing any more.
                return Ok(DriftCheck::default());
            }
            let confirmed: BTreeSet<Subject> = self
                .news(&report)
                .await?
                .into_iter()
                .filter(|subject| first.contains(subject) && agree(&suspected, &report, subject))
                .collect();
            if !confirmed.is_empty() {
                let mut change = self.store.begin(&self.environment).await?;
                let impact = |drift: &_| Impact::of(self.name(), drift, &self.published.current(), &self.prepared_statements);
                events = reconcile(&mut change, self.name(), &report, &confirmed, Closing::Reverted, &impact).await?;
                change.commit().await?;
                self.log(&report, &confirmed);
            }
        }
        self.live.send_modify(|live| {
            live.omitted.retain(|known| known.cause != OmissionCause::Unreadable);
            live.omitted.extend(omitted.into_iter().filter(|omission| omission.cause == OmissionCause::Unreadable));
            live.checked_at = Some(SystemTime::now());
        });
        let differences = report.tables.iter().map(|drift| drift.differences.len()).sum();
        Ok(DriftCheck { differences, events, unreadable: report.unreadable.len() })
    }

    async fn observe(&self, remote: &Arc<dyn Remote>, limit: Duration) -> Result<(Arc<Baseline>, DriftReport, Vec<Omission>)> {
        let seen = self.look(remote, limit).await?;
        let baseline = self.baseline(&seen.default_schema).await;
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let report = compare(&baseline, &Observation::of(&seen), &types);
        Ok((baseline, report, seen.omitted))
    }

    async fn baseline(&self, default_schema: &str) -> Arc<Baseline> {
        let mut accepted = self.accepted.lock().await;
        if let Some(baseline) = &accepted.baseline {
            return Arc::clone(baseline);
        }
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let declared = Declared { datasource: &self.datasource, imported: &accepted.imported, types: &types };
        let baseline = Arc::new(declared.baseline(accepted.tables.as_deref(), default_schema));
        accepted.baseline = Some(Arc::clone(&baseline));
        baseline
    }

    /// A source may hide what our user may not read: a table that is not listed is asked for by name before it is called gone.
    async fn tell_forbidden_from_gone(&self, remote: &Arc<dyn Remote>, report: &mut DriftReport, limit: Duration) -> Result<()> {
        let mut forbidden = Vec::new();
        for drift in report.tables.iter().filter(|drift| drift.is_missing()) {
            let deadline = Deadline::after(limit);
            let subject = Subject::table(&drift.schema, &drift.table);
            let asked = remote.presence(&subject, deadline);
            match deadline.bound("asking for a table", asked).await.map_err(|error| error.at(self.name()))? {
                RemotePresence::Forbidden => forbidden.push(subject.to_string()),
                RemotePresence::Readable | RemotePresence::Absent => {}
            }
        }
        report.tables.retain(|drift| !forbidden.contains(&Subject::table(&drift.schema, &drift.table).to_string()));
        report.unreadable.extend(forbidden);
        Ok(())
    }

    async fn news(&self, report: &DriftReport) -> Result<BTreeSet<Subject>> {
        let open = self.store.open_drift(&self.environment, self.name()).await?;
        Ok(Open::new(open).news(report))
    }

    /// Notes differences of a look that is not accepted.
    async fn note(&self, report: &DriftReport, closing: Closing) {
        let noting = async {
            let news = self.news(report).await?;
            if news.is_empty() {
                return Ok(());
            }
            let mut change = self.store.begin(&self.environment).await?;
            let impact = |drift: &_| Impact::of(self.name(), drift, &self.published.current(), &self.prepared_statements);
            reconcile(&mut change, self.name(), report, &news, closing, &impact).await?;
            change.commit().await
        };
        if let Err(error) = noting.await {
            tracing::error!(datasource = self.name(), %error, "its differences are not noted");
        }
    }

    /// Logs what a check confirmed.
    fn log(&self, report: &DriftReport, confirmed: &BTreeSet<Subject>) {
        for subject in confirmed {
            let Some(drift) = report.of(subject) else {
                tracing::info!(datasource = self.name(), table = %subject, "its schema is again as expected");
                continue;
            };
            for difference in &drift.differences {
                let (table, what) = (subject.to_string(), difference.describe(&subject.to_string()));
                match difference.severity {
                    Severity::Error => tracing::warn!(datasource = self.name(), table, difference = what, "its schema drifted"),
                    Severity::Warning => tracing::info!(datasource = self.name(), table, difference = what, "its schema drifted"),
                }
            }
        }
    }

    /// Logs mismatches that were not there at the last look.
    fn tell(&self, mismatches: &[String]) {
        let known = self.live.borrow();
        for mismatch in mismatches.iter().filter(|mismatch| !known.mismatches.contains(mismatch)) {
            match self.datasource.validation.on_mismatch {
                OnMismatch::Fail | OnMismatch::Warn => {
                    tracing::warn!(datasource = self.name(), mismatch, "a pinned table does not match the source");
                }
                OnMismatch::Ignore => {
                    tracing::debug!(datasource = self.name(), mismatch, "a pinned table does not match the source");
                }
            }
        }
    }

    /// How one look's tables differ from another's.
    pub(crate) fn difference(&self, from: &Introspection, to: &Introspection) -> DriftReport {
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        compare(&Baseline::of(from), &Observation::of(to), &types)
    }

    /// How two types of the connector relate; without the connector every difference is one.
    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        match &self.connector {
            Some(connector) => connector.type_change(expected, actual),
            None if expected == actual => TypeChange::Same,
            None => TypeChange::Different,
        }
    }

    /// Appends an event about the datasource as a whole. One that cannot be written is logged instead.
    pub(crate) async fn append(&self, kind: EventType, data: serde_json::Value) {
        let event = NewEvent { kind, datasource: Some(self.name().to_owned()), subject: None, actor: None, data };
        let appending = async {
            let mut change = self.store.begin(&self.environment).await?;
            change.append(&event).await?;
            change.commit().await
        };
        if let Err(error) = appending.await {
            tracing::error!(datasource = self.name(), event = kind.as_str(), %error, "an event is not written");
        }
    }
}

/// What was seen, with what is known of tables that are there and may not be read: they are expected to be what they were.
fn with_unreadable(mut seen: Introspection, known: Option<&Introspection>) -> Introspection {
    let hidden: BTreeSet<&str> = seen
        .omitted
        .iter()
        .filter(|omission| omission.cause == OmissionCause::Unreadable)
        .map(|omission| omission.subject.as_str())
        .collect();
    let is_hidden = |table: &&RemoteTable| {
        hidden.contains(table.subject().to_string().as_str())
            && !seen.tables.iter().any(|other| other.schema == table.schema && other.name == table.name)
    };
    let carried: Vec<RemoteTable> = known.into_iter().flat_map(|known| &known.tables).filter(is_hidden).cloned().collect();
    seen.tables.extend(carried);
    seen
}

/// Whether two reports say the same about a table.
fn agree(one: &DriftReport, other: &DriftReport, subject: &Subject) -> bool {
    one.of(subject).map(|drift| &drift.differences) == other.of(subject).map(|drift| &drift.differences)
}
