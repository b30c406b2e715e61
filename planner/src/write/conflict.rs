//! `ON CONFLICT`: what the source does with a row whose key is there already.

use causeway_providers::sql::Reliance;
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{ConflictTarget, DoUpdate, OnConflictAction, OnInsert, TableFactor};

use super::change::{Assigned, assigned_list, assignments_of, conditions, reliance};
use super::flat::{ChangedTable, EXCLUDED, Flat};
use super::syntax::{factor, only, select, statement, unsupported};
use super::target::Target;
use super::{Planning, of};
use crate::error::Result;
use crate::query::Query;

/// A planned `ON CONFLICT`.
pub(super) struct Conflict {
    /// `ON CONFLICT` and what it names, as the source writes it.
    on: String,
    /// What is done about it; `None` does nothing.
    update: Option<Box<(Query, Vec<Assigned>)>>,
}

/// `ON CONFLICT` as a statement has it; empty without.
#[derive(Default)]
pub(super) struct ConflictClause {
    /// In the source's words.
    pub(super) text: String,
    /// Whether it changes the rows that are there.
    pub(super) updates: bool,
    /// What it computes with.
    pub(super) reliance: Reliance,
}

impl Conflict {
    /// Plans the clause of an insert into `into`. `types` are those of the statement's parameters so far, and after.
    pub(super) async fn plan(
        planning: &Planning<'_>,
        target: &Target,
        into: &TableFactor,
        on: &OnInsert,
        types: &mut Vec<DataType>,
    ) -> Result<Self> {
        let OnInsert::OnConflict(conflict) = on else {
            return Err(unsupported("ON DUPLICATE KEY UPDATE", "Write ON CONFLICT (key) DO UPDATE SET ..."));
        };
        let dialect = target.dialect();
        if !target.changes().forms().on_conflict {
            return Err(unsupported("ON CONFLICT on this datasource", "Update first, and insert what was not there."));
        }
        let on = match &conflict.conflict_target {
            None => "ON CONFLICT".to_owned(),
            Some(ConflictTarget::Columns(names)) => {
                let name = |name| Ok(dialect.quote(&target.column(target.position(name)?).name));
                format!("ON CONFLICT ({})", names.iter().map(name).collect::<Result<Vec<_>>>()?.join(", "))
            }
            Some(ConflictTarget::OnConstraint(_)) => {
                return Err(unsupported("ON CONFLICT ON CONSTRAINT", "Name the columns of the key in parentheses."));
            }
        };
        let OnConflictAction::DoUpdate(DoUpdate { assignments, selection }) = &conflict.action else {
            return Ok(Self { on, update: None });
        };
        let (assigned, items) = assignments_of(target, assignments)?;
        let mut from = only(into.clone());
        from.extend(only(factor(&name_of(into), Some(EXCLUDED))?));
        let declared: Vec<_> = types.iter().cloned().map(Some).collect();
        let query = planning.wording(statement(select(items, from, selection.clone())?), &declared).await?;
        if query.parameter_types().len() > types.len() {
            *types = query.parameter_types().to_vec();
        }
        Ok(Self { on, update: Some(Box::new((query, assigned))) })
    }

    /// The clause for these parameters.
    pub(super) fn clause(&self, target: &Target, parameters: &[ScalarValue]) -> Result<ConflictClause> {
        let nothing = || ConflictClause { text: format!("{} DO NOTHING", self.on), ..ConflictClause::default() };
        let Some((query, assigned)) = self.update.as_deref() else { return Ok(nothing()) };
        let flat = Flat::of(&query.simplified(of(query, parameters))?)?;
        if flat.is_empty() {
            return Ok(nothing());
        }
        let own = target.dialect().quote(&target.table().name);
        let scope = ChangedTable::new(target.table(), target.changes(), Some(&own)).assigned();
        let list = assigned_list(target, assigned, &flat, &scope)?;
        let condition = conditions(target, &flat, Some(&own))?.map_or_else(String::new, |conditions| format!(" WHERE {conditions}"));
        let text = format!("{} DO UPDATE SET {list}{condition}", self.on);
        Ok(ConflictClause { text, updates: true, reliance: reliance(target, &flat, assigned) })
    }
}

fn name_of(factor: &TableFactor) -> String {
    match factor {
        TableFactor::Table { name, .. } => name.to_string(),
        other => other.to_string(),
    }
}
