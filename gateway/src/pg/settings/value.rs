//! The types of settings: what is accepted, and the form it is kept and shown in.

use std::borrow::Cow;

use chrono_tz::{TZ_VARIANTS, Tz};

/// What a setting accepts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Nothing: it cannot be changed.
    Fixed,
    Bool,
    Integer {
        min: i32,
        max: i32,
    },
    /// A duration that is a number of milliseconds, or one with a unit.
    Milliseconds,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// A text of at most 63 bytes; what is longer is cut, as PostgreSQL does with names.
    Name,
    /// A comma-separated list of schemas.
    SearchPath,
    TimeZone,
    DateStyle,
    Encoding,
}

impl Kind {
    /// The word `pg_settings` has for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Integer { .. } | Kind::Milliseconds => "integer",
            Kind::Word(_) => "enum",
            Kind::Fixed | Kind::Text | Kind::Name | Kind::SearchPath | Kind::TimeZone | Kind::DateStyle | Kind::Encoding => "string",
        }
    }

    /// The form a value is kept in, or a hint on what would be accepted.
    pub(super) fn canonical(self, text: &str) -> Result<Cow<'_, str>, Option<String>> {
        match self {
            Kind::Fixed => Err(None),
            Kind::Bool => boolean(text).map(|on| Cow::Borrowed(if on { "on" } else { "off" })).ok_or(Some("Use on or off.".to_owned())),
            Kind::Integer { min, max } => match text.trim().parse::<i32>() {
                Ok(number) if (min..=max).contains(&number) => Ok(Cow::Owned(number.to_string())),
                _ => Err(Some(format!("A whole number from {min} to {max} is accepted."))),
            },
            Kind::Milliseconds => match milliseconds(text) {
                Some(number) if number <= i32::MAX as u64 => Ok(Cow::Owned(show_milliseconds(number))),
                _ => Err(Some("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".".to_owned())),
            },
            Kind::Word(words) => {
                let folded = text.trim().to_lowercase();
                // Some words are booleans too, and clients write them in every way PostgreSQL accepts.
                let alias = boolean(&folded).map(|on| if on { "on" } else { "off" });
                words
                    .iter()
                    .find(|word| **word == folded || Some(**word) == alias)
                    .map(|word| Cow::Borrowed(*word))
                    .ok_or_else(|| Some(format!("Available values: {}.", words.join(", "))))
            }
            Kind::Text => Ok(Cow::Borrowed(text)),
            Kind::Name => Ok(Cow::Borrowed(cut(text, 63))),
            Kind::SearchPath => match identifier_list(text) {
                Some(_) => Ok(Cow::Borrowed(text)),
                None => Err(Some("List schemas separated by commas; quote names that need it.".to_owned())),
            },
            Kind::TimeZone => match zone(text) {
                Some(Zone::Named(named)) => Ok(Cow::Borrowed(named.name())),
                Some(Zone::Fixed(_)) => Ok(Cow::Borrowed(text)),
                None => Err(Some("Use an IANA name such as Europe/Berlin, or UTC.".to_owned())),
            },
            Kind::DateStyle => date_style(text).map(Cow::Owned).ok_or(Some("Only the output style ISO is supported.".to_owned())),
            Kind::Encoding => match text.trim().trim_matches('\'').to_lowercase().replace(['-', '_'], "").as_str() {
                "utf8" | "unicode" | "auto" => Ok(Cow::Borrowed("UTF8")),
                _ => Err(Some("Only UTF8 is supported.".to_owned())),
            },
        }
    }
}

/// Cuts a text to at most `limit` bytes without splitting a character.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads a boolean as PostgreSQL does: unique prefixes of true, false, yes, no; on, off, 1, 0.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let folded = text.trim().to_lowercase();
    let is_prefix = |word: &str| !folded.is_empty() && word.starts_with(&folded);
    if is_prefix("true") || is_prefix("yes") || folded == "on" || folded == "1" {
        Some(true)
    } else if is_prefix("false") || is_prefix("no") || folded == "off" || folded == "of" || folded == "0" {
        Some(false)
    } else {
        None
    }
}

