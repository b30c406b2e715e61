//! Tests of the crate as the gateway uses it: statements in, rows, plans and errors out.

pub(crate) mod support;

mod answers;
mod coercion;
mod errors;
mod explain;
mod growth;
mod json;
mod names;
mod observed;
mod parameters;
mod using;
