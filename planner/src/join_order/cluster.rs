//! Inner joins that stand on each other, as the inputs they join and the conditions between these.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{JoinSide, JoinType, NullEquality};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use crate::federation::is_total;

/// A column of one of a cluster's inputs, or, counted on behind these, one of its [`Widened`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct InputColumn {
    pub(super) input: usize,
    pub(super) column: usize,
}

/// A column of an input as a wider integer. Keys of two types of integers are compared as one.
#[derive(Debug, Clone)]
pub(super) struct Widened {
    /// The column of the input.
    pub(super) column: usize,
    /// The wider type.
    pub(super) wide: DataType,
    /// What the written plan calls it.
    pub(super) name: String,
}

/// A column of a projection of a free join.
#[derive(Debug, Clone)]
pub(super) enum Projected {
    /// One of the join's.
    Column(usize),
    /// One of the join's, as a wider integer.
    Widened(Widened),
}

/// A condition of a join that is no equality of columns.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) filter: JoinFilter,
    /// Where the columns of the filter's own batches come from.
    pub(super) columns: Vec<InputColumn>,
}

/// Joins whose order is free.
#[derive(Debug)]
pub(super) struct Cluster {
    /// What is joined, in the order in which it is written.
    pub(super) inputs: Vec<Arc<dyn ExecutionPlan>>,
    /// What is made of columns of each input, to be joined by.
    pub(super) widened: Vec<Vec<Widened>>,
    /// Columns that are equal in each row of the result, and so not NULL.
    pub(super) equal: Vec<Vec<InputColumn>>,
    pub(super) conditions: Vec<Condition>,
    /// The columns of the result.
    pub(super) columns: Vec<InputColumn>,
    pub(super) mode: PartitionMode,
}

impl Cluster {
    /// The cluster whose last join is `plan`; `None` when that is none whose order is free, or there is but one order.
    pub(super) fn at(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let mode = *free(plan)?.partition_mode();
        let mut cluster =
            Self { inputs: Vec::new(), widened: Vec::new(), equal: Vec::new(), conditions: Vec::new(), columns: Vec::new(), mode };
        cluster.columns = cluster.take_in(plan);
        (cluster.inputs.len() > 2 && !cluster.equates_within_inputs()).then_some(cluster)
    }

    /// Whether two columns of one input are equal because each of them equals something else.
    fn equates_within_inputs(&self) -> bool {
        self.equal.iter().any(|class| class.windows(2).any(|pair| pair[0].input == pair[1].input))
    }

