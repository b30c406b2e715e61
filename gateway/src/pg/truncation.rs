//! Results that are cut for a limited role: where, what the client is told, and what it can ask later.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use causeway_planner::Truncation;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::notice::Notice;
use crate::roles::Role;

/// The SQLSTATE of data that was left out.
const RIGHT_TRUNCATION: &str = "01004";

/// How much of one result may be sent.
#[derive(Debug, Clone)]
pub(super) struct ResultLimit {
    role: Arc<Role>,
    /// Whether the plan gave fewer rows than there are.
    truncation: Truncation,
    sent: u64,
}

/// What a result was cut by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut(String);

impl ResultLimit {
    pub(super) fn new(role: Arc<Role>, truncation: Truncation) -> Self {
        Self { role, truncation, sent: 0 }
    }

    /// Counts a row of so many bytes; what there is no room for is cut.
    pub(super) fn admit(&mut self, bytes: usize) -> Option<Cut> {
        let limit = self.role.limits.max_bytes;
        let sent = self.sent.saturating_add(bytes as u64);
        if sent > limit {
            return Some(self.cut(&format!("{limit} bytes (max_bytes"), "columns"));
        }
        self.sent = sent;
        None
    }

    /// What the plan cut, now that its rows are at their end.
    pub(super) fn ended(&self) -> Option<Cut> {
        let limit = self.role.limits.max_rows;
        self.truncation.is_cut().then(|| self.cut(&format!("{limit} rows (max_rows"), "rows"))
    }

    fn cut(&self, limit: &str, fewer: &str) -> Cut {
        let name = &self.role.name;
        Cut(format!("the result was cut at {limit} of role \"{name}\"): ask for fewer {fewer}, or for a summary with GROUP BY"))
    }
}

impl Cut {
    /// What the client is told. It is told in any case: a result that looks whole and is not is worse than a notice too many.
    pub(super) fn notice(&self) -> Notice {
        Notice::for_user(self.0.clone()).with_code(RIGHT_TRUNCATION)
    }
}

/// Whether the result of the session's last query was cut.
#[derive(Debug, Clone, Default)]
pub(super) struct LastTruncated(Arc<AtomicBool>);

impl LastTruncated {
    pub(super) fn set(&self, is_cut: bool) {
        self.0.store(is_cut, Ordering::Relaxed);
    }

    /// `causeway.last_truncated()`, for the statements of the session.
    pub(super) fn function(&self) -> Arc<ScalarUDF> {
        Arc::new(Asked { last: self.clone(), signature: Signature::nullary(Volatility::Stable) }.into())
    }
}

/// The function. Statements are optimised each time they start, and with that it is computed.
#[derive(Debug)]
struct Asked {
    last: LastTruncated,
    signature: Signature,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.last.0, &other.last.0)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        "causeway.last_truncated"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(self.last.0.load(Ordering::Relaxed)))))
    }
}
