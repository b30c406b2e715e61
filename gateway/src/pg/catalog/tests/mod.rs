//! Tests over a database with tables of every kind.
