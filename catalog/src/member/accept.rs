//! Taking what the source has for what is expected from now on: noted, stored and published in one step.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use causeway_providers::{Deadline, Introspection, Omission, OmissionCause, Remote, RemoteTable, Result, Subject};
use serde_json::json;

use super::{Accepted, Member};
use crate::baseline::Declared;
use crate::datasource::OnMismatch;
use crate::drift::{DriftReport, Observation, compare, fingerprint};
use crate::event::{EventType, NewEvent};
use crate::import::keep_others;
use crate::publication::Publication;
use crate::reconcile::{Closing, Open};
use crate::stored_form;

/// What a start of the datasource, or a look at it while it runs, does with mismatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look<'a> {
    /// The first one since the process began: `on_mismatch` decides.
    Boot,
    /// Any later one, after an outage or because somebody asked: queries on tables that do not match fail, the rest is served.
    Later,
    /// Of an import, which accepts the tables it imports, and says nothing of any other.
    Import(&'a BTreeSet<Subject>),
}

impl Look<'_> {
    /// Why differences that are not there any more are closed.
    fn closing(self) -> Closing {
        match self {
            Look::Boot | Look::Later => Closing::Reverted,
            Look::Import(_) => Closing::Accepted,
        }
    }

    /// Leaves in `news` the tables it says something of.
    fn limit(self, mut news: BTreeSet<Subject>) -> BTreeSet<Subject> {
        if let Look::Import(imported) = self {
            news.retain(|subject| imported.contains(subject));
        }
        news
    }
}

/// What is noted of a look that is accepted.
struct Noted<'a> {
    /// How it differs from what was expected before.
    before: &'a DriftReport,
    /// How it differs from what is expected from now on: where contracts say otherwise.
    after: &'a DriftReport,
    fingerprint: &'a str,
    /// The fingerprint of what the store has.
    known: &'a str,
    look: Look<'a>,
}

impl Member {
    /// Looks at the source and accepts what is there, within `limit`; gives how many tables it has.
    ///
    /// # Errors
    /// What looking gives; `SchemaMismatch` when pinned tables do not match and that is binding for `look`; `Conflict` when a schema is
    /// published already.
    pub(crate) async fn refresh(&self, remote: &Arc<dyn Remote>, limit: Duration, look: Look<'_>) -> Result<usize> {
        // Held from the look on, so that nothing newer is accepted meanwhile and then undone.
        let mut accepted = self.accepted.lock().await;
        let deadline = Deadline::after(limit);
        let seen = self.look(remote, deadline).await?;
        self.accept(&mut accepted, remote, seen, look, deadline).await
    }

    /// Accepts what a look saw: notes how it differs from before, stores it, and publishes it in one step; gives how many tables it has.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), without the look.
    pub(crate) async fn accept(
        &self,
        accepted: &mut Accepted,
        remote: &Arc<dyn Remote>,
        seen: Introspection,
        look: Look<'_>,
        deadline: Deadline,
    ) -> Result<usize> {
        let provide = |table: &RemoteTable| Arc::clone(remote).table(table);
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let forms = |text: &str| self.form(text);
        let declared = Declared { datasource: &self.datasource, imported: &accepted.imported, types: &types, forms: &forms };
        let mut publication = Publication::new(&declared, &provide, &seen, accepted.tables.as_deref())?;
        if let Look::Import(imported) = look {
            keep_others(&mut publication, &self.published.current(), self.name(), imported);
        }

        // What was never noted is compared with what was, whatever has been published since.
        let earlier = declared.baseline(accepted.noted.as_deref(), &seen.default_schema);
        let mut before = compare(&earlier, &Observation::of(&seen), &types);
        let fingerprint = fingerprint(&seen);
        let seen = with_unreadable(seen, accepted.tables.as_deref());
        let baseline = Arc::new(declared.baseline(Some(&seen), &seen.default_schema));
        let mut after = compare(&baseline, &Observation::of(&seen), &types);
        if let Look::Import(imported) = look {
            for report in [&mut before, &mut after] {
                report.tables.retain(|drift| imported.contains(&drift.subject()));
            }
        }
        self.tell_forbidden_from_gone(remote, &mut [&mut before, &mut after], deadline).await?;

        let validation = self.datasource.validation;
        let is_binding = look == Look::Boot && validation.check_on_boot && validation.on_mismatch == OnMismatch::Fail;
        if publication.is_binding && is_binding {
            self.note_refused(&before).await;
            self.live.send_modify(|live| live.mismatches.clone_from(&publication.mismatches));
            return Err(publication.mismatch_error(self.name()));
        }
        self.tell(&publication.mismatches);
        for Omission { subject, reason, .. } in &publication.omitted {
            tracing::debug!(datasource = self.name(), subject, reason, "left out");
        }
        let tables = publication.tables();
        self.published.admits(self.name(), &publication.schemas, &publication.imported)?;
        let noted = Noted { before: &before, after: &after, fingerprint: &fingerprint, known: &accepted.fingerprint, look };
        let stored = self.store_accepted(&seen, &noted).await;
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
            Err(error) => tracing::error!(datasource = self.name(), error = error.with_causes(), "its tables are published but not stored"),
        }
        Ok(tables)
    }

    async fn store_accepted(&self, seen: &Introspection, noted: &Noted<'_>) -> Result<()> {
        let Noted { before, after, fingerprint, known, look } = *noted;
        let news = look.limit(self.news(before).await?);
        if fingerprint == known && news.is_empty() {
            return self.store.seen_again(&self.environment, self.name()).await;
        }
        // Nobody else writes while a change is open, so what takes long is done before.
        let content = if fingerprint == known { None } else { Some(stored_form::write(seen)?) };
        let mut change = self.store.begin(&self.environment).await?;
        self.reconcile(&mut change, before, &news, look.closing()).await?;
        // What is accepted differs from itself no more; what remains is what contracts say otherwise.
        let open = Open::new(change.open_drift(self.name()).await?);
        self.reconcile(&mut change, after, &look.limit(open.news(after)), Closing::Accepted).await?;
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

    /// Notes differences of a look that is not accepted.
    async fn note_refused(&self, report: &DriftReport) {
        let noting = async {
            let news = self.news(report).await?;
            if news.is_empty() {
                return Ok(());
            }
            let mut change = self.store.begin(&self.environment).await?;
            self.reconcile(&mut change, report, &news, Closing::Reverted).await?;
            change.commit().await
        };
        if let Err(error) = noting.await {
            tracing::error!(datasource = self.name(), error = error.with_causes(), "its differences are not noted");
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
