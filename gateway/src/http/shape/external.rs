//! Datasources, what their sources have, how that drifts, and imports.

use std::collections::BTreeMap;

use causeway_catalog::{
    DatasourceStatus, Difference, DriftReport, DriftRow, ForeignTable, Impact, ImportAction, ImportReport, PublishedName, StoredSnapshot,
};
use serde::{Deserialize, Serialize};

use super::{Omission, moment, omission};
use crate::administration::{Refreshed, Validated};
use crate::pg::catalog::shown_type;

/// A datasource in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Datasource {
    pub(crate) name: String,
    pub(crate) connector: String,
    pub(crate) origin: String,
    pub(crate) schema_mode: String,
    pub(crate) label: Option<String>,
    pub(crate) state: String,
    /// How many tables it publishes.
    pub(crate) tables: usize,
    pub(crate) allow_writes: bool,
    pub(crate) query_timeout: Option<String>,
    pub(crate) check_interval: Option<String>,
    pub(crate) refresh_interval: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) stale_since: Option<String>,
    pub(crate) checked_at: Option<String>,
    /// How many differences from what is expected are open, if that can be said.
    pub(crate) drift: Option<u64>,
}

/// A datasource by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatasourceDetail {
    #[serde(flatten)]
    pub(crate) datasource: Datasource,
    /// Where pinned tables and the source disagree, a sentence each.
    pub(crate) mismatches: Vec<String>,
    pub(crate) omitted: Vec<Omission>,
}

/// A remote table that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteTable {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) column_count: usize,
    pub(crate) primary_key: Vec<String>,
    pub(crate) row_estimate: Option<u64>,
    pub(crate) comment: Option<String>,
    /// Where it is published; more than once when it was imported as well.
    pub(crate) published: Vec<Publication>,
}

/// A name a remote table is published under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publication {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) pinned: bool,
    pub(crate) writable: bool,
    /// Why it cannot be read now.
    pub(crate) unavailable: Option<String>,
}

/// What a source has, as published last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExternalCatalog {
    pub(crate) datasource: String,
    /// The newest stored snapshot; `None` before the first.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) stale_since: Option<String>,
    pub(crate) tables: Vec<TableDetail>,
}

/// A remote table with its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableDetail {
    #[serde(flatten)]
    pub(crate) table: RemoteTable,
    pub(crate) columns: Vec<Column>,
    pub(crate) unique_keys: Vec<Vec<String>>,
}

/// A remote column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The type as clients of the gateway see it.
    #[serde(rename = "type")]
    pub(crate) shown_type: String,
    /// The type as the source prints it.
    pub(crate) remote_type: String,
    pub(crate) nullable: bool,
    pub(crate) collation: Option<String>,
    pub(crate) comment: Option<String>,
}

/// A stored snapshot, without its tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) version: i64,
    pub(crate) taken_at: String,
    pub(crate) seen_at: String,
    pub(crate) table_count: u64,
    pub(crate) fingerprint: String,
}

/// A difference between what is expected and what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriftedColumn {
    pub(crate) remote_schema: String,
    pub(crate) remote_table: String,
    pub(crate) kind: String,
    pub(crate) column: Option<String>,
    pub(crate) expected: Option<String>,
    pub(crate) actual: Option<String>,
    pub(crate) severity: String,
    /// The tables of the gateway it is about; none between two snapshots, and for a table that is new.
    #[serde(default)]
    pub(crate) published: Vec<PublishedName>,
}

/// What differences break.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broken {
    pub(crate) foreign_tables: Vec<BrokenTable>,
    pub(crate) prepared_statements: Vec<PreparedStatement>,
}

/// A published table that differences break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokenTable {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) pinned: bool,
    /// Its broken columns; none when it is the table as a whole, or its key.
    pub(crate) columns: Vec<String>,
}

/// A statement that a client has prepared and that reads a broken table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreparedStatement {
    pub(crate) pid: i32,
    pub(crate) name: String,
}

/// A difference as it is kept: open, or of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub(crate) datasource: String,
    #[serde(flatten)]
    pub(crate) difference: DriftedColumn,
    pub(crate) first_seen: String,
    /// The event that told of it.
    pub(crate) event: i64,
    pub(crate) resolved_at: Option<String>,
    pub(crate) resolved_event: Option<i64>,
    /// Why it was resolved: `reverted`, `superseded`, `accepted` or `dropped`.
    pub(crate) resolution: Option<String>,
}

