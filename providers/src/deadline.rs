//! A point in time by which something must be done, and the limit it was derived from.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// A time limit that began when it was made.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

/// As far as a deadline is ever away. A clock cannot show every moment that a duration leads to.
const FARTHEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

impl Deadline {
    /// A deadline `limit` from now, thirty years at most.
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit.min(FARTHEST), limit }
    }

    /// The whole time that was given.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The moment it ends, for timers.
    pub fn instant(&self) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.at)
    }

    /// What is left; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until it ends or the deadline does.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] naming `what` and the limit, or the error of `work`.
    pub async fn bound<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.instant(), work).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("{what} took longer than {}", humantime::format_duration(self.limit)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_beyond_any_clock_is_one_that_never_ends() {
        let deadline = Deadline::after(Duration::MAX);
        assert_eq!(deadline.limit(), Duration::MAX);
        assert!(deadline.remaining() > FARTHEST / 2);
        assert_eq!(deadline.bound("it", async { Ok(7) }).await.unwrap(), 7);
    }
}
