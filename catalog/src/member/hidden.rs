//! What a source hides: tables and columns that our user may not read are told from those that are gone.
//!
//! Some sources list them, and say that they may not be read. Others leave them out of a look, so what is not there any more is asked
//! for by name before it is called gone, all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{
    Deadline, Introspection, Omission, OmissionCause, Remote, RemoteColumn, RemotePresence, RemoteTable, Result, Subject,
};

use super::Member;
use crate::baseline::unreadable;

impl Member {
    /// Those of `missing` that are there and that our user may not read. Without any the source is not asked.
    pub(super) async fn forbidden(
        &self,
        remote: &Arc<dyn Remote>,
        missing: BTreeSet<Subject>,
        deadline: Deadline,
    ) -> Result<BTreeSet<Subject>> {
        if missing.is_empty() {
            return Ok(missing);
        }
        let missing: Vec<Subject> = missing.into_iter().collect();
        let asked = deadline.bound("asking for its tables", remote.presence(&missing, deadline)).await;
        let answers = asked.map_err(|error| self.of_source(error))?;
        let forbidden = missing.into_iter().zip(answers).filter(|(_, answer)| *answer == RemotePresence::Forbidden);
        Ok(forbidden.map(|(subject, _)| subject).collect())
    }

    /// Has a look say of what was there when the source was last accepted, and is not shown, whether our user may not read it.
    pub(crate) async fn complete(
        &self,
        seen: &mut Introspection,
        accepted: Option<&Introspection>,
        remote: &Arc<dyn Remote>,
        deadline: Deadline,
    ) -> Result<()> {
        let subjects = |table: &RemoteTable| {
            let column = |column: &RemoteColumn| Subject::column(&table.schema, &table.name, &column.name);
            table.columns.iter().map(column).chain([table.subject()]).collect::<Vec<_>>()
        };
        let mut missing = untold(seen, accepted.into_iter().flat_map(|accepted| &accepted.tables).flat_map(subjects));
        missing.extend(self.known_to_be_hidden(seen));
        leave_out(seen, &self.forbidden(remote, missing, deadline).await?);
        Ok(())
    }

    /// What is known to be hidden, as far as a look does not say what has become of it.
    pub(super) fn known_to_be_hidden(&self, seen: &Introspection) -> BTreeSet<Subject> {
        let known: Vec<Subject> = {
            let live = self.live.borrow();
            let hidden = live.omitted.iter().filter(|omission| omission.cause == OmissionCause::Unreadable);
            hidden.filter_map(|omission| Subject::read(&omission.subject)).collect()
        };
        untold(seen, known)
    }
}

/// Those of `subjects` that a look neither shows nor says that they may not be read.
pub(super) fn untold(seen: &Introspection, subjects: impl IntoIterator<Item = Subject>) -> BTreeSet<Subject> {
    let mut untold: BTreeSet<Subject> = subjects.into_iter().collect();
    if untold.is_empty() {
        return untold;
    }
    let told = unreadable(seen);
    let tables: BTreeMap<(&str, &str), &RemoteTable> =
        seen.tables.iter().map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect();
    untold.retain(|Subject { schema, table, column }| {
        let shown = tables.get(&(schema.as_str(), table.as_str()));
        let has = |wanted: &String| shown.is_some_and(|table| table.columns.iter().any(|column| column.name == *wanted));
        let is_shown = column.as_ref().map_or(shown.is_some(), has);
        // Nothing is to be asked about the columns of a table that may not be read.
        let is_told = |subject: Subject| told.contains(subject.to_string().as_str());
        let is_table_told = is_told(Subject::table(schema, table));
        !is_shown && !is_table_told && column.as_ref().is_none_or(|column| !is_told(Subject::column(schema, table, column)))
    });
    untold
}

/// Has a look say of `forbidden` that it may not be read, where it does not show it.
pub(super) fn leave_out(seen: &mut Introspection, forbidden: &BTreeSet<Subject>) {
    let mut hidden = untold(seen, forbidden.iter().cloned());
    // A table that may not be read says it for its columns.
    hidden.retain(|subject| subject.column.is_none() || !forbidden.contains(&Subject::table(&subject.schema, &subject.table)));
    if hidden.is_empty() {
        return;
    }
    let names: BTreeSet<String> = hidden.iter().map(Subject::to_string).collect();
    // Why a source does not show a table is for the source to say, but for this.
    seen.omitted.retain(|omission| !names.contains(&omission.subject));
    seen.omitted.extend(hidden.iter().map(|subject| Omission {
        subject: subject.to_string(),
        reason: if subject.column.is_some() { "no SELECT privilege on the column" } else { "no SELECT privilege" }.to_owned(),
        cause: OmissionCause::Unreadable,
    }));
    seen.omitted.sort_by(|a, b| a.subject.cmp(&b.subject));
}

/// Shows the columns that a look says may not be read, and the keys they are part of, as they were accepted.
pub(super) fn keep_hidden_columns(seen: &mut Introspection, accepted: &Introspection) {
    let hidden: BTreeSet<String> = unreadable(seen).into_iter().map(str::to_owned).collect();
    if hidden.is_empty() {
        return;
    }
    let known: BTreeMap<(&str, &str), &RemoteTable> =
        accepted.tables.iter().map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect();
    for table in &mut seen.tables {
        let Some(before) = known.get(&(table.schema.as_str(), table.name.as_str())) else { continue };
        let is_hidden = |column: &str| {
            let is_shown = table.columns.iter().any(|shown| shown.name == column);
            !is_shown && hidden.contains(&Subject::column(&table.schema, &table.name, column).to_string())
        };
        let lost: Vec<usize> = (0..before.columns.len()).filter(|at| is_hidden(&before.columns[*at].name)).collect();
        let is_of_lost = |key: &[String]| key.iter().any(|column| is_hidden(column));
        let primary_key = (table.primary_key.is_empty() && is_of_lost(&before.primary_key)).then(|| before.primary_key.clone());
        let unique_keys: Vec<_> =
            before.unique_keys.iter().filter(|key| is_of_lost(key) && !table.unique_keys.contains(key)).cloned().collect();
        for at in lost {
            table.columns.insert(at.min(table.columns.len()), before.columns[at].clone());
        }
        table.primary_key = primary_key.unwrap_or_else(|| std::mem::take(&mut table.primary_key));
        table.unique_keys.extend(unique_keys);
    }
}
