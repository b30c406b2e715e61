//! Subqueries that give an array, a single value, or a truth value in a select list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArgumentClause, FunctionArguments, LimitClause, OrderBy, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, UnaryOperator, Value, Visit, Visitor,
    visit_expressions_mut,
};

use super::absent::{aggregates, query_has_no_rows};
use super::scope::{reads_system_only, relations};
use super::syntax::{
    all, array_type, binary, call, cast, conjuncts, empty_query, exact, folded, null, number, parse_query, parts, system_name, text_of,
    when,
};

/// Rewrites one expression whose parts are done.
pub(super) fn rewrite(expr: &mut Expr) {
    match expr {
        Expr::Function(function) if is_array_subquery(function) => {
            let FunctionArguments::Subquery(query) = std::mem::replace(&mut function.args, FunctionArguments::None) else { return };
            *expr = array_of(*query);
        }
        Expr::Subquery(query) if query_has_no_rows(query) => *expr = null(),
        Expr::Subquery(query) if reads_system_only(query.as_ref()) => {
            let query = std::mem::replace(query.as_mut(), empty_query());
            *expr = single_value(query);
        }
        Expr::Exists { subquery, negated } if query_has_no_rows(subquery) => *expr = Expr::value(Value::Boolean(*negated)),
        _ => {}
    }
}

fn is_array_subquery(function: &Function) -> bool {
    matches!(function.args, FunctionArguments::Subquery(_)) && parts(&function.name) == ["array"]
}

/// `ARRAY(query)`.
fn array_of(mut query: Query) -> Expr {
    if query_has_no_rows(&query) {
        return call("causeway_or_empty", vec![cast(null(), array_type(DataType::Text))]);
    }
    if let Some(array) = array_of_elements(&query) {
        return array;
    }
    if !query_is_bare(&query, Limits::None) {
        return call("causeway_or_empty", vec![Expr::Subquery(Box::new(aggregate_of(query)))]);
    }
    let order = take_order(&mut query);
    let Some(select) = plain_select(&mut query) else { return null() };
    let hoisted = decorrelate(select);
    collect_items(select, order, None);
    let subquery = Expr::Subquery(Box::new(query));
    let value = hoisted.into_iter().fold(subquery, |value, condition| when(condition, value));
    call("causeway_or_empty", vec![value])
}

/// Arrays made of another array's elements one by one, which need no subquery.
fn array_of_elements(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    if !from.joins.is_empty() || select.selection.is_some() || query.limit_clause.is_some() {
        return None;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice() else { return None };
    match &from.relation {
        TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } => {
            let [array] = array_exprs.as_slice() else { return None };
            let element = alias.columns.first().map_or(&alias.name, |c| &c.name);
            let is_element = |expr: &Expr| matches!(expr, Expr::Identifier(name) if folded(name) == folded(element));
            match item {
                item if is_element(item) => Some(call("causeway_or_empty", vec![array.clone()])),
                Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if is_element(right) && text_of(left).is_some() => {
                    Some(call("causeway_prefixed", vec![left.as_ref().clone(), array.clone()]))
                }
                _ => None,
            }
        }
        // psql shows the options of servers and tables by `quote_ident(option_name) || ' ' || quote_literal(option_value)`.
        TableFactor::Table { name, args: Some(args), .. } if system_name(name).as_deref() == Some("pg_options_to_table") => {
            let shown = item.to_string();
            let known = shown.contains("quote_ident") && shown.contains("option_name") && shown.contains("option_value");
            let [datafusion::sql::sqlparser::ast::FunctionArg::Unnamed(datafusion::sql::sqlparser::ast::FunctionArgExpr::Expr(options))] =
                args.args.as_slice()
            else {
                return None;
            };
            known.then(|| call("causeway_options", vec![options.clone()]))
        }
        _ => None,
    }
}

