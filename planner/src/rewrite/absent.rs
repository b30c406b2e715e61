//! System relations that are empty by construction, and what follows for the queries that read them.
//!
//! Causeway has no triggers, policies or publications. `psql` asks for them all the same, in words the planner does not plan; since no
//! row can come of it, the parts that would be computed for each row need not be planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr, TableFactor, Value, Visit, Visitor,
};

use super::scope::{required, system_relation};
use super::syntax::{cast, conjuncts, folded, null, parts, text_of};

/// Relations of `pg_catalog` that never have a row.
pub const ALWAYS_EMPTY: [&str; 25] = [
    "pg_attrdef",
    "pg_auth_members",
    "pg_cursors",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_inherits",
    "pg_largeobject_metadata",
    "pg_locks",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_rewrite",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_transform",
    "pg_trigger",
];

/// Functions of many rows, which give a row even of none.
const AGGREGATES: [&str; 14] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "max",
    "min",
    "sum",
    "string_agg",
    "xmlagg",
];

/// Whether a select has no rows, whatever else it says.
pub(super) fn has_no_rows(select: &Select) -> bool {
    let reads = |wanted: &dyn Fn(&str) -> bool| {
        required(select).any(|factor| match factor {
            TableFactor::Table { name, args: None, .. } => system_relation(name).is_some_and(|n| wanted(&n)),
            _ => false,
        })
    };
    let empty = reads(&|name| ALWAYS_EMPTY.contains(&name)) || (reads(&|name| name == "pg_constraint") && wants_foreign_keys(select));
    empty && !aggregates(select)
}

/// Whether only rows with `contype = 'f'` are wanted: no source tells us its foreign keys.
fn wants_foreign_keys(select: &Select) -> bool {
    let is_type = |expr: &Expr| match expr {
        Expr::Identifier(name) => folded(name) == "contype",
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| folded(name) == "contype"),
        _ => false,
    };
    let conditions = select.selection.clone().map(conjuncts).unwrap_or_default();
    conditions.iter().any(|condition| match condition {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => is_type(left) && text_of(right) == Some("f"),
        _ => false,
    })
}

/// Whether a query has no rows.
pub(super) fn query_has_no_rows(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if has_no_rows(select)) && query.with.is_none()
}

/// Whether a select computes aggregates of all its rows.
pub(super) fn aggregates(select: &Select) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    grouped || select.having.is_some() || select.projection.iter().any(has_aggregate)
}

fn has_aggregate(item: &SelectItem) -> bool {
    struct Finder {
        depth: usize,
        found: bool,
    }
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && self.depth == 0
                && function.over.is_none()
            {
                self.found |= parts(&function.name).last().is_some_and(|name| AGGREGATES.contains(&name.as_str()));
            }
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder { depth: 0, found: false };
    let _never_broken = item.visit(&mut finder);
    finder.found
}

/// Leaves out what cannot be planned of a select without rows.
pub(super) fn simplify(select: &mut Select) {
    if !has_no_rows(select) {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && is_hard(expr)
        {
            *expr = cast(null(), DataType::Text);
        }
    }
    if select.selection.as_ref().is_some_and(is_hard) {
        select.selection = Some(Expr::value(Value::Boolean(false)));
    }
}

/// Whether an expression has a part that may not be plannable: a subquery, a subscript, an array written as text.
fn is_hard(expr: &Expr) -> bool {
    struct Finder {
        found: bool,
    }
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.found |= match expr {
                Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } | Expr::CompoundFieldAccess { .. } => true,
                Expr::Function(function) => matches!(function.args, FunctionArguments::Subquery(_)),
                other => text_of(other).is_some_and(|text| text.starts_with('{')),
            };
            if self.found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let mut finder = Finder { found: false };
    let _whole_or_not = expr.visit(&mut finder);
    finder.found
}
