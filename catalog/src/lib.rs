//! What exists: datasources, their live state, the immutable snapshots of their tables that statements see, how those drift from
//! what is expected, and the log of events that tells of it.
//!
//! An [`Environment`] owns the tasks of each [`Datasource`]. One opens it through the connector registry, reads what it has,
//! publishes that as part of the next [`CatalogSnapshot`], and keeps watch: a datasource that fails is tried again until it
//! answers, and never disturbs another. Another compares the source with what is expected of it. Statements pin a snapshot and
//! finish on it, whatever is published meanwhile. What must outlive the process is in the [`ControlStore`].

mod asking;
mod baseline;
mod chance;
mod contracted;
mod datasource;
mod delivery;
mod draft;
mod drift;
mod drift_watch;
mod dropping;
mod environment;
mod event;
mod gates;
mod impact;
mod import;
mod lifecycle;
mod live;
mod member;
mod moment;
mod publication;
mod published;
mod published_name;
mod reconcile;
mod requests;
mod restarts;
mod snapshot;
mod store;
mod stored_form;
mod unopened;

pub use asking::Asking;
pub use chance::drawn;
pub use datasource::{Datasource, Expose, OnMismatch, Origin, PinnedTable, SchemaMode, Validation};
pub use delivery::{Delivery, EventTarget, Patience, Refusal, Targets, Verdict};
pub use drift::{ColumnImage, Contract, ContractColumn, Difference, DifferenceKind, DriftReport, Severity, TableDrift, TableImage};
pub use environment::{DatasourcePool, DatasourceStatus, Environment, Keeping, PoolPurpose};
pub use event::{Event, EventType, NewEvent};
pub use gates::{SCHEMA_MODE_VIOLATION, WRITE_FORBIDDEN, admit_ddl, admit_drop, admit_rows, admit_write};
pub use impact::{AffectedTable, Impact, PreparedStatement, PreparedStatements};
pub use import::{
    DATASOURCE_NOT_PUBLISHED, Import, ImportAction, ImportReport, ImportedTable, NAME_TAKEN, NO_WRITABLE_STORE, REMOTE_SCHEMA_NOT_FOUND,
    REMOTE_TABLE_NOT_FOUND, Selection,
};
pub use live::DatasourceState;
pub use member::DriftCheck;
pub use published_name::PublishedName;
pub use restarts::Restarts;
pub use snapshot::{CatalogSnapshot, ForeignTable, Replaced, SnapshotSchema};
pub use store::{
    AppliedMigration, ControlStore, DeadLetter, DriftRow, DriftSelection, DriftState, History, MigrationDirection, Retention, StoredOid,
    StoredSnapshot, Subscriber, SubscriberKind, SubscriberState, SubscriptionId,
};

#[cfg(test)]
mod fake;