/// Reads `5000`, `5s`, `1.5 min`.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    // The cast saturates, and the caller refuses what is too large.
    Some((number * factor).round() as u64)
}

/// Shows a duration in the largest unit that is exact, as PostgreSQL does.
fn show_milliseconds(number: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match UNITS.iter().find(|(size, _)| number > 0 && number.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", number / size),
        None if number == 0 => "0".to_owned(),
        None => format!("{number}ms"),
    }
}

/// Splits a list of identifiers: unquoted ones fold, quoted ones are exact, empty text is the empty list.
pub(crate) fn identifier_list(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = quoted.find('"')?;
            while quoted[end + 1..].starts_with('"') {
                end += 2 + quoted[end + 2..].find('"')?;
            }
            name = quoted[..end].replace("\"\"", "\"");
            rest = quoted[end + 1..].trim_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name = rest[..end].trim().to_lowercase();
            if name.is_empty() || name.contains([' ', '"', '\'']) {
                return None;
            }
            rest = &rest[end..];
        }
        if !name.is_empty() {
            names.push(name);
        }
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// Quotes an identifier where it needs it.
pub(crate) fn quote_identifier(name: &str) -> Cow<'_, str> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { Cow::Borrowed(name) } else { Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))) }
}

fn date_style(text: &str) -> Option<String> {
    let mut order = "MDY";
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match word.to_lowercase().as_str() {
            "iso" | "default" => {}
            "mdy" | "us" | "noneuro" | "noneuropean" => order = "MDY",
            "dmy" | "euro" | "european" => order = "DMY",
            "ymd" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("ISO, {order}"))
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// A zone with a history.
    Named(Tz),
    /// A fixed offset in seconds east of UTC.
    Fixed(i32),
}

impl Zone {
    /// The form the planner takes: an IANA name or an ISO offset, where east is positive.
    pub(crate) fn for_planner(self) -> String {
        match self {
            Zone::Named(named) => named.name().to_owned(),
            Zone::Fixed(east) => {
                let sign = if east < 0 { '-' } else { '+' };
                let minutes = east.unsigned_abs() / 60;
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// Reads a time zone as PostgreSQL does: an IANA name, or a POSIX offset, where *west* is positive.
///
/// `SET TIME ZONE 2` is kept as `<+02>-02`, PostgreSQL's own spelling of it.
pub(crate) fn zone(text: &str) -> Option<Zone> {
    let text = text.trim();
    let named = text.parse().ok().or_else(|| TZ_VARIANTS.iter().find(|known| known.name().eq_ignore_ascii_case(text)).copied());
    if let Some(named) = named {
        return Some(Zone::Named(named));
    }
    if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("gmt") {
        return Some(Zone::Named(Tz::UTC));
    }
    let offset = match text.strip_prefix('<') {
        Some(named) => named.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (west, offset) = match offset.strip_prefix('-') {
        Some(east) => (-1, east),
        None => (1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut parts = offset.split(':');
    let hours: i32 = digits(parts.next()?)?;
    let minutes: i32 = parts.next().map_or(Some(0), digits)?;
    if parts.next().is_some() || hours > 15 || minutes > 59 {
        return None;
    }
    Some(Zone::Fixed(-west * (hours * 3600 + minutes * 60)))
}

fn digits(text: &str) -> Option<i32> {
    if text.is_empty() || text.len() > 2 || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// How a fixed offset in seconds east is kept.
pub(crate) fn fixed_zone_name(east: i32) -> String {
    let (sign, posix) = if east < 0 { ('-', '+') } else { ('+', '-') };
    let minutes = east.unsigned_abs() / 60;
    let clock =
        if minutes.is_multiple_of(60) { format!("{:02}", minutes / 60) } else { format!("{:02}:{:02}", minutes / 60, minutes % 60) };
    format!("<{sign}{clock}>{posix}{clock}")
}
