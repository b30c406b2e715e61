//! A bounded pool of connections, shared by the connectors that dial a server.
//!
//! A connection that is dropped is closed; only one that its user [gives back](Pooled::give_back) is used again. So a stream that
//! is abandoned half read can never hand its connection, with a result still flowing, to the next statement.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::options::PoolLimits;
use crate::remote::RemoteId;

/// Connections of one datasource.
pub(crate) struct Pool<C> {
    id: RemoteId,
    limits: PoolLimits,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

impl<C> Pool<C> {
    pub(crate) fn new(id: RemoteId, limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { id, limits, permits: Arc::new(Semaphore::new(limits.max_connections)), idle: Mutex::default() })
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
