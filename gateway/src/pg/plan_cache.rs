//! The plans of what a session asked last: drivers send the same few statements again and again without preparing them.
//!
//! A plan belongs to its session, whose functions it holds. It is taken again under the conditions of a prepared statement's: over the
//! same tables, under the same settings. What depends on the moment is decided when a plan is executed, so that it is never kept.

use std::collections::VecDeque;

use causeway_planner::{Query, Statement};
use datafusion::arrow::datatypes::DataType;

use super::command::Parsed;
use super::portal::Plan;
use super::settings::Settings;

/// Plans kept per session: a plan is some ten kilobytes, and more where its statement is long, and there may be a thousand sessions.
const PLANS: usize = 4;

/// The longest text, in bytes, of a statement whose plan is kept. Each value of a list is some 250 bytes of a plan, so that one of
/// twenty thousand takes five megabytes; and what is sent again and again is short.
const LONGEST: usize = 4096;

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
    pub(super) fn find(&mut self, statement: &Parsed, declared: &[Option<DataType>], version: u64, settings: &Settings) -> Option<Plan> {
        // What is out of date holds on to tables that are gone.
        self.kept.retain(|kept| kept.plan.is_current(version, settings));
        let at = self.kept.iter().position(|kept| kept.declared == declared && kept.statement == statement.statement)?;
        let kept = self.kept.remove(at)?;
        let plan = kept.plan.clone();
        self.kept.push_back(kept);
        Some(plan)
    }

    /// Keeps a plan, unless its statement is long, and forgets the one that was not used for longest.
    pub(super) fn keep(&mut self, statement: &Parsed, declared: &[Option<DataType>], plan: &Plan) {
        if statement.length > LONGEST || !reads_sources_only(&plan.query) {
            return;
        }
        if self.kept.len() == PLANS {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { statement: statement.statement.clone(), declared: declared.to_vec(), plan: plan.clone() });
    }
}

fn reads_sources_only(query: &Query) -> bool {
    let tables = query.tables();
    !tables.is_empty() && tables.iter().all(|(schema, _)| !SYSTEM_SCHEMAS.contains(&schema.as_str()))
}
