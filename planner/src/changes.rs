//! What a statement would change, by its text alone: the gates are asked before anything is planned.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Delete, FromTable, Insert, ObjectName, ObjectNamePart, Query, SetExpr, Statement as SqlStatement, TableFactor, TableObject,
    TableWithJoins, Update, With,
};

/// A relation a statement would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRelation {
    /// Its schema, if the statement says.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// What of it.
    pub what: Changed,
}

/// What of a relation would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Its rows.
    Rows,
    /// Its definition, or that it is made.
    Definition,
    /// That it is there.
    Existence,
}

/// What a statement does to the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It inserts them.
    Insert,
    /// It updates them.
    Update,
    /// It deletes them.
    Delete,
}

/// A statement that changes rows of one table, in a form that is planned here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowChange<'a> {
    Insert(&'a Insert),
    Update(&'a Update),
    Delete(&'a Delete),
}

/// The change of rows that `statement` is, and the `WITH` in front of it.
pub(crate) fn row_change(statement: &SqlStatement) -> Option<(RowChange<'_>, Option<&With>)> {
    let (statement, with) = match statement {
        SqlStatement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => (inner, query.with.as_ref()),
            _ => return None,
        },
        other => (other, None),
    };
    let change = match statement {
        SqlStatement::Insert(insert) => RowChange::Insert(insert),
        SqlStatement::Update(update) => RowChange::Update(update),
        SqlStatement::Delete(delete) => RowChange::Delete(delete),
        _ => return None,
    };
    Some((change, with))
}

/// What `statement` does to the rows of a table, if it is one that does.
pub fn change_verb(statement: &Statement) -> Option<Verb> {
    let Statement::Statement(inner) = statement else { return None };
    let (change, _) = row_change(inner)?;
    Some(match change {
        RowChange::Insert(_) => Verb::Insert,
        RowChange::Update(_) => Verb::Update,
        RowChange::Delete(_) => Verb::Delete,
    })
}

/// What `statement` would change. Queries change nothing; statements this does not know are refused by the planner anyhow.
pub fn changes(statement: &Statement) -> Vec<ChangedRelation> {
    let mut found = Vec::new();
    match statement {
        Statement::Statement(inner) => collect(inner, &mut found),
        // To explain a change is to plan it.
        Statement::Explain(explain) => return changes(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {}
    }
    found
}

fn collect(statement: &SqlStatement, found: &mut Vec<ChangedRelation>) {
    let mut add = |name: &ObjectName, what| found.extend(change(name, what));
    match statement {
        SqlStatement::Insert(insert) => {
            if let TableObject::TableName(name) = &insert.table {
                add(name, Changed::Rows);
            }
        }
        SqlStatement::Update(update) => update_target(&update.table).into_iter().for_each(|name| add(name, Changed::Rows)),
        SqlStatement::Delete(delete) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
            tables.iter().filter_map(update_target).for_each(|name| add(name, Changed::Rows));
        }
        SqlStatement::Merge(merge) => factor(&merge.table).into_iter().for_each(|name| add(name, Changed::Rows)),
        SqlStatement::Truncate(truncate) => truncate.table_names.iter().for_each(|target| add(&target.name, Changed::Rows)),
        SqlStatement::CreateTable(create) => add(&create.name, Changed::Definition),
        SqlStatement::CreateView(create) => add(&create.name, Changed::Definition),
        SqlStatement::CreateIndex(create) => add(&create.table_name, Changed::Definition),
        SqlStatement::AlterTable(alter) => add(&alter.name, Changed::Definition),
        SqlStatement::Drop { names, .. } => names.iter().for_each(|name| add(name, Changed::Existence)),
        SqlStatement::Query(query) => written_in(query, found),
        _ => {}
    }
}

/// A change at the end of a `WITH`.
fn written_in(query: &Query, found: &mut Vec<ChangedRelation>) {
    match query.body.as_ref() {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => collect(inner, found),
        _ => {}
    }
}

fn update_target(table: &TableWithJoins) -> Option<&ObjectName> {
    factor(&table.relation)
}

fn factor(table: &TableFactor) -> Option<&ObjectName> {
    match table {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

fn change(name: &ObjectName, what: Changed) -> Option<ChangedRelation> {
    let part = |part: &ObjectNamePart| {
        let identifier = part.as_ident()?;
        // Unquoted names fold, quoted ones are exact.
        Some(if identifier.quote_style.is_some() { identifier.value.clone() } else { identifier.value.to_ascii_lowercase() })
    };
    let mut parts = name.0.iter().rev().map(part);
    let name = parts.next()??;
    Some(ChangedRelation { schema: parts.next().flatten(), name, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn statements_name_what_they_would_change() {
        let shown = |sql: &str| {
            let found = changes(&parse(sql).unwrap()[0]);
            let one =
                |change: &ChangedRelation| format!("{:?} {}.{}", change.what, change.schema.as_deref().unwrap_or_default(), change.name);
            found.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        for (sql, expected) in [
            ("SELECT * FROM crm.t", ""),
            ("INSERT INTO crm.T VALUES (1)", "Rows crm.t"),
            ("INSERT INTO \"T\" SELECT 1", "Rows .T"),
            ("UPDATE crm.t SET a = 1", "Rows crm.t"),
            ("DELETE FROM crm.t WHERE a = 1", "Rows crm.t"),
            ("WITH x AS (SELECT 1) INSERT INTO crm.t SELECT * FROM x", "Rows crm.t"),
            ("TRUNCATE crm.t", "Rows crm.t"),
            ("EXPLAIN INSERT INTO crm.t VALUES (1)", "Rows crm.t"),
            ("CREATE TABLE crm.t (a integer)", "Definition crm.t"),
            ("ALTER TABLE crm.t ADD COLUMN b integer", "Definition crm.t"),
            ("DROP TABLE crm.t, crm.u", "Existence crm.t, Existence crm.u"),
            ("CREATE INDEX i ON crm.t (a)", "Definition crm.t"),
            ("CREATE VIEW crm.v AS SELECT 1", "Definition crm.v"),
        ] {
            assert_eq!(shown(sql), expected, "{sql}");
        }
    }
}
