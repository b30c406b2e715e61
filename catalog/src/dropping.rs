//! Ending the publication of imported tables, those of a datasource that is not declared any more as well. Nothing at a source changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_providers::{Error, ErrorKind, Result};
use serde_json::json;

use crate::asking::Asking;
use crate::event::{EventType, NewEvent};
use crate::member::Member;
use crate::published::Published;
use crate::published_name::PublishedName;
use crate::reconcile::drop_published;
use crate::store::ControlStore;

/// Drops imported tables of an environment.
pub(crate) struct Dropping {
    pub(crate) environment: String,
    pub(crate) store: ControlStore,
    pub(crate) published: Arc<Published>,
    /// The datasources that are declared.
    pub(crate) members: BTreeMap<String, Arc<Member>>,
}

impl Dropping {
    /// Drops tables, each a schema and a name, in one change.
    ///
    /// # Errors
    /// `NotFound` when one of them is no imported table, `Cancelled` when it was withdrawn, and when the store cannot be written; all
    /// stay then.
    pub(crate) async fn drop(&self, tables: &[(String, String)], actor: Option<&str>, asking: &Asking) -> Result<()> {
        let tables: BTreeSet<&(String, String)> = tables.iter().collect();
        let mut owners = BTreeSet::new();
        for (schema, name) in &tables {
            let owner = self.store.foreign_table_owner(&self.environment, schema, name).await?;
            owners.insert(owner.ok_or_else(|| not_imported(schema, name))?);
        }
        // In one order whoever asks, so that two who drop tables of the same datasources do not wait for each other.
        let mut owning = Vec::new();
        for member in owners.iter().filter_map(|owner| self.members.get(owner)) {
            owning.push(member.accepted.lock().await);
        }
        let _publishing = self.published.publishing.lock().await;
        let mut change = self.store.begin(&self.environment).await?;
        asking.begin_writing()?;
        let mut events = Vec::new();
        for (schema, name) in &tables {
            let (owner, remote) = change.forget_foreign_table(schema, name).await?.ok_or_else(|| not_imported(schema, name))?;
            events.push(NewEvent {
                kind: EventType::TableDropped,
                datasource: Some(owner),
                subject: Some(remote.to_string()),
                actor: actor.map(str::to_owned),
                data: json!({ "schema": schema, "name": name }),
            });
        }
        change.append_all(&events).await?;
        let names: Vec<PublishedName> = tables.iter().map(|(schema, name)| PublishedName::new(schema, name)).collect();
        for owner in &owners {
            drop_published(&mut change, owner, &names, actor).await?;
        }
        change.commit().await?;
        let is_dropped = |schema: &str, name: &str| tables.iter().any(|table| table.0 == schema && table.1 == name);
        for accepted in &mut owning {
            accepted.imported.retain(|table| !is_dropped(&table.schema, &table.name));
            accepted.changed();
        }
        self.published.drop_imported(&is_dropped);
        Ok(())
    }
}

fn not_imported(schema: &str, name: &str) -> Error {
    let spelled = [schema, name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
    Error::new(ErrorKind::NotFound, format!("there is no imported table {spelled}"))
        .hint("SELECT schema, name FROM causeway.foreign_tables WHERE imported lists them")
}
