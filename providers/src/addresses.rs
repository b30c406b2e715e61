//! The addresses of a host, of which one is to answer.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};

/// What `dial` gives for the first address that answers within `limit`. Each has an equal part of the time that is left, so that one
/// that is silent leaves time for those behind it.
///
/// # Errors
/// What the last address led to, `silent` when that is nothing. A refusal is an answer: it ends the search.
pub(crate) async fn first_to_answer<A, T, F: Future<Output = Result<T>>>(
    addresses: Vec<A>,
    limit: Duration,
    silent: impl Fn() -> Error,
    dial: impl Fn(A) -> F,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    let mut outcome = Err(silent());
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        outcome = tokio::time::timeout(deadline.remaining() / left.max(1), dial(address)).await.unwrap_or_else(|_| Err(silent()));
        match &outcome {
            Err(error) if error.kind() == ErrorKind::Unreachable => left = left.saturating_sub(1),
            Ok(_) | Err(_) => break,
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 is silent, 1 refuses the connection, 2 refuses the password, others answer.
    async fn dialled(addresses: &[u8]) -> Result<u8> {
        let silent = || Error::new(ErrorKind::Unreachable, "silent");
        first_to_answer(addresses.to_vec(), Duration::from_millis(600), silent, async |address| match address {
            0 => std::future::pending().await,
            1 => Err(Error::new(ErrorKind::Unreachable, "refused")),
            2 => Err(Error::new(ErrorKind::Unauthorized, "password")),
            answers => Ok(answers),
        })
        .await
    }

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_others() {
        assert_eq!(dialled(&[0, 1, 7]).await.unwrap(), 7);
        assert_eq!(dialled(&[1, 8, 7]).await.unwrap(), 8);
        assert_eq!(dialled(&[0, 2, 7]).await.unwrap_err().message(), "password");
        assert_eq!(dialled(&[0, 1]).await.unwrap_err().message(), "refused");
        assert_eq!(dialled(&[1, 0]).await.unwrap_err().message(), "silent");
        assert_eq!(dialled(&[]).await.unwrap_err().message(), "silent");
    }
}
