//! A part of a table that is the same whenever it is asked for: the rows whose value in one column lies between two others. Tables
//! that are too large to be known whole are queried in such a part.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;

use super::Opened;
use super::engine::{counted, rows};
use super::refusal::Refusal;
use super::report::Group;
use super::sampled::{Sampled, quoted};
use crate::remote::{Comparison, RemoteColumn, RemoteTable};

/// So many rows are enough to tell.
const MOST_ROWS: usize = 2_000;
/// So many columns that are no keys are tried.
const OTHERS: usize = 2;

/// Rows of a table, by what one column holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    column: String,
    least: ScalarValue,
    greatest: ScalarValue,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.column, shown(&self.least), shown(&self.greatest))
    }
}

fn shown(value: &ScalarValue) -> String {
    value.to_array().and_then(|array| Ok(array_value_to_string(&array, 0)?)).unwrap_or_default()
}

impl Part {
    fn condition(&self, table: &TableReference) -> Expr {
        let column = Expr::Column(Column::new(Some(table.clone()), self.column.as_str()));
        column.between(lit(self.least.clone()), lit(self.greatest.clone()))
    }
}

/// Some columns, and with a part some rows, of a table. Planners see through it.
pub(super) fn view(
    inner: Arc<dyn TableProvider>,
    columns: &[RemoteColumn],
    part: Option<&Part>,
) -> Result<Arc<dyn TableProvider>, Refusal> {
    let table = TableReference::bare("part");
    let mut plan = LogicalPlanBuilder::scan(table.clone(), provider_as_source(inner), None)?;
    if let Some(part) = part {
        plan = plan.filter(part.condition(&table))?;
    }
    let kept = columns.iter().map(|column| Expr::Column(Column::new(Some(table.clone()), column.name.as_str())));
    let plan = plan.project(kept.collect::<Vec<_>>())?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A part of the table whose first rows are `beginning`; `None` when no column tells one apart that is small enough.
pub(super) async fn of(opened: &Opened<'_>, beginning: &Sampled, group: &mut Group) -> Option<Sampled> {
    for column in candidates(&beginning.table) {
        if let Some(part) = by(opened, beginning, column).await {
            return take(opened, beginning, part, group).await;
        }
    }
    None
}

/// Columns whose values have an order at the source that is ours, keys first.
fn candidates(table: &RemoteTable) -> impl Iterator<Item = &RemoteColumn> {
    let keys: Vec<&String> = table.primary_key.first().into_iter().chain(table.unique_keys.iter().filter_map(|key| key.first())).collect();
    let of_key = |column: &&RemoteColumn| keys.contains(&&column.name);
    let is_ordered = |column: &&RemoteColumn| column.comparison == Comparison::Total && !column.data_type.is_nested();
    let (mut first, others): (Vec<_>, Vec<_>) = table.columns.iter().filter(is_ordered).partition(of_key);
    first.sort_by_key(|column| keys.iter().position(|key| **key == column.name));
    first.into_iter().chain(others.into_iter().take(OTHERS))
}

/// A part by one column: from the least value of the first rows to one that leaves few enough.
async fn by(opened: &Opened<'_>, beginning: &Sampled, column: &RemoteColumn) -> Option<Part> {
    let values = beginning.values(column);
    let mut last = values.len().checked_sub(1)?.min(MOST_ROWS - 1);
    loop {
        let part = Part { column: column.name.clone(), least: values.first()?.clone(), greatest: values.get(last)?.clone() };
        let one = beginning.narrowed_to(part.clone());
        let answer = opened.ask(&opened.remote, &one, &format!("SELECT count(*) FROM {}", one.name())).await.ok()?;
        let count: usize = answer.rows().first()?.first()?.as_ref()?.parse().ok()?;
        match count {
            0 | 1 => return None,
            2..=MOST_ROWS => return Some(part),
            _ if last == 0 => return None,
            _ => last /= 2,
        }
    }
}

/// Reads the part, in which those of the first rows are that belong to it.
async fn take(opened: &Opened<'_>, beginning: &Sampled, part: Part, group: &mut Group) -> Option<Sampled> {
    let subject = beginning.table.subject();
    let empty = beginning.narrowed_to(part.clone());
    let read = opened.ask(&opened.remote, &empty, &format!("SELECT * FROM {}", empty.name())).await;
    let answer = group.value(format!("rows of {subject} with {part}"), read)?;
    let sampled = group.value(format!("rows of {subject} with {part} are one table"), empty.with_rows(&answer.batches))?;
    let found = counted(rows(sampled.rows.columns(), sampled.rows.num_rows()));
    let known = beginning.in_memory().and_then(|all| view(all, &beginning.table.columns, Some(&part)));
    let known = match known {
        Ok(known) => {
            let all = format!("SELECT * FROM source.{}", quoted(&beginning.table.name));
            opened.answer([(beginning.table.name.clone(), known)].into(), &all).await
        }
        Err(refusal) => Err(refusal),
    };
    let are_there = known.and_then(|known| {
        let is_there = |(row, count): (Vec<Option<String>>, usize)| found.get(&row).is_some_and(|found| *found >= count);
        if counted(known.rows()).into_iter().all(is_there) { Ok(()) } else { Err("rows that were read before are not among them".into()) }
    });
    group.check(format!("rows of {subject} with {part} are those of the whole table"), are_there);
    Some(sampled)
}

impl Sampled {
    /// The distinct values of a column, in order.
    pub(super) fn values(&self, column: &RemoteColumn) -> Vec<ScalarValue> {
        let Some(values) = self.rows.column_by_name(&column.name) else { return Vec::new() };
        let mut all: Vec<ScalarValue> =
            (0..values.len()).filter(|row| !values.is_null(*row)).filter_map(|row| ScalarValue::try_from_array(values, row).ok()).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        all.dedup();
        all
    }
}
