//! The walk over the plan: which nodes go into one statement, where it ends, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Sort, Subquery};

use causeway_providers::RemoteId;

use super::Reason;
use super::absorb::{self, Absorbed};
use super::aggregate::{aggregate, distinct};
use super::join::{join, same_remote};
use super::node::RemoteQuery;
use super::open::{Aliases, OpenSelect, Value};
use super::window::window;
use crate::common_subplan::{CommonSubplans, Materialized};
use crate::report::PlanReport;

/// Whether whoever reads a node's rows relies on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    Free,
}

/// Where the sorts run whose order must be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sorts {
    /// At the source: the statement is all there is of the plan.
    Ship,
    /// Here: something above the statement reads its rows, and DataFusion does not know they have an order.
    Keep,
}

/// Where joins run that give many more rows than they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explosions {
    /// At the source, as long as something there may make fewer of them.
    Ship,
    /// Here: nothing did.
    Keep,
}

/// Subqueries for values are looked at so deep inside one another; each level that stays here is looked at twice.
const DEEPEST_VALUE: usize = 3;

/// One walk.
pub(super) struct Federation<'a> {
    /// How many subqueries for values it is in.
    depth: usize,
    aliases: Aliases,
    report: PlanReport,
    sorts: Sorts,
    explosions: Explosions,
    /// What the plan has several times; `None` within a recursion.
    common: Option<&'a CommonSubplans>,
    /// Those of them that are computed once for all statements.
    fetched: &'a BTreeSet<usize>,
}

/// A visited sub-plan.
enum Visited {
    /// A statement may stand for all of it.
    Remote { open: Box<OpenSelect>, plan: LogicalPlan },
    /// Part of it at least runs here.
    Local(LogicalPlan),
}

impl<'a> Federation<'a> {
    /// A walk that takes the sub-plans `fetched` of those that are `common` out of all statements.
    pub(super) fn new(common: &'a CommonSubplans, fetched: &'a BTreeSet<usize>) -> Self {
        Self {
            depth: 0,
            aliases: Aliases::default(),
            report: PlanReport::default(),
            sorts: Sorts::Ship,
            explosions: Explosions::Ship,
            common: Some(common),
            fetched,
        }
    }

    /// What becomes of `plan`, and why.
    pub(super) fn run(mut self, plan: LogicalPlan) -> DataFusionResult<(LogicalPlan, PlanReport)> {
        Ok((self.root(plan)?, self.report))
    }

    /// A plan whose rows, in their order, are the result of a statement or of a subquery.
    fn root(&mut self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let visited = self.visit(plan, Order::Kept)?;
        match self.defused(visited, Order::Kept)? {
            Visited::Remote { open, plan } if open.gains => Ok(remote_query(&open, plan.schema())),
            Visited::Remote { plan, .. } | Visited::Local(plan) => Ok(plan),
        }
    }

    /// The same sub-plan, with joins computed here where a statement for all of it would explode.
    fn defused(&mut self, visited: Visited, order: Order) -> DataFusionResult<Visited> {
        match visited {
            Visited::Remote { open, plan } if open.explodes() && self.explosions == Explosions::Ship => {
                self.explosions = Explosions::Keep;
                let again = self.visit(plan, order);
                self.explosions = Explosions::Ship;
                again
            }
            other => Ok(other),
        }
    }

    fn visit(&mut self, plan: LogicalPlan, order: Order) -> DataFusionResult<Visited> {
        if matches!(plan, LogicalPlan::RecursiveQuery(_)) {
            let common = self.common.take();
            let visited = self.visit_node(plan, order);
            self.common = common;
            return visited;
        }
        let common = self.common.and_then(|common| common.position(&plan));
        let visited = self.visit_node(plan, order)?;
        match common {
            Some(subplan) => self.computed_once(subplan, visited),
            None => Ok(visited),
        }
    }

