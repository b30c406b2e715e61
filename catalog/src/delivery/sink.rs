//! The sink: a datasource that is given the events as rows of the table `causeway_events`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use causeway_providers::{
    CellValue, Deadline, DescribedColumn, DescribedType, EnsureMode, EnsureReport, Error, ErrorKind, Remote, TableDescriptor, Writer,
};

use super::target::{EventTarget, Patience, Refusal, Verdict};
use crate::datasource::Datasource;
use crate::environment::Environment;
use crate::event::Event;
use crate::gates::{SCHEMA_MODE_VIOLATION, admit_ddl, admit_rows};
use crate::moment;
use crate::store::{Subscriber, SubscriberState};

/// The table, in the source's default schema.
const TABLE: &str = "causeway_events";
/// Rows in one insert.
const BATCH: usize = 500;
/// How long making the table ready, or one insert, may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What was last done to the table of each sink. Clones share it.
#[derive(Clone, Default)]
pub(super) struct SinkReports(Arc<Mutex<HashMap<String, EnsureReport>>>);

impl SinkReports {
    pub(super) fn of(&self, subscriber: &str) -> Option<EnsureReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(subscriber).cloned()
    }

    fn keep(&self, subscriber: &str, report: EnsureReport) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(subscriber.to_owned(), report);
    }
}

/// A datasource that is given events.
pub(super) struct SinkTarget {
    environment: Arc<Environment>,
    subscriber: Subscriber,
    datasource: String,
    reports: SinkReports,
    descriptor: TableDescriptor,
    /// The remote whose table is ready. A datasource that was opened anew may be another database.
    ready: Mutex<Option<Arc<dyn Remote>>>,
}

impl SinkTarget {
    pub(super) fn new(environment: Arc<Environment>, subscriber: &Subscriber, reports: SinkReports) -> Self {
        Self {
            environment,
            subscriber: subscriber.clone(),
            datasource: subscriber.target.clone(),
            reports,
            descriptor: descriptor(),
            ready: Mutex::new(None),
        }
    }

    /// The open remote, if it may be written to now.
    fn admitted(&self) -> Result<(Arc<Datasource>, Arc<dyn Remote>), Refusal> {
        let datasource = self.environment.datasource(&self.datasource).map_err(refusal)?;
        admit_rows(&datasource).map_err(refusal)?;
        let remote = self.environment.remote(&self.datasource).map_err(|error| {
            let is_away = error.kind() == ErrorKind::Unreachable;
            let refusal = refusal(error);
            if is_away { Refusal { verdict: Verdict::NotYet, ..refusal } } else { refusal }
        })?;
        Ok((datasource, remote))
    }

    fn writer(&self, remote: &Arc<dyn Remote>) -> Result<Arc<dyn Writer>, Refusal> {
        Arc::clone(remote)
            .as_writer()
            .ok_or_else(|| Refusal::new(Verdict::Refused, format!("datasource \"{}\" is of a kind that takes no rows", self.datasource)))
    }

