//! Rewrites by example.