/// `SELECT array_agg(x) FROM (query) AS t(x)`, for queries that are more than one select.
fn aggregate_of(query: Query) -> Query {
    let mut outer = parse_query("SELECT array_agg(x) FROM t");
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        let columns = vec![TableAliasColumnDef { name: exact("x"), data_type: None }];
        let alias = TableAlias { explicit: true, name: exact("t"), columns, at: None };
        from.relation = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None };
    }
    outer
}

/// A subquery that stands for a value. One that depends on the row around it must be an aggregate here.
fn single_value(mut query: Query) -> Expr {
    let limited = query_is_bare(&query, Limits::One);
    if !limited && !query_is_bare(&query, Limits::None) {
        return Expr::Subquery(Box::new(query));
    }
    let has_limit = query.limit_clause.is_some();
    let Some(select) = plain_select(&mut query) else { return Expr::Subquery(Box::new(query)) };
    if !is_correlated(select) {
        return Expr::Subquery(Box::new(query));
    }
    if aggregates(select) {
        // Its conditions may not be moved out: a count of no rows is zero, not NULL.
        let kept = decorrelate(select);
        let conditions = select.selection.take().into_iter().chain(kept).collect();
        select.selection = all(conditions);
        return Expr::Subquery(Box::new(query));
    }
    let order = take_order(&mut query);
    query.limit_clause = None;
    let Some(select) = plain_select(&mut query) else { return Expr::Subquery(Box::new(query)) };
    let hoisted = decorrelate(select);
    collect_items(select, order, Some(if has_limit { "causeway_first" } else { "causeway_single" }));
    let subquery = Expr::Subquery(Box::new(query));
    hoisted.into_iter().fold(subquery, |value, condition| when(condition, value))
}

/// Which limit a query may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    None,
    One,
}

/// Whether a query is a select with nothing around it but an order, and that limit.
fn query_is_bare(query: &Query, limits: Limits) -> bool {
    let limit = match &query.limit_clause {
        None => limits == Limits::None,
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by }) => {
            limits == Limits::One && limit_by.is_empty() && *limit == number(1)
        }
        Some(_) => false,
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    limit && query.with.is_none() && query.fetch.is_none() && select.distinct.is_none() && select.projection.len() == 1
}

fn plain_select(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

fn take_order(query: &mut Query) -> Vec<OrderByExpr> {
    match query.order_by.take() {
        Some(OrderBy { kind: OrderByKind::Expressions(by), .. }) => by,
        _ => Vec::new(),
    }
}

/// Makes the select's one column an array of all its rows' values, in `order`, and passes it to `function`.
fn collect_items(select: &mut Select, order: Vec<OrderByExpr>, function: Option<&str>) {
    let Some(item) = select.projection.pop() else { return };
    let (SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }) = item else { return };
    let order = order.into_iter().map(|mut by| {
        if by.expr == number(1) {
            by.expr = value.clone();
        }
        by
    });
    let order: Vec<OrderByExpr> = order.collect();
    let mut collected = call("array_agg", vec![value]);
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut collected
        && !order.is_empty()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    let whole = match function {
        Some(function) => call(function, vec![collected]),
        None => collected,
    };
    select.projection = vec![SelectItem::UnnamedExpr(whole)];
}

/// Whether a column reference is to a relation outside of `aliases`. One without a qualifier counts as inside.
fn is_outer(expr: &Expr, aliases: &[String]) -> bool {
    match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., qualifier, _] => !aliases.contains(&folded(qualifier)),
            _ => false,
        },
        _ => false,
    }
}

fn is_inner(expr: &Expr, aliases: &[String]) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) && !is_outer(expr, aliases)
}

/// Whether any part refers to an outer relation, and whether any to an inner one.
fn references(node: &impl Visit, aliases: &[String]) -> (bool, bool) {
    struct Finder<'a> {
        aliases: &'a [String],
        outer: bool,
        inner: bool,
    }
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.outer |= is_outer(expr, self.aliases);
            self.inner |= is_inner(expr, self.aliases) || matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. });
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder { aliases, outer: false, inner: false };
    let _never_broken = node.visit(&mut finder);
    (finder.outer, finder.inner)
}

