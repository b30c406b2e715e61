//! The task that owns the couriers of an environment: one per subscriber, from the moment it is there until it is not.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use causeway_providers::EnsureReport;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::courier::Courier;
use super::pace::Pace;
use super::sink::SinkReports;
use super::target::Targets;
use crate::environment::Environment;
use crate::restarts::Restarts;
use crate::store::{Subscriber, SubscriberState, SubscriptionId};

/// How long couriers have to end once they were told to. They are dropped where they wait, so only a blocked thread takes longer.
const STOPPING: Duration = Duration::from_secs(5);

/// Sends an environment's events to its subscribers for as long as it lives.
pub struct Delivery {
    bell: watch::Sender<()>,
    reports: SinkReports,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Delivery {
    /// Starts a courier for each subscriber that is there or will be. The tasks run on the Tokio runtime it is called on.
    pub fn start(environment: Arc<Environment>, targets: Arc<dyn Targets>) -> Self {
        Self::start_with(environment, targets, Pace::default())
    }

    pub(crate) fn start_with(environment: Arc<Environment>, targets: Arc<dyn Targets>, pace: Pace) -> Self {
        let (bell, reports) = (watch::Sender::new(()), SinkReports::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let dispatch = Dispatch {
            environment,
            targets,
            reports: reports.clone(),
            bell: bell.subscribe(),
            pace,
            tasks: tasks.clone(),
            stop: stop.clone(),
            couriers: HashMap::new(),
        };
        tasks.spawn(dispatch.run());
        Self { bell, reports, tasks, stop }
    }

    /// Says that subscribers were added, changed or removed, which otherwise is seen within a second.
    pub fn subscribers_changed(&self) {
        self.bell.send_replace(());
    }

    /// What was done to the table of a sink, and what was not, when it was last made ready.
    pub fn sink_report(&self, subscriber: &str) -> Option<EnsureReport> {
        self.reports.of(subscriber)
    }

    /// Ends all couriers where they are. What was not noted as taken is sent again by the next start.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOPPING, self.tasks.wait()).await.is_err() {
            tracing::warn!("some subscribers did not end in time");
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Dispatch {
    environment: Arc<Environment>,
    targets: Arc<dyn Targets>,
    reports: SinkReports,
    bell: watch::Receiver<()>,
    pace: Pace,
    tasks: TaskTracker,
    stop: CancellationToken,
    couriers: HashMap<String, Running>,
}

struct Running {
    /// Which subscriber of its name it serves.
    id: SubscriptionId,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Dispatch {
    async fn run(mut self) {
        let stop = self.stop.clone();
        let mut restarts = Restarts::of("looking for subscribers", self.environment.name());
        let dispatching = async {
            while restarts.run(self.keep()).await.is_err() {
                restarts.wait().await;
            }
        };
        let _ = stop.run_until_cancelled(dispatching).await;
    }

    async fn keep(&mut self) {
        loop {
            self.bell.borrow_and_update();
            self.look().await;
            let _ = tokio::time::timeout(self.pace.look, self.bell.changed()).await;
        }
    }

    /// Starts couriers that are wanted and do not run, and ends those that are not wanted.
    async fn look(&mut self) {
        let subscribers = match self.environment.store().subscribers(self.environment.name()).await {
            Ok(subscribers) => subscribers,
            Err(error) => return tracing::error!(error = error.with_causes(), "subscribers are not looked up"),
        };
        let mut wanted: HashMap<String, Subscriber> = subscribers
            .into_iter()
            .filter(|subscriber| subscriber.state != SubscriberState::Disabled)
            .map(|subscriber| (subscriber.name.clone(), subscriber))
            .collect();
        self.couriers.retain(|name, running| {
            // One that was removed and added again may begin further back.
            match wanted.remove(name).filter(|row| row.id == running.id) {
                // A courier that ended is one whose subscriber was disabled for a moment.
                Some(_) if !running.task.is_finished() => true,
                // One that is wanted all the same is started by the next look.
                _ => {
                    running.stop.cancel();
                    false
                }
            }
        });
        for (name, subscriber) in wanted {
            let running = self.start(&subscriber);
            self.couriers.insert(name, running);
        }
    }

    fn start(&self, subscriber: &Subscriber) -> Running {
        let mut courier = Courier {
            environment: Arc::clone(&self.environment),
            name: subscriber.name.clone(),
            id: subscriber.id,
            targets: Arc::clone(&self.targets),
            reports: self.reports.clone(),
            bell: self.bell.clone(),
            pace: self.pace,
        };
        let stop = self.stop.child_token();
        let ends = stop.clone();
        let mut restarts = Restarts::of("sending events", &subscriber.name);
        let task = self.tasks.spawn(async move {
            let carrying = async {
                while restarts.run(courier.run()).await.is_err() {
                    restarts.wait().await;
                }
            };
            let _ = ends.run_until_cancelled(carrying).await;
        });
        Running { id: subscriber.id, stop, task }
    }
}
