//! The event log: read in order, and cut off at its old end.

use std::time::{Duration, SystemTime};

use causeway_providers::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{ControlStore, failed};
use crate::event::Event;
use crate::moment;

/// Events that a reader has in memory at once, at most.
pub(crate) const PAGE_EVENTS: u32 = 500;
/// The size of their data at which a page ends earlier; one event may be larger.
const PAGE_BYTES: usize = 4 << 20;

/// How much of the event log is kept, and of the differences that were resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What is older than this may go.
    pub max_age: Duration,
    /// Of more than so many the oldest may go.
    pub max_count: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(30 * 24 * 60 * 60), max_count: 1_000_000 }
    }
}

impl ControlStore {
    /// The number of the newest event ever written; 0 before the first.
    pub(crate) async fn last_sequence(&self, environment: &str) -> Result<i64> {
        sqlx::query_scalar("SELECT COALESCE(MAX(last_sequence), 0) FROM environments WHERE name = ?1")
            .bind(environment)
            .fetch_one(self.readers())
            .await
            .map_err(|error| failed("the event log cannot be read", error))
    }

    /// The next page of events after number `after`, in order; empty when there are none. However large events are, a page is not: it
    /// ends with the event that fills it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events_page(&self, environment: &str, after: i64) -> Result<Vec<Event>> {
        self.bounded_page(environment, after, PAGE_EVENTS, PAGE_BYTES).await
    }

    /// The events after number `after` in order: at most `limit`, and no more once their data has `bytes`.
    pub(crate) async fn bounded_page(&self, environment: &str, after: i64, limit: u32, bytes: usize) -> Result<Vec<Event>> {
        let mut rows = sqlx::query(
            "SELECT seq, id, type, datasource, subject, time, actor, data FROM events \
             WHERE environment = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )
        .bind(environment)
        .bind(after)
        .bind(limit)
        .fetch(self.readers());
        let (mut page, mut read) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await.map_err(|error| failed("the event log cannot be read", error))? {
            read += row.try_get::<&str, _>(7).map_or(0, str::len);
            page.push(event(environment, &row)?);
            if read >= bytes {
                break;
            }
        }
        Ok(page)
    }

    /// Drops old events, but none that a subscriber has not taken yet; gives how many.
    pub(crate) async fn retain_events(&self, environment: &str, retention: Retention) -> Result<u64> {
        let oldest = SystemTime::now().checked_sub(retention.max_age).map_or(0, moment::to_micros);
        let kept = i64::try_from(retention.max_count).unwrap_or(i64::MAX);
        // One statement, so that a subscriber added meanwhile counts or finds the log already cut.
        let done = sqlx::query(
            "DELETE FROM events WHERE environment = ?1 \
             AND seq <= MAX( \
                 COALESCE((SELECT MAX(seq) FROM events WHERE environment = ?1 AND time < ?2), 0), \
                 (SELECT last_sequence FROM environments WHERE name = ?1) - ?3) \
             AND seq <= COALESCE((SELECT MIN(position) FROM subscribers WHERE environment = ?1 AND state <> 'disabled'), seq)",
        )
        .bind(environment)
        .bind(oldest)
        .bind(kept)
        .execute(&self.0.writer)
        .await
        .map_err(|error| failed("old events cannot be dropped", error))?;
        Ok(done.rows_affected())
    }
}

fn event(environment: &str, row: &SqliteRow) -> Result<Event> {
    let damaged = |what: String| Error::new(ErrorKind::Invalid, format!("an event in the control store is damaged: {what}"));
    let get = || -> sqlx::Result<(Event, String, String)> {
        let event = Event {
            sequence: row.try_get(0)?,
            id: Uuid::nil(),
            kind: row.try_get(2)?,
            environment: environment.to_owned(),
            datasource: row.try_get(3)?,
            subject: row.try_get(4)?,
            time: moment::from_micros(row.try_get(5)?),
            actor: row.try_get(6)?,
            data: serde_json::Value::Null,
        };
        Ok((event, row.try_get(1)?, row.try_get(7)?))
    };
    let (mut event, id, data) = get().map_err(|error| damaged(error.to_string()))?;
    event.id = id.parse().map_err(|_| damaged(format!("event {} has the id {id}", event.sequence)))?;
    event.data = serde_json::from_str(&data).map_err(|error| damaged(format!("event {}: {error}", event.sequence)))?;
    Ok(event)
}
