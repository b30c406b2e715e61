//! `RIGHT` and `FULL JOIN ... USING (x)`, where `x` alone is that of the side that has a row.
//!
//! The planner below us takes the left side's, which is NULL in rows of the right side alone. So such a join is written with `ON`, and
//! `x` as what it means. That is done where each side is one relation; anything else is refused rather than answered wrongly.

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderBy, OrderByKind, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};

use super::syntax::{all, binary, call, folded};

/// Rewrites the joins of one query's selects, and its order.
pub(super) fn rewrite(query: &mut Query) {
    match query.body.as_mut() {
        SetExpr::Select(select) => in_select(select, query.order_by.as_mut()),
        other => in_parts(other),
    }
}

fn in_parts(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => in_select(select, None),
        SetExpr::SetOperation { left, right, .. } => {
            in_parts(left);
            in_parts(right);
        }
        _ => {}
    }
}

/// Whether a join of this select would be answered wrongly.
pub(crate) fn is_refused(select: &Select) -> bool {
    let joins = || select.from.iter().flat_map(|from| &from.joins);
    let nested = select.from.iter().flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let merged = joins().any(|join| is_merging(&join.join_operator)) || nested.into_iter().any(merges);
    merged && Merged::of(select).is_none_or(|merged| merged.is_named_inside(select))
}

/// Whether there is such a join in parentheses.
fn merges(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => {
            table_with_joins.joins.iter().any(|join| is_merging(&join.join_operator) || merges(&join.relation))
                || merges(&table_with_joins.relation)
        }
        _ => false,
    }
}

fn is_merging(operator: &JoinOperator) -> bool {
    use JoinOperator::{FullOuter, Right, RightOuter};
    matches!(operator, Right(constraint) | RightOuter(constraint) | FullOuter(constraint) if shares_columns(constraint))
}

fn shares_columns(constraint: &JoinConstraint) -> bool {
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

/// The first join of a select, by columns of two relations.
struct Merged {
    columns: Vec<Ident>,
    left: Ident,
    right: Ident,
    is_full: bool,
}

impl Merged {
    fn of(select: &Select) -> Option<Self> {
        let [from] = select.from.as_slice() else { return None };
        let (first, others) = from.joins.split_first()?;
        let (columns, is_full) = match &first.join_operator {
            JoinOperator::Right(JoinConstraint::Using(columns)) | JoinOperator::RightOuter(JoinConstraint::Using(columns)) => {
                (columns, false)
            }
            JoinOperator::FullOuter(JoinConstraint::Using(columns)) => (columns, true),
            _ => return None,
        };
        let constraints = |operator: &JoinOperator| {
            use JoinOperator::{CrossJoin, FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
            match operator {
                Join(constraint)
                | Inner(constraint)
                | Left(constraint)
                | LeftOuter(constraint)
                | Right(constraint)
                | RightOuter(constraint)
                | FullOuter(constraint)
                | CrossJoin(constraint) => !shares_columns(constraint),
                _ => false,
            }
        };
        if !others.iter().all(|join| constraints(&join.join_operator) && name(&join.relation).is_some()) {
            return None;
        }
        let columns = columns.iter().map(last).collect::<Option<Vec<_>>>()?;
        Some(Self { columns, left: name(&from.relation)?, right: name(&first.relation)?, is_full })
    }

    fn value(&self, column: &Ident) -> Expr {
        let of = |relation: &Ident| Expr::CompoundIdentifier(vec![relation.clone(), column.clone()]);
        if self.is_full { call("coalesce", vec![of(&self.left), of(&self.right)]) } else { of(&self.right) }
    }

    fn column(&self, name: &Ident) -> Option<&Ident> {
        self.columns.iter().find(|column| folded(column) == folded(name))
    }

    /// Whether a subquery of the select names such a column alone, which may be the select's or its own.
    fn is_named_inside(&self, select: &Select) -> bool {
        struct Inside<'a> {
            merged: &'a Merged,
            depth: usize,
        }
        impl Visitor for Inside<'_> {
            type Break = ();

            fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
                self.depth += 1;
                ControlFlow::Continue(())
            }

            fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
                self.depth -= 1;
                ControlFlow::Continue(())
            }

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    Expr::Identifier(name) if self.depth > 0 && self.merged.column(name).is_some() => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        let mut inside = Inside { merged: self, depth: 0 };
        let clauses = [select.selection.as_ref(), select.having.as_ref()].into_iter().flatten();
        clauses.into_iter().any(|clause| clause.visit(&mut inside).is_break()) || select.projection.visit(&mut inside).is_break()
    }
}

