//! Random numbers that are the same for the same seed on every machine.

/// A generator of random choices.
pub(super) struct Dice(u64);

impl Dice {
    /// The same seed gives the same choices.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The dice of one part of what this seed makes, so that one part can be made without those before it.
    pub(super) fn part(seed: u64, index: usize) -> Self {
        let mut dice = Self(seed ^ 0x5851_F42D_4C95_7F2D);
        let mixed = dice.next();
        Self(mixed ^ (index as u64).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `below`, which must not be 0.
    pub(super) fn roll(&mut self, below: usize) -> usize {
        usize::try_from(self.next() % below as u64).expect("it is below a usize")
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }

    /// One of these texts.
    pub(super) fn word(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }
}
