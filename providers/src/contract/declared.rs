//! A remote that declares other capabilities than it has: what is tried to find out whether it could do more.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;

use crate::capabilities::Capabilities;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::PoolState;
use crate::remote::{CatalogMark, Introspection, Remote, RemoteId, RemotePresence, RemoteTable, Scope, ServerVersion};
use crate::sql::{Dialect, RemoteSql, ScanLimits, Select, SharedSnapshot, SplitScan, SqlRemote, SqlTable, StatementScans, TableStatistics};
use crate::subject::Subject;
use crate::writer::Writer;

/// The source of another remote under other capabilities.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) inner: Arc<dyn SqlRemote>,
    pub(super) capabilities: Capabilities,
}

#[async_trait]
impl Remote for Declared {
    fn id(&self) -> &RemoteId {
        self.inner.id()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion> {
        self.inner.ping(deadline).await
    }

    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection> {
        self.inner.introspect(scope, deadline).await
    }

    async fn catalog_mark(&self, deadline: Deadline) -> Result<Option<CatalogMark>> {
        self.inner.catalog_mark(deadline).await
    }

    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>> {
        self.inner.presence(subjects, deadline).await
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(SqlTable::new(self, table.clone(), None)))
    }

    fn pool(&self) -> Option<PoolState> {
        self.inner.pool()
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        Some(self)
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl SqlRemote for Declared {
    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream> {
        Arc::clone(&self.inner).execute(sql, schema, limits)
    }

    fn split(self: Arc<Self>, table: &RemoteTable, select: &Select, streams: usize) -> Option<Arc<dyn SplitScan>> {
        Arc::clone(&self.inner).split(table, select, streams)
    }

    fn share_snapshot(self: Arc<Self>, scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>> {
        Arc::clone(&self.inner).share_snapshot(scans)
    }

    fn first_row_timeout(&self) -> Option<Duration> {
        self.inner.first_row_timeout()
    }

    fn statistics(&self, table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        self.inner.statistics(table)
    }
}
