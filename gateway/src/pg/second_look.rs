//! Looks at a source's tables that statements ask for, because the source lacks what it was said to have: one look for all that fail
//! together, and for a while none after one that helped nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::EnvironmentBackend;
use super::session::survive;
use super::sqlstate::PgError;

/// How long no statement has a datasource looked at after a look in vain. A source may lack for ever what it says it has, and must not
/// be listed by every statement that finds out.
const PAUSE: Duration = Duration::from_secs(5);

/// A look, under way or done.
type Look = Shared<BoxFuture<'static, Result<(), PgError>>>;

/// What statements asked of one datasource.
#[derive(Default)]
struct Asked {
    /// The last look, and the task that goes on with it when no statement waits for it any more, so that it is seen to end.
    last: Option<(Look, AbortOnDropHandle<()>)>,
    in_vain_at: Option<Instant>,
}

/// The looks at the datasources of an environment that its statements asked for.
pub struct SecondLooks {
    pause: Duration,
    asked: Mutex<BTreeMap<String, Asked>>,
}

/// What became of the wish for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// The tables are what the source says now.
    Now,
    /// A look helped nobody a moment ago, and there is none now.
    Lately,
}

impl fmt::Debug for SecondLooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondLooks").finish_non_exhaustive()
    }
}

impl Default for SecondLooks {
    fn default() -> Self {
        Self::with_pause(PAUSE)
    }
}

impl SecondLooks {
    pub(super) fn with_pause(pause: Duration) -> Self {
        Self { pause, asked: Mutex::default() }
    }

    /// Has a datasource's tables looked at anew, or waits for the look that is under way. Dropped, it leaves that look to itself.
    ///
    /// # Errors
    /// What [`EnvironmentBackend::refresh`] gives; that look was in vain too.
    pub(super) async fn look(&self, environment: &Arc<dyn EnvironmentBackend>, datasource: &str) -> Result<Looked, PgError> {
        let Some(look) = self.join(environment, datasource) else { return Ok(Looked::Lately) };
        match look.await {
            Ok(()) => Ok(Looked::Now),
            Err(error) => {
                self.was_in_vain(datasource);
                Err(error)
            }
        }
    }

    /// Notes that a statement failed as before after a look.
    pub(super) fn was_in_vain(&self, datasource: &str) {
        self.lock().entry(datasource.to_owned()).or_default().in_vain_at = Some(Instant::now());
    }

    /// The look to wait for; `None` when it is too soon for one.
    fn join(&self, environment: &Arc<dyn EnvironmentBackend>, datasource: &str) -> Option<Look> {
        let mut all = self.lock();
        let asked = all.entry(datasource.to_owned()).or_default();
        if let Some(under_way) = asked.last.as_ref().map(|(look, _)| look).filter(|look| look.peek().is_none()) {
            return Some(under_way.clone());
        }
        if asked.in_vain_at.is_some_and(|at| at.elapsed() < self.pause) {
            return None;
        }
        info!(datasource, "the source lacks what it is said to have: its tables are looked at anew");
        let (environment, name) = (Arc::clone(environment), datasource.to_owned());
        let looking = async move {
            let refreshed = survive(async { environment.refresh(&name).await.map_err(|error| PgError::from(&error)) });
            refreshed.await.and_then(|refreshed| refreshed)
        };
        let look = looking.boxed().shared();
        // What it finds is for those who wait.
        let going_on = tokio::spawn(look.clone().map(drop));
        asked.last = Some((look.clone(), AbortOnDropHandle::new(going_on)));
        Some(look)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        // It is whole after any panic: entries are only replaced.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
