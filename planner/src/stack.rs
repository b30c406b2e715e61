//! Room for recursion: parsing, planning and optimising walk expressions by recursion, as deep as a statement is nested.
//!
//! A thread that has little stack left lends itself a segment for the time of the call. Together with the parser's bound on
//! depth this keeps any text from ending the process.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What the deepest statement the parser lets through may need, unoptimised builds included.
const NEEDED: usize = 32 << 20;

/// A new segment. It is reserved, not used: pages count when they are touched.
const SEGMENT: usize = 64 << 20;

/// Runs `work` with room for recursion.
pub(crate) fn roomy<R>(work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(NEEDED, SEGMENT, work)
}

/// A future that is polled with room for recursion.
pub(crate) struct Roomy<'a, T>(Pin<Box<dyn Future<Output = T> + Send + 'a>>);

impl<'a, T> Roomy<'a, T> {
    /// Wraps `work`.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Box::pin(work))
    }
}

impl<T> Future for Roomy<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        roomy(|| self.0.as_mut().poll(context))
    }
}