fn aliases_of(select: &Select) -> Vec<String> {
    relations(select).into_iter().map(|r| r.alias).collect()
}

fn is_correlated(select: &Select) -> bool {
    references(select, &aliases_of(select)).0
}

/// Brings the conditions of a correlated select into the one form that can be joined: equality of an inner and an outer column.
///
/// Other references to an outer column are replaced by the inner column it is equal to. Conditions on the outer row alone are taken out
/// and returned.
fn decorrelate(select: &mut Select) -> Vec<Expr> {
    let aliases = aliases_of(select);
    let Some(condition) = select.selection.take() else { return Vec::new() };
    let conditions = conjuncts(condition);
    let equal: Vec<(Expr, Expr)> = conditions.iter().filter_map(|c| equality(c, &aliases)).collect();
    let mut kept = Vec::new();
    let mut hoisted = Vec::new();
    for mut condition in conditions {
        let (outer, inner) = references(&condition, &aliases);
        if outer && !inner {
            hoisted.push(condition);
            continue;
        }
        if outer && equality(&condition, &aliases).is_none() {
            substitute(&mut condition, &equal);
        }
        kept.push(condition);
    }
    select.selection = all(kept);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            substitute(expr, &equal);
        }
    }
    hoisted
}

/// The outer and the inner column of an equality between them.
fn equality(condition: &Expr, aliases: &[String]) -> Option<(Expr, Expr)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let (left, right) = (left.as_ref(), right.as_ref());
    if is_outer(left, aliases) && is_inner(right, aliases) {
        Some((left.clone(), right.clone()))
    } else if is_outer(right, aliases) && is_inner(left, aliases) {
        Some((right.clone(), left.clone()))
    } else {
        None
    }
}

fn substitute(expr: &mut Expr, equal: &[(Expr, Expr)]) {
    let _never_broken: ControlFlow<()> = visit_expressions_mut(expr, |part| {
        if let Some((_, inner)) = equal.iter().find(|(outer, _)| outer == part) {
            *part = inner.clone();
        }
        ControlFlow::Continue(())
    });
}

/// `IN (SELECT ...)` in ORDER BY, over system relations, as a comparison with an array: the planner joins for it elsewhere only.
pub(super) fn arrays_in_order(query: &mut Query) {
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else { return };
    for by in order {
        let _never_broken: ControlFlow<()> = visit_expressions_mut(&mut by.expr, |part| {
            if let Expr::InSubquery { expr, subquery, negated } = part
                && reads_system_only(subquery.as_ref())
            {
                let any = Expr::AnyOp {
                    left: expr.clone(),
                    compare_op: BinaryOperator::Eq,
                    right: Box::new(array_of(subquery.as_ref().clone())),
                    is_some: false,
                };
                *part = if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(any))) } } else { any };
            }
            ControlFlow::Continue(())
        });
    }
}

/// `EXISTS` in a select list, over system relations, as a comparison of a count: the planner joins for it in conditions only.
pub(super) fn count_instead_of_exists(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let _never_broken: ControlFlow<()> = visit_expressions_mut(expr, |part| {
            if let Expr::Exists { subquery, negated } = part
                && reads_system_only(subquery.as_ref())
                && let Some(count) = count_of(subquery)
            {
                let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                *part = Expr::Nested(Box::new(binary(count, op, number(0))));
            }
            ControlFlow::Continue(())
        });
    }
}

fn count_of(query: &Query) -> Option<Expr> {
    let mut query = query.clone();
    if query.limit_clause.is_some() || query.with.is_some() {
        return None;
    }
    let select = plain_select(&mut query)?;
    if aggregates(select) {
        return None;
    }
    select.projection = vec![SelectItem::UnnamedExpr(call("count", vec![number(1)]))];
    query.order_by = None;
    Some(Expr::Subquery(Box::new(query)))
}
