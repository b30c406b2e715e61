//! What is expected of remote tables against what is there. Pure: no IO, no clock.

mod compare;
mod contract;
mod describe;
mod image;
#[cfg(test)]
mod tests;

pub use compare::{Difference, DifferenceKind, DriftReport, Severity, TableDrift};
pub(crate) use compare::{Observation, TypeRule, compare, compare_table, key_word, nullability_word, type_words};
pub(crate) use contract::{Baseline, Expectation, Standing};
pub use contract::{Contract, ContractColumn};
pub(crate) use describe::describe;
pub use image::{ColumnImage, TableImage};
pub(crate) use image::{fingerprint, table_fingerprint};
