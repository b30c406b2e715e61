//! How statements end: dropped, timed out, out of connections, and with their connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::time::timeout;

use super::relay::{Relay, Route};
use super::report::Group;
use super::sampled::Sampled;
use super::{Opened, PATIENCE, Refusal, statement, told};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::remote::Remote;
use crate::sql::SqlRemote;

/// How soon a source must be free of a statement that was dropped.
const FREED: Duration = Duration::from_secs(2);
/// How long a statement runs before something happens to it.
const RUNNING: Duration = Duration::from_millis(500);
/// The time limit of a statement that is to run into it.
const SHORT: Duration = Duration::from_secs(1);
/// How long a statement that ends by itself may take to tell so.
const TELLING: Duration = Duration::from_secs(5);

/// Runs the checks; `tables` are those whose rows are known.
pub(super) async fn check(opened: &Opened<'_>, tables: &[Sampled]) -> Vec<Group> {
    let capabilities = *opened.remote.capabilities();
    let [mut cancel, mut limit] = [Group::new("cancel"), Group::new("statement timeout")];
    let [mut waiting, mut lost] = [Group::new("waiting for a connection"), Group::new("lost connection")];
    let table = statement::widest(tables);
    match (Arc::clone(&opened.remote).as_sql(), table) {
        (Some(_), Some(table)) => {
            let tried = Tried { opened, table };
            let ends = tried.ends_when_dropped(&mut cancel).await;
            both_ways(&mut cancel, capabilities.cancel, ends);
            let ends = tried.ends_by_itself(&mut limit).await;
            both_ways(&mut limit, capabilities.statement_timeout, ends);
            let held = tried.waits().await;
            waiting.check("a statement waits for a connection until its time is over, and no longer than it must", held);
            let held = tried.frees_unread().await;
            waiting.check("a statement whose time is over leaves its connection to the next one, though nobody reads on", held);
            tried.loses(&mut lost).await;
        }
        (None, _) => {
            both_ways(&mut cancel, capabilities.cancel, Some(Err("it takes no statements".into())));
            both_ways(&mut limit, capabilities.statement_timeout, Some(Err("it takes no statements".into())));
            waiting.leave_out("it takes no statements");
            lost.leave_out("it takes no statements");
        }
        (Some(_), None) => {
            for group in [&mut cancel, &mut limit, &mut waiting, &mut lost] {
                group.leave_out("no table has ten rows or more that are known");
            }
        }
    }
    vec![cancel, limit, waiting, lost]
}

/// What is declared must be so, what is so must be declared. `None` was told already.
fn both_ways(group: &mut Group, is_declared: bool, is_so: Option<Result<(), Refusal>>) {
    match (is_declared, is_so) {
        (_, None) => {}
        (true, Some(so)) => group.check("it is declared", so),
        (false, Some(Err(_))) => group.check("it is not declared", Ok(())),
        (false, Some(Ok(()))) => group.check("it is not declared", Err("the source does it: it can be declared".into())),
    }
}

/// A datasource and the table that its endless statements are made of.
struct Tried<'a> {
    opened: &'a Opened<'a>,
    table: &'a Sampled,
}

