//! A finished statement that takes in conditions which are only known while the plan runs: keys of the other side of a join.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::split_conjunction;

use causeway_providers::sql::{Narrow, Narrowed, Translation, translate};

use super::open::OpenSelect;

/// A select whose rows may still be narrowed. Its columns are called by their positions: two of them may have one name.
#[derive(Debug)]
pub(super) struct OpenToMore {
    open: OpenSelect,
    schema: DFSchema,
}

impl OpenToMore {
    /// `None` when a condition on its rows would change which these are, as after a limit.
    pub(super) fn of(open: &OpenSelect) -> Option<Self> {
        let is_one_group = open.grouping.as_ref().is_some_and(|grouping| grouping.keys.is_empty());
        if open.is_limited() || is_one_group || !open.remote.capabilities().filter {
            return None;
        }
        let field = |(at, column): (usize, &super::open::OpenColumn)| Field::new(format!("c{at}"), column.data_type().clone(), true);
        let fields: Fields = open.columns.iter().enumerate().map(field).collect();
        let schema = DFSchema::try_from(Schema::new(fields)).ok()?;
        Some(Self { open: open.clone(), schema })
    }
}

impl Narrow for OpenToMore {
    fn columns(&self) -> SchemaRef {
        Arc::clone(self.schema.inner())
    }

    fn narrowed(&self, conditions: &[Expr]) -> Option<Narrowed> {
        let mut open = self.open.clone();
        let mut added = Vec::new();
        for condition in conditions.iter().flat_map(split_conjunction) {
            match translate(open.dialect(), condition, &open.scope(&self.schema)) {
                Translation::Exact(sql) | Translation::Superset(sql) => added.push(sql),
                Translation::Local(_) => continue,
            }
            open.rely(condition, &self.schema);
        }
        if added.is_empty() {
            return None;
        }
        match &mut open.grouping {
            Some(grouping) => grouping.having.extend_from_slice(&added),
            None => open.filter.extend_from_slice(&added),
        }
        Some(Narrowed { sql: open.finish().0, added: added.join(" AND "), table: None })
    }
}
