//! Differences between what is expected and what is there, a line each, so that a person sees them at a glance.

use std::collections::BTreeSet;

use super::table::printable;
use super::terminal::Terminal;
use crate::http::shape::DriftedColumn;

/// What the differences are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// What was there before.
    Past,
    /// What was written down, whether or not it was ever there.
    Contract,
}

/// One line before it is aligned.
struct Line {
    severity: String,
    /// `-` for what is gone, `+` for what is new, `~` for what is another.
    sign: char,
    subject: String,
    change: String,
}

/// The differences, table by table, indented for a heading above.
pub(super) fn render<'a>(differences: impl IntoIterator<Item = &'a DriftedColumn>, against: Against, terminal: &Terminal) -> String {
    let mut tables: Vec<(String, BTreeSet<String>, Vec<Line>)> = Vec::new();
    for difference in differences {
        let table = name(difference);
        let published = difference.published.iter().map(|name| printable(&name.to_string()));
        match tables.iter_mut().find(|(known, ..)| *known == table) {
            Some((_, known, lines)) => {
                known.extend(published);
                lines.push(line(difference, against));
            }
            None => tables.push((table, published.collect(), vec![line(difference, against)])),
        }
    }
    let width = tables.iter().flat_map(|(.., lines)| lines).map(|line| line.subject.chars().count()).max().unwrap_or_default();
    let mut text = Vec::new();
    for (table, published, lines) in tables {
        let published = published.into_iter().collect::<Vec<_>>().join(", ");
        let published = if published.is_empty() { published } else { format!("  published as {published}") };
        text.push(format!("  {}{published}", terminal.bold(&table)));
        for Line { severity, sign, subject, change } in lines {
            let gap = " ".repeat(width - subject.chars().count());
            let (severity, sign) = (format!("{severity:<7}"), sign.to_string());
            let paint = |text: &str| if severity.starts_with("error") { terminal.red(text) } else { terminal.yellow(text) };
            text.push(format!("    {}  {} {subject}{gap}  {change}", paint(&severity), paint(&sign)));
        }
    }
    text.join("\n")
}

/// How many there are of each severity, in words.
pub(super) fn count<'a>(differences: impl IntoIterator<Item = &'a DriftedColumn>) -> String {
    let (mut errors, mut warnings) = (0, 0);
    for difference in differences {
        *(if difference.severity == "error" { &mut errors } else { &mut warnings }) += 1;
    }
    match (errors, warnings) {
        (0, 0) => "no differences".to_owned(),
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

/// A count and its noun.
pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn name(difference: &DriftedColumn) -> String {
    printable(&match difference.remote_schema.as_str() {
        "" => difference.remote_table.clone(),
        schema => format!("{schema}.{}", difference.remote_table),
    })
}

fn line(difference: &DriftedColumn, against: Against) -> Line {
    let expected = difference.expected.as_deref().unwrap_or("none");
    let actual = difference.actual.as_deref().unwrap_or("none");
    let column = difference.column.as_deref().unwrap_or_default();
    let (sign, subject, change) = match (difference.kind.as_str(), against) {
        ("missing_table", Against::Contract) => ('-', "the table", "is not there".to_owned()),
        ("missing_column", Against::Contract) => ('-', column, format!("is not there, should be {expected}")),
        ("missing_table", Against::Past) => ('-', "the table", "is gone".to_owned()),
        ("new_table", _) => ('+', "the table", "is new".to_owned()),
        ("missing_column", Against::Past) => ('-', column, format!("is gone, was {expected}")),
        ("unmapped_column", _) => ('+', column, format!("is new, {actual}")),
        ("pk_mismatch", _) => ('~', "primary key", format!("{expected} → {actual}")),
        // Types and nullability, and whatever a newer gateway tells of.
        _ => ('~', column, format!("{expected} → {actual}")),
    };
    Line { severity: difference.severity.clone(), sign, subject: printable(subject), change: printable(&change) }
}

#[cfg(test)]
mod tests {
    use causeway_catalog::PublishedName;

    use super::*;

    fn difference(
        table: &str,
        kind: &str,
        column: Option<&str>,
        expected: Option<&str>,
        actual: Option<&str>,
        severity: &str,
    ) -> DriftedColumn {
        DriftedColumn {
            remote_schema: "public".to_owned(),
            remote_table: table.to_owned(),
            kind: kind.to_owned(),
            column: column.map(str::to_owned),
            expected: expected.map(str::to_owned),
            actual: actual.map(str::to_owned),
            severity: severity.to_owned(),
            published: Vec::new(),
        }
    }

    #[test]
    fn a_table_of_ours_is_named_beside_the_remote_one() {
        let name = |schema: &str, name: &str| PublishedName { schema: schema.to_owned(), name: name.to_owned() };
        let mut found = [
            difference("cust", "missing_column", Some("email"), Some("text"), None, "error"),
            difference("cust", "unmapped_column", Some("note"), None, Some("text"), "warning"),
        ];
        found[0].published = vec![name("crm", "cust"), name("sales", "customers")];
        found[1].published = vec![name("crm", "cust")];
        let shown = render(&found, Against::Past, &Terminal::plain());
        assert_eq!(shown.lines().next(), Some("  public.cust  published as crm.cust, sales.customers"));
    }

    #[test]
    fn a_table_at_a_glance() {
        let found = [
            difference("cust", "missing_column", Some("email"), Some("character varying(100)"), None, "error"),
            difference("gone", "missing_table", None, Some("public.gone"), None, "error"),
            difference("cust", "unmapped_column", Some("note"), None, Some("text"), "warning"),
            difference("cust", "type_mismatch", Some("id"), Some("integer"), Some("text"), "error"),
            difference("cust", "nullability_mismatch", Some("id"), Some("not null"), Some("nullable"), "error"),
            difference("cust", "pk_mismatch", None, Some("(id)"), None, "error"),
        ];
        let expected = "  public.cust
    error    - email        is gone, was character varying(100)
    warning  + note         is new, text
    error    ~ id           integer → text
    error    ~ id           not null → nullable
    error    ~ primary key  (id) → none
  public.gone
    error    - the table    is gone";
        assert_eq!(render(&found, Against::Past, &Terminal::plain()), expected);
        let never = expected.replace("is gone, was", "is not there, should be").replace("is gone", "is not there");
        assert_eq!(render(&found, Against::Contract, &Terminal::plain()), never);
        assert_eq!(count(&found), "5 errors, 1 warning");
        assert_eq!(count(&found[2..3]), "1 warning");
        assert_eq!(count(&[]), "no differences");
    }
}