    /// A place of a common sub-plan: a named query of its statement, or what is computed once for all statements.
    fn computed_once(&mut self, subplan: usize, visited: Visited) -> DataFusionResult<Visited> {
        if !self.fetched.contains(&subplan) {
            return Ok(match visited {
                Visited::Remote { open, plan } if open.dialect().computes_named_queries_once() => {
                    Visited::Remote { open: Box::new(open.named(subplan, &mut self.aliases)), plan }
                }
                other => other,
            });
        }
        if let Visited::Remote { open, plan } = &visited {
            self.report.keep(open.remote.id(), work(plan), "its rows are needed several times: they are fetched once");
        }
        let input = self.finish(visited, Order::Free)?;
        Ok(Visited::Local(if has_values(&input)? { input } else { Materialized::plan(subplan, input) }))
    }

    fn visit_node(&mut self, plan: LogicalPlan, order: Order) -> DataFusionResult<Visited> {
        if let LogicalPlan::TableScan(scan) = &plan
            && let Some(open) = absorb::scan(scan, &mut self.aliases)
        {
            return Ok(Visited::Remote { open: Box::new(open), plan });
        }
        let below = order_below(&plan, order);
        let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
        let mut visited = Vec::with_capacity(inputs.len());
        let explosions = self.explosions;
        if makes_fewer(&plan) {
            self.explosions = Explosions::Ship;
        }
        for input in inputs {
            visited.push(self.visit(input, below)?);
        }
        self.explosions = explosions;
        if let LogicalPlan::Sort(sort) = &plan
            && self.sorts == Sorts::Keep
            && order == Order::Kept
        {
            return self.sort_here(sort, visited);
        }
        let visited = self.with_subqueries(&plan, visited)?;
        match self.absorb(&plan, &visited) {
            Some(Ok(Absorbed::Whole(open))) => Ok(Visited::Remote { open: Box::new(open), plan }),
            Some(Ok(Absorbed::Partly { open, above, reasons })) => {
                for reason in reasons {
                    self.report.keep(open.remote.id(), work(&plan), reason);
                }
                match conjunction(above) {
                    // All rows that the conditions above have to look at come back.
                    Some(predicate) if open.gains && !open.explodes() => {
                        let Some(input) = Self::finish_open(&open, plan.schema(), below) else { return self.stay(plan, visited, below) };
                        let filter = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
                        Ok(Visited::Local(self.subqueries(filter)?))
                    }
                    _ => self.stay(plan, visited, below),
                }
            }
            Some(Err((remote, reason))) => {
                self.report.keep(&remote, work(&plan), reason);
                self.stay(plan, visited, below)
            }
            None => self.stay(plan, visited, below),
        }
    }

    /// What is below a filter or a projection, knowing what the subqueries of that node give, if the same source may compute them.
    fn with_subqueries(&mut self, plan: &LogicalPlan, mut visited: Vec<Visited>) -> DataFusionResult<Vec<Visited>> {
        let [Visited::Remote { open, .. }] = visited.as_mut_slice() else { return Ok(visited) };
        let may_have_values = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Projection(_)) && self.depth < DEEPEST_VALUE;
        if !may_have_values || !open.dialect().takes_subqueries_for_values() {
            return Ok(visited);
        }
        let mut plans: Vec<Arc<LogicalPlan>> = Vec::new();
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarSubquery(subquery) = expr
                    && subquery.outer_ref_columns.is_empty()
                {
                    plans.push(Arc::clone(&subquery.subquery));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        open.subqueries.clear();
        for inner in plans {
            self.depth += 1;
            let found = self.visit(inner.as_ref().clone(), Order::Kept);
            self.depth -= 1;
            let Visited::Remote { open: mut found, .. } = found? else { continue };
            found.rely_on_columns();
            if let Some(value) = found.value().filter(|_| same_remote(found.remote.as_ref(), open.remote.as_ref())) {
                open.subqueries.push(Value { plan: inner, column: value, needs: found.needs });
            }
        }
        Ok(visited)
    }

    /// The statement that stands for a node but for conditions checked above it. `None` when its order would be lost.
    fn finish_open(open: &OpenSelect, schema: &DFSchemaRef, order: Order) -> Option<LogicalPlan> {
        let loses_order = order == Order::Kept && open.is_ordered();
        (!loses_order).then(|| remote_query(open, schema))
    }

