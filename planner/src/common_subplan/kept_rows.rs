//! The rows of a sub-plan, kept for all who read them: in memory, and on disk where the statement's share of that is used up.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, TaskContext};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::SpillMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

/// All rows of a sub-plan, in the order in which they came.
pub(super) struct KeptRows {
    parts: Vec<Part>,
    disk: SpillManager,
    _memory: MemoryReservation,
}

enum Part {
    Memory(RecordBatch),
    Disk(Arc<dyn SpillFile>),
}

impl KeptRows {
    /// Reads `rows` to their end.
    pub(super) async fn of(mut rows: SendableRecordBatchStream, context: &TaskContext, spilled: SpillMetrics) -> DataFusionResult<Self> {
        let memory = MemoryConsumer::new("rows of a common sub-plan").with_can_spill(true).register(context.memory_pool());
        let disk = SpillManager::new(context.runtime_env(), spilled, rows.schema());
        let mut parts = Vec::new();
        let mut held = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            let has_room = memory.try_grow(get_record_batch_memory_size(&batch)).is_ok();
            held.push(batch);
            if !has_room {
                let file = disk.spill_record_batch_and_finish(&held, "rows of a common sub-plan")?;
                parts.extend(file.map(Part::Disk));
                held.clear();
                memory.free();
            }
        }
        parts.extend(held.into_iter().map(Part::Memory));
        Ok(Self { parts, disk, _memory: memory })
    }

    fn part(&self, at: usize) -> DataFusionResult<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        Ok(match &self.parts[at] {
            Part::Memory(batch) => stream::iter([Ok(batch.clone())]).boxed(),
            Part::Disk(file) => self.disk.read_spill_as_stream(Arc::clone(file), None)?.boxed(),
        })
    }

    /// The rows, once more.
    pub(super) fn read(self: Arc<Self>) -> SendableRecordBatchStream {
        let schema = Arc::clone(self.disk.schema());
        let rows = stream::iter(0..self.parts.len()).map(move |at| self.part(at));
        Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten()))
    }
}
