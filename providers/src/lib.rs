//! Sources as tables.
//!
//! A [`Connector`] knows one kind of source and opens a datasource of it as a [`Remote`]. A remote introspects itself in bulk and
//! gives DataFusion a table provider per table; one that takes SQL text is also a [`SqlRemote`], to which the planner ships whole
//! sub-plans. What a source may compute for us is an allow-list: [`Capabilities`] for plan nodes, [`sql::translate`] for
//! expressions. Drivers and object stores are known in this crate and nowhere else.

mod capabilities;
mod connector;
mod deadline;
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
mod scan_observer;
pub mod sql;
mod sqlite;

pub use capabilities::Capabilities;
pub use connector::Connector;
pub use deadline::Deadline;
pub use error::{Error, ErrorKind, Result};
pub use manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
pub use memory::{MemoryConnector, MemoryTable};
pub use options::{OptionFault, Options, PoolLimits};
pub use registry::ConnectorRegistry;
pub use remote::{
    Comparison, Introspection, Omission, PRESENTATION_KEY, Presentation, Remote, RemoteColumn, RemoteId, RemoteTable, Scope, ServerVersion,
    TableKind,
};
pub use sample::write_sqlite_sample;
pub use scan_observer::{ScanObserver, ScanOutcome, ScanReport, observe_scans};
pub use sql::SqlRemote;
