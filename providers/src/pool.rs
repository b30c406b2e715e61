//! A bounded pool of connections, shared by the connectors that have any.
//!
//! A connection that is dropped is closed; only one that its user [gives back](Pooled::give_back) is used again. So a stream that
//! is abandoned half read can never hand its connection, with a result still flowing, to the next statement. One that waits too long
//! for its next user, or has lived long enough, is closed by the pool itself.

mod ledger;
mod sweeper;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::ledger::{Ledger, Waiting};
pub use self::ledger::{PoolFailure, PoolState};
use self::sweeper::Sweeper;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::options::PoolLimits;
use crate::remote::RemoteId;

/// How long a connection that idled may take to prove that it still stands.
const PROOF: Duration = Duration::from_secs(1);

/// How a pool comes by connections, and knows good ones from bad ones.
pub(crate) trait Dial: Send + Sync + 'static {
    /// A connection.
    type Connection: Send + 'static;

    /// A new connection.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// Whether the connection can take a statement, as far as this side knows.
    fn is_usable(&self, connection: &Self::Connection) -> bool;

    /// Whether the source still answers on the connection. Asked of one that has idled for a while.
    fn answers(&self, connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;
}

/// What the connections of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading. Their sessions refuse to write, as far as the source can be told so.
    Read,
    /// Writing. The source's own settings say whether they may.
    Write,
    /// Transactions that change rows, each over a connection of its own for as long as its client takes. Otherwise as writing.
    Change,
}

impl Access {
    /// The limits of a pool for this. There is one connection for writing, so that writes of one remote never wait for each other's
    /// locks, nor for a transaction whose client thinks.
    pub(crate) fn limits(self, limits: PoolLimits) -> PoolLimits {
        match self {
            Self::Read | Self::Change => limits,
            Self::Write => PoolLimits { max_connections: 1, ..limits },
        }
    }
}

/// Connections of one datasource.
pub(crate) struct Pool<D: Dial> {
    id: RemoteId,
    limits: PoolLimits,
    dial: D,
    permits: Arc<Semaphore>,
    shelf: Mutex<Shelf<D::Connection>>,
}

/// The connections that nobody uses, and what is known of the others.
struct Shelf<C> {
    idle: Vec<Idle<C>>,
    ledger: Ledger,
    sweeper: Sweeper,
}

/// A connection, and when it has lived long enough.
struct Opened<C> {
    connection: Box<C>,
    until: Option<Instant>,
}

struct Idle<C> {
    opened: Opened<C>,
    since: Instant,
}

impl<C> Idle<C> {
    /// When it is to be closed; never, when no clock shows that moment.
    fn until(&self, limits: &PoolLimits) -> Option<Instant> {
        let bored = self.since.checked_add(limits.idle_timeout);
        self.opened.until.into_iter().chain(bored).min()
    }

    fn has_expired(&self, limits: &PoolLimits, now: Instant) -> bool {
        self.until(limits).is_some_and(|until| until <= now)
    }
}

