//! Changes of rows: the transaction of a source that a session's transaction holds, from the first change to the end.
//!
//! A session's transaction changes one datasource, whose own transaction makes all of it happen or nothing. Outside a block that is one
//! statement, or all statements of one text or pipeline, as in PostgreSQL.

use std::time::Duration;

use causeway_planner::{Progress, Query, Write, Written};
use causeway_providers::{Deadline, RemoteId, RemoteTransaction};
use datafusion::scalar::ScalarValue;

use super::active_statement::survive;
use super::session::Session;
use super::sqlstate::{Halt, PgError, READ_ONLY, UNSUPPORTED};

/// How long a source may take to commit when the datasource is without limit.
const PATIENCE: Duration = Duration::from_secs(300);

/// A transaction of a datasource.
#[derive(Debug)]
pub(crate) struct Writing {
    datasource: RemoteId,
    query_timeout: Option<Duration>,
    transaction: Box<dyn RemoteTransaction>,
}

impl Session {
    /// Makes a change in the transaction at hand, or begins one for it.
    pub(super) async fn make(
        &mut self,
        query: &Query,
        write: &Write,
        parameters: &[ScalarValue],
        progress: &Progress,
    ) -> Result<Written, Halt> {
        if self.settings.is_read_only() {
            let message = "cannot change rows in a read-only transaction";
            return Err(PgError::new(READ_ONLY, message).hint("SET TRANSACTION READ WRITE, or begin another one.").into());
        }
        let (schema, table) = write.table();
        self.environment.admit_change(schema, table, write.datasource().as_str()).map_err(|refusal| PgError::from(&refusal))?;
        self.admit_reading(query)?;
        if let Some(writing) = &self.writing
            && writing.datasource != *write.datasource()
        {
            let message =
                format!("this transaction changes datasource \"{}\" and cannot change \"{}\" too", writing.datasource, write.datasource());
            return Err(PgError::new(UNSUPPORTED, message).hint("Commit first: no transaction spans two datasources.").into());
        }
        // What the statement may take in all ends it by dropping it.
        let deadline = Deadline::after(write.query_timeout().unwrap_or(Duration::MAX));
        let writing = self.writing.take();
        let work = async {
            let mut transaction = match writing {
                Some(writing) => writing.transaction,
                None => write.begin(deadline).await.map_err(PgError::from)?,
            };
            let written = write.run(parameters, transaction.as_mut(), progress, deadline).await.map_err(PgError::from)?;
            Ok((transaction, written))
        };
        // Whatever ends it drops the transaction, which is rolled back then.
        let (transaction, written) = self.guarded(work).await?;
        let (datasource, query_timeout) = (write.datasource().clone(), write.query_timeout());
        self.writing = Some(Box::new(Writing { datasource, query_timeout, transaction }));
        Ok(written)
    }

    /// Refuses a query over what the transaction at hand has changed: it would read what was there before.
    pub(super) fn admit_reading(&self, query: &Query) -> Result<(), PgError> {
        match &self.writing {
            Some(writing) if query.reads(&writing.datasource) => {
                let message = format!("reading datasource \"{}\" in the transaction that changes it is not supported", writing.datasource);
                Err(PgError::new(UNSUPPORTED, message).hint("Commit first, or have the change return what you need: RETURNING."))
            }
            _ => Ok(()),
        }
    }

    /// Commits what was changed, if anything was. The answer of the source is waited for whatever happens to the client, and for as long
    /// as the datasource may take: what the statement has left of its own time would end in not knowing.
    pub(super) async fn commit_changes(&mut self) -> Result<(), Halt> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let deadline = Deadline::after(writing.query_timeout.unwrap_or(PATIENCE));
        survive(writing.transaction.commit(deadline)).await?.map_err(|error| PgError::from(&error).into())
    }

    /// Commits what was changed outside a block.
    pub(super) async fn commit_outside_block(&mut self) -> Result<(), Halt> {
        if self.transaction.is_open() { Ok(()) } else { self.commit_changes().await }
    }
}
