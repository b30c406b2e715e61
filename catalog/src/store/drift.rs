//! Differences between what was expected of remote tables and what is there: open ones, and those of the past.

use std::collections::BTreeMap;
use std::time::SystemTime;

use causeway_providers::{Error, ErrorKind, Result, Subject};
use sqlx::sqlite::{SqliteExecutor, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Change, ControlStore, Retention, failed};
use crate::drift::describe;
use crate::moment;
use crate::published_name::PublishedName;

/// One difference, open or resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftRow {
    /// The datasource.
    pub datasource: String,
    /// The remote schema.
    pub remote_schema: String,
    /// The remote table.
    pub remote_table: String,
    /// What differs, in the words of events.
    pub kind: String,
    /// The column it is about.
    pub column: Option<String>,
    /// What was expected.
    pub expected: Option<String>,
    /// What was found.
    pub actual: Option<String>,
    /// `error` or `warning`.
    pub severity: String,
    /// The tables of ours it is about.
    pub published: Vec<PublishedName>,
    /// When it was confirmed.
    pub first_seen: SystemTime,
    /// The event that told of it.
    pub opened_sequence: i64,
    /// When it was gone, or what is there was accepted.
    pub resolved_at: Option<SystemTime>,
    /// The event that told of that.
    pub resolved_sequence: Option<i64>,
    /// Why it was resolved: `reverted`, `superseded`, `accepted` or `dropped`.
    pub resolution: Option<String>,
}

/// Which differences to read; all of an environment by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriftSelection<'a> {
    /// Those of one datasource.
    pub datasource: Option<&'a str>,
    /// Those in one state.
    pub state: Option<DriftState>,
    /// The first so many of them.
    pub limit: Option<u32>,
}

impl<'a> DriftSelection<'a> {
    /// The open ones of one datasource.
    pub fn open_of(datasource: &'a str) -> Self {
        Self { datasource: Some(datasource), state: Some(DriftState::Open), limit: None }
    }
}

/// Whether a difference is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftState {
    /// It is.
    Open,
    /// It is not, or what is there was accepted.
    Resolved,
}

impl DriftRow {
    /// The difference in words: its severity, its table, and what of it differs.
    pub fn describe(&self) -> String {
        let table = Subject::table(&self.remote_schema, &self.remote_table).to_string();
        let words = describe(&self.kind, &table, self.column.as_deref(), self.expected.as_deref(), self.actual.as_deref());
        format!("{:<7}  {words}", self.severity)
    }
}

const COLUMNS: &str = "datasource, remote_schema, remote_table, kind, column_name, expected, actual, severity, first_seen, opened_seq, \
                       resolved_at, resolved_seq, resolution, published";

impl ControlStore {
    /// Differences of an environment, oldest first.
    pub(crate) async fn drift(&self, environment: &str, which: DriftSelection<'_>) -> Result<Vec<DriftRow>> {
        select(self.readers(), environment, which).await
    }

    /// How many differences are open, of each datasource that has any.
    pub(crate) async fn open_drift_counts(&self, environment: &str) -> Result<BTreeMap<String, u64>> {
        let sql = "SELECT datasource, count(*) FROM drift WHERE environment = ?1 AND resolved_at IS NULL GROUP BY datasource";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).bind(environment).fetch_all(self.readers()).await.map_err(unreadable)?;
        Ok(rows.into_iter().map(|(datasource, count)| (datasource, count.unsigned_abs())).collect())
    }

    /// The open differences of a datasource.
    pub(crate) async fn open_drift(&self, environment: &str, datasource: &str) -> Result<Vec<DriftRow>> {
        self.drift(environment, DriftSelection::open_of(datasource)).await
    }

    /// Drops resolved differences that are old enough, and never an open one; gives how many.
    pub(crate) async fn retain_drift(&self, environment: &str, retention: Retention) -> Result<u64> {
        let oldest = SystemTime::now().checked_sub(retention.max_age).map_or(0, moment::to_micros);
        let kept = i64::try_from(retention.max_count).unwrap_or(i64::MAX);
        let done = sqlx::query(
            "DELETE FROM drift WHERE environment = ?1 AND resolved_at IS NOT NULL AND (resolved_at < ?2 OR (resolved_at, id) <= \
             (SELECT resolved_at, id FROM drift WHERE environment = ?1 AND resolved_at IS NOT NULL \
              ORDER BY resolved_at DESC, id DESC LIMIT 1 OFFSET ?3))",
        )
        .bind(environment)
        .bind(oldest)
        .bind(kept)
        .execute(&self.0.writer)
        .await
        .map_err(|error| failed("old differences cannot be dropped", error))?;
        Ok(done.rows_affected())
    }
}

impl Change {
    /// The open differences of a datasource.
    pub(crate) async fn open_drift(&mut self, datasource: &str) -> Result<Vec<DriftRow>> {
        let environment = self.environment().to_owned();
        select(self.connection(), &environment, DriftSelection::open_of(datasource)).await
    }

