//! Which sub-plans are worth being computed once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource};

/// The sub-plans that a plan has several times. Each is called by its position.
#[derive(Default)]
pub(crate) struct CommonSubplans(Vec<Repeated>);

struct Repeated {
    plan: LogicalPlan,
    /// The hash of the plan, by which most others are told apart at once.
    hash: u64,
    /// What it reads. Two functions in `FROM` are equal plans when their arguments are not.
    sources: Vec<Arc<dyn TableSource>>,
}

impl CommonSubplans {
    /// Those of `plan`, but for what only others of them have.
    pub(crate) fn of(plan: &LogicalPlan) -> DataFusionResult<Self> {
        let mut all: Vec<(Repeated, usize)> = Vec::new();
        each_group(plan, |group| {
            let hash = hash(group);
            match all.iter_mut().find(|(known, _)| known.is(group, hash)) {
                Some((_, times)) => *times += 1,
                None if computes_the_same(group)? => all.push((Repeated::new(group)?, 1)),
                None => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        all.retain(|(_, times)| *times > 1);
        if all.is_empty() {
            return Ok(Self::default());
        }
        let mut outermost = vec![0; all.len()];
        each_group(plan, |group| {
            let hash = hash(group);
            let Some(at) = all.iter().position(|(known, _)| known.is(group, hash)) else { return Ok(TreeNodeRecursion::Continue) };
            outermost[at] += 1;
            Ok(TreeNodeRecursion::Jump)
        })?;
        let kept = all.into_iter().zip(outermost).filter(|(_, times)| *times > 0);
        Ok(Self(kept.map(|((subplan, _), _)| subplan).collect()))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Which of them `plan` is.
    pub(crate) fn position(&self, plan: &LogicalPlan) -> Option<usize> {
        if self.is_empty() || !matches!(plan, LogicalPlan::Aggregate(_)) {
            return None;
        }
        let hash = hash(plan);
        self.0.iter().position(|subplan| subplan.is(plan, hash))
    }
}

impl Repeated {
    fn new(plan: &LogicalPlan) -> DataFusionResult<Self> {
        Ok(Self { plan: plan.clone(), hash: hash(plan), sources: sources(plan)? })
    }

    /// Whether `plan`, which has that hash, gives the same rows.
    fn is(&self, plan: &LogicalPlan, hash: u64) -> bool {
        let reads_the_same = |sources: Vec<Arc<dyn TableSource>>| {
            sources.len() == self.sources.len() && sources.iter().zip(&self.sources).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        self.hash == hash && self.plan == *plan && sources(plan).is_ok_and(reads_the_same)
    }
}

/// Visits the groupings of `plan`, but for those of recursions, which run anew in each of their rounds.
fn each_group(plan: &LogicalPlan, mut visit: impl FnMut(&LogicalPlan) -> DataFusionResult<TreeNodeRecursion>) -> DataFusionResult<()> {
    plan.apply_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(_) => visit(node),
        LogicalPlan::RecursiveQuery(_) => Ok(TreeNodeRecursion::Jump),
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// Whether a sub-plan gives the same rows wherever it stands, and reads any.
fn computes_the_same(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut reads = false;
    let mut differs = false;
    plan.apply_with_subqueries(|node| {
        reads |= matches!(node, LogicalPlan::TableScan(_));
        differs |= matches!(node, LogicalPlan::RecursiveQuery(_));
        node.apply_expressions(|expr| {
            differs |= expr.is_volatile() || expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..))))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(reads && !differs)
}

fn hash(plan: &LogicalPlan) -> u64 {
    let mut hasher = DefaultHasher::new();
    plan.hash(&mut hasher);
    hasher.finish()
}

fn sources(plan: &LogicalPlan) -> DataFusionResult<Vec<Arc<dyn TableSource>>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.push(Arc::clone(&scan.source));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
