//! The one draw of chance: for waits that must not come in step, and for samples.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// A number from 0 on and below 1, any of them as likely as another. Nothing that must not be guessed may rest on it.
pub fn drawn() -> f64 {
    // As many bits as a double holds exactly.
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A fifth more or less, so that many datasources do not knock at one server in step.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.8 + 0.4 * drawn())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_lie_within_their_bounds_and_are_not_all_one() {
        let draws: Vec<f64> = (0..1000).map(|_| drawn()).collect();
        assert!(draws.iter().all(|drawn| (0.0..1.0).contains(drawn)));
        let below = draws.iter().filter(|drawn| **drawn < 0.5).count();
        assert!((300..700).contains(&below), "{below} of a thousand are below a half");
        let second = Duration::from_secs(1);
        assert!((0..1000).map(|_| jittered(second)).all(|wait| (second.mul_f64(0.8)..=second.mul_f64(1.2)).contains(&wait)));
    }
}
