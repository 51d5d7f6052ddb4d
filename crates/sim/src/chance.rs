//! Chance that follows from a seed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A stream of chance of its own: what one asks of it changes nothing of what others get.
#[derive(Debug)]
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// The stream of `whom` under `seed`.
    pub fn new(seed: u64, whom: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, whom).hash(&mut hasher);
        Self(Mutex::new(StdRng::seed_from_u64(hasher.finish())))
    }

    fn stream(&self) -> MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what happens so often of a thousand times happens now.
    pub fn strikes(&self, per_mille: u16) -> bool {
        // The stream goes on in the same way whatever the answer.
        self.stream().random_range(0..1_000) < per_mille
    }

    /// A number from `least` to `most`.
    pub fn between(&self, least: u64, most: u64) -> u64 {
        self.stream().random_range(least..=most)
    }

    /// A time from `least` to `most`, in milliseconds.
    pub fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// There are none.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.stream().random_range(0..of.len())]
    }

    /// Sixteen bytes.
    pub fn bytes(&self) -> [u8; 16] {
        self.stream().random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_follows_from_its_seed_and_its_name() {
        let first = |seed, whom| Chance::new(seed, whom).bytes();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }
}
