//! CSV and JSON lines as DataFusion's file sources: unpacked as they are read, every value exactly what its text says, and every error
//! with the name of its file. A parser's error knows a line but not the file, which in a folder of many is what matters.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;

use super::compression::{Compression, Unpacked};
use super::connect::{FileName, read_failure_in_file};
use super::json_lines::JsonLines;
use super::written;
use crate::error::ErrorKind;

/// How a text file's rows are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextFormat {
    /// By DataFusion as text, and by us from there.
    Csv,
    /// By us; DataFusion's source knows only which columns are wanted.
    Json,
}

/// A file source whose values are read by our own rules.
pub(super) struct TextFiles {
    files: Arc<dyn FileSource>,
    format: TextFormat,
    /// The published columns.
    schema: TableSchema,
    table: Arc<str>,
    batch_size: Option<usize>,
}

impl TextFiles {
    /// `files` has the columns of `schema`, those of CSV files as text.
    pub(super) fn around(files: Arc<dyn FileSource>, format: TextFormat, schema: TableSchema, table: &str) -> Arc<dyn FileSource> {
        Arc::new(Self { files, format, schema, table: table.into(), batch_size: None })
    }

    fn with(&self, files: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        let (format, schema, table) = (self.format, self.schema.clone(), Arc::clone(&self.table));
        Arc::new(Self { files, format, schema, table, batch_size: self.batch_size })
    }

    /// The places of the projected columns in the table's schema.
    fn projected(&self) -> Result<Vec<usize>> {
        let internal = || DataFusionError::Internal("files are projected to columns alone".to_owned());
        let Some(projection) = self.files.projection() else { return Ok((0..self.schema.table_schema().fields().len()).collect()) };
        projection.iter().map(|wanted| wanted.expr.downcast_ref::<Column>().map(Column::index).ok_or_else(internal)).collect()
    }
}

/// The columns of a CSV file as they are read from it.
pub(super) fn as_text(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect::<Fields>())
}

impl FileSource for TextFiles {
    fn create_file_opener(&self, store: Arc<dyn ObjectStore>, scan: &FileScanConfig, partition: usize) -> Result<Arc<dyn FileOpener>> {
        let store = Unpacked::around(store);
        let schema = scan.projected_schema()?;
        let table = Arc::clone(&self.table);
        let files = self.schema.file_schema().fields();
        Ok(match self.format {
            TextFormat::Csv => {
                let is_of_file = self.projected()?.into_iter().map(|place| place < files.len()).collect();
                let opener = self.files.create_file_opener(store, scan, partition)?;
                Arc::new(CsvOpener { opener, schema, is_of_file, table })
            }
            TextFormat::Json => {
                let batch_size = self.batch_size.ok_or_else(|| DataFusionError::Internal("no batch size is set".to_owned()))?;
                Arc::new(JsonLines::new(store, schema, files, &self.projected()?, batch_size, table))
            }
        })
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let (format, schema, table) = (self.format, self.schema.clone(), Arc::clone(&self.table));
        Arc::new(Self { files: self.files.with_batch_size(batch_size), format, schema, table, batch_size: Some(batch_size) })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.files.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.files.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.files.metrics()
    }

    fn file_type(&self) -> &str {
        self.files.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.files.supports_repartitioning()
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        minimum_size: usize,
        ordering: Option<LexOrdering>,
        scan: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        let mut files = scan.file_groups.iter().flat_map(|group| group.iter());
        if files.any(|file| Compression::of(file.object_meta.location.as_ref()).1.is_some()) {
            return Ok(None);
        }
        // It returns a copy of `scan`, with this source in it.
        self.files.repartitioned(target_partitions, minimum_size, ordering, scan)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.files.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node: pushed.updated_node.map(|files| self.with(files)) })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(self.files.try_pushdown_sort(order, properties)?.map(|files| self.with(files)))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.files.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.files.try_pushdown_projection(projection)?.map(|files| self.with(files)))
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.files.apply_expressions(f)
    }
}

/// Opens CSV files as text and reads the values from there.
struct CsvOpener {
    opener: Arc<dyn FileOpener>,
    schema: SchemaRef,
    /// Which columns come from the file and not from its folders.
    is_of_file: Arc<[bool]>,
    table: Arc<str>,
}

impl FileOpener for CsvOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let name = Arc::new(FileName::new(file.object_meta.location.as_ref(), &self.table));
        let (schema, is_of_file) = (Arc::clone(&self.schema), Arc::clone(&self.is_of_file));
        let opening = self.opener.open(file).map_err(|e| read_failure_in_file(e, &name))?;
        let opened = async move {
            let texts = opening.await.map_err(|e| read_failure_in_file(e, &name))?;
            let mut rows = 0;
            let batches = texts.map(move |texts| {
                let texts = texts.map_err(|e| read_failure_in_file(e, &name))?;
                let read = read_texts(&texts, &schema, &is_of_file, rows, &name);
                rows += texts.num_rows();
                read
            });
            Ok(batches.boxed())
        };
        Ok(opened.boxed())
    }
}

/// The values of a batch of texts, which `before` rows of the file precede.
fn read_texts(texts: &RecordBatch, schema: &SchemaRef, is_of_file: &[bool], before: usize, file: &FileName) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(texts.num_columns());
    for ((texts, field), is_of_file) in texts.columns().iter().zip(schema.fields()).zip(is_of_file) {
        if !is_of_file {
            columns.push(Arc::clone(texts));
            continue;
        }
        let read = written::read(texts.as_string(), field.data_type())
            .ok_or_else(|| DataFusionError::Internal(format!("no text is a {}", field.data_type())))?;
        columns.push(read.map_err(|misfit| {
            let row = before + misfit.at + 1;
            unfit(file, &format!("row {row}, column \"{}\": {}", field.name(), misfit.reason))
        })?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(texts.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The error of a row that is none of the table's. It quotes no value.
pub(super) fn unfit(file: &FileName, reason: &str) -> DataFusionError {
    file.error(ErrorKind::Invalid, |path| format!("{path}: {reason}"))
        .hint("types are inferred from the first part of a file; mend the row, or refresh the catalog if the file is a new one")
        .into()
}
