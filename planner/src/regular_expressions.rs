//! Regular expressions that mean here what they mean in PostgreSQL.
//!
//! - A point stands for every character, the end of a line among them.
//! - A backslash that is sought is one: DataFusion makes LIKE of a plain expression, where it would escape what follows.

use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

/// Functions whose second argument is a regular expression.
const FUNCTIONS: [&str; 5] = ["regexp_replace", "regexp_like", "regexp_match", "regexp_count", "regexp_instr"];

/// Rewrites the pattern of an operator. Whether there was one to rewrite.
pub(crate) fn of_operator(binary: &mut BinaryExpr) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(binary.op, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch) && rewrite(&mut binary.right, as_postgres_reads)
}

/// Rewrites the pattern of a function. Whether there was one to rewrite.
pub(crate) fn of_function(function: &mut ScalarFunction) -> bool {
    FUNCTIONS.contains(&function.name()) && function.args.get_mut(1).is_some_and(|pattern| rewrite(pattern, with_every_point))
}

fn rewrite(pattern: &mut Expr, as_read: fn(&str) -> Option<String>) -> bool {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = pattern else { return false };
    match as_read(text) {
        Some(meant) => {
            *text = meant;
            true
        }
        None => false,
    }
}

/// Lets points stand for every character.
const EVERY: &str = "(?s)";

/// The pattern of a function, which may speak of what its parentheses find; `None` where nothing is read otherwise.
fn with_every_point(pattern: &str) -> Option<String> {
    (pattern.contains('.') && !pattern.starts_with(EVERY)).then(|| format!("{EVERY}{pattern}"))
}

/// The pattern of an operator; `None` where nothing is read otherwise, so that plain expressions stay as they are.
fn as_postgres_reads(pattern: &str) -> Option<String> {
    if pattern.contains("\\\\") && !pattern.starts_with(EVERY) {
        // What is captured is no plain expression any more.
        return Some(format!("{EVERY}({pattern})"));
    }
    with_every_point(pattern)
}

#[cfg(test)]
mod tests {
    use super::as_postgres_reads;

    #[test]
    fn points_and_backslashes_are_rewritten_once() {
        let read = |pattern| as_postgres_reads(pattern);
        assert_eq!((read("^a"), read("a|b"), read("\\d+")), (None, None, None));
        assert_eq!(read("a.b").as_deref(), Some("(?s)a.b"));
        assert_eq!(read("^\\\\").as_deref(), Some("(?s)(^\\\\)"));
        assert_eq!((read("(?s)a.b"), read("(?s)(\\\\)")), (None, None));
    }
}
