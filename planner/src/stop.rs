//! How an execution ends before its rows do: what it holds at the sources is freed at once, and joins notice while they compute.
//!
//! A task ends when it pauses. Operators pause when they read rows, and a join that multiplies its inputs reads few and computes for
//! long. So joins pause for each row batch they give, and look for the end each time they decide on candidates: a condition that
//! nothing meets gives no batch to pause at.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use causeway_providers::{Error as SourceError, ErrorKind, ScanRelease, release_scans};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::prelude::SessionConfig;
use futures::{Stream, StreamExt};

/// The end of one execution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    is_stopped: Arc<AtomicBool>,
    scans: ScanRelease,
}

impl Stop {
    /// Has the scans of a session end with it.
    pub(crate) fn scans_of(&self, config: &mut SessionConfig) {
        release_scans(config, self.scans.clone());
    }

    /// `plan`, whose joins pause and end with it.
    pub(crate) fn joins_of(&self, plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match self.join(&node)? {
                Some(join) => Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    /// `rows`, with which all of the execution ends when they are dropped, whether they were read to their end or not.
    pub(crate) fn with_rows(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(Stopping { rows, stop: self })
    }

    fn join(&self, node: &Arc<dyn ExecutionPlan>) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            let Some(filter) = join.filter() else { return Ok(Some(Arc::clone(node))) };
            let join = HashJoinExecBuilder::from(join).with_filter(Some(self.filter(filter))).build()?;
            return Ok(Some(Arc::new(join)));
        }
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            let Some(filter) = join.filter() else { return Ok(Some(Arc::clone(node))) };
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(self.filter(filter))).build()?;
            return Ok(Some(Arc::new(join)));
        }
        let is_other = node.is::<CrossJoinExec>() || node.is::<SortMergeJoinExec>();
        Ok(is_other.then(|| Arc::clone(node)))
    }

    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let condition = UntilStopped { condition: Arc::clone(filter.expression()), is_stopped: Arc::clone(&self.is_stopped) };
        JoinFilter::new(Arc::new(condition), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.scans.release();
    }
}

struct Stopping {
    rows: SendableRecordBatchStream,
    stop: Stop,
}

impl Stream for Stopping {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.poll_next_unpin(context)
    }
}

impl RecordBatchStream for Stopping {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// A condition of a join, decided until the execution is stopped.
#[derive(Debug)]
struct UntilStopped {
    condition: Arc<dyn PhysicalExpr>,
    is_stopped: Arc<AtomicBool>,
}

impl PartialEq for UntilStopped {
    fn eq(&self, other: &Self) -> bool {
        self.condition.as_ref() == other.condition.as_ref() && Arc::ptr_eq(&self.is_stopped, &other.is_stopped)
    }
}

impl Eq for UntilStopped {}

impl Hash for UntilStopped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for UntilStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.condition, f)
    }
}

impl PhysicalExpr for UntilStopped {
    fn return_field(&self, input_schema: &Schema) -> DataFusionResult<FieldRef> {
        self.condition.return_field(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        if self.is_stopped.load(Ordering::Relaxed) {
            let ended = SourceError::new(ErrorKind::Cancelled, "the statement was ended");
            return Err(DataFusionError::External(Box::new(ended)));
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) if children.is_empty() => Ok(Arc::new(Self { condition, is_stopped: Arc::clone(&self.is_stopped) })),
            _ => Err(DataFusionError::Internal("a condition is one expression".to_owned())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