fn name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => last(name),
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<Ident> {
    name.0.last()?.as_ident().cloned()
}

fn in_select(select: &mut Select, order: Option<&mut OrderBy>) {
    let Some(merged) = Merged::of(select) else { return };
    let mut means = Means { merged: &merged, depth: 0 };
    let shown = shown(select);
    expand(select, &merged);
    for item in &mut select.projection {
        // An item that is such a column keeps its name.
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && let Some(column) = merged.column(name)
        {
            *item = SelectItem::ExprWithAlias { expr: merged.value(column), alias: column.clone() };
        }
    }
    let ControlFlow::Continue(()) = VisitMut::visit(select, &mut means);
    if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order {
        for key in keys {
            // The name of an item goes first.
            let is_item = matches!(&key.expr, Expr::Identifier(name) if shown.as_ref().is_none_or(|shown| shown.contains(&folded(name))));
            if !is_item {
                let ControlFlow::Continue(()) = VisitMut::visit(&mut key.expr, &mut means);
            }
        }
    }
    let first = &mut select.from[0].joins[0];
    let equal = |column: &Ident| {
        let of = |relation: &Ident| Expr::CompoundIdentifier(vec![relation.clone(), column.clone()]);
        binary(of(&merged.left), BinaryOperator::Eq, of(&merged.right))
    };
    let Some(condition) = all(merged.columns.iter().map(equal).collect()) else { return };
    first.join_operator = match merged.is_full {
        true => JoinOperator::FullOuter(JoinConstraint::On(condition)),
        false => JoinOperator::Right(JoinConstraint::On(condition)),
    };
}

/// What the items are called; `None` where all columns are among them.
fn shown(select: &Select) -> Option<Vec<String>> {
    let item = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(_) => Some(String::new()),
        _ => None,
    };
    select.projection.iter().map(item).collect()
}

/// Writes what `*` stands for: the shared columns once, then the others of each relation.
fn expand(select: &mut Select, merged: &Merged) {
    let others: Vec<_> = select.from[0].joins[1..].iter().filter_map(|join| name(&join.relation)).collect();
    let wildcard = |relation: &Ident, exclude: Option<ExcludeSelectItem>| {
        let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![relation.clone()]));
        SelectItem::QualifiedWildcard(kind, WildcardAdditionalOptions { opt_exclude: exclude, ..WildcardAdditionalOptions::default() })
    };
    let shared = || Some(ExcludeSelectItem::Multiple(merged.columns.iter().map(|column| ObjectName::from(vec![column.clone()])).collect()));
    let items = std::mem::take(&mut select.projection).into_iter().flat_map(|item| match item {
        SelectItem::Wildcard(_) => {
            let columns = merged.columns.iter();
            let columns = columns.map(|column| SelectItem::ExprWithAlias { expr: merged.value(column), alias: column.clone() });
            let sides = [wildcard(&merged.left, shared()), wildcard(&merged.right, shared())];
            columns.chain(sides).chain(others.iter().map(|other| wildcard(other, None))).collect()
        }
        other => vec![other],
    });
    select.projection = items.collect();
}

/// Puts what it means in the place of each shared column.
struct Means<'a> {
    merged: &'a Merged,
    depth: usize,
}

impl VisitorMut for Means<'_> {
    type Break = Infallible;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Infallible> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Infallible> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if let Expr::Identifier(name) = expr
            && self.depth == 0
            && let Some(column) = self.merged.column(name)
        {
            *expr = self.merged.value(column);
        }
        ControlFlow::Continue(())
    }
}
