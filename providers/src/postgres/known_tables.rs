//! What the last looks told of the tables' facts and values. It is no part of what a table is: it may be old, and only plans
//! depend on it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::shape::Shape;
use crate::remote::{RemoteTable, Scope};
use crate::sql::{ColumnEstimate, TableStatistics};

/// How old what is known of the values may be. Looks come more often than they change, and they are most of what a look would read.
const VALUES_LAST: Duration = Duration::from_secs(300);

/// What a look tells of tables by remote schema and name.
pub(super) type Facts = HashMap<(String, String), TableFacts>;

/// How large a table is, as the source keeps count, and what it is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TableFacts {
    /// Its rows; `None` for a view.
    pub(super) rows: Option<u64>,
    /// Its blocks, or those of its largest part; `None` when it is not read by blocks.
    pub(super) blocks: Option<u64>,
    pub(super) shape: Shape,
    /// Its values, by column.
    pub(super) columns: HashMap<String, ColumnValues>,
}

/// The values of a column as `pg_stats` has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ColumnValues {
    pub(super) null_fraction: f64,
    /// How many distinct values; a negative number is their share of the rows, zero is unknown.
    pub(super) distinct: f64,
    pub(super) width: u64,
    /// Between which most of them are.
    pub(super) range: Option<(f64, f64)>,
}

/// What is known of a datasource's tables.
#[derive(Debug, Default)]
pub(super) struct KnownTables(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    tables: HashMap<String, HashMap<String, Table>>,
    values_since: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Table {
    blocks: Option<u64>,
    shape: Arc<Shape>,
    statistics: Option<Arc<TableStatistics>>,
}

impl KnownTables {
    /// Whether the next look should ask for values.
    pub(super) fn values_are_due(&self) -> bool {
        self.read(|known| known.values_since.is_none_or(|since| since.elapsed() > VALUES_LAST))
    }

    /// Takes in what a look at `scope` saw; it asked for values if `values` says so.
    pub(super) fn learn(&self, scope: &Scope, facts: Facts, values: bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = HashMap::new();
        if scope.schemas.is_empty() {
            std::mem::swap(&mut before, &mut known.tables);
        } else {
            before.extend(scope.schemas.iter().filter_map(|schema| known.tables.remove_entry(schema)));
        }
        for ((schema, name), size) in facts {
            let former = before.get(&schema).and_then(|tables| tables.get(&name)).and_then(|table| table.statistics.as_deref());
            // None at all is what a server says of a table that it has not looked at yet, too.
            let statistics = size.rows.filter(|rows| *rows > 0).map(|rows| {
                let columns = match former {
                    Some(former) if !values => former.columns.clone(),
                    Some(_) | None => size.columns.into_iter().map(|(name, column)| (name, estimate(column, rows))).collect(),
                };
                Arc::new(TableStatistics { rows, columns })
            });
            known.tables.entry(schema).or_default().insert(name, Table { blocks: size.blocks, shape: Arc::new(size.shape), statistics });
        }
        if values {
            known.values_since = Some(Instant::now());
        }
    }

    /// The blocks of a table that may be read by blocks.
    pub(super) fn blocks(&self, table: &RemoteTable) -> Option<u64> {
        self.read(|known| known.tables.get(&table.schema)?.get(&table.name)?.blocks)
    }

    /// What a table was made of.
    pub(super) fn shape(&self, table: &RemoteTable) -> Option<Arc<Shape>> {
        self.read(|known| Some(Arc::clone(&known.tables.get(&table.schema)?.get(&table.name)?.shape)))
    }

    /// Notes that a table whose columns are still those of `shape` is `relation` now, and who wrote them. What a look has seen since
    /// stays.
    pub(super) fn is_written(&self, table: &RemoteTable, shape: &Arc<Shape>, relation: u32, written: Option<i64>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = known.tables.get_mut(&table.schema).and_then(|tables| tables.get_mut(&table.name));
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.shape, shape)) {
            known.shape = Arc::new(Shape { relation, written, columns: shape.columns.clone() });
        }
    }

    /// The statistics of a table.
    pub(super) fn statistics(&self, table: &RemoteTable) -> Option<Arc<TableStatistics>> {
        self.read(|known| known.tables.get(&table.schema)?.get(&table.name)?.statistics.clone())
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        // A look that was cut short has left fewer tables known, which is always right.
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn estimate(column: ColumnValues, rows: u64) -> ColumnEstimate {
    let distinct = match column.distinct {
        0.0 => None,
        share if share < 0.0 => Some((-share * rows as f64).ceil() as u64),
        count => Some(count as u64),
    };
    ColumnEstimate { null_fraction: column.null_fraction.clamp(0.0, 1.0), distinct, width: column.width, range: column.range }
}
