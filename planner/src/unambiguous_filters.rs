//! Filters go down a plan to the column that they are about, and not to another one of its name.
//!
//! DataFusion's physical rules hand a condition from a node to the one below by the names of its columns, and take the first column of
//! a name. A join's rows may have two: `WHERE` on one relation then filtered the other one. Here a condition goes through a node only if
//! each of its columns is found again below as the one that it is. Where not, it is decided above, where it was.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A rule of DataFusion's that pushes filters down, kept from what it would mistake.
#[derive(Debug)]
pub(crate) struct UnambiguousFilters(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for UnambiguousFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let guarded = plan.transform_up(|node| {
            let passed = passed(&node);
            Ok(if passed.len() < node.schema().fields().len() {
                Transformed::yes(Arc::new(Guard { node, passed }) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        })?;
        let pushed = self.0.optimize(guarded.data, config)?;
        pushed
            .transform_up(|node| {
                Ok(match node.downcast_ref::<Guard>() {
                    Some(guard) => Transformed::yes(Arc::clone(&guard.node)),
                    None => Transformed::no(node),
                })
            })
            .data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// The columns of a node that are found again below it as what they are.
fn passed(node: &Arc<dyn ExecutionPlan>) -> HashSet<usize> {
    let schema = node.schema();
    let named = |place: usize| schema.field(place).name().as_str();
    let is_first = |place: usize| is_at(&schema, named(place), place);
    let children: Vec<Arc<Schema>> = node.children().into_iter().map(|child| unguarded(child).schema()).collect();
    let all = 0..schema.fields().len();
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return all.filter(|place| is_found_below(join, *place, named(*place))).collect();
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let origin = |place: usize| filter.projection().as_ref().map_or(place, |projection| projection[place]);
        return all.filter(|place| is_at(&filter.input().schema(), named(*place), origin(*place))).collect();
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr().expr();
        let is_found = |place: usize| {
            let column = groups.get(place).and_then(|(expr, _)| expr.downcast_ref::<Column>());
            column.is_some_and(|column| is_at(&aggregate.input().schema(), named(place), column.index()))
        };
        return all.filter(|place| is_first(*place) && is_found(*place)).collect();
    }
    let is_once = |schema: &Schema, name: &str| schema.fields().iter().filter(|field| field.name() == name).count() == 1;
    if children.is_empty() {
        return all.filter(|place| is_first(*place)).collect();
    }
    // What a column is made of is told by the projection itself, of two columns of one name for the first what the second is.
    if node.is::<ProjectionExec>() {
        return all.filter(|place| is_once(&schema, named(*place))).collect();
    }
    let is_same_below = |place: usize| children.iter().all(|child| is_at(child, named(place), place));
    if children.iter().all(|child| child.fields().len() == schema.fields().len()) {
        return all.filter(|place| is_same_below(*place)).collect();
    }
    all.filter(|place| is_once(&schema, named(*place)) && children.iter().filter(|child| is_once(child, named(*place))).count() <= 1)
        .collect()
}

/// Whether the first column of that name is the one at `place`.
fn is_at(schema: &Schema, name: &str, place: usize) -> bool {
    schema.index_of(name).is_ok_and(|first| first == place)
}

/// Whether a join finds a column of its rows on the side it is of, and on the other one nothing but what equals it.
fn is_found_below(join: &HashJoinExec, place: usize, name: &str) -> bool {
    let (left, right) = (join.left().schema(), join.right().schema());
    let place = join.projection.as_ref().map_or(place, |projection| projection[place]);
    let (is_left, origin) = match join.join_type() {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => match place.checked_sub(left.fields().len()) {
            Some(place) => (false, place),
            None => (true, place),
        },
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, place),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, place),
    };
    let (own, other) = if is_left { (left, right) } else { (right, left) };
    let is_key_there = |index: usize| {
        join.on().iter().any(|(one, two)| {
            let (here, there) = if is_left { (one, two) } else { (two, one) };
            let is = |expr: &Arc<dyn PhysicalExpr>, index| expr.downcast_ref::<Column>().is_some_and(|column| column.index() == index);
            is(here, origin) && is(there, index)
        })
    };
    // Of a semi join, what is known of a key is told to both sides.
    let is_told_to_both = matches!(join.join_type(), JoinType::LeftSemi | JoinType::RightSemi);
    is_at(&own, name, origin) && (!is_told_to_both || other.index_of(name).map_or(true, is_key_there))
}

fn unguarded(node: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    node.downcast_ref::<Guard>().map_or(node, |guard| &guard.node)
}

/// Stands above a node while filters are pushed down, and lets those by that are about columns which the node finds again below.
#[derive(Debug)]
struct Guard {
    node: Arc<dyn ExecutionPlan>,
    passed: HashSet<usize>,
}

impl Guard {
    /// The same above what the node has become.
    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(node) if children.is_empty() => Ok(Arc::new(Self { node, passed: self.passed.clone() })),
            _ => Err(DataFusionError::Internal("a guard has one child".to_owned())),
        }
    }
}

impl DisplayAs for Guard {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl ExecutionPlan for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.node.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.node]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        let schema = self.node.schema();
        let is_first = |place: &usize| is_at(&schema, schema.field(*place).name(), *place);
        let first: HashSet<usize> = self.passed.iter().copied().filter(is_first).collect();
        let is_within = |filter: &Arc<dyn PhysicalExpr>, places: &HashSet<usize>| {
            collect_columns(filter).iter().all(|column| places.contains(&column.index()))
        };
        // A filter that is handed down as one's own keeps its columns; whoever has it is told that it was not taken.
        let own = parent_filters.iter().filter(|filter| is_within(filter, &self.passed) && !is_within(filter, &first));
        let own = own.cloned().collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, first, &self.node)?.with_self_filters(own);
        Ok(FilterDescription::new().with_child(child))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        self.node.execute(partition, context)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    use crate::session::physical_rules;

    /// The sides of the join are exchanged, and a projection with two columns of one name puts them back in their order.
    #[tokio::test]
    async fn a_column_behind_a_projection_is_not_another_one_of_its_name() {
        let state = SessionStateBuilder::new().with_default_features().with_physical_optimizer_rules(physical_rules()).build();
        let context = SessionContext::new_with_state(state);
        for table in [
            "CREATE TABLE few AS SELECT * FROM (VALUES ('9', 'A'), ('B', NULL), ('c', 'D')) v(t, x)",
            "CREATE TABLE many AS SELECT * FROM (VALUES (1, NULL), (2, NULL), (3, 'b'), (4, NULL), (5, NULL), (6, 'c'), (7, 'd')) v(id, t)",
        ] {
            context.sql(table).await.unwrap();
        }
        let sql = "SELECT DISTINCT m.id FROM few f FULL JOIN many m ON m.t = f.x \
                   WHERE strpos(f.t, 'B') <> m.id AND (m.t IS DISTINCT FROM 'N') AND (m.id IS DISTINCT FROM (SELECT max(id) FROM many))";
        let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
    }
}
