//! `IN` over a subquery with three answers, in conditions and as a value.
//!
//! `x NOT IN (SELECT v ...)` is not true when a `v` or `x` is NULL. DataFusion knows that where the condition is one of those that a
//! WHERE joins by AND, compares a column, and the subquery names nothing from outside. Anywhere else it would take NULL for "no".
//! There the condition is written here as what it means, by EXISTS.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, exists, lit, not, not_exists, when,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::{Error, ErrorKind};
use crate::named::map_named;
use crate::sort_keys::subqueries_by_columns;
use crate::subquery_values::computes_values;

/// What the subquery's column is called in the conditions made here.
const VALUE: &str = "causeway_value";

/// Rewrites the conditions of filters, and those that are values.
#[derive(Debug)]
pub(crate) struct NotIn;

impl AnalyzerRule for NotIn {
    fn name(&self) -> &'static str {
        "three_valued_in"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = subqueries_by_columns(plan)?;
        plan.transform_up_with_subqueries(|node| if computes_values(&node) { values(node) } else { filter(node) }).data()
    }
}

fn values(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let [input] = node.inputs()[..] else { return Ok(Transformed::no(node)) };
    let schema = Arc::clone(input.schema());
    let is_asked = |expr: &Expr| Ok(matches!(expr, Expr::InSubquery(_)));
    let node =
        map_named(node, |expr| Ok(if expr.exists(is_asked)? { Transformed::yes(whole(expr, &schema)?) } else { Transformed::no(expr) }))?;
    node.map_data(LogicalPlan::recompute_schema)
}

fn filter(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
    if !filter.predicate.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_))))? {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let schema = filter.input.schema();
    let conjuncts = split_conjunction_owned(filter.predicate).into_iter();
    let conjuncts = conjuncts.map(|expr| if is_known(&expr)? { Ok(expr) } else { truth(expr, schema) }).collect::<Result<Vec<_>>>()?;
    let predicate = conjunction(conjuncts).unwrap_or_else(|| lit(true));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
}

/// Whether DataFusion's own join for it, as a whole condition, has the right answer.
fn is_known(expr: &Expr) -> Result<bool> {
    match expr {
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(inside) if inside.negated => Ok(true),
            Expr::InSubquery(inside) => compares_a_column(inside),
            _ => Ok(false),
        },
        Expr::InSubquery(inside) if inside.negated => compares_a_column(inside),
        Expr::InSubquery(_) => Ok(true),
        _ => Ok(false),
    }
}

fn compares_a_column(inside: &InSubquery) -> Result<bool> {
    let column = inside.expr.exists(|expr| Ok(matches!(expr, Expr::Column(_))))?;
    Ok(column && inside.subquery.outer_ref_columns.is_empty())
}

/// A condition that is true whenever `expr` is, and not otherwise; false and NULL are one.
fn truth(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(mut both) if matches!(both.op, Operator::And | Operator::Or) => {
            both.left = Box::new(truth(*both.left, schema)?);
            both.right = Box::new(truth(*both.right, schema)?);
            Ok(Expr::BinaryExpr(both))
        }
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(inside) => truth(Expr::InSubquery(InSubquery { negated: !inside.negated, ..inside }), schema),
            inner => Ok(not(whole(inner, schema)?)),
        },
        Expr::InSubquery(inside) if inside.negated => {
            Ok(match Comparison::of(&inside, schema)? {
                // Every row must differ for sure.
                Some(comparison) if may_be_null(&inside, schema)? => not_exists(comparison.rows(|equal| equal.is_not_false())?),
                Some(comparison) => not_exists(comparison.rows(|equal| equal)?),
                None => Expr::InSubquery(inside),
            })
        }
        Expr::InSubquery(inside) => Ok(Expr::InSubquery(inside)),
        other => whole(other, schema),
    }
}

/// The expression with all three answers.
///
/// # Errors
/// When the value sought is itself from outside of the rows at hand.
fn whole(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expr.transform_down(|expr| match expr {
        Expr::InSubquery(inside) if may_be_null(&inside, schema)? => {
            let Some(comparison) = Comparison::of(&inside, schema)? else {
                let error = Error::new(
                    ErrorKind::Unsupported,
                    "IN over a subquery is not supported as a value if it seeks what comes from outside",
                );
                return Err(DataFusionError::External(Box::new(error.hint("Put the condition into WHERE, or join with the subquery."))));
            };
            let found = exists(comparison.rows(|equal| equal)?);
            let unknown = if inside.subquery.outer_ref_columns.is_empty() {
                exists(comparison.first_null()?).or(inside.expr.as_ref().clone().is_null().and(exists(comparison.first()?)))
            } else {
                exists(comparison.rows(|equal| equal.is_unknown())?)
            };
            let null = Expr::Literal(ScalarValue::Boolean(None), None);
            let answer = when(found, lit(true)).when(unknown, null).otherwise(lit(false))?;
            Ok(Transformed::yes(if inside.negated { not(answer) } else { answer }))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn may_be_null(inside: &InSubquery, schema: &DFSchema) -> Result<bool> {
    Ok(inside.subquery.subquery.schema().field(0).is_nullable() || inside.expr.nullable(schema)?)
}

fn is_from_outside(sought: &Expr) -> Result<bool> {
    sought.exists(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(..) => true,
            Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
            _ => false,
        })
    })
}

/// The value sought, and the rows it is sought in.
struct Comparison {
    sought: Expr,
    rows: LogicalPlan,
}

impl Comparison {
    /// `None` where the value is itself from outside.
    fn of(inside: &InSubquery, schema: &DFSchema) -> Result<Option<Self>> {
        let rows = inside.subquery.subquery.as_ref();
        let (qualifier, field) = rows.schema().qualified_field(0);
        if is_from_outside(&inside.expr)? {
            return Ok(None);
        }
        let value = Expr::from((qualifier, field)).alias(VALUE);
        let rows = LogicalPlanBuilder::from(rows.clone()).project([value])?.build()?;
        let sought = inside.expr.as_ref().clone().transform(|expr| {
            Ok(match expr {
                Expr::Column(column) => {
                    let field = Arc::clone(schema.field_from_column(&column)?);
                    Transformed::yes(Expr::OuterReferenceColumn(field, column))
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(Some(Self { sought: sought.data, rows }))
    }

    /// The rows for which this holds of the comparison with the sought value.
    fn rows(&self, condition: impl FnOnce(Expr) -> Expr) -> Result<Arc<LogicalPlan>> {
        let value = Expr::from(self.rows.schema().qualified_field(0));
        let equal = binary_expr(value, Operator::Eq, self.sought.clone());
        Ok(Arc::new(LogicalPlanBuilder::from(self.rows.clone()).filter(condition(equal))?.build()?))
    }

    /// One of the rows, if there is any.
    fn first(&self) -> Result<Arc<LogicalPlan>> {
        Ok(Arc::new(LogicalPlanBuilder::from(self.rows.clone()).limit(0, Some(1))?.build()?))
    }

    /// One of the rows that are NULL, if there is any.
    fn first_null(&self) -> Result<Arc<LogicalPlan>> {
        let value = Expr::from(self.rows.schema().qualified_field(0));
        Ok(Arc::new(LogicalPlanBuilder::from(self.rows.clone()).filter(value.is_null())?.limit(0, Some(1))?.build()?))
    }
}
