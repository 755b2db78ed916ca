//! How long to wait before trying again: exponential, bounded, with full jitter, so that many that failed together do
//! not come back together.

use std::time::Duration;

/// Bounds of the pause.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest first pause.
    pub first: Duration,
    /// The longest pause at all.
    pub most: Duration,
}

impl Backoff {
    /// A random pause before try number `attempts` + 1, where `attempts` tries failed: evenly from nothing to
    /// min(most, first × 2^attempts).
    pub fn pause(&self, attempts: i32) -> Duration {
        let longest = self.first.saturating_mul(1 << attempts.clamp(0, 20)).min(self.most);
        longest.mul_f64(rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_stays_within_its_bounds() {
        let backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(30) };
        for attempts in [-1, 0, 3, 8, 100, i32::MAX] {
            let bound = 0.05 * f64::from(1 << attempts.clamp(0, 20));
            let pauses: Vec<f64> = (0..200).map(|_| backoff.pause(attempts).as_secs_f64()).collect();
            assert!(pauses.iter().all(|pause| *pause <= bound.min(30.0)));
            // Two hundred random pauses are not all in the lower half of their range.
            assert!(pauses.iter().any(|pause| *pause > bound.min(30.0) / 2.0));
        }
    }
}
