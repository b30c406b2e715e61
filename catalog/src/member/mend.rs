//! Publishing tables again that broke their contract. Nothing is accepted by that: contracts, and all other tables, stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{Introspection, Remote, RemoteTable, Subject};

use super::hidden::leave_out;
use super::{Accepted, Member};
use crate::baseline::Declared;
use crate::publication::{Mismatch, Publication, broken};
use crate::snapshot::unavailable;

impl Member {
    /// Publishes what is broken anew as `seen` shows it: what meets its contract again can be read, what does not tells how it breaks it
    /// now. What a look does not show stays as it is.
    pub(super) async fn mend(&self, accepted: &mut Accepted, remote: &Arc<dyn Remote>, seen: &Introspection) {
        let is_open = self.remote.borrow().as_ref().is_some_and(|open| Arc::ptr_eq(open, remote));
        let broken = broken(&self.live.borrow().mismatches);
        if !is_open || broken.is_empty() {
            return;
        }
        let _publishing = self.published.publishing.lock().await;
        // A column that was hidden and is not shown is taken to be so still: nobody has asked for it yet.
        let hidden = self.known_to_be_hidden(seen);
        let mut completed = None;
        if !hidden.is_empty() {
            leave_out(completed.insert(seen.clone()), &hidden);
        }
        let seen = completed.as_ref().unwrap_or(seen);
        let types = |expected: &str, actual: &str| self.type_change(expected, actual);
        let forms = |text: &str| self.form(text);
        let nothing = BTreeMap::new();
        let declared =
            Declared { datasource: &self.datasource, imported: &accepted.imported, mended: &nothing, types: &types, forms: &forms };
        let there: BTreeMap<Subject, RemoteTable> =
            declared.allowed(seen).map(|table| (table.subject(), table.clone())).filter(|(subject, _)| broken.contains(subject)).collect();
        let of: BTreeSet<Subject> = there.keys().cloned().collect();
        let mut mended = accepted.mended.clone();
        mended.extend(there);

        let provide = |table: &RemoteTable| Arc::clone(remote).table(table);
        let declared = Declared { mended: &mended, ..declared };
        let publication = Publication::of_pins(&declared, &provide, seen, accepted.tables.as_deref(), &of);
        let is_of = |mismatch: &&Mismatch| mismatch.remote.as_ref().is_some_and(|remote| of.contains(remote));
        let is_news = !self.live.borrow().mismatches.iter().filter(is_of).eq(&publication.mismatches);
        // A table that cannot be read after all is left to a refresh, which says so.
        if !is_news || !publication.omitted.is_empty() {
            return;
        }
        self.published.replace_pins(self.name(), publication.offer, &of, None);
        self.live.send_modify(|live| {
            for mismatch in live.mismatches.extract_if(.., |mismatch| is_of(&&*mismatch)) {
                if !publication.mismatches.contains(&mismatch) {
                    tracing::info!(
                        datasource = self.name(),
                        mismatch = mismatch.text,
                        "this is so no more: what is there now is published"
                    );
                }
            }
            live.mismatches.extend(publication.mismatches);
        });
        accepted.mended = mended;
        // What is expected of tables that follow their source is what they are now.
        accepted.baseline = None;
    }

    /// Tells whoever names a table that keeps the datasource from running how it breaks its contract, and all others that it does not run.
    pub(super) async fn refuse(
        &self,
        declared: &Declared<'_>,
        remote: &Arc<dyn Remote>,
        before: Option<&Introspection>,
        refused: Refused<'_>,
    ) {
        let Refused { seen, publication } = refused;
        let provide = |table: &RemoteTable| Arc::clone(remote).table(table);
        // What a look before this one found broken may be well by now.
        let mut of = broken(&self.live.borrow().mismatches);
        of.extend(broken(&publication.mismatches));
        let _publishing = self.published.publishing.lock().await;
        let pins = Publication::of_pins(declared, &provide, seen, before, &of);
        let reason = Arc::new(unavailable(&publication.mismatch_error(self.name())));
        self.published.replace_pins(self.name(), pins.offer, &of, Some(&reason));
        self.live.send_modify(|live| live.mismatches.clone_from(&publication.mismatches));
    }
}

/// A look that is not accepted, and what would have been published of it.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    pub(super) seen: &'a Introspection,
    pub(super) publication: &'a Publication,
}
