//! Tasks that may not end are begun again when they panic.
//!
//! A panic is a fault of ours. It must neither go unnoticed nor end what nobody else would do: watching a datasource, sending events.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use causeway_providers::{Error, ErrorKind};
use futures::FutureExt;
use tokio::time::Instant;

use crate::chance::jittered;

/// The wait after the first panic; it doubles with every further one.
const FIRST: Duration = Duration::from_millis(250);
/// The longest such wait. A task that ran longer than this before it panicked begins with the first again.
const LAST: Duration = Duration::from_secs(60);

/// How often a task panicked of late.
#[derive(Debug)]
pub struct Restarts {
    /// What it does, for the log.
    task: &'static str,
    /// For whom: a datasource, a subscriber, an environment.
    of: String,
    panics: u32,
}

impl Restarts {
    /// Of a task that is named in the log, and for whom it works.
    pub fn of(task: &'static str, of: &str) -> Self {
        Self { task, of: of.to_owned(), panics: 0 }
    }

    /// Runs `work` to its end; when it panics, logs it. The caller then waits and begins again, with whatever it keeps between the two.
    ///
    /// # Errors
    /// `Internal` when it panicked.
    pub async fn run(&mut self, work: impl Future<Output = ()>) -> Result<(), Error> {
        let began = Instant::now();
        // What the task keeps is made to be begun with again: channels, and rows of the control store.
        let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { return Ok(()) };
        self.panics = if began.elapsed() > LAST { 1 } else { self.panics.saturating_add(1) };
        let panic = message(panic.as_ref());
        tracing::error!(task = self.task, of = self.of, panic, panics = self.panics, "a task panicked; it is begun again");
        Err(Error::new(ErrorKind::Internal, format!("{} failed by a fault of Causeway, and is begun again", self.task))
            .hint("the log has the cause; please report it"))
    }

    /// Waits before the task is begun again, longer each time.
    pub async fn wait(&self) {
        tokio::time::sleep(jittered(self.back_off())).await;
    }

    fn back_off(&self) -> Duration {
        FIRST.saturating_mul(2_u32.saturating_pow(self.panics.saturating_sub(1))).min(LAST)
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&'static str>().copied()).unwrap_or("of no known kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_begun_again_later_each_time() {
        let mut restarts = Restarts::of("a test", "crm");
        let mut waits = Vec::new();
        for attempt in 0..12 {
            match restarts.run(async { assert!(attempt == 11, "attempt {attempt}") }).await {
                Ok(()) => assert_eq!(attempt, 11),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Internal);
                    waits.push(restarts.back_off());
                }
            }
        }
        assert_eq!((waits[0], waits[1], waits[10]), (FIRST, FIRST * 2, LAST));
    }
}
