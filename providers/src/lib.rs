//! Sources as tables.
//!
//! A [`Connector`] knows one kind of source and opens a datasource of it as a [`Remote`]. A remote introspects itself in bulk and
//! gives DataFusion a table provider per table; one that takes SQL text is also a [`SqlRemote`], to which the planner ships whole
//! sub-plans, and one that takes rows is a [`Writer`]. What a source may compute for us is an allow-list: [`Capabilities`] for plan nodes, [`sql::translate`] for
//! expressions. Drivers and object stores are known in this crate and nowhere else.

mod addresses;
mod capabilities;
mod changes;
mod clickhouse;
mod connector;
#[cfg(feature = "contract")]
pub mod contract;
mod crew;
mod deadline;
mod declared_type;
mod error;
mod files;
mod manifest;
mod memory;
mod mysql;
mod options;
mod pool;
mod postgres;
mod registry;
mod remote;
mod sample;
mod scan_release;
mod scan_subject;
mod shared_rows;
#[cfg(all(test, feature = "contract"))]
mod skeleton;
#[cfg(test)]
mod skip;
pub mod sql;
mod sqlite;
mod statement_observer;
mod subject;
mod tls;
mod type_change;
mod writer;

pub use capabilities::Capabilities;
pub use changes::{Insertion, RemoteTransaction, Returned, TransactionalRemote, observe_changes};
pub use connector::Connector;
pub use deadline::Deadline;
pub use declared_type::DeclaredType;
pub use error::{Error, ErrorKind, Result, TYPE_CHANGED, VALUE_REFUSED, with_causes};
pub use files::files_read;
pub use manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
pub use memory::{MemoryConnector, MemoryTable};
pub use options::{OptionFault, Options, PoolLimits};
pub use pool::{PoolFailure, PoolState};
pub use registry::ConnectorRegistry;
pub use remote::{
    CatalogMark, Comparison, Introspection, Omission, OmissionCause, PRESENTATION_KEY, Presentation, Remote, RemoteColumn, RemoteId,
    RemotePresence, RemoteTable, Scope, ServerVersion, TableKind,
};
pub use sample::write_sqlite_sample;
pub use scan_release::{ScanRelease, release_scans};
pub use scan_subject::scan_subject;
pub use sql::SqlRemote;
pub use statement_observer::{StatementObserver, StatementOutcome, StatementReport, observe_statements};
pub use subject::Subject;
pub use type_change::TypeChange;
pub use writer::{CellValue, DescribedColumn, DescribedType, EnsureMode, EnsureReport, InsertReport, TableDescriptor, Writer};
