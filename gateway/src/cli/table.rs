//! Tables of text.

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::client::Answer;

/// Types whose values are read from the right: int8, int2, int4, oid, float4, float8, numeric.
const NUMBERS: [u32; 7] = [20, 21, 23, 26, 700, 701, 1700];

/// What stands for NULL, which is not the empty text.
const NULL: &str = "NULL";

/// An empty table with headings.
pub(super) fn headed<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).apply_modifier(UTF8_ROUND_CORNERS);
    table.set_header(headings.into_iter().collect::<Vec<_>>());
    table
}

/// The rows of an answer.
pub(super) fn of(answer: &Answer) -> Table {
    let mut table = headed(answer.columns.iter().map(|column| column.name.as_str()));
    for row in &answer.rows {
        table.add_row(row.iter().map(|value| printable(value.as_deref().unwrap_or(NULL))).collect::<Vec<_>>());
    }
    for (index, column) in answer.columns.iter().enumerate() {
        if NUMBERS.contains(&column.type_id)
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A value without the characters that would move a terminal's cursor.
pub(super) fn printable(value: &str) -> String {
    value.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::client::Column;
    use super::*;

    #[test]
    fn numbers_stand_right_and_control_characters_are_shown() {
        let column = |name: &str, type_id| Column { name: name.to_owned(), type_id };
        let answer = Answer {
            columns: vec![column("name", 25), column("count", 20)],
            rows: vec![vec![Some("a\x1b[2J".to_owned()), Some("7".to_owned())], vec![None, Some("1234567".to_owned())]],
            tag: "SELECT 2".to_owned(),
            notices: Vec::new(),
        };
        let expected = "\
╭───────┬─────────╮
│ name  ┆   count │
╞═══════╪═════════╡
│ a\u{fffd}[2J ┆       7 │
│ NULL  ┆ 1234567 │
╰───────┴─────────╯";
        assert_eq!(of(&answer).to_string(), expected);
    }
}
