//! Whoever is sent events, how far each has come, and what it did not take.

use std::time::{Duration, SystemTime};

use causeway_providers::{Error, ErrorKind, Result};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Change, ControlStore, failed};
use crate::event::{EventType, NewEvent};
use crate::import::NAME_TAKEN;
use crate::moment;

/// The ways events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriberKind {
    /// By HTTP to a URL.
    Webhook,
    /// As rows into a table of a datasource.
    Sink,
}

impl SubscriberKind {
    /// The word in the store and in views.
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriberKind::Webhook => "webhook",
            SubscriberKind::Sink => "sink",
        }
    }
}

/// How a subscriber does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriberState {
    /// Its target is not there yet.
    Waiting,
    /// Its target is being prepared.
    Bootstrapping,
    /// It takes events.
    Ready,
    /// It did not take the last one, which is tried again.
    Error,
    /// It is sent nothing, and nothing is kept for it.
    Disabled,
}

impl SubscriberState {
    const ALL: [SubscriberState; 5] = [Self::Waiting, Self::Bootstrapping, Self::Ready, Self::Error, Self::Disabled];

    /// The word in the store and in views.
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriberState::Waiting => "waiting",
            SubscriberState::Bootstrapping => "bootstrapping",
            SubscriberState::Ready => "ready",
            SubscriberState::Error => "error",
            SubscriberState::Disabled => "disabled",
        }
    }
}

/// Which of all subscribers that ever had a name one is: the moment it was added, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionId(i64);

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its name, unique in its environment.
    pub name: String,
    /// Which one of that name. The store gives it when the subscriber is added; what it was before does not count.
    pub id: SubscriptionId,
    /// How it is sent events.
    pub kind: SubscriberKind,
    /// The URL, or the datasource.
    pub target: String,
    /// Where its signing secret is: `env:NAME` or `file:PATH`, never the secret.
    pub secret: Option<String>,
    /// The event types it wants; empty is all.
    pub types: Vec<String>,
    /// How it does.
    pub state: SubscriberState,
    /// The number of the last event it took or will never take.
    pub position: i64,
    /// How often the next event was tried in vain.
    pub attempts: u32,
    /// Not before this is it tried again.
    pub retry_at: Option<SystemTime>,
    /// Why it did not take the last one.
    pub last_error: Option<String>,
}

/// An event a subscriber did not take after all attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The subscriber.
    pub subscriber: String,
    /// The event's number.
    pub sequence: i64,
    /// When it was given up.
    pub failed_at: SystemTime,
    /// After how many attempts.
    pub attempts: u32,
    /// What the last one said.
    pub error: String,
}

const COLUMNS: &str = "name, kind, target, secret, types, state, position, attempts, retry_at, last_error, created_at";

impl ControlStore {
    /// All subscribers of an environment, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn subscribers(&self, environment: &str) -> Result<Vec<Subscriber>> {
        let sql = format!("SELECT {COLUMNS} FROM subscribers WHERE environment = ?1 ORDER BY name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(environment).fetch_all(self.readers()).await;
        rows.map_err(unreadable)?.iter().map(subscriber).collect()
    }

    /// One subscriber of an environment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn subscriber(&self, environment: &str, name: &str) -> Result<Option<Subscriber>> {
        let sql = format!("SELECT {COLUMNS} FROM subscribers WHERE environment = ?1 AND name = ?2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(environment).bind(name).fetch_optional(self.readers()).await;
        row.map_err(unreadable)?.as_ref().map(subscriber).transpose()
    }

    /// Adds a subscriber, which is sent what comes after its position.
    ///
    /// # Errors
    /// `Conflict` when there is one of that name.
    pub async fn add_subscriber(&self, environment: &str, subscriber: &Subscriber) -> Result<()> {
        let mut change = self.begin(environment).await?;
        insert(&mut change, subscriber).await?;
        change.commit().await
    }

    /// Puts a subscriber in the place of the one of its name and kind, if there is one, whose dead letters go with it.
    ///
    /// # Errors
    /// `Conflict` when there is one of that name and another kind; the one that was there stays then.
    pub async fn replace_subscriber(&self, environment: &str, subscriber: &Subscriber) -> Result<()> {
        let mut change = self.begin(environment).await?;
        sqlx::query("DELETE FROM subscribers WHERE environment = ?1 AND kind = ?2 AND name = ?3")
            .bind(environment)
            .bind(subscriber.kind.as_str())
            .bind(&subscriber.name)
            .execute(change.connection())
            .await
            .map_err(unwritable)?;
        insert(&mut change, subscriber).await?;
        change.commit().await
    }

