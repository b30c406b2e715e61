//! What exists: datasources, their live state, and the immutable snapshots of their tables that statements see.
//!
//! An [`Environment`] owns one task per [`Datasource`]. The task opens it through the connector registry, reads what it has,
//! publishes that as part of the next [`CatalogSnapshot`], and keeps watch: a datasource that fails is tried again until it
//! answers, and never disturbs another. Statements pin a snapshot and finish on it, whatever is published meanwhile.
//!
//! [`compare`] tells where a source differs from what is expected of it, a [`Contract`] per table.

mod datasource;
mod drift;
mod environment;
mod lifecycle;
mod publication;
mod published;
mod snapshot;

pub use datasource::{Datasource, Expose, OnMismatch, Origin, PinnedTable, SchemaMode, Validation};
pub use drift::{
    Baseline, ColumnImage, Contract, ContractColumn, ContractKind, Difference, DifferenceKind, DriftReport, Observation, Severity,
    TableDrift, TableImage, catalog_fingerprint, compare, fingerprint,
};
pub use environment::{DatasourceState, DatasourceStatus, Environment};
pub use snapshot::{CatalogSnapshot, ForeignTable, SnapshotSchema};

#[cfg(test)]
mod fake;