    /// Tries to take `plan` into the statement of its inputs. `None` when none of these is a statement's alone.
    fn absorb(&mut self, plan: &LogicalPlan, visited: &[Visited]) -> Option<Result<Absorbed, (RemoteId, Reason)>> {
        let opens: Option<Vec<&OpenSelect>> = visited
            .iter()
            .map(|input| match input {
                Visited::Remote { open, .. } => Some(open.as_ref()),
                Visited::Local(_) => None,
            })
            .collect();
        let Some(opens) = opens else { return beside_what_is_here(visited).map(Err) };
        let first = *opens.first()?;
        if let Some(other) = opens.iter().find(|open| !same_remote(open.remote.as_ref(), first.remote.as_ref())) {
            let reason = format!("its inputs come from {} and {}", first.remote.id(), other.remote.id());
            return Some(Err((first.remote.id().clone(), reason)));
        }
        let aliases = &mut self.aliases;
        let absorbed = match plan {
            LogicalPlan::Filter(node) => absorb::filter(node, first, aliases),
            LogicalPlan::Projection(node) => absorb::projection(node, first).map(Absorbed::Whole),
            LogicalPlan::SubqueryAlias(_) => Ok(Absorbed::Whole(first.clone())),
            LogicalPlan::Sort(node) => absorb::sort(node, first, aliases).map(Absorbed::Whole),
            LogicalPlan::Limit(node) => absorb::limit(node, first).map(Absorbed::Whole),
            LogicalPlan::Aggregate(node) => aggregate(node, first, aliases).map(Absorbed::Whole),
            LogicalPlan::Distinct(node) => distinct(node, first, aliases).map(Absorbed::Whole),
            LogicalPlan::Join(node) => match opens.as_slice() {
                [left, right] => join(node, left, right, aliases).and_then(|joined| self.explosions.admit(joined)),
                _ => return None,
            },
            LogicalPlan::Union(node) => {
                let branches: Vec<OpenSelect> = opens.iter().copied().cloned().collect();
                absorb::union(&node.schema, &branches, aliases).map(Absorbed::Whole)
            }
            LogicalPlan::Window(node) => window(node, first, aliases).map(Absorbed::Whole),
            _ => return None,
        };
        let settled = absorbed.map(|mut absorbed| {
            let (Absorbed::Whole(open) | Absorbed::Partly { open, .. }) = &mut absorbed;
            open.settle_values();
            absorbed
        });
        Some(settled.map_err(|reason| (first.remote.id().clone(), reason)))
    }

    /// The node runs here, over whatever its inputs became.
    fn stay(&mut self, plan: LogicalPlan, visited: Vec<Visited>, below: Order) -> DataFusionResult<Visited> {
        let mut inputs = Vec::with_capacity(visited.len());
        for input in visited {
            inputs.push(self.finish(input, below)?);
        }
        let mut inputs = inputs.into_iter();
        let plan = plan.map_children(|_| {
            let input = inputs.next().ok_or_else(|| DataFusionError::Internal("a node has more inputs than it showed".to_owned()))?;
            Ok(Transformed::yes(input))
        })?;
        Ok(Visited::Local(self.subqueries(plan.data)?))
    }

    /// Ends a sub-plan below a node that runs here.
    fn finish(&mut self, visited: Visited, order: Order) -> DataFusionResult<LogicalPlan> {
        let (open, plan) = match self.defused(visited, order)? {
            Visited::Remote { open, plan } if open.gains => (open, plan),
            Visited::Remote { plan, .. } | Visited::Local(plan) => return Ok(plan),
        };
        if order == Order::Free || !open.is_ordered() {
            return Ok(remote_query(&open, plan.schema()));
        }
        let before = std::mem::replace(&mut self.sorts, Sorts::Keep);
        let again = self.visit(plan, order);
        self.sorts = before;
        match again? {
            Visited::Remote { open, plan } if open.gains => Ok(remote_query(&open, plan.schema())),
            Visited::Remote { plan, .. } | Visited::Local(plan) => Ok(plan),
        }
    }

