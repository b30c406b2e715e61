//! A table's format as DataFusion's listing of files asks for it: what reads the files, keys of folders that may be NULL, statistics whose
//! errors name the file, and for text files an estimate of their rows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::not_impl_err;
use datafusion::common::stats::Precision;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::file_format::{FileFormat, FileMeta};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSinkConfig, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, LexRequirement};
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use object_store::{ObjectMeta, ObjectStore};

use super::connect::{FileName, read_failure_in_file};
use super::folder_keys;
use super::layout::{Format, Layout};
use super::parquet_files::{panicked, parquet_format};
use super::text_files::{TextFiles, TextFormat};
use super::type_mapping::{common, publish};
use crate::error::ErrorKind;

/// The format of a table's files.
#[derive(Debug)]
pub(super) struct TableFormat {
    /// DataFusion's, for files that are of that format.
    parquet: ParquetFormat,
    layout: Arc<Layout>,
    table: Arc<str>,
}

impl TableFormat {
    pub(super) fn of(layout: Arc<Layout>) -> Arc<dyn FileFormat> {
        let table = layout.name.as_str().into();
        Arc::new(Self { parquet: parquet_format(), layout, table })
    }

    /// What the sample tells of the rows of a whole file.
    fn estimate(&self, schema: &SchemaRef, file: &ObjectMeta) -> Statistics {
        let known =
            |estimate: Option<u64>| estimate.and_then(|known| usize::try_from(known).ok()).map_or(Precision::Absent, Precision::Inexact);
        let volume = self.layout.volume;
        Statistics {
            num_rows: known(volume.rows_in(file.size)),
            total_byte_size: known(volume.unpacked_in(file.size)),
            ..Statistics::new_unknown(schema)
        }
    }
}

/// A file that was written since the last look may have other types than the table. It is read only if they lose nothing.
fn holds_its_columns(table: &Schema, file: &Schema, name: &FileName) -> Result<()> {
    for column in table.fields() {
        let Ok(found) = file.field_with_name(column.name()) else { continue };
        let common = common(&publish(found.data_type()), &publish(column.data_type()));
        if common.as_ref() != Some(column.data_type()) {
            let error = name.error(ErrorKind::Invalid, |path| {
                format!("{path}: column \"{}\" is {}, and {} in the table", column.name(), found.data_type(), column.data_type())
            });
            return Err(error.hint("refresh the datasource's catalog if the file is right, or mend the file").into());
        }
    }
    Ok(())
}

/// Forgets those of floats, because writers leave NaN out of them and take one zero for the other: a file from 1 to 1 may hold NaN. And
/// those of columns that have another type in the table: they would be compared with other files' as they are.
fn forget_extremes(table: &Schema, file: &Schema, statistics: &mut Statistics) {
    for (column, known) in table.fields().iter().zip(&mut statistics.column_statistics) {
        let is_same = file.field_with_name(column.name()).is_ok_and(|found| found.data_type() == column.data_type());
        if !is_same || column.data_type().is_floating() {
            (known.min_value, known.max_value, known.sum_value) = (Precision::Absent, Precision::Absent, Precision::Absent);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileFormat for TableFormat {
    fn get_ext(&self) -> String {
        // Which files are the table's is not told by their names' ends alone.
        String::new()
    }

    fn get_ext_with_compression(&self, _compression: &FileCompressionType) -> Result<String> {
        Ok(String::new())
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        None
    }

    async fn infer_schema(&self, _session: &dyn Session, _store: &Arc<dyn ObjectStore>, _files: &[ObjectMeta]) -> Result<SchemaRef> {
        not_impl_err!("a table's columns are known before it is read")
    }

    async fn infer_stats(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(self.infer_stats_and_ordering(session, store, schema, file).await?.statistics)
    }

    async fn infer_ordering(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<Option<LexOrdering>> {
        Ok(self.infer_stats_and_ordering(session, store, schema, file).await?.ordering)
    }

    async fn infer_stats_and_ordering(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<FileMeta> {
        match self.layout.format {
            Format::Csv(_) | Format::Json => Ok(FileMeta::new(self.estimate(&schema, file))),
            Format::Parquet => {
                let name = FileName::new(file.location.as_ref(), &self.table);
                let told = async {
                    let found = self.parquet.infer_schema(session, store, std::slice::from_ref(file)).await?;
                    let told = self.parquet.infer_stats_and_ordering(session, store, Arc::clone(&schema), file).await?;
                    Ok((found, told))
                };
                let told = AssertUnwindSafe(told).catch_unwind().await;
                let (found, mut told) = told.unwrap_or_else(|panic| Err(panicked(panic))).map_err(|e| read_failure_in_file(e, &name))?;
                holds_its_columns(&schema, &found, &name)?;
                forget_extremes(&schema, &found, &mut told.statistics);
                Ok(told)
            }
        }
    }

    async fn create_physical_plan(&self, session: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        match self.layout.format {
            Format::Parquet => self.parquet.create_physical_plan(session, scan).await,
            Format::Csv(_) | Format::Json => Ok(DataSourceExec::from_data_source(scan)),
        }
    }

    async fn create_writer_physical_plan(
        &self,
        _input: Arc<dyn ExecutionPlan>,
        _session: &dyn Session,
        _sink: FileSinkConfig,
        _order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        not_impl_err!("files are read and not written")
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        let keys: Vec<_> = folder_keys::columns(&self.layout.partitions).iter().cloned().collect();
        let schema = TableSchema::builder(Arc::clone(schema.file_schema())).with_table_partition_cols(keys).build();
        let text = |format| Arc::new(TextFiles::new(format, schema.clone(), Arc::clone(&self.table)));
        match self.layout.format {
            Format::Parquet => self.parquet.file_source(schema),
            Format::Csv(delimiter) => text(TextFormat::Csv(delimiter)),
            Format::Json => text(TextFormat::Json),
        }
    }
}
