//! Comparing the source with what is expected of it. Nothing that is published changes, but for what was broken and is mended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_providers::{CatalogMark, Deadline, Error, ErrorKind, Introspection, OmissionCause, Remote, Result, Subject};

use super::hidden::{leave_out, untold};
use super::{Member, Settled};
use crate::baseline::{Declared, unreadable};
use crate::drift::{Baseline, DriftReport, Observation, Severity, TableDrift, compare};
use crate::reconcile::{Cause, Closing};

/// What one check of a datasource's drift found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriftCheck {
    /// Differences that are open now.
    pub differences: usize,
    /// Events that this check gave rise to.
    pub events: usize,
    /// Expected tables, and expected columns of others, that our user may not read any more, which says nothing of what they are.
    pub unreadable: usize,
}

/// One look at the source, and how it differs from what was expected at the time.
struct Sight {
    baseline: Arc<Baseline>,
    seen: Introspection,
    report: DriftReport,
}

impl Member {
    /// Compares the source with what is expected of it, looks twice before it says anything, and notes what it found. All the source is
    /// asked takes `limit` at most; of one that marks its states, and is as it was when nothing was new, only that is asked. A check
    /// that an import or a refresh overtakes begins again.
    ///
    /// # Errors
    /// `Unreachable` when the datasource is not open, `SchemaMismatch` when its tables keep it from being so; what looking at it gives;
    /// what writing the store gives.
    pub(crate) async fn check_drift(&self, limit: Duration, confirm_after: Duration) -> Result<DriftCheck> {
        let remote = self.open_remote().map_err(|closed| self.refused_for_mismatch().unwrap_or(closed))?;
        let deadline = Deadline::after(limit);
        loop {
            if let Some(found) = self.check_once(&remote, deadline, confirm_after).await? {
                return Ok(found);
            }
        }
    }

    /// Why the datasource is not open, when that is what its tables are.
    pub(crate) fn refused_for_mismatch(&self) -> Option<Error> {
        let live = self.live.borrow();
        live.last_error.as_ref().filter(|error| error.kind() == ErrorKind::SchemaMismatch).map(|error| error.restated())
    }

    /// What a check finds at a source that is marked as it was when the last one found nothing new.
    async fn settled(&self, mark: Option<&CatalogMark>) -> Result<Option<DriftCheck>> {
        let unreadable = match (&self.accepted.lock().await.settled, mark) {
            (Some(settled), Some(mark)) if settled.mark == *mark => settled.unreadable,
            (Some(_) | None, _) => return Ok(None),
        };
        self.live.send_modify(|live| live.checked_at = Some(SystemTime::now()));
        let differences = self.open_differences().await?.len();
        Ok(Some(DriftCheck { differences, events: 0, unreadable }))
    }

    /// One check; `None` when something was accepted between its looks, which then say nothing of what is expected now.
    async fn check_once(&self, remote: &Arc<dyn Remote>, deadline: Deadline, confirm_after: Duration) -> Result<Option<DriftCheck>> {
        let generation = self.accepted.lock().await.generation;
        let mark = deadline.bound("asking for its state", remote.catalog_mark(deadline)).await.map_err(|error| self.of_source(error))?;
        if let Some(found) = self.settled(mark.as_ref()).await? {
            return Ok(Some(found));
        }
        let mut sight = self.observe(remote, deadline).await?;
        let open = self.open_differences().await?;
        let first = open.news(&sight.report);
        let mut missing = BTreeSet::new();
        let mut suspected = None;
        if !first.is_empty() {
            tokio::time::sleep(confirm_after).await;
            let earlier = std::mem::replace(&mut sight, self.observe(remote, deadline).await?);
            for sight in [&earlier, &sight] {
                missing.extend(untold(&sight.seen, sight.report.tables.iter().flat_map(TableDrift::missing).chain(open.subjects())));
            }
            suspected = Some(earlier);
        }
        missing.extend(self.known_to_be_hidden(&sight.seen));
        let forbidden = self.forbidden(remote, missing, deadline).await?;
        for sight in suspected.iter_mut().chain([&mut sight]) {
            self.leave_out(sight, &forbidden);
        }

        let mut events = 0;
        let mut accepted = self.accepted.lock().await;
        let is_current = |of: &Sight| accepted.baseline.as_ref().is_some_and(|now| Arc::ptr_eq(now, &of.baseline));
        if !suspected.iter().chain([&sight]).all(is_current) {
            return Ok(None);
        }
        let report = &sight.report;
        if let Some(suspected) = suspected {
            let is_confirmed = |subject: &Subject| first.contains(subject) && agree(&suspected.report, report, subject);
            let confirmed: BTreeSet<Subject> = self.news(report).await?.into_iter().filter(is_confirmed).collect();
            if !confirmed.is_empty() {
                let mut change = self.store.begin(&self.environment).await?;
                let cause = Cause { closing: Closing::Reverted, actor: None };
                events = self.reconcile(&mut change, (report, &sight.seen), &confirmed, cause).await?;
                change.commit().await?;
                self.log(report, &confirmed);
            }
        }
        let unreadable = unreadable(&sight.seen);
        self.live.send_modify(|live| {
            live.omitted.retain(|known| known.cause != OmissionCause::Unreadable && !unreadable.contains(known.subject.as_str()));
            live.omitted.extend(sight.seen.omitted.iter().filter(|omission| omission.cause == OmissionCause::Unreadable).cloned());
            live.checked_at = Some(SystemTime::now());
        });
        let is_settled = first.is_empty() && accepted.generation == generation;
        accepted.settled = mark.filter(|_| is_settled).map(|mark| Settled { mark, unreadable: report.unreadable.len() });
        drop(accepted);
        // What the second look did not confirm is not open: the next check says more of it.
        let differences = self.open_differences().await?.len();
        Ok(Some(DriftCheck { differences, events, unreadable: report.unreadable.len() }))
    }

    async fn observe(&self, remote: &Arc<dyn Remote>, deadline: Deadline) -> Result<Sight> {
        let generation = self.accepted.lock().await.generation;
        let seen = self.look(remote, deadline).await?;
        let baseline = self.expected(remote, &seen, generation).await;
        let report = self.compared(&baseline, &seen);
        Ok(Sight { baseline, seen, report })
    }

    /// Has a look say of `forbidden` that it may not be read, and compares anew.
    fn leave_out(&self, sight: &mut Sight, forbidden: &BTreeSet<Subject>) {
        if !forbidden.is_empty() {
            leave_out(&mut sight.seen, forbidden);
            sight.report = self.compared(&sight.baseline, &sight.seen);
        }
    }

    fn compared(&self, baseline: &Baseline, seen: &Introspection) -> DriftReport {
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        compare(baseline, &Observation::of(seen), &types)
    }

    /// What is expected of the source, once what `seen` mends is published. A look that began before the last change of what is
    /// accepted mends nothing: it may be older than what is published.
    async fn expected(&self, remote: &Arc<dyn Remote>, seen: &Introspection, generation: u64) -> Arc<Baseline> {
        let mut accepted = self.accepted.lock().await;
        if accepted.generation == generation {
            self.mend(&mut accepted, remote, seen).await;
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
