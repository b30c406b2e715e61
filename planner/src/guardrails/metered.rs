//! Counts rows while a limited plan runs: those that scans read, those that joins give, and the pairs that joins without an equality
//! look at. The first row too many fails the statement, and dropping its streams frees the sources.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use causeway_providers::scan_subject;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

use super::{Guardrails, joins};
use crate::error::{Error, ErrorKind};

/// What is counted, and against what.
#[derive(Debug, Clone)]
enum Count {
    /// Rows that were read of something, with all that other scans read.
    Scan { guardrails: Arc<Guardrails>, read: Arc<AtomicU64>, what: Arc<str> },
    /// Rows that a join, or another node that may give more rows than it reads, gave.
    Given { guardrails: Arc<Guardrails>, given: Arc<AtomicU64> },
    /// Rows of one side of a join without an equality.
    Side { guardrails: Arc<Guardrails>, this: Arc<AtomicU64>, other: Arc<AtomicU64> },
}

impl Count {
    fn add(&self, rows: u64) -> Result<(), Error> {
        match self {
            Count::Scan { guardrails, read, what } => {
                if read.fetch_add(rows, Ordering::Relaxed) + rows <= guardrails.max_scan_rows {
                    return Ok(());
                }
                let (limit, role) = (guardrails.max_scan_rows, &guardrails.role);
                Err(Error::new(ErrorKind::LimitExceeded, format!("the statement reads more than {limit} rows (max_scan_rows of role \"{role}\"), the last of them from {what}"))
                    .hint("Ask for less: a narrower WHERE on columns of the source, a count or sum that it computes, or a LIMIT. EXPLAIN shows what is read."))
            }
            Count::Given { guardrails, given } => {
                if given.fetch_add(rows, Ordering::Relaxed) + rows <= guardrails.max_join_rows {
                    return Ok(());
                }
                let (limit, role) = (guardrails.max_join_rows, &guardrails.role);
                Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("a join, recursion or unnest of the statement gives more than {limit} rows (max_join_rows of role \"{role}\")"),
                )
                .hint("Join on columns that name one row of a side, or narrow both sides with WHERE first."))
            }
            Count::Side { guardrails, this, other } => {
                let this = this.fetch_add(rows, Ordering::Relaxed) + rows;
                let other = other.load(Ordering::Relaxed);
                if this <= 1 || other <= 1 || this.saturating_mul(other) <= guardrails.max_join_rows {
                    return Ok(());
                }
                Err(joins::refusal(guardrails, &format!("{this} rows with {other}")))
            }
        }
    }
}

/// `plan` with what is counted in it counted.
pub(super) fn metered(guardrails: &Guardrails, plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let guardrails = Arc::new(guardrails.clone());
    let read = Arc::new(AtomicU64::new(0));
    plan.transform_up(|node| {
        if node.children().is_empty() {
            if is_in_memory(&node) {
                return Ok(Transformed::no(node));
            }
            let what = scan_subject(node.as_ref()).unwrap_or_else(|| "a function in FROM".to_owned());
            let count = Count::Scan { guardrails: Arc::clone(&guardrails), read: Arc::clone(&read), what: what.into() };
            return Ok(Transformed::yes(Metered::around(node, count)));
        }
        let pairs = node.is::<CrossJoinExec>() || node.is::<NestedLoopJoinExec>();
        if !pairs && !multiplies(&node) {
            return Ok(Transformed::no(node));
        }
        let node = if pairs { sides(&guardrails, node)? } else { node };
        let count = Count::Given { guardrails: Arc::clone(&guardrails), given: Arc::default() };
        Ok(Transformed::yes(Metered::around(node, count)))
    })
    .data()
}

/// Whether a node may give more rows than it reads.
fn multiplies(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<HashJoinExec>() || node.is::<SortMergeJoinExec>() || node.is::<RecursiveQueryExec>() || node.is::<UnnestExec>()
}

/// A join whose sides are counted.
fn sides(guardrails: &Arc<Guardrails>, join: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let side = |(at, child): (usize, &Arc<dyn ExecutionPlan>)| {
        let (this, other) = (Arc::clone(&counts[at]), Arc::clone(&counts[1 - at]));
        Metered::around(Arc::clone(child), Count::Side { guardrails: Arc::clone(guardrails), this, other })
    };
    let children: Vec<_> = join.children().into_iter().take(2).enumerate().map(side).collect();
    join.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Whether a leaf reads nothing: its rows are here, or are none.
fn is_in_memory(leaf: &Arc<dyn ExecutionPlan>) -> bool {
    let is_memory = |scan: &DataSourceExec| scan.data_source().downcast_ref::<MemorySourceConfig>().is_some();
    leaf.downcast_ref::<DataSourceExec>().is_some_and(is_memory)
        || leaf.is::<EmptyExec>()
        || leaf.is::<PlaceholderRowExec>()
        || leaf.is::<WorkTableExec>()
}

/// A node whose rows are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    input: Arc<dyn ExecutionPlan>,
    count: Count,
}

impl Metered {
    fn around(input: Arc<dyn ExecutionPlan>, count: Count) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, count })
    }

    /// The node.
    pub(crate) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    fn again(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Self::around(input, self.count.clone())),
            _ => Err(DataFusionError::Internal("a meter has one input".to_owned())),
        }
    }
}

impl DisplayAs for Metered {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metered")
    }
}

impl ExecutionPlan for Metered {
    fn name(&self) -> &'static str {
        "Metered"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.again(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.again(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(MeteredRows { schema: self.schema(), rows: Some(rows), count: self.count.clone() }))
    }
}

struct MeteredRows {
    schema: SchemaRef,
    /// Gone with the first row too many, and what it reads with it.
    rows: Option<SendableRecordBatchStream>,
    count: Count,
}

impl Stream for MeteredRows {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rows) = &mut self.rows else { return Poll::Ready(None) };
        let next = ready!(rows.poll_next_unpin(context));
        match &next {
            Some(Ok(batch)) => {
                if let Err(refusal) = self.count.add(batch.num_rows() as u64) {
                    self.rows = None;
                    return Poll::Ready(Some(Err(refusal.into())));
                }
            }
            Some(Err(_)) => {}
            None => self.rows = None,
        }
        Poll::Ready(next)
    }
}

impl RecordBatchStream for MeteredRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