    /// Removes a subscriber and what it did not take; `false` when there was none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn remove_subscriber(&self, environment: &str, kind: SubscriberKind, name: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM subscribers WHERE environment = ?1 AND kind = ?2 AND name = ?3")
            .bind(environment)
            .bind(kind.as_str())
            .bind(name)
            .execute(&self.0.writer)
            .await
            .map_err(unwritable)?;
        Ok(done.rows_affected() > 0)
    }

    /// Sends a disabled subscriber events again, from where it was, and tells of it in an event; `false` when it is not disabled.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn enable_subscriber(&self, environment: &str, subscriber: &Subscriber, actor: Option<&str>) -> Result<bool> {
        let mut change = self.begin(environment).await?;
        let done = sqlx::query(
            "UPDATE subscribers SET state = 'waiting', attempts = 0, retry_at = NULL, last_error = NULL \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 AND state = 'disabled'",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .execute(change.connection())
        .await
        .map_err(unwritable)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let data = json!({ "position": subscriber.position });
        change.append(&turned(EventType::WebhookEnabled, subscriber, actor, data)).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Sends a subscriber nothing any more, for the reason `error`, and tells of it in an event. Nothing happens to another one that
    /// took its place and its name meanwhile, here and in what follows.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn disable_subscriber(&self, environment: &str, subscriber: &Subscriber, error: &str) -> Result<()> {
        let mut change = self.begin(environment).await?;
        let done = sqlx::query(
            "UPDATE subscribers SET state = 'disabled', last_error = ?4 \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 AND state <> 'disabled'",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .bind(error)
        .execute(change.connection())
        .await
        .map_err(unwritable)?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let data = json!({ "position": subscriber.position, "reason": error });
        change.append(&turned(EventType::WebhookDisabled, subscriber, None, data)).await?;
        change.commit().await
    }

    /// Notes that a subscriber has taken all events up to `position`.
    ///
    /// # Errors
    /// When the store cannot be written; the events are then sent again.
    pub(crate) async fn advance_subscriber(&self, environment: &str, subscriber: &Subscriber, position: i64) -> Result<()> {
        sqlx::query(
            "UPDATE subscribers SET position = MAX(position, ?4), state = 'ready', attempts = 0, retry_at = NULL, last_error = NULL \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 AND state <> 'disabled'",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .bind(position)
        .execute(&self.0.writer)
        .await
        .map_err(unwritable)?;
        Ok(())
    }

    /// Sets a subscriber back to before the oldest event there is; gives its position then, or `None` when it is that already.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn rewind_subscriber(&self, environment: &str, subscriber: &Subscriber) -> Result<Option<i64>> {
        let oldest = "(SELECT MIN(seq) - 1 FROM events WHERE environment = ?1)";
        let sql = format!(
            "UPDATE subscribers SET position = {oldest}, attempts = 0, retry_at = NULL \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 AND position > {oldest} RETURNING position"
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(environment)
            .bind(&subscriber.name)
            .bind(subscriber.id.0)
            .fetch_optional(&self.0.writer)
            .await
            .map_err(unwritable)
    }

    /// Notes how a subscriber does that has not taken the next event.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn note_subscriber(
        &self,
        environment: &str,
        subscriber: &Subscriber,
        state: SubscriberState,
        error: Option<&str>,
    ) -> Result<()> {
        sqlx::query("UPDATE subscribers SET state = ?4, last_error = ?5 WHERE environment = ?1 AND name = ?2 AND created_at = ?3")
            .bind(environment)
            .bind(&subscriber.name)
            .bind(subscriber.id.0)
            .bind(state.as_str())
            .bind(error)
            .execute(&self.0.writer)
            .await
            .map_err(unwritable)?;
        Ok(())
    }

    /// Notes that a subscriber did not take the next event, and when it is tried again.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn postpone_subscriber(&self, environment: &str, subscriber: &Subscriber, error: &str, wait: Duration) -> Result<()> {
        sqlx::query(
            "UPDATE subscribers SET state = 'error', attempts = attempts + 1, retry_at = ?4, last_error = ?5 \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 AND state <> 'disabled'",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .bind(moment::to_micros(SystemTime::now() + wait))
        .bind(error)
        .execute(&self.0.writer)
        .await
        .map_err(unwritable)?;
        Ok(())
    }

    /// Gives an event up for a subscriber: the event is kept aside, and the subscriber goes on with the next.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn give_up_event(&self, environment: &str, subscriber: &Subscriber, sequence: i64, error: &str) -> Result<()> {
        let mut change = self.begin(environment).await?;
        sqlx::query(
            "INSERT INTO dead_letters (environment, subscriber, seq, failed_at, attempts, error) \
             SELECT environment, name, ?4, ?5, attempts + 1, ?6 FROM subscribers \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3 ON CONFLICT DO NOTHING",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .bind(sequence)
        .bind(moment::now())
        .bind(error)
        .execute(change.connection())
        .await
        .map_err(unwritable)?;
        sqlx::query(
            "UPDATE subscribers SET position = MAX(position, ?4), attempts = 0, retry_at = NULL, last_error = ?5 \
             WHERE environment = ?1 AND name = ?2 AND created_at = ?3",
        )
        .bind(environment)
        .bind(&subscriber.name)
        .bind(subscriber.id.0)
        .bind(sequence)
        .bind(error)
        .execute(change.connection())
        .await
        .map_err(unwritable)?;
        change.commit().await
    }

    /// All events that subscribers did not take.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dead_letters(&self, environment: &str) -> Result<Vec<DeadLetter>> {
        let rows: Vec<(String, i64, i64, u32, String)> = sqlx::query_as(
            "SELECT subscriber, seq, failed_at, attempts, error FROM dead_letters WHERE environment = ?1 ORDER BY subscriber, seq",
        )
        .bind(environment)
        .fetch_all(self.readers())
        .await
        .map_err(unreadable)?;
        let letter = |(subscriber, sequence, failed_at, attempts, error)| DeadLetter {
            subscriber,
            sequence,
            failed_at: moment::from_micros(failed_at),
            attempts,
            error,
        };
        Ok(rows.into_iter().map(letter).collect())
    }
}