impl<D: Dial> Pool<D> {
    pub(crate) fn new(id: RemoteId, limits: PoolLimits, dial: D) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(limits.max_connections));
        let shelf = Shelf { idle: Vec::new(), ledger: Ledger::default(), sweeper: Sweeper::default() };
        Arc::new(Self { id, limits, dial, permits, shelf: Mutex::new(shelf) })
    }

    /// What makes its connections.
    pub(crate) fn dial(&self) -> &D {
        &self.dial
    }

    /// How many connections it has at most.
    pub(crate) fn most(&self) -> usize {
        self.limits.max_connections
    }

    /// How it is doing.
    pub(crate) fn state(&self) -> PoolState {
        let shelf = self.lock();
        shelf.ledger.state(self.limits.max_connections, shelf.idle.len())
    }

    /// A connection that idled, or a new one.
    ///
    /// Waits for a free place until `deadline`, and no longer than the pool's `acquire_timeout`. Connecting has the pool's
    /// `connect_timeout`, or the deadline if that is sooner.
    ///
    /// # Errors
    /// `Timeout` when the deadline passed, `LimitExceeded` when the pool's own time for waiting did, `Unreachable` when the pool was
    /// closed or connecting took too long; otherwise what connecting failed with.
    pub(crate) async fn acquire(self: &Arc<Self>, deadline: Option<Deadline>) -> Result<Pooled<D>> {
        let done = async { self.fill(self.place(deadline).await?, deadline).await };
        self.noted(done.await)
    }

    /// As [`acquire`](Self::acquire), but always a new one: those that idled are closed.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn acquire_fresh(self: &Arc<Self>, deadline: Option<Deadline>) -> Result<Pooled<D>> {
        self.close_idle();
        let done = async { self.connect(self.place(deadline).await?, deadline).await };
        self.noted(done.await)
    }

    /// As [`acquire`](Self::acquire), for work that can do without: `None` at once unless a place is left for somebody else as well.
    /// So whoever takes more than one connection keeps nobody from having one.
    pub(crate) async fn acquire_spare(self: &Arc<Self>, deadline: Option<Deadline>) -> Option<Result<Pooled<D>>> {
        let mut permit = Arc::clone(&self.permits).try_acquire_many_owned(2).ok()?;
        drop(permit.split(1));
        let done = self.fill(permit, deadline).await;
        Some(self.noted(done))
    }

    /// Whether somebody waits for a place.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.lock().ledger.is_waited_for()
    }

    /// Waits for a place. Whoever comes first has it first.
    async fn place(&self, deadline: Option<Deadline>) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let wait = async {
            let _waiting = Waiting::new(&self.shelf);
            let place = Arc::clone(&self.permits).acquire_owned().await;
            place.map_err(|_| Error::new(ErrorKind::Unreachable, "the datasource was closed"))
        };
        let all = self.limits.max_connections;
        let own = self.limits.acquire_timeout.map(Deadline::after);
        let is_sooner = |own: &Deadline| deadline.is_none_or(|deadline| own.remaining() < deadline.remaining());
        let place = match (own.filter(is_sooner), deadline) {
            (Some(own), _) => match tokio::time::timeout_at(own.instant(), wait).await {
                Ok(place) => place,
                Err(_) => {
                    let text = format!("all {all} pooled connections were in use for {}", humantime::format_duration(own.limit()));
                    Err(Error::new(ErrorKind::LimitExceeded, text)
                        .hint("raise `external.pool.max_connections` or `external.pool.acquire_timeout` of the datasource, or try again"))
                }
            },
            (None, Some(deadline)) => deadline.bound(&format!("waiting for one of {all} pooled connections"), wait).await,
            (None, None) => wait.await,
        };
        place.map_err(|error| error.at(self.id.as_str()))
    }

    /// Fills a place with a connection that idled, if one still stands.
    async fn fill(self: &Arc<Self>, permit: OwnedSemaphorePermit, deadline: Option<Deadline>) -> Result<Pooled<D>> {
        let Some((opened, idled)) = self.take_idle() else { return self.connect(permit, deadline).await };
        let mut pooled = Pooled { opened: Some(opened), pool: Arc::clone(self), permit: Some(permit) };
        if idled < self.limits.check_after || self.answers(&mut pooled).await {
            return Ok(pooled);
        }
        // Those that are left have idled longer.
        self.close_idle();
        match pooled.close() {
            Some(permit) => self.connect(permit, deadline).await,
            None => Err(Error::new(ErrorKind::Internal, "a pooled connection had no place").at(self.id.as_str())),
        }
    }

    async fn answers(&self, pooled: &mut Pooled<D>) -> bool {
        let limit = PROOF.min(self.limits.connect_timeout);
        tokio::time::timeout(limit, self.dial.answers(pooled)).await.unwrap_or(false)
    }

    async fn connect(self: &Arc<Self>, permit: OwnedSemaphorePermit, deadline: Option<Deadline>) -> Result<Pooled<D>> {
        let mut limit = Deadline::after(self.limits.connect_timeout);
        if let Some(deadline) = deadline.filter(|d| d.remaining() < limit.remaining()) {
            limit = deadline;
        }
        let connection = limit.bound("connecting", self.dial.connect()).await.map_err(|error| {
            let is_silent = error.kind() == ErrorKind::Timeout;
            let error = if is_silent { Error::new(ErrorKind::Unreachable, error.message().to_owned()) } else { error };
            error.at(self.id.as_str())
        })?;
        let until = self.limits.max_lifetime.and_then(|lifetime| Instant::now().checked_add(sweeper::spread(lifetime)));
        self.lock().ledger.opened();
        Ok(Pooled { opened: Some(Opened { connection: Box::new(connection), until }), pool: Arc::clone(self), permit: Some(permit) })
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if !self.permits.is_closed() {
                self.lock().ledger.failed(error.message());
            }
        })
    }

    /// Whether a place is free. When none is, the source is at work for us and need not be asked whether it is there.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when every place is taken.
    pub(crate) fn has_room(&self) -> Result<()> {
        if self.permits.available_permits() > 0 || self.permits.is_closed() {
            return Ok(());
        }
        let text = format!("all {} pooled connections are in use", self.limits.max_connections);
        Err(Error::new(ErrorKind::LimitExceeded, text).at(self.id.as_str()))
    }

    /// Refuses new users and closes what is idle.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.close_idle();
    }

    /// The connection that idled least, and for how long it did. It is in use from here on.
    fn take_idle(&self) -> Option<(Opened<D::Connection>, Duration)> {
        let now = Instant::now();
        let mut unusable = Vec::new();
        let mut shelf = self.lock();
        let taken = loop {
            let Some(idle) = shelf.idle.pop() else { break None };
            if !idle.has_expired(&self.limits, now) && self.dial.is_usable(&idle.opened.connection) {
                shelf.ledger.taken();
                break Some((idle.opened, now.saturating_duration_since(idle.since)));
            }
            unusable.push(idle);
        };
        drop(shelf);
        drop(unusable);
        taken
    }

    fn close_idle(&self) {
        // Closing may take a moment, which nobody should wait for at the shelf.
        let idle = std::mem::take(&mut self.lock().idle);
        drop(idle);
    }

    /// Closes what has idled or lived long enough; when the next one will have, if there is one.
    fn close_expired(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut shelf = self.lock();
        let (expired, kept): (Vec<_>, Vec<_>) = shelf.idle.drain(..).partition(|idle| idle.has_expired(&self.limits, now));
        shelf.idle = kept;
        let next = shelf.idle.iter().filter_map(|idle| idle.until(&self.limits)).min();
        if next.is_none() {
            shelf.sweeper.rest();
        }
        drop(shelf);
        drop(expired);
        next
    }

    fn lock(&self) -> MutexGuard<'_, Shelf<D::Connection>> {
        lock(&self.shelf)
    }
}

