//! The control store: what must outlive the process, in one SQLite file.
//!
//! One connection writes, one change at a time; a few read beside it. A [`Change`] is a transaction that also numbers the events it
//! appends, so an event and what it tells of are there together or not at all. What is stored where is in `migrations/`.

mod change;
mod drift;
mod events;
mod failure;
mod folder;
mod foreign_tables;
mod migrations;
mod oids;
mod snapshots;
mod subscribers;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_providers::Result;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub(crate) use change::Change;
pub use drift::{DriftRow, DriftSelection, DriftState};
pub(crate) use events::PAGE_EVENTS;
pub use events::Retention;
pub(crate) use failure::failed;
pub(crate) use foreign_tables::StoredForeignTable;
pub use migrations::{AppliedMigration, MigrationDirection};
pub use oids::StoredOid;
pub use snapshots::{History, StoredSnapshot};
pub use subscribers::{DeadLetter, Subscriber, SubscriberKind, SubscriberState, SubscriptionId};

/// Connections that read beside the one that writes.
const READERS: u32 = 4;
/// How long one of ours waits for another's lock on the file, such as a backup's.
const BUSY: Duration = Duration::from_secs(10);

/// The opened control store. Clones share it.
#[derive(Debug, Clone)]
pub struct ControlStore(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    writer: SqlitePool,
    readers: SqlitePool,
    is_durable: bool,
    /// The newest sequence of each environment that anybody asked for.
    latest: Mutex<HashMap<String, watch::Sender<i64>>>,
    /// Held as long as the store is open.
    _lock: Option<File>,
}

impl ControlStore {
    /// Opens the store in `folder`, makes it when it is not there, and brings it to the present form.
    ///
    /// # Errors
    /// `Conflict` when another process has it open; `Unauthorized`, `LimitExceeded` or `Invalid` when the file cannot be used:
    /// no permission, a full disk, a file that is none of ours or was written by a newer version.
    pub async fn open(folder: &Path) -> Result<Self> {
        let store = Self::open_unmigrated(folder).await?;
        store.migrate(MigrationDirection::Up).await?;
        Ok(store)
    }

    /// Opens the store in `folder` in whatever form it is, for `causeway migrate`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_unmigrated(folder: &Path) -> Result<Self> {
        let (lock, path) = folder::lock(folder)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An event that a consumer has seen must not be unsaid by a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let what = format!("the control store {} cannot be opened", path.display());
        let writer = pool(1).connect_with(options.clone()).await.map_err(|error| failed(&what, error))?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await.map_err(|error| failed(&what, error))?;
        Ok(Self(Arc::new(Opened { writer, readers, is_durable: true, latest: Mutex::default(), _lock: Some(lock) })))
    }

    /// Makes a folder that a store can be opened in, and that nobody but this user can enter. One that is there stays as it is.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn make_folder(folder: &Path) -> io::Result<()> {
        folder::make(folder)
    }

    /// Whether there is a store in `folder`. Nothing is made or opened.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(folder::FILE).exists()
    }

    /// A store in memory that ends with the process, for commands that only look.
    ///
    /// # Errors
    /// `Internal` when SQLite cannot be used at all.
    pub async fn ephemeral() -> Result<Self> {
        let what = "a store in memory cannot be made";
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(|error| failed(what, error))?.foreign_keys(true);
        // A database in memory is its connection's own, so there is one.
        let writer = pool(1).connect_with(options).await.map_err(|error| failed(what, error))?;
        let readers = writer.clone();
        let store = Self(Arc::new(Opened { writer, readers, is_durable: false, latest: Mutex::default(), _lock: None }));
        store.migrate(MigrationDirection::Up).await?;
        Ok(store)
    }

    /// Whether what is written outlives the process.
    pub fn is_durable(&self) -> bool {
        self.0.is_durable
    }

    /// Begins a change of one environment, which nobody sees before it is committed. Others wait for it to end.
    pub(crate) async fn begin(&self, environment: &str) -> Result<Change> {
        Change::begin(self, environment).await
    }

    /// Follows the newest sequence of an environment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn latest(&self, environment: &str) -> Result<watch::Receiver<i64>> {
        if let Some(sender) = self.senders().get(environment) {
            return Ok(sender.subscribe());
        }
        let stored = self.last_sequence(environment).await?;
        let mut senders = self.senders();
        let sender = senders.entry(environment.to_owned()).or_insert_with(|| watch::Sender::new(stored));
        // What was committed while we read may be newer already.
        advance(sender, stored);
        Ok(sender.subscribe())
    }

    /// Tells who waits that events up to `sequence` are there.
    fn announce(&self, environment: &str, sequence: i64) {
        if let Some(sender) = self.senders().get(environment) {
            advance(sender, sequence);
        }
    }

    fn senders(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Sender<i64>>> {
        // The map is whole after any panic: entries are only added.
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Closes the file. What is written later fails.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }
}

fn advance(sender: &watch::Sender<i64>, sequence: i64) {
    sender.send_if_modified(|latest| {
        let is_newer = *latest < sequence;
        *latest = (*latest).max(sequence);
        is_newer
    });
}

/// A pool whose connections stay: opening a file again costs more than keeping it.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None).test_before_acquire(false)
}

#[cfg(test)]
mod tests;
