//! What a plan does where: which node stayed here, and why it was not sent to its source.

use causeway_providers::RemoteId;

/// The decisions of one plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlanReport {
    kept: Vec<Kept>,
    off: bool,
}

/// A piece of work that a source could have been asked for and was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The source whose rows it works on.
    pub(crate) datasource: RemoteId,
    /// What it is, such as `Filter` or `Join`.
    pub(crate) work: &'static str,
    /// Why it stayed.
    pub(crate) reason: String,
}

impl PlanReport {
    /// Notes that `work` on rows of `datasource` stays here.
    pub(crate) fn keep(&mut self, datasource: &RemoteId, work: &'static str, reason: impl Into<String>) {
        let kept = Kept { datasource: datasource.clone(), work, reason: reason.into() };
        if !self.kept.contains(&kept) {
            self.kept.push(kept);
        }
    }

    /// That of a plan of which nothing was even tried.
    pub(crate) fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// Whether push-down was switched off for the statement.
    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// What stayed here, in the order it was met.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }
}
