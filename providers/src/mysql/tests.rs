//! The connector against a real, private MariaDB.

mod answers;
mod changing;
mod collations;
mod connections;
mod introspection;
mod lifetime;
mod literals;
mod moments;
mod parallel;
mod pushdown;
mod server;
mod types;
mod writing;
