//! What a table we write to has to look like, in words that each source has types for.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime};

use crate::error::{Error, ErrorKind, Result};

/// The most characters of a value in a [`DescribedType::Key`] column.
pub(crate) const KEY_LENGTH: usize = 64;

/// A table we write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescriptor {
    /// The remote schema; `None` is the one whose tables appear under the datasource's own name.
    pub schema: Option<String>,
    /// The remote name.
    pub name: String,
    /// The columns we fill, in the order of a row's values.
    pub columns: Vec<DescribedColumn>,
    /// Names of the columns that tell rows apart: [`DescribedType::Key`] or [`DescribedType::BigInt`], and never NULL.
    pub primary_key: Vec<String>,
}

/// A column we fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedColumn {
    /// The remote name.
    pub name: String,
    /// What it holds.
    pub kind: DescribedType,
    /// Whether we may write NULL.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DescribedType {
    /// Text of 1 to 64 characters without a blank at the end, compared by its bytes: fit for a key on every source.
    Key,
    /// Text of any length.
    Text,
    /// A JSON document. Its text comes back as it was given, except from MySQL's own `json` and PostgreSQL's `jsonb`, which keep
    /// the value only.
    Json,
    /// A moment in UTC, to the microsecond.
    Timestamp,
    /// A signed integer of 64 bits.
    BigInt,
}

impl DescribedType {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Key, Self::Text, Self::Json, Self::Timestamp, Self::BigInt];

    fn takes(self, value: &CellValue) -> bool {
        match self {
            Self::Key | Self::Text => matches!(value, CellValue::Text(_)),
            Self::Json => matches!(value, CellValue::Json(_)),
            Self::Timestamp => matches!(value, CellValue::Timestamp(_)),
            Self::BigInt => matches!(value, CellValue::BigInt(_)),
        }
    }
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellValue {
    /// No value.
    Null,
    /// For [`DescribedType::Key`] and [`DescribedType::Text`]. Not every source holds the character NUL, so none is given it.
    Text(String),
    /// For [`DescribedType::BigInt`].
    BigInt(i64),
    /// For [`DescribedType::Timestamp`]: microseconds since 1970 in UTC, within the years 1 to 9999.
    Timestamp(i64),
    /// For [`DescribedType::Json`]: the text of a document, without the character NUL.
    Json(String),
}

impl CellValue {
    /// About how many bytes it takes on the wire.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Text(text) | Self::Json(text) => text.len() + 9,
            Self::BigInt(_) => 8,
            Self::Timestamp(_) => 40,
        }
    }
}

/// The moment of a [`CellValue::Timestamp`]; `None` outside the years that every source holds.
pub(crate) fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|moment| moment.naive_utc()).filter(|moment| (1..=9999).contains(&moment.year()))
}

impl TableDescriptor {
    /// Whether every source can follow it.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |text: String| Err(Error::new(ErrorKind::Invalid, format!("the description of table \"{}\" {text}", self.name)));
        // Some sources ignore the case of a column's name.
        let names: BTreeSet<String> = self.columns.iter().map(|column| column.name.to_lowercase()).collect();
        if names.len() != self.columns.len() {
            return invalid("has two columns of one name".to_owned());
        }
        if self.primary_key.is_empty() || self.primary_key.iter().collect::<BTreeSet<_>>().len() != self.primary_key.len() {
            return invalid("needs a primary key that names each column once".to_owned());
        }
        for key in &self.primary_key {
            let column = self.columns.iter().find(|column| column.name == *key);
            if !column.is_some_and(|column| !column.nullable && matches!(column.kind, DescribedType::Key | DescribedType::BigInt)) {
                return invalid(format!("has no column \"{key}\" that is fit for its primary key"));
            }
        }
        let mut identifiers = self.columns.iter().map(|column| &column.name).chain([&self.name]).chain(&self.schema);
        if identifiers.any(|name| name.is_empty() || name.contains('\0')) {
            return invalid("has a name that is empty or holds the character NUL".to_owned());
        }
        Ok(())
    }

    /// Where the key's values are in a row, in the key's order.
    pub(crate) fn key_positions(&self) -> Vec<usize> {
        self.primary_key.iter().filter_map(|key| self.columns.iter().position(|column| column.name == *key)).collect()
    }
}

