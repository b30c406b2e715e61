//! What a source had, as it is stored: values of their own with a version, so that the live types may change freely.

use causeway_providers::{
    Comparison, Error, ErrorKind, Introspection, Omission, OmissionCause, Presentation, RemoteColumn, RemoteTable, Result, TableKind,
};
use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version that is written. Older ones are read for ever.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct StoredIntrospection {
    form: u32,
    default_schema: String,
    tables: Vec<StoredTable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    omitted: Vec<StoredOmission>,
}

#[derive(Serialize, Deserialize)]
struct StoredOmission {
    subject: String,
    reason: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredTable {
    schema: String,
    name: String,
    kind: StoredKind,
    columns: Vec<StoredColumn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    primary_key: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unique_keys: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    #[serde(rename = "type")]
    remote_type: String,
    #[serde(serialize_with = "write_type", deserialize_with = "read_type")]
    arrow: DataType,
    #[serde(default = "StoredPresentation::plain", skip_serializing_if = "StoredPresentation::is_plain")]
    presentation: StoredPresentation,
    nullable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collation: Option<String>,
    comparison: StoredComparison,
}

/// An Arrow type as Arrow prints and reads it, such as `Decimal128(10, 2)`.
fn write_type<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(data_type)
}

fn read_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// A word per value of a live enumeration, both ways.
macro_rules! words {
    ($stored:ident, $live:ident, $($variant:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $stored { $($variant),+ }

        impl From<$live> for $stored {
            fn from(live: $live) -> Self {
                match live { $($live::$variant => Self::$variant),+ }
            }
        }

        impl From<$stored> for $live {
            fn from(stored: $stored) -> Self {
                match stored { $($stored::$variant => Self::$variant),+ }
            }
        }
    };
}

words!(StoredKind, TableKind, Table, PartitionedTable, View, MaterializedView, ForeignTable);
words!(StoredPresentation, Presentation, Plain, Uuid, Json, Jsonb, Bpchar, UnconstrainedNumeric);
words!(StoredComparison, Comparison, Total, Equality, Float, OwnType, SupersetEquality, None);

impl StoredPresentation {
    fn plain() -> Self {
        StoredPresentation::Plain
    }

    fn is_plain(&self) -> bool {
        matches!(self, StoredPresentation::Plain)
    }
}

/// Writes what a source had.
///
/// # Errors
/// `Internal` when a value has no JSON, which none has.
pub(crate) fn write(seen: &Introspection) -> Result<String> {
    let stored = StoredIntrospection {
        form: VERSION,
        default_schema: seen.default_schema.clone(),
        tables: seen.tables.iter().map(store_table).collect(),
        omitted: seen.omitted.iter().map(store_omission).collect(),
    };
    serde_json::to_string(&stored).map_err(|error| Error::new(ErrorKind::Internal, format!("a snapshot cannot be written: {error}")))
}

/// Reads what a source had.
///
/// # Errors
/// `Invalid` when the text is damaged or of a newer form.
pub(crate) fn read(text: &str) -> Result<Introspection> {
    let invalid = |why: String| Error::new(ErrorKind::Invalid, format!("a stored snapshot cannot be read: {why}"));
    let stored: StoredIntrospection = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if stored.form > VERSION {
        return Err(invalid(format!("its form is {}, and this version of Causeway knows {VERSION}", stored.form)));
    }
    Ok(Introspection {
        default_schema: stored.default_schema,
        tables: stored.tables.into_iter().map(live_table).collect(),
        omitted: stored.omitted.into_iter().map(live_omission).collect(),
    })
}

fn store_omission(omission: &Omission) -> StoredOmission {
    let unreadable = omission.cause == OmissionCause::Unreadable;
    StoredOmission { subject: omission.subject.clone(), reason: omission.reason.clone(), unreadable }
}

fn live_omission(stored: StoredOmission) -> Omission {
    let cause = if stored.unreadable { OmissionCause::Unreadable } else { OmissionCause::Unmapped };
    Omission { subject: stored.subject, reason: stored.reason, cause }
}

fn store_table(table: &RemoteTable) -> StoredTable {
    let column = |column: &RemoteColumn| StoredColumn {
        name: column.name.clone(),
        remote_type: column.remote_type.clone(),
        arrow: column.data_type.clone(),
        presentation: column.presentation.into(),
        nullable: column.nullable,
        comment: column.comment.clone(),
        collation: column.collation.clone(),
        comparison: column.comparison.into(),
    };
    StoredTable {
        schema: table.schema.clone(),
        name: table.name.clone(),
        kind: table.kind.into(),
        columns: table.columns.iter().map(column).collect(),
        primary_key: table.primary_key.clone(),
        unique_keys: table.unique_keys.clone(),
        comment: table.comment.clone(),
        rows: table.row_estimate,
    }
}

fn live_table(stored: StoredTable) -> RemoteTable {
    let column = |column: StoredColumn| RemoteColumn {
        name: column.name,
        remote_type: column.remote_type,
        data_type: column.arrow,
        presentation: column.presentation.into(),
        nullable: column.nullable,
        comment: column.comment,
        collation: column.collation,
        comparison: column.comparison.into(),
    };
    RemoteTable {
        schema: stored.schema,
        name: stored.name,
        kind: stored.kind.into(),
        columns: stored.columns.into_iter().map(column).collect(),
        primary_key: stored.primary_key,
        unique_keys: stored.unique_keys,
        comment: stored.comment,
        row_estimate: stored.rows,
    }
}

#[cfg(test)]
mod tests;
