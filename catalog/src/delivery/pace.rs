//! How often and how long deliveries are tried.

use std::time::Duration;

use super::target::Patience;

/// The bounds of all couriers. Tests make them short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two looks at who subscribes, and at a target that is not there yet.
    pub(crate) look: Duration,
    /// The wait after the first attempt that failed; it doubles with every further one.
    pub(crate) first_retry: Duration,
    /// The longest such wait.
    pub(crate) last_retry: Duration,
    /// The longest such wait for a target whose events are never given up, which then is soon there again.
    pub(crate) last_endless_retry: Duration,
    /// How often an event is tried.
    pub(crate) attempts: u32,
    /// How often in a row an event is tried at a target that answers, and refuses it.
    pub(crate) refusals: u32,
    /// How long one delivery may take.
    pub(crate) delivery: Duration,
    /// How long it may stay unwritten that events were passed over which a subscriber does not want.
    pub(crate) passed_over: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            first_retry: Duration::from_secs(1),
            last_retry: Duration::from_secs(5 * 60),
            last_endless_retry: Duration::from_secs(30),
            // Seven and a half hours: 9 waits that double and 90 of five minutes.
            attempts: 100,
            // Half an hour.
            refusals: 14,
            delivery: Duration::from_secs(60),
            passed_over: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// Whether an event is given up after so many attempts in vain, the last so many of them refused by an answer.
    pub(crate) fn is_enough(&self, patience: Patience, attempts: u32, refusals: u32) -> bool {
        match patience {
            Patience::Endless => false,
            Patience::Limited => attempts >= self.attempts || refusals >= self.refusals,
        }
    }

    /// The wait after so many attempts in vain, before it is jittered.
    pub(crate) fn wait(&self, patience: Patience, attempts: u32) -> Duration {
        let longest = match patience {
            Patience::Limited => self.last_retry,
            Patience::Endless => self.last_endless_retry,
        };
        self.first_retry.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let pace = Pace::default();
        let waits = |patience| [1, 2, 3, 9, 10, 1000].map(|attempts| pace.wait(patience, attempts).as_secs());
        assert_eq!(waits(Patience::Limited), [1, 2, 4, 256, 300, 300]);
        assert_eq!(waits(Patience::Endless), [1, 2, 4, 30, 30, 30]);
    }

    #[test]
    fn the_limits_are_as_long_as_the_documents_say() {
        let pace = Pace::default();
        let minutes = |attempts| (1..attempts).map(|attempt| pace.wait(Patience::Limited, attempt)).sum::<Duration>().as_secs() / 60;
        assert_eq!((minutes(pace.attempts), minutes(pace.refusals)), (7 * 60 + 38, 28));
    }

    #[test]
    fn an_event_is_given_up_for_one_limit_or_the_other() {
        let pace = Pace::default();
        for (attempts, refusals, enough) in [(13, 13, false), (14, 14, true), (99, 1, false), (100, 0, true)] {
            assert_eq!(pace.is_enough(Patience::Limited, attempts, refusals), enough, "{attempts}, {refusals}");
            assert!(!pace.is_enough(Patience::Endless, attempts, refusals));
        }
    }
}
