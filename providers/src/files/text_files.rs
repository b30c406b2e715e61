//! CSV and JSON lines as DataFusion's source of files: unpacked as they are read, every value exactly what its text says, and every error
//! with the name of its file and its row.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::apply_expression_roots;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::ObjectStore;
use object_store::path::Path;

use super::compression::Compression;
use super::opened::SharedFile;
use super::text_reader::TextReader;

/// How a text file's rows are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextFormat {
    /// Fields separated by this byte.
    Csv(u8),
    Json,
}

/// The text files of a table.
#[derive(Debug, Clone)]
pub(super) struct TextFiles {
    format: TextFormat,
    schema: TableSchema,
    projection: ProjectionExprs,
    batch_size: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
    table: Arc<str>,
}

impl TextFiles {
    /// `schema` has the columns of the files and behind them the keys of their folders.
    pub(super) fn new(format: TextFormat, schema: TableSchema, table: Arc<str>) -> Self {
        let columns: Vec<usize> = (0..schema.table_schema().fields().len()).collect();
        let projection = ProjectionExprs::from_indices(&columns, schema.table_schema());
        Self { format, schema, projection, batch_size: None, metrics: ExecutionPlanMetricsSet::new(), table }
    }

    /// The places of the projected columns in the table's schema.
    fn places(&self) -> Result<Vec<usize>> {
        let internal = || DataFusionError::Internal("files are projected to columns alone".to_owned());
        self.projection.iter().map(|wanted| wanted.expr.downcast_ref::<Column>().map(Column::index).ok_or_else(internal)).collect()
    }
}

impl FileSource for TextFiles {
    fn create_file_opener(&self, store: Arc<dyn ObjectStore>, scan: &FileScanConfig, _partition: usize) -> Result<Arc<dyn FileOpener>> {
        let most_rows = self.batch_size.ok_or_else(|| DataFusionError::Internal("no batch size is set".to_owned()))?;
        let (schema, fields) = (scan.projected_schema()?, self.schema.file_schema().fields());
        let table = Arc::clone(&self.table);
        Ok(Arc::new(TextReader::new(store, self.format, schema, fields, &self.places()?, most_rows, table)))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size: Some(batch_size), ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.format {
            TextFormat::Csv(_) => "csv",
            TextFormat::Json => "json",
        }
    }

    fn supports_repartitioning(&self) -> bool {
        match self.format {
            // A line may break within quotes.
            TextFormat::Csv(_) => false,
            TextFormat::Json => true,
        }
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        minimum_size: usize,
        ordering: Option<LexOrdering>,
        scan: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        let mut files = scan.file_groups.iter().flat_map(|group| group.iter());
        if !self.supports_repartitioning() || files.any(|file| Compression::of(file.object_meta.location.as_ref()).1.is_some()) {
            return Ok(None);
        }
        let parts = FileGroupPartitioner::new()
            .with_target_partitions(target_partitions)
            .with_repartition_file_min_size(minimum_size)
            .with_preserve_order_within_groups(ordering.is_some())
            .repartition_file_groups(&scan.file_groups);
        Ok(parts.map(|groups| FileScanConfigBuilder::from(scan.clone()).with_file_groups(shared(groups)).build()))
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let projection = self.projection.try_merge(projection)?;
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.iter(), f)
    }
}

/// The same files, of which those that are read in parts are opened once for all of these.
fn shared(groups: Vec<FileGroup>) -> Vec<FileGroup> {
    let mut files: HashMap<Path, Arc<SharedFile>> = HashMap::new();
    let mut share = |part: PartitionedFile| {
        let file = Arc::clone(files.entry(part.object_meta.location.clone()).or_default());
        part.with_extension(file)
    };
    groups.into_iter().map(|group| FileGroup::new(group.into_inner().into_iter().map(&mut share).collect())).collect()
}
