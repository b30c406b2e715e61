//! The connector against ClickHouse's own engine, and against servers that misbehave.

mod answers;
mod introspection;
mod lifetime;
mod misbehaving;
mod server;
mod values;
