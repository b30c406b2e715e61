//! What a server has, read from `information_schema` in bulk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::{Row, Value};

use super::connect::{Flavor, Session};
use super::known_tables::Clustered;
use super::policy::Policy;
use super::type_mapping::{ColumnType, map};
use crate::remote::{
    Comparison, Introspection, Omission, OmissionCause, Presentation, RemoteColumn, RemotePresence, RemoteTable, Scope, TableKind,
};
use crate::subject::Subject;

/// Databases that are the server's own.
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// What does not change while a datasource is open.
#[derive(Debug)]
pub(super) struct Place {
    /// The configured database as the server spells it.
    default_schema: String,
    /// Whether names of databases differ by more than their case.
    ignore_case: bool,
    /// Whether the server tells which columns were made as `json`: MariaDB since 10.3 does.
    tells_checks: bool,
    /// Whether what is committed is written to a binary log.
    pub(super) has_binary_log: bool,
}

/// Asks a new connection once.
pub(super) async fn place(session: &mut Session) -> mysql_async::Result<Place> {
    let rows = session
        .rows(
            "SELECT DATABASE(), @@lower_case_table_names, \
                 (SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' \
                  AND TABLE_NAME = 'CHECK_CONSTRAINTS' AND COLUMN_NAME = 'TABLE_NAME'), \
                 @@log_bin",
        )
        .await?;
    let row = rows.first();
    Ok(Place {
        default_schema: row.and_then(|row| text(row, 0)).unwrap_or_default(),
        ignore_case: row.and_then(|row| number(row, 1)) != Some(0),
        tells_checks: row.and_then(|row| number(row, 2)) == Some(1),
        has_binary_log: row.and_then(|row| number(row, 3)) == Some(1),
    })
}

// The columns of a look by position: MySQL and MariaDB differ in the case of their names. What has two names is the one in rows of
// tables and the other in rows of columns.
const PART: usize = 0;
const SCHEMA: usize = 1;
const TABLE: usize = 2;
/// The name of the column, of the key, of the check.
const NAME: usize = 3;
/// The position of the column in the table, of the part in the key.
const POSITION: usize = 4;
/// What kind the table is, the name of the column's type, the column of the key's part.
const KIND: usize = 5;
const ROWS_OR_PRECISION: usize = 6;
const COMMENT: usize = 7;
const ENGINE_OR_FULL_TYPE: usize = 8;
const BYTES_OR_SCALE: usize = 9;
const OCTETS: usize = 10;
const COLLATION: usize = 11;
const NULLABLE: usize = 12;

/// One statement for tables, columns, keys and checks, which `part` tells apart.
fn look(place: &Place) -> String {
    // All are text in one character set, so that the parts fit together whatever the server keeps them in.
    let part = |part: &str, columns: &[&str], from: &str| {
        let mut all: Vec<String> = columns.iter().map(|column| format!("CONVERT({column} USING utf8mb4)")).collect();
        all.resize(NULLABLE, "CONVERT(NULL USING utf8mb4)".to_owned());
        format!("SELECT '{part}' AS part, {} FROM information_schema.{from}", all.join(", "))
    };
    let mut parts = vec![
        part(
            "t",
            &["TABLE_SCHEMA", "TABLE_NAME", "NULL", "NULL", "TABLE_TYPE", "TABLE_ROWS", "TABLE_COMMENT", "ENGINE", "DATA_LENGTH"],
            &format!("TABLES WHERE TABLE_SCHEMA NOT IN {OWN}"),
        ),
        part(
            "c",
            &[
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "COLUMN_NAME",
                "ORDINAL_POSITION",
                "DATA_TYPE",
                "NUMERIC_PRECISION",
                "COLUMN_COMMENT",
                "COLUMN_TYPE",
                "NUMERIC_SCALE",
                "CHARACTER_OCTET_LENGTH",
                "COLLATION_NAME",
                "IS_NULLABLE",
            ],
            &format!("COLUMNS WHERE TABLE_SCHEMA NOT IN {OWN}"),
        ),
        part(
            "k",
            &["TABLE_SCHEMA", "TABLE_NAME", "INDEX_NAME", "SEQ_IN_INDEX", "COLUMN_NAME"],
            &format!("STATISTICS WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA NOT IN {OWN}"),
        ),
    ];
    if place.tells_checks {
        // The columns MariaDB was told to be `json`: it makes them a `longtext` with this check.
        let json = "CHECK_CONSTRAINTS WHERE CHECK_CLAUSE = CONCAT('json_valid(`', REPLACE(CONSTRAINT_NAME, '`', '``'), '`)')";
        parts.push(part("j", &["CONSTRAINT_SCHEMA", "TABLE_NAME", "CONSTRAINT_NAME"], json));
    }
    parts.join(" UNION ALL ")
}

