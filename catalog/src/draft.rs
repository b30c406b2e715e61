//! A remote table as the YAML of a pinned table, for those who keep their configuration in git.

use std::fmt::Write;
use std::time::Duration;

use causeway_providers::{Deadline, Introspection, Presentation, RemoteColumn, RemoteTable, Result, Subject};
use datafusion::arrow::datatypes::DataType;

use crate::datasource::PinnedTable;
use crate::member::Member;

/// Types whose values are text at the source as well. Whatever else arrives as text is worth a look.
const TEXT_TYPES: [&str; 14] = [
    "text",
    "character varying",
    "varchar",
    "char",
    "character",
    "bpchar",
    "name",
    "tinytext",
    "mediumtext",
    "longtext",
    "clob",
    "string",
    "utf8",
    "largeutf8",
];

impl Member {
    /// Drafts a remote table; the source has `limit` to tell what it has.
    ///
    /// # Errors
    /// As [`Environment::draft`](crate::Environment::draft).
    pub(crate) async fn draft(&self, remote_schema: Option<&str>, remote_table: &str, limit: Duration) -> Result<String> {
        let remote = self.open_remote().map_err(|closed| self.refused_for_mismatch().unwrap_or(closed))?;
        let deadline = Deadline::after(limit);
        let accepted = self.accepted.lock().await.tables.clone();
        let mut seen = self.look(&remote, deadline).await?;
        self.complete(&mut seen, accepted.as_deref(), &remote, deadline).await?;
        let schema = remote_schema.unwrap_or(&seen.default_schema);
        let found = seen.tables.iter().find(|table| table.schema == schema && table.name == remote_table);
        let table = found.ok_or_else(|| self.absent(&seen, schema, remote_table))?;
        let is_pin = |pin: &&PinnedTable| {
            pin.remote_table == table.name && pin.remote_schema.as_deref().unwrap_or(&seen.default_schema) == table.schema
        };
        Ok(yaml(table, &seen, self.datasource.tables.iter().find(is_pin)))
    }
}

/// The YAML of a pinned table, an entry of `tables:`. What `pin` says of it already, but for its contract, is kept.
fn yaml(table: &RemoteTable, seen: &Introspection, pin: Option<&PinnedTable>) -> String {
    let mut text = String::new();
    let mut line = |indent: &str, content: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{content}");
    };
    let name = pin.map_or(&table.name, |pin| &pin.name);
    if pin.is_some() {
        line("", format!("# The table is pinned already, as {}: put this in the place of that entry.", scalar(name)));
    }
    line("", "tables:".to_owned());
    line("  - ", format!("name: {}", scalar(name)));
    let remote = match table.schema.as_str() {
        "" => quoted_part(&table.name),
        schema => format!("{}.{}", quoted_part(schema), quoted_part(&table.name)),
    };
    line("    ", format!("remote: {}", scalar(&remote)));
    if let Some(pin) = pin {
        kept(pin, table, &mut line);
    }
    if !table.primary_key.is_empty() {
        let key: Vec<String> = table.primary_key.iter().map(|column| scalar(column)).collect();
        line("    ", format!("primary_key: [{}]", key.join(", ")));
    }
    line("    ", "columns:".to_owned());
    let is_ignored = |column: &&RemoteColumn| pin.is_some_and(|pin| pin.ignore_columns.contains(&column.name));
    for column in table.columns.iter().filter(|column| !is_ignored(column)) {
        let review = review(column).map(|why| format!("  # review: {why}")).unwrap_or_default();
        let (name, remote_type) = (scalar(&column.name), scalar(&column.remote_type));
        line("      - ", format!("{{ name: {name}, type: {remote_type}, nullable: {} }}{review}", column.nullable));
    }
    for omitted in omitted(table, seen) {
        // A name may hold a line break, which would end the comment.
        line("      ", format!("# review: {}", omitted.replace(char::is_control, " ")));
    }
    text
}

/// What a pin says besides its contract, as far as the table still has the columns.
fn kept(pin: &PinnedTable, table: &RemoteTable, line: &mut impl FnMut(&str, String)) {
    let has = |name: &str| table.columns.iter().any(|column| column.name == name);
    if pin.writable {
        line("    ", "writable: true".to_owned());
    }
    let (mapped, gone): (Vec<_>, Vec<_>) = pin.column_map.iter().partition(|(remote, _)| has(remote));
    if !mapped.is_empty() {
        let pairs: Vec<String> = mapped.iter().map(|(remote, name)| format!("{}: {}", scalar(remote), scalar(name))).collect();
        line("    ", format!("column_map: {{ {} }}", pairs.join(", ")));
    }
    for (remote, name) in gone {
        line("    ", format!("# review: column {}, mapped to {}, is gone", scalar(remote), scalar(name)));
    }
    if !pin.ignore_columns.is_empty() {
        let ignored: Vec<String> = pin.ignore_columns.iter().map(|column| scalar(column)).collect();
        line("    ", format!("ignore_columns: [{}]", ignored.join(", ")));
    }
}

