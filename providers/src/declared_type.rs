//! What a connector makes of a type that a person wrote down.

use std::str::FromStr;

use datafusion::arrow::datatypes::DataType;

use crate::remote::Presentation;

/// The words that Arrow's types begin with.
const ARROW: &[&str] = &[
    "Binary",
    "BinaryView",
    "Boolean",
    "Date32",
    "Date64",
    "Decimal128",
    "Decimal256",
    "Decimal32",
    "Decimal64",
    "Dictionary",
    "Duration",
    "FixedSizeBinary",
    "FixedSizeList",
    "Float16",
    "Float32",
    "Float64",
    "Int16",
    "Int32",
    "Int64",
    "Int8",
    "Interval",
    "LargeBinary",
    "LargeList",
    "LargeListView",
    "LargeUtf8",
    "List",
    "ListView",
    "Map",
    "Null",
    "RunEndEncoded",
    "Struct",
    "Time32",
    "Time64",
    "Timestamp",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt8",
    "Union",
    "Utf8",
    "Utf8View",
];

/// What a text is as one of Arrow's types, as they are published.
pub(crate) fn of_arrow(text: &str, publish: fn(&DataType) -> DataType) -> DeclaredType {
    let text = text.trim();
    match DataType::from_str(text) {
        Ok(data_type) => DeclaredType::plain(publish(&data_type)),
        // Arrow prints more than it reads.
        Err(_) if text.split_once('(').is_some_and(|(word, _)| ARROW.contains(&word)) => DeclaredType::text(),
        Err(_) => DeclaredType::Unknown(ARROW),
    }
}

/// A type by its text alone, without a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredType {
    /// A type of such sources, and the form its values arrive in unless the datasource's options say otherwise.
    Known(DataType, Presentation),
    /// Perhaps a type that the users of one source made, whose values arrive as text. All such sources have the types that are listed.
    Custom(&'static [&'static str]),
    /// No type of any such source; these are.
    Unknown(&'static [&'static str]),
}

impl DeclaredType {
    /// A type whose Arrow type says all.
    pub(crate) fn plain(data_type: DataType) -> Self {
        Self::Known(data_type, Presentation::Plain)
    }

    /// A type whose values arrive as text.
    pub(crate) fn text() -> Self {
        Self::plain(DataType::Utf8)
    }

    /// The form its values arrive in, which is text where nothing better is known.
    pub fn form(self) -> (DataType, Presentation) {
        match self {
            DeclaredType::Known(data_type, presentation) => (data_type, presentation),
            DeclaredType::Custom(_) | DeclaredType::Unknown(_) => (DataType::Utf8, Presentation::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_own_words_are_types_and_others_are_not() {
        let read = |text: &str| of_arrow(text, DataType::clone);
        assert_eq!(read(" Int64 "), DeclaredType::plain(DataType::Int64));
        assert_eq!(read("Decimal128(10, 2)"), DeclaredType::plain(DataType::Decimal128(10, 2)));
        assert!(matches!(read("Struct(what is not read back)"), DeclaredType::Known(..)));
        for text in ["Int46", "bigint", "", "Struct"] {
            assert_eq!(read(text), DeclaredType::Unknown(ARROW), "{text}");
        }
    }
}
