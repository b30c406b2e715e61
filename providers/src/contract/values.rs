//! How types are read: tables whose rows say themselves what they are to be read as.

use super::engine::rows;
use super::report::Group;
use super::sampled::Sampled;
use crate::remote::RemoteTable;

/// The column that is read.
const VALUE: &str = "value";
/// The column with the text it is to be read as.
const EXPECTED: &str = "expected";

/// Whether a table is one that says what its values are to be read as: it has a column `value` and a text column `expected`.
pub(super) fn is_proof(table: &RemoteTable) -> bool {
    [VALUE, EXPECTED].iter().all(|name| table.columns.iter().any(|column| column.name == *name))
}

/// Compares each value with what is expected of it.
pub(super) fn check(tables: &[Sampled]) -> Group {
    let mut group = Group::new("values");
    for sampled in tables.iter().filter(|sampled| is_proof(&sampled.table)) {
        let columns = [VALUE, EXPECTED].map(|name| sampled.rows.column_by_name(name).cloned());
        let [Some(value), Some(expected)] = columns else { continue };
        for row in rows(&[value, expected], sampled.rows.num_rows()) {
            let [value, expected] = &row[..] else { continue };
            let what = format!("a value of {}", sampled.table.subject());
            let held = if value == expected {
                Ok(())
            } else {
                Err(format!("it is read as {}, expected {}", shown(value), shown(expected)).into())
            };
            group.check(what, held);
        }
    }
    if group.passed + group.failures.len() == 0 {
        group.leave_out("no table has the columns \"value\" and \"expected\"");
    }
    group
}

/// A text that may be long.
fn shown(text: &Option<String>) -> String {
    match text {
        None => "NULL".to_owned(),
        Some(text) if text.chars().count() > 80 => format!("\"{}\"...", text.chars().take(80).collect::<String>()),
        Some(text) => format!("\"{text}\""),
    }
}
