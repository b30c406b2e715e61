//! The result as promised: the columns `Query::schema` told, whatever the plan that computes them does to names and types.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::StreamExt;

use crate::stop::Stop;

/// The schema clients are told: names as given, every column nullable.
///
/// Clients never learn what is nullable, and an optimised plan may tell less about it than the statement did.
pub(crate) fn result_schema(schema: &Schema, names: Option<Vec<String>>) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let field = field.as_ref().clone().with_nullable(true);
        match names.as_ref().and_then(|names| names.get(at)) {
            Some(name) => field.with_name(name),
            None => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Batches that may wait for the reader.
const BATCHES_AHEAD: usize = 2;

/// `rows`, computed in a task of their own: whoever waits for them can still be cancelled while a join computes for long.
/// Dropping the stream frees the sources at once and ends the task at its next pause.
pub(crate) fn in_background(mut rows: SendableRecordBatchStream, stop: Stop) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStream::builder(rows.schema(), BATCHES_AHEAD);
    let sender = builder.tx();
    builder.spawn(async move {
        while let Some(batch) = rows.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    stop.with_rows(builder.build())
}

/// `rows` under `schema`.
pub(crate) fn conform(rows: SendableRecordBatchStream, schema: SchemaRef) -> SendableRecordBatchStream {
    if rows.schema() == schema {
        return rows;
    }
    let promised = Arc::clone(&schema);
    let rows = rows.map(move |batch| batch.and_then(|batch| relabel(&batch, &promised)));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

fn relabel(batch: &RecordBatch, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(DataFusionError::Internal(format!(
            "a result of {} columns where {} were promised",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(
            |(column, field)| {
                if column.data_type() == field.data_type() { Ok(Arc::clone(column)) } else { cast(column, field.data_type()) }
            },
        )
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
