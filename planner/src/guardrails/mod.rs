//! What a limited role may ask and take: its statements are queries and nothing else, call no function that does something, and read,
//! multiply and return no more rows than it is allowed.
//!
//! What is decided before a statement runs is decided on its trees and pure: [`admission`] looks at what was parsed, [`functions`] at what
//! it was planned to call, [`joins`] at how many rows its joins are believed to pair. What cannot be known before is counted while it
//! runs: [`metered`] stands in the physical plan above scans and joins, and [`cut`] above all of it.

mod admission;
mod cut;
mod functions;
mod joins;
mod metered;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;

pub use cut::Truncation;
pub(crate) use metered::Metered;

use crate::error::{Error, ErrorKind, Result};

/// The bounds of one role, for each of its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrails {
    /// The role, as refusals name it.
    pub role: String,
    /// Rows of a result; what is beyond is cut off.
    pub max_rows: u64,
    /// Rows that all scans of a statement may read together; one that reads more fails.
    pub max_scan_rows: u64,
    /// Rows that a join may give, and pairs of rows that one without an equality may look at; a statement with more fails.
    pub max_join_rows: u64,
}

impl Guardrails {
    /// Whether a statement is one query that only reads, by what was parsed of it.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] for what would write, [`ErrorKind::Forbidden`] for all else that is no query.
    pub fn admit(&self, statement: &Statement) -> Result<()> {
        admission::admit(self, statement)
    }

    /// Whether the functions of a plan do nothing but compute.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`], naming the function.
    pub(crate) fn admit_functions(&self, plan: &LogicalPlan) -> Result<()> {
        functions::admit(self, plan)
    }

    /// Whether the joins of an optimised plan are believed to stay within bounds.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`], naming both sides.
    pub(crate) fn admit_joins(&self, plan: &LogicalPlan) -> Result<()> {
        joins::admit(self, plan)
    }

    /// `plan` with no more rows than tell whether its result is to be cut: sources need not give more.
    pub(crate) fn limited(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let fetch = usize::try_from(self.max_rows).unwrap_or(usize::MAX).saturating_add(1);
        LogicalPlanBuilder::from(plan).limit(0, Some(fetch))?.build()
    }

    /// `plan` counted while it runs, and cut at its top.
    pub(crate) fn guarded(&self, plan: Arc<dyn ExecutionPlan>, truncation: &Truncation) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let metered = metered::metered(self, plan)?;
        Ok(cut::cut(metered, self.max_rows, truncation))
    }

    fn forbidden(&self, what: &str) -> Error {
        Error::new(ErrorKind::Forbidden, format!("permission denied: {what} is not allowed to role \"{}\"", self.role))
    }
}
