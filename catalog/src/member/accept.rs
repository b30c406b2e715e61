//! Taking what the source has for what is expected from now on: noted, stored and published in one step.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use causeway_providers::{Deadline, Error, ErrorKind, Introspection, Omission, Remote, RemoteTable, Result, Subject};
use serde_json::json;

use super::hidden::{keep_hidden_columns, leave_out, untold};
use super::mend::Refused;
use super::{Accepted, Member};
use crate::asking::Asking;
use crate::baseline::{Declared, unreadable};
use crate::datasource::OnMismatch;
use crate::drift::{DriftReport, Observation, TableDrift, compare, fingerprint};
use crate::event::{EventType, NewEvent};
use crate::import::{NAME_TAKEN, keep_others};
use crate::publication::{Mismatch, Publication};
use crate::published::Seen;
use crate::reconcile::{Cause, Closing, Open};
use crate::store::StoredForeignTable;
use crate::stored_form;

/// What a start of the datasource, or a look at it while it runs, accepts, and what it does with mismatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look<'a> {
    /// The first one since the process began: `on_mismatch` decides.
    Boot,
    /// Any later one, on time or because somebody asked: queries on tables that do not match fail, the rest is served.
    Later,
    /// The same after an outage, which nobody asked for: columns that our user may not read meanwhile stay as they were accepted.
    Reopened,
    /// For a statement that its source could not run: it accepts the remote tables the statement reads as far as they are there, and says
    /// nothing of any other. One that is gone may be back in a moment: it stays as it was, and a check of drift tells of it.
    Statement(&'a BTreeSet<Subject>),
    /// Of an import, which accepts the tables it imports, and says nothing of any other.
    Import(&'a BTreeSet<Subject>),
}

/// How a look is accepted, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acceptance<'a> {
    look: Look<'a>,
    /// Whoever asked for it; `None` is the gateway itself.
    actor: Option<&'a str>,
    imports: Option<&'a Imports>,
    /// Whether it is still wanted; `None` when nobody can take it back.
    asking: Option<&'a Asking>,
}

/// What an import changes, in the same change as what is accepted for it.
#[derive(Debug)]
pub(crate) struct Imports {
    /// All imported tables of the datasource from then on.
    pub(crate) tables: Vec<StoredForeignTable>,
    /// Those of them that the store does not have as they are, each with the event that tells of it.
    pub(crate) news: Vec<(StoredForeignTable, NewEvent)>,
}

impl<'a> Acceptance<'a> {
    /// A look that `actor` asked for.
    pub(crate) fn of(look: Look<'a>, actor: Option<&'a str>) -> Self {
        Self { look, actor, imports: None, asking: None }
    }

    /// A look for an import of the remote tables `of`.
    pub(crate) fn importing(imports: &'a Imports, of: &'a BTreeSet<Subject>, actor: Option<&'a str>) -> Self {
        Self { look: Look::Import(of), actor, imports: Some(imports), asking: None }
    }

    /// The same as long as it is asked for.
    pub(crate) fn as_asked(self, asking: &'a Asking) -> Self {
        Self { asking: Some(asking), ..self }
    }
}

impl<'a> Look<'a> {
    /// The remote tables it says something of; `None` is all there are.
    fn only(self) -> Option<&'a BTreeSet<Subject>> {
        match self {
            Look::Boot | Look::Later | Look::Reopened => None,
            Look::Statement(tables) | Look::Import(tables) => Some(tables),
        }
    }

    /// Those of `tables` that `seen` says something of.
    fn shown(tables: &BTreeSet<Subject>, seen: &Introspection) -> BTreeSet<Subject> {
        let there = seen.tables.iter().map(RemoteTable::subject).filter(|subject| tables.contains(subject));
        let is_omitted = |subject: &&Subject| seen.omitted.iter().any(|omission| omission.subject == subject.to_string());
        there.chain(tables.iter().filter(is_omitted).cloned()).collect()
    }

    /// Why differences that are not there any more are closed.
    fn closing(self) -> Closing {
        match self {
            Look::Boot | Look::Later | Look::Reopened | Look::Statement(_) => Closing::Reverted,
            Look::Import(_) => Closing::Accepted,
        }
    }

    /// Leaves in `news` the tables it says something of.
    fn limit(self, mut news: BTreeSet<Subject>) -> BTreeSet<Subject> {
        if let Some(only) = self.only() {
            news.retain(|subject| only.contains(subject));
        }
        news
    }

    /// What is accepted of `seen`: of the tables it says nothing of, what was accepted before.
    fn merge(self, accepted: Option<&Introspection>, seen: Introspection) -> Introspection {
        let (Some(accepted), Some(only)) = (accepted, self.only()) else { return seen };
        let names: BTreeSet<String> = only.iter().map(Subject::to_string).collect();
        let is_new = |table: &RemoteTable| only.contains(&table.subject());
        let mut merged = Introspection { default_schema: seen.default_schema, ..accepted.clone() };
        merged.tables.retain(|table| !is_new(table));
        merged.tables.extend(seen.tables.into_iter().filter(is_new));
        merged.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        // What is left out of these tables is another matter now, too.
        let is_of = |omission: &Omission| {
            let mut ends = omission.subject.match_indices('.').map(|(end, _)| end).chain([omission.subject.len()]);
            ends.any(|end| names.contains(&omission.subject[..end]))
        };
        merged.omitted.retain(|omission| !is_of(omission));
        merged.omitted.extend(seen.omitted.into_iter().filter(is_of));
        merged
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
    acceptance: Acceptance<'a>,
}

