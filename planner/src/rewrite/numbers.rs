//! Number literals that no decimal of ours can hold are floats: `1e300` is `numeric` to PostgreSQL, which has no bounds.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Value};

/// Digits a decimal literal may need on either side of the point, well within Decimal256.
const DIGITS: i64 = 60;

/// Rewrites one expression.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Value(literal) = &*expr else { return };
    let Value::Number(text, _) = &literal.value else { return };
    if !is_wide(text) {
        return;
    }
    let text = Expr::Value(Value::SingleQuotedString(text.clone()).into());
    *expr = Expr::Cast { kind: CastKind::Cast, expr: Box::new(text), data_type: DataType::DoublePrecision, array: false, format: None };
}

/// Whether an exponent moves the point further than a decimal can follow.
fn is_wide(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return false };
    let digits = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    // An exponent that is no number of this size is too wide as well.
    exponent.parse::<i64>().map_or(true, |exponent| exponent.abs().saturating_add(digits) > DIGITS)
}

#[cfg(test)]
mod tests {
    use super::is_wide;

    #[test]
    fn only_exponents_make_a_literal_wide() {
        assert!(is_wide("1e300") && is_wide("1.5E-300") && is_wide("1e99999999999999999999"));
        assert!(!is_wide("1e10") && !is_wide("1.5e-7") && !is_wide("12345678901234567890"));
    }
}
