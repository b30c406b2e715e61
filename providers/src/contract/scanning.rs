//! Scans: rows have the schema that introspection promised, all of them come, and each column comes alone as it comes with others.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use futures::future::join_all;

use super::engine::{counted, rows};
use super::report::Group;
use super::sampled::{MOST_ROWS, Sampled, quoted};
use super::{Answer, Opened};
use crate::remote::RemoteTable;

/// So many tables are scanned, the smallest first.
const TABLES: usize = 40;
/// So many scans run at once, more than a pool has connections.
const AT_ONCE: usize = 12;

/// Scans tables, and gives those that are small enough to be known whole.
pub(super) async fn check(opened: &Opened<'_>) -> (Vec<Sampled>, Group) {
    let mut group = Group::new("scan");
    let mut tables: Vec<&RemoteTable> = opened.own_tables().collect();
    tables.sort_by_key(|table| (table.row_estimate.unwrap_or(u64::MAX), table.name.clone()));
    if tables.len() > TABLES {
        group.leave_out(format!("{} of {} tables", tables.len() - TABLES, tables.len()));
        tables.truncate(TABLES);
    }
    let mut known = Vec::new();
    for table in tables {
        known.extend(scan(opened, table, &mut group).await);
    }
    match known.iter().max_by_key(|sampled| sampled.rows.num_rows()) {
        Some(largest) => at_once(opened, largest, &mut group).await,
        None => group.leave_out("scans at once: no table is small enough to be known whole"),
    }
    (known, group)
}

async fn scan(opened: &Opened<'_>, table: &RemoteTable, group: &mut Group) -> Option<Sampled> {
    let (subject, name) = (table.subject(), format!("source.{}", quoted(&table.name)));
    let ask = async |sql: String| opened.ask(&opened.remote, &[table], &sql).await;
    let read = ask(format!("SELECT * FROM {name} LIMIT {}", MOST_ROWS + 1)).await;
    let answer = group.value(format!("a scan of {subject}"), read)?;
    group.check(format!("the rows of {subject} have its schema"), conforms(table, &answer));
    let count: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
    if count > MOST_ROWS {
        return None;
    }
    let sampled = group.value(format!("the rows of {subject} are one table"), Sampled::new(table.clone(), &answer.batches))?;
    let counting = ask(format!("SELECT count(*) FROM {name}")).await;
    let is_right = counting.and_then(|answer| match &answer.rows()[..] {
        [row] if row[0].as_deref() == Some(count.to_string().as_str()) => Ok(()),
        other => Err(format!("it is {other:?}, and {count} rows were read")),
    });
    group.check(format!("count(*) of {subject}"), is_right);
    // A table of many hundred columns is known by its first and its last.
    let columns = table.columns.iter().take(opened.contract.extent.columns).chain(table.columns.last());
    for column in columns {
        let answer = ask(format!("SELECT {} FROM {name}", quoted(&column.name))).await;
        let together = sampled.rows.column_by_name(&column.name).map(|values| rows(&[Arc::clone(values)], count));
        let agrees = answer.and_then(|answer| {
            if counted(answer.rows()) == counted(together.unwrap_or_default()) { Ok(()) } else { Err("it has other values".to_owned()) }
        });
        group.check(format!("column {} of {subject} alone", column.name), agrees);
    }
    Some(sampled)
}

/// Whether the rows have the columns, the types and the absence of NULL that the table promises.
fn conforms(table: &RemoteTable, answer: &Answer) -> Result<(), String> {
    let promised = table.arrow_schema();
    for batch in &answer.batches {
        let schema = batch.schema();
        for (index, promised) in promised.fields().iter().enumerate() {
            let Some(field) = schema.fields().get(index) else { return Err(format!("there is no column {}", promised.name())) };
            if field.name() != promised.name() || field.data_type() != promised.data_type() {
                return Err(format!("column {promised} is read as {field}"));
            }
            if !promised.is_nullable() && batch.column(index).null_count() > 0 {
                return Err(format!("column {} is never NULL, and is", promised.name()));
            }
        }
    }
    Ok(())
}

async fn at_once(opened: &Opened<'_>, sampled: &Sampled, group: &mut Group) {
    let sql = format!("SELECT * FROM {}", sampled.name());
    let tables = [&sampled.table];
    let answers = join_all((0..AT_ONCE).map(|_| opened.ask(&opened.remote, &tables, &sql))).await;
    let expected = counted(rows(sampled.rows.columns(), sampled.rows.num_rows()));
    let agree =
        answers.into_iter().try_for_each(|answer| if counted(answer?.rows()) == expected { Ok(()) } else { Err("they differ".to_owned()) });
    group.check(format!("{AT_ONCE} scans of {} at once", sampled.table.subject()), agree);
}