impl Member {
    /// Looks at the source and accepts what is there, within `limit`; gives how many tables it has.
    ///
    /// # Errors
    /// What looking gives; `SchemaMismatch` when pinned tables do not match and that is binding for the look; `Conflict` when a schema is
    /// published already.
    pub(crate) async fn refresh(&self, remote: &Arc<dyn Remote>, limit: Duration, acceptance: Acceptance<'_>) -> Result<usize> {
        // Held from the look on, so that nothing newer is accepted meanwhile and then undone.
        let mut accepted = self.accepted.lock().await;
        let deadline = Deadline::after(limit);
        let seen = self.look(remote, deadline).await?;
        self.accept(&mut accepted, remote, seen, acceptance, deadline).await
    }

    /// Accepts what a look saw: notes how it differs from before, stores it, and publishes it in one step; gives how many tables it has.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), without the look; `Cancelled` when it was withdrawn; for an import also what storing it gives.
    /// Nothing is stored or published then.
    pub(crate) async fn accept(
        &self,
        accepted: &mut Accepted,
        remote: &Arc<dyn Remote>,
        seen: Introspection,
        acceptance: Acceptance<'_>,
        deadline: Deadline,
    ) -> Result<usize> {
        let news = acceptance.look.only().map_or(Seen::All, Seen::Only);
        let shown;
        let look = match acceptance.look {
            Look::Statement(tables) => {
                shown = Look::shown(tables, &seen);
                Look::Statement(&shown)
            }
            look @ (Look::Boot | Look::Later | Look::Reopened | Look::Import(_)) => look,
        };
        let acceptance = Acceptance { look, ..acceptance };
        let imports = acceptance.imports;
        let mut seen = look.merge(accepted.tables.as_deref(), seen);
        let mut mended = look.only().map(|_| accepted.mended.clone()).unwrap_or_default();
        mended.retain(|subject, _| look.only().is_some_and(|only| !only.contains(subject)));
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let forms = |text: &str| self.form(text);
        let imported = imports.map_or(&accepted.imported, |imports| &imports.tables);
        let declared = Declared { datasource: &self.datasource, imported, mended: &mended, types: &types, forms: &forms };
        // What was never noted is compared with what was, whatever has been published since.
        let earlier = declared.baseline(accepted.noted.as_deref(), &seen.default_schema);
        let differs = compare(&earlier, &Observation::of(&seen), &types);
        let open = self.open_differences().await?;
        let mut missing = untold(&seen, differs.tables.iter().flat_map(TableDrift::missing).chain(open.subjects()));
        missing.extend(self.known_to_be_hidden(&seen));
        if let Some(only) = look.only() {
            missing.retain(|subject| only.contains(&Subject::table(&subject.schema, &subject.table)));
        }
        leave_out(&mut seen, &self.forbidden(remote, missing, deadline).await?);
        if let (Look::Reopened, Some(known)) = (look, accepted.tables.as_deref()) {
            keep_hidden_columns(&mut seen, known);
        }

        let provide = |table: &RemoteTable| Arc::clone(remote).table(table);
        let mut publication = Publication::new(&declared, &provide, &seen, accepted.tables.as_deref())?;
        if let Some(only) = look.only() {
            keep_others(&mut publication, &self.published.current(), self.name(), only);
        }
        let mut before = compare(&earlier, &Observation::of(&seen), &types);
        let fingerprint = fingerprint(&seen);
        let seen = with_unreadable(seen, accepted.tables.as_deref());
        let baseline = Arc::new(declared.baseline(Some(&seen), &seen.default_schema));
        let mut after = compare(&baseline, &Observation::of(&seen), &types);
        if let Some(only) = look.only() {
            for report in [&mut before, &mut after] {
                report.tables.retain(|drift| only.contains(&drift.subject()));
            }
        }

        let validation = self.datasource.validation;
        let is_binding = look == Look::Boot && validation.check_on_boot && validation.on_mismatch == OnMismatch::Fail;
        if publication.is_binding() && is_binding {
            self.note_refused(&before, &seen).await;
            let refused = Refused { seen: &seen, publication: &publication };
            self.refuse(&declared, remote, accepted.tables.as_deref(), refused).await;
            return Err(publication.mismatch_error(self.name()));
        }
        self.tell(&publication.mismatches);
        for Omission { subject, reason, .. } in &publication.omitted {
            tracing::debug!(datasource = self.name(), subject, reason, "left out");
        }
        let tables = publication.tables();
        let publishing = self.published.publishing.lock().await;
        self.published.admits(self.name(), &publication.offer)?;
        acceptance.asking.map_or(Ok(()), Asking::begin_writing)?;
        let noted = Noted { before: &before, after: &after, fingerprint: &fingerprint, known: &accepted.fingerprint, acceptance };
        let stored = match self.store_accepted(&seen, &noted).await {
            // What is to be kept and is not is not there.
            Err(error) if imports.is_some() => return Err(error),
            stored => stored,
        };
        self.published.replace(self.name(), publication.offer, news)?;
        drop(publishing);
        self.live.send_modify(|live| {
            live.omitted = publication.omitted;
            live.mismatches = publication.mismatches;
            live.capabilities = Some(*remote.capabilities());
            live.is_known = true;
        });
        let seen = Arc::new(seen);
        accepted.changed();
        accepted.tables = Some(Arc::clone(&seen));
        accepted.baseline = Some(baseline);
        accepted.mended = mended;
        if let Some(imports) = imports {
            accepted.imported.clone_from(&imports.tables);
        }
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
        let Noted { before, after, fingerprint, known, acceptance: Acceptance { look, actor, imports, asking: _ } } = *noted;
        let imported = imports.map(|imports| &*imports.news).unwrap_or_default();
        let news = look.limit(self.news(before).await?);
        if fingerprint == known && news.is_empty() && imported.is_empty() {
            return self.store.seen_again(&self.environment, self.name()).await;
        }
        // Nobody else writes while a change is open, so what takes long is done before.
        let content = if fingerprint == known { None } else { Some(stored_form::write(seen)?) };
        let mut change = self.store.begin(&self.environment).await?;
        for (table, event) in imported {
            if !change.keep_foreign_table(table).await? {
                return Err(self.taken(table));
            }
            change.append(event).await?;
        }
        self.reconcile(&mut change, (before, seen), &news, Cause { closing: look.closing(), actor }).await?;
        // What is accepted differs from itself no more; what remains is what contracts say otherwise.
        let open = Open::new(change.open_drift(self.name()).await?);
        let accepting = Cause { closing: Closing::Accepted, actor };
        self.reconcile(&mut change, (after, seen), &look.limit(open.news(after)), accepting).await?;
        if let Some(content) = content {
            let version = change.keep_snapshot(self.name(), fingerprint, seen, content, self.history).await?;
            let refreshed = NewEvent {
                kind: EventType::CatalogRefreshed,
                datasource: Some(self.name().to_owned()),
                subject: None,
                actor: actor.map(str::to_owned),
                data: json!({ "version": version, "fingerprint": fingerprint, "tables": seen.tables.len() }),
            };
            change.append(&refreshed).await?;
        }
        change.commit().await
    }

