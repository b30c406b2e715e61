//! A type as ClickHouse prints it, or as people write it, read into its parts.

/// A type, and whether a value of it may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) of: Type,
    pub(super) nullable: bool,
}

/// A type, as far as its values are concerned. Time zones are labels of instants and no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Whole {
        signed: bool,
        bits: u16,
    },
    /// A binary number of so many bits: 16 (`BFloat16`), 32 or 64.
    Float(u16),
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// Any bytes; text as a rule.
    String,
    /// So many bytes.
    FixedString(u64),
    /// From 1970 to 2149.
    Date,
    /// From 1900 to 2299.
    Date32,
    /// A second from 1970 to 2106.
    DateTime,
    /// An instant with so many digits of the second.
    DateTime64(u8),
    /// An amount of time with so many digits of the second.
    Time(u8),
    Bool,
    Uuid,
    /// The labels in their order.
    Enum(Vec<String>),
    Ipv4,
    Ipv6,
    Array(Box<Stored>),
    Json,
    /// One that `toString` prints, in one spelling: a map, a tuple, a geometry, a variant.
    Printed(String),
    /// Any other, in one spelling.
    Other(String),
}

impl Stored {
    /// Reads the text of a type.
    pub(super) fn parse(text: &str) -> Self {
        let (name, arguments) = parts(text.trim());
        let wrapped = match (name.to_ascii_lowercase().as_str(), arguments.as_slice()) {
            ("nullable", [of]) => return Self { nullable: true, ..Self::parse(of) },
            ("lowcardinality", [of]) => Some(*of),
            // It stores what its function is of.
            ("simpleaggregatefunction", [_, of]) => Some(*of),
            _ => None,
        };
        match wrapped {
            Some(of) => Self::parse(of),
            None => {
                let of = Type::named(name, &arguments).unwrap_or_else(|| Type::Other(canonical(text)));
                Self { nullable: matches!(&of, Type::Printed(text) if holds_null(text)), of }
            }
        }
    }
}

/// Whether a value of it may be NULL without `Nullable` around it.
fn holds_null(printed: &str) -> bool {
    ["Variant(", "Dynamic", "Geometry"].iter().any(|name| printed.starts_with(name))
}

impl Type {
    fn named(name: &str, arguments: &[&str]) -> Option<Self> {
        let numbers: Option<Vec<u64>> = arguments.iter().map(|argument| argument.trim().parse().ok()).collect();
        let numbers = numbers.as_deref();
        let spelled = name.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        if let Some(whole) = whole(&spelled) {
            // `int(11)` is MySQL's spelling, and its number says nothing.
            return numbers.is_some_and(|numbers| numbers.len() <= 1).then_some(whole);
        }
        let plain = |of: Type| arguments.is_empty().then_some(of);
        let is_label = |argument: &&str| argument.trim().starts_with('\'');
        match spelled.as_str() {
            "float32" | "float" | "real" | "single" => plain(Type::Float(32)),
            "float64" | "double" | "double precision" => plain(Type::Float(64)),
            "bfloat16" => plain(Type::Float(16)),
            "decimal" | "dec" | "numeric" | "fixed" => match numbers? {
                [] => decimal(10, 0),
                [precision] => decimal(*precision, 0),
                [precision, scale] => decimal(*precision, *scale),
                _ => None,
            },
            "decimal32" => decimal(9, one(numbers?)?),
            "decimal64" => decimal(18, one(numbers?)?),
            "decimal128" => decimal(38, one(numbers?)?),
            "decimal256" => decimal(76, one(numbers?)?),
            "fixedstring" | "binary" => Some(Type::FixedString(one(numbers?)?)),
            "date" => plain(Type::Date),
            "date32" => plain(Type::Date32),
            "datetime" | "datetime32" | "timestamp" => match arguments {
                [] => Some(Type::DateTime),
                [zone] if is_label(zone) => Some(Type::DateTime),
                // `DateTime(3)` is a spelling of `DateTime64(3)`.
                [digits] => fraction(digits).map(Type::DateTime64),
                _ => None,
            },
            "datetime64" => match arguments {
                [] => Some(Type::DateTime64(3)),
                [digits] => fraction(digits).map(Type::DateTime64),
                [digits, zone] if is_label(zone) => fraction(digits).map(Type::DateTime64),
                _ => None,
            },
            "time" => plain(Type::Time(0)),
            "time64" => match arguments {
                [] => Some(Type::Time(3)),
                [digits] => fraction(digits).map(Type::Time),
                _ => None,
            },
            "bool" | "boolean" => plain(Type::Bool),
            "uuid" => plain(Type::Uuid),
            "enum" | "enum8" | "enum16" if !arguments.is_empty() => {
                arguments.iter().map(|argument| label(argument)).collect::<Option<_>>().map(Type::Enum)
            }
            "ipv4" | "inet4" => plain(Type::Ipv4),
            "ipv6" | "inet6" => plain(Type::Ipv6),
            "array" => match arguments {
                [of] => Some(Type::Array(Box::new(Stored::parse(of)))),
                _ => None,
            },
            "json" => Some(Type::Json),
            "map" | "tuple" | "variant" if !arguments.is_empty() => Some(Type::Printed(spelling(&spelled, arguments))),
            "dynamic" | "point" | "ring" | "polygon" | "multipolygon" | "linestring" | "multilinestring" | "multipoint" | "geometry" => {
                Some(Type::Printed(spelling(&spelled, &[])))
            }
            text if is_text(text) && numbers?.len() <= 1 => Some(Type::String),
            _ => None,
        }
    }

