//! The connector against a real, private PostgreSQL. Each test has a database of its own.

mod agreement;
mod catalog_mark;
mod changing;
mod failing;
mod inserting;
mod introspection;
mod one_moment;
mod parallel;
mod scanning;
mod server;
mod shape;
mod statistics;
mod tls;
mod types;
mod writing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use self::server::Database;
use super::{PostgresRemote, manifest};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::remote::{Introspection, Remote, RemoteId, RemoteTable, Scope};
use crate::sql::{RemoteSql, ScanLimits, SqlRemote, SqlTable};

/// Long enough for a busy machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const LIMITS: ScanLimits = ScanLimits::new(Some(PATIENCE), 8192);

fn options(values: &[(&str, &str)], password: Option<&str>) -> Options {
    let values: BTreeMap<String, String> = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let secrets = password.map(|password| ("password".to_owned(), password.into())).into_iter().collect();
    let mut options = Options::check(&manifest::MANIFEST, RemoteId::new("crm"), Path::new("/"), values, secrets).unwrap();
    options.query_timeout = Some(PATIENCE);
    options
}

async fn open(database: &Database) -> Arc<PostgresRemote> {
    PostgresRemote::open(&database.options()).await.unwrap()
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>()))
}

fn start(remote: &Arc<PostgresRemote>, sql: &str, schema: &SchemaRef, limits: ScanLimits) -> SendableRecordBatchStream {
    Arc::clone(remote).execute(RemoteSql::new(sql.to_owned()), Arc::clone(schema), limits).unwrap()
}

async fn run(remote: &Arc<PostgresRemote>, sql: &str, schema: &SchemaRef) -> Result<Vec<RecordBatch>, DataFusionError> {
    start(remote, sql, schema, LIMITS).try_collect().await
}

/// The one column of a statement's result, as one array.
async fn column(remote: &Arc<PostgresRemote>, sql: &str, data_type: DataType) -> Result<ArrayRef, DataFusionError> {
    let schema = schema(&[("v", data_type.clone())]);
    let batches = run(remote, sql, &schema).await?;
    let mut arrays: Vec<ArrayRef> = batches.iter().map(|batch| Arc::clone(batch.column(0))).collect();
    if arrays.is_empty() {
        arrays.push(datafusion::arrow::array::new_empty_array(&data_type));
    }
    Ok(concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
}

async fn look(remote: &Arc<PostgresRemote>, schemas: &[&str]) -> Introspection {
    let scope = Scope { schemas: schemas.iter().map(|schema| (*schema).to_owned()).collect() };
    remote.introspect(&scope, Deadline::after(PATIENCE)).await.unwrap()
}

/// All rows of a table, through the select that the planner would send.
async fn read(remote: &Arc<PostgresRemote>, table: &RemoteTable) -> Result<Vec<RecordBatch>, DataFusionError> {
    let sql_table = SqlTable::new(Arc::clone(remote) as Arc<dyn SqlRemote>, table.clone(), None);
    let sql = sql_table.select(None, &[], None).render(remote.dialect());
    run(remote, &sql, &table.arrow_schema()).await
}

/// Our error inside one of DataFusion's.
fn ours(error: &DataFusionError) -> &Error {
    Error::find(error).unwrap_or_else(|| panic!("not an error of ours: {error}"))
}

fn assert_fails(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.datasource(), Some("crm"), "{error}");
    assert!(error.message().contains(text), "\"{}\" does not contain \"{text}\"", error.message());
}
