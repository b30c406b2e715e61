//! How a scan waits for what the joins above it know, and asks its source for no more than they can use.

mod condition;

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;

use condition::condition;

/// More keys than these are told as a range. Ten thousand numbers are a statement of some 80 kB, which every source still takes.
pub const MOST_KEYS: usize = 10_000;

/// How long a scan waits for the other sides of its joins. A join reads its other side first, so that most scans wait for nothing;
/// one that another operator starts early reads everything once this has passed.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Filters that the joins above a scan make while they run.
#[derive(Debug, Clone, Default)]
pub(super) struct DynamicFilters(Vec<Arc<dyn PhysicalExpr>>);

impl DynamicFilters {
    /// Those of `filters` that are made while the plan runs.
    pub(super) fn among(filters: impl IntoIterator<Item = Arc<dyn PhysicalExpr>>) -> Self {
        Self(filters.into_iter().filter(|filter| dynamic(filter).is_some()).collect())
    }

    /// These and others.
    pub(super) fn with(&self, others: Self) -> Self {
        Self(self.0.iter().cloned().chain(others.0).collect())
    }

    /// Those that `is_wanted`, by their number in the plan.
    pub(super) fn only(&self, is_wanted: &dyn Fn(u64) -> bool) -> Self {
        Self(self.0.iter().filter(|filter| filter.expression_id().is_some_and(is_wanted)).cloned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.0.iter()
    }

    /// Waits until they are made, or [`LONGEST_WAIT`] has passed, and gives what they say of the rows of `schema`, in lists of
    /// `most_keys` at most.
    pub(super) async fn conditions(&self, schema: &Schema, most_keys: usize) -> Vec<Expr> {
        let all = async {
            for filter in self.0.iter().filter_map(dynamic) {
                filter.wait_complete().await;
            }
        };
        // Whichever is made by then counts: each keeps all rows until it is.
        let _ = tokio::time::timeout(LONGEST_WAIT, all).await;
        self.0.iter().filter_map(|filter| condition(filter, schema, most_keys)).collect()
    }
}

fn dynamic(filter: &Arc<dyn PhysicalExpr>) -> Option<&DynamicFilterPhysicalExpr> {
    filter.downcast_ref::<DynamicFilterPhysicalExpr>()
}
