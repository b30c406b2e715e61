//! What is known of a datasource now.

use std::sync::Arc;
use std::time::SystemTime;

use causeway_providers::{Capabilities, Error, Omission};

use crate::publication::Mismatch;

/// Whether a datasource can be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasourceState {
    /// It has not been opened yet.
    Starting,
    /// It answers.
    Running,
    /// It does not; see the last error. It is tried again by itself.
    Error,
    /// It was closed.
    Stopped,
}

impl DatasourceState {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasourceState::Starting => "starting",
            DatasourceState::Running => "running",
            DatasourceState::Error => "error",
            DatasourceState::Stopped => "stopped",
        }
    }
}

/// One datasource as it is now, for whoever follows it.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) state: DatasourceState,
    pub(crate) last_error: Option<Arc<Error>>,
    pub(crate) stale_since: Option<SystemTime>,
    pub(crate) omitted: Vec<Omission>,
    pub(crate) mismatches: Vec<Mismatch>,
    /// What it may be asked to do, once it was opened.
    pub(crate) capabilities: Option<Capabilities>,
    /// When its drift was last checked to the end.
    pub(crate) checked_at: Option<SystemTime>,
    /// Whether anything is known of its tables, from the store or from the source.
    pub(crate) is_known: bool,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            state: DatasourceState::Starting,
            last_error: None,
            stale_since: None,
            omitted: Vec::new(),
            mismatches: Vec::new(),
            capabilities: None,
            checked_at: None,
            is_known: false,
        }
    }
}
