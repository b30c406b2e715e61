//! Joins in a chosen order.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, HashJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::cluster::{Cluster, Condition, InputColumn, Widened, columns_of_join, free};
use super::cost::Order;

/// The joins of `plan` as they were, over the inputs of their cluster as these are now.
pub(super) fn as_written(
    plan: &Arc<dyn ExecutionPlan>,
    inputs: &mut impl Iterator<Item = Arc<dyn ExecutionPlan>>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    if free(plan).is_none() && columns_of_join(plan).is_none() {
        return inputs.next().ok_or_else(|| DataFusionError::Internal("a join has more inputs than it showed".to_owned()));
    }
    Arc::clone(plan).map_children(|child| as_written(&child, inputs).map(Transformed::yes)).data()
}

/// Some of a cluster's inputs, joined.
struct Part {
    plan: Arc<dyn ExecutionPlan>,
    /// Where its columns come from.
    columns: Vec<InputColumn>,
    rows: f64,
}

impl Part {
    fn place(&self, column: InputColumn) -> Option<usize> {
        self.columns.iter().position(|own| *own == column)
    }

    fn column(&self, column: InputColumn) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let place = self.place(column).ok_or_else(missing)?;
        Ok(Arc::new(Column::new(self.plan.schema().field(place).name(), place)))
    }
}

fn missing() -> DataFusionError {
    DataFusionError::Internal("a column is gone before it is joined".to_owned())
}

/// The cluster's joins in `order`, with the columns of `schema`.
pub(super) fn joined(cluster: &Cluster, order: &Order, schema: &SchemaRef) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let mut conditions = cluster.conditions.clone();
    let mut whole: Option<Part> = None;
    for (at, input) in order.inputs.iter().enumerate() {
        let plan = with_widened(&cluster.inputs[*input], &cluster.widened[*input])?;
        let columns = (0..plan.schema().fields().len()).map(|column| InputColumn { input: *input, column }).collect();
        let rows = super::cost::rows_of(&plan)?;
        let next = Part { plan, columns, rows };
        whole = Some(match whole.take() {
            None => next,
            Some(before) => join(cluster, before, next, &mut conditions, order.rows[at])?,
        });
    }
    let whole = whole.ok_or_else(missing)?;
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (column, field) in cluster.columns.iter().zip(schema.fields()) {
        columns.push(ProjectionExpr { expr: whole.column(*column)?, alias: field.name().clone() });
    }
    Ok(Arc::new(ProjectionExec::try_new(columns, whole.plan)?))
}

/// `plan`, which has `widened` behind its own columns.
fn with_widened(plan: &Arc<dyn ExecutionPlan>, widened: &[Widened]) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    if widened.is_empty() {
        return Ok(Arc::clone(plan));
    }
    let schema = plan.schema();
    let own = |place: usize| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(schema.field(place).name(), place)) };
    let columns = (0..schema.fields().len()).map(|place| ProjectionExpr { expr: own(place), alias: schema.field(place).name().clone() });
    let wide = widened.iter().map(|widened| ProjectionExpr {
        expr: Arc::new(CastExpr::new(own(widened.column), widened.wide.clone(), None)),
        alias: widened.name.clone(),
    });
    Ok(Arc::new(ProjectionExec::try_new(columns.chain(wide).collect::<Vec<_>>(), Arc::clone(plan))?))
}

/// Joins two parts by all that is equal in both, and by the conditions that can be decided then.
fn join(cluster: &Cluster, one: Part, other: Part, conditions: &mut Vec<Condition>, rows: f64) -> DataFusionResult<Part> {
    // The left side is held in memory, and tells the right one its keys.
    let (left, right) = if other.rows < one.rows { (other, one) } else { (one, other) };
    let mut on = Vec::new();
    for class in &cluster.equal {
        let of = |part: &Part| class.iter().copied().find(|column| part.place(*column).is_some());
        if let (Some(one), Some(other)) = (of(&left), of(&right)) {
            on.push((left.column(one)?, right.column(other)?));
        }
    }
    let is_known = |column: &InputColumn| left.place(*column).or(right.place(*column)).is_some();
    let (decided, later) = std::mem::take(conditions).into_iter().partition(|condition| condition.columns.iter().all(is_known));
    *conditions = later;
    let filter = filter(decided, &left, &right)?;
    let all: Vec<InputColumn> = left.columns.iter().chain(&right.columns).copied().collect();
    let wanted = wanted(cluster, &all, conditions);
    let places: Vec<usize> = (0..all.len()).filter(|place| wanted.contains(&all[*place])).collect();
    let join = HashJoinExecBuilder::new(left.plan, right.plan, on, JoinType::Inner)
        .with_filter(filter)
        .with_projection((places.len() < all.len()).then(|| places.clone()))
        .with_partition_mode(cluster.mode)
        .with_null_equality(NullEquality::NullEqualsNothing)
        .build()?;
    Ok(Part { plan: Arc::<HashJoinExec>::new(join), columns: places.into_iter().map(|place| all[place]).collect(), rows })
}

/// Which of the columns `here` are wanted above: in the result, by a condition, or because one that is not here yet equals them.
fn wanted(cluster: &Cluster, here: &[InputColumn], conditions: &[Condition]) -> BTreeSet<InputColumn> {
    let mut wanted: BTreeSet<InputColumn> = cluster.columns.iter().copied().collect();
    wanted.extend(conditions.iter().flat_map(|condition| &condition.columns));
    let inputs: BTreeSet<usize> = here.iter().map(|column| column.input).collect();
    for class in &cluster.equal {
        if class.iter().any(|column| !inputs.contains(&column.input)) {
            wanted.extend(here.iter().find(|column| class.contains(column)));
        }
    }
    wanted
}

/// All of `conditions` as one.
fn filter(conditions: Vec<Condition>, left: &Part, right: &Part) -> DataFusionResult<Option<JoinFilter>> {
    let mut all: Option<Arc<dyn PhysicalExpr>> = None;
    let (mut places, mut fields) = (Vec::new(), Vec::new());
    for condition in conditions {
        let before = places.len();
        let expression = Arc::clone(condition.filter.expression()).transform(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => {
                    let moved = Column::new(column.name(), before + column.index());
                    Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>)
                }
                None => Transformed::no(expr),
            })
        });
        let expression = expression.data()?;
        for column in condition.columns {
            places.push(match (left.place(column), right.place(column)) {
                (Some(index), _) => ColumnIndex { index, side: JoinSide::Left },
                (None, Some(index)) => ColumnIndex { index, side: JoinSide::Right },
                (None, None) => return Err(missing()),
            });
        }
        fields.extend(condition.filter.schema().fields().iter().cloned());
        all = Some(match all {
            Some(before) => Arc::new(BinaryExpr::new(before, Operator::And, expression)),
            None => expression,
        });
    }
    Ok(all.map(|expression| JoinFilter::new(expression, places, Arc::new(Schema::new(fields)))))
}
