//! The text of a `jsonb` as PostgreSQL writes it, and the one text of all that are equal.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Digits of a `numeric` before and behind its point, at most.
/// Source: PostgreSQL's manual, section "Numeric Types".
const MOST_DIGITS: usize = 131_072;
const MOST_DECIMALS: usize = 16_383;

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As PostgreSQL shows them: numbers keep the decimals they were given with.
    Shown,
    /// Equal ones alike: `1.0` is `1`.
    Compared,
}

/// Why a text is no `jsonb`. The text is never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON.
    Syntax,
    /// A number has more digits than a `numeric`.
    TooLarge,
    /// A string holds `\u0000`, which no text holds.
    Nul,
}

/// The text of a document in one form.
///
/// # Errors
/// When it is none that PostgreSQL would take.
pub(super) fn written(text: &str, form: Form) -> Result<String, Fault> {
    // What follows relies on it, and on documents that are not nested without end.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Fault::Syntax)?;
    let mut reader = Reader { rest: text, form };
    let mut written = String::with_capacity(text.len());
    reader.value(&mut written)?;
    Ok(written)
}

/// Reads a text that is JSON.
struct Reader<'a> {
    rest: &'a str,
    form: Form,
}

impl<'a> Reader<'a> {
    fn value(&mut self, into: &mut String) -> Result<(), Fault> {
        match self.peek() {
            Some('{') => self.object(into),
            Some('[') => self.array(into),
            Some('"') => {
                let text = self.string()?;
                write_string(&text, into);
                Ok(())
            }
            Some('t' | 'f' | 'n') => {
                let word = self.take(|c| c.is_ascii_lowercase());
                into.push_str(word);
                Ok(())
            }
            Some(_) => {
                let number = self.take(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                write_number(number, self.form, into)
            }
            None => Err(Fault::Syntax),
        }
    }

    /// Of one key the last value counts; the keys come by their length in bytes, and those of one length by their bytes.
    fn object(&mut self, into: &mut String) -> Result<(), Fault> {
        self.pass();
        let mut members: BTreeMap<(usize, String), String> = BTreeMap::new();
        while self.peek() != Some('}') {
            let key = self.string()?;
            self.accept(':');
            let mut value = String::new();
            self.value(&mut value)?;
            members.insert((key.len(), key), value);
            self.accept(',');
        }
        self.pass();
        into.push('{');
        for (position, ((_, key), value)) in members.iter().enumerate() {
            if position > 0 {
                into.push_str(", ");
            }
            write_string(key, into);
            into.push_str(": ");
            into.push_str(value);
        }
        into.push('}');
        Ok(())
    }

    fn array(&mut self, into: &mut String) -> Result<(), Fault> {
        self.pass();
        into.push('[');
        let mut is_first = true;
        while self.peek() != Some(']') {
            if !std::mem::take(&mut is_first) {
                into.push_str(", ");
            }
            self.value(into)?;
            self.accept(',');
        }
        self.pass();
        into.push(']');
        Ok(())
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.peek();
        let mut is_escaped = false;
        let inner = self.rest.get(1..).ok_or(Fault::Syntax)?;
        let end = inner.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (quoted, rest) = self.rest.split_at(end.ok_or(Fault::Syntax)? + 2);
        self.rest = rest;
        // Halves of pairs of surrogates alone are refused here.
        let text: String = serde_json::from_str(quoted).map_err(|_| Fault::Syntax)?;
        if text.contains('\0') { Err(Fault::Nul) } else { Ok(text) }
    }

    /// What comes next, behind blanks.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next()
    }

