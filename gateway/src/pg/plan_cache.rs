//! The plans of what a session asked last: drivers send the same few statements again and again without preparing them.
//!
//! A plan belongs to its session, whose functions it holds. It is taken again under the conditions of a prepared statement's: over the
//! same tables, under the same settings. What depends on the moment is decided when a plan is executed, so that it is never kept.

use std::collections::VecDeque;

use causeway_planner::{Query, Statement};
use datafusion::arrow::datatypes::DataType;

use super::portal::Plan;
use super::settings::Settings;

/// Plans kept per session: a plan is some ten kilobytes, and there may be a thousand sessions.
const PLANS: usize = 4;

/// Schemas whose tables are made of what is now, and may be of the session.
const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "causeway"];

/// Plans, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct PlanCache {
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    statement: Statement,
    declared: Vec<Option<DataType>>,
    plan: Plan,
}

impl PlanCache {
    /// The plan of the same statement with the same declared parameters, if planning it again would give the same.
    pub(super) fn find(&mut self, statement: &Statement, declared: &[Option<DataType>], version: u64, settings: &Settings) -> Option<Plan> {
        // What is out of date holds on to tables that are gone.
        self.kept.retain(|kept| kept.plan.is_current(version, settings));
        let at = self.kept.iter().position(|kept| kept.declared == declared && kept.statement == *statement)?;
        let kept = self.kept.remove(at)?;
        let plan = kept.plan.clone();
        self.kept.push_back(kept);
        Some(plan)
    }

    /// Keeps a plan, and forgets the one that was not used for longest.
    pub(super) fn keep(&mut self, statement: &Statement, declared: &[Option<DataType>], plan: &Plan) {
        if !reads_sources_only(&plan.query) {
            return;
        }
        if self.kept.len() == PLANS {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { statement: statement.clone(), declared: declared.to_vec(), plan: plan.clone() });
    }
}

fn reads_sources_only(query: &Query) -> bool {
    let tables = query.tables();
    !tables.is_empty() && tables.iter().all(|(schema, _)| !SYSTEM_SCHEMAS.contains(&schema.as_str()))
}