/// How two snapshots differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CatalogDifference {
    pub(crate) datasource: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) differences: Vec<DriftedColumn>,
}

/// What a refresh gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) tables: usize,
    pub(crate) omitted: Vec<Omission>,
}

/// What a drift check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validation {
    /// The open differences.
    pub(crate) differences: Vec<Drift>,
    /// What they break.
    #[serde(default)]
    pub(crate) impact: Broken,
    /// Events this check gave rise to.
    pub(crate) events: usize,
    /// Tables our user may not read any more, and columns of others.
    pub(crate) unreadable: usize,
}

/// What is to be imported under which name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableImport {
    /// The schema to publish it in.
    pub(crate) schema: String,
    /// The name to publish it under; its own without.
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) writable: bool,
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// Which tables of a remote schema are to be imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaImport {
    /// The schema to publish them in.
    pub(crate) into: String,
    /// The source's default schema without.
    #[serde(default)]
    pub(crate) remote_schema: Option<String>,
    /// Only these tables; not an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_to: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) except: Vec<String>,
    /// Published names by remote name.
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) writable: bool,
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportOutcome {
    pub(crate) written: bool,
    pub(crate) tables: Vec<ImportedTable>,
}

/// A table of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportedTable {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) remote_schema: String,
    pub(crate) remote_table: String,
    pub(crate) columns: usize,
    /// Whether it was imported under this name before.
    pub(crate) known: bool,
    /// `import`, `replace` (it was imported before, and gets another contract) or `keep` (it was, and nothing changes).
    pub(crate) action: String,
    /// How it differs from the contract it had, all of which the import accepts.
    pub(crate) differences: Vec<DriftedColumn>,
    /// What else there is to know before it is imported, a sentence each.
    pub(crate) notes: Vec<String>,
    /// Where a value may not arrive as it is, and what is left out.
    pub(crate) reviews: Vec<String>,
}

impl Datasource {
    /// A datasource that publishes so many tables.
    pub(crate) fn new(status: &DatasourceStatus, tables: usize, drift: Option<u64>) -> Self {
        let datasource = &status.datasource;
        let duration = |duration: std::time::Duration| humantime::format_duration(duration).to_string();
        Self {
            name: datasource.name.clone(),
            connector: datasource.connector.clone(),
            origin: datasource.origin.as_str().to_owned(),
            schema_mode: datasource.schema_mode.as_str().to_owned(),
            label: datasource.label.clone(),
            state: status.state.as_str().to_owned(),
            tables,
            allow_writes: datasource.allow_writes,
            query_timeout: datasource.options.query_timeout.map(duration),
            check_interval: datasource.validation.check_interval.map(duration),
            refresh_interval: datasource.refresh_interval.map(duration),
            last_error: status.last_error.clone(),
            stale_since: status.stale_since.map(moment),
            checked_at: status.checked_at.map(moment),
            drift,
        }
    }
}

impl DatasourceDetail {
    pub(crate) fn new(status: &DatasourceStatus, datasource: Datasource) -> Self {
        Self { datasource, mismatches: status.mismatches.clone(), omitted: status.omitted.iter().map(omission).collect() }
    }
}

impl RemoteTable {
    /// The remote tables of published ones, by schema and name.
    pub(crate) fn all<'a>(tables: impl IntoIterator<Item = &'a ForeignTable>) -> Vec<Self> {
        TableDetail::all(tables).into_iter().map(|detail| detail.table).collect()
    }
}

impl TableDetail {
    /// The remote tables of published ones with their columns, by schema and name.
    pub(crate) fn all<'a>(tables: impl IntoIterator<Item = &'a ForeignTable>) -> Vec<Self> {
        let mut all: BTreeMap<(&str, &str), TableDetail> = BTreeMap::new();
        for table in tables {
            let remote = &table.remote;
            let detail = all.entry((&remote.schema, &remote.name)).or_insert_with(|| TableDetail::of(remote));
            detail.table.published.push(Publication {
                schema: table.schema.clone(),
                name: table.name.clone(),
                pinned: table.pinned,
                writable: table.writable,
                unavailable: table.unavailable.as_ref().map(|reason| reason.message().to_owned()),
            });
        }
        all.into_values().collect()
    }

    fn of(remote: &causeway_providers::RemoteTable) -> Self {
        let column = |column: &causeway_providers::RemoteColumn| Column {
            name: column.name.clone(),
            shown_type: shown_type(column),
            remote_type: column.remote_type.clone(),
            nullable: column.nullable,
            collation: column.collation.clone(),
            comment: column.comment.clone(),
        };
        Self {
            table: RemoteTable {
                schema: remote.schema.clone(),
                name: remote.name.clone(),
                kind: remote.kind.as_str().to_owned(),
                column_count: remote.columns.len(),
                primary_key: remote.primary_key.clone(),
                row_estimate: remote.row_estimate,
                comment: remote.comment.clone(),
                published: Vec::new(),
            },
            columns: remote.columns.iter().map(column).collect(),
            unique_keys: remote.unique_keys.clone(),
        }
    }
}