/// The event of a subscriber that is sent events again, or none any more.
fn turned(kind: EventType, subscriber: &Subscriber, actor: Option<&str>, data: serde_json::Value) -> NewEvent {
    NewEvent { kind, datasource: None, subject: Some(subscriber.name.clone()), actor: actor.map(str::to_owned), data }
}

async fn insert(change: &mut Change, subscriber: &Subscriber) -> Result<()> {
    let environment = change.environment().to_owned();
    let done = sqlx::query(
        "INSERT INTO subscribers (environment, name, kind, target, secret, types, state, position, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (environment, name) DO NOTHING",
    )
    .bind(environment)
    .bind(&subscriber.name)
    .bind(subscriber.kind.as_str())
    .bind(&subscriber.target)
    .bind(&subscriber.secret)
    .bind(subscriber.types.join(","))
    .bind(subscriber.state.as_str())
    .bind(subscriber.position)
    .bind(moment::now())
    .execute(change.connection())
    .await
    .map_err(unwritable)?;
    if done.rows_affected() == 0 {
        return Err(Error::new(ErrorKind::Conflict, format!("{} \"{}\" is there already", subscriber.kind.as_str(), subscriber.name))
            .code(NAME_TAKEN)
            .hint("remove it first, or choose another name"));
    }
    Ok(())
}

fn subscriber(row: &SqliteRow) -> Result<Subscriber> {
    let get = || -> sqlx::Result<(Subscriber, String, String)> {
        let (kind, state): (String, String) = (row.try_get(1)?, row.try_get(5)?);
        let types: String = row.try_get(4)?;
        let subscriber = Subscriber {
            name: row.try_get(0)?,
            id: SubscriptionId(row.try_get(10)?),
            kind: SubscriberKind::Webhook,
            target: row.try_get(2)?,
            secret: row.try_get(3)?,
            types: types.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            state: SubscriberState::Waiting,
            position: row.try_get(6)?,
            attempts: row.try_get(7)?,
            retry_at: row.try_get::<Option<i64>, _>(8)?.map(moment::from_micros),
            last_error: row.try_get(9)?,
        };
        Ok((subscriber, kind, state))
    };
    let (mut subscriber, kind, state) = get().map_err(unreadable)?;
    let unknown = |word: &str| Error::new(ErrorKind::Invalid, format!("subscriber \"{}\" has the unknown word {word}", subscriber.name));
    let kinds = [SubscriberKind::Webhook, SubscriberKind::Sink];
    let found_kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| unknown(&kind))?;
    let found_state = SubscriberState::ALL.into_iter().find(|known| known.as_str() == state).ok_or_else(|| unknown(&state))?;
    (subscriber.kind, subscriber.state) = (found_kind, found_state);
    Ok(subscriber)
}

fn unreadable(error: sqlx::Error) -> Error {
    failed("the subscribers cannot be read", error)
}

fn unwritable(error: sqlx::Error) -> Error {
    failed("the subscribers cannot be changed", error)
}
