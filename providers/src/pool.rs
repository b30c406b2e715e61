//! A bounded pool of connections, shared by the connectors that dial a server.
//!
//! A connection that is dropped is closed; only one that its user [gives back](Pooled::give_back) is used again. So a stream that
//! is abandoned half read can never hand its connection, with a result still flowing, to the next statement.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::options::PoolLimits;
use crate::remote::RemoteId;

/// What the connections of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading. Their sessions refuse to write, as far as the source can be told so.
    Read,
    /// Writing. The source's own settings say whether they may.
    Write,
}

impl Access {
    /// The limits of a pool for this. There is one connection for writing, so that writes of one remote never wait for each other's
    /// locks.
    pub(crate) fn limits(self, limits: PoolLimits) -> PoolLimits {
        match self {
            Self::Read => limits,
            Self::Write => PoolLimits { max_connections: 1, ..limits },
        }
    }
}

/// Connections of one datasource.
pub(crate) struct Pool<C> {
    id: RemoteId,
    limits: PoolLimits,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<C>>>,
    waiting: AtomicUsize,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

impl<C> Pool<C> {
    pub(crate) fn new(id: RemoteId, limits: PoolLimits) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(limits.max_connections));
        Arc::new(Self { id, limits, permits, idle: Mutex::default(), waiting: AtomicUsize::new(0) })
    }

    /// A connection that is idle and passes `usable`, or a new one from `connect`.
    ///
    /// Waits for a free place until `deadline`; connecting has the pool's `connect_timeout`, or the deadline if that is sooner.
    pub(crate) async fn acquire<F>(
        self: &Arc<Self>,
        deadline: Option<Deadline>,
        usable: impl Fn(&C) -> bool,
        connect: impl FnOnce() -> F,
    ) -> Result<Pooled<C>>
    where
        F: Future<Output = Result<C>>,
    {
        let wait = async {
            let _waiting = Waiting::new(&self.waiting);
            Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .map_err(|_| Error::new(ErrorKind::Unreachable, "the datasource was closed").at(self.id.as_str()))
        };
        let busy = format!("waiting for one of {} pooled connections", self.limits.max_connections);
        let permit = match deadline {
            Some(deadline) => deadline.bound(&busy, wait).await.map_err(|e| e.at(self.id.as_str()))?,
            None => wait.await?,
        };
        self.fill(permit, deadline, usable, connect).await
    }

    /// As [`acquire`](Self::acquire), for work that can do without: `None` at once unless a place is left for somebody else as well.
    /// So whoever takes more than one connection keeps nobody from having one.
    pub(crate) async fn acquire_spare<F>(
        self: &Arc<Self>,
        deadline: Option<Deadline>,
        usable: impl Fn(&C) -> bool,
        connect: impl FnOnce() -> F,
    ) -> Option<Result<Pooled<C>>>
    where
        F: Future<Output = Result<C>>,
    {
        let mut permit = Arc::clone(&self.permits).try_acquire_many_owned(2).ok()?;
        drop(permit.split(1));
        Some(self.fill(permit, deadline, usable, connect).await)
    }

    /// Whether somebody waits for a place.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    async fn fill<F>(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        deadline: Option<Deadline>,
        usable: impl Fn(&C) -> bool,
        connect: impl FnOnce() -> F,
    ) -> Result<Pooled<C>>
    where
        F: Future<Output = Result<C>>,
    {
        if let Some(connection) = self.take_idle(&usable) {
            return Ok(Pooled { connection: Some(connection), pool: Arc::clone(self), _permit: permit });
        }
        let mut limit = Deadline::after(self.limits.connect_timeout);
        if let Some(deadline) = deadline.filter(|d| d.remaining() < limit.remaining()) {
            limit = deadline;
        }
        let connection = limit.bound("connecting", connect()).await.map_err(|e| match e.kind() {
            ErrorKind::Timeout => Error::new(ErrorKind::Unreachable, e.message().to_owned()).at(self.id.as_str()),
            _ => e.at(self.id.as_str()),
        })?;
        Ok(Pooled { connection: Some(connection), pool: Arc::clone(self), _permit: permit })
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
        self.lock().clear();
    }

    fn take_idle(&self, usable: &impl Fn(&C) -> bool) -> Option<C> {
        let mut idle = self.lock();
        idle.retain(|entry| entry.since.elapsed() < self.limits.idle_timeout && usable(&entry.connection));
        idle.pop().map(|entry| entry.connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle<C>>> {
        // The list is whole after any panic: it is only pushed to and popped from.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("id", &self.id).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Somebody who waits, as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in use. Dropped, it is closed.
pub(crate) struct Pooled<C> {
    connection: Option<C>,
    pool: Arc<Pool<C>>,
    _permit: OwnedSemaphorePermit,
}

impl<C> Pooled<C> {
    /// Lets the next statement use it. Only for a connection whose last result was read to its end.
    pub(crate) fn give_back(mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.pool.permits.is_closed()) {
            self.pool.lock().push(Idle { connection, since: Instant::now() });
        }
    }
}

impl<C> Deref for Pooled<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.connection.as_ref().expect("it is only taken when self is consumed")
    }
}

