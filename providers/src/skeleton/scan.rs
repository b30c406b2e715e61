//! The rows of a table as record batches, read when a statement runs.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;

use super::connect::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{RemoteId, RemoteTable};

/// A table for the planner. Does no IO.
pub(super) fn table(id: RemoteId, source: Source, table: &RemoteTable) -> Result<Arc<dyn TableProvider>> {
    let schema = table.arrow_schema();
    let rows = Arc::new(Rows { id: id.clone(), source, schema: Arc::clone(&schema) });
    let table = StreamingTable::try_new(schema, vec![rows])
        .map_err(|error| Error::new(ErrorKind::Internal, "a table's rows do not have its schema").at(id.as_str()).because(error))?;
    Ok(Arc::new(table))
}

/// All rows of the table, in one stream.
struct Rows {
    id: RemoteId,
    source: Source,
    schema: SchemaRef,
}

impl Rows {
    async fn batch(id: RemoteId, source: Source, schema: SchemaRef) -> Result<RecordBatch> {
        let lines = source.lines().await.map_err(|error| error.at(id.as_str()))?;
        let numbers: Int64Array = (1..).take(lines.len()).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(StringArray::from(lines))];
        RecordBatch::try_new(schema, columns)
            .map_err(|error| Error::new(ErrorKind::Internal, "a batch does not have its schema").at(id.as_str()).because(error))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (id, source, schema) = (self.id.clone(), self.source.clone(), Arc::clone(&self.schema));
        let batch = async move { Self::batch(id, source, schema).await.map_err(Into::into) };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream::once(batch)))
    }
}