/// The tables that lie in the order of an integer, by schema and name.
type ByKey = HashMap<Key, Clustered>;

/// Reads everything in `scope`, in one statement.
pub(super) async fn introspect(
    session: &mut Session,
    place: &Place,
    policy: Policy,
    scope: &Scope,
) -> mysql_async::Result<(Introspection, ByKey)> {
    let mut rows = session.rows(&look(place)).await?;
    rows.sort_by_cached_key(|row| (text(row, SCHEMA), text(row, TABLE), number(row, POSITION)));
    let mut parts: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        parts.entry(text(&row, PART).unwrap_or_default()).or_default().push(row);
    }
    let mut part = |name: &str| parts.remove(name).unwrap_or_default();
    let wanted = Wanted { schemas: &scope.schemas, ignore_case: place.ignore_case, policy };
    let tables = part("t");
    let mut introspection = assemble(place.default_schema.clone(), &wanted, &tables, &part("c"), &part("k"));
    mark_json(&mut introspection.tables, &part("j"));
    let clustered = clustered(&introspection.tables, &tables);
    Ok((introspection, clustered))
}

fn clustered(tables: &[RemoteTable], rows: &[Row]) -> ByKey {
    let stored = |row: &Row| {
        let place = (text(row, SCHEMA)?, text(row, TABLE)?);
        Some((place, (text(row, ENGINE_OR_FULL_TYPE)?, number(row, BYTES_OR_SCALE)?)))
    };
    let stored: HashMap<Key, (String, u64)> = rows.iter().filter_map(stored).collect();
    let known = |table: &RemoteTable| {
        let place = (table.schema.clone(), table.name.clone());
        let (engine, bytes) = stored.get(&place)?;
        Some((place, Clustered::of(table, engine, *bytes)?))
    };
    tables.iter().filter_map(known).collect()
}

/// Tables that one statement asks for: its text has to fit into a packet.
const ASKED_AT_ONCE: usize = 1_000;

/// Asks for tables and columns: `information_schema` shows only what our user may see, so no row of each is asked for.
///
/// MariaDB does that for many in one statement. MySQL ends a statement at its first error, so it is asked for each.
pub(super) async fn presence(session: &mut Session, subjects: &[Subject]) -> mysql_async::Result<Vec<RemotePresence>> {
    let mut answers = Vec::with_capacity(subjects.len());
    for asked in subjects.chunks(ASKED_AT_ONCE) {
        let codes = match session.flavor() {
            Flavor::MariaDb => codes(session, asked).await?,
            Flavor::MySql => Vec::new(),
        };
        for (at, subject) in asked.iter().enumerate() {
            answers.push(match codes.get(at).and_then(|code| meaning(*code)) {
                Some(answer) => answer,
                // Its error says more than a code we do not know.
                None => presence_of(session, subject).await?,
            });
        }
    }
    Ok(answers)
}

