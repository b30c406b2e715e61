//! The task that checks one datasource for drift: on its interval, and when somebody asks.
//!
//! It is one task, so no two checks of a datasource ever run at once, and a source that hangs holds up its own checks alone.

use std::sync::Arc;
use std::time::Duration;

use causeway_providers::ErrorKind;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::chance::jittered;
use crate::lifecycle::Timing;
use crate::member::Member;
use crate::requests::{CheckRequest, answer, gather_checks};
use crate::restarts::Restarts;

/// The task of one datasource.
pub(crate) struct DriftWatch {
    pub(crate) member: Arc<Member>,
    pub(crate) requests: mpsc::Receiver<CheckRequest>,
    pub(crate) timing: Timing,
    pub(crate) stop: CancellationToken,
}

impl DriftWatch {
    /// Runs until stopped, which abandons a check under way.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut restarts = Restarts::of("the drift check", self.member.name());
        let keeping = async {
            while restarts.run(self.keep()).await.is_err() {
                restarts.wait().await;
            }
        };
        let _ = stop.run_until_cancelled(keeping).await;
    }

    async fn keep(&mut self) {
        let interval = self.member.datasource.validation.check_interval;
        // The first one comes anywhere within the interval, so that many datasources do not knock in step.
        let mut ticks = interval.map(|interval| {
            let first = Instant::now() + jittered(interval).min(interval);
            let mut ticks = tokio::time::interval_at(first, interval);
            // A check that took longer than the interval is followed by the next one in time, not by all it missed.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        let confirm_after = interval.map_or(self.timing.confirm, |interval| (interval / 4).min(self.timing.confirm));
        loop {
            let due = async {
                match &mut ticks {
                    Some(ticks) => {
                        ticks.tick().await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.check_on_time(confirm_after).await,
                request = self.requests.recv() => {
                    // The sender lives as long as the environment, whose end also stops this task.
                    let Some(request) = request else { return };
                    let waiting = gather_checks(request, &mut self.requests);
                    if !waiting.is_empty() {
                        answer(waiting, self.member.check_drift(self.timing.check, confirm_after).await);
                    }
                }
            }
        }
    }

    /// A check nobody waits for. A source that is down is told of elsewhere.
    async fn check_on_time(&self, confirm_after: Duration) {
        let started = Instant::now();
        match self.member.check_drift(self.timing.check, confirm_after).await {
            Ok(found) => {
                let took = started.elapsed().as_secs_f64();
                tracing::debug!(datasource = self.member.name(), found.differences, found.events, seconds = took, "drift checked");
            }
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                tracing::debug!(datasource = self.member.name(), %error, "drift not checked");
            }
            Err(error) => tracing::warn!(datasource = self.member.name(), error = error.with_causes(), "drift not checked"),
        }
    }
}
