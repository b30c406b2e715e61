//! A remote table as DataFusion sees it: translated filters, projection and limit become one select statement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::narrow::{Narrow, Narrowed};
use super::select::{Select, SelectItem};
use super::translate::{TableScope, Translation, translate};
use super::{Origin, Reliance, RemoteScan, RemoteSql, ScanLimits, SqlRemote, TableStatistics};
use crate::remote::{RemoteTable, TableKind};

/// Rows in a batch when the session does not say.
const BATCH_ROWS: usize = 8192;

/// A smaller share of a table's rows is read in one stream.
const FEW: f64 = 0.01;

/// A table of a remote that takes SQL.
#[derive(Debug, Clone)]
pub struct SqlTable {
    remote: Arc<dyn SqlRemote>,
    table: Arc<RemoteTable>,
    schema: SchemaRef,
    query_timeout: Option<Duration>,
}

impl SqlTable {
    /// A table of `remote`; one statement on it may take `query_timeout`.
    pub fn new(remote: Arc<dyn SqlRemote>, table: RemoteTable, query_timeout: Option<Duration>) -> Self {
        let schema = table.arrow_schema();
        Self { remote, table: Arc::new(table), schema, query_timeout }
    }

    /// The remote it is read from.
    pub fn remote(&self) -> &Arc<dyn SqlRemote> {
        &self.remote
    }

    /// What the remote said about it.
    pub fn table(&self) -> &Arc<RemoteTable> {
        &self.table
    }

    /// What one scan of it may take.
    pub fn limits(&self) -> ScanLimits {
        ScanLimits::new(self.query_timeout, BATCH_ROWS)
    }

    /// The select statement that reads `projection` of the rows `filters` leave.
    pub fn select(&self, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Select {
        let dialect = self.remote.dialect();
        let all: Vec<usize> = (0..self.table.columns.len()).collect();
        let items = projection
            .unwrap_or(&all)
            .iter()
            .map(|&index| {
                let column = &self.table.columns[index];
                let quoted = dialect.quote(&column.name);
                let sql = dialect.fetched(column, &quoted);
                let alias = (sql != quoted).then_some(quoted);
                SelectItem { sql, alias }
            })
            .collect();
        // A filter that arrives here was answered Exact or Superset below; a limit only arrives when all were Exact.
        let filter = self.translated(filters).collect();
        Select {
            items,
            from: dialect.table(&self.table.schema, &self.table.name),
            filter,
            limit: limit.filter(|_| self.remote.capabilities().limit).map(|limit| limit as u64),
            ..Select::default()
        }
    }

    /// What the source believes of the table, if only how many rows it has.
    fn estimates(&self) -> Option<Arc<TableStatistics>> {
        let rows = || Some(TableStatistics { rows: self.table.row_estimate?, ..TableStatistics::default() });
        self.remote.statistics(&self.table).or_else(|| rows().map(Arc::new))
    }

    /// How many rows `filters` are believed to leave.
    pub fn believed_rows(&self, filters: &[Expr]) -> Option<u64> {
        let statistics = self.estimates()?;
        Some((statistics.rows as f64 * statistics.share(filters)).round() as u64)
    }

    /// Those of `filters` that the source can be told.
    fn translated(&self, filters: &[Expr]) -> impl Iterator<Item = String> {
        let dialect = self.remote.dialect();
        let scope = TableScope::new(&self.table, dialect, None);
        filters.iter().filter_map(move |filter| match translate(dialect, filter, &scope) {
            Translation::Exact(sql) | Translation::Superset(sql) => Some(sql),
            Translation::Local(_) => None,
        })
    }

    /// This table, and those of its columns that `filters` compute with, if they run at the source.
    pub fn reliance(&self, filters: &[Expr]) -> Reliance {
        let mut reliance = Reliance::of(&self.table);
        for column in filters.iter().flat_map(Expr::column_refs) {
            if let Ok(index) = self.schema.index_of(&column.name) {
                reliance.on(&self.table, index);
            }
        }
        reliance
    }
}

#[async_trait]
impl TableProvider for SqlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        match self.table.kind {
            TableKind::View | TableKind::MaterializedView => TableType::View,
            TableKind::Table | TableKind::PartitionedTable | TableKind::ForeignTable => TableType::Base,
        }
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.estimates()?.of_scan(&self.schema, &[], None))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let dialect = self.remote.dialect();
        let scope = TableScope::new(&self.table, dialect, None);
        let filterable = self.remote.capabilities().filter;
        Ok(filters
            .iter()
            .map(|filter| match translate(dialect, filter, &scope) {
                Translation::Exact(_) if filterable => TableProviderFilterPushDown::Exact,
                Translation::Superset(_) if filterable => TableProviderFilterPushDown::Inexact,
                Translation::Exact(_) | Translation::Superset(_) | Translation::Local(_) => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let select = self.select(projection, filters, limit);
        let columns = projection.cloned().unwrap_or_else(|| (0..self.table.columns.len()).collect());
        let origins = columns.into_iter().map(|index| Some(Origin::new(&self.table, index))).collect();
        let sql = RemoteSql { text: select.render(self.remote.dialect()), reliance: self.reliance(filters), origins };
        let statistics = self.estimates();
        let share = statistics.as_ref().map_or(1.0, |statistics| statistics.share(filters));
        let streams = state.config().target_partitions();
        // A limit is reached soon, and few rows are found without reading all of them.
        let split = if limit.is_none() && share >= FEW { Arc::clone(&self.remote).split(&self.table, &select, streams) } else { None };
        let mut scan = RemoteScan::new(Arc::clone(&self.remote), sql.clone(), Arc::clone(&schema), self.limits());
        if let Some(split) = split {
            scan = scan.in_streams(split, &select);
        }
        // What a limit stops early must not be waited for, nor may another condition come before it.
        if limit.is_none() && self.remote.capabilities().filter {
            scan = scan.narrowed_by(Arc::new(TableSelect { table: self.clone(), select, sql, schema: Arc::clone(&schema) }));
        }
        if let Some(statistics) = statistics {
            scan = scan.with_statistics(statistics.of_scan(&schema, filters, limit));
        }
        Ok(Arc::new(scan))
    }
}

/// A select on a bare table.
#[derive(Debug)]
struct TableSelect {
    table: SqlTable,
    select: Select,
    sql: RemoteSql,
    schema: SchemaRef,
}

impl Narrow for TableSelect {
    fn columns(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn narrowed(&self, conditions: &[Expr]) -> Option<Narrowed> {
        let conditions: Vec<Expr> = conditions.iter().flat_map(split_conjunction).cloned().collect();
        let added: Vec<String> = self.table.translated(&conditions).collect();
        if added.is_empty() {
            return None;
        }
        let mut select = self.select.clone();
        select.filter.extend_from_slice(&added);
        let mut sql = RemoteSql { text: select.render(self.table.remote.dialect()), ..self.sql.clone() };
        sql.reliance.merge(&self.table.reliance(&conditions));
        Some(Narrowed { sql, added: added.join(" AND "), table: Some((Arc::clone(&self.table.table), select)) })
    }
}
