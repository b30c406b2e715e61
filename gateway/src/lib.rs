//! The gateway: its endpoints, wired to what exists and to how it runs.

mod pg;
