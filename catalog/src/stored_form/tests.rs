//! Form 1 as old stores hold it, both ways.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, TimeUnit};

use super::*;

/// What form 1 looks like. A change here is a change of what old stores hold: write a new form instead.
const GOLDEN: &str = include_str!("form_1.json");

fn everything() -> Introspection {
    let column = |name: &str, remote_type: &str, data_type: DataType, presentation, comparison| RemoteColumn {
        name: name.to_owned(),
        remote_type: remote_type.to_owned(),
        data_type,
        presentation,
        nullable: name != "id",
        comment: (name == "id").then(|| "the \"key\"".to_owned()),
        collation: (name == "note").then(|| "de_DE.utf8".to_owned()),
        comparison,
    };
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    Introspection {
        default_schema: "public".to_owned(),
        tables: vec![
            RemoteTable {
                schema: "public".to_owned(),
                name: "Übersicht".to_owned(),
                kind: TableKind::PartitionedTable,
                columns: vec![
                    column("id", "bigint", DataType::Int64, Presentation::Plain, Comparison::Total),
                    column("note", "text", DataType::Utf8, Presentation::Plain, Comparison::Equality),
                    column("price", "numeric(10,2)", DataType::Decimal128(10, 2), Presentation::Plain, Comparison::Total),
                    column("any", "numeric", DataType::Decimal256(76, 38), Presentation::UnconstrainedNumeric, Comparison::None),
                    column("at", "timestamp with time zone", instant, Presentation::Plain, Comparison::Total),
                    column("ids", "integer[]", list, Presentation::Plain, Comparison::None),
                    column("ratio", "double precision", DataType::Float64, Presentation::Plain, Comparison::Float),
                    column("key", "uuid", DataType::Utf8, Presentation::Uuid, Comparison::Total),
                    column("doc", "jsonb", DataType::Utf8, Presentation::Jsonb, Comparison::None),
                    column("code", "character(3)", DataType::Utf8, Presentation::Bpchar, Comparison::SupersetEquality),
                ],
                primary_key: vec!["id".to_owned()],
                unique_keys: vec![vec!["note".to_owned(), "price".to_owned()]],
                comment: Some("orders, by day".to_owned()),
                row_estimate: Some(12),
            },
            RemoteTable {
                schema: String::new(),
                name: "v".to_owned(),
                kind: TableKind::View,
                columns: Vec::new(),
                primary_key: Vec::new(),
                unique_keys: Vec::new(),
                comment: None,
                row_estimate: None,
            },
        ],
        omitted: vec![
            Omission { subject: "public.geo.at".to_owned(), reason: "no type for point".to_owned(), cause: OmissionCause::Unmapped },
            Omission { subject: "public.pay".to_owned(), reason: "no SELECT privilege".to_owned(), cause: OmissionCause::Unreadable },
        ],
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    let seen = everything();
    assert_eq!(read(&write(&seen).unwrap()).unwrap(), seen);
}

#[test]
fn the_form_is_the_one_old_stores_hold() {
    let seen = everything();
    let written: serde_json::Value = serde_json::from_str(&write(&seen).unwrap()).unwrap();
    if std::env::var_os("CAUSEWAY_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/stored_form/form_1.json");
        std::fs::write(path, format!("{}\n", serde_json::to_string_pretty(&written).unwrap())).unwrap();
    }
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(GOLDEN).unwrap());
    assert_eq!(read(GOLDEN).unwrap(), seen);
}

#[test]
fn a_newer_form_and_a_damaged_text_are_refused() {
    let newer = read(r#"{"form": 2, "default_schema": "", "tables": []}"#).unwrap_err();
    assert_eq!(newer.message(), "a stored snapshot cannot be read: its form is 2, and this version of Causeway knows 1");
    assert_eq!(read("{").unwrap_err().kind(), ErrorKind::Invalid);
}
