//! Which types of MySQL and MariaDB hold the values of which others. Types are read as `COLUMN_TYPE` prints them, or as people write
//! them.

use crate::type_change::{Declaration, TypeChange};

/// The longest row, and with it the longest `varchar`, in bytes.
const ROW_BYTES: u64 = 65_535;
/// The most bytes a character has.
const CHARACTER_BYTES: u64 = 4;
/// The bytes of a `longtext` and a `longblob`.
const LONG: u64 = 4_294_967_295;

/// What became of a column that was `expected` and is `actual`.
///
/// Character sets and collations are not part of a type here. `json` is narrower than `longtext`, which is what MariaDB calls it.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    TypeChange::between(&Type::parse(expected), &Type::parse(actual), fits)
}

/// A type, as far as its values are concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// The lowest and the highest.
    Whole(i128, i128),
    Year,
    Decimal {
        before: i64,
        after: i64,
        unsigned: bool,
    },
    Float {
        double: bool,
        /// Precision and scale that values are rounded to when they are stored.
        rounded: Option<(i64, i64)>,
        unsigned: bool,
    },
    /// Read as so many zeros and ones; one bit is a boolean.
    Bit(i64),
    /// Characters, and blanks up to the length that are no part of a value.
    Char(u64),
    /// Characters.
    VarChar(u64),
    /// Bytes of text.
    Text(u64),
    /// Bytes, filled up with zeros that are part of the value.
    Binary(u64),
    /// Bytes at most.
    Bytes(u64),
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
    /// A moment or an amount of time, with the digits of its seconds.
    Temporal(Temporal, i64),
    /// Any geometry.
    Geometry,
    /// Geometries of one kind.
    GeometryOf(String),
    /// Any other, which is like none but itself, in one spelling.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporal {
    DateTime,
    Timestamp,
    Time,
}

impl Type {
    pub(super) fn parse(text: &str) -> Self {
        // MariaDB marks columns of an old format: `datetime /* mariadb-5.3 */`.
        let text = text.split("/*").next().unwrap_or(text);
        let Some(mut declaration) = Declaration::parse(text) else { return Type::Other(text.trim().to_owned()) };
        let unsigned = take_attributes(&mut declaration.words);
        Self::built_in(&declaration, unsigned).unwrap_or_else(|| Type::Other(declaration.canonical()))
    }

    fn built_in(declaration: &Declaration, unsigned: bool) -> Option<Self> {
        let name = declaration.name();
        if let "enum" | "set" = name.as_str() {
            let labels = declaration.arguments.iter().map(|label| unquoted(label)).collect::<Option<Vec<String>>>()?;
            return Some(if name == "set" { Type::Set(labels) } else { Type::Enum(labels) });
        }
        let arguments = declaration.numbers()?;
        let length = match arguments.as_slice() {
            [] => None,
            [length] => Some(*length),
            [_, _] => return Self::rounded(&name, arguments[0], arguments[1], unsigned),
            _ => return None,
        };
        let size = length.map(|length| u64::try_from(length).ok()).unwrap_or(Some(1));
        let seconds = length.unwrap_or(0);
        let float = |double| Some(Type::Float { double, rounded: None, unsigned });
        Some(match name.as_str() {
            "tinyint" | "int1" | "bool" | "boolean" => whole(8, unsigned),
            "smallint" | "int2" => whole(16, unsigned),
            "mediumint" | "int3" | "middleint" => whole(24, unsigned),
            "int" | "integer" | "int4" => whole(32, unsigned),
            "bigint" | "int8" => whole(64, unsigned),
            "serial" => whole(64, true),
            "year" => Type::Year,
            "decimal" | "numeric" | "dec" | "fixed" => Type::Decimal { before: length.unwrap_or(10), after: 0, unsigned },
            "float" => return float(length.is_some_and(|digits| digits > 24)),
            "float4" if length.is_none() => return float(false),
            "double" | "double precision" | "real" | "float8" if length.is_none() => return float(true),
            "bit" => Type::Bit(length.unwrap_or(1)),
            "char" | "character" | "nchar" | "national char" | "national character" => Type::Char(size?),
            "varchar"
            | "character varying"
            | "char varying"
            | "varcharacter"
            | "nvarchar"
            | "national varchar"
            | "national character varying"
            | "national char varying" => Type::VarChar(length.and(size)?),
            "binary" | "char byte" => Type::Binary(size?),
            "varbinary" => Type::Bytes(length.and(size)?),
            "datetime" => Type::Temporal(Temporal::DateTime, seconds),
            "timestamp" => Type::Temporal(Temporal::Timestamp, seconds),
            "time" => Type::Temporal(Temporal::Time, seconds),
            _ if length.is_some() => return None,
            "tinytext" => Type::Text(255),
            "text" => Type::Text(65_535),
            "mediumtext" | "long" | "long varchar" => Type::Text(16_777_215),
            "longtext" => Type::Text(LONG),
            "tinyblob" => Type::Bytes(255),
            "blob" => Type::Bytes(65_535),
            "mediumblob" | "long varbinary" => Type::Bytes(16_777_215),
            "longblob" => Type::Bytes(LONG),
            "json" => Type::Json,
            "geometry" => Type::Geometry,
            "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" => Type::GeometryOf(name),
            "geometrycollection" | "geomcollection" => Type::GeometryOf("geometrycollection".to_owned()),
            _ => return None,
        })
    }