    /// Whether a value leaves the source as `toString` prints it.
    pub(super) fn is_printed(&self) -> bool {
        match self {
            Type::Whole { bits, .. } => *bits > 64,
            Type::Time(_) | Type::Uuid | Type::Enum(_) | Type::Ipv4 | Type::Ipv6 | Type::Json | Type::Printed(_) => true,
            Type::Array(of) => !is_plain(&of.of),
            Type::Float(_)
            | Type::Decimal { .. }
            | Type::String
            | Type::FixedString(_)
            | Type::Date
            | Type::Date32
            | Type::DateTime
            | Type::DateTime64(_)
            | Type::Bool
            | Type::Other(_) => false,
        }
    }
}

/// Whether a value as an item of an array arrives as it would alone.
fn is_plain(item: &Type) -> bool {
    match item {
        Type::Whole { bits, .. } => *bits <= 64,
        Type::Float(bits) => *bits >= 32,
        Type::Decimal { .. } | Type::String | Type::Date | Type::Date32 | Type::DateTime | Type::DateTime64(_) | Type::Bool => true,
        Type::FixedString(_)
        | Type::Time(_)
        | Type::Uuid
        | Type::Enum(_)
        | Type::Ipv4
        | Type::Ipv6
        | Type::Array(_)
        | Type::Json
        | Type::Printed(_)
        | Type::Other(_) => false,
    }
}

/// A whole number by its name, aliases of other databases included.
fn whole(name: &str) -> Option<Type> {
    let (name, signed) = match (name.strip_suffix(" unsigned"), name.strip_suffix(" signed")) {
        (Some(name), _) => (name, Some(false)),
        (None, Some(name)) => (name, Some(true)),
        (None, None) => (name, None),
    };
    let alias = match name {
        "tinyint" | "int1" => Some(8),
        "smallint" => Some(16),
        "int" | "integer" | "mediumint" => Some(32),
        "bigint" => Some(64),
        _ => None,
    };
    match (alias, signed, name) {
        (Some(bits), signed, _) => Some(Type::Whole { signed: signed.unwrap_or(true), bits }),
        (None, Some(_), _) => None,
        (None, None, "byte") => Some(Type::Whole { signed: true, bits: 8 }),
        (None, None, "signed") => Some(Type::Whole { signed: true, bits: 64 }),
        (None, None, "unsigned" | "bit" | "set") => Some(Type::Whole { signed: false, bits: 64 }),
        (None, None, "year") => Some(Type::Whole { signed: false, bits: 16 }),
        (None, None, name) => {
            let (signed, bits) = match name.strip_prefix('u') {
                Some(rest) => (false, rest.strip_prefix("int")?),
                None => (true, name.strip_prefix("int")?),
            };
            let bits = bits.parse().ok().filter(|bits| [8, 16, 32, 64, 128, 256].contains(bits))?;
            Some(Type::Whole { signed, bits })
        }
    }
}

/// Whether it is a spelling of `String`.
fn is_text(name: &str) -> bool {
    let name = name.strip_prefix("national ").unwrap_or(name);
    matches!(
        name,
        "string"
            | "text"
            | "tinytext"
            | "mediumtext"
            | "longtext"
            | "char"
            | "nchar"
            | "character"
            | "varchar"
            | "varchar2"
            | "nvarchar"
            | "char varying"
            | "nchar varying"
            | "character varying"
            | "char large object"
            | "nchar large object"
            | "character large object"
            | "clob"
            | "blob"
            | "tinyblob"
            | "mediumblob"
            | "longblob"
            | "bytea"
            | "varbinary"
            | "binary varying"
            | "binary large object"
    )
}

