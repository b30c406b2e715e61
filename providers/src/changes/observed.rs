//! A transaction whose statements are told to who observes the session that sends them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;

use super::{Insertion, RemoteTransaction, Returned};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sql::{RemoteSql, SqlRemote, normalize};
use crate::statement_observer::{StatementObserver, Tally, kind, observed, observed_aside};

/// `transaction` of `remote`, whose changes and whose commit `observer` is told of. A rollback is not told of: a change without a commit
/// behind it was rolled back.
pub fn observe_changes(
    transaction: Box<dyn RemoteTransaction>,
    remote: Arc<dyn SqlRemote>,
    observer: Arc<dyn StatementObserver>,
) -> Box<dyn RemoteTransaction> {
    Box::new(ObservedTransaction { transaction, remote, observer })
}

#[derive(Debug)]
struct ObservedTransaction {
    transaction: Box<dyn RemoteTransaction>,
    remote: Arc<dyn SqlRemote>,
    observer: Arc<dyn StatementObserver>,
}

impl ObservedTransaction {
    fn tally(&self, statement: String) -> Arc<Tally> {
        Tally::new(Arc::clone(&self.observer), self.remote.id().clone(), statement)
    }
}

#[async_trait]
impl RemoteTransaction for ObservedTransaction {
    async fn run(&mut self, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> DataFusionResult<u64> {
        let tally = self.tally(normalize(&sql.text, self.remote.dialect().quoting()));
        observed(tally, self.transaction.run(sql, returned, deadline), kind).await
    }

    async fn insert(
        &mut self,
        insertion: &Insertion,
        rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> DataFusionResult<u64> {
        let tally = self.tally(insertion.normalized(self.remote.dialect()));
        observed(tally, self.transaction.insert(insertion, rows, returned, deadline), kind).await
    }

    async fn commit(self: Box<Self>, deadline: Deadline) -> Result<()> {
        let tally = self.tally("COMMIT".to_owned());
        let commit = self.transaction.commit(deadline);
        // What is committed is so, however long its observer takes.
        observed_aside(tally, async { commit.await.map(|()| 0) }, Error::kind).await.map(|_| ())
    }
}