impl Tried<'_> {
    /// The options with a single connection.
    fn options(&self) -> Options {
        let mut options = self.opened.contract.options.clone();
        options.pool.max_connections = 1;
        options.query_timeout = None;
        options
    }

    async fn open(&self, options: &Options) -> Result<(Arc<dyn Remote>, Arc<dyn SqlRemote>), Refusal> {
        let remote = self.opened.contract.connector.open(options).await.map_err(told)?;
        let sql = Arc::clone(&remote).as_sql().ok_or("it takes statements no more")?;
        Ok((remote, sql))
    }

    /// Whether the source is free of a statement soon after its stream is dropped.
    async fn ends_when_dropped(&self, group: &mut Group) -> Option<Result<(), Refusal>> {
        let route = Route::to(self.opened.contract.options).await;
        let relay = route.relay();
        let options = relay.map_or_else(|| self.options(), |relay| relay.options(&self.options()));
        let dropped = async {
            let (remote, sql) = self.open(&options).await?;
            let mut stream = statement::computing(&sql, self.table, None)?;
            runs(&mut stream).await?;
            let connection = relay.map(Relay::asked_last).unwrap_or_default();
            let since = Instant::now();
            drop(stream);
            let answered = timeout(FREED + TELLING, drain(statement::whole(&sql, &self.table.table, None)?)).await;
            let heard = match relay {
                Some(relay) => relay.hears(connection, since, FREED.saturating_sub(since.elapsed())).await,
                // What runs in this process has nobody else to go on with it.
                None => since.elapsed() < FREED,
            };
            remote.close().await;
            Ok((answered, heard))
        };
        let (answered, heard) = group.value("a statement is dropped while it runs", dropped.await)?;
        let next = answered.map_err(|_| "it does not end".into()).and_then(|ended| ended.map_err(told));
        group.check("the next statement has its only connection", next);
        if let Route::Direct(why) = route {
            group.leave_out(format!("whether the source is free: not checked, because {why}"));
            return None;
        }
        Some(if heard { Ok(()) } else { Err(format!("after {} s the source is still at it", FREED.as_secs()).into()) })
    }

    /// Whether the source ends a statement by a limit of its own, when no cancel reaches it.
    async fn ends_by_itself(&self, group: &mut Group) -> Option<Result<(), Refusal>> {
        let route = Route::to(self.opened.contract.options).await;
        let relay = route.relay();
        let mut options = relay.map_or_else(|| self.options(), |relay| relay.options(&self.options()));
        options.query_timeout = Some(SHORT);
        let limited = async {
            let (remote, sql) = self.open(&options).await?;
            let mut stream = statement::computing(&sql, self.table, Some(SHORT))?;
            let start = Instant::now();
            runs(&mut stream).await?;
            let connection = relay.map(Relay::asked_last).unwrap_or_default();
            if let Some(relay) = relay {
                relay.refuse();
            }
            let told = timeout(SHORT + TELLING, drain(stream)).await;
            let heard = match relay {
                Some(relay) => relay.hears(connection, start + RUNNING, (SHORT + FREED).saturating_sub(start.elapsed())).await,
                None => false,
            };
            remote.close().await;
            Ok((told, heard))
        };
        let (told, heard) = group.value("a statement has a time limit", limited.await)?;
        let ended = match told {
            Err(_) => Err("it does not end".into()),
            Ok(ended) => is_kind(ended, ErrorKind::Timeout),
        };
        group.check("it ends with a timeout", ended);
        match route {
            Route::Here => Some(Err("it runs in this process, whose limit is not its own".into())),
            Route::Direct(why) => {
                group.leave_out(format!("whether the source ends it by itself: not checked, because {why}"));
                None
            }
            Route::Relayed(_) if heard => Some(Ok(())),
            Route::Relayed(_) => Some(Err("without a cancel the source goes on".into())),
        }
    }

    async fn waits(&self) -> Result<(), Refusal> {
        let (remote, sql) = self.open(&self.options()).await?;
        let mut first = statement::computing(&sql, self.table, None)?;
        runs(&mut first).await?;
        let second = timeout(SHORT + TELLING, drain(statement::whole(&sql, &self.table.table, Some(SHORT))?)).await;
        is_kind(second.map_err(|_| "a statement that waits does not end")?, ErrorKind::Timeout)?;
        drop(first);
        let third = timeout(FREED + TELLING, drain(statement::whole(&sql, &self.table.table, None)?)).await;
        remote.close().await;
        third.map_err(|_| "a connection that is free again is not used")?.map_err(told)
    }

    /// Whether the connection of a statement that is not read any more, and not dropped either, comes free once its time is over.
    async fn frees_unread(&self) -> Result<(), Refusal> {
        let (remote, sql) = self.open(&self.options()).await?;
        let mut unread = statement::sending(&sql, self.table, Some(SHORT))?;
        first_rows(&mut unread).await?;
        let next = timeout(SHORT + FREED + TELLING, drain(statement::whole(&sql, &self.table.table, None)?)).await;
        let ended = timeout(TELLING, drain(unread)).await;
        remote.close().await;
        next.map_err(|_| "it keeps its connection")?.map_err(told)?;
        is_kind(ended.map_err(|_| "it does not end")?, ErrorKind::Timeout)
    }

    async fn loses(&self, group: &mut Group) {
        let route = Route::to(self.opened.contract.options).await;
        let Some(relay) = route.relay() else {
            group.leave_out(format!("not checked, because {}", route.why_not()));
            return;
        };
        let cut = async {
            let (remote, sql) = self.open(&relay.options(&self.options())).await?;
            let mut stream = statement::sending(&sql, self.table, None)?;
            first_rows(&mut stream).await?;
            relay.cut();
            Ok((timeout(TELLING, drain(stream)).await, remote))
        };
        let Some((ended, remote)) = group.value("rows come until the connection is cut", cut.await) else { return };
        let ended = ended.map_err(|_| "it does not end".into()).and_then(|ended| is_kind(ended, ErrorKind::Unreachable));
        group.check("the result ends with an error that says so", ended);
        let again = remote.ping(Deadline::after(TELLING)).await;
        group.check("the next connection is a new one", again.map_err(told).map(|_| ()));
        remote.close().await;
    }
}

/// Lets a statement run for a while, in which it gives nothing.
async fn runs(stream: &mut SendableRecordBatchStream) -> Result<(), Refusal> {
    match timeout(RUNNING, stream.next()).await {
        Err(_) => Ok(()),
        Ok(Some(Err(error))) => Err(told(error)),
        Ok(_) => Err("a statement without an end has one".into()),
    }
}

/// Reads the first rows of a statement without an end.
async fn first_rows(stream: &mut SendableRecordBatchStream) -> Result<(), Refusal> {
    match timeout(PATIENCE, stream.next()).await {
        Ok(Some(Ok(_))) => Ok(()),
        Ok(Some(Err(error))) => Err(told(error)),
        Ok(None) => Err("a result without an end has one".into()),
        Err(_) => Err("no first rows".into()),
    }
}

/// Reads to the end.
async fn drain(mut stream: SendableRecordBatchStream) -> Result<(), datafusion::error::DataFusionError> {
    while let Some(batch) = stream.next().await {
        batch?;
    }
    Ok(())
}

fn is_kind(ended: Result<(), datafusion::error::DataFusionError>, kind: ErrorKind) -> Result<(), Refusal> {
    match ended {
        Ok(()) => Err("it ends as if it were complete".into()),
        Err(error) => match Error::find(&error) {
            Some(found) if found.kind() == kind => Ok(()),
            _ => Err(format!("it ends otherwise: {}", told(error).message).into()),
        },
    }
}
