//! A datasource as a member of its environment: what it declared, what was imported from it, what was accepted of its source.
//!
//! All that changes what it publishes, or what is noted of its drift, goes through here, one change at a time: [`accept`] takes what
//! the source has for what is expected from now on, [`check`] compares the two and leaves both as they are, and what is broken and meets
//! its contract again is published again by it ([`mend`]).

mod accept;
mod check;
mod hidden;
mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use causeway_providers::{
    CatalogMark, Connector, Deadline, Error, ErrorKind, Introspection, Presentation, Remote, RemoteTable, Result, Scope, Subject,
    TypeChange,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use tokio::sync::{Mutex, Notify, watch};

use crate::baseline::Declared;
use crate::datasource::Datasource;
use crate::drift::{Baseline, DriftReport, Observation, TableDrift, compare};
use crate::event::{EventType, NewEvent};
use crate::impact::{Impact, PreparedStatementsCell};
use crate::live::Live;
use crate::publication::Publication;
use crate::published::{Published, Seen};
use crate::reconcile::{Cause, Open, reconcile};
use crate::store::{Change, ControlStore, History, StoredForeignTable, StoredSnapshot};
use crate::unopened::Unopened;

pub(crate) use accept::{Acceptance, Imports, Look};
pub use check::DriftCheck;

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
    /// Rings when the source did not answer, so that it is pinged at once.
    pub(crate) doubted: Notify,
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
    /// What became of tables that broke their contract and that a check since then found to meet it again. Of all others of their
    /// datasource that check accepted nothing.
    mended: BTreeMap<Subject, RemoteTable>,
    /// Grows with every change of what is accepted or imported.
    generation: u64,
    /// What the next check compares with; made anew when the above changes.
    baseline: Option<Arc<Baseline>>,
    /// How the source was when a check found nothing new in it; forgotten when the above changes.
    settled: Option<Settled>,
}

/// A state of a source in which there is nothing to note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settled {
    mark: CatalogMark,
    /// How many tables and columns our user may not read.
    unreadable: usize,
}

impl Accepted {
    /// Notes that what is expected is another: a check under way begins again.
    pub(crate) fn changed(&mut self) {
        self.generation += 1;
        self.baseline = None;
        self.settled = None;
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
            doubted: Notify::new(),
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
        let forms = |text: &str| self.form(text);
        let mended = BTreeMap::new();
        let declared =
            Declared { datasource: &self.datasource, imported: &accepted.imported, mended: &mended, types: &types, forms: &forms };
        // What was seen before the last stop says nothing of contracts now.
        let publication = Publication::new(&declared, &provide, &tables, None)?.without_verdict(reason);
        self.published.replace(self.name(), publication.offer, Seen::All)?;
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

    /// The schema whose tables appear under the datasource's own name; empty while nothing is known of the source.
    pub(crate) async fn default_schema(&self) -> String {
        self.accepted.lock().await.tables.as_ref().map(|tables| tables.default_schema.clone()).unwrap_or_default()
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
    ///
    /// # Errors
    /// What looking at it gives. A source that is not where it was said to be is `Unreachable`: `NotFound` would speak of a table.
    pub(crate) async fn look(&self, remote: &Arc<dyn Remote>, deadline: Deadline) -> Result<Introspection> {
        let scope = Scope { schemas: self.datasource.allowed_schemas.clone() };
        let seen = deadline.bound("listing its tables", remote.introspect(&scope, deadline)).await;
        seen.map_err(|error| self.of_source(error))
    }

    /// What a source said when it was asked for its tables. One that is not where it was said to be is not there to be asked.
    fn of_source(&self, error: Error) -> Error {
        let error = error.at(self.name());
        if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::NotFound) {
            self.doubted.notify_one();
        }
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        let told = self.error(ErrorKind::Unreachable, error.message());
        match error.hint_text() {
            Some(hint) => told.hint(hint),
            None => told,
        }
        .because(error)
    }

    /// The differences that are open.
    async fn open_differences(&self) -> Result<Open> {
        Ok(Open::new(self.store.open_drift(&self.environment, self.name()).await?))
    }

    /// The tables of which a report says something else than what is open.
    async fn news(&self, report: &DriftReport) -> Result<BTreeSet<Subject>> {
        Ok(self.open_differences().await?.news(report))
    }

    /// Brings what is noted of the tables in `of` to what a report says, and what it was made of; gives how many events that took.
    async fn reconcile(
        &self,
        change: &mut Change,
        sight: (&DriftReport, &Introspection),
        of: &BTreeSet<Subject>,
        cause: Cause<'_>,
    ) -> Result<usize> {
        let (report, seen) = sight;
        let table = |subject: &Subject| seen.tables.iter().find(|table| table.schema == subject.schema && table.name == subject.table);
        let impact = |drift: &TableDrift| Impact::of(&drift.differences, &self.published.current(), &self.prepared_statements);
        reconcile(change, self.name(), report, of, cause, &table, &impact).await
    }

    /// How one look's tables differ from another's.
    pub(crate) fn difference(&self, from: &Introspection, to: &Introspection) -> DriftReport {
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        compare(&Baseline::of(from), &Observation::of(to), &types)
    }

    /// How two types of the connector relate; without the connector every difference is one.
    pub(crate) fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        match &self.connector {
            Some(connector) => connector.type_change(expected, actual),
            None if expected == actual => TypeChange::Same,
            None => TypeChange::Different,
        }
    }

    /// The form in which values of a type of the connector arrive.
    pub(crate) fn form(&self, text: &str) -> (DataType, Presentation) {
        self.connector.as_ref().map_or((DataType::Utf8, Presentation::Plain), |connector| connector.declared_type(text).form())
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
            tracing::error!(datasource = self.name(), event = kind.as_str(), error = error.with_causes(), "an event is not written");
        }
    }
}
