//! `FETCH FIRST n ROWS ONLY`, which is `LIMIT n` in standard SQL.

use datafusion::sql::sqlparser::ast::{Expr, Fetch, LimitClause, Query, Value};

/// Writes the one as the other. `WITH TIES` and `PERCENT` stay, and are refused.
pub(super) fn rewrite(query: &mut Query) {
    let Some(Fetch { with_ties: false, percent: false, quantity }) = &query.fetch else { return };
    let one = || Expr::value(Value::Number("1".to_owned(), false));
    let first = Some(quantity.clone().unwrap_or_else(one));
    match &mut query.limit_clause {
        None => query.limit_clause = Some(LimitClause::LimitOffset { limit: first, offset: None, limit_by: Vec::new() }),
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = first,
        Some(_) => return,
    }
    query.fetch = None;
}
