//! The `has_..._privilege` functions.
//!
//! They answer for what the gateway offers to everybody: reading. What a role may read is decided when a statement is planned.

use super::RowFunction;

/// Privileges that reading takes.
const READING: [&str; 6] = ["SELECT", "USAGE", "CONNECT", "EXECUTE", "MEMBER", "SET"];

/// Appends these functions.
pub(super) fn add(functions: &mut Vec<RowFunction>) {
    let of_object = [
        "has_any_column_privilege",
        "has_database_privilege",
        "has_foreign_data_wrapper_privilege",
        "has_function_privilege",
        "has_language_privilege",
        "has_schema_privilege",
        "has_sequence_privilege",
        "has_server_privilege",
        "has_table_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
        "pg_has_role",
    ];
    functions.extend(of_object.map(|name| reading(name, 2)));
    functions.push(reading("has_column_privilege", 3));
}

/// A function whose last argument lists privileges; one of them is enough.
fn reading(name: &'static str, fewest: usize) -> RowFunction {
    RowFunction::new(name, fewest..=fewest + 1, "bool", |row| {
        let asked = row.text(row.count() - 1).unwrap_or_default().to_ascii_uppercase();
        Ok(asked.split(',').any(|privilege| READING.contains(&privilege.trim())).into())
    })
}
