//! Inner joins in an order that has the inputs of one remote next to each other, so that one statement can join them.
//!
//! A join is taken into a statement when both of its sides are of one remote. As a query is written, tables of other sources often stand
//! between, and as it is written it is joined. Here inner joins that stand on each other are taken apart into inputs and conditions, and
//! put together again: the inputs of a remote that conditions connect first, unless their join would come back much larger than they are,
//! and then what these became. In which order the latter are joined is decided later, by their sizes (`crate::join_order`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, ExprSchema, NullEquality};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, JoinConstraint, JoinType, LogicalPlan, Operator, Projection};

use super::fan_out::is_narrow;
use causeway_providers::RemoteId;
use causeway_providers::sql::SqlTable;

/// Of more inputs the written order stays.
const MOST_INPUTS: usize = 64;

/// `plan` with the inputs of each remote next to each other, wherever the order of joins is free.
pub(crate) fn bring_together(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| {
        let Some(cluster) = Cluster::at(&node) else { return Ok(Transformed::no(node)) };
        Ok(match cluster.together(node.schema()) {
            // What is below is looked at in turn, and is in order by now.
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(node),
        })
    })
    .data()
}

/// Inner joins that stand on each other.
#[derive(Debug, Default)]
struct Cluster {
    inputs: Vec<Input>,
    /// What is equal: columns, and expressions of one input each.
    equalities: Vec<(Expr, Expr)>,
    /// The other conditions.
    conditions: Vec<Expr>,
    /// The inputs below each of the joins, as they are written.
    written: Vec<BTreeSet<usize>>,
}

#[derive(Debug)]
struct Input {
    plan: Arc<LogicalPlan>,
    /// The remote that all of it is of.
    remote: Option<RemoteId>,
}

/// Inputs that are joined, as one plan.
struct Part {
    plan: Arc<LogicalPlan>,
    inputs: BTreeSet<usize>,
}

impl Cluster {
    /// The cluster whose last join is `node`; `None` when that is none, or no two of its inputs are of one remote.
    fn at(node: &LogicalPlan) -> Option<Self> {
        free(node)?;
        let mut cluster = Self::default();
        cluster.take_in(node);
        let several = cluster.inputs.len() > 2 && cluster.inputs.len() <= MOST_INPUTS;
        // Of inputs that are all of one remote none stands between others.
        let is_mixed = cluster.inputs.windows(2).any(|pair| pair[0].remote != pair[1].remote);
        (several && is_mixed).then_some(cluster)
    }

    /// Takes in `plan` and says which inputs it is made of.
    fn take_in(&mut self, plan: &LogicalPlan) -> BTreeSet<usize> {
        if let Some(join) = free(plan) {
            let mut below = self.take_in(&join.left);
            below.extend(self.take_in(&join.right));
            self.equalities.extend(join.on.iter().cloned());
            for condition in join.filter.iter().flat_map(split_conjunction) {
                self.conditions.push(condition.clone());
            }
            self.written.push(below.clone());
            return below;
        }
        if let LogicalPlan::Projection(projection) = plan
            && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
            && is_joined(&projection.input)
        {
            return self.take_in(&projection.input);
        }
        self.inputs.push(Input { plan: Arc::new(plan.clone()), remote: remote_of(plan) });
        BTreeSet::from([self.inputs.len() - 1])
    }

