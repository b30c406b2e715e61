//! The `memory` connector: tables handed over by the process itself. It is the reference in tests and reads nothing.

mod declared_type;
mod manifest;
mod type_change;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, TableProvider};

use crate::capabilities::Capabilities;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::declared_type::DeclaredType;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::pool::PoolState;
use crate::remote::{
    CatalogMark, Comparison, Introspection, Presentation, Remote, RemoteColumn, RemoteId, RemotePresence, RemoteTable, Scope,
    ServerVersion, TableKind,
};
use crate::sql::SqlRemote;
use crate::subject::Subject;
use crate::type_change::TypeChange;
use crate::writer::Writer;

/// The schema all tables are in.
const SCHEMA: &str = "main";

/// The connector, with the tables of each datasource. Without any, its datasources are empty.
#[derive(Debug, Clone, Default)]
pub struct MemoryConnector {
    tables: BTreeMap<String, Vec<MemoryTable>>,
}

/// A table in memory.
#[derive(Debug, Clone)]
pub struct MemoryTable {
    name: String,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl MemoryTable {
    /// A table of `batches`, each of which has exactly `schema`.
    pub fn new(name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { name: name.to_owned(), schema, batches }
    }

    fn describe(&self) -> RemoteTable {
        let columns = self.schema.fields().iter().map(|field| RemoteColumn {
            name: field.name().clone(),
            remote_type: field.data_type().to_string(),
            data_type: field.data_type().clone(),
            presentation: Presentation::of(field),
            nullable: field.is_nullable(),
            comment: None,
            collation: None,
            comparison: Comparison::None,
        });
        RemoteTable {
            schema: SCHEMA.to_owned(),
            name: self.name.clone(),
            kind: TableKind::Table,
            columns: columns.collect(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            comment: None,
            row_estimate: Some(self.batches.iter().map(|batch| batch.num_rows() as u64).sum()),
        }
    }
}

impl MemoryConnector {
    /// Gives the datasource of this name its tables, in place of those it had.
    #[must_use]
    pub fn with_tables(mut self, datasource: &str, tables: Vec<MemoryTable>) -> Self {
        self.tables.insert(datasource.to_owned(), tables);
        self
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>> {
        let mut tables = self.tables.get(options.id.as_str()).cloned().unwrap_or_default();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Arc::new(MemoryRemote { id: options.id.clone(), tables }))
    }

    fn type_change(&self, expected: &str, actual: &str) -> TypeChange {
        type_change::type_change(expected, actual)
    }

    fn declared_type(&self, text: &str) -> DeclaredType {
        declared_type::declared_type(text)
    }
}

#[derive(Debug)]
struct MemoryRemote {
    id: RemoteId,
    tables: Vec<MemoryTable>,
}

#[async_trait]
impl Remote for MemoryRemote {
    fn id(&self) -> &RemoteId {
        &self.id
    }

    fn capabilities(&self) -> &Capabilities {
        &manifest::MANIFEST.capabilities
    }

    async fn ping(&self, _deadline: Deadline) -> Result<ServerVersion> {
        Ok(ServerVersion { product: "Causeway memory".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    async fn introspect(&self, scope: &Scope, _deadline: Deadline) -> Result<Introspection> {
        let wanted = scope.schemas.is_empty() || scope.schemas.iter().any(|schema| schema == SCHEMA);
        let tables = if wanted { self.tables.iter().map(MemoryTable::describe).collect() } else { Vec::new() };
        Ok(Introspection { default_schema: SCHEMA.to_owned(), tables, omitted: Vec::new() })
    }

    async fn catalog_mark(&self, _deadline: Deadline) -> Result<Option<CatalogMark>> {
        Ok(None)
    }

    async fn presence(&self, subjects: &[Subject], _deadline: Deadline) -> Result<Vec<RemotePresence>> {
        let presence = |subject: &Subject| {
            let table = self.tables.iter().find(|known| subject.schema == SCHEMA && known.name == subject.table);
            match (table, &subject.column) {
                (Some(table), Some(column)) if table.schema.column_with_name(column).is_none() => RemotePresence::Absent,
                (Some(_), _) => RemotePresence::Readable,
                (None, _) => RemotePresence::Absent,
            }
        };
        Ok(subjects.iter().map(presence).collect())
    }

    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
        let found = self.tables.iter().find(|known| table.schema == SCHEMA && known.name == table.name);
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no table \"{}\" in memory", table.name)).at(self.id.as_str())
        })?;
        let provider = MemTable::try_new(Arc::clone(&found.schema), vec![found.batches.clone()]).map_err(|e| {
            Error::new(ErrorKind::Invalid, format!("the batches of \"{}\" do not have its schema", table.name))
                .at(self.id.as_str())
                .because(e)
        })?;
        Ok(Arc::new(provider))
    }

    fn pool(&self) -> Option<PoolState> {
        None
    }

    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>> {
        None
    }

    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>> {
        None
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::SessionContext;
    use std::path::Path;

    use super::*;

    fn options(name: &str) -> Options {
        Options::check(&manifest::MANIFEST, RemoteId::new(name), Path::new("/"), BTreeMap::new(), BTreeMap::new()).unwrap()
    }

    #[tokio::test]
    async fn its_tables_are_those_it_was_given() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap();
        let connector = MemoryConnector::default().with_tables("mem", vec![MemoryTable::new("numbers", schema, vec![batch.clone()])]);
        let remote = connector.open(&options("mem")).await.unwrap();
        let deadline = Deadline::after(std::time::Duration::from_secs(1));
        let seen = remote.introspect(&Scope::default(), deadline).await.unwrap();
        assert_eq!(seen.tables.len(), 1);
        assert_eq!(seen.tables[0].row_estimate, Some(3));
        assert_eq!(seen.tables[0].arrow_schema(), batch.schema());
        let provider = Arc::clone(&remote).table(&seen.tables[0]).unwrap();
        let rows = SessionContext::new().read_table(provider).unwrap().collect().await.unwrap();
        assert_eq!(rows, vec![batch]);
        let cases = [
            (Subject::table("main", "numbers"), RemotePresence::Readable),
            (Subject::column("main", "numbers", "n"), RemotePresence::Readable),
            (Subject::column("main", "numbers", "m"), RemotePresence::Absent),
            (Subject::table("main", "letters"), RemotePresence::Absent),
            (Subject::table("other", "numbers"), RemotePresence::Absent),
        ];
        let (subjects, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        assert_eq!(remote.presence(&subjects, deadline).await.unwrap(), expected, "{subjects:?}");
        let unknown = RemoteTable { name: "letters".to_owned(), ..seen.tables[0].clone() };
        let error = remote.table(&unknown).unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("mem")));
    }

    #[tokio::test]
    async fn a_datasource_without_tables_is_empty() {
        let remote = MemoryConnector::default().open(&options("other")).await.unwrap();
        let deadline = Deadline::after(std::time::Duration::from_secs(1));
        assert_eq!(remote.introspect(&Scope::default(), deadline).await.unwrap().tables, Vec::new());
    }
}