fn decimal(precision: u64, scale: u64) -> Option<Type> {
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    ((1..=76).contains(&precision) && scale <= precision).then_some(Type::Decimal { precision, scale })
}

fn one(numbers: &[u64]) -> Option<u64> {
    match numbers {
        [number] => Some(*number),
        _ => None,
    }
}

fn fraction(digits: &str) -> Option<u8> {
    digits.trim().parse().ok().filter(|digits| *digits <= 9)
}

/// The label of `'a' = 1` or `'a'`.
fn label(argument: &str) -> Option<String> {
    let mut letters = argument.trim().strip_prefix('\'')?.chars();
    let mut label = String::new();
    loop {
        match letters.next()? {
            '\\' => label.push(escaped(letters.next()?)),
            '\'' if letters.as_str().starts_with('\'') => {
                letters.next();
                label.push('\'');
            }
            '\'' => break,
            other => label.push(other),
        }
    }
    let rest = letters.as_str().trim();
    let is_number = |number: &str| number.trim().parse::<i16>().is_ok();
    (rest.is_empty() || rest.strip_prefix('=').is_some_and(is_number)).then_some(label)
}

fn escaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

/// The name of a type and its arguments; a text whose quotes or parentheses do not close is a name as a whole.
fn parts(text: &str) -> (&str, Vec<&str>) {
    let Some((name, rest)) = text.split_once('(') else { return (text, Vec::new()) };
    match arguments(rest) {
        Some(arguments) => (name.trim(), arguments),
        None => (text, Vec::new()),
    }
}

/// The arguments before the closing parenthesis, which is the last character.
fn arguments(rest: &str) -> Option<Vec<&str>> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    let mut quote = None;
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => {
                let last = rest[start..at].trim();
                if !(found.is_empty() && last.is_empty()) {
                    found.push(last);
                }
                return rest[at + 1..].trim().is_empty().then_some(found);
            }
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                found.push(rest[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    None
}

/// One spelling of a type with arguments that are types.
fn spelling(name: &str, arguments: &[&str]) -> String {
    let mut all = name.to_owned();
    if let Some(first) = all.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let arguments: Vec<String> = arguments.iter().map(|argument| canonical(argument)).collect();
    if arguments.is_empty() { all } else { format!("{all}({})", arguments.join(", ")) }
}

/// The text with one blank where there are several. Blanks in quotes are rare enough to be taken for the same.
fn canonical(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_server_prints_them() {
        let whole = |signed, bits| Type::Whole { signed, bits };
        let labels = |labels: &[&str]| Type::Enum(labels.iter().map(|label| (*label).to_owned()).collect());
        let cases = [
            ("Int8", false, whole(true, 8)),
            ("Nullable(UInt64)", true, whole(false, 64)),
            ("LowCardinality(Nullable(String))", true, Type::String),
            ("LowCardinality(FixedString(3))", false, Type::FixedString(3)),
            ("SimpleAggregateFunction(sum, Int64)", false, whole(true, 64)),
            ("Decimal(76, 38)", false, Type::Decimal { precision: 76, scale: 38 }),
            ("DateTime('Asia/Tokyo')", false, Type::DateTime),
            ("DateTime64(3, 'Europe/Berlin')", false, Type::DateTime64(3)),
            (r"Enum8('x' = 1, 'it\'s, (y)' = -2)", false, labels(&["x", "it's, (y)"])),
            ("Map(String, Array(Tuple(a Int8, b String)))", false, Type::Printed("Map(String, Array(Tuple(a Int8, b String)))".to_owned())),
            ("Variant(Int8, String)", true, Type::Printed("Variant(Int8, String)".to_owned())),
            ("AggregateFunction(uniq, UInt64)", false, Type::Other("AggregateFunction(uniq, UInt64)".to_owned())),
        ];
        for (text, nullable, of) in cases {
            assert_eq!(Stored::parse(text), Stored { of, nullable }, "{text}");
        }
        let Type::Array(item) = Stored::parse("Array(Nullable(Int16))").of else { panic!("no array") };
        assert_eq!(*item, Stored { of: whole(true, 16), nullable: true });
    }

    #[test]
    fn what_is_no_type_is_another_one() {
        for text in ["", "Int7", "Decimal(77, 0)", "Decimal(5, 6)", "Array(Int8", "Enum8()", "Enum8('a' = )", "DateTime64(10)", "int("] {
            assert!(matches!(Stored::parse(text).of, Type::Other(_)), "{text}");
        }
    }
}
