//! Closes connections that nobody asked for in time.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::{Dial, Pool};

/// By how much, at most, a connection is closed before its time, so that those that were made together do not go together.
const SPREAD: f64 = 0.1;

/// The task that closes what is idle for too long. It is there while something is idle, and ends with the pool.
#[derive(Debug, Default)]
pub(super) struct Sweeper(Option<AbortHandle>);

impl Sweeper {
    /// Makes sure that it is there. Without a runtime nobody sweeps, and what has expired is closed when it is found.
    pub(super) fn wake<D: Dial>(&mut self, pool: &Arc<Pool<D>>) {
        if self.0.as_ref().is_none_or(AbortHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            self.0 = Some(runtime.spawn(sweep(Arc::downgrade(pool))).abort_handle());
        }
    }

    /// Nothing is idle: it ends by itself.
    pub(super) fn rest(&mut self) {
        self.0 = None;
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn sweep<D: Dial>(pool: Weak<Pool<D>>) {
    loop {
        // The pool must not live on for our sake.
        let Some(next) = pool.upgrade().and_then(|pool| pool.close_expired()) else { return };
        sleep_until(next.into()).await;
    }
}

/// The lifetime of one connection: up to a tenth shorter than `lifetime`.
pub(super) fn spread(lifetime: Duration) -> Duration {
    let fraction = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    lifetime - lifetime.mul_f64(SPREAD * fraction)
}
