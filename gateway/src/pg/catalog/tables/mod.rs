//! The rows of system relations.
//!
//! A relation that is not filled here is either fixed ([`SystemRelation::fixed_rows`]) or empty: Causeway has no triggers, policies,
//! sequences or publications.

mod information_schema;
mod objects;
mod server;
mod sessions;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;

use super::PgCatalog;
use super::relations::{SystemRelation, SystemSchema};
use super::session::Session;

/// Whether a relation's rows depend on who asks or when, so that they are built anew for every scan.
pub(super) fn is_live(relation: &SystemRelation) -> bool {
    match relation.schema {
        SystemSchema::PgCatalog => sessions::is_live(relation.name),
        SystemSchema::InformationSchema => matches!(relation.name, "enabled_roles" | "applicable_roles"),
    }
}

/// The rows of a relation that is the same for every session.
///
/// # Errors
/// Only on a fault in the rows themselves.
pub(super) fn build(relation: &SystemRelation, catalog: &PgCatalog) -> Result<RecordBatch> {
    let mut rows = relation.rows();
    if let Some(text) = relation.fixed_rows() {
        rows.push_copied(text)?;
    }
    match relation.schema {
        SystemSchema::PgCatalog => {
            objects::fill(relation.name, catalog, &mut rows)?;
            server::fill(relation.name, catalog, &mut rows)?;
        }
        SystemSchema::InformationSchema => information_schema::fill(relation.name, catalog, &mut rows)?,
    }
    rows.finish()
}

/// The rows of a relation as `session` sees it now.
///
/// # Errors
/// Only on a fault in the rows themselves.
pub(super) fn build_live(relation: &SystemRelation, catalog: &PgCatalog, session: &Session) -> Result<RecordBatch> {
    let mut rows = relation.rows();
    match relation.schema {
        SystemSchema::PgCatalog => sessions::fill(relation.name, catalog, session, &mut rows)?,
        SystemSchema::InformationSchema => information_schema::fill_live(relation.name, session, &mut rows)?,
    }
    rows.finish()
}
