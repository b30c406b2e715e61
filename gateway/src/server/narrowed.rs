//! A snapshot as a limited role sees it: its schemas, its tables, and of those its columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use causeway_catalog::{CatalogSnapshot, ForeignTable, SnapshotSchema};
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use crate::roles::{Role, VisibleColumns};

/// What `role` sees of `snapshot`.
pub(super) fn narrowed(snapshot: &CatalogSnapshot, role: &Role) -> CatalogSnapshot {
    let seen = snapshot.schemas.iter().filter(|(name, _)| role.sees_schema(name));
    let schemas = seen.map(|(name, schema)| {
        let schema = if role.sees_all_of(name) { Arc::clone(schema) } else { Arc::new(tables_of(name, schema, role)) };
        (name.clone(), schema)
    });
    CatalogSnapshot { version: snapshot.version, schemas: schemas.collect(), replaced: snapshot.replaced.clone() }
}

fn tables_of(name: &str, schema: &SnapshotSchema, role: &Role) -> SnapshotSchema {
    let mut tables = BTreeMap::new();
    for (table, published) in &schema.tables {
        let seen = match role.sees(name, table) {
            None => continue,
            Some(VisibleColumns::All) => Arc::clone(published),
            Some(VisibleColumns::Only(columns)) => match columns_of(published, columns) {
                Ok(seen) => Arc::new(seen),
                Err(error) => {
                    tracing::error!(schema = name, table, %error, "a table cannot be narrowed to a role's columns, which does not see it");
                    continue;
                }
            },
        };
        tables.insert(table.clone(), seen);
    }
    let broken = schema.broken.iter().filter(|(table, _)| role.sees(name, table).is_some());
    let broken = broken.map(|(table, reason)| (table.clone(), Arc::clone(reason))).collect();
    SnapshotSchema { tables, broken, ..schema.clone() }
}

/// The table with those of its columns that are named. The planner takes the view for what it reads, so all is pushed down as before.
fn columns_of(table: &ForeignTable, names: &[String]) -> Result<ForeignTable> {
    let fields = table.columns.fields();
    let kept: Vec<usize> = (0..fields.len()).filter(|&column| names.contains(fields[column].name())).collect();
    let reference = TableReference::bare(table.name.as_str());
    let columns = kept.iter().map(|&column| Expr::Column(Column::new(Some(reference.clone()), fields[column].name().as_str())));
    let plan = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(Arc::clone(&table.provider)), None)?
        .project(columns.collect::<Vec<_>>())?
        .build()?;
    Ok(ForeignTable {
        columns: Arc::new(table.columns.project(&kept)?),
        remote_columns: kept.iter().map(|&column| table.remote_columns[column]).collect(),
        provider: Arc::new(ViewTable::new(plan, None)) as Arc<dyn TableProvider>,
        writable: false,
        ..table.clone()
    })
}