fn lock<C>(shelf: &Mutex<Shelf<C>>) -> MutexGuard<'_, Shelf<C>> {
    // Each change is one step, so the shelf is whole after any panic.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Dial> fmt::Debug for Pool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("id", &self.id).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A connection in use. Dropped, it is closed.
pub(crate) struct Pooled<D: Dial> {
    opened: Option<Opened<D::Connection>>,
    pool: Arc<Pool<D>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<D: Dial> Pooled<D> {
    /// Lets the next statement use it. Only for a connection whose last result was read to its end.
    pub(crate) fn give_back(mut self) {
        let now = Instant::now();
        let is_wanted = |opened: &Opened<_>| !self.pool.permits.is_closed() && opened.until.is_none_or(|until| until > now);
        let Some(opened) = self.opened.take_if(|opened| is_wanted(opened)) else { return };
        let mut shelf = self.pool.lock();
        shelf.ledger.ended();
        shelf.idle.push(Idle { opened, since: now });
        shelf.sweeper.wake(&self.pool);
    }

    /// Closes it; its place stays taken.
    fn close(mut self) -> Option<OwnedSemaphorePermit> {
        self.permit.take()
    }
}

impl<D: Dial> Drop for Pooled<D> {
    fn drop(&mut self) {
        if let Some(opened) = self.opened.take() {
            drop(opened);
            self.pool.lock().ledger.ended();
        }
    }
}

impl<D: Dial> Deref for Pooled<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.opened.as_ref().expect("it is only taken when self is consumed").connection
    }
}

impl<D: Dial> DerefMut for Pooled<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.opened.as_mut().expect("it is only taken when self is consumed").connection
    }
}