/// The code that each question is answered with, 0 where it can be, from one statement that goes on after an error.
async fn codes(session: &mut Session, subjects: &[Subject]) -> mysql_async::Result<Vec<u16>> {
    let mut statement = "BEGIN NOT ATOMIC DECLARE answers LONGTEXT DEFAULT ''; DECLARE found INT; ".to_owned();
    for subject in subjects {
        statement.push_str(&format!(
            "BEGIN DECLARE code INT; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN GET DIAGNOSTICS CONDITION 1 code = MYSQL_ERRNO; \
             SET answers = CONCAT(answers, code, ','); END; \
             SELECT COUNT(*) INTO found FROM ({}) AS question; SET answers = CONCAT(answers, '0,'); END; ",
            question(subject)
        ));
    }
    statement.push_str("SELECT answers; END");
    let rows = session.rows(&statement).await?;
    let answers = rows.first().and_then(|row| text(row, 0)).unwrap_or_default();
    Ok(answers.split_terminator(',').map(|code| code.parse().unwrap_or(u16::MAX)).collect())
}

async fn presence_of(session: &mut Session, subject: &Subject) -> mysql_async::Result<RemotePresence> {
    match session.rows(&question(subject)).await {
        Ok(_) => Ok(RemotePresence::Readable),
        Err(mysql_async::Error::Server(answer)) => meaning(answer.code).ok_or(mysql_async::Error::Server(answer)),
        Err(other) => Err(other),
    }
}

fn question(subject: &Subject) -> String {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let wanted = subject.column.as_deref().map_or_else(|| "1".to_owned(), quoted);
    format!("SELECT {wanted} FROM {}.{} LIMIT 0", quoted(&subject.schema), quoted(&subject.table))
}

/// What an answer to a question says; `None` says nothing of the table.
fn meaning(code: u16) -> Option<RemotePresence> {
    match code {
        0 => Some(RemotePresence::Readable),
        // Refused: the database, the table, the column.
        1044 | 1142 | 1143 => Some(RemotePresence::Forbidden),
        // No such database, table or column; a table without its data; a view that refers to what is not there.
        1049 | 1051 | 1054 | 1109 | 1146 | 1356 | 1449 | 1932 => Some(RemotePresence::Absent),
        _ => None,
    }
}

fn mark_json(tables: &mut [RemoteTable], checks: &[Row]) {
    let checked: BTreeSet<_> = checks.iter().map(|row| (text(row, SCHEMA), text(row, TABLE), text(row, NAME))).collect();
    for table in tables.iter_mut().filter(|_| !checked.is_empty()) {
        for column in table.columns.iter_mut().filter(|column| column.remote_type == "longtext") {
            if checked.contains(&(Some(table.schema.clone()), Some(table.name.clone()), Some(column.name.clone()))) {
                column.presentation = Presentation::Json;
                column.comparison = Comparison::None;
            }
        }
    }
}

/// Which databases were asked for, and how their columns are published. The server's own comparison is not relied on: it may ignore
/// case where names do not.
struct Wanted<'a> {
    schemas: &'a [String],
    ignore_case: bool,
    policy: Policy,
}

impl Wanted<'_> {
    fn has(&self, schema: &str) -> bool {
        let same = |wanted: &String| wanted == schema || (self.ignore_case && wanted.to_lowercase() == schema.to_lowercase());
        self.schemas.is_empty() || self.schemas.iter().any(same)
    }
}

/// A table by schema and name, exactly.
type Key = (String, String);

