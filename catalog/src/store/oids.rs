//! Object ids that were given out, so that a restart gives the same ones.

use causeway_providers::Result;

use super::{ControlStore, failed};

/// An object id and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOid {
    /// The kind of object, such as `relation`.
    pub kind: String,
    /// Its schema; empty for what has none.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The number.
    pub oid: u32,
}

impl ControlStore {
    /// All object ids of an environment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn oids(&self, environment: &str) -> Result<Vec<StoredOid>> {
        let rows: Vec<(String, String, String, u32)> =
            sqlx::query_as("SELECT kind, schema_name, object_name, oid FROM oids WHERE environment = ?1")
                .bind(environment)
                .fetch_all(self.readers())
                .await
                .map_err(|error| failed("the object ids cannot be read", error))?;
        Ok(rows.into_iter().map(|(kind, schema, name, oid)| StoredOid { kind, schema, name, oid }).collect())
    }

    /// Keeps object ids; one that is there already stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn keep_oids(&self, environment: &str, oids: &[StoredOid]) -> Result<()> {
        let mut change = self.begin(environment).await?;
        for stored in oids {
            sqlx::query(
                "INSERT INTO oids (environment, kind, schema_name, object_name, oid) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )
            .bind(environment)
            .bind(&stored.kind)
            .bind(&stored.schema)
            .bind(&stored.name)
            .bind(stored.oid)
            .execute(change.connection())
            .await
            .map_err(|error| failed("an object id cannot be kept", error))?;
        }
        change.commit().await
    }
}
