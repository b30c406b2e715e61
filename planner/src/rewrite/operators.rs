//! Operators, collations and functions that are written differently.

use datafusion::sql::sqlparser::ast::{AccessExpr, BinaryOperator, Expr, Function, FunctionArguments, ObjectName};

use super::casts;
use super::syntax::{arguments_mut, binary, call, exact, folded, number, parts, text, text_of};

/// Functions that give a set where PostgreSQL allows one in a select list; ours give an array.
const SETS: [&str; 4] = ["generate_subscripts", "generate_series", "_pg_expandarray", "pg_partition_ancestors"];

/// Collations that compare as we do: by code point.
const BYTE_ORDER: [&str; 4] = ["default", "C", "POSIX", "ucs_basic"];

/// The regular expression of a pattern of `SIMILAR TO`: all of the text matches it, `%` stands for any characters and `_` for one.
fn as_regular_expression(similar: &str, escape: Option<char>) -> String {
    let mut expression = String::from("^(?:");
    let mut rest = similar.chars().peekable();
    let mut is_in_brackets = false;
    while let Some(character) = rest.next() {
        if Some(character) == escape {
            let escaped = rest.next().unwrap_or(character);
            if !escaped.is_alphanumeric() {
                expression.push('\\');
            }
            expression.push(escaped);
            continue;
        }
        match character {
            '[' if !is_in_brackets => is_in_brackets = true,
            ']' => is_in_brackets = false,
            _ => {}
        }
        match character {
            '\\' => expression.push_str("\\\\"),
            _ if is_in_brackets => expression.push(character),
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            '(' => expression.push_str("(?:"),
            '.' | '^' | '$' => expression.extend(['\\', character]),
            other => expression.push(other),
        }
    }
    expression.push_str(")$");
    expression
}

/// Rewrites one expression whose parts are done.
pub(super) fn rewrite(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { op, left, right } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op
                && let Some(plain) = plain_operator(name)
            {
                *op = plain;
            }
            if *op == BinaryOperator::StringConcat {
                casts::show_name(left);
                casts::show_name(right);
            }
        }
        Expr::Collate { expr: inner, collation } => {
            let known = parts(collation).last().is_some_and(|name| BYTE_ORDER.iter().any(|c| c.eq_ignore_ascii_case(name)));
            if known {
                *expr = inner.as_ref().clone();
            }
        }
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            let mut inner = right.as_ref();
            while let Expr::Nested(nested) = inner {
                inner = nested;
            }
            if let Some(array) = text_of(inner).and_then(array_literal) {
                **right = array;
            }
            if let Some(list) = as_list(expr) {
                *expr = list;
            }
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            // The planner knows the backslash only, which PostgreSQL's own `like_escape` turns any other into.
            if let Some(escape) = escape_char.take() {
                let escape = Expr::Value(escape);
                if text_of(&escape) != Some("\\") {
                    **pattern = call("like_escape", vec![pattern.as_ref().clone(), escape]);
                }
            }
        }
        Expr::SimilarTo { negated, expr: value, pattern, escape_char } => {
            let escape = match escape_char {
                None => Some('\\'),
                Some(written) => text_of(&Expr::Value(written.clone())).and_then(|text| text.chars().next()),
            };
            if let Some(similar) = text_of(pattern) {
                let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
                let matched = binary(value.as_ref().clone(), op, text(as_regular_expression(similar, escape)));
                *expr = Expr::Nested(Box::new(matched));
            }
        }
        Expr::CompoundFieldAccess { root, access_chain } if !matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
            // `(value).field`; the planner below knows the function only. Without parentheses the first parts name a column.
            while let Some(AccessExpr::Dot(Expr::Identifier(field))) = access_chain.first() {
                let value = std::mem::replace(root.as_mut(), super::syntax::null());
                **root = call("get_field", vec![value, text(folded(field))]);
                access_chain.remove(0);
            }
            if access_chain.is_empty() {
                *expr = std::mem::replace(root.as_mut(), super::syntax::null());
            }
        }
        Expr::Identifier(name) if name.quote_style.is_none() => {
            // Reserved words in PostgreSQL, and calls without parentheses; the parser takes them for columns.
            if matches!(folded(name).as_str(), "current_schema" | "current_role") {
                *expr = call(&folded(name), Vec::new());
            }
        }
        Expr::Function(function) => {
            unqualify(function);
            let name = parts(&function.name).join(".");
            if matches!(name.as_str(), "format" | "concat" | "quote_ident" | "quote_literal" | "array_agg" | "string_agg") {
                arguments_mut(function).into_iter().for_each(casts::show_name);
            }
            let set = matches!(function.args, FunctionArguments::List(_)) && function.over.is_none() && SETS.contains(&name.as_str());
            if set {
                let inner = expr.clone();
                *expr = call("unnest", vec![inner]);
            }
        }
        _ => {}
    }
}

