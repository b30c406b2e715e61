//! The external catalog: what a datasource's source has, how it drifts, and what is published of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use causeway_catalog::{DriftCheck, DriftReport, DriftRow, DriftSelection, ForeignTable, Impact, Import, ImportReport, StoredSnapshot};
use causeway_providers::{ErrorKind, Omission};

use super::{Administration, Code, Failure, Result};

/// What reading a datasource's tables anew gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refreshed {
    /// How many tables it publishes.
    pub(crate) tables: usize,
    /// What is not published, and why.
    pub(crate) omitted: Vec<Omission>,
}

/// What comparing a datasource's tables with what is expected of them gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validated {
    /// What this check found.
    pub(crate) check: DriftCheck,
    /// The differences that are open after it.
    pub(crate) differences: Vec<DriftRow>,
    /// What they break.
    pub(crate) impact: Impact,
}

impl Administration {
    /// What a datasource publishes, by schema and name.
    ///
    /// # Errors
    /// `DatasourceNotFound`.
    pub(crate) fn foreign_tables(&self, datasource: &str) -> Result<Vec<Arc<ForeignTable>>> {
        self.datasource(datasource)?;
        Ok(self.environment.snapshot().tables().filter(|table| table.datasource == datasource).cloned().collect())
    }

    /// How many tables each datasource publishes that publishes any.
    pub(crate) fn table_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for table in self.environment.snapshot().tables() {
            *counts.entry(table.datasource.clone()).or_default() += 1;
        }
        counts
    }

    /// How many differences are open, of each datasource that has any; `None` while the store cannot be read.
    pub(crate) async fn open_drift_counts(&self) -> Option<BTreeMap<String, u64>> {
        let counts = self.environment.open_drift_counts().await;
        counts.inspect_err(|error| tracing::warn!(%error, "open differences are not counted")).ok()
    }

    /// The stored snapshots of a datasource, oldest first.
    ///
    /// # Errors
    /// `DatasourceNotFound`, and when the store cannot be read.
    pub(crate) async fn history(&self, datasource: &str) -> Result<Vec<StoredSnapshot>> {
        self.datasource(datasource)?;
        let mut all = self.environment.history().await?;
        all.retain(|snapshot| snapshot.datasource == datasource);
        Ok(all)
    }

    /// How a datasource's tables changed between two stored snapshots.
    ///
    /// # Errors
    /// `DatasourceNotFound`, `SnapshotNotFound`, and when the store cannot be read.
    pub(crate) async fn difference(&self, datasource: &str, from: i64, to: i64) -> Result<DriftReport> {
        self.datasource(datasource)?;
        let found = self.environment.difference(datasource, from, to).await;
        found.map_err(|error| Failure::from(error).where_kind(ErrorKind::NotFound, Code::SnapshotNotFound))
    }

    /// Reads a datasource's tables anew and publishes them.
    ///
    /// # Errors
    /// `DatasourceNotFound`, `ExternalSchemaMismatch`, and what looking at the source gives.
    pub(crate) async fn refresh(&self, datasource: &str, actor: &str) -> Result<Refreshed> {
        self.datasource(datasource)?;
        let tables = self.environment.refresh(datasource, Some(actor)).await?;
        Ok(Refreshed { tables, omitted: self.datasource(datasource)?.omitted })
    }

    /// Compares a datasource's tables with what is expected of them. Of what is published nothing changes but tables that broke their
    /// contract and meet it again.
    ///
    /// # Errors
    /// `DatasourceNotFound`; `ExternalSchemaMismatch` when the datasource does not run for what its tables are; and what looking at the
    /// source gives.
    pub(crate) async fn validate(&self, datasource: &str) -> Result<Validated> {
        self.datasource(datasource)?;
        let check = self.environment.check_drift(datasource).await?;
        let differences = self.drift(DriftSelection::open_of(datasource)).await?;
        let impact = self.environment.impact(datasource).await?;
        Ok(Validated { check, differences, impact })
    }

    /// Differences, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn drift(&self, which: DriftSelection<'_>) -> Result<Vec<DriftRow>> {
        Ok(self.environment.drift(which).await?)
    }

    /// A remote table as the YAML of a pinned table.
    ///
    /// # Errors
    /// `DatasourceNotFound`, `RemoteTableNotFound`, and what looking at the source gives.
    pub(crate) async fn draft(&self, datasource: &str, schema: Option<&str>, table: &str) -> Result<String> {
        self.datasource(datasource)?;
        Ok(self.environment.draft(datasource, schema, table).await?)
    }

    /// Publishes remote tables under the contract of what they are now.
    ///
    /// # Errors
    /// `DatasourceNotFound`, `RemoteTableNotFound`, `RemoteSchemaNotFound`, `NameTaken`, `NoWritableStore`, `DatasourceNotPublished`, and
    /// what looking at the source gives. Nothing is written then.
    pub(crate) async fn import(&self, datasource: &str, import: &Import) -> Result<ImportReport> {
        self.datasource(datasource)?;
        Ok(self.environment.import(datasource, import).await?)
    }
}
