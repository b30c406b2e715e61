//! What exists: datasources, their live state, and the immutable snapshots of their tables that statements see.

mod datasource;
mod environment;
mod snapshot;

pub use datasource::{Datasource, Expose, OnMismatch, Origin, PinnedTable, SchemaMode, Validation};
pub use environment::{DatasourceState, DatasourceStatus, Environment};
pub use snapshot::{CatalogSnapshot, ForeignTable, SnapshotSchema};