/// `x = ANY (ARRAY[a, b])` is `x IN (a, b)`, and `x <> ALL (ARRAY[a, b])` is `x NOT IN (a, b)`, which the planner knows NULL in.
fn as_list(expr: &Expr) -> Option<Expr> {
    let (left, right, negated) = match expr {
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
        _ => return None,
    };
    let mut inner = right.as_ref();
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    match inner {
        Expr::Array(array) if !array.elem.is_empty() && !array.elem.iter().any(|item| matches!(item, Expr::Array(_))) => {
            Some(Expr::InList { expr: left.clone(), list: array.elem.clone(), negated })
        }
        _ => None,
    }
}

/// `OPERATOR(pg_catalog.~)` is `~`.
fn plain_operator(name: &[String]) -> Option<BinaryOperator> {
    let symbol = match name {
        [symbol] => symbol,
        [schema, symbol] if schema == "pg_catalog" => symbol,
        _ => return None,
    };
    Some(match symbol.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// `pg_catalog.version()` is `version()`: built-in functions have no schema here.
fn unqualify(function: &mut Function) {
    if let [schema, name] = parts(&function.name).as_slice()
        && (schema == "pg_catalog" || (schema == "information_schema" && name.starts_with("_pg_")))
    {
        function.name = ObjectName::from(vec![exact(name.clone())]);
    }
}

/// `'{1,2}'` as an array of numbers or texts. Nested arrays are left alone.
pub(super) fn array_literal(literal: &str) -> Option<Expr> {
    let inner = literal.trim().strip_prefix('{')?.strip_suffix('}')?;
    let items = elements(inner)?;
    let numbers: Option<Vec<i64>> = items.iter().map(|item| item.as_deref()?.parse().ok()).collect();
    let elem: Vec<Expr> = match numbers {
        Some(numbers) if !numbers.is_empty() => numbers.into_iter().map(number).collect(),
        _ => items.into_iter().map(|item| item.map_or_else(super::syntax::null, text)).collect(),
    };
    if elem.is_empty() {
        return None;
    }
    Some(Expr::Array(datafusion::sql::sqlparser::ast::Array { elem, named: true }))
}

/// The elements of an array literal's inside; `None` is NULL.
pub(super) fn elements(inner: &str) -> Option<Vec<Option<String>>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut items = Vec::new();
    let mut letters = inner.chars().peekable();
    loop {
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => item.push(letters.next()?),
                    letter => item.push(letter),
                }
            }
            while letters.next_if(|c| c.is_whitespace()).is_some() {}
            items.push(Some(item));
        } else {
            while let Some(letter) = letters.next_if(|c| *c != ',') {
                if matches!(letter, '{' | '}' | '"') {
                    return None;
                }
                item.push(letter);
            }
            let item = item.trim();
            if item.is_empty() {
                return None;
            }
            items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
        }
        match letters.next() {
            None => return Some(items),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}