    fn is_ready(&self, remote: &Arc<dyn Remote>) -> bool {
        self.ready().as_ref().is_some_and(|ready| Arc::ptr_eq(ready, remote))
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Remote>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_ready(&self, datasource: &Datasource, remote: &Arc<dyn Remote>) -> Result<(), Refusal> {
        let writer = self.writer(remote)?;
        let noted =
            self.environment.store().note_subscriber(self.environment.name(), &self.subscriber, SubscriberState::Bootstrapping, None);
        noted.await.map_err(refusal)?;
        let gate = admit_ddl(datasource);
        let mode = if gate.is_ok() { EnsureMode::Additive } else { EnsureMode::CheckOnly };
        let report = match writer.ensure_table(&self.descriptor, mode, Deadline::after(LIMIT)).await {
            Ok(report) => report,
            Err(error) if error.kind() == ErrorKind::NotFound && gate.is_err() => {
                let statement = error.hint_text().unwrap_or_default();
                return Err(self.not_ours(datasource, error.message(), statement));
            }
            Err(error) => return Err(refusal(error)),
        };
        for statement in &report.executed {
            tracing::info!(datasource = self.datasource, statement, "ran, to make the sink ready");
        }
        for statement in &report.skipped {
            tracing::warn!(datasource = self.datasource, statement, "left to a person, to make the sink as described");
        }
        if !report.executed.is_empty() {
            // Whoever reads the sink through the gateway sees its table at once. What else has changed there is not for us to accept.
            if let Err(error) = self.environment.refresh_own(&self.datasource, TABLE).await {
                tracing::debug!(datasource = self.datasource, %error, "the sink's table is shown later");
            }
        }
        let is_new = report.executed.iter().any(|statement| statement.starts_with("CREATE TABLE"));
        let (obstacles, skipped) = (report.obstacles.join("; "), report.skipped.join("; "));
        self.reports.keep(&self.subscriber.name, report);
        if obstacles.is_empty() {
            if is_new && let Some(position) = self.begin_again().await? {
                let text = format!("table \"{TABLE}\" was gone and is made anew: all events after number {position} are written to it");
                return Err(Refusal::new(Verdict::BegunAgain, text));
            }
            *self.ready() = Some(Arc::clone(remote));
            return Ok(());
        }
        match gate {
            Ok(()) => Err(Refusal::new(Verdict::Refused, format!("table \"{TABLE}\" takes no events: {obstacles}; run: {skipped}"))),
            Err(_) => Err(self.not_ours(datasource, &obstacles, &skipped)),
        }
    }

    /// Has the sink begin with the oldest event there is; gives the position before that, or `None` where it has not come any further.
    async fn begin_again(&self) -> Result<Option<i64>, Refusal> {
        let store = self.environment.store();
        store.rewind_subscriber(self.environment.name(), &self.subscriber).await.map_err(refusal)
    }

    /// The refusal for a table that somebody else has to make or change.
    fn not_ours(&self, datasource: &Datasource, what: &str, statement: &str) -> Refusal {
        let mode = datasource.schema_mode.as_str();
        let text = format!(
            "{SCHEMA_MODE_VIOLATION}: datasource \"{}\": {what}, and with schema_mode {mode} it is not for Causeway to change that; run: \
             {statement}",
            self.datasource
        );
        Refusal::new(Verdict::Refused, text)
    }
}

#[async_trait]
impl EventTarget for SinkTarget {
    fn batch(&self) -> usize {
        BATCH
    }

    fn patience(&self) -> Patience {
        Patience::Endless
    }

    async fn prepare(&self) -> Result<(), Refusal> {
        // Whatever was refused may be the table's fault.
        *self.ready() = None;
        let (datasource, remote) = self.admitted()?;
        self.make_ready(&datasource, &remote).await
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), Refusal> {
        let (datasource, remote) = self.admitted()?;
        if !self.is_ready(&remote) {
            self.make_ready(&datasource, &remote).await?;
        }
        let rows: Vec<Vec<CellValue>> = events.iter().map(row).collect();
        let inserted = self.writer(&remote)?.insert(&self.descriptor, &rows, Deadline::after(LIMIT)).await.map_err(refusal)?;
        tracing::debug!(
            datasource = self.datasource,
            inserted = inserted.inserted,
            duplicates = inserted.duplicates,
            "events were written"
        );
        Ok(())
    }
}

/// An error as a refusal, with what can be done about it.
fn refusal(error: Error) -> Refusal {
    let message = match error.hint_text() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    Refusal::new(Verdict::Unavailable, message)
}

fn descriptor() -> TableDescriptor {
    let column = |name: &str, kind, nullable| DescribedColumn { name: name.to_owned(), kind, nullable };
    TableDescriptor {
        schema: None,
        name: TABLE.to_owned(),
        columns: vec![
            column("id", DescribedType::Key, false),
            column("sequence", DescribedType::BigInt, false),
            column("type", DescribedType::Text, false),
            column("source", DescribedType::Text, false),
            column("subject", DescribedType::Text, true),
            column("time", DescribedType::Timestamp, false),
            column("actor", DescribedType::Text, true),
            column("data", DescribedType::Json, false),
        ],
        primary_key: vec!["id".to_owned()],
    }
}

/// An event in the order of the descriptor's columns.
fn row(event: &Event) -> Vec<CellValue> {
    let optional = |value: &Option<String>| value.as_deref().map_or(CellValue::Null, text);
    vec![
        CellValue::Text(event.id.to_string()),
        CellValue::BigInt(event.sequence),
        text(&event.kind),
        text(&event.source()),
        optional(&event.subject),
        CellValue::Timestamp(moment::to_micros(event.time)),
        optional(&event.actor),
        CellValue::Json(event.data.to_string()),
    ]
}

/// A NUL, which not every source can hold, must not keep an event from its sink.
fn text(value: &str) -> CellValue {
    CellValue::Text(value.replace('\0', "\u{fffd}"))
}
