//! Names what is at a source, in one text.

use std::fmt;

/// A table of a remote, or a column of one, by the remote's own names.
///
/// Printed it is `schema.table` or `schema.table.column`, without the schema where a source has none. A name with a dot or a double
/// quote in it is quoted, so that within one datasource no two subjects print alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The remote schema; empty for files.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Its column; `None` is the table itself.
    pub column: Option<String>,
}

impl Subject {
    /// A table.
    pub fn table(schema: &str, table: &str) -> Self {
        Self { schema: schema.to_owned(), table: table.to_owned(), column: None }
    }

    /// A column of a table.
    pub fn column(schema: &str, table: &str, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..Self::table(schema, table) }
    }

    /// The subject that prints as `text`; `None` when none does. Of a source without schemas only tables can be read back: a column of
    /// one prints as a table of a schema does.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let (part, left) = next_part(text)?;
            parts.push(part);
            rest = left;
        }
        match &parts[..] {
            [table] => Some(Self::table("", table)),
            [schema, table] => Some(Self::table(schema, table)),
            [schema, table, column] => Some(Self::column(schema, table, column)),
            _ => None,
        }
    }
}

/// The first part of a printed subject, and what follows its dot.
fn next_part(text: &str) -> Option<(String, Option<&str>)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (part, left) = text.split_once('.').map_or((text, None), |(part, left)| (part, Some(left)));
        return (!part.is_empty()).then(|| (part.to_owned(), left));
    };
    let mut part = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            part.push(letter);
        } else if letters.next_if(|(_, next)| *next == '"').is_some() {
            part.push('"');
        } else {
            let left = &quoted[at + 1..];
            return if left.is_empty() { Some((part, None)) } else { Some((part, Some(left.strip_prefix('.')?))) };
        }
    }
    None
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = Some(self.schema.as_str()).filter(|schema| !schema.is_empty());
        let parts = schema.into_iter().chain([self.table.as_str()]).chain(self.column.as_deref());
        for (at, part) in parts.enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            if part.is_empty() || part.contains(['.', '"']) {
                write!(f, "\"{}\"", part.replace('"', "\"\""))?;
            } else {
                f.write_str(part)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_subjects_print_alike() {
        let cases = [
            (Subject::table("public", "cust"), "public.cust"),
            (Subject::column("public", "cust", "e mail"), "public.cust.e mail"),
            (Subject::table("public", "cust.email"), "public.\"cust.email\""),
            (Subject::table("public.cust", "email"), "\"public.cust\".email"),
            (Subject::table("a", "\"b\""), "a.\"\"\"b\"\"\""),
            (Subject::table("", "orders"), "orders"),
            (Subject::column("", "orders", ""), "orders.\"\""),
        ];
        for (subject, printed) in cases {
            assert_eq!(subject.to_string(), printed);
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for name in ["plain", "with space", "a.b", "\"", "x\"\"y.", ""] {
            for subject in [Subject::table("s", name), Subject::column("s", name, name), Subject::table("", name)] {
                assert_eq!(Subject::read(&subject.to_string()), Some(subject));
            }
        }
        for text in ["", ".", "a.", "a..b", "\"a", "\"a\"b", "a.b.c.d"] {
            assert_eq!(Subject::read(text), None, "{text}");
        }
    }
}
