//! The gateway as its users meet it: a child process, real servers behind it, real clients before it.
//!
//! One binary with a module per promise, so that the servers start once. See the crate `causeway_tests` for how they are started.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in tests a panic is the report")]

mod architecture;
mod changed_sources;
mod changes;
mod cli;
mod commands;
mod competing_changes;
mod config;
mod contract;
mod cross_source;
mod delivery;
mod demo;
mod differential;
mod drift;
mod drip;
mod dynamic_filters;
mod failure;
mod fuzz;
mod gates;
mod guardrails;
mod idle;
mod imports;
mod kills;
mod large_tables;
mod long_joins;
mod long_lists;
mod memory;
mod one_moment;
mod pools;
mod prepared_changes;
mod privileges;
mod psql;
mod push_down;
mod secrets;
mod statements;
mod streaming;
mod time_zones;
mod timeouts;
mod tpcds;
mod tpch;
mod traps;
mod types;
