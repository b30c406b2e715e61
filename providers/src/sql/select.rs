//! A select statement in parts, rendered once at the end.

use std::borrow::Cow;

use super::dialect::Dialect;

/// So many conditions may stand side by side.
const MOST_CONJUNCTS: usize = 100;

/// One `SELECT`. All fragments are in the dialect it is rendered with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// The output columns; none renders as `SELECT 1`, for counting rows.
    pub items: Vec<SelectItem>,
    /// What stands after `FROM`.
    pub from: String,
    /// Conjuncts of `WHERE`.
    pub filter: Vec<String>,
    /// Keys of `GROUP BY`.
    pub group_by: Vec<String>,
    /// Conjuncts of `HAVING`.
    pub having: Vec<String>,
    /// Terms of `ORDER BY`, with direction.
    pub order_by: Vec<String>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Rows to leave out first.
    pub offset: u64,
}

/// An output column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectItem {
    /// The expression.
    pub sql: String,
    /// Its name, already quoted; `None` leaves it as it is.
    pub alias: Option<String>,
}

impl Select {
    /// The statement's text.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        let mut text = String::from("SELECT ");
        if self.items.is_empty() {
            text.push('1');
        }
        for (at, item) in self.items.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            text.push_str(&item.sql);
            if let Some(alias) = &item.alias {
                text.push_str(" AS ");
                text.push_str(alias);
            }
        }
        text.push_str(" FROM ");
        text.push_str(&self.from);
        clause(&mut text, " WHERE ", &conjuncts(&self.filter), " AND ");
        clause(&mut text, " GROUP BY ", &self.group_by, ", ");
        clause(&mut text, " HAVING ", &conjuncts(&self.having), " AND ");
        clause(&mut text, " ORDER BY ", &self.order_by, ", ");
        let limit = dialect.limit(self.limit, self.offset);
        if !limit.is_empty() {
            text.push(' ');
            text.push_str(&limit);
        }
        text
    }
}

/// The conditions as they stand between `AND`. A source nests them one by one, and SQLite no deeper than a thousand: many are put into
/// parentheses by twos until they are few.
fn conjuncts(conditions: &[String]) -> Cow<'_, [String]> {
    let mut conditions = Cow::Borrowed(conditions);
    while conditions.len() > MOST_CONJUNCTS {
        let pairs = conditions.chunks(2).map(|pair| match pair {
            [left, right] => format!("({left} AND {right})"),
            alone => alone.concat(),
        });
        conditions = Cow::Owned(pairs.collect());
    }
    conditions
}

fn clause(text: &mut String, keyword: &str, parts: &[String], separator: &str) {
    if !parts.is_empty() {
        text.push_str(keyword);
        text.push_str(&parts.join(separator));
    }
}
