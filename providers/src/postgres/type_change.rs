//! Which PostgreSQL types hold the values of which others. Types are read as `format_type` prints them, or as people write them.

use crate::type_change::{Declaration, TypeChange};

/// Digits that an unconstrained `numeric` has here on either side of the point.
const UNCONSTRAINED_DIGITS: i64 = 38;
/// The longest decimal there is here; a `numeric` beyond it is read as text.
const DECIMAL_DIGITS: i64 = 76;
/// Digits of a second, where none are declared.
const MICROSECONDS: i64 = 6;
/// The longest `name`, in bytes.
const NAME_BYTES: i64 = 63;

/// What became of a column that was `expected` and is `actual`.
pub(super) fn type_change(expected: &str, actual: &str) -> TypeChange {
    TypeChange::between(&Type::parse(expected), &Type::parse(actual), fits)
}

/// A type, as far as its values are concerned. Limits are `None` where there are none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Type {
    SmallInt,
    Integer,
    BigInt,
    Oid,
    Real,
    Double,
    /// Precision and scale.
    Numeric(Option<(i64, i64)>),
    /// `text` and `character varying`.
    Text(Option<i64>),
    /// `character`, whose trailing blanks are no part of a value.
    Character(Option<i64>),
    Name,
    /// A time of day or a moment, with the digits of its seconds.
    Temporal(Temporal, i64),
    /// The fields it is restricted to, and the digits of its seconds.
    Interval(String, i64),
    Bit(i64),
    BitVarying(Option<i64>),
    Array(Box<Type>),
    /// Any other, which is like none but itself, in one spelling.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporal {
    Time,
    TimeWithZone,
    Timestamp,
    TimestampWithZone,
}

impl Type {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Some(element) = element(text) {
            return match Self::parse(element) {
                // PostgreSQL does not tell dimensions apart.
                array @ Type::Array(_) => array,
                element => Type::Array(Box::new(element)),
            };
        }
        let Some(declaration) = Declaration::parse(text) else { return Type::Other(text.to_owned()) };
        let name = declaration.name();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        let known = declaration.numbers().and_then(|arguments| Self::built_in(name, &arguments));
        known.unwrap_or_else(|| {
            // The schema in the search path is not printed; one that hides a type of PostgreSQL's own is.
            let hides = |name: &str| Self::built_in(name, &[]).is_some();
            let canonical = declaration.canonical();
            let canonical = canonical.strip_prefix("pg_catalog.").unwrap_or(&canonical);
            let bare = canonical.strip_prefix("public.").filter(|bare| !hides(bare));
            Type::Other(bare.unwrap_or(canonical).to_owned())
        })
    }

    fn built_in(name: &str, arguments: &[i64]) -> Option<Self> {
        let limit = match arguments {
            [] => Some(None),
            [limit] => Some(Some(*limit)),
            _ => None,
        };
        let seconds = || limit.map(|digits| digits.unwrap_or(MICROSECONDS));
        let plain = |plain: Self| arguments.is_empty().then_some(plain);
        match name {
            "smallint" | "int2" | "smallserial" | "serial2" => plain(Type::SmallInt),
            "integer" | "int" | "int4" | "serial" | "serial4" => plain(Type::Integer),
            "bigint" | "int8" | "bigserial" | "serial8" => plain(Type::BigInt),
            "oid" => plain(Type::Oid),
            "real" | "float4" => plain(Type::Real),
            "double precision" | "float8" => plain(Type::Double),
            "float" => match arguments {
                [1..=24] => Some(Type::Real),
                [] | [25..=53] => Some(Type::Double),
                _ => None,
            },
            "numeric" | "decimal" | "dec" => match arguments {
                [] => Some(Type::Numeric(None)),
                [precision] => Some(Type::Numeric(Some((*precision, 0)))),
                [precision, scale] => Some(Type::Numeric(Some((*precision, *scale)))),
                _ => None,
            },
            "text" => plain(Type::Text(None)),
            "character varying" | "varchar" | "char varying" | "nchar varying" | "national character varying" | "national char varying" => {
                limit.map(Type::Text)
            }
            "character" | "char" | "nchar" | "national character" | "national char" => {
                limit.map(|length| Type::Character(length.or(Some(1))))
            }
            "bpchar" => limit.map(Type::Character),
            "name" => plain(Type::Name),
            "boolean" | "bool" => plain(Type::Other("boolean".to_owned())),
            "time" | "time without time zone" => seconds().map(|digits| Type::Temporal(Temporal::Time, digits)),
            "timetz" | "time with time zone" => seconds().map(|digits| Type::Temporal(Temporal::TimeWithZone, digits)),
            "timestamp" | "timestamp without time zone" => seconds().map(|digits| Type::Temporal(Temporal::Timestamp, digits)),
            "timestamptz" | "timestamp with time zone" => seconds().map(|digits| Type::Temporal(Temporal::TimestampWithZone, digits)),
            "bit" => limit.map(|length| Type::Bit(length.unwrap_or(1))),
            "bit varying" | "varbit" => limit.map(Type::BitVarying),
            _ => {
                let fields = name.strip_prefix("interval").filter(|fields| fields.is_empty() || fields.starts_with(' '))?.trim();
                // Without a second there are no digits of one.
                let digits = if fields.is_empty() || fields.ends_with("second") { seconds() } else { arguments.is_empty().then_some(0) };
                Some(Type::Interval(fields.to_owned(), digits?))
            }
        }
    }

    /// The lowest and the highest whole number, of a type that has no others.
    fn whole_numbers(&self) -> Option<(i64, i64)> {
        match self {
            Type::SmallInt => Some((i16::MIN.into(), i16::MAX.into())),
            Type::Integer => Some((i32::MIN.into(), i32::MAX.into())),
            Type::BigInt => Some((i64::MIN, i64::MAX)),
            Type::Oid => Some((0, u32::MAX.into())),
            _ => None,
        }
    }

    /// Whether an array of it arrives as a list of its values, which then compare by value.
    ///
    /// The elements of other arrays are seen in PostgreSQL's text of the whole, where equal values may be written differently.
    fn is_list_item(&self) -> bool {
        match self {
            Type::Numeric(digits) => digits.is_some_and(is_decimal),
            Type::Character(_) | Type::Bit(_) | Type::BitVarying(_) | Type::Temporal(Temporal::TimeWithZone, _) | Type::Other(_) => false,
            _ => true,
        }
    }
}

