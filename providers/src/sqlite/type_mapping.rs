//! Declared types of SQLite as Arrow types.
//!
//! SQLite takes any words for a type and any value for a column, so the words say what is meant and every value is checked when it is
//! read. `docs/types-sqlite.md` is this file for users.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::remote::{Comparison, Presentation};

/// Digits of a decimal without a declared precision, and those of them behind the point.
const UNCONSTRAINED: DataType = DataType::Decimal256(76, 38);

/// How a column is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) data_type: DataType,
    pub(super) presentation: Presentation,
    pub(super) comparison: Comparison,
}

/// What SQLite does with the values of a column when it compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour<'a> {
    /// A column of a table, with the name of its collation where SQLite knows it, in a database that stores text as UTF-8 or not.
    Stored { collation: Option<&'a str>, utf8: bool },
    /// A column of a view: its values may come from an expression, without the affinity and collation of a stored column.
    Viewed,
    /// A column of a virtual table, whose module compares as it likes.
    Virtual,
}

impl Behaviour<'_> {
    fn is_binary(self) -> bool {
        matches!(self, Self::Stored { collation: Some(name), .. } if name.eq_ignore_ascii_case("BINARY"))
    }

    fn when_stored(self, comparison: Comparison) -> Comparison {
        if matches!(self, Self::Stored { .. }) { comparison } else { Comparison::None }
    }

    fn of_numbers(self, comparison: Comparison) -> Comparison {
        if self == Self::Virtual { Comparison::None } else { comparison }
    }

    fn of_text(self) -> Comparison {
        match self {
            // BINARY compares the bytes as they are stored, and only those of UTF-8 are in the order of ours.
            Self::Stored { utf8, .. } if self.is_binary() => {
                if utf8 {
                    Comparison::Total
                } else {
                    Comparison::Equality
                }
            }
            Self::Stored { collation: Some(name), .. } if name.eq_ignore_ascii_case("NOCASE") || name.eq_ignore_ascii_case("RTRIM") => {
                Comparison::SupersetEquality
            }
            Self::Stored { .. } | Self::Viewed | Self::Virtual => Comparison::None,
        }
    }
}

/// The mapping of a declared type.
pub(super) fn map(declared: &str, behaviour: Behaviour<'_>) -> Mapping {
    let (name, arguments) = parse(declared);
    let plain = |data_type, comparison| Mapping { data_type, presentation: Presentation::Plain, comparison };
    // Text that may also hold numbers, because nothing was declared that SQLite or we understand.
    let anything = || plain(DataType::Utf8, Comparison::None);
    match name.as_str() {
        "BOOLEAN" | "BOOL" => return plain(DataType::Boolean, behaviour.when_stored(Comparison::Total)),
        "DATE" => {
            // The one text form that is read sorts by its bytes as dates do.
            let comparison = if behaviour.is_binary() { Comparison::Total } else { Comparison::None };
            return plain(DataType::Date32, comparison);
        }
        "TIME" | "TIME WITHOUT TIME ZONE" => return plain(DataType::Time64(TimeUnit::Microsecond), Comparison::None),
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => {
            return plain(DataType::Timestamp(TimeUnit::Microsecond, None), Comparison::None);
        }
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => {
            return plain(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), Comparison::None);
        }
        "DECIMAL" | "NUMERIC" | "DEC" | "DECIMAL UNSIGNED" | "NUMERIC UNSIGNED" => return decimal(&arguments),
        // `JSON` alone has SQLite turn a document that is a number into its own idea of that number.
        "JSON" | "JSON TEXT" => {
            return Mapping { data_type: DataType::Utf8, presentation: Presentation::Json, comparison: Comparison::None };
        }
        _ => {}
    }
    // SQLite's own rules, in their order, but for INT: it must be a word of its own, or POINT would be a number.
    if name.contains("INT") {
        return if name.split(' ').any(is_integer_word) {
            plain(DataType::Int64, behaviour.of_numbers(Comparison::Total))
        } else {
            anything()
        };
    }
    if ["CHAR", "CLOB", "TEXT"].iter().any(|word| name.contains(word)) {
        return plain(DataType::Utf8, behaviour.of_text());
    }
    if name.contains("BLOB") {
        return plain(DataType::Binary, behaviour.when_stored(Comparison::Total));
    }
    if ["REAL", "FLOA", "DOUB"].iter().any(|word| name.contains(word)) {
        return plain(DataType::Float64, behaviour.of_numbers(Comparison::Float));
    }
    anything()
}

fn decimal(arguments: &[u8]) -> Mapping {
    let unconstrained =
        Mapping { data_type: UNCONSTRAINED, presentation: Presentation::UnconstrainedNumeric, comparison: Comparison::None };
    let (precision, scale) = match arguments {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision.max(scale), *scale),
        _ => return unconstrained,
    };
    let Ok(signed) = i8::try_from(scale) else { return unconstrained };
    let data_type = match precision {
        1..=38 => DataType::Decimal128(precision, signed),
        39..=76 => DataType::Decimal256(precision, signed),
        _ => return unconstrained,
    };
    Mapping { data_type, presentation: Presentation::Plain, comparison: Comparison::None }
}

