//! The top of a limited plan: it ends after so many rows, and says whether there would have been more.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::{Stream, StreamExt};

/// Whether the result of one execution was cut.
#[derive(Debug, Clone, Default)]
pub struct Truncation(Arc<AtomicBool>);

impl Truncation {
    /// Whether rows were left out so far.
    pub fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `plan`, cut after `rows` rows.
pub(super) fn cut(plan: Arc<dyn ExecutionPlan>, rows: u64, truncation: &Truncation) -> Arc<dyn ExecutionPlan> {
    let input = match plan.output_partitioning().partition_count() {
        1 => plan,
        _ => Arc::new(CoalescePartitionsExec::new(plan)),
    };
    Arc::new(Cut { input, rows, truncation: truncation.clone() })
}

#[derive(Debug)]
struct Cut {
    input: Arc<dyn ExecutionPlan>,
    rows: u64,
    truncation: Truncation,
}

impl DisplayAs for Cut {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cut: max_rows={}", self.rows)
    }
}

impl ExecutionPlan for Cut {
    fn name(&self) -> &'static str {
        "Cut"
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

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self { input, rows: self.rows, truncation: self.truncation.clone() })),
            _ => Err(DataFusionError::Internal("a cut has one input".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self { input, rows: self.rows, truncation: self.truncation.clone() })),
            _ => Err(DataFusionError::Internal("a cut has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(CutRows { schema: self.schema(), rows: Some(rows), left: self.rows, truncation: self.truncation.clone() }))
    }
}

struct CutRows {
    schema: SchemaRef,
    /// Gone at the end, and what it reads with it.
    rows: Option<SendableRecordBatchStream>,
    left: u64,
    truncation: Truncation,
}

impl Stream for CutRows {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(rows) = &mut self.rows else { return Poll::Ready(None) };
            let batch = match ready!(rows.poll_next_unpin(context)) {
                Some(Ok(batch)) => batch,
                last => {
                    self.rows = None;
                    return Poll::Ready(last);
                }
            };
            let there = batch.num_rows() as u64;
            if there <= self.left {
                self.left -= there;
                if there == 0 {
                    continue;
                }
                return Poll::Ready(Some(Ok(batch)));
            }
            self.truncation.0.store(true, Ordering::Release);
            self.rows = None;
            let kept = usize::try_from(self.left).unwrap_or(usize::MAX);
            return Poll::Ready((kept > 0).then(|| Ok(batch.slice(0, kept))));
        }
    }
}

impl RecordBatchStream for CutRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