/// The element type's text, when `text` is that of an array: `integer[]`, `integer[3][]`, `integer array`.
fn element(text: &str) -> Option<&str> {
    if let Some(open) = text.strip_suffix(']') {
        let (element, length) = open.rsplit_once('[')?;
        return length.trim().chars().all(|c| c.is_ascii_digit()).then_some(element);
    }
    let at = text.len().checked_sub(" array".len())?;
    let (element, word) = text.split_at_checked(at)?;
    word.eq_ignore_ascii_case(" array").then_some(element)
}

/// Whether a `numeric` of this precision and scale arrives as a decimal.
fn is_decimal((precision, scale): (i64, i64)) -> bool {
    (1..=DECIMAL_DIGITS).contains(&precision) && (0..=precision).contains(&scale)
}

/// Whether each value of `narrow` is an equal value of `wide`.
fn fits(narrow: &Type, wide: &Type) -> bool {
    if narrow == wide {
        return true;
    }
    if let Some((low, high)) = narrow.whole_numbers() {
        return match wide {
            Type::Real => high <= 1 << 24,
            Type::Double => high <= 1 << 53,
            Type::Numeric(None) => true,
            Type::Numeric(Some((precision, scale))) => {
                is_decimal((*precision, *scale)) && high.to_string().len() as i64 <= precision - scale
            }
            _ => wide.whole_numbers().is_some_and(|(lowest, highest)| lowest <= low && high <= highest),
        };
    }
    match (narrow, wide) {
        (Type::Real, Type::Double) => true,
        (Type::Numeric(Some(narrow)), Type::Numeric(wide)) => numeric_fits(*narrow, *wide),
        (Type::Text(length), Type::Text(limit))
        | (Type::Character(length), Type::Character(limit) | Type::Text(limit))
        | (Type::BitVarying(length), Type::BitVarying(limit)) => within(*length, *limit),
        (Type::Name, Type::Text(limit)) => within(Some(NAME_BYTES), *limit),
        // Shorter bit strings are not padded, and a longer `bit` would show more digits.
        (Type::Bit(length), Type::BitVarying(limit)) => within(Some(*length), *limit),
        (Type::Temporal(kind, digits), Type::Temporal(wide_kind, wide_digits)) => kind == wide_kind && digits <= wide_digits,
        (Type::Interval(fields, digits), Type::Interval(wide_fields, wide_digits)) => {
            (fields == wide_fields || wide_fields.is_empty()) && digits <= wide_digits
        }
        (Type::Array(narrow), Type::Array(wide)) => narrow.is_list_item() && wide.is_list_item() && fits(narrow, wide),
        _ => false,
    }
}

fn numeric_fits((precision, scale): (i64, i64), wide: Option<(i64, i64)>) -> bool {
    match (is_decimal((precision, scale)), wide) {
        (true, None) => precision - scale <= UNCONSTRAINED_DIGITS && scale <= UNCONSTRAINED_DIGITS,
        (true, Some(wide)) => is_decimal(wide) && precision - scale <= wide.0 - wide.1 && scale <= wide.1,
        // What arrives as text is equal only when it is written with as many digits behind the point.
        (false, Some(wide)) => !is_decimal(wide) && scale == wide.1 && precision <= wide.0,
        (false, None) => false,
    }
}

fn within(length: Option<i64>, limit: Option<i64>) -> bool {
    match (length, limit) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(length), Some(limit)) => length <= limit,
    }
}

#[cfg(test)]
mod tests;
