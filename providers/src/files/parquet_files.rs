//! Parquet as DataFusion's file source, whose errors name their file. The reader takes for granted that a file is what its footer says,
//! and may panic over one that is not: that is an error too.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;

use super::connect::{FileName, read_failure_in_file};

/// Parquet with types that stay the same whatever the session's settings are.
pub(super) fn parquet_format() -> ParquetFormat {
    // INT96 as nanoseconds, the default, wraps around outside of 1677 to 2262.
    ParquetFormat::default().with_force_view_types(false).with_coerce_int96(Some("us".to_owned()))
}

/// Parquet files whose errors name them.
pub(super) struct ParquetFiles {
    files: Arc<dyn FileSource>,
    table: Arc<str>,
}

impl ParquetFiles {
    pub(super) fn around(files: Arc<dyn FileSource>, table: &str) -> Arc<dyn FileSource> {
        Arc::new(Self { files, table: table.into() })
    }

    fn with(&self, files: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self { files, table: Arc::clone(&self.table) })
    }

    /// Whether rows would be skipped by what row groups and pages say of floats: that leaves NaN out.
    fn may_be_about_floats(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        let schema = self.files.table_schema().table_schema();
        let is_float = |name: &str| schema.field_with_name(name).map_or(true, |field| field.data_type().is_floating());
        collect_columns(filter).iter().any(|column| is_float(column.name()))
    }
}

impl FileSource for ParquetFiles {
    fn create_file_opener(&self, store: Arc<dyn ObjectStore>, scan: &FileScanConfig, partition: usize) -> Result<Arc<dyn FileOpener>> {
        self.files.create_file_opener(store, scan, partition)
    }

    fn create_morselizer(&self, store: Arc<dyn ObjectStore>, scan: &FileScanConfig, partition: usize) -> Result<Box<dyn Morselizer>> {
        let files = self.files.create_morselizer(store, scan, partition)?;
        Ok(Box::new(Named { within: files, table: Arc::clone(&self.table) }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.files.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.with(self.files.with_batch_size(batch_size))
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
        // It returns a copy of `scan`, with this source in it.
        self.files.repartitioned(target_partitions, minimum_size, ordering, scan)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let sound: Vec<bool> = filters.iter().map(|filter| !self.may_be_about_floats(filter)).collect();
        let taken = filters.into_iter().zip(&sound).filter(|(_, is_sound)| **is_sound).map(|(filter, _)| filter).collect();
        let pushed = self.files.try_pushdown_filters(taken, config)?;
        let mut answers = pushed.filters.into_iter();
        let answer = |is_sound: bool| if is_sound { answers.next().unwrap_or(PushedDown::No) } else { PushedDown::No };
        let filters = sound.into_iter().map(answer).collect();
        Ok(FilterPushdownPropagation { filters, updated_node: pushed.updated_node.map(|files| self.with(files)) })
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

/// What plans the reading of files, with the table's name.
#[derive(Debug)]
struct Named<T: ?Sized> {
    table: Arc<str>,
    within: Box<T>,
}

impl Morselizer for Named<dyn Morselizer> {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let name = FileName::new(file.object_meta.location.as_ref(), &self.table);
        let planner = guarded(&name, || self.within.plan_file(file))?;
        Ok(Box::new(OfFile { name, within: planner }))
    }
}

/// A part of the reading of one file.
#[derive(Debug)]
struct OfFile<T: ?Sized> {
    name: FileName,
    within: Box<T>,
}

fn planners(planners: Vec<Box<dyn MorselPlanner>>, name: &FileName) -> Vec<Box<dyn MorselPlanner>> {
    planners.into_iter().map(|within| Box::new(OfFile { name: name.clone(), within }) as Box<dyn MorselPlanner>).collect()
}

impl MorselPlanner for OfFile<dyn MorselPlanner> {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { name, within } = *self;
        let Some(mut plan) = guarded(&name, || within.plan())? else { return Ok(None) };
        let morsels = plan.take_morsels().into_iter();
        let morsels = morsels.map(|within| Box::new(OfFile { name: name.clone(), within }) as Box<dyn Morsel>).collect();
        let ready = planners(plan.take_ready_planners(), &name);
        let mut named = MorselPlan::new().with_morsels(morsels).with_planners(ready);
        if let Some(pending) = plan.take_pending_planner() {
            named.set_pending_planner(async move {
                let planner = AssertUnwindSafe(pending).catch_unwind().await;
                let within = planner.unwrap_or_else(|panic| Err(panicked(panic))).map_err(|e| read_failure_in_file(e, &name))?;
                Ok(Box::new(OfFile { name, within }) as Box<dyn MorselPlanner>)
            });
        }
        Ok(Some(named))
    }
}

impl Morsel for OfFile<dyn Morsel> {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { name, within } = *self;
        match guarded(&name, || Ok(within.into_stream())) {
            Ok(batches) => {
                let batches = AssertUnwindSafe(batches).catch_unwind();
                let named = move |read: std::thread::Result<Result<RecordBatch>>| {
                    read.unwrap_or_else(|panic| Err(panicked(panic))).map_err(|e| read_failure_in_file(e, &name))
                };
                batches.map(named).boxed()
            }
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }
}

/// Runs a part of the reader that may panic over a damaged file.
fn guarded<T>(name: &FileName, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic)));
    done.map_err(|e| read_failure_in_file(e, name))
}

/// The reader's panic as the error of Parquet that it stands for. The text may quote a value, and is left out.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> DataFusionError {
    drop(panic);
    DataFusionError::ParquetError(Box::new(datafusion::parquet::errors::ParquetError::General("the reader panicked".to_owned())))
}
