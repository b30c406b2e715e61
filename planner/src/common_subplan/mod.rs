//! Sub-plans that a plan has several times, such as a `WITH` query that is named twice: computed once.
//!
//! [`CommonSubplans`] finds those that group, which read more than they give. Federation decides where each is computed: by a named
//! query in the `WITH` of a statement that has it several times, or once for all statements, as a [`Materialized`] in each place. What runs
//! is an [`exec::MaterializeExec`] in each of these, and [`share`] has all of one sub-plan read what the first computes.

mod exec;
mod find;
mod kept_rows;
mod node;
#[cfg(test)]
mod tests;

pub(crate) use exec::share;
pub(crate) use find::CommonSubplans;
pub(crate) use node::{Materialized, MaterializedExtension};
