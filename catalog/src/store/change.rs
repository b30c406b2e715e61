//! A change of one environment: a transaction, the events it appends, and the announcement once both are there.

use causeway_providers::Result;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{ControlStore, failed};
use crate::event::NewEvent;
use crate::moment;

/// Events in one statement: SQLite takes 32766 values in one, and an event has nine.
const ROWS: usize = 500;

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
        self.append_all(std::slice::from_ref(event)).await
    }

    /// Appends events in their order, with one statement for many of them; gives the number of the last.
    pub(crate) async fn append_all(&mut self, events: &[NewEvent]) -> Result<i64> {
        let failed = |error| failed("events cannot be written", error);
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let last: i64 =
            sqlx::query_scalar("UPDATE environments SET last_sequence = last_sequence + ?2 WHERE name = ?1 RETURNING last_sequence")
                .bind(&self.environment)
                .bind(count)
                .fetch_one(&mut *self.transaction)
                .await
                .map_err(failed)?;
        let time = moment::now();
        let mut numbered = (last - count + 1..).zip(events);
        for chunk in events.chunks(ROWS) {
            let mut insert =
                QueryBuilder::<Sqlite>::new("INSERT INTO events (environment, seq, id, type, datasource, subject, time, actor, data) ");
            insert.push_values(numbered.by_ref().take(chunk.len()), |mut row, (sequence, event)| {
                row.push_bind(&self.environment)
                    .push_bind(sequence)
                    .push_bind(Uuid::now_v7().to_string())
                    .push_bind(event.kind.as_str())
                    .push_bind(&event.datasource)
                    .push_bind(&event.subject)
                    .push_bind(time)
                    .push_bind(&event.actor)
                    .push_bind(event.data.to_string());
            });
            // A statement for each number of rows is not worth keeping, but for the usual one.
            let insert = insert.build().persistent(chunk.len() == 1);
            insert.execute(&mut *self.transaction).await.map_err(failed)?;
        }
        if count > 0 {
            self.sequence = Some(last);
        }
        Ok(last)
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