/// `INT`, `INTEGER`, `BIGINT`, `UINT32`, `int8`, `MEDIUMINT` and their like.
fn is_integer_word(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = word.strip_prefix('U').unwrap_or(word);
    let word = ["TINY", "SMALL", "MEDIUM", "BIG"].iter().find_map(|size| word.strip_prefix(size)).unwrap_or(word);
    matches!(word, "INT" | "INTEGER")
}

/// The words of a declared type in upper case without what stands in parentheses, and the numbers that stand there.
fn parse(declared: &str) -> (String, Vec<u8>) {
    let (before, inside, after) = match declared.split_once('(') {
        Some((before, rest)) => match rest.split_once(')') {
            Some((inside, after)) => (before, inside, after),
            None => (before, "", ""),
        },
        None => (declared, "", ""),
    };
    let words: Vec<String> = before.split_whitespace().chain(after.split_whitespace()).map(str::to_ascii_uppercase).collect();
    let numbers: Result<Vec<u8>, _> = inside.split(',').map(|number| number.trim().parse()).collect();
    (words.join(" "), numbers.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: Behaviour<'_> = Behaviour::Stored { collation: Some("BINARY"), utf8: true };

    #[test]
    fn declared_types() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let cases = [
            ("INTEGER", DataType::Int64),
            ("int", DataType::Int64),
            ("BIGINT UNSIGNED", DataType::Int64),
            ("unsigned big int", DataType::Int64),
            ("INT8", DataType::Int64),
            ("UINT32", DataType::Int64),
            ("TINYINT(1)", DataType::Int64),
            ("POINT", DataType::Utf8),
            ("INTERVAL", DataType::Utf8),
            ("VARCHAR(20)", DataType::Utf8),
            ("nchar(5)", DataType::Utf8),
            ("CLOB", DataType::Utf8),
            ("text", DataType::Utf8),
            ("REAL", DataType::Float64),
            ("double precision", DataType::Float64),
            ("float", DataType::Float64),
            ("BLOB", DataType::Binary),
            ("", DataType::Utf8),
            ("ANY", DataType::Utf8),
            ("STRING", DataType::Utf8),
            ("DECIMAL(10,2)", DataType::Decimal128(10, 2)),
            ("NUMERIC( 38 , 4 )", DataType::Decimal128(38, 4)),
            ("DECIMAL(10, 2) UNSIGNED", DataType::Decimal128(10, 2)),
            ("NUMERIC(5)", DataType::Decimal128(5, 0)),
            ("NUMERIC(2,4)", DataType::Decimal128(4, 4)),
            ("NUMERIC(50,10)", DataType::Decimal256(50, 10)),
            ("NUMERIC(500,10)", UNCONSTRAINED),
            ("NUMERIC", UNCONSTRAINED),
            ("DECIMAL(x)", UNCONSTRAINED),
            ("BOOLEAN", DataType::Boolean),
            ("date", DataType::Date32),
            ("TIME", DataType::Time64(TimeUnit::Microsecond)),
            ("datetime", micros.clone()),
            ("DATETIME(6)", micros.clone()),
            ("timestamp  without time zone", micros),
            ("timestamp with time zone", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ];
        for (declared, wanted) in cases {
            assert_eq!(map(declared, BINARY).data_type, wanted, "{declared}");
        }
        assert_eq!(map("NUMERIC", BINARY).presentation, Presentation::UnconstrainedNumeric);
        assert_eq!(map("json", BINARY).presentation, Presentation::Json);
        assert_eq!(map("JSON TEXT", BINARY).presentation, Presentation::Json);
    }

    #[test]
    fn comparisons_follow_collation_encoding_and_kind() {
        let stored = |collation, utf8| Behaviour::Stored { collation, utf8 };
        let cases = [
            ("TEXT", stored(Some("BINARY"), true), Comparison::Total),
            ("TEXT", stored(Some("binary"), false), Comparison::Equality),
            ("TEXT", stored(Some("NOCASE"), true), Comparison::SupersetEquality),
            ("TEXT", stored(Some("RTRIM"), true), Comparison::SupersetEquality),
            ("TEXT", stored(Some("mine"), true), Comparison::None),
            ("TEXT", stored(None, true), Comparison::None),
            ("TEXT", Behaviour::Viewed, Comparison::None),
            ("INTEGER", Behaviour::Viewed, Comparison::Total),
            ("INTEGER", Behaviour::Virtual, Comparison::None),
            ("REAL", BINARY, Comparison::Float),
            ("BLOB", BINARY, Comparison::Total),
            ("BLOB", Behaviour::Viewed, Comparison::None),
            ("DATE", BINARY, Comparison::Total),
            ("DATE", stored(Some("NOCASE"), true), Comparison::None),
            ("DATE", Behaviour::Viewed, Comparison::None),
            ("BOOLEAN", BINARY, Comparison::Total),
            ("DATETIME", BINARY, Comparison::None),
            ("DECIMAL(10,2)", BINARY, Comparison::None),
            ("", BINARY, Comparison::None),
        ];
        for (declared, behaviour, wanted) in cases {
            assert_eq!(map(declared, behaviour).comparison, wanted, "{declared} {behaviour:?}");
        }
    }
}
