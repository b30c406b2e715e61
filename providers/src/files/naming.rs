//! Files that are unpacked as they are read, and whose errors name them. A parser's error knows a line but not the file, which in a folder of many is what matters.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::compression::{Compression, Unpacked};
use super::connect::read_failure_in_file;

/// A file source that opens its files as the one within does.
///
/// For sources that read through [`FileSource::create_file_opener`], as CSV and JSON do; Parquet has a way of its own.
pub(super) struct NamedFiles {
    files: Arc<dyn FileSource>,
}

impl NamedFiles {
    pub(super) fn around(files: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self { files })
    }
}

impl FileSource for NamedFiles {
    fn create_file_opener(&self, store: Arc<dyn ObjectStore>, scan: &FileScanConfig, partition: usize) -> Result<Arc<dyn FileOpener>> {
        Ok(Arc::new(NamedOpener { opener: self.files.create_file_opener(Unpacked::around(store), scan, partition)? }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.files.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Self::around(self.files.with_batch_size(batch_size))
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
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node: pushed.updated_node.map(Self::around) })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(self.files.try_pushdown_sort(order, properties)?.map(Self::around))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.files.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.files.try_pushdown_projection(projection)?.map(Self::around))
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.files.apply_expressions(f)
    }
}

struct NamedOpener {
    opener: Arc<dyn FileOpener>,
}

impl FileOpener for NamedOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let path: Arc<str> = file.object_meta.location.as_ref().into();
        let name = move |error: DataFusionError| read_failure_in_file(error, &path);
        let opening = self.opener.open(file).map_err(&name)?;
        let opened = async move {
            let batches = opening.await.map_err(&name)?;
            Ok(batches.map_err(name).boxed())
        };
        Ok(opened.boxed())
    }
}
