//! Scans: rows have the schema that introspection promised, all of them come, and each column comes alone as it comes with others.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use futures::future::join_all;

use super::engine::{counted, rows};
use super::report::{Checked, Group, TableExtent};
use super::sampled::{MOST_ROWS, Sampled, quoted};
use super::{Answer, Opened, Refusal, part, values};
use crate::remote::RemoteTable;

/// So many tables are scanned, those of the default schema first, and of these the smallest.
const TABLES: usize = 40;
/// So many scans run at once, more than a pool has connections.
const AT_ONCE: usize = 12;

/// What the scans gave.
pub(super) struct Scanned {
    /// Tables that are known, large ones in part.
    pub(super) known: Vec<Sampled>,
    /// How far others were looked at.
    pub(super) others: Vec<TableExtent>,
    pub(super) group: Group,
}

/// Scans tables, and takes in those that are small enough, or a part of them.
pub(super) async fn check(opened: &Opened<'_>) -> Scanned {
    let mut group = Group::new("scan");
    let mut tables = opened.tables();
    let is_elsewhere = |table: &RemoteTable| table.schema != opened.seen.default_schema;
    tables.sort_by_key(|table| (is_elsewhere(table), table.row_estimate.unwrap_or(u64::MAX), table.subject()));
    let mut others = Vec::new();
    let mut leave = |table: &RemoteTable, checked| others.push(TableExtent { table: table.subject().to_string(), checked });
    if tables.len() > TABLES {
        group.leave_out(format!("{} of {} tables", tables.len() - TABLES, tables.len()));
        for table in tables.drain(TABLES..) {
            leave(table, Checked::Unread(format!("{TABLES} others come before it: the default schema's, and smaller ones")));
        }
    }
    let mut known = Vec::new();
    for table in tables {
        match scan(opened, table, &mut group).await {
            Ok(sampled) => known.push(sampled),
            Err(checked) => leave(table, checked),
        }
    }
    match known.iter().max_by_key(|sampled| sampled.rows.num_rows()) {
        Some(largest) => at_once(opened, largest, &mut group).await,
        None => group.leave_out("scans at once: of no table all rows are known, or a part of them"),
    }
    Scanned { known, others, group }
}

/// Scans a table, and says what keeps it from being known.
async fn scan(opened: &Opened<'_>, table: &RemoteTable, group: &mut Group) -> Result<Sampled, Checked> {
    let subject = table.subject();
    let unread = || Checked::Unread("it could not be read".to_owned());
    let beginning = begin(opened, table, group).await.ok_or_else(unread)?;
    let count = beginning.rows.num_rows();
    if count > MOST_ROWS {
        let many = |why: &str| Checked::Read(format!("it has more than {MOST_ROWS} rows, and {why}: of the first its schema was checked"));
        if !opened.remote.capabilities().filter {
            return Err(many("its source filters nothing, so that every statement would read all of it"));
        }
        return part::of(opened, &beginning, group).await.ok_or_else(|| many("no column tells a part of them apart"));
    }
    let ask = async |sql: String| opened.ask(&opened.remote, &beginning, &sql).await;
    let name = beginning.name();
    let counting = ask(format!("SELECT count(*) FROM {name}")).await;
    let is_right = counting.and_then(|answer| match &answer.rows()[..] {
        [row] if row[0].as_deref() == Some(count.to_string().as_str()) => Ok(()),
        other => Err(format!("it is {other:?}, and {count} rows were read").into()),
    });
    group.check(format!("count(*) of {subject}"), is_right);
    // A table of many hundred columns is known by its first and its last.
    let columns = beginning.table.columns.iter().take(opened.contract.extent.columns).chain(beginning.table.columns.last());
    for column in columns {
        let answer = ask(format!("SELECT {} FROM {name}", quoted(&column.name))).await;
        let together = beginning.rows.column_by_name(&column.name).map(|values| rows(&[Arc::clone(values)], count));
        let agrees = answer.and_then(|answer| {
            if counted(answer.rows()) == counted(together.unwrap_or_default()) { Ok(()) } else { Err("it has other values".into()) }
        });
        group.check(format!("column {} of {subject} alone", column.name), agrees);
    }
    Ok(beginning)
}

/// The first rows of a table. Columns that hold a value which is none of theirs are told, and looked at no further.
async fn begin(opened: &Opened<'_>, table: &RemoteTable, group: &mut Group) -> Option<Sampled> {
    let subject = table.subject();
    let whole = Sampled::new(table);
    let read = async |sampled: &Sampled, columns: &str| {
        let sql = format!("SELECT {columns} FROM {} LIMIT {}", sampled.name(), MOST_ROWS + 1);
        opened.ask(&opened.remote, sampled, &sql).await
    };
    let (sampled, answer) = match read(&whole, "*").await {
        Err(refusal) if refusal.is_of_data && !values::is_proof(table) => {
            let mut readable = Vec::new();
            for column in &table.columns {
                let alone = read(&whole, &quoted(&column.name)).await;
                if group.value(format!("column {} of {subject} alone", column.name), alone.map(drop)).is_some() {
                    readable.push(column.name.as_str());
                }
            }
            let sampled = whole.with_columns(|column| readable.contains(&column.name.as_str()));
            if readable.is_empty() || readable.len() == table.columns.len() {
                // Nothing is left, or the rows were others meanwhile.
                group.check(format!("a scan of {subject}"), Err(refusal));
                return None;
            }
            let answer = read(&sampled, "*").await;
            (sampled, answer)
        }
        // A table that says what its values are has none that is not its column's.
        Err(refusal) => (whole, Err(Refusal { is_of_data: false, ..refusal })),
        answer => (whole, answer),
    };
    let answer = group.value(format!("a scan of {subject}"), answer)?;
    group.check(format!("the rows of {subject} have its schema"), conforms(&sampled.table, &answer));
    group.value(format!("the rows of {subject} are one table"), sampled.with_rows(&answer.batches))
}

/// Whether the rows have the columns, the types and the absence of NULL that the table promises.
fn conforms(table: &RemoteTable, answer: &Answer) -> Result<(), Refusal> {
    let promised = table.arrow_schema();
    for batch in &answer.batches {
        let schema = batch.schema();
        for (index, promised) in promised.fields().iter().enumerate() {
            let Some(field) = schema.fields().get(index) else { return Err(format!("there is no column {}", promised.name()).into()) };
            if field.name() != promised.name() || field.data_type() != promised.data_type() {
                return Err(format!("column {promised} is read as {field}").into());
            }
            if !promised.is_nullable() && batch.column(index).null_count() > 0 {
                return Err(format!("column {} is never NULL, and is", promised.name()).into());
            }
        }
    }
    Ok(())
}

async fn at_once(opened: &Opened<'_>, sampled: &Sampled, group: &mut Group) {
    let sql = format!("SELECT * FROM {}", sampled.name());
    let answers = join_all((0..AT_ONCE).map(|_| opened.ask(&opened.remote, sampled, &sql))).await;
    let expected = counted(rows(sampled.rows.columns(), sampled.rows.num_rows()));
    let agree =
        answers.into_iter().try_for_each(|answer| if counted(answer?.rows()) == expected { Ok(()) } else { Err("they differ".into()) });
    group.check(format!("{AT_ONCE} scans of {} at once", sampled.table.subject()), agree);
}
