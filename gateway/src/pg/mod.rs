//! The PostgreSQL endpoint.

pub(crate) mod catalog;
