//! The rows of a sub-plan, kept for all who read them: some in memory, and the others on disk.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, TaskContext};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::SpillMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

/// What one sub-plan keeps in memory at most, in bytes: whoever reads its rows needs some too.
const MOST_IN_MEMORY: usize = 64 << 20;

/// What it is called in files' names and errors.
const NAME: &str = "rows of a common sub-plan";

/// All rows of a sub-plan.
pub(super) struct KeptRows {
    in_memory: Vec<RecordBatch>,
    on_disk: Option<Arc<dyn SpillFile>>,
    disk: SpillManager,
    _memory: MemoryReservation,
}

impl KeptRows {
    /// Reads `rows` to their end.
    pub(super) async fn of(mut rows: SendableRecordBatchStream, context: &TaskContext, spilled: SpillMetrics) -> DataFusionResult<Self> {
        let memory = MemoryConsumer::new(NAME).register(context.memory_pool());
        let disk = SpillManager::new(context.runtime_env(), spilled, rows.schema());
        let mut counter = RecordBatchMemoryCounter::new();
        let mut in_memory = Vec::new();
        let mut file = None;
        while let Some(batch) = rows.try_next().await? {
            if file.is_none() {
                let bytes = counter.count_batch(&batch);
                if counter.memory_usage() <= MOST_IN_MEMORY && memory.try_grow(bytes).is_ok() {
                    in_memory.push(batch);
                    continue;
                }
                file = Some(disk.create_in_progress_file(NAME)?);
            }
            if let Some(file) = &mut file {
                file.append_batch(&batch)?;
            }
        }
        let on_disk = match &mut file {
            Some(file) => file.finish()?,
            None => None,
        };
        Ok(Self { in_memory, on_disk, disk, _memory: memory })
    }

    /// The rows, once more.
    pub(super) fn read(self: Arc<Self>) -> DataFusionResult<SendableRecordBatchStream> {
        let schema = Arc::clone(self.disk.schema());
        let on_disk = match &self.on_disk {
            Some(file) => self.disk.read_spill_as_stream(Arc::clone(file), None)?.boxed(),
            None => stream::empty().boxed(),
        };
        let in_memory = stream::iter(0..self.in_memory.len()).map(move |at| Ok(self.in_memory[at].clone()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, in_memory.chain(on_disk))))
    }
}