/// Where a value of `table` may not arrive as it is, and what of it is left out, a sentence each.
pub(crate) fn reviews(table: &RemoteTable, seen: &Introspection) -> Vec<String> {
    let columns = table.columns.iter().filter_map(|column| Some(format!("column {}: {}", column.name, review(column)?)));
    columns.chain(omitted(table, seen)).collect()
}

fn omitted(table: &RemoteTable, seen: &Introspection) -> impl Iterator<Item = String> {
    let prefix = format!("{}.", Subject::table(&table.schema, &table.name));
    seen.omitted.iter().filter_map(move |omission| {
        let column = omission.subject.strip_prefix(&prefix)?;
        Some(format!("column {column} is left out: {}", omission.reason))
    })
}

/// What to look at before a column is relied on.
fn review(column: &RemoteColumn) -> Option<&'static str> {
    let base = column.remote_type.split('(').next().unwrap_or_default().trim().to_lowercase();
    match (column.presentation, &column.data_type) {
        (Presentation::UnconstrainedNumeric, _) => Some("at most 38 digits on either side of the point; more is an error"),
        (Presentation::Bpchar, _) => Some("without trailing blanks"),
        (Presentation::Uuid | Presentation::Json | Presentation::Jsonb, _) => None,
        (Presentation::Plain, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) if !TEXT_TYPES.contains(&base.as_str()) => {
            Some("arrives as text")
        }
        (Presentation::Plain, _) => None,
    }
}

/// A YAML scalar: plain where that is beyond doubt, in double quotes, which YAML shares with JSON, elsewhere.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '(' | ')' | ' '))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A part of a remote name as `remote:` takes it.
fn quoted_part(part: &str) -> String {
    if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use causeway_providers::{Omission, OmissionCause};

    use super::*;
    use crate::fake::table;

    #[test]
    fn a_draft_marks_what_is_worth_a_look() {
        let mut cust = table("public", "odd.name", &["id", "note", "mood"]);
        cust.primary_key = vec!["id".to_owned()];
        cust.columns[0].nullable = false;
        cust.columns[2].remote_type = "mood: enum".to_owned();
        let omitted =
            Omission { subject: "public.\"odd.name\".geo".into(), reason: "no type for point".into(), cause: OmissionCause::Unmapped };
        let seen = Introspection { default_schema: "public".into(), tables: vec![cust.clone()], omitted: vec![omitted] };
        assert_eq!(
            yaml(&cust, &seen, None),
            "tables:\n  - name: odd.name\n    remote: \"public.\\\"odd.name\\\"\"\n    primary_key: [id]\n    columns:\n      \
             - { name: id, type: bigint, nullable: false }\n      - { name: note, type: text, nullable: true }\n      \
             - { name: mood, type: \"mood: enum\", nullable: true }  # review: arrives as text\n      \
             # review: column geo is left out: no type for point\n"
        );
        assert_eq!(reviews(&cust, &seen), ["column mood: arrives as text", "column geo is left out: no type for point"]);
    }

    #[test]
    fn a_draft_of_a_pinned_table_keeps_what_the_pin_says() {
        let cust = table("public", "cust", &["id", "cust_nm", "legacy"]);
        let pin = PinnedTable {
            name: "customers".to_owned(),
            remote_schema: None,
            remote_table: "cust".to_owned(),
            writable: true,
            column_map: [("cust_nm".to_owned(), "name".to_owned()), ("gone".to_owned(), "x".to_owned())].into(),
            ignore_columns: vec!["legacy".to_owned()],
            columns: None,
            primary_key: None,
        };
        let seen = Introspection { default_schema: "public".into(), tables: vec![cust.clone()], omitted: Vec::new() };
        assert_eq!(
            yaml(&cust, &seen, Some(&pin)),
            "# The table is pinned already, as customers: put this in the place of that entry.\ntables:\n  - name: customers\n    \
             remote: public.cust\n    writable: true\n    column_map: { cust_nm: name }\n    \
             # review: column gone, mapped to x, is gone\n    ignore_columns: [legacy]\n    columns:\n      \
             - { name: id, type: bigint, nullable: true }\n      - { name: cust_nm, type: text, nullable: true }\n"
        );
    }

    #[test]
    fn words_that_yaml_takes_for_values_are_quoted() {
        for (text, expected) in
            [("id", "id"), ("no", "\"no\""), ("1st", "\"1st\""), ("a: b", "\"a: b\""), ("character varying(20)", "character varying(20)")]
        {
            assert_eq!(scalar(text), expected);
        }
    }
}
