//! `pg_catalog` and `information_schema` as PostgreSQL 16 has them, with the functions their users call.
//!
//! A [`PgCatalog`] describes one [`Database`]: an environment at one snapshot. It is made once per snapshot and shared by all sessions.
//! Making it costs nothing; a relation's rows are built, in memory and without asking any datasource, by the first statement that
//! scans it. Sessions get their view of it from [`PgCatalog::schemas`] and [`PgCatalog::functions`].
//!
//! What the planner cannot plan in the statements of `psql` and drivers is rewritten beforehand, by `causeway_planner::rewrite`.

mod base_types;
mod columns;
mod definitions;
mod functions;
mod identifiers;
mod model;
mod oids;
mod provider;
mod relations;
mod session;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::SchemaProvider;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;

pub(crate) use base_types::shown_type;
pub(crate) use model::{Database, Server};
pub(crate) use oids::OidRegistry;
pub(crate) use session::{Activity, PreparedStatement, Session, SessionState, Setting, SettingScope};

use model::Model;
use relations::{SystemRelation, SystemSchema, system_relations};

/// The system catalog of one environment at one snapshot.
#[derive(Debug)]
pub(crate) struct PgCatalog {
    database: Database,
    oids: Arc<OidRegistry>,
    model: OnceLock<Model>,
    rows: HashMap<(SystemSchema, &'static str), OnceLock<Vec<RecordBatch>>>,
}

/// The two system schemas, as one session sees them.
#[derive(Debug, Clone)]
pub(crate) struct SystemSchemas {
    /// `pg_catalog`.
    pub pg_catalog: Arc<dyn SchemaProvider>,
    /// `information_schema`.
    pub information_schema: Arc<dyn SchemaProvider>,
}

impl PgCatalog {
    /// The catalog of `database`. Nothing is built yet.
    pub(crate) fn new(database: Database, oids: Arc<OidRegistry>) -> Arc<Self> {
        let rows = system_relations().iter().map(|r| ((r.schema, r.name), OnceLock::new())).collect();
        Arc::new(Self { database, oids, model: OnceLock::new(), rows })
    }

    /// `pg_catalog` and `information_schema` for a statement of `session`.
    pub(crate) fn schemas(self: &Arc<Self>, session: &Arc<Session>) -> SystemSchemas {
        let provider = |schema| {
            Arc::new(provider::SystemSchemaProvider { schema, catalog: Arc::clone(self), session: Arc::clone(session) })
                as Arc<dyn SchemaProvider>
        };
        SystemSchemas { pg_catalog: provider(SystemSchema::PgCatalog), information_schema: provider(SystemSchema::InformationSchema) }
    }

    /// PostgreSQL's functions about the catalog and the session, for a statement of `session`.
    pub(crate) fn functions(self: &Arc<Self>, session: &Arc<Session>) -> Vec<Arc<ScalarUDF>> {
        functions::functions(self, session)
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn oids(&self) -> &OidRegistry {
        &self.oids
    }

    fn model(&self) -> &Model {
        self.model.get_or_init(|| Model::new(&self.database, &self.oids))
    }

    /// The rows of a relation that is the same for every session.
    fn rows(&self, relation: &'static SystemRelation) -> Result<Vec<RecordBatch>> {
        let cell = &self.rows[&(relation.schema, relation.name)];
        if let Some(batches) = cell.get() {
            return Ok(batches.clone());
        }
        let built = provider::slices(&tables::build(relation, self)?);
        Ok(cell.get_or_init(|| built).clone())
    }
}
