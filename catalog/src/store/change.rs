//! A change of one environment: a transaction, the events it appends, and the announcement once both are there.

use causeway_providers::Result;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{ControlStore, failed};
use crate::event::NewEvent;
use crate::moment;

/// A change that is not committed yet. Dropped, it never was.
pub(crate) struct Change {
    store: ControlStore,
    environment: String,
    transaction: Transaction<'static, Sqlite>,
    /// The number of the last event it appended.
    sequence: Option<i64>,
}

impl Change {
    pub(super) async fn begin(store: &ControlStore, environment: &str) -> Result<Self> {
        let what = "a change of the control store cannot begin";
        let mut transaction = store.0.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| failed(what, error))?;
        sqlx::query("INSERT INTO environments (name) VALUES (?1) ON CONFLICT (name) DO NOTHING")
            .bind(environment)
            .execute(&mut *transaction)
            .await
            .map_err(|error| failed(what, error))?;
        Ok(Self { store: store.clone(), environment: environment.to_owned(), transaction, sequence: None })
    }

    pub(super) fn environment(&self) -> &str {
        &self.environment
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Appends an event and gives its number.
    pub(crate) async fn append(&mut self, event: &NewEvent) -> Result<i64> {
        let what = "an event cannot be written";
        let sequence: i64 =
            sqlx::query_scalar("UPDATE environments SET last_sequence = last_sequence + 1 WHERE name = ?1 RETURNING last_sequence")
                .bind(&self.environment)
                .fetch_one(&mut *self.transaction)
                .await
                .map_err(|error| failed(what, error))?;
        sqlx::query(
            "INSERT INTO events (environment, seq, id, type, datasource, subject, time, actor, data) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(&self.environment)
        .bind(sequence)
        .bind(Uuid::now_v7().to_string())
        .bind(event.kind.as_str())
        .bind(&event.datasource)
        .bind(&event.subject)
        .bind(moment::now())
        .bind(&event.actor)
        .bind(event.data.to_string())
        .execute(&mut *self.transaction)
        .await
        .map_err(|error| failed(what, error))?;
        self.sequence = Some(sequence);
        Ok(sequence)
    }

    /// Makes the change last, and tells who waits for its events.
    pub(crate) async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(|error| failed("a change of the control store cannot be committed", error))?;
        if let Some(sequence) = self.sequence {
            self.store.announce(&self.environment, sequence);
        }
        Ok(())
    }
}
