//! `INTERSECT` and `EXCEPT`, as PostgreSQL has them.
//!
//! DataFusion makes a semi or an anti join of them too early: the columns of both sides are found by their names, which need not differ;
//! they have the types of the left; and with `ALL` a row that is on the right once keeps, or takes away, all of its equals on the left.
//! So a statement is planned with a `UNION ALL` in their place, whose right side has a mark, and joined here by the places of columns of
//! one type. With `ALL` equal rows are numbered on both sides, and the number is compared with them: the third of its kind has its
//! partner only if there are three on the other side too.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, Result, plan_err};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, Limit, LogicalPlan, LogicalPlanBuilder, Union, WindowUDF, cast};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::sql::sqlparser::ast::{self, LimitClause, Query, SetExpr, SetOperator, SetQuantifier, Statement, VisitMut, VisitorMut};

use crate::coercion::Coercion;
use crate::meeting::meet_in_rows;
use crate::rewrite::empty_query;

/// What the sides of a join are called.
const SIDES: [&str; 2] = ["causeway_left", "causeway_right"];

/// What the number of a row among its equals is called.
const NUMBER: &str = "causeway_number";

/// Operations that are joins, and the limits that nobody writes which stand for them.
const MARKS: [(SetOperator, SetQuantifier, &str); 4] = [
    (SetOperator::Intersect, SetQuantifier::None, "\u{1}causeway: intersect"),
    (SetOperator::Intersect, SetQuantifier::All, "\u{1}causeway: intersect all"),
    (SetOperator::Except, SetQuantifier::None, "\u{1}causeway: except"),
    (SetOperator::Except, SetQuantifier::All, "\u{1}causeway: except all"),
];

/// `statement`, with a `UNION ALL` and a mark in the place of each `INTERSECT` and `EXCEPT`.
pub(crate) fn as_unions(mut statement: Statement) -> Statement {
    let ControlFlow::Continue(()) = VisitMut::visit(&mut statement, &mut Marker);
    statement
}

struct Marker;

impl VisitorMut for Marker {
    type Break = Infallible;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        mark(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn mark(body: &mut SetExpr) {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return };
    mark(left);
    mark(right);
    let quantifier = if *set_quantifier == SetQuantifier::Distinct { SetQuantifier::None } else { *set_quantifier };
    let Some((_, _, mark)) = MARKS.iter().find(|(operator, with, _)| operator == op && *with == quantifier) else { return };
    let limit = ast::Expr::value(ast::Value::SingleQuotedString((*mark).to_owned()));
    let mut marked = empty_query();
    marked.limit_clause = Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() });
    std::mem::swap(&mut marked.body, right);
    **right = SetExpr::Query(Box::new(marked));
    (*op, *set_quantifier) = (SetOperator::Union, SetQuantifier::All);
}

/// `plan` of a statement that was marked, with the joins that its marks stand for, and unions of columns of one type.
pub(crate) fn as_joins(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let mut has_other_types = false;
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Union(union) => match operation(&union) {
            Some((join_type, quantifier)) => {
                has_other_types = true;
                joined(&union, join_type, quantifier, state).map(Transformed::yes)
            }
            None => {
                let (union, is_changed) = meet_in_rows(LogicalPlan::Union(union))?;
                has_other_types |= is_changed;
                Ok(Transformed::yes(union))
            }
        },
        other if has_other_types && !other.inputs().is_empty() => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// What the mark of `union` stands for, if it has one.
fn operation(union: &Union) -> Option<(JoinType, SetQuantifier)> {
    let [_, right] = union.inputs.as_slice() else { return None };
    let LogicalPlan::Limit(limit) = right.as_ref() else { return None };
    let mark = mark_of(limit)?;
    let (operator, quantifier, _) = MARKS.iter().find(|(_, _, known)| *known == mark)?;
    Some((if *operator == SetOperator::Except { JoinType::LeftAnti } else { JoinType::LeftSemi }, *quantifier))
}

/// The text that stands where `limit` has its number.
fn mark_of(limit: &Limit) -> Option<&str> {
    match limit.fetch.as_deref()? {
        Expr::Literal(value, _) => value.try_as_str()?,
        _ => None,
    }
}

/// The join that a marked `union` stands for, with the columns that it has.
fn joined(union: &Union, join_type: JoinType, quantifier: SetQuantifier, state: &SessionState) -> Result<LogicalPlan> {
    let inputs = union.inputs.iter().map(|input| typed(unmarked(input), state)).collect();
    let (union, _) = meet_in_rows(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))?;
    let (inputs, schema) = (union.inputs(), union.schema());
    let mut columns = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let [left, right] = [0, 1].map(|side: usize| inputs[side].schema().field(at).data_type());
        match type_union_coercion(left, right) {
            Some(data_type) => columns.push((field.name().as_str(), data_type)),
            None => return plan_err!("the types {left} and {right} of column {} cannot be matched", field.name()),
        }
    }
    let side = |side: usize| named(inputs[side], &columns, SIDES[side]);
    let (left, right) = match quantifier {
        SetQuantifier::All => {
            let number = state.udwf("row_number")?;
            (numbered(side(0)?, &number, SIDES[0])?, numbered(side(1)?, &number, SIDES[1])?)
        }
        _ => (LogicalPlanBuilder::from(side(0)?).distinct()?.build()?, side(1)?),
    };
    let on = left.schema().columns().into_iter().zip(right.schema().columns());
    let on = on.map(|(left, right)| (Expr::Column(left), Expr::Column(right))).collect();
    let (left, right) = (Arc::new(left), Arc::new(right));
    let join = Join::try_new(left, right, on, None, join_type, JoinConstraint::On, NullEquality::NullEqualsNull, false)?;
    let columns = columns.iter().map(|(name, _)| Expr::Column(Column::new(Some(SIDES[0]), *name)).alias(*name));
    LogicalPlanBuilder::from(LogicalPlan::Join(join)).project(columns)?.build()
}