    fn pass(&mut self) {
        self.peek();
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn accept(&mut self, wanted: char) {
        if self.peek() == Some(wanted) {
            self.pass();
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }
}

fn write_string(text: &str, into: &mut String) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\u{8}' => into.push_str("\\b"),
            '\u{c}' => into.push_str("\\f"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            c if c < ' ' => {
                let _never_fails = write!(into, "\\u{:04x}", u32::from(c));
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

/// A number as a `numeric`: without an exponent, and with as many decimals as it was given with.
fn write_number(number: &str, form: Form, into: &mut String) -> Result<(), Fault> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        // One that does not fit is far beyond the digits there may be, or of a zero.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (number, Some(0)),
    };
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |unsigned| ("-", unsigned));
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{decimals}");
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    let exponent = exponent.ok_or(Fault::TooLarge)?;
    // Where the point is behind the first digit.
    let point = i64::try_from(whole.len()).map_err(|_| Fault::TooLarge)?.checked_add(exponent).ok_or(Fault::TooLarge)?;
    let scale = usize::try_from(i64::try_from(decimals.len()).map_err(|_| Fault::TooLarge)?.saturating_sub(exponent).max(0));
    let scale = scale.ok().filter(|scale| *scale <= MOST_DECIMALS).ok_or(Fault::TooLarge)?;
    let (mut whole, mut decimals) = if is_zero {
        ("0".to_owned(), "0".repeat(scale))
    } else {
        // Zeros in front do not count, and there may be many with a large exponent.
        let leading = digits.bytes().take_while(|digit| *digit == b'0').count();
        let significant = &digits[leading..];
        let point = point - i64::try_from(leading).map_err(|_| Fault::TooLarge)?;
        match usize::try_from(point) {
            Ok(point) if point > MOST_DIGITS => return Err(Fault::TooLarge),
            Ok(point) if point >= significant.len() => (format!("{significant}{}", "0".repeat(point - significant.len())), String::new()),
            Ok(point) => (significant[..point].to_owned(), significant[point..].to_owned()),
            // The scale says that there are not too many.
            Err(_) => (String::new(), format!("{}{significant}", "0".repeat(scale - significant.len()))),
        }
    };
    if whole.is_empty() {
        whole.push('0');
    }
    if form == Form::Compared {
        decimals.truncate(decimals.trim_end_matches('0').len());
    }
    into.push_str(if is_zero { "" } else { sign });
    into.push_str(&whole);
    if !decimals.is_empty() {
        into.push('.');
        into.push_str(&decimals);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts and what `SELECT '...'::jsonb` of PostgreSQL 15 shows for them.
    const SHOWN: [(&str, &str); 19] = [
        ("{\"b\":1,\"a\" :\t2}", "{\"a\": 2, \"b\": 1}"),
        ("{\"bb\":1,\"c\":2,\"a\":{\"z\":[],\"y\":{}}}", "{\"a\": {\"y\": {}, \"z\": []}, \"c\": 2, \"bb\": 1}"),
        ("{\"a\":1,\"a\":[1,2,{\"x\":null}]}", "{\"a\": [1, 2, {\"x\": null}]}"),
        ("{\"é\":1,\"zz\":2,\"z\":3}", "{\"z\": 3, \"zz\": 2, \"é\": 1}"),
        (" [ true ,false,\nnull ] ", "[true, false, null]"),
        ("1.50", "1.50"),
        ("1e2", "100"),
        ("1.5e1", "15"),
        ("1.50E+1", "15.0"),
        ("1E-3", "0.001"),
        ("12345.678e-2", "123.45678"),
        ("0.001e2", "0.1"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("0e5", "0"),
        ("-1.0", "-1.0"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("\"\\u0041\\/\\u00e9\\t\\u001f\\\"\\ud83d\\ude00\"", "\"A/é\\t\\u001f\\\"😀\""),
        ("\"\\u007f\\\\\"", "\"\u{7f}\\\\\""),
    ];

    #[test]
    fn documents_are_written_as_postgres_writes_them() {
        for (text, shown) in SHOWN {
            assert_eq!(written(text, Form::Shown).as_deref(), Ok(shown), "{text}");
            assert_eq!(written(shown, Form::Shown).as_deref(), Ok(shown), "once more is the same");
        }
        assert_eq!(written("1e131071", Form::Shown).unwrap().len(), 131_072);
    }

    #[test]
    fn equal_documents_are_compared_as_one_text() {
        for (one, other) in [("1.0", "1"), ("[1.50, 2e0]", "[1.5, 2.00]"), ("{\"a\": -0.0}", "{\"a\":0}"), ("\"1.0\"", "\"\\u0031.0\"")] {
            assert_eq!(written(one, Form::Compared), written(other, Form::Compared), "{one} {other}");
        }
        assert_ne!(written("\"1.0\"", Form::Compared), written("\"1\"", Form::Compared));
        assert_ne!(written("10", Form::Compared), written("1", Form::Compared));
    }

    #[test]
    fn what_postgres_does_not_take_is_refused() {
        for (text, fault) in [
            ("", Fault::Syntax),
            ("{\"a\":}", Fault::Syntax),
            ("01", Fault::Syntax),
            ("\"\\ud83d\"", Fault::Syntax),
            ("\"\\u0000\"", Fault::Nul),
            ("{\"\\u0000\": 1}", Fault::Nul),
            ("1e131072", Fault::TooLarge),
            ("1e-16384", Fault::TooLarge),
            ("1e99999999999999999999", Fault::TooLarge),
            ("1e-9223372036854775807", Fault::TooLarge),
        ] {
            assert_eq!(written(text, Form::Shown), Err(fault), "{text}");
        }
    }
}
