//! The names of remote tables as users write them.

/// Splits `table` or `schema.table`; a part that holds a dot is written in double quotes, as in SQL.
///
/// # Errors
/// What would be right.
pub(crate) fn split(text: &str) -> Result<(Option<String>, String), &'static str> {
    const EXPECTED: &str = "not `table` or `schema.table`; a name that holds a dot is written in double quotes";
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let mut part = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').ok_or(EXPECTED)?;
                part.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                // A quote in a name is written twice.
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        part.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            part.push_str(&rest[..rest.find('.').unwrap_or(rest.len())]);
            rest = &rest[part.len()..];
        }
        if part.is_empty() {
            return Err(EXPECTED);
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => break,
            None => return Err(EXPECTED),
        }
    }
    match <[String; 2]>::try_from(parts) {
        Ok([schema, table]) => Ok((Some(schema), table)),
        Err(mut parts) if parts.len() == 1 => Ok((None, parts.remove(0))),
        Err(_) => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_names() {
        let both = |schema: &str, table: &str| Ok((Some(schema.to_owned()), table.to_owned()));
        let bare = |table: &str| Ok((None, table.to_owned()));
        for (text, expected) in [
            ("cust", bare("cust")),
            ("public.cust", both("public", "cust")),
            ("public.\"odd.name\"", both("public", "odd.name")),
            ("\"a.b\"", bare("a.b")),
            ("\"a\"\"b\".c", both("a\"b", "c")),
            ("Public.Cust", both("Public", "Cust")),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
        for text in ["", "a.", ".a", "a.b.c", "\"a", "\"a\"b"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