    /// A sort whose order someone here relies on. A source still picks the first rows, if it sorts as we do.
    fn sort_here(&mut self, sort: &Sort, visited: Vec<Visited>) -> DataFusionResult<Visited> {
        let Some(input) = visited.into_iter().next() else {
            return Err(DataFusionError::Internal("a sort without an input".to_owned()));
        };
        let top = match &input {
            Visited::Remote { open, .. } if sort.fetch.is_some() => absorb::sort(sort, open, &mut self.aliases).ok(),
            Visited::Remote { .. } | Visited::Local(_) => None,
        };
        let input = match top {
            Some(open) => remote_query(&open, sort.input.schema()),
            None => self.finish(input, Order::Free)?,
        };
        let sort = LogicalPlan::Sort(Sort { input: Arc::new(input), ..sort.clone() });
        Ok(Visited::Local(self.subqueries(sort)?))
    }

    /// Federates the plans inside the node's expressions.
    fn subqueries(&mut self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let plan = plan.map_subqueries(|subquery| match subquery {
            LogicalPlan::Subquery(subquery) => {
                let inner = self.root(subquery.subquery.as_ref().clone())?;
                Ok(Transformed::yes(LogicalPlan::Subquery(Subquery { subquery: Arc::new(inner), ..subquery })))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(plan.data)
    }
}

impl Explosions {
    /// Refuses a join that explodes, if it is to be kept here.
    fn admit(self, joined: Absorbed) -> Result<Absorbed, Reason> {
        let (Absorbed::Whole(open) | Absorbed::Partly { open, .. }) = &joined;
        match (self, open.believed) {
            (Self::Keep, Some(rows)) if open.explodes() => Err(format!("about {rows} rows would come back, many more than it reads")),
            _ => Ok(joined),
        }
    }
}

/// Whether a subquery for a value is left in `plan`. Such a value is known to the expressions of the place it was planned in alone.
fn has_values(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Whether a node may give fewer rows than it reads, so that what explodes below it may not come back.
fn makes_fewer(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Limit(_) => true,
        LogicalPlan::Sort(sort) => sort.fetch.is_some(),
        _ => false,
    }
}

/// Why a node is computed here of whose inputs one could be a statement's and another is none.
fn beside_what_is_here(visited: &[Visited]) -> Option<(RemoteId, Reason)> {
    let remote = visited.iter().find_map(|input| match input {
        Visited::Remote { open, .. } => Some(open.remote.id().clone()),
        Visited::Local(_) => None,
    })?;
    let other = visited.iter().find_map(|input| match input {
        Visited::Local(plan) => Some(read_here(plan).unwrap_or_else(|| "what is computed here".to_owned())),
        Visited::Remote { .. } => None,
    })?;
    let reason = format!("its inputs come from {remote} and {other}");
    Some((remote, reason))
}

/// The table that a plan reads and does no more with than to choose rows and columns.
fn read_here(plan: &LogicalPlan) -> Option<String> {
    match plan {
        LogicalPlan::TableScan(scan) => Some(match scan.table_name.schema() {
            Some(schema) => format!("{schema}.{}", scan.table_name.table()),
            None => scan.table_name.table().to_owned(),
        }),
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().first().and_then(|input| read_here(input))
        }
        _ => None,
    }
}

fn remote_query(open: &OpenSelect, schema: &DFSchemaRef) -> LogicalPlan {
    RemoteQuery::plan(open, Arc::clone(schema))
}

/// What a node makes of the order of its inputs' rows.
fn order_below(plan: &LogicalPlan, order: Order) -> Order {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => order,
        LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::RecursiveQuery(_) => Order::Free,
        // A limit takes the first rows, whoever reads them.
        _ => Order::Kept,
    }
}

/// A node in the words of the report.
fn work(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Filter(_) => "Filter",
        LogicalPlan::Projection(_) => "Projection",
        LogicalPlan::Sort(_) => "Sort",
        LogicalPlan::Limit(_) => "Limit",
        LogicalPlan::Aggregate(_) => "Aggregate",
        LogicalPlan::Distinct(_) => "Distinct",
        LogicalPlan::Join(_) => "Join",
        LogicalPlan::Union(_) => "Union",
        LogicalPlan::Window(_) => "Window",
        _ => "Plan",
    }
}