impl DescribedColumn {
    /// Whether it takes `value`; the reason when it does not never shows the value.
    pub(crate) fn check(&self, value: &CellValue) -> Result<(), &'static str> {
        match value {
            CellValue::Null if self.nullable => Ok(()),
            CellValue::Null => Err("takes no NULL"),
            other if !self.kind.takes(other) => Err("was given a value of another type"),
            CellValue::Text(text) | CellValue::Json(text) if text.contains('\0') => Err("takes no text with the character NUL"),
            CellValue::Text(text) if self.kind == DescribedType::Key && !is_key(text) => {
                Err("takes keys of 1 to 64 characters without a blank at the end")
            }
            CellValue::Timestamp(micros) if moment(*micros).is_none() => Err("takes moments of the years 1 to 9999"),
            CellValue::Text(_) | CellValue::Json(_) | CellValue::BigInt(_) | CellValue::Timestamp(_) => Ok(()),
        }
    }
}

/// Sources that pad texts when they compare them would take a key with blanks at its end for the one without.
fn is_key(text: &str) -> bool {
    !text.ends_with(' ') && (1..=KEY_LENGTH).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: DescribedType, nullable: bool) -> DescribedColumn {
        DescribedColumn { name: name.to_owned(), kind, nullable }
    }

    fn described() -> TableDescriptor {
        let columns = vec![column("id", DescribedType::Key, false), column("data", DescribedType::Json, true)];
        TableDescriptor { schema: None, name: "t".to_owned(), columns, primary_key: vec!["id".to_owned()] }
    }

    #[test]
    fn descriptors_no_source_can_follow_are_refused() {
        described().check().unwrap();
        type Change = fn(&mut TableDescriptor);
        let broken: [(&str, Change); 8] = [
            ("two columns of one name", |t| t.columns.push(column("ID", DescribedType::Text, true))),
            ("a primary key", |t| t.primary_key.clear()),
            ("names each column once", |t| t.primary_key.push("id".to_owned())),
            ("no column \"nowhere\"", |t| t.primary_key = vec!["nowhere".to_owned()]),
            ("no column \"data\" that is fit", |t| t.primary_key = vec!["data".to_owned()]),
            ("no column \"id\" that is fit", |t| t.columns[0].nullable = true),
            ("no column \"id\" that is fit", |t| t.columns[0].kind = DescribedType::Text),
            ("a name that is empty", |t| t.schema = Some(String::new())),
        ];
        for (text, break_it) in broken {
            let mut descriptor = described();
            break_it(&mut descriptor);
            let error = descriptor.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains(text), "\"{}\" does not contain \"{text}\"", error.message());
        }
    }

    #[test]
    fn values_are_what_their_column_takes() {
        let text = |text: &str| CellValue::Text(text.to_owned());
        let key = column("c", DescribedType::Key, false);
        for (value, taken) in [
            (text("a"), true),
            (text(&"ü".repeat(KEY_LENGTH)), true),
            (text(&"ü".repeat(KEY_LENGTH + 1)), false),
            (text(""), false),
            (text("a "), false),
            (text(" a"), true),
            (text("a\0b"), false),
            (CellValue::Null, false),
            (CellValue::BigInt(1), false),
            (CellValue::Json("1".to_owned()), false),
        ] {
            assert_eq!(key.check(&value).is_ok(), taken, "{value:?}");
        }
        let moment = column("c", DescribedType::Timestamp, true);
        for (micros, taken) in [
            (0, true),
            (-62_135_596_800_000_000, true),
            (-62_135_596_800_000_001, false),
            (253_402_300_799_999_999, true),
            (253_402_300_800_000_000, false),
            (i64::MAX, false),
            (i64::MIN, false),
        ] {
            assert_eq!(moment.check(&CellValue::Timestamp(micros)).is_ok(), taken, "{micros}");
        }
        moment.check(&CellValue::Null).unwrap();
        column("c", DescribedType::Text, true).check(&text("trailing ")).unwrap();
    }
}
