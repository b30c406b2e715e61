//! Comparing the source with what is expected of it. Nothing that is published changes, but for what was broken and is mended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{Deadline, Introspection, Omission, OmissionCause, Remote, Result, Subject};

use super::Member;
use crate::baseline::Declared;
use crate::drift::{Baseline, DriftReport, Observation, Severity, compare};
use crate::reconcile::{Cause, Closing};

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

impl Member {
    /// Compares the source with what is expected of it, looks twice before it says anything, and notes what it found. All the source is
    /// asked takes `limit` at most: three statements, of which the last two are only for what seems to differ. A check that an import or
    /// a refresh overtakes begins again.
    ///
    /// # Errors
    /// `Unreachable` when the datasource is not open; what looking at it gives; what writing the store gives.
    pub(crate) async fn check_drift(&self, limit: Duration, confirm_after: Duration) -> Result<DriftCheck> {
        let remote = self.open_remote()?;
        let deadline = Deadline::after(limit);
        loop {
            if let Some(found) = self.check_once(&remote, deadline, confirm_after).await? {
                return Ok(found);
            }
        }
    }

    /// One check; `None` when something was accepted between its looks, which then say nothing of what is expected now.
    async fn check_once(&self, remote: &Arc<dyn Remote>, deadline: Deadline, confirm_after: Duration) -> Result<Option<DriftCheck>> {
        let (baseline, mut report, mut omitted) = self.observe(remote, deadline).await?;
        let mut events = 0;
        let first = self.news(&report).await?;
        if !first.is_empty() {
            tokio::time::sleep(confirm_after).await;
            let suspected = report;
            let again;
            (again, report, omitted) = self.observe(remote, deadline).await?;
            self.tell_forbidden_from_gone(remote, &mut [&mut report], deadline).await?;
            let accepted = self.accepted.lock().await;
            let is_current = |of: &Arc<Baseline>| accepted.baseline.as_ref().is_some_and(|now| Arc::ptr_eq(now, of));
            if !is_current(&baseline) || !is_current(&again) {
                return Ok(None);
            }
            let confirmed: BTreeSet<Subject> = self
                .news(&report)
                .await?
                .into_iter()
                .filter(|subject| first.contains(subject) && agree(&suspected, &report, subject))
                .collect();
            if !confirmed.is_empty() {
                let mut change = self.store.begin(&self.environment).await?;
                let cause = Cause { closing: Closing::Reverted, actor: None };
                events = self.reconcile(&mut change, &report, &confirmed, cause).await?;
                change.commit().await?;
                self.log(&report, &confirmed);
            }
        }
        self.live.send_modify(|live| {
            live.omitted.retain(|known| known.cause != OmissionCause::Unreadable);
            live.omitted.extend(omitted.into_iter().filter(|omission| omission.cause == OmissionCause::Unreadable));
            live.checked_at = Some(SystemTime::now());
        });
        // What the second look did not confirm is not open: the next check says more of it.
        let differences = self.store.open_drift(&self.environment, self.name()).await?.len();
        Ok(Some(DriftCheck { differences, events, unreadable: report.unreadable.len() }))
    }

    async fn observe(&self, remote: &Arc<dyn Remote>, deadline: Deadline) -> Result<(Arc<Baseline>, DriftReport, Vec<Omission>)> {
        let generation = self.accepted.lock().await.generation;
        let seen = self.look(remote, deadline).await?;
        let baseline = self.expected(remote, &seen, generation).await;
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let report = compare(&baseline, &Observation::of(&seen), &types);
        Ok((baseline, report, seen.omitted))
    }

    /// What is expected of the source, once what `seen` mends is published. A look that began before the last change of what is
    /// accepted mends nothing: it may be older than what is published.
    async fn expected(&self, remote: &Arc<dyn Remote>, seen: &Introspection, generation: u64) -> Arc<Baseline> {
        let mut accepted = self.accepted.lock().await;
        if accepted.generation == generation {
            self.mend(&mut accepted, remote, seen);
        }
        if let Some(baseline) = &accepted.baseline {
            return Arc::clone(baseline);
        }
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let forms = |text: &str| self.form(text);
        let (imported, mended) = (&accepted.imported, &accepted.mended);
        let declared = Declared { datasource: &self.datasource, imported, mended, types: &types, forms: &forms };
        let baseline = Arc::new(declared.baseline(accepted.tables.as_deref(), &seen.default_schema));
        accepted.baseline = Some(Arc::clone(&baseline));
        baseline
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
}

/// Whether two reports say the same about a table.
fn agree(one: &DriftReport, other: &DriftReport, subject: &Subject) -> bool {
    one.of(subject).map(|drift| &drift.differences) == other.of(subject).map(|drift| &drift.differences)
}
