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

impl Deadline {
    /// A deadline `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
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
