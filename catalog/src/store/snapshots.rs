//! What the datasources had, as stored: the newest to begin with, the older ones to compare.

use std::time::{Duration, SystemTime};

use causeway_providers::{Introspection, Result};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Change, ControlStore, failed};
use crate::moment;
use crate::stored_form;

/// Columns in the order [`stored`] takes them.
const COLUMNS: &str = "datasource, version, taken_at, seen_at, fingerprint, table_count";

/// How many old snapshots of a datasource are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Older ones than this go.
    pub max_age: Duration,
    /// Of more than so many the oldest go. The newest always stays.
    pub max_count: u32,
}

impl Default for History {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(90 * 24 * 60 * 60), max_count: 50 }
    }
}

/// A snapshot of one datasource in the store, without its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The datasource.
    pub datasource: String,
    /// Its number, which grows by one with every difference.
    pub version: i64,
    /// When it was first seen.
    pub taken_at: SystemTime,
    /// When it was last seen to be so.
    pub seen_at: SystemTime,
    /// The fingerprint of its tables.
    pub fingerprint: String,
    /// How many tables it has.
    pub table_count: u64,
}

impl ControlStore {
    /// The newest snapshot of every datasource, with its tables.
    pub(crate) async fn newest_snapshots(&self, environment: &str) -> Result<Vec<(StoredSnapshot, String)>> {
        let sql = format!(
            "SELECT {COLUMNS}, content FROM snapshots s WHERE environment = ?1 \
             AND version = (SELECT MAX(version) FROM snapshots n WHERE n.environment = s.environment AND n.datasource = s.datasource)"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(environment).fetch_all(self.readers()).await;
        let rows = rows.map_err(unreadable)?;
        rows.iter().map(|row| Ok((stored(row)?, row.try_get(6).map_err(unreadable)?))).collect()
    }

    /// All snapshots, oldest first.
    pub(crate) async fn snapshots(&self, environment: &str) -> Result<Vec<StoredSnapshot>> {
        let sql = format!("SELECT {COLUMNS} FROM snapshots WHERE environment = ?1 ORDER BY datasource, version");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(environment).fetch_all(self.readers()).await;
        rows.map_err(unreadable)?.iter().map(stored).collect()
    }

    /// What a datasource had in its snapshot `version`; `None` when there is no such snapshot (any more).
    pub(crate) async fn snapshot(&self, environment: &str, datasource: &str, version: i64) -> Result<Option<Introspection>> {
        let content: Option<String> =
            sqlx::query_scalar("SELECT content FROM snapshots WHERE environment = ?1 AND datasource = ?2 AND version = ?3")
                .bind(environment)
                .bind(datasource)
                .bind(version)
                .fetch_optional(self.readers())
                .await
                .map_err(unreadable)?;
        content.map(|content| stored_form::read(&content)).transpose()
    }

    /// Notes that the newest snapshot of a datasource was seen to hold still.
    pub(crate) async fn seen_again(&self, environment: &str, datasource: &str) -> Result<()> {
        sqlx::query(
            "UPDATE snapshots SET seen_at = ?3 WHERE environment = ?1 AND datasource = ?2 \
             AND version = (SELECT MAX(version) FROM snapshots WHERE environment = ?1 AND datasource = ?2)",
        )
        .bind(environment)
        .bind(datasource)
        .bind(moment::now())
        .execute(&self.0.writer)
        .await
        .map_err(|error| failed("a snapshot cannot be noted", error))?;
        Ok(())
    }
}

impl Change {
    /// Stores what a datasource has now and drops what is too old; gives the snapshot's number.
    pub(crate) async fn keep_snapshot(
        &mut self,
        datasource: &str,
        fingerprint: &str,
        seen: &Introspection,
        content: String,
        history: History,
    ) -> Result<i64> {
        let what = "a snapshot cannot be stored";
        let now = moment::now();
        let environment = self.environment().to_owned();
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO snapshots (environment, datasource, version, taken_at, seen_at, fingerprint, table_count, content) \
             VALUES (?1, ?2, 1 + COALESCE((SELECT MAX(version) FROM snapshots WHERE environment = ?1 AND datasource = ?2), 0), \
                     ?3, ?3, ?4, ?5, ?6) RETURNING version",
        )
        .bind(&environment)
        .bind(datasource)
        .bind(now)
        .bind(fingerprint)
        .bind(i64::try_from(seen.tables.len()).unwrap_or(i64::MAX))
        .bind(content)
        .fetch_one(self.connection())
        .await
        .map_err(|error| failed(what, error))?;
        let oldest = SystemTime::now().checked_sub(history.max_age).map_or(0, moment::to_micros);
        sqlx::query(
            "DELETE FROM snapshots WHERE environment = ?1 AND datasource = ?2 AND version < ?3 AND (version <= ?3 - ?4 OR seen_at < ?5)",
        )
        .bind(&environment)
        .bind(datasource)
        .bind(version)
        .bind(i64::from(history.max_count.max(1)))
        .bind(oldest)
        .execute(self.connection())
        .await
        .map_err(|error| failed(what, error))?;
        Ok(version)
    }
}

fn stored(row: &SqliteRow) -> Result<StoredSnapshot> {
    let get = || -> sqlx::Result<StoredSnapshot> {
        Ok(StoredSnapshot {
            datasource: row.try_get(0)?,
            version: row.try_get(1)?,
            taken_at: moment::from_micros(row.try_get(2)?),
            seen_at: moment::from_micros(row.try_get(3)?),
            fingerprint: row.try_get(4)?,
            table_count: row.try_get::<i64, _>(5)?.unsigned_abs(),
        })
    };
    get().map_err(unreadable)
}

fn unreadable(error: sqlx::Error) -> causeway_providers::Error {
    failed("the stored snapshots cannot be read", error)
}
