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
}