    /// A type with a precision and a scale.
    fn rounded(name: &str, precision: i64, scale: i64, unsigned: bool) -> Option<Self> {
        match name {
            "decimal" | "numeric" | "dec" | "fixed" => Some(Type::Decimal { before: precision - scale, after: scale, unsigned }),
            "float" | "float4" => Some(Type::Float { double: false, rounded: Some((precision, scale)), unsigned }),
            "double" | "double precision" | "real" | "float8" => {
                Some(Type::Float { double: true, rounded: Some((precision, scale)), unsigned })
            }
            _ => None,
        }
    }

    /// The most characters and the most bytes of text that is as it was stored; `None` of what is no text.
    fn longest_text(&self) -> Option<(u64, u64)> {
        let characters = |length: u64| (length, (length * CHARACTER_BYTES).min(ROW_BYTES));
        let lengths = |labels: &[String]| labels.iter().map(|label| label.chars().count() as u64).collect::<Vec<_>>();
        match self {
            Type::Char(length) | Type::VarChar(length) => Some(characters(*length)),
            Type::Text(bytes) => Some((*bytes, *bytes)),
            Type::Enum(labels) => Some(characters(lengths(labels).into_iter().max().unwrap_or(0))),
            // All at once, with commas between them.
            Type::Set(labels) => Some(characters(lengths(labels).into_iter().map(|length| length + 1).sum::<u64>().saturating_sub(1))),
            Type::Json => Some((LONG, LONG)),
            _ => None,
        }
    }
}

/// Removes what says nothing about a type's values but whether it is unsigned, and tells that.
fn take_attributes(words: &mut Vec<String>) -> bool {
    let mut unsigned = false;
    let mut kept: Vec<String> = Vec::new();
    let mut rest = std::mem::take(words).into_iter().peekable();
    while let Some(word) = rest.next() {
        match word.as_str() {
            // Digits filled up with zeros are not shown here, but no such number is negative.
            "unsigned" | "zerofill" => unsigned = true,
            "signed" => {}
            "collate" | "charset" => drop(rest.next()),
            "character" if rest.peek().is_some_and(|next| next == "set") => drop((rest.next(), rest.next())),
            // Short for a collation; as the first word it is a type.
            "binary" | "ascii" | "unicode" if !kept.is_empty() => {}
            _ => kept.push(word),
        }
    }
    *words = kept;
    unsigned
}

fn unquoted(label: &str) -> Option<String> {
    Some(label.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
}

fn whole(bits: u32, unsigned: bool) -> Type {
    if unsigned { Type::Whole(0, (1 << bits) - 1) } else { Type::Whole(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) }
}

/// Whether each value of `narrow` is an equal value of `wide`.
fn fits(narrow: &Type, wide: &Type) -> bool {
    if narrow == wide {
        return true;
    }
    match (narrow, wide) {
        (Type::Whole(low, high), wide) => whole_fits(*low, *high, wide),
        (Type::Year, wide) => whole_fits(0, 2155, wide),
        (Type::Decimal { before, after, unsigned }, Type::Decimal { before: wide_before, after: wide_after, unsigned: only_positive }) => {
            before <= wide_before && after <= wide_after && (*unsigned || !only_positive)
        }
        (
            Type::Float { double, rounded, unsigned },
            Type::Float { double: wide_double, rounded: wide_rounded, unsigned: only_positive },
        ) => {
            // Rounding to other digits would make other numbers of them.
            let stays = match (rounded, wide_rounded) {
                (_, None) => double <= wide_double,
                (Some((precision, scale)), Some((wide_precision, wide_scale))) => {
                    double == wide_double && scale == wide_scale && precision <= wide_precision
                }
                (None, Some(_)) => false,
            };
            stays && (*unsigned || !only_positive)
        }
        (Type::Binary(length) | Type::Bytes(length), Type::Bytes(limit)) => length <= limit,
        // The order of the labels is that of the values, over there.
        (Type::Enum(labels), Type::Enum(wide)) | (Type::Set(labels), Type::Set(wide)) => is_part_in_order(labels, wide),
        (Type::Temporal(kind, digits), Type::Temporal(wide_kind, wide_digits)) => kind == wide_kind && digits <= wide_digits,
        (Type::GeometryOf(_), Type::Geometry) => true,
        // Text that ends in blanks would lose them.
        (Type::VarChar(_) | Type::Text(_) | Type::Json, Type::Char(_)) => false,
        (narrow, Type::Char(limit) | Type::VarChar(limit)) => narrow.longest_text().is_some_and(|(characters, _)| characters <= *limit),
        (narrow, Type::Text(limit)) => narrow.longest_text().is_some_and(|(_, bytes)| bytes <= *limit),
        _ => false,
    }
}

fn whole_fits(low: i128, high: i128, wide: &Type) -> bool {
    let largest = high.max(-low);
    match wide {
        Type::Whole(lowest, highest) => *lowest <= low && high <= *highest,
        Type::Decimal { before, unsigned, .. } => largest.to_string().len() as i64 <= *before && (low >= 0 || !unsigned),
        Type::Float { double, rounded: None, unsigned } => largest <= 1 << if *double { 53 } else { 24 } && (low >= 0 || !unsigned),
        _ => false,
    }
}

/// Whether `labels` are among `all` in this order.
fn is_part_in_order(labels: &[String], all: &[String]) -> bool {
    let mut rest = all.iter();
    labels.iter().all(|label| rest.any(|other| other == label))
}

#[cfg(test)]
mod tests;
