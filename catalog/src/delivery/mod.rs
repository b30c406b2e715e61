//! Sends the events of an environment to its subscribers, in order and at least once.
//!
//! What a subscriber wants, how far it has come and when it is tried again is a row of the control store and nowhere else. A courier
//! per subscriber reads that row, sends what follows, and notes in it what was taken, so that a restart goes on where the store says.
//! One [`Delivery`] per environment owns the couriers. How events leave is an [`EventTarget`]'s business.

mod courier;
mod dispatch;
mod pace;
mod sink;
mod target;

pub use dispatch::Delivery;
pub use target::{EventTarget, Patience, Refusal, Targets, Verdict};

#[cfg(test)]
mod tests;
