//! The keys of a role.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::datasource::RESERVED;
use super::remote_name;
use super::section::{Item, Section};
use crate::roles::{Role, RoleLimits};

/// The largest number of rows that is taken for meant.
const MOST_ROWS: usize = 1 << 50;

/// Reads `roles`: the limited ones by name. One that is not limited is as good as none.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<String, Arc<Role>> {
    let mut roles = BTreeMap::new();
    for (name, mut section) in root.named_sections("roles") {
        section.required("limited");
        let is_limited = section.flag("limited").unwrap_or(true);
        let schemas = section.texts("schemas");
        for schema in &schemas {
            if RESERVED.contains(&schema.text.as_str()) {
                section.fault_at(schema.line, "schemas", format!("holds {}, a schema of the gateway's own", schema.text));
            }
        }
        let tables = tables(&mut section);
        let limits = limits(&mut section);
        if !is_limited {
            for key in ["schemas", "tables", "limits"].into_iter().filter(|key| section.has(key)) {
                section.fault(key, "is said of a role that is not limited");
            }
        }
        section.finish();
        if is_limited {
            let schemas = schemas.into_iter().map(|schema| schema.text).collect();
            roles.insert(name.clone(), Arc::new(Role { name, schemas, tables, limits }));
        }
    }
    roles
}

fn tables(section: &mut Section<'_>) -> BTreeMap<(String, String), Option<Vec<String>>> {
    let mut tables = BTreeMap::new();
    for item in section.items("tables") {
        let (name, line, columns) = match item {
            Item::Text(name) => (name.text, name.line, None),
            Item::Section(mut entry) => {
                let name = entry.required("name");
                let columns = entry.has("columns").then(|| entry.texts("columns"));
                if columns.as_ref().is_some_and(Vec::is_empty) {
                    entry.fault("columns", "is empty; leave it out for all columns");
                }
                entry.finish();
                let Some(name) = name else { continue };
                (name.text, name.line, columns.map(|columns| columns.into_iter().map(|column| column.text).collect()))
            }
        };
        match remote_name::split(&name) {
            Ok((Some(schema), _)) if RESERVED.contains(&schema.as_str()) => {
                section.fault_at(line, "tables", format!("holds {name}, of a schema of the gateway's own"));
            }
            Ok((Some(schema), table)) => {
                if tables.insert((schema, table), columns).is_some() {
                    section.fault_at(line, "tables", format!("holds {name} twice"));
                }
            }
            Ok((None, _)) | Err(_) => {
                section.fault_at(
                    line,
                    "tables",
                    format!("holds \"{name}\", not `schema.table`; a name that holds a dot is written in double quotes"),
                );
            }
        }
    }
    tables
}

fn limits(section: &mut Section<'_>) -> RoleLimits {
    let mut limits = RoleLimits::default();
    let mut said = section.section("limits");
    for (key, limit) in
        [("max_rows", &mut limits.max_rows), ("max_scan_rows", &mut limits.max_scan_rows), ("max_join_rows", &mut limits.max_join_rows)]
    {
        if let Some(rows) = said.count(key, 1, MOST_ROWS) {
            *limit = rows as u64;
        }
    }
    if let Some(bytes) = said.size("max_bytes", 1) {
        limits.max_bytes = bytes as u64;
    }
    if let Some(time) = said.duration("statement_timeout") {
        // PostgreSQL counts milliseconds, and shows no more than fit 32 bits.
        if time.as_millis() == 0 || time.as_millis() > i32::MAX as u128 {
            said.fault("statement_timeout", "is not from 1ms to 24 days");
        }
        limits.statement_timeout = time;
    }
    said.finish();
    limits
}
