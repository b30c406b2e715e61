//! A table of files: DataFusion's listing table over the datasource's own store.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, TableReference, project_schema};
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::compute_all_files_statistics;

use super::connect::{read_failure, still_there};
use super::folder_keys::{self, KeyFilter};
use super::layout::{Format, Layout, Place};
use super::parquet_files::ParquetFiles;
use super::scan::SourceScan;
use super::session::SourceSession;
use super::source::{STORE, Source, registry_of};
use super::table_files::TableFiles;
use super::table_format::TableFormat;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteTable;

/// A file or folder of files as a table.
#[derive(Debug)]
pub(super) struct FilesTable {
    source: Arc<Source>,
    /// The published columns; the last of them are keys of folders.
    schema: SchemaRef,
    listing: ListingTable,
    layout: Arc<Layout>,
}

impl FilesTable {
    pub(super) fn new(source: Arc<Source>, layout: Arc<Layout>, table: &RemoteTable) -> Result<Self> {
        let internal =
            |e: DataFusionError| Error::new(ErrorKind::Internal, format!("the files of \"{}\" cannot be described", table.name)).because(e);
        let partitions = &layout.partitions;
        let all = table.arrow_schema();
        let (own, keys): (Vec<_>, Vec<_>) = all.fields().iter().cloned().partition(|field| !partitions.contains(field.name()));
        if keys.len() != partitions.len() {
            return Err(Error::new(ErrorKind::Conflict, format!("the folders of \"{}\" have other keys than before", table.name))
                .hint("refresh the datasource's catalog"));
        }
        let options = ListingOptions::new(TableFormat::of(Arc::clone(&layout)))
            .with_file_extension("")
            .with_table_partition_cols(partitions.iter().map(|key| (key.clone(), DataType::Utf8)).collect());
        let own = Schema::new(own);
        let schema =
            Arc::new(Schema::new(own.fields().iter().cloned().chain(folder_keys::columns(partitions).iter().cloned()).collect::<Fields>()));
        let config = ListingTableConfig::new(url(&layout).map_err(internal)?).with_listing_options(options).with_schema(Arc::new(own));
        let listing = ListingTable::try_new(config).map_err(internal)?.with_cache(source.statistics());
        Ok(Self { source, schema, listing, layout })
    }

    /// What an error is about when it does not name a file.
    fn what(&self) -> String {
        match &self.layout.place {
            Place::File(path) => path.clone(),
            Place::Folder(_) | Place::Glob(_) => format!("a file of {}", self.layout.place.path()),
        }
    }

    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        still_there(&self.source.location.shown).map_err(|e| e.at(self.source.id.as_str()))?;
        let keys = &self.layout.partitions;
        let (of_folders, of_rows): (Vec<Expr>, Vec<Expr>) = filters.iter().cloned().partition(|filter| folder_keys::is_about(keys, filter));
        let filter = if of_folders.is_empty() { None } else { Some(KeyFilter::new(keys, &of_folders, state, &self.source.id)?) };
        let is_filtered = filter.is_some();
        // It lists the files that are to be read, and so DataFusion knows nothing of these filters.
        let (store, layout) = (Arc::clone(&self.source.location.store), Arc::clone(&self.layout));
        let files = registry_of(TableFiles::of(store, layout, Arc::clone(&self.source.lists), filter))?;
        let session = SourceSession::new(state, self.source.runtime_of_table(state.runtime_env(), &files));
        let plan = self.listing.scan(&session, projection, &of_rows, limit).await?;
        let scan = plan.downcast_ref::<DataSourceExec>().and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>());
        let Some(scan) = scan else {
            if is_filtered {
                return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
            }
            return Err(self.gone().into());
        };
        let scan = &self.with_nulls(scan)?;
        let scan = match self.layout.format {
            Format::Parquet => {
                let source = ParquetFiles::around(Arc::clone(scan.file_source()), &self.layout.name);
                FileScanConfigBuilder::from(scan.clone()).with_source(source).build()
            }
            Format::Csv(_) | Format::Json => scan.clone(),
        };
        Ok(DataSourceExec::from_data_source(SourceScan::new(Arc::new(scan), Arc::clone(&self.source), self.what())))
    }

    /// The same scan with keys that are NULL, which DataFusion takes for texts.
    fn with_nulls(&self, scan: &FileScanConfig) -> DataFusionResult<FileScanConfig> {
        let mut any = false;
        let groups = scan.file_groups.iter().cloned().map(|group| {
            let files = group.into_inner().into_iter().map(|mut file| {
                any |= set_null_keys(&self.layout, &mut file);
                file
            });
            FileGroup::new(files.collect())
        });
        let groups: Vec<FileGroup> = groups.collect();
        if !any {
            return Ok(scan.clone());
        }
        let is_exact = matches!(scan.statistics().num_rows, Precision::Exact(_));
        let (groups, statistics) = compute_all_files_statistics(groups, Arc::clone(&self.schema), true, !is_exact)?;
        Ok(FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).with_statistics(statistics).build())
    }

    fn gone(&self) -> Error {
        let text = match &self.layout.place {
            Place::File(path) => format!("{path} is empty or no longer there"),
            Place::Folder(path) => format!("{path} holds no files any more"),
            Place::Glob(glob) => format!("{} has no files any more", glob.text()),
        };
        Error::new(ErrorKind::NotFound, text).at(self.source.id.as_str()).hint("refresh the datasource's catalog")
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.listing.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let plan = self.source.within_query_timeout(self.plan(state, projection, filters, limit)).await?;
        plan.map_err(|e| read_failure(e, &self.what(), &self.source.id))
    }
}

/// Sets the keys that are NULL, in the file's statistics too; says whether there are any.
fn set_null_keys(layout: &Layout, file: &mut PartitionedFile) -> bool {
    let Some(values) = layout.key_values(file.object_meta.location.as_ref()) else { return false };
    let nulls: Vec<usize> = values.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(place, _)| place).collect();
    for key in &nulls {
        if let Some(value) = file.partition_values.get_mut(*key) {
            *value = ScalarValue::Utf8(None);
        }
        let Some(statistics) = &mut file.statistics else { continue };
        let statistics = Arc::make_mut(statistics);
        let rows = statistics.num_rows;
        // They end with those of the keys.
        let first = statistics.column_statistics.len().saturating_sub(values.len());
        if let Some(column) = statistics.column_statistics.get_mut(first + key) {
            *column = ColumnStatistics { null_count: rows, ..ColumnStatistics::new_unknown() };
        }
    }
    !nulls.is_empty()
}

/// Where the listing looks. Which files there are the table's is decided by [`TableFiles`].
fn url(layout: &Layout) -> DataFusionResult<ListingTableUrl> {
    let path = encoded(layout.place.base());
    let url = match layout.place {
        Place::File(_) => format!("{STORE}{path}"),
        Place::Folder(_) | Place::Glob(_) if path.is_empty() => STORE.to_owned(),
        Place::Folder(_) | Place::Glob(_) => format!("{STORE}{path}/"),
    };
    // Lists that are kept are kept by table: two may have one folder.
    Ok(ListingTableUrl::parse(url)?.with_table_ref(TableReference::bare(layout.name.as_str())))
}

/// A path as the path of a URL.
fn encoded(path: &str) -> String {
    let mut url = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
