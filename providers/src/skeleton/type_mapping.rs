//! The source's types: which Arrow type holds every value of each exactly, and which comparisons agree.

use datafusion::arrow::datatypes::DataType;

use crate::declared_type::DeclaredType;
use crate::remote::{Comparison, Presentation, RemoteColumn};

/// The types of such sources.
const TYPES: &[&str] = &["integer", "text"];

/// What a text is as one of the source's types.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    match text {
        "integer" => DeclaredType::Known(DataType::Int64, Presentation::Plain),
        "text" => DeclaredType::Known(DataType::Utf8, Presentation::Plain),
        _ => DeclaredType::Unknown(TYPES),
    }
}

/// A column of a remote type. What cannot be mapped is left out of its table with a reason, or published as text.
pub(super) fn column(name: &str, remote_type: &str, nullable: bool) -> RemoteColumn {
    RemoteColumn {
        name: name.to_owned(),
        remote_type: remote_type.to_owned(),
        data_type: match remote_type {
            "integer" => DataType::Int64,
            _ => DataType::Utf8,
        },
        presentation: Presentation::Plain,
        nullable,
        comment: None,
        collation: None,
        // Nothing is compared at the source until it is known to compare as we do.
        comparison: Comparison::None,
    }
}