    /// Takes in `plan`, which is a join, columns of one, or an input; says where its columns come from.
    fn take_in(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Vec<InputColumn> {
        if let Some(join) = free(plan) {
            let left = self.take_in(join.left());
            let right = self.take_in(join.right());
            for (one, other) in join.on() {
                if let (Some(one), Some(other)) = (column(one), column(other)) {
                    self.equate(left[one], right[other]);
                }
            }
            if let Some(filter) = join.filter() {
                let place = |side, index: usize| if side == JoinSide::Left { left[index] } else { right[index] };
                let columns = filter.column_indices().iter().map(|column| place(column.side, column.index)).collect();
                self.conditions.push(Condition { filter: filter.clone(), columns });
            }
            let all = [left, right].concat();
            return match join.projection.as_ref() {
                Some(projection) => projection.iter().map(|place| all[*place]).collect(),
                None => all,
            };
        }
        if let Some((input, projected)) = columns_of_join(plan) {
            let below = self.take_in(input);
            let column = |projected| match projected {
                Projected::Column(place) => below[place],
                Projected::Widened(widened) => self.widen(below[widened.column], widened),
            };
            return projected.into_iter().map(column).collect();
        }
        let input = self.inputs.len();
        self.inputs.push(Arc::clone(plan));
        self.widened.push(Vec::new());
        (0..plan.schema().fields().len()).map(|column| InputColumn { input, column }).collect()
    }

    /// The column `of`, widened as a projection above it does.
    fn widen(&mut self, of: InputColumn, by: Widened) -> InputColumn {
        let own = self.inputs[of.input].schema().fields().len();
        let widened = &mut self.widened[of.input];
        let column = of.column.checked_sub(own).map_or(of.column, |at| widened[at].column);
        let known = widened.iter().position(|known| known.column == column && known.wide == by.wide);
        let at = known.unwrap_or_else(|| {
            widened.push(Widened { column, ..by });
            widened.len() - 1
        });
        InputColumn { input: of.input, column: own + at }
    }

    fn equate(&mut self, one: InputColumn, other: InputColumn) {
        let mut class = vec![one, other];
        self.equal.retain(|known| {
            let is_same = known.contains(&one) || known.contains(&other);
            if is_same {
                class.extend(known);
            }
            !is_same
        });
        class.sort_unstable();
        class.dedup();
        self.equal.push(class);
    }
}

/// The join, if others may take its place.
pub(super) fn free(plan: &Arc<dyn ExecutionPlan>) -> Option<&HashJoinExec> {
    let join = plan.downcast_ref::<HashJoinExec>()?;
    let is_inner = *join.join_type() == JoinType::Inner && join.null_equality() == NullEquality::NullEqualsNothing;
    let is_plain = join.on().iter().all(|(one, other)| equates_one_type(join, one, other));
    let may_move = join.filter().is_none_or(|filter| never_fails(filter.expression()));
    (is_inner && is_plain && may_move && !join.null_aware).then_some(join)
}

/// What is below columns of a free join, and which these are.
pub(super) fn columns_of_join(plan: &Arc<dyn ExecutionPlan>) -> Option<(&Arc<dyn ExecutionPlan>, Vec<Projected>)> {
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let input = projection.input();
    let projected = |expr: &ProjectionExpr| match column(&expr.expr) {
        Some(place) => Some(Projected::Column(place)),
        None => widened(expr, &input.schema()).map(Projected::Widened),
    };
    let columns = projection.expr().iter().map(projected).collect::<Option<_>>()?;
    (free(input).is_some() || columns_of_join(input).is_some()).then_some((input, columns))
}

/// The column of `schema` that an expression makes a wider integer of, which each of its values is.
fn widened(expr: &ProjectionExpr, schema: &Schema) -> Option<Widened> {
    let cast = expr.expr.downcast_ref::<CastExpr>()?;
    let (column, wide) = (column(cast.expr())?, cast.cast_type());
    let is_wider = matches!(
        (schema.field(column).data_type(), wide),
        (DataType::Int8 | DataType::UInt8, DataType::Int16 | DataType::Int32 | DataType::Int64)
            | (DataType::Int16 | DataType::UInt16, DataType::Int32 | DataType::Int64)
            | (DataType::Int32 | DataType::UInt32, DataType::Int64)
    );
    is_wider.then(|| Widened { column, wide: wide.clone(), name: expr.alias.clone() })
}

fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// Whether what equals one of both equals the other: of floats, one zero equals the other.
fn equates_one_type(join: &HashJoinExec, one: &Arc<dyn PhysicalExpr>, other: &Arc<dyn PhysicalExpr>) -> bool {
    let (Some(one), Some(other)) = (column(one), column(other)) else { return false };
    let (left, right) = (join.left().schema(), join.right().schema());
    let (one, other) = (left.field(one).data_type(), right.field(other).data_type());
    one == other && !one.is_floating()
}

/// Whether a condition may be decided for rows that it would not have seen.
fn never_fails(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let is_plain = match condition.downcast_ref::<BinaryExpr>() {
        Some(binary) => is_total(*binary.op()),
        None => {
            condition.is::<Column>()
                || condition.is::<Literal>()
                || condition.is::<NotExpr>()
                || condition.is::<IsNullExpr>()
                || condition.is::<IsNotNullExpr>()
                || condition.is::<InListExpr>()
                || condition.is::<LikeExpr>()
        }
    };
    is_plain && condition.children().into_iter().all(never_fails)
}
