//! What is expected of a source's tables against what is there. Pure: values in, values out, no clock and no IO.

mod compare;
mod contract;
mod image;
mod report;
#[cfg(test)]
mod tests;
mod text;

pub use compare::{Baseline, Observation, compare};
pub use contract::{Contract, ContractColumn, ContractKind};
pub use image::{ColumnImage, TableImage, catalog_fingerprint, fingerprint};
pub use report::{Difference, DifferenceKind, DriftReport, Severity, TableDrift};