fn assemble(default_schema: String, wanted: &Wanted<'_>, tables: &[Row], columns: &[Row], keys: &[Row]) -> Introspection {
    let mut omitted = Vec::new();
    let mut found: BTreeMap<Key, RemoteTable> = BTreeMap::new();
    for row in tables {
        let (Some(schema), Some(name), Some(kind)) = (text(row, SCHEMA), text(row, TABLE), text(row, KIND)) else { continue };
        let kind = match kind.as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => TableKind::Table,
            "VIEW" => TableKind::View,
            // Sequences, temporary tables and the server's own views.
            _ => continue,
        };
        if !wanted.has(&schema) {
            continue;
        }
        let comment = text(row, COMMENT).filter(|comment| !comment.is_empty() && kind == TableKind::Table);
        let table = RemoteTable {
            schema: schema.clone(),
            name: name.clone(),
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            comment,
            row_estimate: number(row, ROWS_OR_PRECISION),
        };
        found.insert((schema, name), table);
    }
    for row in columns {
        let (Some(schema), Some(name), Some(column)) = (text(row, SCHEMA), text(row, TABLE), text(row, NAME)) else { continue };
        if let Some(table) = found.get_mut(&(schema, name)) {
            match self::column(row, column, wanted.policy) {
                Ok(column) => table.columns.push(column),
                Err((column, reason)) => {
                    let subject = Subject::column(&table.schema, &table.name, &column).to_string();
                    omitted.push(Omission { subject, reason, cause: OmissionCause::Unmapped });
                }
            }
        }
    }
    add_keys(&mut found, keys, wanted.policy);
    let tables = found
        .into_values()
        .filter(|table| {
            if table.columns.is_empty() {
                let (reason, cause) = match table.kind {
                    TableKind::View => {
                        let reason = "no column can be read: the view refers to what is not there, or its definer may not read it";
                        (reason, OmissionCause::Unmapped)
                    }
                    // Tables have columns. Our user may do something to this one, or it would not be listed, but not read it.
                    _ => ("no column can be read", OmissionCause::Unreadable),
                };
                omitted.push(Omission { subject: table.subject().to_string(), reason: reason.to_owned(), cause });
            }
            !table.columns.is_empty()
        })
        .collect();
    Introspection { default_schema, tables, omitted }
}

fn column(row: &Row, name: String, policy: Policy) -> Result<RemoteColumn, (String, String)> {
    let (data_type, remote_type) = (text(row, KIND).unwrap_or_default(), text(row, ENGINE_OR_FULL_TYPE).unwrap_or_default());
    let collation = text(row, COLLATION);
    let described = ColumnType {
        name: &data_type,
        full: &remote_type,
        precision: number(row, ROWS_OR_PRECISION),
        scale: number(row, BYTES_OR_SCALE),
        octets: number(row, OCTETS),
        collation: collation.as_deref(),
    };
    match map(&described, policy) {
        Ok(mapping) => Ok(RemoteColumn {
            name,
            // What is not plainly stated to be NOT NULL may be NULL.
            nullable: text(row, NULLABLE).as_deref() != Some("NO") || policy.makes_nulls_of(&mapping.data_type),
            data_type: mapping.data_type,
            presentation: mapping.presentation,
            comparison: mapping.comparison,
            comment: text(row, COMMENT).filter(|comment| !comment.is_empty()),
            collation,
            remote_type,
        }),
        Err(reason) => Err((name, reason)),
    }
}

fn add_keys(found: &mut BTreeMap<Key, RemoteTable>, rows: &[Row], policy: Policy) {
    // A part of a key is `None` where it is an expression.
    let mut keys: BTreeMap<(Key, String), Vec<Option<String>>> = BTreeMap::new();
    for row in rows {
        if let (Some(schema), Some(table), Some(key)) = (text(row, SCHEMA), text(row, TABLE), text(row, NAME)) {
            keys.entry(((schema, table), key)).or_default().push(text(row, KIND));
        }
    }
    for ((table, key), parts) in keys {
        let Some(table) = found.get_mut(&table) else { continue };
        // Several values that are read as NULL make no key here.
        let is_published =
            |part: &String| table.columns.iter().any(|column| column.name == *part && !policy.makes_nulls_of(&column.data_type));
        match parts.into_iter().collect::<Option<Vec<String>>>() {
            Some(parts) if parts.iter().all(is_published) => {
                if key == "PRIMARY" {
                    table.primary_key = parts;
                } else {
                    table.unique_keys.push(parts);
                }
            }
            _ => {}
        }
    }
}

/// A cell of the text protocol. The session has set utf8mb4, in which the server stores all names.
pub(super) fn text(row: &Row, index: usize) -> Option<String> {
    match row.as_ref(index)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(row: &Row, index: usize) -> Option<u64> {
    text(row, index)?.parse().ok()
}