/// `plan` called `relation`, with columns of these names and types.
fn named(plan: &LogicalPlan, columns: &[(&str, DataType)], relation: &str) -> Result<LogicalPlan> {
    let fields = plan.schema().iter().zip(columns);
    let columns = fields.map(|((qualifier, field), (name, data_type))| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let column = if field.data_type() == data_type { column } else { cast(column, data_type.clone()) };
        column.alias(*name)
    });
    LogicalPlanBuilder::from(plan.clone()).project(columns)?.alias(relation)?.build()
}

/// `plan` with a column more, the number of each row among its equals.
fn numbered(plan: LogicalPlan, row_number: &WindowUDF, relation: &str) -> Result<LogicalPlan> {
    let columns: Vec<_> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number.call(Vec::new()).partition_by(columns.clone()).build()?;
    let numbers = Expr::Column(Column::new_unqualified(number.schema_name().to_string())).alias(NUMBER);
    let plan = LogicalPlanBuilder::from(plan).window([number])?;
    plan.project(columns.into_iter().chain([numbers]))?.alias(relation)?.build()
}

/// An input without the mark.
/// `input`, whose columns have the types that they will have: what a `CASE` gives is told by all its branches only then.
fn typed(input: Arc<LogicalPlan>, state: &SessionState) -> Arc<LogicalPlan> {
    let is_joined = matches!(input.as_ref(), LogicalPlan::Projection(columns) if matches!(columns.input.as_ref(), LogicalPlan::Join(join)
        if join.left.schema().iter().all(|(qualifier, _)| qualifier.is_some_and(|qualifier| qualifier.table() == SIDES[0]))));
    if is_joined {
        return input;
    }
    let config = state.config_options();
    // What has no types yet, as a parameter, or never will, is told when the whole statement is looked at.
    let Ok(coerced) = Coercion.analyze(input.as_ref().clone(), config).and_then(|plan| TypeCoercion::new().analyze(plan, config)) else {
        return input;
    };
    let columns = input.schema().columns().into_iter().zip(coerced.schema().fields()).zip(input.schema().fields());
    let columns = columns.map(|((column, will), is)| {
        let name = column.name.clone();
        let column = Expr::Column(column);
        if will.data_type() == is.data_type() { column } else { cast(column, will.data_type().clone()).alias(name) }
    });
    // What was coerced once is not what coercion is for: of `date - 30` it is `date - interval`, which would become a moment.
    LogicalPlanBuilder::from(input.as_ref().clone()).project(columns).and_then(LogicalPlanBuilder::build).map_or(input, Arc::new)
}

fn unmarked(input: &Arc<LogicalPlan>) -> Arc<LogicalPlan> {
    match input.as_ref() {
        LogicalPlan::Limit(limit) if mark_of(limit).is_some() => Arc::clone(&limit.input),
        _ => Arc::clone(input),
    }
}
