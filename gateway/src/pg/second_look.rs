//! Looks at tables of a source that statements ask for, because the source lacks what it was said to have: one look for all that fail
//! together on the same tables, and for a while none after one that helped nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::EnvironmentBackend;
use super::active_statement::survive;
use super::sqlstate::PgError;

/// How long no statement has a datasource looked at after a look in vain. A source may lack for ever what it says it has, and must not
/// be listed by every statement that finds out.
const PAUSE: Duration = Duration::from_secs(5);

/// A look, under way or done.
type Look = Shared<BoxFuture<'static, Result<(), PgError>>>;

/// What a statement asks to be looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) datasource: &'a str,
    /// The schemas and names of the tables it reads, of whichever datasource.
    pub(super) tables: &'a [(String, String)],
    /// Whose statement it is.
    pub(super) actor: &'a str,
}

/// What statements asked of one datasource.
#[derive(Default)]
struct Asked {
    under_way: Vec<UnderWay>,
    in_vain_at: Option<Instant>,
}

/// A look that has begun.
struct UnderWay {
    tables: BTreeSet<(String, String)>,
    look: Look,
    /// The task that goes on with it when no statement waits for it any more, so that it is seen to end.
    _going_on: AbortOnDropHandle<()>,
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

    /// Has tables of a datasource looked at anew, or waits for the look at them that is under way. Dropped, it leaves that look to itself.
    ///
    /// # Errors
    /// What [`EnvironmentBackend::look_again`] gives; that look was in vain too.
    pub(super) async fn look(&self, environment: &Arc<dyn EnvironmentBackend>, wish: Wish<'_>) -> Result<Looked, PgError> {
        let Some(look) = self.join(environment, wish) else { return Ok(Looked::Lately) };
        match look.await {
            Ok(()) => Ok(Looked::Now),
            Err(error) => {
                self.was_in_vain(wish.datasource);
                Err(error)
            }
        }
    }

    /// Notes that a statement failed as before after a look.
    pub(super) fn was_in_vain(&self, datasource: &str) {
        self.lock().entry(datasource.to_owned()).or_default().in_vain_at = Some(Instant::now());
    }

    /// The look to wait for; `None` when it is too soon for one.
    fn join(&self, environment: &Arc<dyn EnvironmentBackend>, wish: Wish<'_>) -> Option<Look> {
        let mut all = self.lock();
        let asked = all.entry(wish.datasource.to_owned()).or_default();
        asked.under_way.retain(|under_way| under_way.look.peek().is_none());
        if let Some(same) = asked.under_way.iter().find(|under_way| wish.tables.iter().all(|table| under_way.tables.contains(table))) {
            return Some(same.look.clone());
        }
        if asked.in_vain_at.is_some_and(|at| at.elapsed() < self.pause) {
            return None;
        }
        info!(datasource = wish.datasource, "the source lacks what it is said to have: its tables are looked at anew");
        let (environment, datasource) = (Arc::clone(environment), wish.datasource.to_owned());
        let (tables, actor) = (wish.tables.to_vec(), wish.actor.to_owned());
        let looking = async move {
            let looking = async { environment.look_again(&datasource, &tables, &actor).await.map_err(|error| PgError::from(&error)) };
            survive(looking).await.and_then(|looked| looked)
        };
        let look = looking.boxed().shared();
        // What it finds is for those who wait.
        let going_on = AbortOnDropHandle::new(tokio::spawn(look.clone().map(drop)));
        let tables = wish.tables.iter().cloned().collect();
        asked.under_way.push(UnderWay { tables, look: look.clone(), _going_on: going_on });
        Some(look)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        // It is whole after any panic: entries are only replaced.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
