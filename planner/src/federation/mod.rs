//! Federation: the largest sub-plans that one remote may compute become one statement there.
//!
//! Runs once, after DataFusion's optimizer, on a plan whose filters and projections have been pushed down already. [`neighbours`] first
//! puts inner joins in an order that has the tables of each remote next to each other. [`visit`] walks
//! the plan from its leaves. A sub-plan all of whose nodes are allowed is an [`open::OpenSelect`] that grows node by node; where
//! it can grow no further it is closed into a [`node::RemoteQuery`], if that gains anything over plain scans, and the reason is
//! noted. What cannot be shipped is computed here: federation never fails a query. [`choice`] walks again for sub-plans that stand in
//! several places.

mod absorb;
mod aggregate;
mod choice;
mod fan_out;
mod join;
mod narrow;
mod needs;
mod neighbours;
mod node;
mod open;
#[cfg(test)]
mod tests;
mod visit;
mod window;

pub(crate) use choice::{Thrift, federate};
pub(crate) use neighbours::{bring_together, is_total, never_fails};
pub(crate) use node::RemoteQueryPlanner;

/// Why something stays here, in words for the user.
type Reason = String;