    /// The joins with inputs of one remote next to each other; `None` when they are so already, or cannot be.
    fn together(&self, schema: &DFSchemaRef) -> Option<LogicalPlan> {
        let equalities = self.connected()?;
        let groups = self.groups(&equalities);
        let is_written = |group: &BTreeSet<usize>| group.len() == 1 || self.written.contains(group);
        if groups.iter().all(is_written) {
            return None;
        }
        let mut left = Conditions { equalities, others: self.with_inputs(&self.conditions)?, wanted: wanted(schema) };
        let mut parts = Vec::new();
        for group in &groups {
            let members = group.iter().map(|at| Part { plan: Arc::clone(&self.inputs[*at].plan), inputs: BTreeSet::from([*at]) });
            parts.push(joined(members.collect(), &mut left)?);
        }
        let whole = joined(parts, &mut left)?;
        let columns = schema.iter().map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name()))).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(columns, whole.plan).ok()?);
        (plan.schema().logically_equivalent_names_and_types(schema)).then_some(plan)
    }

    /// The equalities, each side with the input it is of, and those that follow from them; `None` when a side is of several.
    fn connected(&self) -> Option<Vec<Equality>> {
        let mut all = Vec::new();
        for (one, other) in &self.equalities {
            all.push(Equality { one: self.side(one)?, other: self.side(other)? });
        }
        // What equals the same column of the same type is equal, floats apart: of these one zero equals the other.
        let mut classes: Vec<Vec<(Expr, usize)>> = Vec::new();
        for equality in &all {
            if !self.is_transitive(equality) {
                continue;
            }
            let (mine, others): (Vec<_>, Vec<_>) =
                classes.into_iter().partition(|class| class.contains(&equality.one) || class.contains(&equality.other));
            let mut class: Vec<_> = mine.into_iter().flatten().collect();
            for side in [&equality.one, &equality.other] {
                if !class.contains(side) {
                    class.push(side.clone());
                }
            }
            classes = others;
            classes.push(class);
        }
        let same_remote =
            |one: usize, other: usize| self.inputs[one].remote.is_some() && self.inputs[one].remote == self.inputs[other].remote;
        for class in classes {
            for (at, one) in class.iter().enumerate() {
                for other in &class[at + 1..] {
                    let is_known = all.iter().any(|known| known.connects(one.1, other.1));
                    if one.1 != other.1 && same_remote(one.1, other.1) && !is_known {
                        all.push(Equality { one: one.clone(), other: other.clone() });
                    }
                }
            }
        }
        Some(all)
    }

    fn is_transitive(&self, equality: &Equality) -> bool {
        let data_type = |(expr, input): &(Expr, usize)| match expr {
            Expr::Column(column) => self.inputs[*input].plan.schema().field_from_column(column).ok().map(|field| field.data_type().clone()),
            _ => None,
        };
        let (one, other) = (data_type(&equality.one), data_type(&equality.other));
        one.is_some_and(|one| !one.is_floating() && other == Some(one))
    }

    /// An expression and the one input its columns are of.
    fn side(&self, expr: &Expr) -> Option<(Expr, usize)> {
        let inputs = self.inputs_of(expr)?;
        match inputs.into_iter().collect::<Vec<_>>().as_slice() {
            [input] => Some((expr.clone(), *input)),
            _ => None,
        }
    }

    fn with_inputs(&self, conditions: &[Expr]) -> Option<Vec<(Expr, BTreeSet<usize>)>> {
        conditions.iter().map(|condition| Some((condition.clone(), self.inputs_of(condition)?))).collect()
    }

    /// The inputs that the columns of `expr` are of, each of one.
    fn inputs_of(&self, expr: &Expr) -> Option<BTreeSet<usize>> {
        expr.column_refs()
            .into_iter()
            .map(|column| {
                let mut having = (0..self.inputs.len()).filter(|at| self.inputs[*at].plan.schema().has_column(column));
                having.next().filter(|_| having.next().is_none())
            })
            .collect()
    }

    /// Whether equalities connect two inputs, whose join is about as large as they are.
    fn joins_narrowly(&self, one: usize, other: usize, equalities: &[Equality]) -> bool {
        let on: Vec<(&Expr, &Expr)> = equalities
            .iter()
            .filter_map(|equality| match (equality.one.1, equality.other.1) {
                sides if sides == (one, other) => Some((&equality.one.0, &equality.other.0)),
                sides if sides == (other, one) => Some((&equality.other.0, &equality.one.0)),
                _ => None,
            })
            .collect();
        !on.is_empty() && is_narrow(&self.inputs[one].plan, &self.inputs[other].plan, &on)
    }

    /// The inputs of each remote that equalities connect, and each other input alone, in the order in which they are written.
    fn groups(&self, equalities: &[Equality]) -> Vec<BTreeSet<usize>> {
        let mut groups: Vec<BTreeSet<usize>> = Vec::new();
        for at in 0..self.inputs.len() {
            if groups.iter().any(|group| group.contains(&at)) {
                continue;
            }
            let mut group = BTreeSet::from([at]);
            let remote = &self.inputs[at].remote;
            while let Some(next) = (0..self.inputs.len()).find(|next| {
                let is_candidate = remote.is_some() && self.inputs[*next].remote == *remote && !group.contains(next);
                is_candidate && group.iter().any(|member| self.joins_narrowly(*member, *next, equalities))
            }) {
                group.insert(next);
            }
            groups.push(group);
        }
        groups
    }
}

/// Two expressions that are equal in each row of the result, each of one input.
#[derive(Debug, Clone)]
struct Equality {
    one: (Expr, usize),
    other: (Expr, usize),
}

impl Equality {
    fn connects(&self, one: usize, other: usize) -> bool {
        (self.one.1, self.other.1) == (one, other) || (self.one.1, self.other.1) == (other, one)
    }

    /// The sides of it that are of these inputs, if one is of each.
    fn between(&self, left: &BTreeSet<usize>, right: &BTreeSet<usize>) -> Option<(Expr, Expr)> {
        if left.contains(&self.one.1) && right.contains(&self.other.1) {
            Some((self.one.0.clone(), self.other.0.clone()))
        } else if left.contains(&self.other.1) && right.contains(&self.one.1) {
            Some((self.other.0.clone(), self.one.0.clone()))
        } else {
            None
        }
    }
}

