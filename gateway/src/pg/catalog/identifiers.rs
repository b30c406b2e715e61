//! Identifiers as SQL writes and reads them.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Quotes an identifier where SQL needs it.
pub(super) fn quote_identifier(name: &str) -> String {
    let mut letters = name.chars();
    let plain_start = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let plain = plain_start && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_reserved(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn is_reserved(name: &str) -> bool {
    static RESERVED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        // Words of category U, "unreserved", are the ones that need no quotes.
        let words = include_str!("relations/pg_get_keywords.tsv").lines().filter_map(|line| line.split_once('\t'));
        words.filter(|(_, rest)| !rest.starts_with('U')).map(|(word, _)| word).collect()
    });
    RESERVED.contains(name)
}

/// Splits `schema.table` as SQL reads it: unquoted parts fold to lower case. `None` when it is not a name.
pub(super) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut letters = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next()? {
                    '"' if letters.next_if_eq(&'"').is_some() => part.push('"'),
                    '"' => break,
                    letter => part.push(letter),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|c| *c != '.' && *c != '"' && !c.is_whitespace()) {
                part.extend(letter.to_lowercase());
            }
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match letters.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_sql_reads_them() {
        let split = |text| split_name(text).map(|parts| parts.join("|"));
        assert_eq!(split("crm.Customers").as_deref(), Some("crm|customers"));
        assert_eq!(split("\"Crm\".\"a.\"\"b\"").as_deref(), Some("Crm|a.\"b"));
        assert_eq!(split("crm.").as_deref(), None);
        assert_eq!(split("\"open").as_deref(), None);
        assert_eq!(split("a b").as_deref(), None);
    }

    #[test]
    fn identifiers_are_quoted_where_they_must_be() {
        for (name, quoted) in
            [("crm", "crm"), ("Crm", "\"Crm\""), ("1a", "\"1a\""), ("select", "\"select\""), ("a\"b", "\"a\"\"b\""), ("name", "name")]
        {
            assert_eq!(quote_identifier(name), quoted);
        }
    }
}