impl From<&StoredSnapshot> for Snapshot {
    fn from(snapshot: &StoredSnapshot) -> Self {
        Self {
            version: snapshot.version,
            taken_at: moment(snapshot.taken_at),
            seen_at: moment(snapshot.seen_at),
            table_count: snapshot.table_count,
            fingerprint: snapshot.fingerprint.clone(),
        }
    }
}

impl DriftedColumn {
    /// A difference of a remote table.
    fn new(schema: &str, table: &str, difference: &Difference) -> Self {
        Self {
            remote_schema: schema.to_owned(),
            remote_table: table.to_owned(),
            kind: difference.kind.as_str().to_owned(),
            column: difference.column.clone(),
            expected: difference.expected.clone(),
            actual: difference.actual.clone(),
            severity: difference.severity.as_str().to_owned(),
            published: difference.published.clone(),
        }
    }

    /// The differences of a report, table by table.
    pub(crate) fn all(report: &DriftReport) -> Vec<Self> {
        let of = |drift: &causeway_catalog::TableDrift| {
            drift.differences.iter().map(|difference| Self::new(&drift.schema, &drift.table, difference)).collect::<Vec<_>>()
        };
        report.tables.iter().flat_map(of).collect()
    }
}

impl From<&DriftRow> for DriftedColumn {
    fn from(row: &DriftRow) -> Self {
        Self {
            remote_schema: row.remote_schema.clone(),
            remote_table: row.remote_table.clone(),
            kind: row.kind.clone(),
            column: row.column.clone(),
            expected: row.expected.clone(),
            actual: row.actual.clone(),
            severity: row.severity.clone(),
            published: row.published.clone(),
        }
    }
}

impl From<&DriftRow> for Drift {
    fn from(row: &DriftRow) -> Self {
        Self {
            datasource: row.datasource.clone(),
            difference: row.into(),
            first_seen: moment(row.first_seen),
            event: row.opened_sequence,
            resolved_at: row.resolved_at.map(moment),
            resolved_event: row.resolved_sequence,
            resolution: row.resolution.clone(),
        }
    }
}

impl From<&Refreshed> for Refresh {
    fn from(refreshed: &Refreshed) -> Self {
        Self { tables: refreshed.tables, omitted: refreshed.omitted.iter().map(omission).collect() }
    }
}

impl From<&Impact> for Broken {
    fn from(impact: &Impact) -> Self {
        let table = |table: &causeway_catalog::AffectedTable| BrokenTable {
            schema: table.schema.clone(),
            name: table.name.clone(),
            pinned: table.pinned,
            columns: table.columns.clone(),
        };
        let statement =
            |statement: &causeway_catalog::PreparedStatement| PreparedStatement { pid: statement.pid, name: statement.name.clone() };
        Self {
            foreign_tables: impact.foreign_tables.iter().map(table).collect(),
            prepared_statements: impact.prepared_statements.iter().map(statement).collect(),
        }
    }
}

impl From<&Validated> for Validation {
    fn from(validated: &Validated) -> Self {
        Self {
            differences: validated.differences.iter().map(Drift::from).collect(),
            impact: (&validated.impact).into(),
            events: validated.check.events,
            unreadable: validated.check.unreadable,
        }
    }
}

impl From<ImportReport> for ImportOutcome {
    fn from(report: ImportReport) -> Self {
        let table = |table: causeway_catalog::ImportedTable| ImportedTable {
            known: table.action != ImportAction::Import,
            action: table.action.as_str().to_owned(),
            differences: table
                .differences
                .iter()
                .map(|difference| DriftedColumn::new(&table.remote_schema, &table.remote_table, difference))
                .collect(),
            notes: table.notes,
            schema: table.schema,
            name: table.name,
            remote_schema: table.remote_schema,
            remote_table: table.remote_table,
            columns: table.columns,
            reviews: table.reviews,
        };
        Self { written: report.is_written, tables: report.tables.into_iter().map(table).collect() }
    }
}