    /// Notes a difference that event [`DriftRow::opened_sequence`] tells of.
    pub(crate) async fn open_difference(&mut self, difference: &DriftRow) -> Result<()> {
        let environment = self.environment().to_owned();
        sqlx::query(
            "INSERT INTO drift (environment, datasource, remote_schema, remote_table, kind, column_name, expected, actual, severity, \
             first_seen, opened_seq, published) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .bind(environment)
        .bind(&difference.datasource)
        .bind(&difference.remote_schema)
        .bind(&difference.remote_table)
        .bind(&difference.kind)
        .bind(&difference.column)
        .bind(&difference.expected)
        .bind(&difference.actual)
        .bind(&difference.severity)
        .bind(moment::to_micros(difference.first_seen))
        .bind(difference.opened_sequence)
        .bind(names(&difference.published)?)
        .execute(self.connection())
        .await
        .map_err(|error| failed("a difference cannot be noted", error))?;
        Ok(())
    }

    /// Notes that a difference is gone, as event `sequence` tells, and why.
    pub(crate) async fn close_difference(&mut self, difference: &DriftRow, sequence: i64, resolution: &str) -> Result<()> {
        let mut update = QueryBuilder::new("UPDATE drift SET resolved_at = ");
        update.push_bind(moment::now()).push(", resolved_seq = ").push_bind(sequence);
        update.push(", resolution = ").push_bind(resolution);
        self.change_open(update, difference, "a difference cannot be closed").await
    }

    /// Notes which tables of ours an open difference is about now.
    pub(crate) async fn publish_difference(&mut self, difference: &DriftRow, published: &[PublishedName]) -> Result<()> {
        let mut update = QueryBuilder::new("UPDATE drift SET published = ");
        update.push_bind(names(published)?);
        self.change_open(update, difference, "a difference cannot be noted").await
    }

    /// Runs an update of one open difference.
    async fn change_open(&mut self, mut update: QueryBuilder<Sqlite>, difference: &DriftRow, fails: &'static str) -> Result<()> {
        let DriftRow { datasource, remote_schema, remote_table, kind, column, expected, actual, .. } = difference;
        update.push(" WHERE resolved_at IS NULL AND environment = ").push_bind(self.environment().to_owned());
        let key = [("datasource", datasource), ("remote_schema", remote_schema), ("remote_table", remote_table), ("kind", kind)];
        for (name, value) in key {
            update.push(format_args!(" AND {name} = ")).push_bind(value.clone());
        }
        for (name, value) in [("column_name", column), ("expected", expected), ("actual", actual)] {
            update.push(format_args!(" AND {name} IS ")).push_bind(value.clone());
        }
        update.build().execute(self.connection()).await.map_err(|error| failed(fails, error))?;
        Ok(())
    }
}

/// Names as they are stored.
fn names(published: &[PublishedName]) -> Result<String> {
    serde_json::to_string(published).map_err(|error| Error::new(ErrorKind::Internal, format!("names cannot be written: {error}")))
}

async fn select<'c>(executor: impl SqliteExecutor<'c>, environment: &str, which: DriftSelection<'_>) -> Result<Vec<DriftRow>> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(" FROM drift WHERE environment = ").push_bind(environment);
    if let Some(datasource) = which.datasource {
        query.push(" AND datasource = ").push_bind(datasource);
    }
    // In words that the indexes of open and of resolved ones are made for.
    match which.state {
        None => {}
        Some(DriftState::Open) => {
            query.push(" AND resolved_at IS NULL");
        }
        Some(DriftState::Resolved) => {
            query.push(" AND resolved_at IS NOT NULL");
        }
    }
    query.push(" ORDER BY id");
    if let Some(limit) = which.limit {
        query.push(" LIMIT ").push_bind(limit);
    }
    query.build().fetch_all(executor).await.map_err(unreadable)?.iter().map(row).collect()
}

fn row(row: &SqliteRow) -> Result<DriftRow> {
    let published: String = row.try_get(13).map_err(unreadable)?;
    let published = serde_json::from_str(&published)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("a difference in the control store is damaged: {error}")))?;
    let get = || -> sqlx::Result<DriftRow> {
        Ok(DriftRow {
            published,
            datasource: row.try_get(0)?,
            remote_schema: row.try_get(1)?,
            remote_table: row.try_get(2)?,
            kind: row.try_get(3)?,
            column: row.try_get(4)?,
            expected: row.try_get(5)?,
            actual: row.try_get(6)?,
            severity: row.try_get(7)?,
            first_seen: moment::from_micros(row.try_get(8)?),
            opened_sequence: row.try_get(9)?,
            resolved_at: row.try_get::<Option<i64>, _>(10)?.map(moment::from_micros),
            resolved_sequence: row.try_get(11)?,
            resolution: row.try_get(12)?,
        })
    };
    get().map_err(unreadable)
}

fn unreadable(error: sqlx::Error) -> causeway_providers::Error {
    failed("the stored differences cannot be read", error)
}