impl<C> DerefMut for Pooled<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.connection.as_mut().expect("it is only taken when self is consumed")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn pool(max_connections: usize, idle_timeout: Duration) -> Arc<Pool<usize>> {
        let limits = PoolLimits { max_connections, connect_timeout: Duration::from_millis(50), idle_timeout };
        Pool::new(RemoteId::new("crm"), limits)
    }

    async fn take(pool: &Arc<Pool<usize>>, dialled: &AtomicUsize) -> Result<Pooled<usize>> {
        let deadline = Deadline::after(Duration::from_millis(50));
        pool.acquire(Some(deadline), |_| true, || async { Ok(dialled.fetch_add(1, Ordering::Relaxed)) }).await
    }

    #[tokio::test]
    async fn only_what_is_given_back_is_used_again() {
        let (pool, dialled) = (pool(1, Duration::from_secs(60)), AtomicUsize::new(0));
        take(&pool, &dialled).await.unwrap().give_back();
        drop(take(&pool, &dialled).await.unwrap());
        assert_eq!(dialled.load(Ordering::Relaxed), 1);
        assert_eq!(*take(&pool, &dialled).await.unwrap(), 1, "the dropped one is gone, a second was dialled");
    }

    #[tokio::test]
    async fn an_idle_one_is_closed_in_time_and_an_unusable_one_at_once() {
        let (short, dialled) = (pool(1, Duration::ZERO), AtomicUsize::new(0));
        take(&short, &dialled).await.unwrap().give_back();
        assert_eq!(*take(&short, &dialled).await.unwrap(), 1);

        let long = pool(1, Duration::from_secs(60));
        take(&long, &dialled).await.unwrap().give_back();
        let fresh = long.acquire(None, |connection| *connection != 2, || async { Ok(9) }).await.unwrap();
        assert_eq!(*fresh, 9);
    }

    #[tokio::test]
    async fn waiting_and_dialling_are_bounded_and_say_so() {
        let (pool, dialled) = (pool(1, Duration::from_secs(60)), AtomicUsize::new(0));
        let held = take(&pool, &dialled).await.unwrap();
        let waited = take(&pool, &dialled).await.err().unwrap();
        assert_eq!(waited.kind(), ErrorKind::Timeout);
        assert_eq!(waited.to_string(), "datasource \"crm\": waiting for one of 1 pooled connections took longer than 50ms");
        drop(held);
        let hung = pool.acquire(None, |_| true, std::future::pending::<Result<usize>>).await.err().unwrap();
        assert_eq!(hung.kind(), ErrorKind::Unreachable);
        assert_eq!(hung.to_string(), "datasource \"crm\": connecting took longer than 50ms");
    }

    #[tokio::test]
    async fn what_is_spare_leaves_a_place_for_others() {
        let (pool, dialled) = (pool(3, Duration::from_secs(60)), AtomicUsize::new(0));
        let spare = || pool.acquire_spare(None, |_| true, || async { Ok(dialled.fetch_add(1, Ordering::Relaxed)) });
        let first = spare().await.unwrap().unwrap();
        let second = spare().await.unwrap().unwrap();
        assert!(spare().await.is_none());
        let third = take(&pool, &dialled).await.unwrap();
        assert!(!pool.is_waited_for());
        let waiting = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.acquire(None, |_| true, || async { Ok(9) }).await.map(|connection| *connection) }
        });
        while !pool.is_waited_for() {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(waiting.await.unwrap().unwrap(), 9);
        assert!(!pool.is_waited_for());
        drop((second, third));
        assert!(spare().await.is_some());
    }

    #[tokio::test]
    async fn a_closed_pool_refuses_and_keeps_nothing() {
        let (pool, dialled) = (pool(2, Duration::from_secs(60)), AtomicUsize::new(0));
        let held = take(&pool, &dialled).await.unwrap();
        pool.close();
        held.give_back();
        assert_eq!(take(&pool, &dialled).await.err().unwrap().kind(), ErrorKind::Unreachable);
        assert!(pool.lock().is_empty());
    }
}