    fn taken(&self, table: &StoredForeignTable) -> Error {
        let StoredForeignTable { schema, name, .. } = table;
        self.error(ErrorKind::Conflict, format!("the name {schema}.{name} is taken by a table of another datasource"))
            .code(NAME_TAKEN)
            .hint("rename the table, or drop the other one with DROP FOREIGN TABLE")
    }

    /// Notes differences of a look that is not accepted.
    async fn note_refused(&self, report: &DriftReport, seen: &Introspection) {
        let noting = async {
            let news = self.news(report).await?;
            if news.is_empty() {
                return Ok(());
            }
            let mut change = self.store.begin(&self.environment).await?;
            self.reconcile(&mut change, (report, seen), &news, Cause { closing: Closing::Reverted, actor: None }).await?;
            change.commit().await
        };
        if let Err(error) = noting.await {
            tracing::error!(datasource = self.name(), error = error.with_causes(), "its differences are not noted");
        }
    }

    /// Logs mismatches that were not there at the last look.
    fn tell(&self, mismatches: &[Mismatch]) {
        let known = self.live.borrow();
        for mismatch in mismatches.iter().filter(|mismatch| !known.mismatches.contains(mismatch)) {
            let mismatch = mismatch.text.as_str();
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
    let hidden = unreadable(&seen);
    let is_hidden = |table: &&RemoteTable| {
        hidden.contains(table.subject().to_string().as_str())
            && !seen.tables.iter().any(|other| other.schema == table.schema && other.name == table.name)
    };
    let carried: Vec<RemoteTable> = known.into_iter().flat_map(|known| &known.tables).filter(is_hidden).cloned().collect();
    seen.tables.extend(carried);
    seen
}
