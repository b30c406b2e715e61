//! Medians, percentiles and how they are printed.

use std::time::Duration;

/// A set of measurements of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measurements(Vec<Duration>);

impl Measurements {
    /// Adds one.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Adds all of another set.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The smallest value that is not exceeded by `percent` of them. Zero when there are none.
    pub(crate) fn percentile(&self, percent: u32) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent as usize).div_ceil(100).clamp(1, sorted.len().max(1));
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// The middle one; of an even number, the lower of the two in the middle.
    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// All of them in seconds, in the order they were taken.
    pub(crate) fn seconds(&self) -> String {
        let seconds: Vec<_> = self.0.iter().map(|took| format!("{:.2}", took.as_secs_f64())).collect();
        seconds.join(" ")
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut measurements = Measurements::default();
        assert_eq!(measurements.median(), Duration::ZERO);
        for millis in [9, 1, 5, 3] {
            measurements.add(Duration::from_millis(millis));
        }
        assert_eq!(measurements.median(), Duration::from_millis(3));
        assert_eq!(measurements.percentile(99), Duration::from_millis(9));
        assert_eq!(measurements.percentile(0), Duration::from_millis(1));
        assert_eq!(measurements.seconds(), "0.01 0.00 0.01 0.00");
    }
}