/// What is still to be decided, and which columns are wanted in the end.
struct Conditions {
    equalities: Vec<Equality>,
    others: Vec<(Expr, BTreeSet<usize>)>,
    wanted: BTreeSet<Column>,
}

impl Conditions {
    /// The columns of `schema` that somebody wants yet.
    fn kept(&self, schema: &DFSchemaRef) -> Vec<Expr> {
        let later = self.equalities.iter().flat_map(|equality| [&equality.one.0, &equality.other.0]);
        let later: BTreeSet<&Column> =
            later.chain(self.others.iter().map(|(condition, _)| condition)).flat_map(Expr::column_refs).collect();
        let columns = schema.iter().map(|(qualifier, field)| Column::new(qualifier.cloned(), field.name()));
        columns.filter(|column| self.wanted.contains(column) || later.contains(column)).map(Expr::Column).collect()
    }
}

fn wanted(schema: &DFSchemaRef) -> BTreeSet<Column> {
    schema.iter().map(|(qualifier, field)| Column::new(qualifier.cloned(), field.name())).collect()
}

/// All of `parts`, each joined to those before it that it is connected with, if it is with any.
fn joined(parts: Vec<Part>, left: &mut Conditions) -> Option<Part> {
    let mut parts = VecDeque::from(parts);
    let mut whole = parts.pop_front()?;
    while !parts.is_empty() {
        let is_connected = |part: &Part| left.equalities.iter().any(|equality| equality.between(&whole.inputs, &part.inputs).is_some());
        let next = parts.iter().position(is_connected).unwrap_or_default();
        let next = parts.remove(next)?;
        whole = join(whole, next, left)?;
    }
    Some(whole)
}

/// Two parts, joined by all that can be decided then.
fn join(one: Part, other: Part, left: &mut Conditions) -> Option<Part> {
    let mut on = Vec::new();
    left.equalities.retain(|equality| match equality.between(&one.inputs, &other.inputs) {
        Some(pair) => {
            on.push(pair);
            false
        }
        None => true,
    });
    let inputs: BTreeSet<usize> = one.inputs.union(&other.inputs).copied().collect();
    let (decided, later) = std::mem::take(&mut left.others).into_iter().partition(|(_, of)| of.is_subset(&inputs));
    left.others = later;
    let decided: Vec<(Expr, BTreeSet<usize>)> = decided;
    let filter = conjunction(decided.into_iter().map(|(condition, _)| condition));
    let (kind, by) = (JoinType::Inner, JoinConstraint::On);
    let join = Join::try_new(one.plan, other.plan, on, filter, kind, by, NullEquality::NullEqualsNothing, false).ok()?;
    let kept = left.kept(&join.schema);
    let is_all = kept.len() == join.schema.fields().len();
    let plan = LogicalPlan::Join(join);
    let plan = if is_all { plan } else { LogicalPlan::Projection(Projection::try_new(kept, Arc::new(plan)).ok()?) };
    Some(Part { plan: Arc::new(plan), inputs })
}

/// The join, if others may take its place.
fn free(plan: &LogicalPlan) -> Option<&Join> {
    let LogicalPlan::Join(join) = plan else { return None };
    let is_inner = join.join_type == JoinType::Inner && join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
    let mut conditions = join.filter.iter().chain(join.on.iter().flat_map(|(one, other)| [one, other]));
    let may_move = conditions.all(|condition| never_fails(condition, &join.schema));
    (is_inner && may_move).then_some(join)
}

/// Whether columns of `plan` are those of a free join.
fn is_joined(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && is_joined(&projection.input)
        }
        other => free(other).is_some(),
    }
}

/// Whether an operator has an answer for any two values of its types.
pub(crate) fn is_total(op: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(op, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Whether a condition may be decided for rows that it would not have seen.
pub(crate) fn never_fails(condition: &Expr, schema: &DFSchema) -> bool {
    let mut is_plain = true;
    let walked = condition.apply(|expr| {
        is_plain &= match expr {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => is_total(*op),
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::InList(_)
            | Expr::Between(_)
            | Expr::Like(_) => true,
            // Integers are made wider to be compared.
            Expr::Cast(cast) => {
                let from = cast.expr.get_type(schema);
                cast.field.data_type().is_integer() && from.is_ok_and(|from| from.is_integer())
            }
            _ => false,
        };
        Ok(if is_plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    is_plain && walked.is_ok()
}

/// The remote whose tables are all that `plan` reads.
fn remote_of(plan: &LogicalPlan) -> Option<RemoteId> {
    let mut remote: Option<RemoteId> = None;
    let mut is_one = true;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source).ok();
            let of = provider.as_ref().and_then(|provider| provider.downcast_ref::<SqlTable>()).map(|table| table.remote().id().clone());
            is_one &= of.is_some() && remote.as_ref().is_none_or(|known| Some(known) == of.as_ref());
            remote = of;
        }
        Ok(if is_one { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    remote.filter(|_| is_one && walked.is_ok())
}
